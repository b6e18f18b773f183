"""What the public may see of the site while it runs: packed status of public assets.

In every timestep what changed is sealed as a leaf of the log, whether a chain is there
or not; the next head carries it there. Never anything of a car: neither its state of
charge nor who drives it.
"""

import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Final

from gateway.domain.assets import Battery, Cabinet, Pv, ServiceStatus, Station
from gateway.domain.envelope import NO_LIMIT, TOTAL, unix_s
from gateway.domain.events import Availability, ChargingState
from gateway.domain.ids import EvseRef
from gateway.domain.publicity import is_shown
from gateway.domain.topology import Evse, Site
from gateway.services import loads
from gateway.services.asset_register import cabinet_rating_w, evse_asset_id
from gateway.services.battery_levels import Heard
from gateway.services.loads import LoadReading, Threshold
from gateway.services.subtrees import Write
from gateway.store import settings
from ledger.public_leaves import seal_status
from ledger.settle import AssetKind, asset_id

RECORD: Final = struct.Struct(">4sBiI")
"""Reference, state, power in W, limit in W (``contracts/README.md``, Layouts)."""
MAX_W: Final = 2**31 - 1
NOT_KNOWN: Final = 2**32 - 1
"""The energy in a battery that does not tell."""


class StatusCode(IntEnum):
    """State codes of EVSEs in packed status."""

    UNKNOWN = 0
    AVAILABLE = 1
    CHARGING = 2
    SUSPENDED = 3
    OCCUPIED = 4
    OUT_OF_SERVICE = 5


class FlowCode(IntEnum):
    """State codes of PV inverters, batteries and cabinets in packed status."""

    UNKNOWN = 0
    IDLE = 1
    DRAWING = 2
    FEEDING = 3
    OUT_OF_SERVICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicStatus:
    """What the status of public assets follows from, besides the database.

    Attributes:
        site: The site as it is now.
        limit_w: The limit in force of an EVSE, W; ``None``: its rating.
        heard: What a battery said last of itself; ``None``: nothing.
    """

    site: Callable[[], Site]
    limit_w: Callable[[EvseRef], int | None]
    heard: Callable[[str], Heard | None]

    def records(self, conn: sqlite3.Connection, now: datetime) -> Iterator[bytes]:
        """The status of every public asset."""
        site = self.site()
        thresholds = _thresholds(conn, now)
        readings = _readings(conn)
        for station in site.stations:
            for evse in station.evses:
                if evse.public and is_shown(site, station):
                    yield self._evse(conn, site, station, evse)
        for pv in site.pvs:
            if pv.public and is_shown(site, pv):
                power_w = _power_w(site, pv, readings.get(pv.id), now)
                delivered_w = None if power_w is None else -power_w
                yield _flow(site, AssetKind.PV_INVERTER, pv, delivered_w, pv.peak_w)
        for battery in site.batteries:
            if battery.public and is_shown(site, battery):
                yield self._battery(site, battery, readings.get(battery.id), now)
        for cabinet in site.cabinets:
            if cabinet.public and is_shown(site, cabinet):
                limit_w = _cabinet_limit_w(site, cabinet, thresholds, now)
                reading = readings.get(cabinet.feeder_meter or "")
                power_w = _power_w(site, cabinet, reading, now)
                yield _flow(site, AssetKind.CABINET, cabinet, power_w, limit_w)

    def _evse(
        self, conn: sqlite3.Connection, site: Site, station: Station, evse: Evse
    ) -> bytes:
        state, power_w = _seen(conn, evse)
        is_used = state in {StatusCode.CHARGING, StatusCode.SUSPENDED}
        if _is_out(station) and not is_used:  # what it does says more
            state = StatusCode.OUT_OF_SERVICE
        limit_w = self.limit_w(evse.ref)
        shown_w = evse.rating_w if limit_w is None else limit_w
        return _packed(evse_asset_id(site, evse), state, power_w, shown_w)

    def _battery(
        self, site: Site, battery: Battery, reading: LoadReading | None, now: datetime
    ) -> bytes:
        """What a battery does and holds; its readings count more than it draws."""
        heard = self.heard(battery.id)
        power_w = _power_w(site, battery, reading, now)
        energy_wh: float = NOT_KNOWN
        stale = timedelta(seconds=battery.stale_after_s)
        if heard is not None and now - stale < heard.at <= now + stale:
            power_w = power_w if heard.power_w is None else heard.power_w
            energy_wh = energy_wh if heard.energy_wh is None else heard.energy_wh
        return _flow(site, AssetKind.BATTERY, battery, power_w, energy_wh)


