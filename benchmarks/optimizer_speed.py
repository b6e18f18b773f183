"""CPU time and memory of one solve, build to checked plan, by the number of cars."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks import harness
from benchmarks.optimizer_days import NOMINAL_V, STEP_S, Day, Disturbance, Kind, draw
from benchmarks.optimizer_past import past_stays
from optimizer.battery import BatteryUnit
from optimizer.leaving import uncertain
from optimizer.outcome import Fallback
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.solve import solve, warm_up

SIZES: Final = (6, 20, 54, 100)
_CELLAR: Final = BatteryUnit(
    battery_id="cellar",
    cabinet_id="A",
    capacity_wh=40_000,
    energy_wh=20_000,
    reserve_wh=8_000,
    target_wh=20_000,
    max_charge_w=20_000,
    max_discharge_w=20_000,
)
GROUPS: Final = 10_000
_N_STEP: Final = 96
_VARIANTS: Final[dict[str, dict[str, bool]]] = {
    "": {},
    ", likely departures": {"is_uncertain": True},
    ", likely departures and a battery": {"is_uncertain": True, "has_battery": True},
}
_DEADLINE_S: Final = 60.0
_A_PER_CAR: Final = 3.5
_LEAST_A: Final = 25.0

_WORKER: Final = """
import json, pathlib, sys
from gateway.services.solver_pool import solve_in_worker
from optimizer import CabinetProblem
problem = CabinetProblem.from_json(json.loads(pathlib.Path(sys.argv[1]).read_text()))
solve_in_worker(problem, 60.0, "auto")
status = dict(line.split(":") for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) / 1024)
"""
"""What a worker loads and does, and the most memory it had, MiB: of its own, since what
`wait4` tells counts from before the program began, when it was a copy of its parent."""


def problem_of(
    n: int, seed: int, *, is_uncertain: bool = False, has_battery: bool = False
) -> CabinetProblem:
    """``n`` cars of a working day behind a tight cabinet, all plugged in now.

    Args:
        n: How many.
        seed: Of the day.
        is_uncertain: With likely departures, as past days tell them where every driver
            is wrong by an hour.
        has_battery: With one, whose power is planned.
    """
    later = past_stays(Kind.WORK, Disturbance.WRONG).later if is_uncertain else ()
    day = draw(Kind.WORK, max(_LEAST_A, _A_PER_CAR * n), seed, n=n)
    return CabinetProblem(
        group_id=f"speed{seed}",
        start=day.start,
        step_s=STEP_S,
        n_step=_N_STEP,
        nominal_v=NOMINAL_V,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=[list(day.limit_a)] * 3, reserved_a=day.load_a
            ),
        ),
        sessions=tuple(
            uncertain(
                EvSession(
                    session_id=str(index),
                    cabinet_id="A",
                    phases=car.phases,
                    energy_wh=car.energy_wh,
                    departure_step=car.departure_step - car.arrival_step,
                    max_a=car.max_a,
                ),
                (car.departure_step - car.arrival_step + one for one in later),
            )
            for index, car in enumerate(day.cars)
        ),
        import_price_micro_per_kwh=_shifted(day),
        feed_in_price_micro_per_kwh=[day.feed_in_micro] * _N_STEP,
        pv_w=day.sun_w,
        mode=Mode.FINISH,
        batteries=(_CELLAR,) if has_battery else (),
        load_w=[2_000.0] * _N_STEP if has_battery else None,
    )


def measure(*, quick: bool) -> dict[str, Any]:
    """Time solves one by one in this process; memory in one of its own."""
    warm_up()
    solve(problem_of(6, 0), deadline_s=_DEADLINE_S)
    found: dict[str, Any] = {"machine": harness.machine(), "solves": {}}
    for name, extras in _VARIANTS.items():
        for n in SIZES[:2] if quick else SIZES:
            rounds = 3 if quick else max(5, 120 // n)
            row = _solves(n, rounds, extras)
            found["solves"][f"{n}{name}"] = row
            harness.say(f"{n} cars{name}: {row}")
        found[f"fleet{name}"] = _fleet(40 if quick else 400, extras)
        harness.say(f"fleet{name}: {found[f'fleet{name}']}")
    return found


def _solves(n: int, rounds: int, extras: dict[str, bool]) -> dict[str, Any]:
    """CPU time of the solves of ``n`` cars, and the memory of a worker."""
    days = [problem_of(n, seed, **extras) for seed in range(rounds)]
    times_ms, engines = _times_ms(days)
    return {
        "cpu_ms": round(statistics.median(times_ms), 2),
        "least_ms": round(min(times_ms), 2),
        "most_ms": round(max(times_ms), 2),
        "engines": engines,
        "rounds": rounds,
        "peak_mib": _peak_mib(days[0]),
    }


def _fleet(n_group: int, extras: dict[str, bool]) -> dict[str, Any]:
    """CPU time of many small groups, of six cars in the mean."""
    rng = Random("fleet")
    sizes = [min(20, max(1, round(rng.gammavariate(3, 2)))) for _ in range(n_group)]
    times_ms, engines = _times_ms(
        [problem_of(n, seed, **extras) for seed, n in enumerate(sizes)]
    )
    return {
        "groups": n_group,
        "mean_cars": round(statistics.fmean(sizes), 2),
        "cpu_ms_per_group": round(statistics.fmean(times_ms), 2),
        "cpu_s_per_10000": round(statistics.fmean(times_ms) * GROUPS / 1000, 1),
        "engines": engines,
    }


def _times_ms(problems: list[CabinetProblem]) -> tuple[list[float], dict[str, int]]:
    times_ms: list[float] = []
    engines: dict[str, int] = {}
    for problem in problems:
        began_s = time.process_time()
        outcome = solve(problem, deadline_s=_DEADLINE_S)
        times_ms.append(1000 * (time.process_time() - began_s))
        name = "fallback" if isinstance(outcome, Fallback) else outcome.plan.engine
        engines[name] = engines.get(name, 0) + 1
    return times_ms, engines


def _peak_mib(problem: CabinetProblem) -> float:
    """Most resident memory of a fresh worker of the gateway that solves a problem."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.json"
        path.write_text(json.dumps(problem.to_json()), "utf-8")
        process = subprocess.run(
            [sys.executable, "-c", _WORKER, str(path)],
            capture_output=True,
            check=False,
            cwd=harness.ROOT,
        )
    if process.returncode != 0:
        raise harness.LoadFailed(f"the solve of {problem.group_id} failed")
    return round(float(process.stdout), 1)


def _shifted(day: Day) -> list[int]:
    """Prices from eight in the morning on."""
    first = 8 * 3600 // STEP_S
    return [*day.price_micro[first:], *day.price_micro[:first]]
