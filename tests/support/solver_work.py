"""What a worker of the solver's pool is given to do; importing it takes no time."""

import os
import time
from dataclasses import replace
from pathlib import Path

from optimizer import CabinetProblem, Fallback, Outcome, solve
from optimizer.chain import Engine


def threads(problem: CabinetProblem, deadline_s: float, _engine: Engine) -> Outcome:
    """The rule's plan, with the number of threads of this process as its reason."""
    outcome = solve(problem, deadline_s=deadline_s, engine="edf")
    assert isinstance(outcome, Fallback)
    solve(problem, deadline_s=deadline_s)
    count = len(list(Path("/proc/self/task").iterdir()))
    return replace(outcome, why=f"{count} {os.environ['OPENBLAS_NUM_THREADS']}")


def nap(problem: CabinetProblem, _deadline_s: float, _engine: Engine) -> Outcome:
    time.sleep(0.05)
    return solve(problem, deadline_s=0, engine="edf")


def hang(_problem: CabinetProblem, _deadline_s: float, _engine: Engine) -> Outcome:
    time.sleep(60)
    raise AssertionError("killed before")


def crash(_problem: CabinetProblem, _deadline_s: float, _engine: Engine) -> Outcome:
    os._exit(3)
