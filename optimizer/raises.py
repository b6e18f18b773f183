"""The best raise of one session: from what it has, up to what still fits.

Greedy packing asks for it thousands of times in a step, mostly with the same answers,
so each is worked out once.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Self

from optimizer.layout import Layout
from optimizer.worth import Offer


@dataclass(slots=True, kw_only=True)
class Raises:
    """What one session may be raised to, and what that is worth.

    Attributes:
        values: Permitted currents, 0.1 A, rising from 0.
        worths: Of each.
        n_phase: Phases that the session is counted on.
    """

    values: list[int]
    worths: list[int]
    n_phase: int
    _rows: dict[int, list[tuple[int, int] | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, offer: Offer) -> Self:
        """Take over what a session is offered."""
        return cls(
            values=[value for value, _ in offer.values],
            worths=[worth for _, worth in offer.values],
            n_phase=len(layout.problem.sessions[offer.index].phases),
        )

    def best(self, now_da: int, bound_da: int) -> tuple[int, int] | None:
        """The raise with the most worth gained per 0.1 A and phase, rounded down.

        Args:
            now_da: What the session has: one of ``values``.
            bound_da: What it may have at most.

        Returns:
            The gain and the current, of equals the larger current; ``None``: no raise
            gains anything.
        """
        last = bisect_right(self.values, bound_da) - 1
        if last < 0:
            return None
        row = self._rows.get(now_da)
        if row is None:
            row = self._rows[now_da] = self._row(now_da)
        return row[last]

    def _row(self, now_da: int) -> list[tuple[int, int] | None]:
        """By the last value that fits."""
        base = self.worths[self.values.index(now_da)]
        row: list[tuple[int, int] | None] = []
        best: tuple[int, int] | None = None
        for value, worth in zip(self.values, self.worths, strict=True):
            if value > now_da and worth > base:
                rate = (worth - base) // ((value - now_da) * self.n_phase)
                found = (rate, value)
                best = found if best is None else max(best, found)
            row.append(best)
        return row
