"""Batteries in the relaxed problem, as integers: cells, what is stored, what is told.

A *cell* is one variable of a battery in a step, the microampere per phase that it
charges or discharges with. What it stores follows exactly, in nanojoule: charging
brings ``efficiency_permille`` of a thousandth, discharging takes all. Cells that
could not move are left out, so every interval that a solver sees is wider than zero.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from optimizer.grid import grid_da
from optimizer.layout import Layout, Row

NANOJOULE_PER_WH: Final = 3_600 * 10**9
KEEP_MICRO: Final = 20_000
"""Per kWh that is missing from the target, above what refilling can cost at most."""


class Cell(NamedTuple):
    """One variable: what a battery charges or discharges with in a step.

    Attributes:
        unit: Index of the battery.
        step: When.
        charges: Else it discharges.
        cap_ua: Upper bound, positive.
    """

    unit: int
    step: int
    charges: bool
    cap_ua: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Integer view of a battery.

    Attributes:
        volts: V over its phases: W per A.
        in_ua: Largest charging current.
        out_ua: Largest discharging current.
        low_nj: Least it may hold.
        high_nj: Most it may hold.
        start_nj: What it holds before step 0.
        target_nj: What it shall hold at the end.
        efficiency: Permille.
        wear: Millionths per kWh given back.
        refill: Millionths per kWh missing from the target.
        held_da: What is reserved for it in step 0.
        rows: (row index, coefficient) of every limit above it.
    """

    volts: int
    in_ua: int
    out_ua: int
    low_nj: int
    high_nj: int
    start_nj: int
    target_nj: int
    efficiency: int
    wear: int
    refill: int
    held_da: int
    rows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The batteries of a problem.

    Attributes:
        units: All of them.
        cells: By battery, then step, charging before discharging.
        moves: (battery, step) of every step with a cell: what is stored after it can
            be different from before.
        load_w: Shape (n_step,): what discharging may replace besides what cars draw;
            empty without cells.
    """

    units: tuple[Unit, ...] = ()
    cells: tuple[Cell, ...] = ()
    moves: tuple[tuple[int, int], ...] = ()
    load_w: tuple[int, ...] = ()

    @classmethod
    def of(cls, layout: Layout, driving: Collection[int]) -> Self:
        """Derive the cells of a layout.

        Args:
            layout: The problem in integers.
            driving: Steps in which a car may charge.
        """
        problem = layout.problem
        if not problem.batteries:
            return cls()
        units = tuple(_unit(layout, index) for index in range(len(problem.batteries)))
        load_w = tuple(int(w) for w in problem.load_w or ())
        useful = {step for step, watts in enumerate(load_w) if watts > 0}
        cells = tuple(
            cell
            for index, unit in enumerate(units)
            for cell in _cells(layout, index, unit, useful.union(driving))
        )
        return cls(
            units=units,
            cells=cells,
            moves=tuple(dict.fromkeys((cell.unit, cell.step) for cell in cells)),
            load_w=load_w if cells else (),
        )

    @property
    def ends(self) -> dict[int, int]:
        """Battery to its last place in ``moves``; those without a cell are missing."""
        return {unit: number for number, (unit, _) in enumerate(self.moves)}


def open_da(row: Row, step: int) -> int:
    """Return the head of a row for the relaxed plan."""
    return row.head_da[step] if step or row.open_da is None else row.open_da


def stored_nj(step_s: int, unit: Unit, in_ua: int, out_ua: int) -> int:
    """Return what a step adds to what a battery stores."""
    return unit.volts * step_s * (unit.efficiency * in_ua - 1000 * out_ua)


def walk(
    storage: Storage, step_s: int, cell_ua: Sequence[int]
) -> dict[tuple[int, int], int]:
    """Return what is stored after every move, nanojoule."""
    found: dict[tuple[int, int], int] = {}
    level = {index: unit.start_nj for index, unit in enumerate(storage.units)}
    for (unit, step, charges, _), value in zip(storage.cells, cell_ua, strict=True):
        flow = (value, 0) if charges else (0, value)
        level[unit] += stored_nj(step_s, storage.units[unit], *flow)
        found[unit, step] = level[unit]
    return found


def told_w(layout: Layout, storage: Storage, cell_ua: Sequence[int]) -> list[list[int]]:
    """Return what batteries are to be told, W per battery and step, charging positive.

    The relaxed plan in whole W, less where the limits leave less *now*: what another
    battery still holds is not free before it lets go of it. Battery by battery.
    """
    found = [[0] * layout.problem.n_step for _ in storage.units]
    net_ua: dict[tuple[int, int], int] = {}
    for (unit, step, charges, _), value in zip(storage.cells, cell_ua, strict=True):
        was = net_ua.get((unit, step), 0)
        net_ua[unit, step] = was + (value if charges else -value)
    left = [list(row.extra_da) for row in layout.rows]
    in_nj = 10**6 * layout.problem.step_s  # of 1 W over a step, times permille
    level = [unit.start_nj for unit in storage.units]
    for (index, step), net in net_ua.items():
        one = storage.units[index]
        watts = abs(net) * one.volts // 10**6
        if net > 0:
            held = one.held_da if step == 0 else 0
            room = min(left[row][step] // a for row, a in one.rows) + held
            free_w = (one.high_nj - level[index]) // (in_nj * one.efficiency)
            watts = min(watts, room * one.volts // 10, free_w)
            level[index] += watts * in_nj * one.efficiency
            for row, a in one.rows:
                left[row][step] -= a * max(0, drawn_da(one, watts) - held)
            found[index][step] = watts
        else:
            watts = min(watts, (level[index] - one.low_nj) // (in_nj * 1000))
            level[index] -= watts * in_nj * 1000
            found[index][step] = -watts
    return found


def drawn_da(unit: Unit, power_w: int) -> int:
    """Return what a power counts as on each phase, rounded up; 0 for discharging."""
    return max(0, -(-power_w * 10 // unit.volts))


def beside(layout: Layout, storage: Storage, told: Sequence[Sequence[int]]) -> Layout:
    """Return the layout with what batteries are told taken from the limits."""
    if not any(watts > 0 for row in told for watts in row):
        return layout
    rows = []
    for row in layout.rows:
        taken = [0] * layout.problem.n_step
        for index, a in row.stores:
            unit = storage.units[index]
            for step, watts in enumerate(told[index]):
                held = unit.held_da if step == 0 else 0
                taken[step] += a * max(0, drawn_da(unit, watts) - held)
        rows.append(
            replace(
                row,
                head_da=_less(row.head_da, taken),
                extra_da=_less(row.extra_da, taken),
            )
            if any(taken)
            else row
        )
    return replace(layout, rows=tuple(rows))


def _less(room: Sequence[int], taken: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(0, one - other) for one, other in zip(room, taken, strict=True))


def _unit(layout: Layout, index: int) -> Unit:
    problem, battery = layout.problem, layout.problem.batteries[index]
    volts = problem.nominal_v * len(battery.phases)
    dearest = max(problem.import_price_micro_per_kwh or (0,))
    efficiency, wear = battery.efficiency_permille, battery.wear_micro_per_kwh
    return Unit(
        volts=volts,
        in_ua=battery.max_charge_w * 10**6 // volts,
        out_ua=battery.max_discharge_w * 10**6 // volts,
        low_nj=min(battery.reserve_wh, battery.energy_wh) * NANOJOULE_PER_WH,
        high_nj=battery.capacity_wh * NANOJOULE_PER_WH,
        start_nj=battery.energy_wh * NANOJOULE_PER_WH,
        target_nj=battery.target_wh * NANOJOULE_PER_WH,
        efficiency=efficiency,
        wear=wear,
        refill=max(0, dearest) * 1000 // efficiency + wear + KEEP_MICRO,
        held_da=grid_da(battery.held_a),
        rows=tuple(
            (number, a)
            for number, row in enumerate(layout.rows)
            for member, a in row.stores
            if member == index
        ),
    )


def _cells(
    layout: Layout, index: int, unit: Unit, useful: Collection[int]
) -> list[Cell]:
    """Return the cells of a battery: with room to charge, with a use to discharge.

    One that is empty cannot discharge before it could charge, and a full one cannot
    charge before it could discharge.
    """
    found: list[Cell] = []
    if unit.low_nj >= unit.high_nj:
        return found
    is_empty, is_full = unit.start_nj == unit.low_nj, unit.start_nj == unit.high_nj
    floors = {
        number: sum(a * layout.floor_da[i] for i, a in layout.rows[number].members)
        for number, _ in unit.rows
    }
    for step in range(layout.problem.n_step):
        has_room = all(
            open_da(layout.rows[number], step) > floors[number]
            for number, _ in unit.rows
        )
        charges = unit.in_ua > 0 and has_room and not is_full
        discharges = unit.out_ua > 0 and step in useful and not is_empty
        if charges:
            found.append(Cell(index, step, charges=True, cap_ua=unit.in_ua))
        if discharges:
            found.append(Cell(index, step, charges=False, cap_ua=unit.out_ua))
        is_empty = is_empty and not charges
        is_full = is_full and not discharges
    return found
