"""The verifier of plans: a whole plan for an auditor, or one session's row of it.

Nothing of the optimizer is needed, and nothing of it is believed. Files and
mathematics: docs/optimizer.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ledger import merkle, record
from ledger.certificate import (
    ALGORITHMS,
    Certified,
    canonical,
    check_certificate,
    read_certified,
    row_leaf,
    row_text,
)
from ledger.check_names import CERTIFICATE, IN_LOG, ON_CHAIN
from ledger.errors import BundleError, RecordError
from ledger.heads import KnownHeads, check_consistency
from ledger.plan_problem import MAX_STEP, Car, read_car, series, whole
from ledger.pricing import parse_time
from ledger.published import PublishedContracts
from ledger.receipt import BundleHead, LeafProof
from ledger.receipt_parsing import MAX_PATH, bundle_head, leaf_proof
from ledger.strict_json import (
    HASH,
    as_list,
    as_object,
    count,
    hexed,
    members,
)
from ledger.verdicts import Check, Verdict, VerificationReport

PLAN: Final = "wattproof-plan/1"
ROW: Final = "wattproof-plan-row/1"
CHAIN_NAMES: Final = (*ON_CHAIN, "algorithm")
DJ_PER_WH: Final = 36_000
_KNOWN: Final = ", ".join(ALGORITHMS)
_ALGORITHM: Final = re.compile(r"[a-z][a-z0-9-]{0,60}/[0-9]{1,6}")
_ROW: Final = (
    *("format", "algorithm", "commitment", "row", "count", "salt", "path"),
    *("start", "step_s", "n_step", "nominal_v", "session", "currents_da"),
)
_MOST_CURRENT: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTrust:
    """What a verifier of plans brings along; all of it may be missing.

    Attributes:
        rpc_url: Node to ask.
        chain_path: File of an embedded chain to ask instead.
        heads: Of other times.
        contracts: That the operator publishes; without them no chain can be asked.
        wheel_sha256: Of the wheel that the verifier has, or built.
    """

    rpc_url: str | None = None
    chain_path: Path | None = None
    heads: KnownHeads | None = None
    contracts: PublishedContracts | None = None
    wheel_sha256: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A plan's record in the log, the head it leads to, and when it was made.

    Attributes:
        made_at: ``None`` where the record does not hold.
    """

    leaf: LeafProof
    head: BundleHead
    made_at: datetime | None


def verify_plan(document: Mapping[str, object], trust: PlanTrust) -> VerificationReport:
    """Verify a plan or a row of one.

    Args:
        document: As it was read from the file.
        trust: What the verifier brings along.

    Raises:
        BundleError: It is neither.
    """
    if document.get("format") == PLAN:
        checks, algorithm, expected = _whole(document)
    elif document.get("format") == ROW:
        checks, algorithm, expected = _row(document)
    else:
        raise BundleError(f"format must be {PLAN} or {ROW}")
    if document.get("leaf") is None:
        if document.get("head") is not None:
            raise BundleError("a head without a leaf proves nothing")
        why = "the file has no proof that the plan is in a log"
        names = (*IN_LOG, *CHAIN_NAMES)
        checks += [Check.not_judged(name, why, is_claimed=False) for name in names]
        return VerificationReport(checks=tuple(checks))
    if document.get("head") is None:
        raise BundleError("a leaf without a head proves nothing")
    leaf, head = leaf_proof(document["leaf"]), bundle_head(document["head"])
    made_at, record_check = _recorded(leaf, algorithm, expected)
    checks += [
        record_check,
        _included(leaf, head),
        check_consistency(trust.heads, head.size, head.root),
        *_on_chain(Sealed(leaf=leaf, head=head, made_at=made_at), algorithm, trust),
    ]
    return VerificationReport(checks=tuple(checks))


Expected = Mapping[str, object]
"""What the record in the log must say."""


def _whole(document: Mapping[str, object]) -> tuple[list[Check], str, Expected]:
    members(
        document,
        "plan",
        ("format", "problem", "certificate"),
        ("outcome", "plan", "why", "leaf", "head"),
    )
    made = as_object(document["certificate"], "certificate")
    algorithm = _named(made.get("algorithm"))
    plan = read_certified(document["problem"], made)
    expected: Expected = {
        "inputs_sha256": made.get("commitment"),
        "certificate_sha256": hashlib.sha256(canonical(made)).hexdigest(),
    }
    if plan is None:
        told = Check.true("format", f"a plan by {algorithm}")
        why = f"made by {algorithm}: this verifier knows {_KNOWN}"
        names = [*CERTIFICATE, *(["plan"] if _states_plan(document) else [])]
        left = [Check.not_judged(name, why) for name in names]
        return [told, *left], algorithm, expected
    size = f"{len(plan.currents)} sessions, {plan.problem.n_step} steps"
    checks = [Check.true("format", f"a plan: {size}"), *check_certificate(plan)]
    if _states_plan(document):
        is_false = any(check.verdict is Verdict.FALSE for check in checks)
        checks.append(
            Check.not_judged("plan", "its certificate does not hold")
            if is_false
            else _stated(plan, document)
        )
    return checks, algorithm, expected


def _states_plan(document: Mapping[str, object]) -> bool:
    return "plan" in document or "outcome" in document


