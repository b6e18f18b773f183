"""What the dispatch of a world stands on: a store and a solver in its one thread."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from benchmarks.dispatch_tally import Tally
from gateway.store.schema import migrations
from optimizer import CabinetProblem, Outcome, solve
from optimizer.solve import Engine

T = TypeVar("T")


class MemoryStore:
    """The store's tables in memory, written at once: no thread could keep the time."""

    def __init__(self, tally: Tally) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        for step in migrations():
            self.conn.executescript(step.sql)
        self._tally = tally

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job now."""
        began_s = time.thread_time()
        try:
            return job(self.conn)
        finally:
            self._tally.store_cpu_s += time.thread_time() - began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a driver asked for."""

    energy_wh: float | None
    departure_at: datetime | None
    target_soc_percent: float | None = None
    is_default: bool = False
    may_pause: bool | None = None


class RuleOrOptimum:
    """Plans in this thread; takes virtual time."""

    def __init__(self, engine: Engine, took_s: float, tally: Tally) -> None:
        self._engine: Engine = engine
        self._took_s = took_s
        self._tally = tally

    async def solve(
        self,
        problem: CabinetProblem,
        *,
        is_urgent: bool = True,  # noqa: ARG002 - one group has nobody to let go first
    ) -> Outcome:
        """See `dispatch_ports.Solver`."""
        began_s = time.thread_time()
        outcome = solve(problem, deadline_s=30.0, engine=self._engine)
        self._tally.solver_cpu_s += time.thread_time() - began_s
        self._tally.solves += 1
        await asyncio.sleep(self._took_s)
        return outcome
