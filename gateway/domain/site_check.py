"""What is wrong with a site, and what its operator should know."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.limits import LimitUnit
from gateway.domain.topology import (
    Cabinet,
    CurrentType,
    Evse,
    Grid,
    Group,
    PerPhase,
    Site,
    Station,
    exceeds,
    plus,
)

MIN_LINES = 2
"""Without a neutral an asset needs two lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding.

    Attributes:
        part: ``site``, ``cabinet``, ``station``, ``evse``, ``load``, ``pv`` or
            ``battery``.
        part_id: Its id; ``station/evse`` for an EVSE, empty for the site.
        field: The setting, as in the configuration.
        text: What is wrong and how to fix it.
    """

    part: str
    part_id: str
    field: str
    text: str


def problems(site: Site) -> tuple[Problem, ...]:
    """Everything that keeps the site from being run safely; empty if nothing.

    Structure first: sums are only looked at once the tree is one.
    """
    structural = (
        *_duplicates(site),
        *_main_meters(site),
        *_controlled(site),
        *_cabinet_tree(site),
        *_placed(site),
        *(p for station in site.stations for p in _station(site, station)),
    )
    if structural:
        return structural
    return (*_nesting(site), *_floors(site))


def warnings(site: Site) -> tuple[Problem, ...]:
    """What is allowed but should be known."""
    found = []
    for group in site.groups():
        for cabinet in group.cabinets:
            below = site.group(cabinet.id)
            drawn = plus(ratings(below), other_loads(below))
            if cabinet.feeder_meter is None and exceeds(
                cabinet, drawn, phase_v=site.phase_v, margin_da=0
            ):
                text = (
                    "the ratings behind this cabinet exceed its limit: it needs an "
                    "independent meter (feeder_meter) to notice what disobeys"
                )
                found.append(
                    Problem(
                        part="cabinet",
                        part_id=cabinet.id,
                        field="feeder_meter",
                        text=text,
                    )
                )
    return tuple(found)


def ratings(group: Group) -> PerPhase:
    """Sum of what all EVSEs of a group may draw at most."""
    return plus(*(evse.rating for evse in group.evses))


def floors(group: Group) -> PerPhase:
    """Sum of what is reserved for the EVSEs of a group.

    An EVSE that is not managed keeps its rating: nobody can lower it.
    """
    return plus(
        *(
            evse.floor if station.managed else evse.rating
            for station in group.stations
            for evse in station.evses
        )
    )


def other_loads(group: Group) -> PerPhase:
    """Worst case of the other equipment and of charging batteries."""
    return plus(
        *(load.worst_case for load in group.loads),
        *(battery.charging for battery in group.batteries),
    )


def _duplicates(site: Site) -> Iterator[Problem]:
    metered = [
        *(("load", load.id, "id") for load in site.loads),
        *(("pv", pv.id, "id") for pv in site.pvs),
        *(("battery", battery.id, "id") for battery in site.batteries),
        *(
            ("cabinet", c.id, "feeder_meter", c.feeder_meter)
            for c in site.cabinets
            if c.feeder_meter is not None
        ),
    ]
    named = [(entry[-1] if len(entry) == 4 else entry[1], entry) for entry in metered]  # noqa: PLR2004 - a feeder carries its own id
    seen: set[str] = set()
    for name, entry in named:
        if name in seen:
            text = f"{name!r} names another load, PV, battery or feeder meter already"
            yield Problem(part=entry[0], part_id=entry[1], field=entry[2], text=text)
        seen.add(name)
    for part, ids in (
        ("cabinet", [str(c.id) for c in site.cabinets]),
        ("station", [str(s.id) for s in site.stations]),
    ):
        for name, count in Counter(ids).items():
            if count > 1:
                yield Problem(
                    part=part, part_id=name, field="id", text=f"{name!r} occurs twice"
                )


def _main_meters(site: Site) -> Iterator[Problem]:
    known = {
        *(load.id for load in site.loads),
        *(pv.id for pv in site.pvs),
        *(battery.id for battery in site.batteries),
        *(c.feeder_meter for c in site.cabinets),
    }
    named = Counter(s.main_meter for s in site.stations if s.main_meter is not None)
    for station in site.stations:
        meter, text = station.main_meter, None
        if meter is None:
            continue
        if meter not in known:
            text = f"no load, PV, battery or feeder meter {meter!r}"
        elif named[meter] > 1:
            text = f"{meter!r} is the main meter of another station already"
        if text is not None:
            yield Problem(
                part="station", part_id=station.id, field="main_meter", text=text
            )


def _controlled(site: Site) -> Iterator[Problem]:
    for battery in site.batteries:
        above = site.path(battery.cabinet_id)
        if battery.is_controlled and all(c.feeder_meter is None for c in above):
            yield Problem(
                part="battery",
                part_id=battery.id,
                field="control",
                text="a surplus is seen by a feeder meter only: its cabinet, or one "
                "that feeds it, needs feeder_meter",
            )


def _cabinet_tree(site: Site) -> Iterator[Problem]:
    for cabinet in site.cabinets:
        if cabinet.limit_da is None and cabinet.limit_w is None:
            yield _at(cabinet, "limit_a", "a cabinet needs limit_a or limit_w")
        if cabinet.parent is None:
            continue
        if site.cabinet(cabinet.parent) is None:
            yield _at(cabinet, "parent", f"no cabinet {cabinet.parent!r}")
        elif site.path(cabinet.id)[-1].parent is not None and not _dangling(
            site, cabinet
        ):
            yield _at(cabinet, "parent", "the cabinets feed each other in a circle")


def _dangling(site: Site, cabinet: Cabinet) -> bool:
    above = site.path(cabinet.id)[-1].parent
    return above is not None and site.cabinet(above) is None


def _placed(site: Site) -> Iterator[Problem]:
    for part, assets in (
        ("load", site.loads),
        ("pv", site.pvs),
        ("battery", site.batteries),
    ):
        for asset in assets:
            if site.cabinet(asset.cabinet_id) is None:
                yield Problem(
                    part=part,
                    part_id=asset.id,
                    field="cabinet",
                    text=f"no cabinet {asset.cabinet_id!r}",
                )
            if site.grid is not Grid.TN and len(asset.phases) < MIN_LINES:
                yield Problem(
                    part=part,
                    part_id=asset.id,
                    field="phases",
                    text=f"on {site.grid} it is wired to two or three lines",
                )


def _station(site: Site, station: Station) -> Iterator[Problem]:
    if station.cabinet_id is not None and site.cabinet(station.cabinet_id) is None:
        yield Problem(
            part="station",
            part_id=station.id,
            field="cabinet",
            text=f"no cabinet {station.cabinet_id!r}",
        )
    if station.cabinet_id is not None and not station.evses:
        yield Problem(
            part="station",
            part_id=station.id,
            field="evse",
            text="a station behind a cabinet lists its EVSEs, or its rating is unknown",
        )
    for evse_id, count in Counter(e.ref.evse_id for e in station.evses).items():
        if count > 1:
            yield Problem(
                part="evse",
                part_id=f"{station.id}/{evse_id}",
                field="id",
                text=f"EVSE {evse_id} occurs twice",
            )
    for evse in station.evses:
        yield from _evse(site, station, evse)


def _evse(site: Site, station: Station, evse: Evse) -> Iterator[Problem]:
    def problem(field: str, text: str) -> Problem:
        part_id = f"{station.id}/{evse.ref.evse_id}"
        return Problem(part="evse", part_id=part_id, field=field, text=text)

    if evse.max_da <= 0:
        yield problem("max_a", "must be above 0")
    if evse.min_da > evse.max_da:
        yield problem(
            "min_a",
            f"{evse.min_a:g} A is above the rating of {evse.max_a:g} A: "
            "this EVSE could never charge",
        )
    if evse.floor_da > evse.max_da:
        yield problem("floor_a", f"is above the rating of {evse.max_a:g} A")
    elif 0 < evse.floor_da < evse.min_da:
        yield problem(
            "floor_a",
            f"is below min_a: 0, or at least {evse.min_a:g} A (a car needs that)",
        )
    if site.grid is not Grid.TN:
        if len(evse.phases) < MIN_LINES:
            yield problem("phases", f"on {site.grid}: two or three lines, as L1L2")
        if station.unit is LimitUnit.W and evse.current_type is CurrentType.AC:
            yield problem(
                "unit", f"W limits have no fixed meaning on {site.grid}: use A"
            )


def _nesting(site: Site) -> Iterator[Problem]:
    for cabinet in site.cabinets:
        for above in site.path(cabinet.id)[1:]:
            field = "limit_a" if cabinet.limit_da is not None else "limit_w"
            if _is_wider(cabinet, above, site.phase_v):
                text = (
                    f"is more than its feeder {above.id!r} can carry: limits nest, "
                    "lower this one"
                )
                yield _at(cabinet, field, text)
                break


def _is_wider(cabinet: Cabinet, above: Cabinet, phase_v: float) -> bool:
    if cabinet.limit_da is not None and above.limit_da is not None:
        return any(x > y for x, y in zip(cabinet.limit_da, above.limit_da, strict=True))
    below_w, above_w = _total_w(cabinet, phase_v), _total_w(above, phase_v)
    return below_w > above_w


def _total_w(cabinet: Cabinet, phase_v: float) -> float:
    if cabinet.limit_w is not None:
        return cabinet.limit_w
    return sum(cabinet.limit_da or ()) * phase_v / 10


def _floors(site: Site) -> Iterator[Problem]:
    for cabinet in site.cabinets:
        below = site.group(cabinet.id)
        reserved = floors(below)
        others = other_loads(below)
        if exceeds(cabinet, plus(reserved, others), phase_v=site.phase_v):
            field = "limit_a" if cabinet.limit_da is not None else "limit_w"
            text = (
                f"floors ({amperes(reserved)}) and the worst case of other loads "
                f"({amperes(others)}) with a margin of {cabinet.margin_da / 10:g} A do "
                "not fit: set some floor_a to 0, or raise the limit"
            )
            yield _at(cabinet, field, text)


def amperes(current: PerPhase) -> str:
    """A triple of currents for people, e.g. ``12/6/6 A``."""
    return "/".join(f"{value / 10:g}" for value in current) + " A"


def _at(cabinet: Cabinet, field: str, text: str) -> Problem:
    return Problem(part="cabinet", part_id=cabinet.id, field=field, text=text)
