"""Checks the certificate of a plan with the standard library, and code of its own.

What it proves: the commitment is to this problem and these currents, every limit is
kept exactly, the relaxed plan costs no more than a proven distance above the best there
is, and currents and what batteries are told follow from it, or from the rule of a
fallback. Nothing of the optimizer is needed, and nothing of it is believed.

Format and mathematics: docs/optimizer.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import merkle
from ledger.errors import BundleError
from ledger.plan_bound import (
    UNIT_PER_MICRO,
    Duals,
    broken_constraint,
    cost,
    is_small,
    lower_bound,
    told_w,
)
from ledger.plan_limits import Currents, broken_limit, limits_of
from ledger.plan_problem import PlanProblem, read_problem, series
from ledger.plan_relaxed import RelaxedPlan, relaxed_plan
from ledger.plan_rounding import Rules, by_rule, rounded
from ledger.record import MAX_SAFE_INT
from ledger.strict_json import HASH, as_list, as_object, hexed, members, text
from ledger.verdicts import Check

FORMAT: Final = "wattproof-certificate/3"
ALGORITHMS: Final[Mapping[str, Rules]] = {
    "wattproof-optimizer/3": Rules(has_last_chance=False, is_by_phase=False),
    "wattproof-optimizer/4": Rules(has_last_chance=True, is_by_phase=False),
    "wattproof-optimizer/5": Rules(has_last_chance=True, is_by_phase=True),
}
"""What this verifier knows; others are told, not judged."""
MAX_EFFORT: Final = 50_000_000
"""Sessions times limits above them times steps: bounds what a hostile file costs."""
METHODS: Final = ("relaxed", "edf", "none")
OPTIMALITY: Final = "optimality"
ROUNDING: Final = "rounding"
_COMMON: Final = ("format", "algorithm", "method", "salt", "commitment", "currents_da")
_RELAXED: Final = (
    *("current_ua", "energy_nano", "limit_nano", "sun_nano"),
    *("cost_micro", "bound_micro"),
)
_BATTERIES: Final = ("stored_nano", "battery_w")
_MOST_CURRENT: Final = 100_000
_SALT_DOMAIN: Final = b"wattproof/plan-salt/1\0"
_ROW_DOMAIN: Final = b"wattproof/plan-row/1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A problem with its certificate, their shapes checked.

    Attributes:
        rules: Of the algorithm that made it.
        currents: Per session, per step, 0.1 A.
        battery_w: Per battery, per step; empty where nothing is said.
    """

    problem: PlanProblem
    document: Mapping[str, object]
    method: str
    rules: Rules
    currents: Currents
    battery_w: Sequence[Sequence[int]]


def read_certified(problem: object, certificate: object) -> Certified | None:
    """Read a problem and its certificate.

    Returns:
        ``None`` where another version made it.

    Raises:
        BundleError: They are not what they should be; the text says which member.
    """
    document = as_object(certificate, "certificate")
    version, algorithm = document.get("format"), document.get("algorithm")
    for one, known in ((version, FORMAT), (algorithm, min(ALGORITHMS))):
        if not isinstance(one, str) or not one.startswith(known.split("/")[0]):
            raise BundleError("certificate is of no format known here")
    rules = ALGORITHMS.get(str(algorithm))
    if version != FORMAT or rules is None:
        return None
    read = read_problem(problem)
    effort = read.n_step * sum(len(one.cars) for one in limits_of(read))
    if effort > MAX_EFFORT:
        raise BundleError("problem is too large to be checked here")
    method = document.get("method")
    if method not in METHODS:
        raise BundleError(f"method must be one of {', '.join(METHODS)}")
    wanted: tuple[str, ...] = _RELAXED if method == "relaxed" else ()
    if wanted and read.stores:
        wanted = (*wanted, *_BATTERIES)
    members(document, "certificate", (*_COMMON, *wanted))
    rows = as_list(document["currents_da"], "currents_da", len(read.cars))
    if len(rows) != len(read.cars):
        raise BundleError(f"currents_da must hold {len(read.cars)} rows")
    return Certified(
        problem=read,
        document=document,
        method=str(method),
        rules=rules,
        currents=[_currents(row, read.n_step) for row in rows],
        battery_w=_powers(document.get("battery_w", []), read, method=str(method)),
    )


