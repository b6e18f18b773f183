"""Keys that stations tell among their settings: proposals, and an alarm at a change.

1.6 tells them by GetConfiguration, 2.0.1 by NotifyReport and GetVariables. Whoever can
speak for a station can tell any key, so none is trusted: it is shown to be compared
with the meter. One that is not the pinned one is told to people, once.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.ocmf import Curve
from gateway.errors import StoreError
from gateway.services.meter_key_alarm import raise_alarm
from gateway.services.meter_keys import MeterKey, MeterKeyError, parse_key
from gateway.services.signed_meter import MAX_SEEN_KEYS, KeyChanged
from gateway.store import signed, told_keys
from gateway.store.signed import SeenKey
from gateway.store.told_keys import ToldKey
from gateway.store.writer import Writer

EVERY_S: Final = 2.0
"""Real seconds between two looks."""
BATCH: Final = 100
"""Keys in one commit."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What came of one key."""

    station_id: StationId
    told: ToldKey
    key: MeterKey | None
    problem: str = ""
    changed: KeyChanged | None = None


class ToldKeys:
    """Looks at keys that stations have told; run it as a task.

    Args:
        writer: Has kept them.
        bus: For alarms.
        clock: Site time.
        every_s: Real seconds between two looks.
    """

    def __init__(
        self, *, writer: Writer, bus: Bus, clock: Clock, every_s: float = EVERY_S
    ) -> None:
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._every_s = every_s

    async def run(self) -> None:
        """Look, for ever; a store that fails costs one look."""
        while True:
            try:
                while await self.look() == BATCH:
                    pass
            except StoreError as error:
                _log.warning("meter.keys_not_looked_at", why=str(error))
            await asyncio.sleep(self._every_s)

    async def look(self) -> int:
        """Look at some keys that are new; how many there were.

        Raises:
            StoreError: Nothing was stored; they wait for the next look.
        """
        now = self._clock.now()
        found = await self._writer.run(partial(_look, now=now))
        for one in found:
            about = {
                "station_id": one.station_id,
                "evse_id": one.told.evse_id,
                "source": one.told.source,
            }
            if one.key is None:
                _log.warning("meter.key_unreadable", **about, why=one.problem)
            elif one.changed is None:
                _log.info("meter.key_told", **about, key=one.key.fingerprint)
            else:
                raise_alarm(self._bus, one.changed, now)
        return len(found)


def _look(conn: sqlite3.Connection, *, now: datetime) -> list[_Looked]:
    return [
        _look_at(conn, StationId(station_id), one, now)
        for station_id, one in told_keys.waiting(conn, BATCH)
    ]


def _look_at(
    conn: sqlite3.Connection, station_id: StationId, one: ToldKey, now: datetime
) -> _Looked:
    try:
        key = parse_key(one.value)
    except MeterKeyError as error:
        told_keys.examined(conn, station_id, one.source, None)
        return _Looked(station_id=station_id, told=one, key=None, problem=str(error))
    told_keys.examined(conn, station_id, one.source, (key.curve.value, key.point))
    seen = SeenKey(
        evse_id=one.evse_id,
        curve=key.curve.value,
        point=key.point,
        meter_serial=told_keys.serial_of(conn, station_id, one),
        first_seen_at=now,
        last_seen_at=now,
    )
    signed.note_seen(conn, station_id, seen, MAX_SEEN_KEYS)
    pinned = signed.pinned(conn, station_id, one.evse_id)
    changed = None
    if pinned is not None and (pinned.curve, pinned.point) != (seen.curve, seen.point):
        evse = EvseRef(
            station_id=station_id, evse_id=one.evse_id, connector_id=one.evse_id
        )
        known = MeterKey(curve=Curve(pinned.curve), point=pinned.point)
        changed = KeyChanged(evse=evse, pinned=known, sent=key)
    return _Looked(station_id=station_id, told=one, key=key, changed=changed)
