"""The site map in words, for ``wattproof site check``."""

from collections.abc import Iterator

from gateway.domain.phases import plus
from gateway.domain.site_check import amperes, floors, other_loads, ratings
from gateway.domain.topology import (
    Cabinet,
    CurrentType,
    Evse,
    Load,
    Site,
    Station,
    exceeds,
    rotation_text,
)


def describe(site: Site) -> list[str]:
    """One line per cabinet, indented by depth, with what hangs behind it."""
    counts = ", ".join(
        counted(len(parts), name)
        for parts, name in (
            (site.cabinets, "cabinet"),
            (site.stations, "station"),
            (site.evses, "EVSE"),
        )
    )
    lines = [f"site {site.name}: {counts}"]
    for group in site.groups():
        for cabinet in group.cabinets:
            depth = len(site.path(cabinet.id)) - 1
            indent = "  " * (depth + 1)
            lines.extend(indent + line for line in _cabinet(site, cabinet))
    free = [station for station in site.stations if station.cabinet_id is None]
    if free:
        lines.append("  outside every cabinet (never limited):")
        lines.extend(f"    {line}" for s in free for line in _station(s))
    return lines


def counted(number: int, name: str) -> str:
    """A number of things: ``1 cabinet``, ``2 cabinets``."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _cabinet(site: Site, cabinet: Cabinet) -> Iterator[str]:
    below = site.group(cabinet.id)
    yield f"cabinet {cabinet.id}: limit {_limit(cabinet)}, mode {cabinet.mode}"
    yield (
        f"  floors {amperes(floors(below))} + other loads "
        f"{amperes(other_loads(below))} + margin {cabinet.margin_da / 10:g} A fit; "
        f"ratings sum to {amperes(ratings(below))}"
    )
    if exceeds(cabinet, plus(ratings(below), other_loads(below)), phase_v=site.phase_v):
        yield (
            "  ratings do not fit: until enough stations are proven to obey, this "
            "cabinet is in state commissioning and NOT protected"
        )
    if cabinet.feeder_meter is not None:
        yield f"  feeder meter {cabinet.feeder_meter}"
    for station in site.stations:
        if station.cabinet_id == cabinet.id:
            yield from (f"  {line}" for line in _station(station))
    yield from _equipment(site, cabinet)


def _equipment(site: Site, cabinet: Cabinet) -> Iterator[str]:
    """Everything behind a cabinet that is not a station."""
    for load in site.loads:
        if load.cabinet_id == cabinet.id:
            yield f"  load {load.id}: {_load(load)}"
    for pv in site.pvs:
        if pv.cabinet_id == cabinet.id:
            yield f"  PV {pv.id}: {pv.peak_w} W peak on {rotation_text(pv.phases)}"
    for battery in site.batteries:
        if battery.cabinet_id == cabinet.id:
            yield (
                f"  battery {battery.id}: {battery.capacity_wh} Wh, charges with "
                f"{battery.max_charge_w} W, discharges with {battery.max_discharge_w} W"
            )


def _limit(cabinet: Cabinet) -> str:
    parts = []
    if cabinet.limit_da is not None:
        parts.append(f"{amperes(cabinet.limit_da)} per phase")
    if cabinet.limit_w is not None:
        parts.append(f"{cabinet.limit_w} W")
    return " and ".join(parts)


def _station(station: Station) -> Iterator[str]:
    kind = "" if station.managed else ", not managed: counts with its rating"
    yield f"station {station.id}{kind}"
    for evse in station.evses:
        yield f"  EVSE {evse.ref.evse_id}: {_evse(evse)}"


def _evse(evse: Evse) -> str:
    wiring = rotation_text(evse.phases)
    floor = f"floor {evse.floor_a:g} A"
    if evse.current_type is CurrentType.DC:
        return (
            f"DC {evse.rating_w} W ({evse.max_a:g} A at the supply on {wiring}), "
            f"{floor}"
        )
    return f"AC {evse.max_a:g} A on {wiring}, from {evse.min_a:g} A, {floor}"


def _load(load: Load) -> str:
    return (
        f"at worst {load.worst_case_da / 10:g} A on {rotation_text(load.phases)}, "
        f"{load.source}, stale after {load.stale_after_s} s"
    )