class StatusLeaves:
    """Seals the status of what changed, once in a timestep.

    Args:
        status: Says what it is.
        step_s: Length of a timestep, site seconds.
    """

    def __init__(self, *, status: PublicStatus, step_s: int) -> None:
        self._status = status
        self._step = timedelta(seconds=step_s)
        self._due: datetime | None = None
        self._sealed: dict[bytes, bytes] = {}

    def step(self, write: Write, now: datetime, *, flush: bool = False) -> None:
        """Seal what is due; ``flush``: whatever there is, now.

        After a start everything is sealed once more: what was last is not looked up.

        Raises:
            StoreError: The database refused.
        """
        if self._due is not None and now < self._due and not flush:
            return
        self._sealed = write(partial(self._seal, now=now))
        self._due = now + self._step

    def _seal(self, conn: sqlite3.Connection, now: datetime) -> dict[bytes, bytes]:
        newest = {one[:4]: one for one in self._status.records(conn, now)}
        changed = [
            one
            for reference, one in newest.items()
            if self._sealed.get(reference) != one
        ]
        if changed:
            seal_status(conn, b"".join(changed), now)
        return newest


def _flow(
    site: Site,
    kind: AssetKind,
    asset: Pv | Battery | Cabinet,
    power_w: float | None,
    last: float,
) -> bytes:
    rounded = round(power_w or 0.0)
    if rounded:
        state = FlowCode.DRAWING if rounded > 0 else FlowCode.FEEDING
    elif _is_out(asset):
        state = FlowCode.OUT_OF_SERVICE
    else:
        state = FlowCode.UNKNOWN if power_w is None else FlowCode.IDLE
    return _packed(asset_id(site.name, kind, asset.id), state, power_w or 0.0, last)


def _packed(identifier: bytes, state: IntEnum, power_w: float, last: float) -> bytes:
    return RECORD.pack(
        identifier[:4],
        state,
        max(-MAX_W, min(round(power_w), MAX_W)),
        max(0, min(round(last), NOT_KNOWN)),
    )


def _is_out(asset: Station | Pv | Battery | Cabinet) -> bool:
    return asset.service_status is not ServiceStatus.IN_SERVICE


def _power_w(
    site: Site,
    asset: Pv | Battery | Cabinet,
    reading: LoadReading | None,
    now: datetime,
) -> float | None:
    """What a fresh reading says of an asset, W; ``None``: there is none."""
    if isinstance(asset, Cabinet):
        stale_after_s = asset.feeder_stale_after_s
    else:
        stale_after_s = asset.stale_after_s
    if reading is None or loads.fresh_end(stale_after_s, reading, now) is None:
        return None
    if reading.power_w is not None:
        return reading.power_w
    if reading.current_da is None:
        return None
    return sum(reading.current_da) * site.phase_v / 10


def _cabinet_limit_w(
    site: Site, cabinet: Cabinet, thresholds: list[Threshold], now: datetime
) -> float:
    """The limit in force of a cabinet over all phases: its own, or a threshold."""
    drawn = loads.limit_draw(
        cabinet, thresholds, at_s=unix_s(now), phase_v=site.phase_v
    )
    bounds_da = [drawn[TOTAL], sum(drawn[:TOTAL])]
    known_w = [da * site.phase_v / 10 for da in bounds_da if da < NO_LIMIT]
    return min([*known_w, float(cabinet_rating_w(cabinet, site.phase_v))])


def _thresholds(conn: sqlite3.Connection, now: datetime) -> list[Threshold]:
    return [
        Threshold(
            cabinet_id=row.cabinet_id,
            set_at=row.set_at,
            limit_da=row.limit_da,
            limit_w=row.limit_w,
            from_at=row.from_at,
            until_at=row.until_at,
        )
        for row in settings.thresholds(conn, now)
    ]


def _readings(conn: sqlite3.Connection) -> dict[str, LoadReading]:
    return {
        name: LoadReading(
            load_id=name,
            measured_at=row.measured_at,
            current_da=row.current_da,
            power_w=row.power_w,
        )
        for name, row in settings.readings(conn).items()
    }


def _seen(conn: sqlite3.Connection, evse: Evse) -> tuple[StatusCode, float]:
    key = (evse.ref.station_id, evse.ref.evse_id)
    running = conn.execute(
        "SELECT charging_state, power_w FROM session"
        " WHERE station_id = ? AND evse_id = ? AND phase = 'running'",
        key,
    ).fetchall()
    power_w = sum(row[1] or 0.0 for row in running)
    states = {row[0] for row in running}
    if ChargingState.CHARGING in states:
        return StatusCode.CHARGING, power_w
    if running:
        return StatusCode.SUSPENDED, power_w
    row = conn.execute(
        "SELECT availability FROM evse_status WHERE station_id = ? AND evse_id = ?"
        " ORDER BY received_at DESC LIMIT 1",
        key,
    ).fetchone()
    match None if row is None else row[0]:
        case None:
            return StatusCode.UNKNOWN, power_w
        case Availability.AVAILABLE | Availability.RESERVED:
            return StatusCode.AVAILABLE, power_w
        case Availability.OCCUPIED:
            return StatusCode.OCCUPIED, power_w
        case _:
            return StatusCode.OUT_OF_SERVICE, power_w
