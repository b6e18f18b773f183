"""What of a site may be public, and where that stands.

A public asset is registered on a chain with its position, for ever. One whose position
nobody knows is refused by the configuration, and never shown at 0/0.
"""

from collections.abc import Iterator

from gateway.domain.assets import Battery, Cabinet, Position, Pv, Station
from gateway.domain.ids import CabinetId
from gateway.domain.site_check import Problem
from gateway.domain.topology import Site

NOWHERE = Position(latitude_deg=0.0, longitude_deg=0.0)
"""In the Gulf of Guinea: what unknown coordinates become by mistake."""


def place_of(site: Site, asset: Cabinet | Station | Pv | Battery) -> Position | None:
    """Where an asset stands: its own place, its cabinet's or one above, the site's."""
    if asset.position is not None:
        return asset.position
    if isinstance(asset, Cabinet):
        return _near(site, asset.parent)
    return _near(site, asset.cabinet_id)


def is_shown(site: Site, asset: Cabinet | Station | Pv | Battery) -> bool:
    """Whether an asset has a place that can be published."""
    return place_of(site, asset) not in {None, NOWHERE}


def problems(site: Site) -> Iterator[Problem]:
    """Public assets that have no place."""
    for cabinet in site.cabinets:
        if cabinet.public and not is_shown(site, cabinet):
            yield _unplaced("cabinet", cabinet.id)
    for station in site.stations:
        for evse in station.evses:
            if evse.public and not is_shown(site, station):
                yield _unplaced("evse", f"{station.id}/{evse.ref.evse_id}")
    for pv in site.pvs:
        if pv.public and not is_shown(site, pv):
            yield _unplaced("pv", pv.id)
    for battery in site.batteries:
        if battery.public and not is_shown(site, battery):
            yield _unplaced("battery", battery.id)


def _near(site: Site, cabinet_id: CabinetId | None) -> Position | None:
    above = () if cabinet_id is None else site.path(cabinet_id)
    found = (cabinet.position for cabinet in above if cabinet.position is not None)
    return next(found, site.position)


def _unplaced(part: str, part_id: str) -> Problem:
    own = "its station" if part == "evse" else "it"
    above = "a cabinet above" if part == "cabinet" else "its cabinet"
    return Problem(
        part=part,
        part_id=part_id,
        field="public",
        text="what is public is registered with its position: set latitude_deg and"
        f" longitude_deg of {own}, of {above} or of [site] (0/0 is in the sea),"
        " or public = false",
    )