def check_certificate(plan: Certified) -> list[Check]:
    """Return the checks of a plan: commitment, limits, optimality, rounding."""
    checks = [_check_commitment(plan)]
    why = broken_limit(plan.problem, limits_of(plan.problem), plan.currents)
    if why is not None:
        left = [
            Check.not_judged(name, "a limit is not kept")
            for name in (OPTIMALITY, ROUNDING)
        ]
        return [*checks, Check.false("limits", why), *left]
    count = len(plan.currents)
    held = f"every limit is kept: {count} sessions, {plan.problem.n_step} steps"
    if plan.method != "relaxed":
        return [*checks, Check.true("limits", held), *_by_rule(plan)]
    relaxed = relaxed_plan(plan.problem)
    try:
        values, duals = _numbers(plan, relaxed)
    except BundleError as error:
        return [*checks, Check.true("limits", held), *_nothing_proven(str(error))]
    wrong = broken_constraint(relaxed, values)
    if wrong is not None:
        why = f"relaxed plan: {wrong}"
        return [*checks, Check.true("limits", held), *_nothing_proven(why)]
    return [*checks, *_relaxed_checks(plan, relaxed, values, duals, held)]


def _relaxed_checks(
    plan: Certified,
    relaxed: RelaxedPlan,
    values: Sequence[int],
    duals: Duals,
    held: str,
) -> Iterator[Check]:
    told, taken = told_w(relaxed, values)
    why = broken_limit(plan.problem, relaxed.limits, plan.currents, taken)
    if told != [list(row) for row in plan.battery_w]:
        why = "the powers of batteries do not follow from the relaxed plan"
    if why is not None:
        yield Check.false("limits", why)
    else:
        batteries = ", with what batteries are told" if plan.problem.stores else ""
        yield Check.true("limits", held + batteries)
    yield _check_cost(plan, relaxed, values, duals)
    follows = rounded(relaxed, values, taken, plan.rules)
    yield _check_rounding(plan, follows, "the relaxed plan")


def commitment_of(
    problem: Mapping[str, object], currents: Currents, salt: bytes
) -> bytes:
    """Return the commitment to a problem and the currents of its sessions."""
    sessions = problem["sessions"]
    assert isinstance(sessions, list), "the problem was read"
    texts = [
        canonical({k: v for k, v in problem.items() if k != "sessions"}),
        *(
            row_text(problem, session, row)
            for session, row in zip(sessions, currents, strict=True)
        ),
    ]
    return merkle.root(
        [row_leaf(row_salt(salt, row), data) for row, data in enumerate(texts)]
    )


def row_text(
    problem: Mapping[str, object], session: object, currents: Sequence[int]
) -> bytes:
    """Return the text of one session's row."""
    shared = {
        name: problem[name] for name in ("start", "step_s", "n_step", "nominal_v")
    }
    return canonical(shared | {"session": session, "currents_da": list(currents)})


def row_salt(salt: bytes, row: int) -> bytes:
    """Return the salt of one row of a plan."""
    return hashlib.sha256(_SALT_DOMAIN + salt + row.to_bytes(8, "big")).digest()


def row_leaf(salt: bytes, data: bytes) -> bytes:
    """Return the leaf hash of a row with its own salt."""
    return merkle.leaf_hash(hashlib.sha256(_ROW_DOMAIN + salt + data).digest())


