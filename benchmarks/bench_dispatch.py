"""What drivers and operator get end to end: through the real dispatch, in virtual time.

``energy``: days of the plans' benchmark with everything that a plan does not see:
floors, envelopes, answers and meter values that take their time. ``safety``: hard days
with liars, cuts, restarts, lost answers and wrong clocks; every second above a limit
counts, and ends the run with 1 unless more than ``k`` lied. ``pairs``: the days of
``energy`` with several policies each, kept in a file, differences paired by day.
``load``: calls, plans and CPU time of the event loop by the number of EVSEs.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.dispatch_days import hard_day, site_of, visits
from benchmarks.dispatch_pairs import play_on, read, table
from benchmarks.dispatch_policies import POLICIES, Score, play
from benchmarks.dispatch_setting import Setting, Trouble
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_ways import Ways
from benchmarks.dispatch_world import World
from benchmarks.optimizer_days import Disturbance, Kind
from gateway.process import calm_collector

CASES: Final = ((Kind.WORK, 63.0), (Kind.PUBLIC, 50.0))
SIZES: Final = (20, 54, 100)
FIRST_LIE_S: Final = 3600.0
EVERY_S: Final = 1800.0


def main() -> None:
    """Parse the options, play, print the tables."""
    options = _parser().parse_args()
    calm_collector()  # as in a gateway that runs
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if options.quick:
        seeds = seeds[:1]
    policies = options.policies.split(",")
    match options.part:
        case "energy":
            result = energy(options.cabinets, seeds, policies, _ways(options))
        case "pairs":
            path = Path(options.days)
            play_on(
                path,
                options.cabinets,
                seeds,
                policies,
                minutes=options.minutes,
                ways=_ways(options),
            )
            print(table(read(path)))
            return
        case "load":
            result = load(SIZES[:1] if options.quick else SIZES)
        case _:
            result = safety(seeds, 1.0 if options.quick else options.hours)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        Path(options.json).write_text(text + "\n", "utf-8")
    if options.part == "safety" and result["above_s_while_k_disobey"]:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = harness.parser(__doc__)
    parser.add_argument("part", choices=("energy", "pairs", "safety", "load"))
    parser.add_argument("--seeds", help="as 1-20", default="1-3")
    parser.add_argument("--hours", type=float, default=3.0, help="of a hard day")
    parser.add_argument("--days", help="pairs: file of days", default="pairs.jsonl")
    parser.add_argument("--minutes", type=float, default=60.0, help="pairs: at most")
    days = parser.add_argument_group("energy and pairs")
    days.add_argument(
        "--policies",
        default=",".join(POLICIES[:3]),
        help=f"of {', '.join(POLICIES)}; as in `bench optimizer`",
    )
    days.add_argument(
        "--cabinets",
        type=_cabinets,
        default=CASES,
        help="kind and limit, as work:63,public:50",
    )
    days.add_argument(
        "--silent", type=float, default=0.0, help="share of silent drivers, as 0.8"
    )
    days.add_argument(
        "--what",
        default=Disturbance.NONE.value,
        choices=[one.value for one in Disturbance if one is not Disturbance.NOISE],
        help="cars leave early, say a wrong hour, or the limit drops for three hours",
    )
    days.add_argument(
        "--floors", type=int, default=0, help="EVSEs with 6 A reserved all day"
    )
    days.add_argument("--pv", action="store_true", help="meter an inverter")
    days.add_argument(
        "--all-phases",
        action="store_true",
        help="as with `[site] free_unused_phases = false`",
    )
    days.add_argument(
        "--wired-alike",
        action="store_true",
        help="EVSEs have the phases that their car uses, not three",
    )
    days.add_argument(
        "--margin-a",
        type=float,
        default=0.0,
        help="kept free for EVSEs that disobey, on top of the limit",
    )
    return parser


def _ways(options: argparse.Namespace) -> Ways:
    return Ways(
        frees_phases=not options.all_phases,
        is_wired_alike=options.wired_alike,
        margin_a=options.margin_a,
        n_floor=options.floors,
        has_pv=options.pv,
        silent=options.silent,
        disturbance=options.what,
    )


def _cabinets(text: str) -> tuple[tuple[Kind, float], ...]:
    try:
        pairs = [one.split(":") for one in text.split(",")]
        return tuple((Kind(kind), float(limit_a)) for kind, limit_a in pairs)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not kinds and limits: {text}") from error


def energy(
    cabinets: Iterable[tuple[Kind, float]],
    seeds: Iterable[int],
    policies: Iterable[str],
    ways: Ways,
) -> dict[str, Any]:
    """Play days with each policy; means over the seeds."""
    seeds, policies = tuple(seeds), tuple(policies)
    found: dict[str, Any] = {}
    for kind, limit_a in cabinets:
        for policy in policies:
            scores: list[Score] = []
            for seed in seeds:
                scores.append(play(ways.day(kind, limit_a, seed), policy, ways))
                print(kind, policy, seed, scores[-1].energy, file=sys.stderr)
            found[f"{kind} {limit_a:g} A {policy}"] = _means(scores)
    return found


def _means(scores: list[Score]) -> dict[str, float]:
    tallies = [score.tally for score in scores]
    return {
        "energy": statistics.fmean(score.energy for score in scores),
        "full": statistics.fmean(score.full for score in scores),
        "worst": statistics.fmean(score.worst for score in scores),
        "cost_per_kwh": statistics.fmean(score.cost_per_kwh for score in scores),
        "n_day": len(scores),
        **_counts(tallies),
    }


def _counts(tallies: list[Tally]) -> dict[str, float]:
    evse_h = sum(one.charging_s for one in tallies) / 3600
    hours = sum(one.hours for one in tallies)

    def per_evse_hour(action: str) -> float:
        return sum(one.sent[action] for one in tallies) / evse_h

    return {
        "above_s": sum(one.above_s for one in tallies),
        "limits_per_evse_hour": per_evse_hour("SetChargingProfile"),
        "triggers_per_evse_hour": per_evse_hour("TriggerMessage"),
        "plans_per_hour": sum(one.solves for one in tallies) / hours,
        "loop_cpu_s_per_hour": sum(one.gateway_cpu_s for one in tallies) / hours,
        "solver_cpu_s_per_hour": sum(one.solver_cpu_s for one in tallies) / hours,
    }


def safety(seeds: Iterable[int], hours: float) -> dict[str, Any]:
    """Play hard days without liars, with one after the other, and with five at once.

    Of each seed the first two must not have a second above the limit.
    """
    plain: list[Tally] = []
    beyond: list[Tally] = []
    for seed in seeds:
        has_leftovers = seed % 2 == 0
        plain.append(
            World(
                hard_day(seed, hours=hours, has_leftovers=has_leftovers, has_drop=True)
            ).run()
        )
        in_turn = [
            Trouble(at_s=FIRST_LIE_S + EVERY_S * one, kind="lie", station=one)
            for one in range(2)
        ]
        plain.append(
            World(
                hard_day(
                    seed, hours=hours, k=1, limit_a=140, liars=in_turn, n_forgetful=1
                )
            ).run()
        )
        at_once = [
            Trouble(at_s=FIRST_LIE_S, kind="lie", station=one) for one in range(5)
        ]
        day = hard_day(seed, hours=hours, k=1, limit_a=120, liars=at_once)
        beyond.append(World(day).run())
        print(seed, plain[-2].above_s, plain[-1].above_s, file=sys.stderr)
    overloads = [one for tally in beyond for one in tally.overloads]
    return {
        "hours": hours * (len(plain) + len(beyond)),
        "above_s_while_k_disobey": sum(one.above_s for one in plain),
        "beyond": {
            "n_day": len(beyond),
            "n_day_above": sum(bool(one.overloads) for one in beyond),
            "longest_s": max((one.seconds for one in overloads), default=0.0),
            "worst_a": max((one.worst_a for one in overloads), default=0.0),
            "least_trip_margin": min(
                (one.trip_margin for one in overloads), default=None
            ),
        },
        **_counts(plain),
    }


def load(sizes: Iterable[int], hours: float = 2.0) -> dict[str, Any]:
    """Play busy hours of cabinets with 6.3 A an EVSE, planned by rule."""
    found: dict[str, Any] = {}
    for n in sizes:
        setting = Setting(
            site=site_of(n, limit_a=6.3 * n),
            visits=visits(n, hours=hours + 1, seed=1),
            hours=hours,
            step_s=10.0,
        )
        found[f"{n} EVSEs"] = _counts([World(replace(setting, seed=n)).run()])
        print(n, found[f"{n} EVSEs"], file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
