"""Proof that a plan is safe and good, checkable with the standard library alone.

A certificate holds integers only: the relaxed currents, the prices that bound their
cost from below, and the currents that are sent. ``verify`` needs no solver: it checks
the currents against every limit exactly, the cost of the relaxed plan against the
bound that *any* prices give, and that the currents follow from the relaxed plan; of a
fallback, that its rule gives these currents. A salted commitment binds the problem.
It does not prove that the problem's inputs were true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from optimizer import commitment, repair, rules, storage
from optimizer.bound import (
    UNIT_PER_MICRO,
    Dual,
    Proven,
    infeasibility,
)
from optimizer.document import Node, ProblemError
from optimizer.layout import Currents, Layout, Room
from optimizer.outcome import ALGORITHM
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem

FORMAT: Final = "wattproof-certificate/3"

_COMMON: Final = ("format", "algorithm", "method", "salt", "commitment", "currents_da")
_RELAXED: Final = (
    "current_ua",
    "energy_nano",
    "limit_nano",
    "sun_nano",
    "cost_micro",
    "bound_micro",
)
_BATTERIES: Final = ("stored_nano", "battery_w")
_SALT_CHARS: Final = 2 * commitment.SALT_BYTES


class Method(StrEnum):
    """How the currents of a plan came about.

    ``RELAXED``: rounded from a relaxed plan that is proven optimal; ``EDF``: by the
    rule of a fallback; ``NONE``: nothing for anybody.
    """

    RELAXED = "relaxed"
    EDF = "edf"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a certificate proves.

    Attributes:
        failures: Everything that is wrong, in words; empty if all holds.
        gap_micro: Proven distance of the relaxed plan to the optimum, millionths of
            the currency, rounded up; None if it could not be computed, and for a
            plan by a rule, which claims none.
        is_optimal: The gap is as small as that of every plan that is accepted.
        method: How the plan came about; None if that is unreadable.
    """

    failures: tuple[str, ...]
    gap_micro: int | None
    is_optimal: bool = False
    method: Method | None = None

    @property
    def holds(self) -> bool:
        """Tell whether nothing is wrong, whatever the gap."""
        return not self.failures


def make(
    relaxed: RelaxedProblem,
    proven: Proven,
    currents: Currents,
    *,
    battery_w: Sequence[Sequence[int]] = (),
    salt: bytes,
) -> dict[str, object]:
    """Build the certificate of a relaxed plan and the currents made from it.

    Args:
        relaxed: What was solved.
        proven: The relaxed plan.
        currents: What became of it.
        battery_w: What batteries are told; a problem without any has no row.
        salt: ``commitment.SALT_BYTES`` random bytes.
    """
    dual = proven.dual
    found = _common(relaxed.layout.problem, Method.RELAXED, currents, salt) | {
        "current_ua": list(proven.current_ua),
        "energy_nano": list(dual.energy),
        "limit_nano": list(dual.limit),
        "sun_nano": list(dual.sun),
        "cost_micro": _up(proven.cost),
        "bound_micro": proven.bound // UNIT_PER_MICRO,
    }
    if relaxed.layout.problem.batteries:
        found["stored_nano"] = list(dual.stored)
        found["battery_w"] = [list(row) for row in battery_w]
    return found


def make_by_rule(
    problem: CabinetProblem,
    method: Literal[Method.EDF, Method.NONE],
    currents: Currents,
    *,
    salt: bytes,
) -> dict[str, object]:
    """Build the certificate of a fallback: anyone can apply the rule again."""
    return _common(problem, method, currents, salt)


def verify(problem: CabinetProblem, certificate: Mapping[str, object]) -> Verdict:
    """Check a certificate against a problem; never raises for a bad one."""
    try:
        return _verify(problem, certificate)
    except ProblemError as exc:
        return Verdict(failures=(f"certificate {exc}",), gap_micro=None)


def _verify(problem: CabinetProblem, certificate: Mapping[str, object]) -> Verdict:
    found = Node(certificate).fields(
        required=_COMMON, optional=(*_RELAXED, *_BATTERIES)
    )
    for name, expected in (("format", FORMAT), ("algorithm", ALGORITHM)):
        if found[name].text() != expected:
            given = found[name].text()
            raise found[name].refuse(f"is {given[:40]!r}, not {expected}")
    method = _method(found["method"])
    wanted: tuple[str, ...] = _RELAXED if method is Method.RELAXED else ()
    if wanted and problem.batteries:
        wanted = (*wanted, *_BATTERIES)
    found = Node(certificate).fields(required=(*_COMMON, *wanted))
    rows = found["currents_da"].items()
    if len(rows) != len(problem.sessions):
        raise found["currents_da"].refuse(f"must hold {len(problem.sessions)} rows")
    currents = tuple(row.series_exactly(problem.n_step) for row in rows)

    layout = Layout.of(problem)
    failures = unsafe(layout, currents)
    root = commitment.root(problem, currents, _salt(found["salt"]))
    if found["commitment"].text() != root.hex():
        failures.append("commitment is not to this problem and these currents")
    if method is not Method.RELAXED:
        by_rule = (
            _nothing(problem) if method is Method.NONE else rules.edf_packed(layout)
        )
        if by_rule != currents:
            failures.append("the currents do not follow from the rule")
        return Verdict(failures=tuple(failures), gap_micro=None, method=method)
    return _verify_relaxed(RelaxedProblem.of(layout), found, currents, failures)


