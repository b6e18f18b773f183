"""Best worths for every budget, with numpy: what plans are made with.

The same numbers as ``optimizer.maxplus``, which says what they mean. All sums stay
within 64 bits, see ``optimizer.worth``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optimizer.maxplus import Item, Table, Tables, table_size

Row = NDArray[np.int64]

_IMPOSSIBLE: Final = -(2**62)


class Fast:
    """The kernel of the planner."""

    def table(self, items: Sequence[Item], cap: int) -> Table:
        """See ``maxplus.Kernel``."""
        size = table_size(items, cap)
        most = max((item.weights[-1] for item in items), default=0)
        padded = np.full(most + size, _IMPOSSIBLE, dtype=np.int64)
        best = padded[most:]
        best[:] = 0
        gathers: dict[tuple[int, ...], Row] = {}
        choices: list[list[int]] = []
        budgets = np.arange(size)
        for item in items:
            gather = gathers.get(item.weights)
            if gather is None:
                weights = np.array(item.weights, dtype=np.int64)
                gather = budgets[None, :] + (most - weights)[:, None]
                gathers[item.weights] = gather
            found = padded[gather]
            found += np.array(item.worths, dtype=np.int64)[:, None]
            choice = found.argmax(axis=0)
            best[:] = found[choice, budgets]
            choices.append(choice.tolist())
        return Table(items=items, best=best.tolist(), choices=choices)

    def merge(self, left: list[int], right: list[int], cap: int) -> list[int]:
        """See ``maxplus.Kernel``."""
        size = min(cap, len(left) + len(right) - 2) + 1
        most = min(size, len(left))
        given = np.array(left[:most], dtype=np.int64)
        shares = np.flatnonzero(np.diff(given, prepend=given[0] - 1))
        padded = np.full(most + size, _IMPOSSIBLE, dtype=np.int64)
        count = min(size, len(right))
        padded[most : most + count] = right[:count]
        padded[most + count :] = right[-1]
        gather = np.arange(size)[None, :] + (most - shares)[:, None]
        merged: list[int] = (padded[gather] + given[shares, None]).max(axis=0).tolist()
        return merged

    def split(
        self, shared: list[int], rows: Sequence[list[int]], caps: Sequence[int]
    ) -> tuple[int, int]:
        """See ``maxplus.Kernel``."""
        size = min(len(shared), min(caps) + 1)
        found = np.array(shared[:size], dtype=np.int64)
        totals = np.arange(size)
        for row, cap in zip(rows, caps, strict=True):
            budgets = np.minimum(cap - totals, len(row) - 1)
            found += np.array(row, dtype=np.int64)[budgets]
        top = int(found.argmax())
        return int(found[top]), top

    def search(self, tables: Tables) -> tuple[int, int, int, int]:
        """See ``maxplus.Kernel``."""
        pair12, pair13, pair23 = tables.pairs
        one, two, three = tables.singles
        if all(len(pair.best) == 1 for pair in tables.pairs):
            rows = (one.best, two.best, three.best)
            return self.split(tables.shared.best, rows, tables.cap)[1], 0, 0, 0
        x, b, c = (np.array(table.steps()) for table in (tables.shared, pair13, pair23))
        cap1, cap2, cap3 = tables.cap
        r1 = (cap1 - x)[:, None, None] - b[None, :, None]
        r2 = (cap2 - x)[:, None, None] - c[None, None, :]
        r3 = (cap3 - x)[:, None, None] - b[None, :, None] - c[None, None, :]
        # Beyond what can be taken a budget is worth no more: the tables end there.
        most1 = len(one.best) + len(pair12.best)
        most2 = len(two.best) + len(pair12.best)
        pairs, least = _with_pair(
            pair12, one, two, min(int(r1.max()), most1), min(int(r2.max()), most2)
        )
        out = (r1 < 0) | (r2 < 0) | (r3 < 0)
        r1, r2 = np.broadcast_arrays(np.clip(r1, 0, most1), np.clip(r2, 0, most2))
        found = (
            np.array(tables.shared.best)[x][:, None, None]
            + np.array(pair13.best)[b][None, :, None]
            + np.array(pair23.best)[c][None, None, :]
            + np.array(three.best)[np.clip(r3, 0, len(three.best) - 1)]
            + pairs[r1, r2]
        )
        found[out] = _IMPOSSIBLE
        at = np.unravel_index(int(found.argmax()), found.shape)
        return (
            int(x[at[0]]),
            int(b[at[1]]),
            int(c[at[2]]),
            int(least[r1[at], r2[at]]),
        )


def _with_pair(
    pair: Table, one: Table, two: Table, cap1: int, cap2: int
) -> tuple[Row, Row]:
    """Return the best worth of a pair and its two phases, and the pair's least total.

    Both of shape (cap1 + 1, cap2 + 1).
    """
    first, second = (
        np.array(table.best)[np.minimum(np.arange(cap + 1), len(table.best) - 1)]
        for table, cap in ((one, cap1), (two, cap2))
    )
    found = pair.best[0] + first[:, None] + second[None, :]
    least = np.zeros(found.shape, dtype=np.int64)
    for total in pair.steps()[1:]:
        if total > min(cap1, cap2):
            break
        size1, size2 = cap1 + 1 - total, cap2 + 1 - total
        other = pair.best[total] + first[:size1, None] + second[None, :size2]
        better = other > found[total:, total:]
        found[total:, total:][better] = other[better]
        least[total:, total:][better] = total
    return found, least
