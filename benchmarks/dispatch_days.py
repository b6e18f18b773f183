"""Small sites and days for the world: who parks when, and what goes wrong."""

from collections.abc import Sequence
from random import Random
from typing import Final

from benchmarks.dispatch_setting import Kind, Setting, Trouble
from benchmarks.dispatch_station import Visit
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import Cabinet, Evse, Load, Site, Station

HOUR_S: Final = 3600.0
RATING_A: Final = 32.0
ROTATIONS: Final = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
CARS: Final = ((3, 32.0), (3, 16.0), (3, 16.0), (1, 32.0), (1, 16.0), (2, 16.0))
TROUBLES: Final[tuple[Kind, ...]] = (
    "cut",
    "restart",
    "mute",
    "deaf",
    "skew",
    "slow",
)


def site_of(
    n: int,
    *,
    limit_a: float,
    margin_a: float = 0.0,
    floor_a: float = 0.0,
    load_a: float = 0.0,
    max_a: float = RATING_A,
    default_energy_wh: int = 15_000,
    default_stay_s: int | None = 14_400,
    is_rotated: bool = True,
    skew_s: int = 60,
) -> Site:
    """One cabinet with ``n`` stations of one EVSE, and maybe other equipment."""
    cabinet = CabinetId("A")
    return Site(
        default_energy_wh=default_energy_wh,
        default_stay_s=default_stay_s,
        cabinets=(
            Cabinet(
                id=cabinet,
                limit_da=(round(limit_a * 10),) * 3,
                margin_da=round(margin_a * 10),
            ),
        ),
        stations=tuple(
            Station(
                id=StationId(f"CP{index}"),
                cabinet_id=cabinet,
                clock_skew_s=skew_s,
                evses=(
                    Evse(
                        ref=EvseRef(station_id=StationId(f"CP{index}"), evse_id=1),
                        cabinet_id=cabinet,
                        phases=ROTATIONS[index % 3] if is_rotated else ROTATIONS[0],
                        phases_confirmed=True,
                        max_da=round(max_a * 10),
                        floor_da=round(floor_a * 10),
                    ),
                ),
            )
            for index in range(n)
        ),
        loads=()
        if not load_a
        else (Load(id="pump", cabinet_id=cabinet, worst_case_da=round(load_a * 10)),),
    )


def visits(
    n: int,
    *,
    hours: float,
    seed: int,
    stated_share: float = 1.0,
    cars: Sequence[tuple[int, float]] = CARS,
) -> tuple[Visit, ...]:
    """Cars one after the other at ``n`` stations, more wanted than fits."""
    random = Random(f"visits/{seed}")
    found: list[Visit] = []
    for station in range(n):
        at_s = random.uniform(60, 1.5 * HOUR_S)
        while at_s < (hours - 0.5) * HOUR_S:
            stay_s = random.uniform(0.7, 5.0) * HOUR_S
            energy_wh = random.uniform(3_000, 30_000)
            phases, max_a = random.choice(cars)
            is_stated = random.random() < stated_share
            leaves_s = at_s + stay_s
            found.append(
                Visit(
                    station=station,
                    arrival_s=at_s,
                    departure_s=leaves_s,
                    energy_wh=energy_wh,
                    stated_wh=energy_wh if is_stated else None,
                    stated_departure_s=leaves_s if is_stated else None,
                    phases=phases,
                    max_a=max_a,
                    taper_wh=random.choice((0.0, 3_000.0)),
                )
            )
            at_s = leaves_s + random.uniform(0.05, 1.0) * HOUR_S
    return tuple(found)


def hard_day(
    seed: int,
    *,
    n: int = 8,
    hours: float = 3.0,
    limit_a: float = 80.0,
    k: int = 0,
    liars: Sequence[Trouble] = (),
    per_hour: float = 40.0,
    has_leftovers: bool = False,
    has_drop: bool = False,
    n_forgetful: int = 0,
    step_s: float = 2.0,
) -> Setting:
    """A crowded site on which everything goes wrong that may.

    Cars of every kind, clocks up to 25 s off, cars and pilots that need up to 20 s to
    follow, other equipment that moves, and ``troubles``.

    Args:
        seed: Of the day.
        n: Stations of 32 A.
        hours: Length.
        limit_a: Per phase.
        k: So many stations may newly disobey at once: their ratings are the margin.
        liars: When stations begin to offer their rating, whatever they hold.
        per_hour: Other troubles.
        has_leftovers: Every station holds an old profile that outranks ours.
        has_drop: The operator lowers the limit for an hour, five minutes ahead.
        n_forgetful: Stations that forget their profiles when they restart.
        step_s: Of the physics.
    """
    cars = (*CARS, (3, 32.0), (3, 32.0))
    load_a = 12.0
    happens = [
        *troubles(n, hours=hours, seed=seed, per_hour=per_hour),
        *liars,
        *_drifting_load(load_a, hours=hours, seed=seed),
    ]
    if has_drop:
        at_s = (hours / 2) * HOUR_S
        happens.append(Trouble(at_s=at_s, kind="limit", value=limit_a / 2))
    return Setting(
        site=site_of(n, limit_a=limit_a, margin_a=k * RATING_A, load_a=load_a),
        visits=visits(n, hours=hours, seed=seed, stated_share=0.5, cars=cars),
        troubles=happens,
        hours=hours,
        step_s=step_s,
        skews_s=(-20.0, 0.0, 15.0, 25.0, -5.0),
        reactions_s=(2.0, 5.0, 20.0, 10.0),
        leftover_a=20.0 if has_leftovers else None,
        n_forgetful=n_forgetful,
        drop_s=HOUR_S,
        seed=seed,
    )


def _drifting_load(load_a: float, *, hours: float, seed: int) -> list[Trouble]:
    """Other equipment: it moves by less between readings than is added to them."""
    random = Random(f"load/{seed}")
    found: list[Trouble] = []
    amps = load_a / 2
    for number in range(int(hours * HOUR_S / 20)):
        amps = min(load_a, max(0.0, amps + random.uniform(-0.45, 0.45)))
        found.append(Trouble(at_s=20.0 * number, kind="load", value=amps))
    return found


def troubles(
    n: int, *, hours: float, seed: int, per_hour: float, max_skew_s: float = 25.0
) -> tuple[Trouble, ...]:
    """Cuts, restarts, lost and slow answers, clocks that are set; no liars.

    ``max_skew_s`` plus what a car needs to follow stays below the skew that the site
    is configured with.
    """
    random = Random(f"troubles/{seed}")
    found: list[Trouble] = []
    at_s = 0.0
    while True:
        at_s += random.expovariate(per_hour / HOUR_S)
        if at_s >= hours * HOUR_S:
            return tuple(found)
        kind = random.choice(TROUBLES)
        value = {
            "cut": random.uniform(10, 2700),
            "restart": random.uniform(10, 120),
            "mute": random.uniform(60, 600),
            "deaf": random.uniform(60, 600),
            "skew": random.uniform(-max_skew_s, max_skew_s),
            "slow": random.uniform(5, 60),
        }[kind]
        found.append(
            Trouble(at_s=at_s, kind=kind, station=random.randrange(n), value=value)
        )
