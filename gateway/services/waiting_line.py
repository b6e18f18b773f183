"""Hands out a few things to many who wait, the urgent ones first."""

import asyncio
import heapq
import itertools
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingLine(Generic[T]):
    """Whoever is urgent comes before whoever is not; else first come, first served."""

    def __init__(self) -> None:
        self._idle: list[T] = []
        self._waiting: list[tuple[bool, int, asyncio.Future[T]]] = []
        self._numbers = itertools.count()

    async def get(self, *, is_urgent: bool) -> T:
        """Wait for one; a caller that is cancelled leaves the line with nothing."""
        if self._idle:
            return self._idle.pop()
        place: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not is_urgent, next(self._numbers), place))
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.put(place.result())  # it came in the same moment
            raise

    def put(self, one: T) -> None:
        """Give one to the first in line, or keep it."""
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(one)
                return
        self._idle.append(one)
