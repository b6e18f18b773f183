"""Registers what the site is made of: cabinets, EVSEs, PV inverters and batteries.

What the configuration and the API say of an asset is one leaf of the log and one update
on the chain, each time it changed; what leaves the site is retired. A private asset is
registered only as a salted commitment: what is public once cannot be erased.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from gateway.domain.assets import Battery, Cabinet, Pv, ServiceStatus, Station
from gateway.domain.ids import StationId
from gateway.domain.publicity import is_shown, place_of
from gateway.domain.tariff import Tariff
from gateway.domain.topology import Evse, Site
from gateway.services.subtrees import Write
from gateway.store import money
from gateway.store.times import to_text
from ledger import asset_queue, record
from ledger.settle import Asset, AssetKind, AssetStatus, asset_id

MILLIWH_PER_WH: Final = 1000
MAX_UINT32: Final = 2**32 - 1
_CODES: Final = {
    ServiceStatus.PLANNED: AssetStatus.PLANNED,
    ServiceStatus.IN_SERVICE: AssetStatus.IN_SERVICE,
    ServiceStatus.OUT_OF_SERVICE: AssetStatus.OUT_OF_SERVICE,
    ServiceStatus.RETIRED: AssetStatus.RETIRED,
}
TariffIdOf = Callable[[StationId], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An asset in full.

    Attributes:
        asset: What the registry shows of it.
        body: The record of its leaf.
    """

    asset: Asset
    body: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """All that registrations follow from.

    Attributes:
        tariffs: Of each station, in their order.
    """

    site: Site
    tariffs: tuple[Tariff | None, ...]


class AssetRegister:
    """Queues what is new, changed or gone, in one transaction with its leaves.

    Args:
        site: The site as it is now.
        tariff_id_of: Which tariff a station charges by; ``None`` for none.
    """

    def __init__(self, *, site: Callable[[], Site], tariff_id_of: TariffIdOf) -> None:
        self._site = site
        self._tariff_id_of = tariff_id_of
        self._done: _Basis | None = None

    def step(self, write: Write, now: datetime) -> None:
        """Register what changed; cheap while nothing did.

        Raises:
            StoreError: The database refused.
        """
        self._done = write(partial(self._register, now=now))

    def _register(self, conn: sqlite3.Connection, now: datetime) -> _Basis:
        site = self._site()
        stored = {one.tariff.id: one.tariff for one in money.all_tariffs(conn)}
        basis = _Basis(
            site=site,
            tariffs=tuple(stored.get(self._of(one.id)) for one in site.stations),
        )
        if basis != self._done:
            chosen = {
                one.id: tariff
                for one, tariff in zip(site.stations, basis.tariffs, strict=True)
            }
            register_assets(conn, site=site, tariff_of=chosen.get, now=now)
        return basis

    def _of(self, station_id: StationId) -> str:
        return self._tariff_id_of(station_id) or ""


def register_assets(
    conn: sqlite3.Connection,
    *,
    site: Site,
    tariff_of: Callable[[StationId], Tariff | None],
    now: datetime,
) -> int:
    """Queue every asset that is new, changed or gone, in the caller's transaction.

    Returns:
        How many were queued.
    """
    sealed_at = to_text(now)
    described = list(describe(site, tariff_of))
    queued = sum(
        asset_queue.register(conn, one.asset, one.body, sealed_at) for one in described
    )
    here = {one.asset.asset_id.hex() for one in described}
    for identifier, last in asset_queue.known_assets(conn).items():
        if identifier in here or last["status"] == AssetStatus.RETIRED:
            continue
        if _is_left_out(conn, site, identifier):
            continue
        kind = AssetKind(last["kind"])
        more = {
            "asset_kind": kind.name.lower(),
            "is_public": bool(last["is_public"]),
            "service_status": ServiceStatus.RETIRED.value,
        }
        asset_queue.retire(conn, last, AssetStatus.RETIRED, more, sealed_at)
        queued += 1
    return queued


def _is_left_out(conn: sqlite3.Connection, site: Site, identifier: str) -> bool:
    """Whether an EVSE is missing only because its station does not fit the site now.

    The station is registered and was left out at the start: it comes back.
    """
    stored = asset_queue.newest_record(conn, identifier)
    body = {} if stored is None else record.parse(stored).body
    station_id, is_evse, _evse_id = str(body.get("name", "")).rpartition("/")
    if not is_evse or site.station(StationId(station_id)) is not None:
        return False
    found = conn.execute("SELECT 1 FROM station WHERE station_id = ?", (station_id,))
    return found.fetchone() is not None


