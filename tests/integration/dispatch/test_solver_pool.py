import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess

import pytest

from gateway.services.solver_pool import SolverPool
from optimizer import CabinetLimit, CabinetProblem, EvSession, Fallback, Optimal
from optimizer.outcome import Outcome
from optimizer.solve import Engine
from tests.support.ocpp_port import until


def problem() -> CabinetProblem:
    return CabinetProblem(
        group_id="A",
        start=datetime(2026, 1, 5, tzinfo=UTC),
        step_s=900,
        n_step=4,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=[[63.0] * 4] * 3, reserved_a=[[0.0] * 4] * 3
            ),
        ),
        sessions=(
            EvSession(
                session_id="s",
                cabinet_id="A",
                phases=(0, 1, 2),
                energy_wh=3000,
                departure_step=4,
                max_a=32.0,
            ),
        ),
    )


def hang(_problem: CabinetProblem, _deadline_s: float, _engine: Engine) -> Outcome:
    time.sleep(60)
    raise AssertionError("killed before")


def crash(_problem: CabinetProblem, _deadline_s: float, _engine: Engine) -> Outcome:
    os._exit(3)


async def test_a_worker_solves_to_a_proven_optimum() -> None:
    async with SolverPool(workers=1, deadline_s=20.0) as pool:
        outcome = await pool.solve(problem())
    assert isinstance(outcome, Optimal)
    assert pool.replaced == 0


async def test_a_worker_that_hangs_is_killed_and_replaced_and_the_rule_plans() -> None:
    async with SolverPool(workers=1, deadline_s=0.2, work=hang) as pool:
        for count in (1, 2):
            outcome = await pool.solve(problem())
            assert isinstance(outcome, Fallback)
            assert "no answer within" in outcome.why
            assert any(outcome.plan.currents_da[0])
            assert pool.replaced == count


async def test_a_worker_that_dies_is_replaced_and_the_rule_plans() -> None:
    async with SolverPool(workers=1, deadline_s=5.0, work=crash) as pool:
        outcome = await pool.solve(problem())
        assert isinstance(outcome, Fallback)
        assert "died" in outcome.why
        assert pool.replaced == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_unused_pool_closes_at_once(workers: int) -> None:
    async with SolverPool(workers=workers, deadline_s=1.0):
        pass


async def started_worker(pool: SolverPool) -> BaseProcess:
    """The process of a pool's only slot, as soon as there is one."""
    for _ in range(1000):
        if pool._all[0].executor._processes:
            break
        await asyncio.sleep(0)
    (worker,) = pool._all[0].executor._processes.values()
    return worker


async def test_a_ctrl_c_for_the_whole_group_does_not_reach_a_starting_worker() -> None:
    async with (
        SolverPool(workers=1, deadline_s=20.0) as pool,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(pool.solve(problem()))
        worker = await started_worker(pool)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGINT)
        assert isinstance(await task, Optimal)
        assert pool.replaced == 0


async def test_a_pool_closes_while_its_worker_is_still_starting() -> None:
    async with asyncio.TaskGroup() as group:
        async with SolverPool(workers=1, deadline_s=20.0) as pool:
            task = group.create_task(pool.solve(problem()))
            worker = await started_worker(pool)
            task.cancel()
        await until(lambda: not is_there(worker))


def is_there(worker: BaseProcess) -> bool:
    """Whether a process exists; the executor's own thread waits for its end, too."""
    assert worker.pid is not None
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return False
    return True
