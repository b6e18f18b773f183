"""The best currents of one crowded step, exactly: budgets in units, worths in tables.

As docs/optimizer.md (Packing) says it. An entry of a table is the most that some cars
are worth together within a budget. Of equals the smallest budgets count, in the order
of the page, and within a table the smallest current of the last car.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ledger.plan_problem import PHASES

MAX_COMBINATION: Final = 20_000_000
NO_CAP: Final = 10**9
Caps = Sequence[int]
"""Units per phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A car in a crowd: units and worth of each of its options, the first at 0."""

    place: int
    phases: tuple[int, ...]
    is_inner: bool
    units: tuple[int, ...]
    worths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Cars that share limits.

    Attributes:
        caps: Per phase.
        total: Over the phases, where that binds.
        inner: Per phase of a cabinet within, where one binds.
        single: Per phase for cars on it alone, where an imbalance binds.
    """

    entrants: Sequence[Entrant]
    caps: Caps
    total: int | None = None
    inner: Caps | None = None
    single: Caps | None = None


class Table:
    """The best of some cars within every budget, and their options for it."""

    def __init__(self, entrants: Sequence[Entrant], cap: int) -> None:
        """Take the cars one after the other into every budget up to the cap."""
        self.entrants = entrants
        size = max(0, min(cap, sum(one.units[-1] for one in entrants))) + 1
        self.best = [0] * size
        self._options: list[list[int]] = []
        for one in entrants:
            now: list[int] = []
            options: list[int] = []
            pairs = list(zip(one.units, one.worths, strict=True))
            for budget in range(size):
                top, chosen = None, 0
                for option, (units, worth) in enumerate(pairs):
                    if units > budget:
                        break
                    found = self.best[budget - units] + worth
                    if top is None or found > top:
                        top, chosen = found, option
                assert top is not None, "the first option takes nothing"
                now.append(top)
                options.append(chosen)
            self.best = now
            self._options.append(options)

    def at(self, budget: int) -> int:
        """Return the best within a budget."""
        return self.best[min(budget, len(self.best) - 1)]

    def rises(self) -> list[int]:
        """Return 0 and every budget that is worth more than the one below."""
        best = self.best
        return [0, *(u for u in range(1, len(best)) if best[u] > best[u - 1])]

    def write(self, budget: int, chosen: list[int]) -> None:
        """Write the options that a budget stands for."""
        budget = min(budget, len(self.best) - 1)
        for one, options in zip(
            reversed(self.entrants), reversed(self._options), strict=True
        ):
            chosen[one.place] = options[budget]
            budget -= one.units[options[budget]]


def best_options(crowd: Crowd) -> list[int] | None:
    """Return the option of each car; ``None`` where the page has no exact method."""
    special = [crowd.total, crowd.inner, crowd.single]
    count = sum(one is not None for one in special)
    has_pairs = any(len(one.phases) == 2 for one in crowd.entrants)  # noqa: PLR2004 - two-phase cars
    if count > 1 or (count and has_pairs):
        return None
    chosen = [0] * len(crowd.entrants)
    if crowd.total is not None:
        _with_total(crowd, crowd.total, chosen)
    elif crowd.inner is not None:
        _with_inner(crowd, crowd.inner, chosen)
    elif not _on_phases(crowd, chosen):
        return None
    return chosen


def _on_phases(crowd: Crowd, chosen: list[int]) -> bool:
    """Choose where the phases bind; tell whether it is not too much to search."""
    shared = _table(crowd, PHASES)
    pairs = [_table(crowd, pair) for pair in ((0, 1), (0, 2), (1, 2))]
    singles = [_table(crowd, (phase,)) for phase in PHASES]
    if _effort(crowd.caps, shared, pairs, singles) > MAX_COMBINATION:
        return False
    cap1, cap2, cap3 = crowd.caps
    rises = pairs[0].rises()
    most = pairs[0].best[-1]
    inner: dict[tuple[int, int], tuple[int, int]] = {}
    top: tuple[int, tuple[int, int, int, int]] | None = None
    for x, b, c in product(shared.rises(), pairs[1].rises(), pairs[2].rises()):
        r1, r2, r3 = cap1 - x - b, cap2 - x - c, cap3 - x - b - c
        if min(r1, r2, r3) < 0:
            continue
        fixed = shared.best[x] + pairs[1].best[b] + pairs[2].best[c] + singles[2].at(r3)
        bound = fixed + most + singles[0].at(r1) + singles[1].at(r2)
        if top is not None and bound <= top[0]:
            continue
        if (r1, r2) not in inner:
            inner[r1, r2] = max(
                (pairs[0].best[a] + singles[0].at(r1 - a) + singles[1].at(r2 - a), -a)
                for a in rises
                if a <= min(r1, r2)
            )
        worth, minus_a = inner[r1, r2]
        if top is None or fixed + worth > top[0]:
            top = fixed + worth, (x, b, c, -minus_a)
    assert top is not None, "nothing for anyone fits"
    x, b, c, a = top[1]
    budgets = (x, a, b, c, cap1 - x - a - b, cap2 - x - a - c, cap3 - x - b - c)
    for table, budget in zip((shared, *pairs, *singles), budgets, strict=True):
        table.write(budget, chosen)
    return True


