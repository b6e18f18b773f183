"""How good and how fast the plans are, against rules and the offline optimum.

  quality      congested cabinets, arrivals unknown
  uncongested  roomy cabinets: is all delivered, and what is saved?
  robust       cars that leave early, wrong times and forecasts, a drop of the limit
  undeclared   four of five drivers say nothing
  speed        CPU time and memory of a solve
  all          everything
  report       tables of results that were written with --json, put together

Every policy plays the same days (seeds); differences are paired by day. Tables go to
stdout, progress to stderr.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.optimizer_days import (
    Day,
    Disturbance,
    Kind,
    disturbed,
    draw,
    undeclared,
)
from benchmarks.optimizer_loop import Policy, Score, run
from benchmarks.optimizer_offline import bound
from benchmarks.optimizer_report import OFFLINE, OFFLINE_WHOLE, merged, table

SILENT: Final = 0.8
"""Share of drivers who say nothing, where some do."""

_CONGESTED: Final = ((Kind.WORK, 63.0), (Kind.PUBLIC, 50.0))
_MORE: Final = (*_CONGESTED, (Kind.HOME, 60.0))
_ROOMY: Final = ((Kind.WORK, 140.0), (Kind.PUBLIC, 110.0), (Kind.HOME, 100.0))
_RULES: Final = (Policy.EDF, Policy.LLF, Policy.EQUAL, Policy.EDF_PACKED)
_EVERY: Final = (
    *_RULES,
    Policy.UNCONTROLLED,
    Policy.FINISH,
    Policy.LEARNT,
    Policy.FAIR,
    Policy.ECONOMY,
    Policy.AUTO,
    Policy.FORESEEN,
)
_MAIN: Final = (Policy.EDF, Policy.EDF_PACKED, Policy.FINISH, Policy.LEARNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of days.

    Attributes:
        name: For people.
        day: Draws the day of a seed.
        policies: Who plays it, unless told otherwise.
    """

    name: str
    day: Callable[[int], Day]
    policies: tuple[Policy, ...]


def cases(part: str) -> list[Case]:
    """List the cases of a part."""
    match part:
        case "quality":
            return [_case(kind, limit_a, _EVERY) for kind, limit_a in _MORE]
        case "uncongested":
            return [
                _case(kind, limit_a, (*_MAIN, Policy.ECONOMY, Policy.FORESEEN))
                for kind, limit_a in _ROOMY
            ]
        case "robust":
            return [
                _case(kind, limit_a, _MAIN, what)
                for kind, limit_a in _CONGESTED
                for what in Disturbance
                if what is not Disturbance.NONE
            ]
        case "undeclared":
            return [
                _case(kind, limit_a, policies, what, SILENT)
                for places, policies in (
                    (_CONGESTED, _MAIN),
                    (_ROOMY, (*_MAIN, Policy.ECONOMY, Policy.FORESEEN)),
                )
                for kind, limit_a in places
                for what in (Disturbance.NONE, Disturbance.WRONG)
            ]
        case _:
            return []


def main() -> None:
    """Parse the options, play the days, print the tables."""
    parser = harness.parser(__doc__)
    parser.add_argument("part", choices=(*_PARTS, "speed", "all", "report"))
    parser.add_argument("files", nargs="*", type=Path, help="of report: results")
    parser.add_argument("--seeds", type=_seeds, help="as 1-20", default=range(1, 21))
    parser.add_argument("--policies", help="instead of the usual ones: a,b", type=_some)
    parser.add_argument("--cases", help="only cases with this in their name")
    options = parser.parse_args()
    if options.part == "report":
        print(table(merged(_read(path) for path in options.files)))
        return
    seeds = options.seeds[:2] if options.quick else options.seeds
    result: dict[str, Any] = {"machine": harness.machine(), "runs": {}}
    for part in _PARTS if options.part == "all" else (options.part,):
        for case in cases(part):
            if options.cases is None or options.cases in case.name:
                chosen = options.policies or case.policies
                result["runs"][case.name] = _play(case, chosen, seeds)
    if result["runs"]:
        print(table(result["runs"]))
    if options.part in {"speed", "all"}:
        from benchmarks import optimizer_speed  # noqa: PLC0415 - measures its own peak

        result["speed"] = optimizer_speed.measure(quick=options.quick)
        print(json.dumps(result["speed"], indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(result) + "\n", "utf-8")


_PARTS: Final = ("quality", "uncongested", "robust", "undeclared")


def figures(score: Score) -> dict[str, Any]:
    """Write a day as plain numbers."""
    return {
        "energy": score.energy,
        "full": score.full,
        "worst": score.worst,
        "p10": score.p10,
        "cost_per_kwh": score.cost_per_kwh,
        "switches_per_h": score.switches_per_h,
        "violation_a": score.violation_a,
        "n_fallback": score.n_fallback,
        "cpu_ms": [round(ms, 2) for ms in score.cpu_ms],
        "served": [round(part, 5) for part in score.served],
    }


def _play(
    case: Case, policies: tuple[Policy, ...], seeds: range
) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {OFFLINE: {}, OFFLINE_WHOLE: {}}
    for seed in seeds:
        for name, days in found.items():
            best = bound(case.day(seed), in_whole_a=name == OFFLINE_WHOLE)
            days[str(seed)] = {
                "energy": best.energy,
                "cost_per_kwh": best.cost_per_kwh,
            }
    for policy in policies:
        found[policy.value] = {
            str(seed): figures(run(case.day(seed), policy)) for seed in seeds
        }
        harness.say(f"{case.name}: {policy.value}")
    return found


def _case(
    kind: Kind,
    limit_a: float,
    policies: tuple[Policy, ...],
    what: Disturbance = Disturbance.NONE,
    silent: float = 0.0,
) -> Case:
    name = f"{kind.value} {limit_a:.0f} A"
    if what is not Disturbance.NONE:
        name += f", {what.value}"
    if silent:
        name += f", {100 * silent:.0f} % undeclared"
    return Case(
        name=name,
        day=partial(_day, kind, limit_a, what, silent),
        policies=policies,
    )


def _day(
    kind: Kind, limit_a: float, what: Disturbance, silent: float, seed: int
) -> Day:
    day = draw(kind, limit_a, seed)
    if what is not Disturbance.NONE:
        day = disturbed(day, what)
    return undeclared(day, silent) if silent else day


def _read(path: Path) -> dict[str, Any]:
    runs: dict[str, Any] = json.loads(path.read_text("utf-8"))["runs"]
    return runs


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not a range of seeds: {text}") from error


def _some(text: str) -> tuple[Policy, ...]:
    try:
        return tuple(Policy(name) for name in text.split(","))
    except ValueError as error:
        known = ", ".join(Policy)
        raise argparse.ArgumentTypeError(f"{error}; there are: {known}") from error


if __name__ == "__main__":
    main()
