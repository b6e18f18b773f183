"""Exact value of a relaxed plan and an exact lower bound from any dual prices.

The cost of every plan is at least ``dual_value`` of *any* prices (weak duality), so a
wrong or dishonest solver cannot make a bad plan look good. All arithmetic is on
integers. Costs are in units of 1/18e15 of a millionth (``UNIT_PER_MICRO``): with
currents in microampere and prices in 1e-9 every coefficient is then whole.

The model, for currents x, unmet energy s and used PV g, all bounded::

    min  use*kWh(x) + shortage*s + fairness*s^2/need - saving*kWh(g) + tiny(x)
    s = need - kWh(x) >= 0,   sum a*x <= cap,   0 <= g <= pv,   g <= kW(x)

and with batteries, for what they charge (c), discharge (d), store (e) and miss (z)::

    ... + import*kWh(c) + (wear - import)*kWh(d) + refill*z + tiny(c) + tiny(d)
    e = e_before + efficiency*kWh(c) - kWh(d) in [low, high],   z = target - e >= 0
    g + kW(d) <= kW(x) + kW(c) + load

s, g, e and z follow from x, c and d. The Lagrangian falls apart into one parabola per
variable over its box, and each minimum is known in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from optimizer import cell_bound
from optimizer.cost_units import CURVE, NANO, STEADY, USE, least
from optimizer.layout import MICROAMP_PER_DA
from optimizer.relaxed import RelaxedProblem

UNIT_PER_MICRO: Final = 18 * 10**15

GAP_MICRO: Final = 1_000
"""Accepted distance to the proven optimum: a thousandth of the currency ..."""

GAP_SHARE: Final = 100_000
"""... or this part of the cost, whichever is larger."""

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
        sun: Shape (n_shared,): per kWh, what more use of what is given here would
            save, >= 0.
        stored: Shape (n_move,): per kWh, what it is worth to have stored more.
    """

    energy: tuple[int, ...]
    limit: tuple[int, ...]
    sun: tuple[int, ...]
    stored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A relaxed plan with what it costs and what every plan costs at least.

    Attributes:
        current_ua: Shape (n_column + n_cell,), microampere, exactly feasible.
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
    for (session, _, _, _, _), value in zip(relaxed.columns, current_ua, strict=False):
        rest[session] -= layout.dj_per_da[session] * value
    return rest