def evse_asset_id(site: Site, evse: Evse) -> bytes:
    """Identifier of an EVSE in the registry; 32 bytes."""
    name = f"{evse.ref.station_id}/{evse.ref.evse_id}"
    return asset_id(site.name, AssetKind.CHARGE_POINT, name)


def describe(
    site: Site, tariff_of: Callable[[StationId], Tariff | None]
) -> Iterator[Described]:
    """All assets of a site."""
    for cabinet in site.cabinets:
        yield _described(
            site,
            cabinet,
            AssetKind.CABINET,
            cabinet.id,
            is_public=cabinet.public,
            rated_w=cabinet_rating_w(cabinet, site.phase_v),
            feeder=cabinet.parent,
        )
    for station in site.stations:
        tariff = tariff_of(station.id)
        for evse in station.evses:
            yield _described(
                site,
                station,
                AssetKind.CHARGE_POINT,
                f"{station.id}/{evse.ref.evse_id}",
                is_public=evse.public,
                rated_w=evse.rating_w,
                feeder=evse.cabinet_id,
                tariff=tariff,
            )
    for pv in site.pvs:
        yield _described(
            site,
            pv,
            AssetKind.PV_INVERTER,
            pv.id,
            is_public=pv.public,
            rated_w=pv.peak_w,
            feeder=pv.cabinet_id,
        )
    for battery in site.batteries:
        yield _described(
            site,
            battery,
            AssetKind.BATTERY,
            battery.id,
            is_public=battery.public,
            rated_w=max(battery.max_charge_w, battery.max_discharge_w),
            feeder=battery.cabinet_id,
            capacity_milliwh=battery.capacity_wh * MILLIWH_PER_WH,
            more={
                "max_charge_w": battery.max_charge_w,
                "max_discharge_w": battery.max_discharge_w,
            },
        )


def cabinet_rating_w(cabinet: Cabinet, phase_v: float) -> int:
    """The lowest of a cabinet's limits, over all phases."""
    limits = [] if cabinet.limit_w is None else [cabinet.limit_w]
    if cabinet.committed_da is not None:
        limits.append(int(sum(cabinet.committed_da) * phase_v / 10))
    return min(limits, default=0)


def _described(  # one argument for each member that differs by kind
    site: Site,
    owned: Cabinet | Station | Pv | Battery,
    kind: AssetKind,
    name: str,
    *,
    is_public: bool,
    rated_w: int,
    feeder: str | None,
    capacity_milliwh: int = 0,
    tariff: Tariff | None = None,
    more: Mapping[str, object] | None = None,
) -> Described:
    """Describe an asset; one without a place that can be shown is never public."""
    identifier = asset_id(site.name, kind, name)
    parent = None if feeder is None else asset_id(site.name, AssetKind.CABINET, feeder)
    place = place_of(site, owned)
    latitude_e7 = None if place is None else round(place.latitude_deg * 1e7)
    longitude_e7 = None if place is None else round(place.longitude_deg * 1e7)
    is_public = is_public and is_shown(site, owned)
    owner = owned.owner or site.owner
    price_micro = 0 if tariff is None else tariff.most_micro_per_kwh
    status = owned.service_status
    asset = Asset(
        asset_id=identifier,
        kind=kind,
        status=_CODES[status],
        is_public=is_public,
        parent_id=parent,
    )
    if is_public and latitude_e7 is not None and longitude_e7 is not None:
        asset = replace(
            asset,
            latitude_e7=latitude_e7,
            longitude_e7=longitude_e7,
            rated_power_w=min(rated_w, MAX_UINT32),
            price_micro_per_kwh=min(price_micro, MAX_UINT32),
            capacity_milliwh=capacity_milliwh,
            owner=owner,
        )
    elif status is not ServiceStatus.RETIRED:  # whether it is used is nobody's business
        asset = replace(asset, status=AssetStatus.IN_SERVICE)
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
        "price_micro_per_kwh": price_micro,
        "currency": None if tariff is None else tariff.currency,
        "parent_id": None if parent is None else parent.hex(),
        "owner": owner,
        "service_status": status.value,
        **(more or {}),
    }
    return Described(asset=asset, body=body)
