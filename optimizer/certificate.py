"""Proof that a plan is safe and good, checkable with the standard library alone.

A certificate holds integers only: the relaxed currents, the prices that bound their
cost from below, and the currents that are sent. ``verify`` needs no solver: it checks
the currents against every limit exactly, the cost of the relaxed plan against the
bound that *any* prices give, and that the currents follow from the relaxed plan.
It does not prove that the problem's inputs were true.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from optimizer import repair
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

FORMAT: Final = "wattproof-certificate/1"

_FIELDS: Final = (
    "format",
    "algorithm",
    "problem_digest",
    "current_ua",
    "energy_nano",
    "limit_nano",
    "sun_nano",
    "currents_da",
    "cost_micro",
    "bound_micro",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a certificate proves.

    Attributes:
        failures: Everything that is wrong, in words; empty if all holds.
        gap_micro: Proven distance of the relaxed plan to the optimum, millionths of
            the currency, rounded up; None if it could not be computed.
    """

    failures: tuple[str, ...]
    gap_micro: int | None

    @property
    def holds(self) -> bool:
        """Tell whether nothing is wrong. How large a gap is fine, the caller says."""
        return not self.failures


def make(
    relaxed: RelaxedProblem, proven: Proven, currents: Currents
) -> dict[str, object]:
    """Build the certificate of a relaxed plan and the currents made from it."""
    dual = proven.dual
    return {
        "format": FORMAT,
        "algorithm": ALGORITHM,
        "problem_digest": relaxed.layout.problem.digest(),
        "current_ua": list(proven.current_ua),
        "energy_nano": list(dual.energy),
        "limit_nano": list(dual.limit),
        "sun_nano": list(dual.sun),
        "currents_da": [list(row) for row in currents],
        "cost_micro": _up(proven.cost),
        "bound_micro": proven.bound // UNIT_PER_MICRO,
    }


def verify(problem: CabinetProblem, certificate: Mapping[str, object]) -> Verdict:
    """Check a certificate against a problem; never raises for a bad one."""
    try:
        return _verify(problem, certificate)
    except ProblemError as exc:
        return Verdict(failures=(f"certificate {exc}",), gap_micro=None)


def _verify(problem: CabinetProblem, certificate: Mapping[str, object]) -> Verdict:
    found = Node(certificate).fields(required=_FIELDS)
    for name, expected in (
        ("format", FORMAT),
        ("algorithm", ALGORITHM),
        ("problem_digest", problem.digest()),
    ):
        if found[name].text() != expected:
            raise found[name].refuse(f"is not {expected}")
    layout = Layout.of(problem)
    relaxed = RelaxedProblem.of(layout)
    current_ua = found["current_ua"].series_exactly(len(relaxed.columns))
    dual = Dual(
        energy=found["energy_nano"].series_exactly(len(problem.sessions)),
        limit=found["limit_nano"].series_exactly(len(relaxed.bounds)),
        sun=found["sun_nano"].series_exactly(len(relaxed.sunny)),
    )
    rows = found["currents_da"].items()
    if len(rows) != len(problem.sessions):
        raise found["currents_da"].refuse(f"must hold {len(problem.sessions)} rows")
    currents = tuple(row.series_exactly(problem.n_step) for row in rows)

    failures = unsafe(layout, currents)
    broken = infeasibility(relaxed, current_ua)
    if broken is not None:
        failures.append(f"relaxed plan: {broken}")
    if min((*dual.limit, *dual.sun), default=0) < 0:
        failures.append("a price of a limit is negative")
    if failures:
        return Verdict(failures=tuple(failures), gap_micro=None)
    if repair.to_permitted(relaxed, current_ua) != currents:
        failures.append("the currents do not follow from the relaxed plan")
    proven = Proven.of(relaxed, current_ua, dual)
    for name, value in (
        ("cost_micro", _up(proven.cost)),
        ("bound_micro", proven.bound // UNIT_PER_MICRO),
    ):
        if found[name].integer() != value:
            failures.append(f"{name} is {value}")
    return Verdict(failures=tuple(failures), gap_micro=_up(proven.cost - proven.bound))


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
