"""What the public may see of the site: registered assets, and their packed status.

A private asset is registered too, but only as a salted commitment: what is public once
cannot be erased. Status is published for public EVSEs, whenever it changed.
"""

import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from gateway.domain.events import Availability, ChargingState
from gateway.domain.ids import EvseRef
from gateway.domain.topology import Evse, Position, Site
from gateway.store.times import to_text
from ledger import record
from ledger.settle import Asset, AssetKind, AssetStatus, asset_id, asset_json
from ledger.sqlite_queues import queue_asset
from ledger.sqlite_store import SqliteStore, append_leaf

RECORD: Final = struct.Struct(">4sBiI")
"""Reference, state, power in W, limit in W (``contracts/README.md``, Layouts)."""
MAX_W: Final = 2**31 - 1
MILLIWH_PER_WH: Final = 1000


class StatusCode(IntEnum):
    """State codes of EVSEs in packed status."""

    UNKNOWN = 0
    AVAILABLE = 1
    CHARGING = 2
    SUSPENDED = 3
    OCCUPIED = 4
    OUT_OF_SERVICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """An asset for the registry, and the full record its leaf holds."""

    asset: Asset
    body: dict[str, object]


def register_assets(conn: sqlite3.Connection, *, site: Site, now: datetime) -> int:
    """Queue every asset that is new or changed, in the caller's transaction.

    Returns:
        How many were queued.
    """
    store = SqliteStore(conn)
    queued = 0
    for described in _assets(site):
        asset = described.asset
        data = record.canonical("asset", described.body)
        subject = asset.asset_id.hex()
        newest = store.leaves_of(subject)[-1:]
        if newest and newest[0].record == data:
            continue
        leaf_index = append_leaf(conn, "asset", subject, data, None, to_text(now))
        (committed,) = store.commitments(leaf_index, leaf_index + 1)
        shown = asset if asset.is_public else replace(asset, commitment=committed)
        queue_asset(conn, asset_json(shown))
        queued += 1
    return queued


class PublicStatus:
    """Packs the status of public EVSEs that changed since it was packed last.

    Args:
        site: The site as it is now.
        limit_w: The limit in force of an EVSE, W; ``None``: its rating.
    """

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        limit_w: Callable[[EvseRef], int | None],
    ) -> None:
        self._site = site
        self._limit_w = limit_w
        self._published: dict[bytes, bytes] = {}
        self._offered: dict[bytes, bytes] = {}

    def keep(self, is_kept: bool) -> None:
        """Hear that what was packed last will be published, or that an anchor failed.

        After a failure everything is packed again: which part of it was lost is not
        known, and to publish a state twice is harmless.
        """
        if is_kept:
            self._published |= self._offered
        else:
            self._published.clear()
        self._offered.clear()

    def pack(self, conn: sqlite3.Connection) -> bytes:
        """The records of what changed; a job for the writer or a reader.

        It is packed again until `keep` hears that it was taken.
        """
        self._offered.clear()
        changed = []
        site = self._site()
        for evse in site.evses:
            if not evse.public:
                continue
            reference = evse_asset_id(site, evse)[:4]
            state, power_w = _seen(conn, evse)
            limit_w = self._limit_w(evse.ref)
            packed = RECORD.pack(
                reference,
                state,
                max(-MAX_W, min(round(power_w), MAX_W)),
                min(evse.rating_w if limit_w is None else max(0, limit_w), MAX_W),
            )
            if self._published.get(reference) != packed:
                self._offered[reference] = packed
                changed.append(packed)
        return b"".join(changed)


def evse_asset_id(site: Site, evse: Evse) -> bytes:
    """Identifier of an EVSE in the registry; 32 bytes."""
    name = f"{evse.ref.station_id}/{evse.ref.evse_id}"
    return asset_id(site.name, AssetKind.CHARGE_POINT, name)


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


def _assets(site: Site) -> Iterator[_Described]:
    for cabinet in site.cabinets:
        above = None
        if cabinet.parent is not None:
            above = asset_id(site.name, AssetKind.CABINET, cabinet.parent)
        yield _described(
            site,
            AssetKind.CABINET,
            cabinet.id,
            position=cabinet.position,
            is_public=False,
            rated_w=0 if cabinet.limit_w is None else cabinet.limit_w,
            parent=above,
        )
    for station in site.stations:
        for evse in station.evses:
            yield _described(
                site,
                AssetKind.CHARGE_POINT,
                f"{station.id}/{evse.ref.evse_id}",
                position=station.position,
                is_public=evse.public,
                rated_w=evse.rating_w,
                parent=_parent(site, evse.cabinet_id),
            )
    for pv in site.pvs:
        yield _described(
            site,
            AssetKind.PV_INVERTER,
            pv.id,
            position=pv.position,
            is_public=pv.public,
            rated_w=pv.peak_w,
            parent=_parent(site, pv.cabinet_id),
        )
    for battery in site.batteries:
        yield _described(
            site,
            AssetKind.BATTERY,
            battery.id,
            position=battery.position,
            is_public=battery.public,
            rated_w=battery.max_discharge_w,
            parent=_parent(site, battery.cabinet_id),
            capacity_milliwh=battery.capacity_wh * MILLIWH_PER_WH,
        )


def _parent(site: Site, cabinet_id: str | None) -> bytes | None:
    if cabinet_id is None:
        return None
    return asset_id(site.name, AssetKind.CABINET, cabinet_id)


def _described(
    site: Site,
    kind: AssetKind,
    name: str,
    *,
    position: Position | None,
    is_public: bool,
    rated_w: int,
    parent: bytes | None,
    capacity_milliwh: int = 0,
) -> _Described:
    identifier = asset_id(site.name, kind, name)
    latitude_e7 = None if position is None else round(position.latitude_deg * 1e7)
    longitude_e7 = None if position is None else round(position.longitude_deg * 1e7)
    asset = Asset(
        asset_id=identifier,
        kind=kind,
        status=AssetStatus.IN_SERVICE,
        is_public=is_public,
        latitude_e7=latitude_e7 if is_public else None,
        longitude_e7=longitude_e7 if is_public else None,
        rated_power_w=rated_w if is_public else 0,
        capacity_milliwh=capacity_milliwh if is_public else 0,
        parent_id=parent,
    )
    body: dict[str, object] = {
        "asset_id": identifier.hex(),
        "asset_kind": kind.name.lower(),
        "name": name,
        "site": site.name,
        "is_public": is_public,
        "latitude_e7": latitude_e7,
        "longitude_e7": longitude_e7,
        "rated_power_w": rated_w,
        "capacity_milliwh": capacity_milliwh,
        "parent_id": None if parent is None else parent.hex(),
    }
    return _Described(asset=asset, body=body)