def _effort(
    caps: Caps, shared: Table, pairs: Sequence[Table], singles: Sequence[Table]
) -> int:
    """Return how many combinations a search looks at, as the page counts them."""
    of12, of13, of23 = (len(table.rises()) for table in pairs)
    totals = len(shared.rises()) * of13 * of23
    if of12 == 1:
        return totals
    one, two = (
        min(cap + 1, len(shared.best) + sum(len(table.best) for table in tables))
        for cap, tables in (
            (caps[0], (singles[0], pairs[0], pairs[1])),
            (caps[1], (singles[1], pairs[0], pairs[2])),
        )
    )
    return totals + one * two * of12


def _with_total(crowd: Crowd, total: int, chosen: list[int]) -> None:
    """Choose where a limit over all phases binds too: cars on one or three phases."""
    shared = _table(crowd, PHASES)
    singles = [_table(crowd, (phase,)) for phase in PHASES]
    top: tuple[int, int, int] | None = None
    for x in shared.rises():
        left = total - 3 * x
        if left < 0:
            break
        rows = _cut(singles, crowd.caps, x)
        if top is not None and shared.best[x] + sum(row[-1] for row in rows) <= top[0]:
            continue
        both = _merged(rows[0], rows[1], left)
        third = rows[2]
        worth, used = _first_best(
            worth + third[min(left - used, len(third) - 1)]
            for used, worth in enumerate(both)
        )
        if top is None or shared.best[x] + worth > top[0]:
            top = shared.best[x] + worth, x, used
    assert top is not None, "nothing for anyone fits"
    _, x, used = top
    shared.write(x, chosen)
    rows = _cut(singles, crowd.caps, x)
    first = _share(rows[0], rows[1], used)
    budgets = (first, used - first, total - 3 * x - used)
    for table, row, budget in zip(singles, rows, budgets, strict=True):
        table.write(min(budget, len(row) - 1), chosen)


def _with_inner(crowd: Crowd, inner: Caps, chosen: list[int]) -> None:
    """Choose where a cabinet within binds too: its three-phase total comes first."""
    outside, inside = (
        Crowd(
            entrants=[one for one in crowd.entrants if one.is_inner is is_inner],
            caps=caps,
        )
        for is_inner, caps in ((False, crowd.caps), (True, inner))
    )
    shared, held = _table(outside, PHASES), _table(inside, PHASES)
    singles = [_table(outside, (phase,)) for phase in PHASES]
    within = [_table(inside, (phase,)) for phase in PHASES]
    top: tuple[int, int, int] | None = None
    for y in held.rises():
        if y > min(crowd.caps):
            break
        rows, free = _cut(within, inner, y), [cap - y for cap in crowd.caps]
        bound = held.best[y] + shared.best[-1]
        for table, cap, row in zip(singles, free, rows, strict=True):
            bound += table.at(cap) + row[-1]
        if top is not None and bound <= top[0]:
            continue
        merged = [
            _merged(table.best, row, cap)
            for table, cap, row in zip(singles, free, rows, strict=True)
        ]
        worth, x = _first_best(
            shared.best[x]
            + sum(
                row[min(cap - x, len(row) - 1)]
                for row, cap in zip(merged, free, strict=True)
            )
            for x in range(min(len(shared.best), min(free) + 1))
        )
        if top is None or held.best[y] + worth > top[0]:
            top = held.best[y] + worth, x, y
    assert top is not None, "nothing for anyone fits"
    _, x, y = top
    shared.write(x, chosen)
    held.write(y, chosen)
    for phase, row in enumerate(_cut(within, inner, y)):
        budget = crowd.caps[phase] - x - y
        first = _share(singles[phase].best, row, budget)
        singles[phase].write(first, chosen)
        within[phase].write(min(budget - first, len(row) - 1), chosen)


def _table(crowd: Crowd, phases: tuple[int, ...]) -> Table:
    cap = min(crowd.caps[phase] for phase in phases)
    if crowd.single is not None and len(phases) == 1:
        cap = min(cap, crowd.single[phases[0]])
    if crowd.total is not None:
        cap = min(cap, crowd.total)
    return Table([one for one in crowd.entrants if one.phases == phases], cap)


def _cut(tables: Sequence[Table], caps: Caps, used: int) -> list[list[int]]:
    """Return what each phase's table has within what is left of the phase."""
    return [table.best[: caps[phase] - used + 1] for phase, table in enumerate(tables)]


def _merged(left: Sequence[int], right: Sequence[int], cap: int) -> list[int]:
    """Return the best of two tables together, for every budget up to a cap."""
    size = min(cap, len(left) + len(right) - 2) + 1
    found = []
    for budget in range(size):
        low = max(0, budget - len(right) + 1)
        found.append(
            max(
                left[share] + right[budget - share]
                for share in range(low, min(budget, len(left) - 1) + 1)
            )
        )
    return found


def _share(left: Sequence[int], right: Sequence[int], budget: int) -> int:
    """Return the least share of a budget that the left needs for the best."""
    _, share = _first_best(
        worth + right[min(budget - share, len(right) - 1)]
        for share, worth in enumerate(left[: budget + 1])
    )
    return share


def _first_best(worths: Iterable[int]) -> tuple[int, int]:
    """Return the largest, and where it is first."""
    found = list(worths)
    top = max(found)
    return top, found.index(top)
