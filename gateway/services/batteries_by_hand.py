"""Keeps what operators say that batteries shall do, over restarts."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.errors import RequestError, StoreError
from gateway.services.batteries import Batteries
from gateway.store import battery_by_hand as rows
from gateway.store.battery_by_hand import ByHand
from gateway.store.writer import Writer

READ_AGAIN_S: Final = 5.0
"""Real seconds until it is tried again to read what was said."""

_log = structlog.get_logger()


class BatteriesByHand:
    """Writes first, then lets it count. Loop thread only."""

    def __init__(self, batteries: Batteries, *, writer: Writer, clock: Clock) -> None:
        self._batteries = batteries
        self._writer = writer
        self._clock = clock

    async def run(self) -> None:
        """Restore what was said, then decide for all batteries, for ever."""
        while True:
            if await self._restored():
                break
            await asyncio.sleep(READ_AGAIN_S)
        await self._batteries.run()

    async def put(
        self, battery_id: str, power_w: int | None, until: datetime | None
    ) -> None:
        """Let an operator say what a battery does; ``None``: its rule says it again.

        Raises:
            RequestError: 404 no such controlled battery; 422 more than it can.
            StoreError: It was not stored, and does not count.
        """
        self._batteries.check_by_hand(battery_id, power_w)
        if power_w is None:
            await self._writer.run(partial(rows.forget, battery_id=battery_id))
        else:
            said = ByHand(battery_id=battery_id, power_w=power_w, until=until)
            await self._writer.run(partial(rows.put, said=said, now=self._clock.now()))
        self._batteries.set_by_hand(battery_id, power_w, until)

    async def _restored(self) -> bool:
        """Whether what was said could be read."""
        try:
            found = await self._writer.run(partial(rows.load, now=self._clock.now()))
        except StoreError as error:
            _log.warning("battery.by_hand_unread", why=str(error))
            return False
        for said in found:
            try:
                self._batteries.set_by_hand(said.battery_id, said.power_w, said.until)
            except RequestError as error:  # the configuration is another by now
                _log.warning(
                    "battery.by_hand_dropped",
                    battery_id=said.battery_id,
                    why=str(error),
                )
        return True
