"""What batteries add to the exact value of a relaxed plan and to its lower bound.

See ``optimizer.bound``. What is stored follows from the cells; in the Lagrangian it is
a variable of its own, between the least and the most that a battery may hold.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from optimizer.cost_units import CURVE, NANO, REFILL, USE, least
from optimizer.relaxed import RelaxedProblem
from optimizer.storage import Storage, stored_nj, walk

_PASSES: Final = 3
"""Cuts of what is stored and of what is drawn disturb each other; then all are 0."""


def overdrawn(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> str | None:
    """Name the first constraint of a battery that a relaxed plan breaks."""
    storage, step_s = relaxed.storage, relaxed.layout.problem.step_s
    cell_ua = current_ua[len(relaxed.columns) :]
    for cell, value in zip(storage.cells, cell_ua, strict=True):
        if not 0 <= value <= cell.cap_ua:
            return f"battery {cell.unit} step {cell.step}: power out of range"
    for (index, step), level in walk(storage, step_s, cell_ua).items():
        unit = storage.units[index]
        if not unit.low_nj <= level <= unit.high_nj:
            return f"battery {index} step {step}: stores too much or too little"
    free_uw = left_uw(relaxed, current_ua)
    for step in relaxed.shared:
        if free_uw[step] < 0:
            return f"step {step}: batteries give more than is drawn"
    return None


def shave_cells(relaxed: RelaxedProblem, found: list[int]) -> None:
    """Bring cells, in place, to what can be stored and is drawn; cars stay."""
    storage = relaxed.storage
    free_uw = left_uw(relaxed, found)
    level = [unit.start_nj for unit in storage.units]
    none = len(found)
    pairs: dict[int, dict[int, list[int]]] = {}
    for number, cell in enumerate(storage.cells, len(relaxed.columns)):
        pair = pairs.setdefault(cell.step, {}).setdefault(cell.unit, [none, none])
        pair[not cell.charges] = number
    found.append(0)  # of the cells that a battery has not
    for step in sorted(pairs):
        now = _Step(relaxed, found, pairs[step], level)
        is_shared = step in relaxed.shared
        for _ in range(_PASSES):
            free_uw[step] -= sum(now.fit_stored(index) for index in now.pairs)
            if is_shared:
                free_uw[step] += now.fit_drawn(-free_uw[step])
            if now.is_stored and (free_uw[step] >= 0 or not is_shared):
                break
        else:
            for pair in now.pairs.values():
                for number in pair:
                    found[number] = 0
        for index in now.pairs:
            level[index] += now.flow_nj(index)
    found.pop()


class _Step:
    """The cells of one step while they are cut.

    Attributes:
        pairs: By battery the places of its charging and of its discharging.
    """

    __slots__ = ("_found", "_level", "_step_s", "_units", "pairs")

    def __init__(
        self,
        relaxed: RelaxedProblem,
        found: list[int],
        pairs: Mapping[int, list[int]],
        level: Sequence[int],
    ) -> None:
        self._units = relaxed.storage.units
        self._step_s = relaxed.layout.problem.step_s
        self._found = found
        self._level = level
        self.pairs = pairs

    @property
    def is_stored(self) -> bool:
        """Tell whether every battery can hold what it does after the step."""
        return all(
            unit.low_nj <= self._level[index] + self.flow_nj(index) <= unit.high_nj
            for index in self.pairs
            for unit in (self._units[index],)
        )

    def flow_nj(self, index: int) -> int:
        """Return what the step adds to a battery."""
        more, less = (self._found[place] for place in self.pairs[index])
        return stored_nj(self._step_s, self._units[index], more, less)

    def fit_stored(self, index: int) -> int:
        """Cut charging above the most, then discharging below the least it may hold.

        Returns:
            What is drawn less, microwatt; negative: what is given less.
        """
        unit, (more, less) = self._units[index], self.pairs[index]
        per_ua = unit.volts * self._step_s
        over = self._level[index] + self.flow_nj(index) - unit.high_nj
        charged = self._cut(more, over, per_ua * unit.efficiency)
        under = unit.low_nj - self._level[index] - self.flow_nj(index)
        given = self._cut(less, under, per_ua * 1000)
        return (charged - given) * unit.volts

    def fit_drawn(self, over_uw: int) -> int:
        """Cut what is given beyond what is drawn; return by how much, microwatt."""
        done = 0
        for index, (_, less) in self.pairs.items():
            volts = self._units[index].volts
            done += self._cut(less, over_uw - done, volts) * volts
        return done

    def _cut(self, place: int, over: int, per_ua: int) -> int:
        """Take what is over from a cell, in whole microamperes; return these."""
        cut = min(-(-over // per_ua), self._found[place]) if over > 0 else 0
        self._found[place] -= cut
        return cut


def left_uw(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> list[int]:
    """Return what is drawn in every step and no battery gives, microwatt."""
    layout, storage = relaxed.layout, relaxed.storage
    step_s, n_column = layout.problem.step_s, len(relaxed.columns)
    found = [watts * 10**6 for watts in storage.load_w] or [0] * layout.problem.n_step
    for (session, step, _, _, _), value in zip(
        relaxed.columns, current_ua, strict=False
    ):
        found[step] += layout.dj_per_da[session] // step_s * value
    for (unit, step, charges, _), value in zip(
        storage.cells, current_ua[n_column:], strict=True
    ):
        volts = storage.units[unit].volts
        found[step] += volts * value if charges else -volts * value
    return found


def stored_value(relaxed: RelaxedProblem, cell_ua: Sequence[int]) -> int:
    """Return what the cells cost, without the PV they use."""
    storage, problem = relaxed.storage, relaxed.layout.problem
    imports = problem.import_price_micro_per_kwh or ()
    total = 0
    for (index, step, charges, _), value in zip(storage.cells, cell_ua, strict=True):
        unit = storage.units[index]
        price = imports[step] if charges else unit.wear - imports[step]
        total += price * unit.volts * problem.step_s * value * USE
        total += CURVE * unit.volts * value * value
    levels = walk(storage, problem.step_s, cell_ua)
    for index, number in storage.ends.items():
        unit = storage.units[index]
        missing = max(0, unit.target_nj - levels[storage.moves[number]])
        total += REFILL * unit.refill * missing
    return total


def cell_slopes(
    relaxed: RelaxedProblem, worths: Sequence[int], sun: Mapping[int, int]
) -> list[int]:
    """Return what a microampere of each cell costs, limits aside, rounded down."""
    storage, problem = relaxed.storage, relaxed.layout.problem
    imports = problem.import_price_micro_per_kwh or ()
    stored = dict(zip(storage.moves, worths, strict=True))
    found = []
    for index, step, charges, _ in storage.cells:
        unit = storage.units[index]
        worth, given = stored[index, step], sun.get(step, 0)
        if charges:
            milli = 1000 * (1000 * imports[step] - given) - unit.efficiency * worth
        else:
            milli = 1000 * (1000 * (unit.wear - imports[step]) + given + worth)
        found.append(NANO * unit.volts * problem.step_s * milli // 1000)
    return found


def least_cost(
    relaxed: RelaxedProblem,
    slopes: Sequence[int],
    worths: Sequence[int],
    sun: Mapping[int, int],
) -> int:
    """Return the minimum over the cells, what is stored, and what else is drawn.

    Args:
        relaxed: What is solved.
        slopes: Per cell, units per microampere.
        worths: Per move, what it is worth to have stored more.
        sun: By step, what more use of what is given here would save.
    """
    storage, problem = relaxed.storage, relaxed.layout.problem
    return (
        sum(
            least(CURVE * storage.units[cell.unit].volts, linear, cell.cap_ua)
            for cell, linear in zip(storage.cells, slopes, strict=True)
        )
        + _least_stored(storage, worths)
        - sum(
            NANO * price * problem.step_s * storage.load_w[step] * 10**6
            for step, price in sun.items()
        )
    )


def _least_stored(storage: Storage, worths: Sequence[int]) -> int:
    """Return the minimum over what is stored after each move, whole microjoules."""
    total, ends = 0, storage.ends
    before: dict[int, int] = {}
    for number, ((index, _), worth) in enumerate(
        zip(storage.moves, worths, strict=True)
    ):
        unit = storage.units[index]
        low, high, target = (
            nj // 1000 for nj in (unit.low_nj, unit.high_nj, unit.target_nj)
        )
        if index not in before:
            total -= NANO * worth * (unit.start_nj // 1000)
        else:
            linear = NANO * (before[index] - worth)
            total += linear * (low if linear >= 0 else high)
        before[index] = worth
        if number == ends[index]:
            total += min(
                NANO * worth * level + USE * unit.refill * max(0, target - level)
                for level in (low, high, min(max(low, target), high))
            )
    return total
