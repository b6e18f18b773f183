"""What a site can promise: who may disobey, how long, and what each EVSE surely has.

**The claim.** No second above a limit as long as at most ``k`` EVSEs newly stop to obey
at once, because the margin is kept free for them. Beyond that, where a feeder meter is
watched, the time above the limit is at most ``bound_s``; whether the overcurrent
protection holds that long says ``least_trip_s``. Load management never replaces it.

Currents are integers in 0.1 A, all of the supply's phases. ``k`` counts EVSEs that are
proven: others count at their rating already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.domain.phases import PerPhase, plus
from gateway.domain.site_check import floors, other_loads, ratings
from gateway.domain.topology import Cabinet, Evse, Group, Site, exceeds

REACTION_S: Final = 30.0
"""Site seconds in which a cut has to show at the meter.

The call to the stations, at most 5 s until a car has followed (IEC 61851-1, A.2), and
the interval of the meter. What is not lower by then is cut to the floors.
"""

TRIP_CURVE: Final = ((1.13, 3600.0), (2.55, 1.0), (3.0, 0.1))
"""(multiple of the rated current, s for which a breaker surely holds up to there).

IEC 60898-1, table 7, from cold: 1.13 x holds for the conventional hour (two above
63 A), 1.45 x trips within it, 2.55 x trips after 1 s at the earliest, 3 x after 0.1 s
(type B). Between two points the lower time counts: real breakers hold longer there, but
nobody promises it.
"""

SURE_TRIP: Final = 1.45
"""At this multiple of its rated current a breaker trips within the hour."""

Curve: TypeAlias = Sequence[tuple[float, float]]


def least_trip_s(overload: float, curve: Curve = TRIP_CURVE) -> float:
    """For how long an overload surely does not trip the breaker, s.

    Args:
        overload: Multiple of its rated current.
        curve: Ascending multiples and the s that hold up to each; of the standard, or
            of the maker's data sheet.
    """
    for multiple, hold_s in curve:
        if overload <= multiple:
            return hold_s
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one EVSE has.

    Attributes:
        floor_da: Always, also with everything dead and everybody plugged in.
        floor_w: The same as power delivered; so many Wh in each hour.
        share_da: With everybody plugged in and other equipment at its worst, if all are
            served alike; below the EVSE's least current: they take turns.
        share_w: The same as power, on average over the turns.
    """

    evse: Evse
    is_managed: bool
    floor_da: int
    floor_w: int
    share_da: int
    share_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What holds for one cabinet.

    Attributes:
        n_evse: EVSEs behind it.
        k: How many may newly stop to obey at once without a second above the limit.
        margin_for_one_da: The margin that one of them needs.
        needs_meter: Ratings and other equipment exceed the limit.
        has_meter: A feeder meter is configured.
        detection_s: Until an excess is seen at the latest.
        bound_s: Longest time above the limit; ``None`` without a feeder meter.
        worst_da: If all draw their ratings and other equipment its worst.
        breaker_da: Rated current of the protection; ``None``: not known.
        overload: ``worst_da`` over ``breaker_da``; ``None``: not known.
        covered: How many may disobey at once so that the breaker surely holds until all
            is cut; at least ``k``.
    """

    cabinet: Cabinet
    n_evse: int
    k: int
    margin_for_one_da: int
    needs_meter: bool
    has_meter: bool
    detection_s: float
    bound_s: float | None
    worst_da: PerPhase
    breaker_da: int | None
    overload: float | None
    covered: int


def claim(site: Site, cabinet: Cabinet, *, fast_loop_s: float) -> Claim:
    """What holds for a cabinet with all stations proven.

    Args:
        site: For what hangs behind it.
        cabinet: Which.
        fast_loop_s: Seconds between two looks at its meter.
    """
    group = site.group(cabinet.id)
    worst = plus(ratings(group), other_loads(group))
    needs = exceeds(cabinet, worst, phase_v=site.phase_v, margin_da=0)
    n_evse = len(group.evses)
    k = disobedient(group, cabinet) if needs else n_evse
    detection_s = cabinet.feeder_stale_after_s + fast_loop_s
    bound = bound_s(cabinet, fast_loop_s=fast_loop_s)
    breaker = _breaker(cabinet)
    covered = k
    if breaker is not None and bound is not None and needs:
        while (
            covered < n_evse
            and least_trip_s(_overload(group, cabinet, covered + 1, worst)) > bound
        ):
            covered += 1
    return Claim(
        cabinet=cabinet,
        n_evse=n_evse,
        k=k,
        margin_for_one_da=max(_extras(group, 1)),
        needs_meter=needs,
        has_meter=cabinet.feeder_meter is not None,
        detection_s=detection_s,
        bound_s=bound,
        worst_da=worst,
        breaker_da=breaker,
        overload=None if breaker is None else max(worst) / breaker,
        covered=covered,
    )


def bound_s(cabinet: Cabinet, *, fast_loop_s: float) -> float | None:
    """Longest time above the limit, whoever disobeys; ``None`` without a meter.

    Twice: until a reading shows it, until the loop sees it, and until the cut shows.
    The first cut is as large as the excess; where cars draw otherwise than they were
    last measured that may not be enough, and the second takes everything to its floor.
    As far as the stations can be reached, and the floors leave room.
    """
    if cabinet.feeder_meter is None:
        return None
    return 2 * (cabinet.feeder_stale_after_s + fast_loop_s + REACTION_S)


def disobedient(group: Group, cabinet: Cabinet) -> int:
    """How many EVSEs may newly disobey at once within the margin of a cabinet."""
    n_evse = len(_managed(group))
    for n in range(1, n_evse + 1):
        if not _fits(cabinet, _extras(group, n), _extra_total(group, n)):
            return n - 1
    return n_evse


def shares(site: Site) -> tuple[Share, ...]:
    """What each EVSE behind a cabinet has, station by station."""
    given = _alike(site)
    return tuple(
        Share(
            evse=evse,
            is_managed=station.managed,
            floor_da=(floor := evse.floor_da if station.managed else evse.max_da),
            floor_w=int(evse.power_w(floor)),
            share_da=(share := given[str(evse.ref)]),
            share_w=int(evse.power_w(share)),
        )
        for station in site.stations
        for evse in station.evses
        if evse.cabinet_id is not None
    )


def at_once(site: Site, cabinet: Cabinet) -> int:
    """How many EVSEs behind a cabinet can charge at once with their least current."""
    group = site.group(cabinet.id)
    taken = plus(floors(group), other_loads(group))
    count = sum(e.floor_da >= e.min_da for e in _managed(group))
    waiting = sorted(
        (e for e in _managed(group) if e.floor_da < e.min_da),
        key=lambda e: (len(e.phases), e.min_da),
    )
    for evse in waiting:
        more = plus(taken, evse.on_supply(evse.min_da - evse.floor_da))
        if not exceeds(cabinet, more, phase_v=site.phase_v):
            taken, count = more, count + 1
    return count


def _alike(site: Site) -> dict[str, int]:
    """Currents when all are raised together from their floors as far as limits go."""
    level: dict[str, int] = {}
    taken = {}
    for cabinet in site.cabinets:
        group = site.group(cabinet.id)
        taken[cabinet.id] = plus(floors(group), other_loads(group))
    open_evses = []
    for station in site.stations:
        for evse in station.evses:
            key = str(evse.ref)
            level[key] = evse.floor_da if station.managed else evse.max_da
            if evse.cabinet_id is not None and station.managed:
                open_evses.append(evse)
    while open_evses:
        lowest = min(level[str(evse.ref)] for evse in open_evses)
        still = []
        for evse in open_evses:
            key = str(evse.ref)
            if level[key] > lowest:
                still.append(evse)
                continue
            step = min(10, evse.max_da - level[key])
            more = evse.on_supply(step)
            path = () if evse.cabinet_id is None else site.path(evse.cabinet_id)
            if step <= 0 or any(
                exceeds(one, plus(taken[one.id], more), phase_v=site.phase_v)
                for one in path
            ):
                continue
            level[key] += step
            for one in path:
                taken[one.id] = plus(taken[one.id], more)
            still.append(evse)
        open_evses = still
    return level


def _managed(group: Group) -> list[Evse]:
    return [e for s in group.stations if s.managed for e in s.evses]


def _extras(group: Group, n: int) -> PerPhase:
    """What the worst ``n`` draw more than their floors, on each phase for itself."""
    one, two, three = (
        sum(
            sorted(
                (e.rating[phase] - e.floor[phase] for e in _managed(group)),
                reverse=True,
            )[:n]
        )
        for phase in range(3)
    )
    return (one, two, three)


def _extra_total(group: Group, n: int) -> int:
    more = (sum(e.rating) - sum(e.floor) for e in _managed(group))
    return sum(sorted(more, reverse=True)[:n])


def _fits(cabinet: Cabinet, extra: PerPhase, total_da: int) -> bool:
    if cabinet.committed_da is not None and max(extra) > cabinet.margin_da:
        return False
    return cabinet.limit_w is None or total_da <= 3 * cabinet.margin_da


def _breaker(cabinet: Cabinet) -> int | None:
    if cabinet.breaker_da is not None:
        return cabinet.breaker_da
    return None if cabinet.committed_da is None else min(cabinet.committed_da)


def _overload(group: Group, cabinet: Cabinet, n: int, worst: PerPhase) -> float:
    """Of the breaker, when ``n`` disobey while all others use the whole limit."""
    limit, breaker = cabinet.committed_da, _breaker(cabinet)
    extra = _extras(group, n)
    if limit is None or not breaker:
        return max(worst) / (breaker or 1)
    return max(
        min(limit[p] - cabinet.margin_da + extra[p], max(worst[p], limit[p])) / breaker
        for p in range(3)
    )
