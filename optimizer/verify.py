"""The verifier of plans: a file in, a list of checks with verdicts out.

Needs the standard library alone. The words and exit codes are those of the verifier of
receipts: *true*, *self-witnessed*, *unchecked*, *false*; 0 unless something is false.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from optimizer import certificate, commitment
from optimizer.bundle import PLAN, ROW, LeafProof, hash_of, path_of
from optimizer.certificate import Method
from optimizer.document import Node, ProblemError, canonical_json, parse_json
from optimizer.layout import DJ_PER_WH, Layout
from optimizer.outcome import ALGORITHM
from optimizer.parts import EvSession
from optimizer.problem import MAX_STEP, CabinetProblem
from optimizer.reasons import shortfalls_wh

MAX_BYTES: Final = 32 * 2**20


class Word(StrEnum):
    """How much was checked, and with what result."""

    TRUE = "true"
    UNCHECKED = "unchecked"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: What was looked at.
        verdict: The result.
        reason: Why, in one line.
        is_claimed: Whether the file claims it; what it does not claim takes nothing
            from the verdict of the file.
    """

    name: str
    verdict: Word
    reason: str
    is_claimed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks of one file."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Word:
        """Return the weakest verdict of all that the file claims."""
        order = list(Word)
        claimed = (check.verdict for check in self.checks if check.is_claimed)
        return max(claimed, key=order.index)

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 if nothing is false; strict: if everything is true; else 1."""
        if self.verdict is Word.FALSE:
            return 1
        return 1 if strict and self.verdict is not Word.TRUE else 0

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON."""
        checks = [
            {
                "name": check.name,
                "verdict": str(check.verdict),
                "reason": check.reason,
                "is_claimed": check.is_claimed,
            }
            for check in self.checks
        ]
        return {"verdict": str(self.verdict), "checks": checks}


