"""The best options of cars that share the phases of a cabinet, exactly.

Cars on the same phases share one table over their total. With x units for the cars on
all three phases and a, b, c for those on L1+L2, L1+L3 and L2+L3, each phase p leaves
``r_p`` to its single-phase cars, and the best is::

    max  T(x) + A(a) + B(b) + C(c) + S1(r1) + S2(r2) + S3(r3)
    r1 = cap1 - x - a - b,  r2 = cap2 - x - a - c,  r3 = cap3 - x - b - c,  all >= 0

Of equals the smallest x counts, then b, then c, then a; within a table the last item
gets its smallest option, then the one before it, and so on. So the result does not
depend on who computes the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from optimizer.grid import PHASES
from optimizer.maxplus import Item, Kernel, Table, Tables

MAX_COMBINATION: Final = 20_000_000
"""More combinations of totals than this are not searched."""

_PAIRS: Final = ((0, 1), (0, 2), (1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Cars that share limits in one step.

    Attributes:
        items: Who.
        cap: Units per phase.
        total: Units over all phases, where such a limit binds.
        inner_cap: Units per phase of a cabinet within the cabinet, for the items that
            are ``is_inner``, where one binds.
        single_cap: Units per phase of the cars on this phase alone, where they make
            the phases uneven.
    """

    items: tuple[Item, ...]
    cap: tuple[int, int, int]
    total: int | None = None
    inner_cap: tuple[int, int, int] | None = None
    single_cap: tuple[int, int, int] | None = None


def choose(crowd: Crowd, kernel: Kernel) -> list[int] | None:
    """Return the best option of each item, by its number; None if that is too much.

    Two-phase cars are searched where one cabinet binds in its phases; a limit over all
    phases and a cabinet within the cabinet with cars on one or three phases.
    """
    special = (crowd.total is not None) + (crowd.inner_cap is not None)
    special += crowd.single_cap is not None
    if special and any(len(item.phases) == 2 for item in crowd.items):  # noqa: PLR2004 - two-phase cars
        return None
    if special > 1:
        return None
    chosen = [0] * len(crowd.items)
    if crowd.total is not None:
        return _within_total(crowd, crowd.total, kernel, chosen)
    if crowd.inner_cap is not None:
        return _nested(crowd, crowd.inner_cap, kernel, chosen)
    return _flat(crowd, kernel, chosen)


def _flat(crowd: Crowd, kernel: Kernel, chosen: list[int]) -> list[int] | None:
    shared = _table(crowd, PHASES, kernel)
    pair12, pair13, pair23 = (_table(crowd, pair, kernel) for pair in _PAIRS)
    one, two, three = (_table(crowd, (phase,), kernel) for phase in PHASES)
    cap1, cap2, cap3 = crowd.cap
    tables = Tables(
        shared=shared,
        pairs=(pair12, pair13, pair23),
        singles=(one, two, three),
        cap=crowd.cap,
    )
    if tables.effort() > MAX_COMBINATION:
        return None
    x, b, c, a = kernel.search(tables)
    shared.trace(x, chosen)
    for table, budget in (
        (pair12, a),
        (pair13, b),
        (pair23, c),
        (one, cap1 - x - a - b),
        (two, cap2 - x - a - c),
        (three, cap3 - x - b - c),
    ):
        table.trace(budget, chosen)
    return chosen


def _within_total(
    crowd: Crowd, total: int, kernel: Kernel, chosen: list[int]
) -> list[int]:
    """Choose under a limit over all phases too: single phases share what is left."""
    shared = _table(crowd, PHASES, kernel)
    singles = [_table(crowd, (phase,), kernel) for phase in PHASES]
    best: tuple[int, int, int] | None = None
    for x in shared.steps():
        if 3 * x > total:
            break
        left = _left(singles, crowd.cap, x)
        bound = shared.best[x] + sum(row[-1] for row in left)
        if best is not None and bound <= best[0]:
            continue
        both = kernel.merge(left[0], left[1], total - 3 * x)
        worth, used = _last(both, left[2], total - 3 * x)
        if best is None or shared.best[x] + worth > best[0]:
            best = (shared.best[x] + worth, x, used)
    assert best is not None  # nothing for anyone always fits
    _, x, used = best
    shared.trace(x, chosen)
    left = _left(singles, crowd.cap, x)
    first = _share(left[0], left[1], used)
    for table, row, budget in zip(
        singles, left, (first, used - first, total - 3 * x - used), strict=True
    ):
        table.trace(min(budget, len(row) - 1), chosen)
    return chosen


def _nested(
    crowd: Crowd, inner_cap: tuple[int, int, int], kernel: Kernel, chosen: list[int]
) -> list[int]:
    """Choose where a cabinet within binds too: its three-phase total comes first."""
    outside, inside = (
        Crowd(
            items=tuple(item for item in crowd.items if item.is_inner == is_inner),
            cap=cap,
        )
        for is_inner, cap in ((False, crowd.cap), (True, inner_cap))
    )
    shared, held = (_table(part, PHASES, kernel) for part in (outside, inside))
    singles = [_table(outside, (phase,), kernel) for phase in PHASES]
    within = [_table(inside, (phase,), kernel) for phase in PHASES]
    best: tuple[int, int, int] | None = None
    for y in held.steps():
        if y > min(crowd.cap):
            break
        left = _left(within, inner_cap, y)
        free = [cap - y for cap in crowd.cap]
        bound = held.best[y] + shared.best[-1]
        bound += sum(
            table.at(cap) + row[-1]
            for table, cap, row in zip(singles, free, left, strict=True)
        )
        if best is not None and bound <= best[0]:
            continue
        merged = [
            kernel.merge(table.best, row, cap)
            for table, cap, row in zip(singles, free, left, strict=True)
        ]
        worth, x = kernel.split(shared.best, merged, free)
        if best is None or held.best[y] + worth > best[0]:
            best = (held.best[y] + worth, x, y)
    assert best is not None  # nothing for anyone always fits
    _, x, y = best
    shared.trace(x, chosen)
    held.trace(y, chosen)
    for phase, row in enumerate(_left(within, inner_cap, y)):
        budget = crowd.cap[phase] - x - y
        first = _share(singles[phase].best, row, budget)
        singles[phase].trace(first, chosen)
        within[phase].trace(min(budget - first, len(row) - 1), chosen)
    return chosen


def _table(crowd: Crowd, phases: tuple[int, ...], kernel: Kernel) -> Table:
    items = [item for item in crowd.items if item.phases == phases]
    cap = min(crowd.cap[phase] for phase in phases)
    if crowd.single_cap is not None and len(phases) == 1:
        cap = min(cap, crowd.single_cap[phases[0]])
    return kernel.table(items, cap if crowd.total is None else min(cap, crowd.total))


def _left(tables: Sequence[Table], cap: Sequence[int], used: int) -> list[list[int]]:
    """Cut the table of each phase to what ``used`` leaves of it."""
    return [table.best[: cap[phase] - used + 1] for phase, table in enumerate(tables)]


def _last(both: list[int], third: list[int], budget: int) -> tuple[int, int]:
    """Return the best worth of both and the third, and the least share of both."""
    found = [
        worth + third[min(budget - used, len(third) - 1)]
        for used, worth in enumerate(both)
    ]
    top = max(found)
    return top, found.index(top)


def _share(left: list[int], right: list[int], budget: int) -> int:
    """Return the least share of a budget that the left must get for the best."""
    found = [
        worth + right[min(budget - share, len(right) - 1)]
        for share, worth in enumerate(left[: budget + 1])
    ]
    return found.index(max(found))