def infeasibility(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> str | None:
    """Name the first constraint a relaxed plan breaks; None if it keeps them all."""
    for column, value in zip(relaxed.columns, current_ua, strict=False):
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
    return cell_bound.overdrawn(relaxed, current_ua) if relaxed.storage.cells else None


def shave(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> list[int]:
    """Take off what rounding and solver tolerance put above any constraint."""
    n_column, storage = len(relaxed.columns), relaxed.storage
    found = [
        min(max(value, 0), column.cap_da * MICROAMP_PER_DA)
        for column, value in zip(relaxed.columns, current_ua, strict=False)
    ]
    if storage.cells:
        cell_ua = current_ua[n_column:]
        found += [
            min(max(value, 0), cell.cap_ua)
            for cell, value in zip(storage.cells, cell_ua, strict=True)
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
    for index in range(n_column - 1, -1, -1):
        session = relaxed.columns[index].session
        if rest[session] < 0 < found[index]:
            per_ua = relaxed.layout.dj_per_da[session]
            cut = min(found[index], -(rest[session] // per_ua))
            found[index] -= cut
            rest[session] += per_ua * cut
    if storage.cells:
        cell_bound.shave_cells(relaxed, found)
    return found


def primal_value(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> int:
    """Return the exact cost of a feasible relaxed plan, rounded up to a unit."""
    layout, prices = relaxed.layout, relaxed.prices
    problem = layout.problem
    total = 0
    drawn_uw = [0] * problem.n_step
    for (session, step, _, _, present_da), value in zip(
        relaxed.columns, current_ua, strict=False
    ):
        if present_da is not None:
            moved = value - present_da * MICROAMP_PER_DA
            total += STEADY * moved * moved
        if value == 0:
            continue
        watt_s = layout.dj_per_da[session]
        volts = watt_s // problem.step_s
        total += prices.use[session][step] * watt_s * value * USE
        total += CURVE * volts * value * value
        drawn_uw[step] += volts * value
    for session, rest in enumerate(unmet_uj(relaxed, current_ua)):
        total += prices.shortage[session] * rest * USE
        over, under = _fairness(relaxed, session)
        total -= -over * rest * rest // under
    if relaxed.storage.cells:
        drawn_uw = cell_bound.left_uw(relaxed, current_ua)
        cell_ua = current_ua[len(relaxed.columns) :]
        total += cell_bound.stored_value(relaxed, cell_ua)
    pv_w = problem.pv_w or ()
    for step in relaxed.sunny:
        used_uw = min(drawn_uw[step], int(pv_w[step]) * 10**6)
        total -= prices.saving[step] * problem.step_s * used_uw * USE
    return total


def dual_value(relaxed: RelaxedProblem, dual: Dual) -> int:
    """Return a lower bound on the cost of every plan, rounded down to a unit.

    Valid for any ``dual`` whose ``limit`` and ``sun`` are not negative.
    """
    storage = relaxed.storage
    layout, prices = relaxed.layout, relaxed.prices
    problem = layout.problem
    pv_w = problem.pv_w or ()
    sun = dict(zip(relaxed.shared, dual.sun, strict=True))
    slope = [
        (1000 * prices.use[session][step] - dual.energy[session] - sun.get(step, 0))
        * layout.dj_per_da[session]
        * NANO
        for session, step, _, _, _ in relaxed.columns
    ]
    total = 0
    if storage.cells:
        slope += cell_bound.cell_slopes(relaxed, dual.stored, sun)
    for bound, price in zip(relaxed.bounds, dual.limit, strict=True):
        if price == 0:
            continue
        units = price * _LIMIT
        total -= units * bound.cap_da * MICROAMP_PER_DA
        for member, a in bound.members:
            slope[member] += a * units
    total += _least_of_columns(relaxed, slope)
    for session, need_dj in enumerate(layout.need_dj):
        need, energy = need_dj * MICROAMP_PER_DA, dual.energy[session]
        total += energy * need * NANO
        linear = (1000 * prices.shortage[session] - energy) * NANO
        over, under = _fairness(relaxed, session)
        total += least(over, linear * under, need) // under
    if storage.cells:
        cell_slopes = slope[len(relaxed.columns) :]
        total += cell_bound.least_cost(relaxed, cell_slopes, dual.stored, sun)
    for step in relaxed.sunny:
        price = sun[step]
        linear = (price - 1000 * prices.saving[step]) * problem.step_s * NANO
        total += min(0, linear * int(pv_w[step]) * 10**6)
    return total


def _least_of_columns(relaxed: RelaxedProblem, slope: Sequence[int]) -> int:
    """Return the minimum over the currents of cars."""
    layout, total = relaxed.layout, 0
    squares = [CURVE * (dj // layout.problem.step_s) for dj in layout.dj_per_da]
    for (session, _, _, cap_da, present_da), linear in zip(
        relaxed.columns, slope, strict=False
    ):
        square, cap = squares[session], cap_da * MICROAMP_PER_DA
        if present_da is None:
            if linear < 0:
                total += least(square, linear, cap)
        else:
            present = present_da * MICROAMP_PER_DA
            total += STEADY * present * present
            total += least(square + STEADY, linear - 2 * STEADY * present, cap)
    return total


def _fairness(relaxed: RelaxedProblem, session: int) -> tuple[int, int]:
    """Return units per microjoule^2 of unmet energy as numerator, denominator.

    fairness/need per kWh is ``fairness * 1000 / need_wh`` micro; a kWh is 3.6e12 uJ.
    """
    need_wh = relaxed.layout.need_dj[session] * MICROAMP_PER_DA // _MICROJOULE_PER_WH
    return relaxed.prices.fairness, 720_000 * max(need_wh, _MIN_NEED_WH)
