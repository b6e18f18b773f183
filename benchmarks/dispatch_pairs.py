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
from benchmarks.optimizer_days import Day, Kind, draw


class Played(TypedDict):
    """A day that was played with one policy; shares of 1.

    ``is_wired_alike``: see `dispatch_policies.setting_of`; older files lack it.
    """

    kind: str
    limit_a: float
    seed: int
    policy: str
    frees_phases: bool
    is_wired_alike: NotRequired[bool]
    energy: float
    full: float
    worst: float
    above_s: float
    limits_per_evse_hour: float
    plans_per_hour: float


Case: TypeAlias = tuple[Kind, float]

COLUMNS: Final = (
    "energy % | full % | worst driver % | s above a limit | limits per EVSE-hour "
    "| plans per hour"
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
    frees_phases: bool,
    is_wired_alike: bool = False,
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
                ways = (frees_phases, is_wired_alike)
                if (str(kind), limit_a, seed, policy, *ways) in done:
                    continue
                if time.monotonic() >= ends_s:
                    return days
                days.append(
                    _played(
                        draw(kind, limit_a, seed),
                        policy,
                        frees_phases=frees_phases,
                        is_wired_alike=is_wired_alike,
                    )
                )
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(days[-1]) + "\n")
                print(json.dumps(days[-1]), file=sys.stderr)
    return days


def read(path: Path) -> list[Played]:
    """The days of a file; none if there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _key(day: Played) -> tuple[str, float, int, str, bool, bool]:
    return (
        day["kind"],
        day["limit_a"],
        day["seed"],
        day["policy"],
        day["frees_phases"],
        day.get("is_wired_alike", False),
    )


def _played(
    day: Day, policy: str, *, frees_phases: bool, is_wired_alike: bool
) -> Played:
    score = play(day, policy, frees_phases=frees_phases, is_wired_alike=is_wired_alike)
    tally = score.tally
    return Played(
        kind=str(day.kind),
        limit_a=day.limit_a[0],
        seed=day.seed,
        policy=policy,
        frees_phases=frees_phases,
        is_wired_alike=is_wired_alike,
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
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    differences = [
        "| cabinet | | days | energy pp | won/lost | full pp | worst driver pp |",
        "|---|---|---:|---:|---:|---:|---:|",
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
    wiring = ", wired alike" if day.get("is_wired_alike", False) else ""
    return f"{day['kind']} {day['limit_a']:g} A{wiring}"


def _means(cabinet: str, policy: str, days: Sequence[Played]) -> str:
    def mean(of: Callable[[Played], float]) -> float:
        return statistics.fmean(of(day) for day in days)

    shares = " | ".join(f"{100 * mean(of):.1f}" for _, of in MEASURES)
    return (
        f"| {cabinet} | {policy} | {len(days)} | {shares} "
        f"| {sum(day['above_s'] for day in days):g} "
        f"| {mean(lambda day: day['limits_per_evse_hour']):.1f} "
        f"| {mean(lambda day: day['plans_per_hour']):.1f} |"
    )


def _difference(
    cabinet: str, one: str, other: str, days: Sequence[dict[str, Played]]
) -> str:
    found: list[str] = []
    for name, of in MEASURES:
        each = [100 * (of(day[other]) - of(day[one])) for day in days]
        error = (
            statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.nan
        )
        found.append(f"{statistics.fmean(each):+.2f} ({error:.2f})")
        if name == "energy":
            won, lost = sum(x > 0 for x in each), sum(x < 0 for x in each)
            found.append(f"{won}/{lost}")
    return f"| {cabinet} | {other} - {one} | {len(days)} | {' | '.join(found)} |"
