"""Best worths for every budget, with the standard library alone.

The verifier's twin of ``optimizer.maxplus_fast``: the same numbers, only slower. A
table is a list whose entry u is the best worth of some sessions that together take at
most u units; it never falls. Ties go to the smallest current.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One session as the tables see it.

    Attributes:
        number: Its place in what is chosen.
        phases: Where its current counts.
        is_inner: It is behind the inner cabinet too, see ``knapsack.Crowd``.
        weights: Units per option, not falling, the first one 0.
        worths: Of each option.
    """

    number: int
    phases: tuple[int, ...]
    is_inner: bool = False
    weights: tuple[int, ...]
    worths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Best worth of some items for every budget, and how it comes about.

    Attributes:
        items: Whose.
        best: Shape (n_budget,).
        choices: Per item, shape (n_budget,): its option within that budget.
    """

    items: Sequence[Item]
    best: list[int]
    choices: Sequence[Sequence[int]]

    def at(self, budget: int) -> int:
        """Return the best worth within a budget."""
        return self.best[min(budget, len(self.best) - 1)]

    def steps(self) -> list[int]:
        """Return every budget that is worth more than the one below it, and 0."""
        return [
            budget
            for budget, worth in enumerate(self.best)
            if budget == 0 or worth > self.best[budget - 1]
        ]

    def trace(self, budget: int, chosen: list[int]) -> None:
        """Write the options behind a budget into ``chosen``, from the last item on."""
        budget = min(budget, len(self.best) - 1)
        for item, choice in zip(
            reversed(self.items), reversed(self.choices), strict=True
        ):
            option = int(choice[budget])
            chosen[item.number] = option
            budget -= item.weights[option]


class Kernel(Protocol):
    """Who computes the tables."""

    def table(self, items: Sequence[Item], cap: int) -> Table:
        """Return the table of some items for budgets up to ``cap``."""
        ...

    def merge(self, left: list[int], right: list[int], cap: int) -> list[int]:
        """Return the best worths of two tables that share each budget up to ``cap``."""
        ...


class Plain:
    """The kernel of the verifier."""

    def table(self, items: Sequence[Item], cap: int) -> Table:
        """See ``Kernel``.

        Worth and option travel in one integer, so that the larger one is the better
        worth and, of equals, the earlier option.
        """
        size = table_size(items, cap)
        best = [0] * size
        choices: list[list[int]] = []
        for item in items:
            count = len(item.weights)
            before = [worth * count for worth in best]
            now = [-1] * size
            for option, (weight, worth) in enumerate(
                zip(item.weights, item.worths, strict=True)
            ):
                if weight >= size:
                    break
                add = worth * count + count - 1 - option
                found = [base + add for base in before[: size - weight]]
                now[weight:] = map(max, now[weight:], found) if option else found
            best = [both // count for both in now]
            choices.append([count - 1 - both % count for both in now])
        return Table(items=items, best=best, choices=choices)

    def merge(self, left: list[int], right: list[int], cap: int) -> list[int]:
        """See ``Kernel``."""
        size = min(cap, len(left) + len(right) - 2) + 1
        full = right + right[-1:] * (size - len(right))
        found = [left[0] + worth for worth in full[:size]]
        for share, worth in enumerate(left[1:size], start=1):
            found[share:] = map(
                max, found[share:], [worth + other for other in full[: size - share]]
            )
        return found


def table_size(items: Sequence[Item], cap: int) -> int:
    """Return how many budgets matter: 0 up to the cap or to all that can be taken."""
    return max(0, min(cap, sum(item.weights[-1] for item in items))) + 1
