"""The relaxed problem: any current from zero up, as columns and rows in integers.

One column per session, step of its stay and band: ``WITHIN`` the floor of its EVSE
(already counted on every limit) or ``ABOVE`` it. Columns and rows that cannot matter
are left out. The model states them to the solver, the certificate proves on them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from optimizer.goal import Prices, prices
from optimizer.layout import Layout


class Band(StrEnum):
    """Which part of a current a column is."""

    WITHIN = "within"
    ABOVE = "above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One variable: A per phase of a session in a step.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
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
    for index, stay in enumerate(layout.stay):
        high, floor = layout.high_da[index], layout.floor_da[index]
        if layout.need_dj[index] == 0 or high == 0:
            continue
        present = layout.present_da[index]
        rows = [layout.rows[row] for row, _ in layout.rows_of[index]]
        for step in range(stay):
            full = any(row.extra_da[step] == 0 for row in rows)
            for band, cap, now in (
                (Band.WITHIN, min(floor, high), min(present, floor)),
                (Band.ABOVE, 0 if full else high - floor, max(0, present - floor)),
            ):
                if cap > 0:
                    found.append(
                        Column(
                            session=index,
                            step=step,
                            band=band,
                            cap_da=cap,
                            present_da=now if step == 0 else None,
                        )
                    )
    return tuple(found)


def _bounds(layout: Layout, columns: tuple[Column, ...]) -> tuple[Bound, ...]:
    at: dict[tuple[int, int, Band], int] = {
        (column.session, column.step, column.band): index
        for index, column in enumerate(columns)
    }
    found: list[Bound] = []
    for number, row in enumerate(layout.rows):
        floors = sum(a * layout.floor_da[index] for index, a in row.members)
        for step, head in enumerate(row.head_da):
            starved = head < floors
            band = Band.WITHIN if starved else Band.ABOVE
            cap = head if starved else row.extra_da[step]
            members = tuple(
                (at[index, step, band], a)
                for index, a in row.members
                if (index, step, band) in at
            )
            if sum(a * columns[column].cap_da for column, a in members) > cap:
                found.append(Bound(row=number, step=step, members=members, cap_da=cap))
    return tuple(found)