def canonical(document: object) -> bytes:
    """Return the JSON of RFC 8785, for documents of integers and text."""
    written = json.dumps(
        document,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    try:
        return written.encode()
    except UnicodeEncodeError:
        raise BundleError("text with a lone surrogate has no UTF-8 form") from None


def _check_commitment(plan: Certified) -> Check:
    salt = hexed(plan.document["salt"], HASH, "salt")
    root = commitment_of(plan.problem.document, plan.currents, salt)
    if text(plan.document, "commitment") != root.hex():
        return Check.false("commitment", "is not to this problem and these currents")
    return Check.true("commitment", "to this problem and these currents")


def _check_cost(
    plan: Certified, relaxed: RelaxedPlan, values: Sequence[int], duals: Duals
) -> Check:
    if min((*duals.limit, *duals.sun), default=0) < 0:
        return Check.false(OPTIMALITY, "a price of a limit is negative")
    paid, least = cost(relaxed, values), lower_bound(relaxed, duals)
    for name, value in (
        ("cost_micro", -(-paid // UNIT_PER_MICRO)),
        ("bound_micro", least // UNIT_PER_MICRO),
    ):
        if plan.document[name] != value:
            return Check.false(OPTIMALITY, f"{name} is {value}")
    gap = -(-(paid - least) // UNIT_PER_MICRO)
    reason = (
        f"the relaxed plan is at most {gap / 1e6:.6f} of the currency from the optimum"
    )
    if is_small(paid, least):
        return Check.true(OPTIMALITY, reason)
    return Check.false(OPTIMALITY, reason)


def _by_rule(plan: Certified) -> Iterator[Check]:
    yield Check.open(OPTIMALITY, "a plan by a rule claims none", is_claimed=False)
    nothing = [[0] * plan.problem.n_step for _ in plan.currents]
    found = by_rule(plan.problem) if plan.method == "edf" else nothing
    yield _check_rounding(plan, found, f"the rule ({plan.method})")


def _check_rounding(
    plan: Certified, found: Sequence[Sequence[int]], origin: str
) -> Check:
    for car, given, follows in zip(
        plan.problem.cars, plan.currents, found, strict=True
    ):
        if list(given) != list(follows):
            why = f"the currents of {car.session_id} do not follow from {origin}"
            return Check.false(ROUNDING, why)
    return Check.true(ROUNDING, f"the currents follow from {origin}")


def _nothing_proven(why: str) -> list[Check]:
    left = Check.not_judged(ROUNDING, "the relaxed plan does not hold")
    return [Check.false(OPTIMALITY, why), left]


def _numbers(plan: Certified, relaxed: RelaxedPlan) -> tuple[Sequence[int], Duals]:
    def numbers(name: str, size: int) -> tuple[int, ...]:
        return series(plan.document[name], name, size, -MAX_SAFE_INT, MAX_SAFE_INT)

    values = numbers("current_ua", len(relaxed.columns) + len(relaxed.cells))
    return values, Duals(
        energy=numbers("energy_nano", len(plan.problem.cars)),
        limit=numbers("limit_nano", len(relaxed.bounds)),
        sun=numbers("sun_nano", len(relaxed.shared)),
        stored=(
            numbers("stored_nano", len(relaxed.moves)) if plan.problem.stores else ()
        ),
    )


def _currents(row: object, n_step: int) -> tuple[int, ...]:
    return series(row, "currents_da", n_step, -_MOST_CURRENT, _MOST_CURRENT)


def _powers(
    value: object, problem: PlanProblem, *, method: str
) -> Sequence[Sequence[int]]:
    if method != "relaxed" or not problem.stores:
        return []
    rows = as_list(value, "battery_w", len(problem.stores))
    if len(rows) != len(problem.stores):
        raise BundleError(f"battery_w must hold {len(problem.stores)} rows")
    n_step = problem.n_step
    return [
        series(row, "battery_w", n_step, -MAX_SAFE_INT, MAX_SAFE_INT) for row in rows
    ]
