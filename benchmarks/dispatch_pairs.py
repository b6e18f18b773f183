"""Policies compared on the same days, end to end: differences paired by day.

Every day is played once with each policy, and kept as a line of a file as soon as it is
played, so that a run may end at any time and go on later. The days are those of
`optimizer_days`; what they go through is told in `benchmarks.bench_dispatch`.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NotRequired, TypeAlias, TypedDict

from benchmarks.dispatch_policies import play
from benchmarks.dispatch_ways import Ways
from benchmarks.optimizer_days import Day, Kind


class Played(TypedDict):
    """A day that was played with one policy; shares of 1.

    What is not required is lacking in older files: see `dispatch_ways.Ways`, whose
    usual values it had then.
    """

    kind: str
    limit_a: float
    seed: int
    policy: str
    frees_phases: bool
    is_wired_alike: NotRequired[bool]
    margin_a: NotRequired[float]
    n_floor: NotRequired[int]
    has_pv: NotRequired[bool]
    silent: NotRequired[float]
    disturbance: NotRequired[str]
    cost_per_kwh: NotRequired[float]
    cpu_s: NotRequired[float]
    energy: float
    full: float
    worst: float
    above_s: float
    limits_per_evse_hour: float
    plans_per_hour: float


Case: TypeAlias = tuple[Kind, float]

COLUMNS: Final = (
    "energy % | full % | worst driver % | s above a limit | limits per EVSE-hour "
    "| plans per hour | cost per kWh"
)
MEASURES: Final[tuple[tuple[str, Callable[[Played], float]], ...]] = (
    ("energy", lambda day: day["energy"]),
    ("full", lambda day: day["full"]),
    ("worst", lambda day: day["worst"]),
)


def play_on(
    path: Path,
    cases: Sequence[Case],
    seeds: Iterable[int],
    policies: Sequence[str],
    *,
    minutes: float,
    ways: Ways,
) -> list[Played]:
    """Play days that a file does not have yet, seed by seed, until the time is over.

    Returns:
        All days of the file.
    """
    ends_s = time.monotonic() + minutes * 60
    days = read(path)
    done = {_key(day) for day in days}
    for seed in seeds:
        for kind, limit_a in cases:
            for policy in policies:
                if (str(kind), limit_a, seed, policy, ways) in done:
                    continue
                if time.monotonic() >= ends_s:
                    return days
                day = ways.day(kind, limit_a, seed)
                days.append(_played(day, limit_a, policy, ways))
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(days[-1]) + "\n")
                print(json.dumps(days[-1]), file=sys.stderr)
    return days


def read(path: Path) -> list[Played]:
    """The days of a file; none if there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def ways_of(day: Played) -> Ways:
    """The ways in which a day of a file was played."""
    return Ways(
        frees_phases=day["frees_phases"],
        is_wired_alike=day.get("is_wired_alike", False),
        margin_a=day.get("margin_a", 0.0),
        n_floor=day.get("n_floor", 0),
        has_pv=day.get("has_pv", False),
        silent=day.get("silent", 0.0),
        disturbance=day.get("disturbance", "none"),
    )


def _key(day: Played) -> tuple[str, float, int, str, Ways]:
    return (day["kind"], day["limit_a"], day["seed"], day["policy"], ways_of(day))


def _played(day: Day, limit_a: float, policy: str, ways: Ways) -> Played:
    began_s = time.process_time()
    score = play(day, policy, ways)
    tally = score.tally
    return Played(
        kind=str(day.kind),
        limit_a=limit_a,
        seed=day.seed,
        policy=policy,
        frees_phases=ways.frees_phases,
        is_wired_alike=ways.is_wired_alike,
        margin_a=ways.margin_a,
        n_floor=ways.n_floor,
        has_pv=ways.has_pv,
        silent=ways.silent,
        disturbance=ways.disturbance,
        cost_per_kwh=score.cost_per_kwh,
        cpu_s=round(time.process_time() - began_s, 1),
        energy=score.energy,
        full=score.full,
        worst=score.worst,
        above_s=tally.above_s,
        limits_per_evse_hour=tally.sent["SetChargingProfile"]
        / (tally.charging_s / 3600),
        plans_per_hour=tally.solves / tally.hours,
    )


def table(days: Iterable[Played]) -> str:
    """Means and paired differences, one row per policy and per pair of them.

    Of the days that every policy of the cabinet has played.
    """
    days = tuple(days)
    rows = [
        f"| cabinet | policy | days | {COLUMNS} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    differences = [
        "| cabinet | | days | energy pp | won/lost | full pp | worst pp | cost % |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for cabinet in dict.fromkeys(map(_cabinet, days)):
        mine = [d for d in days if _cabinet(d) == cabinet]
        policies = tuple(dict.fromkeys(d["policy"] for d in mine))
        by_seed: dict[int, dict[str, Played]] = {}
        for day in mine:
            by_seed.setdefault(day["seed"], {})[day["policy"]] = day
        whole = [one for one in by_seed.values() if len(one) == len(policies)]
        if not whole:
            continue
        rows += [
            _means(cabinet, name, [one[name] for one in whole]) for name in policies
        ]
        differences += [
            _difference(cabinet, one, other, whole)
            for one, other in combinations(policies, 2)
        ]
    return "\n".join([*rows, "", *differences])


def _cabinet(day: Played) -> str:
    words = ways_of(day).words()
    return f"{day['kind']} {day['limit_a']:g} A" + (f", {words}" if words else "")


def _means(cabinet: str, policy: str, days: Sequence[Played]) -> str:
    def mean(of: Callable[[Played], float]) -> float:
        return statistics.fmean(of(day) for day in days)

    shares = " | ".join(f"{100 * mean(of):.1f}" for _, of in MEASURES)
    return (
        f"| {cabinet} | {policy} | {len(days)} | {shares} "
        f"| {sum(day['above_s'] for day in days):g} "
        f"| {mean(lambda day: day['limits_per_evse_hour']):.1f} "
        f"| {mean(lambda day: day['plans_per_hour']):.1f} "
        f"| {_known(mean(_cost), '.4f')} |"
    )


def _difference(
    cabinet: str, one: str, other: str, days: Sequence[dict[str, Played]]
) -> str:
    found: list[str] = []
    for name, of in MEASURES:
        each = [100 * (of(day[other]) - of(day[one])) for day in days]
        found.append(_mean_and_error(each))
        if name == "energy":
            won, lost = sum(x > 0 for x in each), sum(x < 0 for x in each)
            found.append(f"{won}/{lost}")
    dearer = [100 * (_cost(day[other]) / _cost(day[one]) - 1) for day in days]
    found.append(_mean_and_error(dearer))
    return f"| {cabinet} | {other} - {one} | {len(days)} | {' | '.join(found)} |"


def _mean_and_error(each: Sequence[float]) -> str:
    mean = statistics.fmean(each)
    if len(each) < 2 or math.isnan(mean):  # noqa: PLR2004 - one has no error
        return _known(mean, "+.2f")
    error = statistics.stdev(each) / math.sqrt(len(each))
    return f"{mean:+.2f} ({error:.2f})"


def _known(value: float, style: str) -> str:
    """Older files do not say everything."""
    return "-" if math.isnan(value) else format(value, style)


def _cost(day: Played) -> float:
    return day.get("cost_per_kwh", math.nan)