def _verify_relaxed(
    relaxed: RelaxedProblem,
    found: Mapping[str, Node],
    currents: Currents,
    failures: list[str],
) -> Verdict:
    units = relaxed.storage
    n_value = len(relaxed.columns) + len(units.cells)
    current_ua = found["current_ua"].series_exactly(n_value)
    dual = Dual(
        energy=found["energy_nano"].series_exactly(len(currents)),
        limit=found["limit_nano"].series_exactly(len(relaxed.bounds)),
        sun=found["sun_nano"].series_exactly(len(relaxed.shared)),
        stored=(
            found["stored_nano"].series_exactly(len(units.moves))
            if "stored_nano" in found
            else ()
        ),
    )
    battery_w = _powers(relaxed.layout.problem, found)
    broken = infeasibility(relaxed, current_ua)
    if broken is not None:
        failures.append(f"relaxed plan: {broken}")
    if min((*dual.limit, *dual.sun), default=0) < 0:
        failures.append("a price of a limit is negative")
    if failures:
        return Verdict(failures=tuple(failures), gap_micro=None, method=Method.RELAXED)
    told = storage.told_w(relaxed.layout, units, current_ua[len(relaxed.columns) :])
    if told != battery_w:
        failures.append("the powers of batteries do not follow from the relaxed plan")
    room = storage.beside(relaxed.layout, units, told)
    if room is not relaxed.layout:
        failures += unsafe(room, currents)
    if repair.to_permitted(relaxed, current_ua, beside=room) != currents:
        failures.append("the currents do not follow from the relaxed plan")
    proven = Proven.of(relaxed, current_ua, dual)
    for name, value in (
        ("cost_micro", _up(proven.cost)),
        ("bound_micro", proven.bound // UNIT_PER_MICRO),
    ):
        if found[name].integer() != value:
            failures.append(f"{name} is {value}")
    return Verdict(
        failures=tuple(failures),
        gap_micro=_up(proven.cost - proven.bound),
        is_optimal=proven.is_optimal,
        method=Method.RELAXED,
    )


def unsafe(layout: Layout, currents: Currents) -> list[str]:
    """Name every current that is not permitted or does not fit, exactly."""
    failures: list[str] = []
    names = [session.session_id for session in layout.problem.sessions]
    for step in range(layout.problem.n_step):
        room = Room(layout, step)
        for index, row in enumerate(currents):
            current_da = row[step]
            if current_da == 0:
                continue
            if step >= layout.stay[index]:
                failures.append(f"session {names[index]} step {step}: after departure")
            if layout.permitted_da(index, current_da) != current_da:
                failures.append(f"session {names[index]} step {step}: not permitted")
            elif room.largest_da(index, current_da) != current_da:
                failures.append(f"session {names[index]} step {step}: above a limit")
            room.take(index, max(0, current_da))
    return failures


def _up(units: int) -> int:
    return -(-units // UNIT_PER_MICRO)


def _common(
    problem: CabinetProblem, method: Method, currents: Currents, salt: bytes
) -> dict[str, object]:
    return {
        "format": FORMAT,
        "algorithm": ALGORITHM,
        "method": str(method),
        "salt": salt.hex(),
        "commitment": commitment.root(problem, currents, salt).hex(),
        "currents_da": [list(row) for row in currents],
    }


def _method(node: Node) -> Method:
    try:
        return Method(node.text())
    except ValueError as exc:
        raise node.refuse(f"must be one of {', '.join(Method)}") from exc


def _salt(node: Node) -> bytes:
    text = node.text()
    if len(text) != _SALT_CHARS or set(text) - set("0123456789abcdef"):
        raise node.refuse(f"must be {_SALT_CHARS} lower-case hex digits")
    return bytes.fromhex(text)


def _powers(problem: CabinetProblem, found: Mapping[str, Node]) -> list[list[int]]:
    """Return what batteries are told, W; without batteries there is no such member."""
    if "battery_w" not in found:
        return []
    rows = found["battery_w"].items()
    if len(rows) != len(problem.batteries):
        raise found["battery_w"].refuse(f"must hold {len(problem.batteries)} rows")
    return [list(row.series_exactly(problem.n_step)) for row in rows]


def _nothing(problem: CabinetProblem) -> Currents:
    return tuple((0,) * problem.n_step for _ in problem.sessions)
