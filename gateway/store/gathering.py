"""Portions for another thread, as large as patience allows.

A writer that woke up while the loop still decodes messages would fight it for the
interpreter at every statement, and what a commit costs by itself, some hundreds of
microseconds, would weigh on few messages. So what comes in is handed over when a turn
of the loop has brought no more; and while thousands come in each second, portions
follow each other at a pace, a few milliseconds apart.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 0.005
"""Real seconds that the first of a portion may wait for the loop to rest."""
PACE_S: Final = 0.008
"""Real seconds from one portion to the next while many come."""
MANY_PER_S: Final = 3_000.0
"""From this rate on a pace is kept; below it, commits for a few do no harm."""
WINDOW_S: Final = 0.1
"""Over which the rate is counted."""
PLENTY: Final = 256
"""A portion of this size waits for no more."""


class Gathering(Generic[T]):
    """Collects and hands over. Loop thread only.

    Args:
        loop: Whose turns count.
        hand_over: Takes each portion, never an empty one.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[list[T]], None]
    ) -> None:
        self._loop = loop
        self._hand_over = hand_over
        self._found: list[T] = []
        self._due_s = 0.0
        self._given_s = 0.0
        self._has_pace = False
        self._n_counted = 0
        self._counted_from_s = 0.0

    def add(self, one: T) -> None:
        """Collect one more."""
        if not self._found:
            self._due_s = self._loop.time() + PATIENCE_S
            self._loop.call_soon(self._look, 0)
        self._found.append(one)

    def give(self) -> None:
        """Hand over what is there."""
        if not self._found:
            return
        found, self._found = self._found, []
        self._given_s = now_s = self._loop.time()
        self._n_counted += len(found)
        spent_s = now_s - self._counted_from_s
        if spent_s >= WINDOW_S:
            self._has_pace = self._n_counted >= MANY_PER_S * spent_s
            self._n_counted, self._counted_from_s = 0, now_s
        self._hand_over(found)

    def _look(self, n_before: int) -> None:
        """After a turn: wait while each brings more, and for the pace."""
        n_now = len(self._found)
        if n_now >= PLENTY or self._loop.time() >= self._due_s:
            self.give()
        elif n_now > n_before:
            self._loop.call_soon(self._look, n_now)
        elif self._has_pace and self._loop.time() < self._given_s + PACE_S:
            self._loop.call_at(self._given_s + PACE_S, self.give)
        else:
            self.give()