def verify_file(path: Path) -> Report:
    """Verify a file.

    Raises:
        ProblemError: It cannot be read, or is neither a plan nor a row of one.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ProblemError("", f"cannot read {path}: {exc.strerror}") from exc
    return verify(data)


def verify(data: bytes) -> Report:
    """Verify the bytes of a file; see ``verify_file``."""
    if len(data) > MAX_BYTES:
        raise ProblemError("", f"is larger than {MAX_BYTES} bytes")
    try:
        document = parse_json(data.decode())
    except UnicodeDecodeError as exc:
        raise ProblemError("", "is not UTF-8") from exc
    if not isinstance(document, dict):
        raise ProblemError("", "must be an object")
    match document.get("format"):
        case str(found) if found == PLAN:
            return _plan(document)
        case str(found) if found == ROW:
            return _row(document)
        case _:
            raise ProblemError("format", f"must be {PLAN} or {ROW}")


def _plan(document: Mapping[str, object]) -> Report:
    top = Node(document).fields(
        required=("format", "problem", "certificate"),
        optional=("outcome", "plan", "why", "leaf", "head"),
    )
    problem = CabinetProblem.from_json(document["problem"])
    found = document["certificate"]
    if not isinstance(found, dict):
        raise top["certificate"].refuse("must be an object")
    size = f"{len(problem.sessions)} sessions, {problem.n_step} steps"
    checks = [_true("format", f"a plan: {size}"), *_certified(problem, found)]
    if "plan" in top or "outcome" in top:
        checks.append(_stated(problem, document, found, is_true=_is_true(checks)))
    expected = {
        "inputs_sha256": found.get("commitment"),
        "certificate_sha256": _sha256(canonical_json(found)),
    }
    return Report(checks=(*checks, *_in_log(top, expected)))


def _certified(
    problem: CabinetProblem, found: Mapping[str, object]
) -> tuple[Check, Check]:
    verdict = certificate.verify(problem, found)
    by_rule = verdict.method in {Method.EDF, Method.NONE}
    origin = "the rule" if by_rule else "the relaxed plan"
    held = f"every limit is kept, the currents follow from {origin}"
    if not verdict.holds:
        why = "; ".join(verdict.failures[:3])
        return (
            Check(name="certificate", verdict=Word.FALSE, reason=why),
            Check(name="optimality", verdict=Word.FALSE, reason="nothing is proven"),
        )
    if verdict.gap_micro is None:
        optimality = Check(
            name="optimality",
            verdict=Word.UNCHECKED,
            reason="a plan by a rule claims none",
            is_claimed=False,
        )
    else:
        gap = f"{verdict.gap_micro / 1e6:.6f} of the currency from the optimum"
        optimality = Check(
            name="optimality",
            verdict=Word.TRUE if verdict.is_optimal else Word.FALSE,
            reason=f"the relaxed plan is at most {gap}",
        )
    return _true("certificate", held), optimality


def _is_true(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Word.FALSE for check in checks)


def _stated(
    problem: CabinetProblem,
    document: Mapping[str, object],
    found: Mapping[str, object],
    *,
    is_true: bool,
) -> Check:
    """Compare what the file states of the plan with what the certificate proves.

    Its reasons and prices are words to explain it, not claims.
    """
    if not is_true:
        return _false("plan", "its certificate proves nothing")
    rows = found["currents_da"]
    assert isinstance(rows, list)  # the certificate holds
    currents = tuple(tuple(row) for row in rows)
    layout = Layout.of(problem)
    missing = list(shortfalls_wh(layout, currents))
    proven: dict[str, object] = {
        "session_ids": [session.session_id for session in problem.sessions],
        "currents_da": rows,
        "energy_wh": [
            layout.delivered_dj(index, row) // DJ_PER_WH
            for index, row in enumerate(currents)
        ],
        "shortfall_wh": missing,
    }
    if "battery_w" in found:
        batteries = [battery.battery_id for battery in problem.batteries]
        proven |= {"battery_ids": batteries, "battery_w": found["battery_w"]}
    plan = document.get("plan", proven)
    if not isinstance(plan, dict):
        raise ProblemError("plan", "must be an object")
    for name, value in proven.items():
        if plan.get(name) != value:
            return _false("plan", f"{name} are not those of the certificate")
    outcome = "relaxed" if any(missing) else "optimal"
    if found["method"] != Method.RELAXED:
        outcome = "fallback"
    if document.get("outcome", outcome) != outcome:
        return _false("plan", f"it is {outcome}")
    return _true("plan", f"{outcome}: currents and energies are the certificate's")


def _row(document: Mapping[str, object]) -> Report:
    top = Node(document).fields(
        required=(
            *("format", "algorithm", "commitment", "row", "count", "salt", "path"),
            *("start", "step_s", "n_step", "nominal_v", "session", "currents_da"),
        ),
        optional=("leaf", "head"),
    )
    n_step = top["n_step"].integer()
    if not 1 <= n_step <= MAX_STEP:
        raise top["n_step"].refuse(f"must be from 1 to {MAX_STEP}")
    session = EvSession.from_node(top["session"])
    session.normalise("session")
    currents = top["currents_da"].series_exactly(n_step)
    checks = [_true("format", f"the row of session {session.session_id}")]
    if top["algorithm"].text() != ALGORITHM:
        checks.append(_false("algorithm", f"is not {ALGORITHM}"))
    text = commitment.row_text(
        {name: document[name] for name in ("start", "step_s", "n_step", "nominal_v")},
        document["session"],
        currents,
    )
    is_committed = commitment.leads_to(
        commitment.leaf_hash(text, hash_of(top["salt"])),
        row=top["row"].integer(),
        count=top["count"].integer(),
        steps=path_of(top["path"]),
        root=hash_of(top["commitment"]),
    )
    checks.append(
        _true("commitment", "the plan is committed to this row")
        if is_committed
        else _false("commitment", "the plan is not committed to this row")
    )
    checks.append(_within(session, currents))
    expected = {"inputs_sha256": document["commitment"]}
    return Report(checks=(*checks, *_in_log(top, expected)))


def _within(session: EvSession, currents: tuple[int, ...]) -> Check:
    """Check the currents against the session's own bounds."""
    unit = round(session.step_a * 10)
    low, high = round(session.min_a * 10), round(session.max_a * 10)
    for step, current_da in enumerate(currents):
        if current_da == 0:
            continue
        if step >= session.departure_step:
            return _false("currents", f"step {step} is after departure")
        if not low <= current_da <= high or current_da % unit:
            return _false("currents", f"step {step}: {current_da} is not permitted")
    return _true("currents", "0 or a permitted current in every step of the stay")


def _in_log(
    top: Mapping[str, Node], expected: Mapping[str, object]
) -> tuple[Check, ...]:
    """Check that the log holds this plan, if the file says so."""
    if "leaf" not in top or top["leaf"].is_null():
        if "head" in top and not top["head"].is_null():
            raise top["head"].refuse("needs a leaf")
        return (
            Check(
                name="log",
                verdict=Word.UNCHECKED,
                reason="the file has no proof that the plan is in a log",
                is_claimed=False,
            ),
        )
    if "head" not in top:
        raise ProblemError("head", "is missing")
    proof = LeafProof.from_nodes(top["leaf"], top["head"])
    said = proof.says()
    name, _, version = ALGORITHM.partition("/")
    wanted = {"k": "plan", "algorithm_id": name, "algorithm_version": version}
    for member, value in (wanted | dict(expected)).items():
        if said.get(member) != value:
            return (_false("log", f"the record has another {member}"),)
    if not proof.is_included:
        return (_false("log", "the record is not in the log with this head"),)
    at = f"leaf {proof.index} of a log of {proof.size}"
    where = "no block" if proof.block is None else f"block {proof.block}"
    return (
        _true("log", f"the plan is {at}, made {said.get('made_at')}"),
        Check(
            name="head",
            verdict=Word.UNCHECKED,
            reason=f"said to stand in {where}: compare {proof.root.hex()}",
        ),
    )


def _true(name: str, reason: str) -> Check:
    return Check(name=name, verdict=Word.TRUE, reason=reason)


def _false(name: str, reason: str) -> Check:
    return Check(name=name, verdict=Word.FALSE, reason=reason)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
