"""Solves in worker processes, and answers in time whatever they do.

Every slot is one process of its own, so that one that hangs can be killed and replaced
without the others noticing. What is late is planned by the earliest-departure rule, in
this process, at once.

Workers start with the pool and import their solvers at once. Solves that something
happened for, like a car that was plugged in, come before those that are due because a
step is over: these have a plan that still holds. A worker uses one thread, whatever its
libraries would like: the pool is how cores are shared.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Self

import structlog

from gateway import cores
from gateway.services.waiting_line import WaitingLine
from optimizer import CabinetProblem, Fallback, Outcome, solve, warm_up
from optimizer.solve import Engine

GRACE_S: Final = 0.5
"""What a worker may take beyond its deadline: pickling, a busy machine."""

START_S: Final = 60.0
"""What a new worker may take to start and import the solver."""

PERIODIC_WAIT_S: Final = 120.0
"""What a solve may wait for a worker if nothing happened: the last plan holds."""

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")

Work = Callable[[CabinetProblem, float, Engine], Outcome]

_log = structlog.get_logger()


@dataclass(slots=True)
class _Slot:
    executor: ProcessPoolExecutor
    started: asyncio.Future[int]


class SolverPool:
    """``workers`` processes that solve problems; an async context manager.

    Args:
        workers: Processes, started with the pool.
        deadline_s: Real seconds a solve may take.
        engine: See ``optimizer.solve``.
        work: What a worker runs; module-level, so that it can be pickled.

    Attributes:
        replaced: Workers that hung or died so far.
    """

    def __init__(
        self,
        *,
        workers: int,
        deadline_s: float,
        engine: Engine = "auto",
        work: Work | None = None,
    ) -> None:
        self.replaced = 0
        self._workers = workers
        self._deadline_s = deadline_s
        self._engine: Engine = engine
        self._work: Work = solve_in_worker if work is None else work
        self._cores = cores.allowed()
        self._context = multiprocessing.get_context("spawn")
        self._free: WaitingLine[_Slot] = WaitingLine()
        self._all: list[_Slot] = []
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        for _ in range(self._workers):
            self._free.put(self._new_slot())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        for slot in self._all:
            _end(slot)
        self._all.clear()

    async def solve(
        self, problem: CabinetProblem, *, is_urgent: bool = True
    ) -> Outcome:
        """Solve; late by no more than the grace, never raises for a hard day.

        Args:
            problem: What to solve.
            is_urgent: Whether something happened that no plan knows of. What is not
                urgent lets others go first and may wait ``PERIODIC_WAIT_S``.
        """
        wait_s = self._deadline_s if is_urgent else PERIODIC_WAIT_S
        try:
            async with asyncio.timeout(wait_s):
                slot = await self._free.get(is_urgent=is_urgent)
        except TimeoutError:
            return by_rule(problem, "every worker is busy")
        is_well = False
        try:
            outcome = await self._solve_on(slot, problem)
            is_well = True
        except TimeoutError:
            why = f"no answer within {self._deadline_s + GRACE_S:g} s"
        except (BrokenProcessPool, OSError) as error:
            why = f"the worker died: {error}"
        else:
            return outcome
        finally:
            if is_well:
                self._free.put(slot)
            elif self._is_open:
                self._free.put(self._replacement(slot))
        _log.warning("solver.replaced", group_id=problem.group_id, why=why)
        return by_rule(problem, why)

    async def _solve_on(self, slot: _Slot, problem: CabinetProblem) -> Outcome:
        async with asyncio.timeout(START_S):
            await asyncio.shield(slot.started)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._deadline_s + GRACE_S):
            return await loop.run_in_executor(
                slot.executor, self._work, problem, self._deadline_s, self._engine
            )

    def _new_slot(self) -> _Slot:
        executor = ProcessPoolExecutor(
            max_workers=1,
            mp_context=self._context,
            initializer=_begin,
            initargs=(self._cores,),
        )
        with _sigint_blocked(), _one_thread():
            started = asyncio.get_running_loop().run_in_executor(
                executor, _warm_up, self._engine
            )
        started.add_done_callback(_look_at)
        slot = _Slot(executor=executor, started=started)
        self._all.append(slot)
        return slot

    def _replacement(self, slot: _Slot) -> _Slot:
        self.replaced += 1
        if slot in self._all:
            self._all.remove(slot)
        _end(slot)
        return self._new_slot()


def solve_in_worker(
    problem: CabinetProblem, deadline_s: float, engine: Engine
) -> Outcome:
    """What a worker runs."""
    return solve(problem, deadline_s=deadline_s, engine=engine)


def by_rule(problem: CabinetProblem, why: str) -> Outcome:
    """Plan by earliest departure, in this process, in milliseconds."""
    outcome = solve(problem, deadline_s=0.0, engine="edf")
    if isinstance(outcome, Fallback):
        return replace(outcome, why=f"{why}; {outcome.why}")
    return outcome


def _look_at(started: asyncio.Future[int]) -> None:
    """See how a start ended: whoever gets the slot deals with a failed one."""
    if not started.cancelled():
        started.exception()


def _begin(allowed: frozenset[int]) -> None:
    cores.run_on(allowed)
    end_with_parent()


def end_with_parent() -> None:
    """Have this worker end when the gateway is gone, however it went.

    A worker holds both ends of its own queue and would wait for work for ever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="solver.parent", daemon=True).start()


def _warm_up(engine: Engine) -> int:
    warm_up(engine)
    gc.freeze()  # what is imported stays: no collection need look at it again
    return os.getpid()


@contextmanager
def _one_thread() -> Iterator[None]:
    """A worker started within inherits it; libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A worker started within inherits it: Ctrl-C in a terminal reaches the group.

    Workers end when the gateway does; a worker that a Ctrl-C interrupts in the middle
    of an import would neither answer nor end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(slot: _Slot) -> None:
    """Kill the process of a slot, even while it starts, then let its threads go."""
    started = slot.executor._processes or {}  # noqa: SLF001 - pids have no public name until a job answers
    for pid in list(started):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    slot.executor.shutdown(wait=False, cancel_futures=True)
