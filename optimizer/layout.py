"""Turns a problem into integer rows: who counts on which limit, and what is left.

Everything is exact. Currents are 0.1 A (``da``), energies 0.1 J (``dj``): a current of
1 da over one step is ``dj_per_da`` of its session, a whole number.

Floors: the EVSE of session i may draw ``floor_da[i]`` whatever is sent, so a row counts
``max(y_i, floor_i)`` for each of its sessions at every step. Per row and step:

* ``sum a_i * y_i <= head_da``                        what we ask for fits the limit;
* ``sum a_i * max(0, y_i - floor_i) <= extra_da``     and leaves every floor its place,

with ``extra_da = max(0, head_da - sum a_i * floor_i)``. Where the floors themselves do
not fit (a caller's broken promise), nothing above a floor is planned, and still no more
than ``head_da``. All zeros always satisfy both: no problem is infeasible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Self

from optimizer.grid import PHASES, grid_da
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem

DJ_PER_WH = 36_000
MICROAMP_PER_DA = 100_000

Currents = tuple[tuple[int, ...], ...]
"""Shape (n_session, n_step), 0.1 A per phase, integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One limit of one cabinet.

    Attributes:
        cabinet_id: Whose limit.
        phase: Grid phase, or None for the sum over the phases (a limit in W).
        against: The phase that carries nothing of the members, for a limit of the
            imbalance between both; else None.
        members: (session index, coefficient) of every session in the subtree; the
            coefficient is 1 for a phase, the number of phases for the sum.
        head_da: Shape (n_step,): limit minus reserved, at least 0.
        extra_da: Shape (n_step,): what is left above the floors, at least 0.
        stores: (battery index, coefficient) of every battery in the subtree.
        open_da: ``head_da`` of step 0 for the relaxed plan: what batteries may still
            draw is free there, since they are told less if cars need it.
    """

    cabinet_id: str
    phase: int | None
    members: tuple[tuple[int, int], ...]
    head_da: tuple[int, ...]
    extra_da: tuple[int, ...]
    against: int | None = None
    stores: tuple[tuple[int, int], ...] = ()
    open_da: int | None = None

    @property
    def name(self) -> str:
        """Name the limit in words."""
        if self.phase is not None and self.against is not None:
            return (
                f"{self.cabinet_id} imbalance of L{self.phase + 1}"
                f" against L{self.against + 1}"
            )
        return f"{self.cabinet_id} " + (
            "in total" if self.phase is None else f"phase L{self.phase + 1}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Integer view of a problem; index i is the position of the session.

    Attributes:
        problem: Where it comes from.
        rows: Every limit that has sessions or batteries behind it.
        rows_of: Per session (row index, coefficient).
        stay: Per session the number of steps it is there, 0 to n_step.
        low_da: Smallest permitted current other than 0, on the unit of the session.
        high_da: Largest permitted current, 0 where none is.
        unit_da: Unit of set-points.
        floor_da: See above.
        present_da: Limit confirmed now.
        dj_per_da: Energy of 1 da over one step.
        need_dj: Energy needed.
    """

    problem: CabinetProblem
    rows: tuple[Row, ...]
    rows_of: tuple[tuple[tuple[int, int], ...], ...]
    stay: tuple[int, ...]
    low_da: tuple[int, ...]
    high_da: tuple[int, ...]
    unit_da: tuple[int, ...]
    floor_da: tuple[int, ...]
    present_da: tuple[int, ...]
    dj_per_da: tuple[int, ...]
    need_dj: tuple[int, ...]

    @classmethod
    def of(cls, problem: CabinetProblem) -> Self:
        """Derive the integer view."""
        sessions = problem.sessions
        unit = tuple(grid_da(s.step_a) for s in sessions)
        low = tuple(
            max(u, -(-grid_da(s.min_a) // u) * u)
            for s, u in zip(sessions, unit, strict=True)
        )
        high = tuple(
            grid_da(s.max_a) // u * u for s, u in zip(sessions, unit, strict=True)
        )
        floor = tuple(grid_da(s.floor_a) for s in sessions)
        rows = _rows(problem, floor)
        rows_of: list[list[tuple[int, int]]] = [[] for _ in sessions]
        for index, row in enumerate(rows):
            for member, coefficient in row.members:
                rows_of[member].append((index, coefficient))
        return cls(
            problem=problem,
            rows=rows,
            rows_of=tuple(tuple(found) for found in rows_of),
            stay=tuple(min(max(s.departure_step, 0), problem.n_step) for s in sessions),
            low_da=low,
            high_da=tuple(h if h >= lo else 0 for h, lo in zip(high, low, strict=True)),
            unit_da=unit,
            floor_da=floor,
            present_da=tuple(grid_da(s.present_a) for s in sessions),
            dj_per_da=tuple(
                problem.nominal_v * problem.step_s * (s.n_power_phase or 1)
                for s in sessions
            ),
            need_dj=tuple(s.energy_wh * DJ_PER_WH for s in sessions),
        )

    def permitted_da(self, index: int, wanted_da: int) -> int:
        """Return the largest permitted current of a session up to ``wanted_da``."""
        unit = self.unit_da[index]
        found = min(wanted_da, self.high_da[index]) // unit * unit
        return found if found >= self.low_da[index] else 0

    def sufficient_da(self, index: int, remaining_dj: int) -> int:
        """Return the smallest permitted current that delivers the rest in one step.

        The largest permitted one where none suffices; 0 where nothing remains.
        """
        if remaining_dj <= 0:
            return 0
        need_da = -(-remaining_dj // self.dj_per_da[index])
        unit = self.unit_da[index]
        rounded = max(self.low_da[index], -(-need_da // unit) * unit)
        return min(rounded, self.high_da[index])

    def laxity_milli(self, index: int, step: int, remaining_dj: int) -> int:
        """Return how long a session can wait and still be served, 1/1000 of a step."""
        rate_dj = max(1, self.high_da[index] * self.dj_per_da[index])
        return (self.stay[index] - step) * 1000 - remaining_dj * 1000 // rate_dj

    def delivered_dj(self, index: int, row_da: tuple[int, ...]) -> int:
        """Return the energy a session gets from a row of currents, at most its need."""
        planned = sum(row_da[: self.stay[index]]) * self.dj_per_da[index]
        return min(planned, self.need_dj[index])


class Room:
    """What is left on every row in one step while currents are handed out."""

    __slots__ = ("_extra", "_layout", "_total")

    def __init__(self, layout: Layout, step: int) -> None:
        """Start with nothing handed out."""
        self._layout = layout
        self._total = [row.head_da[step] for row in layout.rows]
        self._extra = [row.extra_da[step] for row in layout.rows]

    def take(self, index: int, current_da: int) -> None:
        """Hand out a current; a negative one gives it back in full."""
        if current_da == 0:
            return
        sign = 1 if current_da >= 0 else -1
        above = sign * max(0, abs(current_da) - self._layout.floor_da[index])
        for row, coefficient in self._layout.rows_of[index]:
            self._total[row] -= coefficient * current_da
            self._extra[row] -= coefficient * above

    def bound_da(self, index: int, held_da: int = 0) -> tuple[int, int | None]:
        """Return how much a session may draw, and the row that says so.

        Args:
            index: The session.
            held_da: What it holds already, counted back.
        """
        floor = self._layout.floor_da[index]
        above = max(0, held_da - floor)
        bound: int = self._layout.high_da[index]
        binding: int | None = None
        for row, coefficient in self._layout.rows_of[index]:
            here = min(
                held_da + self._total[row] // coefficient,
                floor + above + self._extra[row] // coefficient,
            )
            if here < bound:
                bound, binding = here, row
        return bound, binding

    def spare_da(self, index: int, held_da: int) -> int:
        """Return how much more than it holds fits, whatever it could use of it."""
        floor = self._layout.floor_da[index]
        below = max(0, floor - held_da)
        return min(
            (
                min(
                    self._total[row] // coefficient,
                    below + self._extra[row] // coefficient,
                )
                for row, coefficient in self._layout.rows_of[index]
            ),
            default=self._layout.high_da[index],
        )

    def largest_da(self, index: int, wanted_da: int, held_da: int = 0) -> int:
        """Return the largest permitted current up to ``wanted_da`` that fits."""
        bound, _ = self.bound_da(index, held_da)
        return self._layout.permitted_da(index, min(wanted_da, bound))


def _rows(problem: CabinetProblem, floor_da: tuple[int, ...]) -> tuple[Row, ...]:
    parents = {c.cabinet_id: c.parent for c in problem.cabinets}
    below: dict[str, list[int]] = {c.cabinet_id: [] for c in problem.cabinets}
    for index, session in enumerate(problem.sessions):
        above: str | None = session.cabinet_id
        while above is not None:
            below[above].append(index)
            above = parents[above]
    stored = _stored(problem, parents)
    rows: list[Row] = []
    for cabinet in problem.cabinets:
        behind = below[cabinet.cabinet_id]
        reserved = [[grid_da(a) for a in row] for row in cabinet.reserved_a]
        found: list[tuple[int | None, list[int]]] = []
        if cabinet.limit_a is not None:
            found += [
                (
                    phase,
                    [
                        grid_da(limit) - taken
                        for limit, taken in zip(
                            cabinet.limit_a[phase], reserved[phase], strict=True
                        )
                    ],
                )
                for phase in PHASES
            ]
        if cabinet.limit_w is not None:
            found.append(
                (
                    None,
                    [
                        int(limit) * 10 // problem.nominal_v - sum(taken)
                        for limit, taken in zip(
                            cabinet.limit_w, zip(*reserved, strict=True), strict=True
                        )
                    ],
                )
            )
        for phase, free in found:
            members = tuple(
                (
                    index,
                    1 if phase is not None else len(problem.sessions[index].phases),
                )
                for index in behind
                if phase is None or phase in problem.sessions[index].phases
            )
            floors = sum(a * floor_da[index] for index, a in members)
            stores = tuple(
                (index, 1 if phase is not None else len(battery.phases))
                for index, battery in enumerate(problem.batteries)
                if index in stored[cabinet.cabinet_id]
                and (phase is None or phase in battery.phases)
            )
            held = sum(a * grid_da(problem.batteries[i].held_a) for i, a in stores)
            if members or stores:
                rows.append(
                    Row(
                        cabinet_id=cabinet.cabinet_id,
                        phase=phase,
                        members=members,
                        head_da=tuple(max(0, head) for head in free),
                        extra_da=tuple(max(0, head - floors) for head in free),
                        stores=stores,
                        open_da=max(0, free[0] + held) if stores else None,
                    )
                )
        if cabinet.imbalance_a is not None:
            rows += _uneven(problem, cabinet, behind, floor_da)
    return tuple(rows)


def _stored(
    problem: CabinetProblem, parents: Mapping[str, str | None]
) -> dict[str, set[int]]:
    """Return the batteries in the subtree of every cabinet."""
    found: dict[str, set[int]] = {name: set() for name in parents}
    for index, battery in enumerate(problem.batteries):
        above: str | None = battery.cabinet_id
        while above is not None:
            found[above].add(index)
            above = parents[above]
    return found


def _uneven(
    problem: CabinetProblem,
    cabinet: CabinetLimit,
    behind: Sequence[int],
    floor_da: Sequence[int],
) -> list[Row]:
    """Limit what one phase carries of sessions that another carries nothing of.

    It bounds every difference between two phases, also when cars take less than they
    may. Pairs of phases with the same sessions are one limit.
    """
    assert cabinet.imbalance_a is not None, "the caller asked"
    head_da = grid_da(cabinet.imbalance_a)
    found: dict[tuple[int, tuple[int, ...]], Row] = {}
    for phase, against in permutations(PHASES, 2):
        members = tuple(
            index
            for index in behind
            if is_uneven(problem.sessions[index], phase, against)
        )
        if not members or (phase, members) in found:
            continue
        floors = sum(floor_da[index] for index in members)
        found[phase, members] = Row(
            cabinet_id=cabinet.cabinet_id,
            phase=phase,
            against=against,
            members=tuple((index, 1) for index in members),
            head_da=(head_da,) * problem.n_step,
            extra_da=(max(0, head_da - floors),) * problem.n_step,
        )
    return list(found.values())


def is_uneven(session: EvSession, phase: int, against: int) -> bool:
    """Tell whether a session may load one phase and not the other.

    One that draws on fewer phases than are counted may do so on any of them.
    """
    if phase not in session.phases:
        return False
    n_power = session.n_power_phase or len(session.phases)
    return against not in session.phases or n_power < len(session.phases)
