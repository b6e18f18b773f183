"""Best worths for every budget, with numpy: what plans are made with.

The same numbers as ``optimizer.maxplus``, which says what they mean. All sums stay
within 64 bits, see ``optimizer.worth``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optimizer.maxplus import Item, Table, table_size

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
        full = np.array(right + right[-1:] * (size - len(right)), dtype=np.int64)
        full = full[:size]
        found = left[0] + full
        for share, worth in enumerate(left[1:size], start=1):
            np.maximum(found[share:], worth + full[: size - share], out=found[share:])
        merged: list[int] = found.tolist()
        return merged
