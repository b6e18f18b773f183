"""Best worths for every budget, with the standard library alone.

The verifier's twin of ``optimizer.maxplus_fast``: the same numbers, only slower. A
table is a list whose entry u is the best worth of some sessions that together take at
most u units; it never falls. Ties go to the smallest current.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of cars that share three phases.

    Attributes:
        shared: Of the cars on all phases.
        pairs: Of those on L1+L2, L1+L3, L2+L3.
        singles: Of those on L1, L2, L3.
        cap: Units per phase.
    """

    shared: Table
    pairs: tuple[Table, Table, Table]
    singles: tuple[Table, Table, Table]
    cap: tuple[int, int, int]

    def effort(self) -> int:
        """Return how many totals a search of all of them looks at."""
        of12, of13, of23 = (len(table.steps()) for table in self.pairs)
        totals = len(self.shared.steps()) * of13 * of23
        if of12 == 1:
            return totals
        one, two, _ = (
            min(cap + 1, len(self.shared.best) + sum(len(t.best) for t in tables))
            for cap, tables in zip(
                self.cap,
                (
                    (self.singles[0], *self.pairs[:2]),
                    (self.singles[1], self.pairs[0], self.pairs[2]),
                    (self.singles[2], *self.pairs[1:]),
                ),
                strict=True,
            )
        )
        return totals + one * two * of12


class Kernel(Protocol):
    """Who computes the tables."""

    def table(self, items: Sequence[Item], cap: int) -> Table:
        """Return the table of some items for budgets up to ``cap``."""
        ...

    def merge(self, left: list[int], right: list[int], cap: int) -> list[int]:
        """Return the best worths of two tables that share each budget up to ``cap``."""
        ...

    def split(
        self, shared: list[int], rows: Sequence[list[int]], caps: Sequence[int]
    ) -> tuple[int, int]:
        """Return the best worth of a shared total and the rest, and the least total.

        A total x takes x from the budget of every row, a table per phase.
        """
        ...

    def search(self, tables: Tables) -> tuple[int, int, int, int]:
        """Return the best totals: of all phases, L1+L3, L2+L3, L1+L2.

        Of equals the smallest, compared in this order.
        """
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

    def split(
        self, shared: list[int], rows: Sequence[list[int]], caps: Sequence[int]
    ) -> tuple[int, int]:
        """See ``Kernel``."""
        found = [
            worth
            + sum(
                row[min(cap - x, len(row) - 1)]
                for row, cap in zip(rows, caps, strict=True)
            )
            for x, worth in enumerate(shared[: min(caps) + 1])
        ]
        top = max(found)
        return top, found.index(top)

    def search(self, tables: Tables) -> tuple[int, int, int, int]:
        """See ``Kernel``."""
        shared, (pair12, pair13, pair23) = tables.shared, tables.pairs
        one, two, three = tables.singles
        cap1, cap2, cap3 = tables.cap
        steps12, most = pair12.steps(), pair12.best[-1]
        reached: dict[tuple[int, int], tuple[int, int]] = {}
        best: tuple[int, int, int, int, int] | None = None
        # What three-phase and single-phase cars reach alone: less is not looked at.
        known = pair12.best[0] + pair13.best[0] + pair23.best[0]
        known += self.split(shared.best, (one.best, two.best, three.best), tables.cap)[
            0
        ]
        for x, b, c in product(shared.steps(), pair13.steps(), pair23.steps()):
            r1, r2, r3 = cap1 - x - b, cap2 - x - c, cap3 - x - b - c
            if min(r1, r2, r3) < 0:
                continue
            fixed = shared.best[x] + pair13.best[b] + pair23.best[c] + three.at(r3)
            bound = fixed + most + one.at(r1) + two.at(r2)
            if bound < known or (best is not None and bound <= best[0]):
                continue
            if (r1, r2) not in reached:
                reached[r1, r2] = max(
                    (pair12.best[a] + one.at(r1 - a) + two.at(r2 - a), -a)
                    for a in steps12
                    if a <= min(r1, r2)
                )
            worth, minus_a = reached[r1, r2]
            if best is None or fixed + worth > best[0]:
                best = (fixed + worth, x, b, c, -minus_a)
        assert best is not None  # nothing for anyone always fits
        return best[1:]


def table_size(items: Sequence[Item], cap: int) -> int:
    """Return how many budgets matter: 0 up to the cap or to all that can be taken."""
    return max(0, min(cap, sum(item.weights[-1] for item in items))) + 1
