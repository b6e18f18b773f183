"""Exact value of a relaxed plan and an exact lower bound from any dual prices.

The cost of every plan is at least ``dual_value`` of *any* prices (weak duality), so a
wrong or dishonest solver cannot make a bad plan look good. All arithmetic is on
integers. Costs are in units of 1/18e15 of a millionth (``UNIT_PER_MICRO``): with
currents in microampere and prices in 1e-9 every coefficient is then whole.

The model, for currents x, unmet energy s and used PV g, all bounded::

    min  use*kWh(x) + shortage*s + fairness*s^2/need - saving*kWh(g) + tiny(x)
    s = need - kWh(x) >= 0,   sum a*x <= cap,   0 <= g <= pv,   g <= kW(x)

s and g follow from x. The Lagrangian falls apart into one parabola per variable over
its box, and each minimum is known in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from optimizer.goal import CURVATURE_MICRO, STEADY_MICRO
from optimizer.relaxed import RelaxedProblem

MICROAMP_PER_DA: Final = 100_000
UNIT_PER_MICRO: Final = 18 * 10**15

GAP_MICRO: Final = 1_000
"""Accepted distance to the proven optimum: a thousandth of the currency ..."""

GAP_SHARE: Final = 100_000
"""... or this part of the cost, whichever is larger."""

_USE: Final = 5_000
"""Units per (micro/kWh) * V * s * microampere."""

_NANO: Final = 5
"""The same per nano/kWh."""

_CURVE: Final = 18 * CURVATURE_MICRO
"""Units per V * microampere^2."""

_STEADY: Final = 18_000 * STEADY_MICRO
"""Units per microampere^2."""

_LIMIT: Final = 18_000_000
"""Units per (nano per A and step) * microampere."""

_MICROJOULE_PER_WH: Final = 3_600 * 10**6
_MIN_NEED_WH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dual:
    """Prices that prove optimality, integers in 1e-9 of the currency.

    Attributes:
        energy: Shape (n_session,): per kWh, what more need would cost.
        limit: Shape (n_bound,): per A and step, >= 0.
        sun: Shape (n_sunny,): per kWh, what more surplus in cars would save, >= 0.
    """

    energy: tuple[int, ...]
    limit: tuple[int, ...]
    sun: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A relaxed plan with what it costs and what every plan costs at least.

    Attributes:
        current_ua: Shape (n_column,), microampere, exactly feasible.
        dual: Prices that prove the bound.
        cost: Exact cost of the currents, units of ``UNIT_PER_MICRO``.
        bound: Lower bound on the cost of every plan, the same units.
    """

    current_ua: tuple[int, ...]
    dual: Dual
    cost: int
    bound: int

    @classmethod
    def of(cls, relaxed: RelaxedProblem, current_ua: Sequence[int], dual: Dual) -> Self:
        """Compute both values; ``current_ua`` must be feasible."""
        return cls(
            current_ua=tuple(current_ua),
            dual=dual,
            cost=primal_value(relaxed, current_ua),
            bound=dual_value(relaxed, dual),
        )

    @property
    def is_optimal(self) -> bool:
        """Tell whether the proven distance to the optimum is small enough."""
        slack = max(GAP_MICRO * UNIT_PER_MICRO, abs(self.cost) // GAP_SHARE)
        return self.cost - self.bound <= slack


def unmet_uj(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> list[int]:
    """Return the unmet energy per session, microjoule; negative if over-served."""
    layout = relaxed.layout
    rest = [need * MICROAMP_PER_DA for need in layout.need_dj]
    for (session, _, _, _, _), value in zip(relaxed.columns, current_ua, strict=True):
        rest[session] -= layout.dj_per_da[session] * value
    return rest


def infeasibility(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> str | None:
    """Name the first constraint a relaxed plan breaks; None if it keeps them all."""
    for column, value in zip(relaxed.columns, current_ua, strict=True):
        if not 0 <= value <= column.cap_da * MICROAMP_PER_DA:
            return f"session {column.session} step {column.step}: current out of range"
    for bound in relaxed.bounds:
        total = sum(a * current_ua[column] for column, a in bound.members)
        if total > bound.cap_da * MICROAMP_PER_DA:
            name = relaxed.layout.rows[bound.row].name
            return f"{name} step {bound.step}: above the limit"
    for session, rest in enumerate(unmet_uj(relaxed, current_ua)):
        if rest < 0:
            return f"session {session}: more energy than needed"
    return None


def shave(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> list[int]:
    """Take off what rounding and solver tolerance put above any constraint."""
    found = [
        min(max(value, 0), column.cap_da * MICROAMP_PER_DA)
        for column, value in zip(relaxed.columns, current_ua, strict=True)
    ]
    for bound in relaxed.bounds:
        over = sum([a * found[column] for column, a in bound.members])
        over -= bound.cap_da * MICROAMP_PER_DA
        if over <= 0:
            continue
        for column, a in bound.members:
            if over <= 0:
                break
            cut = min(found[column], -(-over // a))
            found[column] -= cut
            over -= a * cut
    rest = unmet_uj(relaxed, found)
    for index in range(len(found) - 1, -1, -1):
        session = relaxed.columns[index].session
        if rest[session] < 0 < found[index]:
            per_ua = relaxed.layout.dj_per_da[session]
            cut = min(found[index], -(rest[session] // per_ua))
            found[index] -= cut
            rest[session] += per_ua * cut
    return found


def primal_value(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> int:
    """Return the exact cost of a feasible relaxed plan, rounded up to a unit."""
    layout, prices = relaxed.layout, relaxed.prices
    problem = layout.problem
    total = 0
    drawn_uw = [0] * problem.n_step
    for (session, step, _, _, present_da), value in zip(
        relaxed.columns, current_ua, strict=True
    ):
        if present_da is not None:
            moved = value - present_da * MICROAMP_PER_DA
            total += _STEADY * moved * moved
        if value == 0:
            continue
        watt_s = layout.dj_per_da[session]
        volts = watt_s // problem.step_s
        total += prices.use[session][step] * watt_s * value * _USE
        total += _CURVE * volts * value * value
        drawn_uw[step] += volts * value
    for session, rest in enumerate(unmet_uj(relaxed, current_ua)):
        total += prices.shortage[session] * rest * _USE
        over, under = _fairness(relaxed, session)
        total -= -over * rest * rest // under
    pv_w = problem.pv_w or ()
    for step in relaxed.sunny:
        used_uw = min(drawn_uw[step], int(pv_w[step]) * 10**6)
        total -= prices.saving[step] * problem.step_s * used_uw * _USE
    return total


def dual_value(relaxed: RelaxedProblem, dual: Dual) -> int:
    """Return a lower bound on the cost of every plan, rounded down to a unit.

    Valid for any ``dual`` whose ``limit`` and ``sun`` are not negative.
    """
    layout, prices = relaxed.layout, relaxed.prices
    problem = layout.problem
    pv_w = problem.pv_w or ()
    sun = dict(zip(relaxed.sunny, dual.sun, strict=True))
    slope = [
        (1000 * prices.use[session][step] - dual.energy[session] - sun.get(step, 0))
        * layout.dj_per_da[session]
        * _NANO
        for session, step, _, _, _ in relaxed.columns
    ]
    total = 0
    for bound, price in zip(relaxed.bounds, dual.limit, strict=True):
        if price == 0:
            continue
        units = price * _LIMIT
        total -= units * bound.cap_da * MICROAMP_PER_DA
        for member, a in bound.members:
            slope[member] += a * units
    squares = [_CURVE * (dj // problem.step_s) for dj in layout.dj_per_da]
    for (session, _, _, cap_da, present_da), linear in zip(
        relaxed.columns, slope, strict=True
    ):
        square, cap = squares[session], cap_da * MICROAMP_PER_DA
        if present_da is None:
            if linear < 0:
                total += _least(square, linear, cap)
        else:
            present = present_da * MICROAMP_PER_DA
            total += _STEADY * present * present
            total += _least(square + _STEADY, linear - 2 * _STEADY * present, cap)
    for session, need_dj in enumerate(layout.need_dj):
        need, energy = need_dj * MICROAMP_PER_DA, dual.energy[session]
        total += energy * need * _NANO
        linear = (1000 * prices.shortage[session] - energy) * _NANO
        over, under = _fairness(relaxed, session)
        total += _least(over, linear * under, need) // under
    for step, price in sun.items():
        linear = (price - 1000 * prices.saving[step]) * problem.step_s * _NANO
        total += min(0, linear * int(pv_w[step]) * 10**6)
    return total


def _least(square: int, linear: int, cap: int) -> int:
    """Return the minimum of ``square*x^2 + linear*x`` over [0, cap], rounded down."""
    if linear >= 0:
        return 0
    if -linear >= 2 * square * cap:
        return (square * cap + linear) * cap
    return -(linear * linear // (4 * square)) - 1


def _fairness(relaxed: RelaxedProblem, session: int) -> tuple[int, int]:
    """Return units per microjoule^2 of unmet energy as numerator, denominator.

    fairness/need per kWh is ``fairness * 1000 / need_wh`` micro; a kWh is 3.6e12 uJ.
    """
    need_wh = relaxed.layout.need_dj[session] * MICROAMP_PER_DA // _MICROJOULE_PER_WH
    return relaxed.prices.fairness, 720_000 * max(need_wh, _MIN_NEED_WH)
