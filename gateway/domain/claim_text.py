"""What a site can promise, in words and as JSON, for ``wattproof site check``."""

from collections.abc import Iterator

from gateway.domain.claim import (
    SURE_TRIP,
    Claim,
    Share,
    at_once,
    claim,
    least_trip_s,
    shares,
)
from gateway.domain.phases import plus
from gateway.domain.site_check import Problem, amperes, floors, other_loads
from gateway.domain.topology import Cabinet, Site


def describe(site: Site, *, fast_loop_s: float) -> list[str]:
    """What is guaranteed, cabinet by cabinet and EVSE by EVSE."""
    lines = ["what this site can guarantee, with every station proven to obey:"]
    for cabinet in site.cabinets:
        found = claim(site, cabinet, fast_loop_s=fast_loop_s)
        lines.append(f"  cabinet {cabinet.id}:")
        lines += [f"    {line}" for line in _cabinet(site, found)]
    lines += [f"  {line}" for line in _evses(shares(site))]
    return lines


def as_json(
    site: Site, warnings: tuple[str, ...], *, fast_loop_s: float
) -> dict[str, object]:
    """The same for programs; currents in A, power in W, times in s."""
    return {
        "site": site.name,
        "hold_time_s": site.hold_time_s,
        "cabinets": [
            _cabinet_json(site, claim(site, one, fast_loop_s=fast_loop_s))
            for one in site.cabinets
        ],
        "evses": [_share_json(one) for one in shares(site)],
        "warnings": list(warnings),
    }


def warnings(site: Site, *, fast_loop_s: float) -> tuple[Problem, ...]:
    """What keeps the claim from being as good as it could be."""
    found: list[Problem] = []
    for cabinet in site.cabinets:
        about = claim(site, cabinet, fast_loop_s=fast_loop_s)
        found += [
            Problem(part="cabinet", part_id=cabinet.id, field=field, text=text)
            for field, text in _weaknesses(site, about)
        ]
    return tuple(found)


def _weaknesses(site: Site, about: Claim) -> Iterator[tuple[str, str]]:
    cabinet = about.cabinet
    if about.needs_meter and about.has_meter and about.k == 0:
        yield (
            "margin_a",
            (
                "one EVSE that newly disobeys can exceed the limit until the fast loop "
                f"has cut the others: {about.margin_for_one_da / 10:g} A cover one"
            ),
        )
    if (
        about.bound_s is not None
        and about.overload is not None
        and about.needs_meter
        and about.covered < about.n_evse
    ):
        yield (
            "breaker_a",
            (
                f"with more than {about.covered} disobeying at once the breaker may "
                f"trip within the {about.bound_s:g} s that a cut may take (its job: "
                "load management never replaces it); a faster meter "
                "(feeder_stale_after_s) or a larger margin_a make that rarer"
            ),
        )
    limit, net = cabinet.limit_da, cabinet.net_limit_da
    if (
        limit is not None
        and net is not None
        and all(a >= b for a, b in zip(net, limit, strict=True))
    ):
        yield "net_limit_a", "is not below limit_a anywhere: it changes nothing"
    if (net or cabinet.export_limit_da) and cabinet.feeder_meter is None:
        yield (
            "feeder_meter",
            "net and export limits are watched by the feeder meter, and there is none",
        )
    group = site.group(cabinet.id)
    can, n_evse = at_once(site, cabinet), about.n_evse
    if can < sum(len(s.evses) for s in group.stations if s.managed):
        yield (
            "limit_a" if cabinet.limit_da is not None else "limit_w",
            (
                f"with everybody plugged in {can} of {n_evse} EVSEs can charge at "
                "once; the others take turns"
            ),
        )


