"""The relaxed problem: any current from zero up, as columns and rows in integers.

One column per session, step of its stay and band: ``WITHIN`` the floor of its EVSE
(already counted on every limit) or ``ABOVE`` it. Columns and rows that cannot matter
are left out. The model states them to the solver, the certificate proves on them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from optimizer.goal import Prices, prices
from optimizer.layout import Layout


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
        members: (column index, coefficient).
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
    """

    layout: Layout
    prices: Prices
    columns: tuple[Column, ...]
    bounds: tuple[Bound, ...]
    sunny: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Build the relaxed problem of a layout."""
        columns = _columns(layout)
        found = prices(layout)
        pv_w = layout.problem.pv_w or ()
        used = {column.step for column in columns}
        return cls(
            layout=layout,
            prices=found,
            columns=columns,
            bounds=_bounds(layout, columns),
            sunny=tuple(
                step
                for step, saving in enumerate(found.saving)
                if saving > 0 and pv_w[step] > 0 and step in used
            ),
        )


def _columns(layout: Layout) -> tuple[Column, ...]:
    found: list[Column] = []
    full = [
        {step for step, extra_da in enumerate(row.extra_da) if extra_da == 0}
        for row in layout.rows
    ]
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


def _bounds(layout: Layout, columns: tuple[Column, ...]) -> tuple[Bound, ...]:
    n_step = layout.problem.n_step
    at: dict[Band, list[dict[int, int]]] = {
        band: [{} for _ in range(n_step)] for band in Band
    }
    for number, (session, step, band, _, _) in enumerate(columns):
        at[band][step][session] = number
    found: list[Bound] = []
    for number, row in enumerate(layout.rows):
        floors = sum(a * layout.floor_da[index] for index, a in row.members)
        for step, head in enumerate(row.head_da):
            starved = head < floors
            here = at[Band.WITHIN if starved else Band.ABOVE][step]
            cap = head if starved else row.extra_da[step]
            members = [(here[i], a) for i, a in row.members if i in here]
            if sum([a * columns[column].cap_da for column, a in members]) > cap:
                found.append(Bound(number, step, tuple(members), cap))
    return tuple(found)