def _stated(plan: Certified, document: Mapping[str, object]) -> Check:
    """Compare what the file states with what the certificate proves.

    Reasons and prices explain; they are no claims.
    """
    cars, step_s = plan.problem.cars, plan.problem.step_s
    given = [
        min(sum(row[: car.stay]) * car.volts * step_s, car.energy_wh * DJ_PER_WH)
        for car, row in zip(cars, plan.currents, strict=True)
    ]
    missing = [
        -((dj - car.energy_wh * DJ_PER_WH) // DJ_PER_WH)
        for car, dj in zip(cars, given, strict=True)
    ]
    proven: dict[str, object] = {
        "session_ids": [car.session_id for car in cars],
        "currents_da": [list(row) for row in plan.currents],
        "energy_wh": [dj // DJ_PER_WH for dj in given],
        "shortfall_wh": missing,
    }
    if plan.battery_w:
        proven["battery_ids"] = [store.battery_id for store in plan.problem.stores]
        proven["battery_w"] = [list(row) for row in plan.battery_w]
    stated = as_object(document.get("plan", proven), "plan")
    for name, value in proven.items():
        if stated.get(name) != value:
            return Check.false("plan", f"{name} are not those of the certificate")
    outcome = "relaxed" if any(missing) else "optimal"
    if plan.method != "relaxed":
        outcome = "fallback"
    if document.get("outcome", outcome) != outcome:
        return Check.false("plan", f"it is {outcome}")
    return Check.true("plan", f"{outcome}: currents and energies are the certificate's")


def _row(document: Mapping[str, object]) -> tuple[list[Check], str, Expected]:
    members(document, "row", _ROW, ("leaf", "head"))
    n_step = whole(document["n_step"], "n_step", 1, MAX_STEP)
    volts = whole(document["nominal_v"], "nominal_v", 1, 1_000)
    car = read_car(document["session"], n_step, volts)
    currents = series(
        document["currents_da"], "currents_da", n_step, -_MOST_CURRENT, _MOST_CURRENT
    )
    algorithm = _named(document["algorithm"])
    salt = hexed(document["salt"], HASH, "salt")
    path = as_list(document["path"], "path", MAX_PATH)
    is_committed = merkle.verify_inclusion(
        leaf=row_leaf(salt, row_text(document, document["session"], currents)),
        index=count(document, "row"),
        size=count(document, "count"),
        proof=[hexed(step, HASH, "path") for step in path],
        head=hexed(document["commitment"], HASH, "commitment"),
    )
    checks = [Check.true("format", f"the row of session {car.session_id}")]
    checks.append(
        Check.true("commitment", "the plan is committed to this row")
        if is_committed
        else Check.false("commitment", "the plan is not committed to this row")
    )
    checks.append(_within(car, currents))
    is_known = algorithm in ALGORITHMS
    why = "a row has none: it is in the plan's file, for auditors"
    if not is_known:
        why = f"made by {algorithm}: this verifier knows {_KNOWN}"
    checks.append(Check.not_judged("certificate", why, is_claimed=not is_known))
    return checks, algorithm, {"inputs_sha256": document["commitment"]}


def _within(car: Car, currents: tuple[int, ...]) -> Check:
    for step, current in enumerate(currents):
        if current and step >= car.stay:
            return Check.false("currents", f"step {step} is after departure")
        if not car.permits(current):
            return Check.false("currents", f"step {step}: {current} is not permitted")
    return Check.true("currents", "0 or a permitted current in every step of the stay")


def _recorded(
    leaf: LeafProof, algorithm: str, expected: Expected
) -> tuple[datetime | None, Check]:
    """Check that the record is one of this plan; say when it says it was made."""
    name = "record"
    try:
        found = record.parse(leaf.record)
    except RecordError as error:
        return None, Check.false(name, str(error))
    if found.kind != "plan" or leaf.kind != "plan":
        return None, Check.false(name, "it is not one of a plan")
    algorithm_id, _, version = algorithm.partition("/")
    named = {"algorithm_id": algorithm_id, "algorithm_version": version}
    for member, value in {**named, **expected}.items():
        if found.body.get(member) != value:
            return None, Check.false(name, f"it has another {member}")
    try:
        made_at = parse_time(found.body["made_at"])
    except BundleError as error:
        return None, Check.false(name, f"made_at: {error}")
    told = f"canonical, and of this plan, made {found.body['made_at']}"
    return made_at, Check.true(name, told)


def _included(leaf: LeafProof, head: BundleHead) -> Check:
    name = "inclusion"
    if not leaf.is_as_stated():
        return Check.false(name, "salt and record do not give the stated commitment")
    if not leaf.is_under(head):
        return Check.false(name, "the record is not in the log with this head")
    return Check.true(name, f"leaf {leaf.index} of a log of {head.size}")


def _on_chain(sealed: Sealed, algorithm: str, trust: PlanTrust) -> list[Check]:
    if trust.contracts is None:
        reason = "which contracts to ask is not in the file: give --contracts FILE"
    elif trust.rpc_url is None and trust.chain_path is None:
        reason = "no chain was asked: give --rpc URL or --chain PATH"
    else:
        # Imported here: the offline verifier needs neither web3 nor an EVM.
        try:
            from ledger.verify_plan_chain import check_plan_chain  # noqa: PLC0415  # see above
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("ledger"):
                raise
            reason = f"{error.name} is missing: install wattproof-ledger[chain]"
        else:
            return check_plan_chain(sealed, algorithm, trust, trust.contracts)
    return [
        Check.open(name, reason, is_claimed=name != "algorithm") for name in CHAIN_NAMES
    ]


def _named(value: object) -> str:
    if isinstance(value, str) and _ALGORITHM.fullmatch(value):
        return value
    raise BundleError("algorithm must be a name and a number")