def _cabinet(site: Site, about: Claim) -> Iterator[str]:
    cabinet = about.cabinet
    group = site.group(cabinet.id)
    reserved = plus(floors(group), other_loads(group))
    yield (
        f"floors and other equipment at its worst take {amperes(reserved)}, with a "
        f"margin of {cabinet.margin_da / 10:g} A: they fit"
    )
    yield (
        f"with everything dead all draw their floors after {site.hold_time_s / 60:g} "
        "min at the latest"
    )
    yield from _net(cabinet)
    if not about.needs_meter:
        yield "ratings fit: nobody can exceed the limit, whoever disobeys"
        return
    yield (
        f"k = {about.k} of {about.n_evse} EVSEs may newly disobey at once without a "
        f"second above the limit (one takes {about.margin_for_one_da / 10:g} A more)"
    )
    if about.bound_s is None:
        yield "beyond that nothing bounds the time above the limit: no feeder meter"
        return
    yield (
        f"beyond that at most {about.bound_s:g} s above it (seen within "
        f"{about.detection_s:g} s), as far as stations can be reached"
    )
    if about.overload is not None and about.breaker_da is not None:
        yield (
            f"if all disobeyed: {amperes(about.worst_da)}, {about.overload:.2f} x the "
            f"{about.breaker_da / 10:g} A of the breaker, which holds "
            f"{least_trip_s(about.overload):g} s for sure"
            + (
                " and trips within an hour"
                if about.overload >= SURE_TRIP
                else " (IEC 60898-1)"
            )
        )


def _net(cabinet: Cabinet) -> Iterator[str]:
    if cabinet.net_limit_da is not None and cabinet.committed_da is not None:
        yield (
            f"the supply gives {amperes(cabinet.net_limit_da)}: limits add up to "
            f"{amperes(cabinet.committed_da)}, whatever PV and batteries deliver"
        )
    if cabinet.export_limit_da is not None:
        yield f"feeding in more than {amperes(cabinet.export_limit_da)} is an alarm"


def _evses(found: tuple[Share, ...]) -> Iterator[str]:
    for one in found:
        name = f"EVSE {one.evse.ref.station_id}/{one.evse.ref.evse_id}"
        if not one.is_managed:
            yield f"{name}: not managed, {one.evse.max_a:g} A are reserved for it"
            continue
        always = (
            f"always {one.floor_da / 10:g} A ({one.floor_w / 1000:.1f} kWh in an hour)"
            if one.floor_w
            else "always 0 A"
        )
        turns = ", in turns" if one.share_da < one.evse.min_da else ""
        yield (
            f"{name}: {always}; with everybody plugged in "
            f"{one.share_da / 10:g} A ({one.share_w / 1000:.1f} kWh in an hour{turns})"
        )


def _cabinet_json(site: Site, about: Claim) -> dict[str, object]:
    cabinet = about.cabinet
    group = site.group(cabinet.id)
    return {
        "cabinet_id": cabinet.id,
        "limit_a": _amps(cabinet.limit_da),
        "limit_w": cabinet.limit_w,
        "net_limit_a": _amps(cabinet.net_limit_da),
        "committed_a": _amps(cabinet.committed_da),
        "export_limit_a": _amps(cabinet.export_limit_da),
        "margin_a": cabinet.margin_da / 10,
        "floors_a": _amps(floors(group)),
        "other_loads_a": _amps(other_loads(group)),
        "n_evse": about.n_evse,
        "n_at_once": at_once(site, cabinet),
        "ratings_fit": not about.needs_meter,
        "feeder_meter": cabinet.feeder_meter,
        "k": about.k,
        "margin_for_one_a": about.margin_for_one_da / 10,
        "detection_s": about.detection_s,
        "bound_s": about.bound_s,
        "worst_a": _amps(about.worst_da),
        "breaker_a": None if about.breaker_da is None else about.breaker_da / 10,
        "overload": None if about.overload is None else round(about.overload, 3),
        "breaker_holds_s": (
            None if about.overload is None else least_trip_s(about.overload)
        ),
        "covered": about.covered,
    }


def _share_json(one: Share) -> dict[str, object]:
    return {
        "station_id": one.evse.ref.station_id,
        "evse_id": one.evse.ref.evse_id,
        "cabinet_id": one.evse.cabinet_id,
        "managed": one.is_managed,
        "floor_a": one.floor_da / 10,
        "floor_w": one.floor_w,
        "floor_kwh_per_h": one.floor_w / 1000,
        "share_a": one.share_da / 10,
        "share_w": one.share_w,
        "share_kwh_per_h": one.share_w / 1000,
        "takes_turns": one.is_managed and one.share_da < one.evse.min_da,
    }


def _amps(current_da: tuple[int, int, int] | None) -> list[float] | None:
    return None if current_da is None else [value / 10 for value in current_da]
