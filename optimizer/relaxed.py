"""The relaxed problem: any current from zero up, as columns and rows in integers.

One column per session, step of its stay and band: ``WITHIN`` the floor of its EVSE
(already counted on every limit) or ``ABOVE`` it. After them one cell per battery, step
and direction, see ``optimizer.storage``. Columns and rows that cannot matter are left
out. The model states them to the solver, the certificate proves on them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from optimizer.goal import Prices, prices
from optimizer.layout import MICROAMP_PER_DA, Layout
from optimizer.storage import Storage, open_da


class Band(StrEnum):
    """Which part of a current a column is."""

    WITHIN = "within"
    ABOVE = "above"


class Column(NamedTuple):
    """One variable: A per phase of a session in a step.

    A tuple, because there are thousands: it takes a quarter of the time to make.

    Attributes:
        session: Index of the session.
        step: When.
        band: Within or above the floor.
        cap_da: Upper bound, positive.
        present_da: Part of the confirmed limit in this band (step 0 only), else None.
    """

    session: int
    step: int
    band: Band
    cap_da: int
    present_da: int | None


class Bound(NamedTuple):
    """One inequality: sum of coefficient times column <= cap.

    Attributes:
        row: Index into ``layout.rows``.
        step: When.
        members: (column index, coefficient); a cell's index follows the columns.
        cap_da: Right-hand side, 0.1 A.
    """

    row: int
    step: int
    members: tuple[tuple[int, int], ...]
    cap_da: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxedProblem:
    """Columns, bounds and prices of a layout.

    Attributes:
        layout: Where they come from.
        prices: What is weighed.
        columns: Every variable current.
        bounds: Every limit that can bind.
        sunny: Steps with PV surplus whose use saves money, and with a column.
        storage: Batteries and their cells.
        shared: Steps in which PV surplus or batteries replace energy that is bought:
            together no more than is drawn.
    """

    layout: Layout
    prices: Prices
    columns: tuple[Column, ...]
    bounds: tuple[Bound, ...]
    sunny: tuple[int, ...]
    storage: Storage
    shared: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Build the relaxed problem of a layout."""
        columns = _columns(layout)
        found = prices(layout)
        pv_w = layout.problem.pv_w or ()
        used = {column.step for column in columns}
        storage = Storage.of(layout, used)
        used.update(cell.step for cell in storage.cells if cell.charges)
        sunny = tuple(
            step
            for step, saving in enumerate(found.saving)
            if saving > 0 and pv_w[step] > 0 and step in used
        )
        given = {cell.step for cell in storage.cells if not cell.charges}
        return cls(
            layout=layout,
            prices=found,
            columns=columns,
            bounds=_bounds(layout, columns, storage),
            sunny=sunny,
            storage=storage,
            shared=tuple(sorted(given.union(sunny))) if given else sunny,
        )

    @property
    def has_choice(self) -> bool:
        """Tell whether there is anything to decide."""
        return bool(self.columns or self.storage.cells)


def _columns(layout: Layout) -> tuple[Column, ...]:
    found: list[Column] = []
    full = []
    for row in layout.rows:
        found_full = {step for step, extra in enumerate(row.extra_da) if extra == 0}
        if 0 in found_full and row.open_da:
            floors = sum(a * layout.floor_da[index] for index, a in row.members)
            if row.open_da > floors:
                found_full.remove(0)
        full.append(found_full)
    for index, stay in enumerate(layout.stay):
        high, floor = layout.high_da[index], layout.floor_da[index]
        if layout.need_dj[index] == 0 or high == 0:
            continue
        present = layout.present_da[index]
        within, above = min(floor, high), high - floor
        closed = set().union(*(full[row] for row, _ in layout.rows_of[index]))
        for step in range(stay):
            if within > 0:
                now = min(present, floor) if step == 0 else None
                found.append(Column(index, step, Band.WITHIN, within, now))
            if above > 0 and step not in closed:
                now = max(0, present - floor) if step == 0 else None
                found.append(Column(index, step, Band.ABOVE, above, now))
    return tuple(found)


def _bounds(
    layout: Layout, columns: tuple[Column, ...], storage: Storage
) -> tuple[Bound, ...]:
    n_step = layout.problem.n_step
    at: dict[Band, list[dict[int, int]]] = {
        band: [{} for _ in range(n_step)] for band in Band
    }
    for number, (session, step, band, _, _) in enumerate(columns):
        at[band][step][session] = number
    charging = {
        (unit, step): number
        for number, (unit, step, charges, _) in enumerate(storage.cells, len(columns))
        if charges
    }
    found: list[Bound] = []
    for number, row in enumerate(layout.rows):
        floors = sum(a * layout.floor_da[index] for index, a in row.members)
        for step, safe in enumerate(row.head_da):
            head = safe if step else open_da(row, step)
            starved = head < floors
            here = at[Band.WITHIN if starved else Band.ABOVE][step]
            cap = head if starved else head - floors
            members = [(here[i], a) for i, a in row.members if i in here]
            most = sum([a * columns[column].cap_da for column, a in members])
            if row.stores:
                stored = [
                    (charging[unit, step], a)
                    for unit, a in row.stores
                    if (unit, step) in charging
                ]
                most *= MICROAMP_PER_DA
                most += sum(
                    a * storage.cells[cell - len(columns)].cap_ua for cell, a in stored
                )
                most = -(-most // MICROAMP_PER_DA)
                members = [*stored, *members]
            if most > cap:
                found.append(Bound(number, step, tuple(members), cap))
    return tuple(found)
