import asyncio
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess

import pytest

from gateway.services.solver_pool import SolverPool
from optimizer import (
    CabinetLimit,
    CabinetProblem,
    EvSession,
    Fallback,
    Optimal,
    Relaxed,
)
from tests.support.ocpp_port import until
from tests.support.optimizer_problems import typical_day
from tests.support.solver_work import crash, hang, nap, threads


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


def cars(group_id: str, count: int) -> CabinetProblem:
    """A busy cabinet, so that a solve takes a while."""
    return replace(typical_day(3, n_session=count, limit_a=90.0), group_id=group_id)


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
    async with SolverPool(workers=1, deadline_s=20.0, work=crash) as pool:
        outcome = await pool.solve(problem())
        assert isinstance(outcome, Fallback)
        assert "died" in outcome.why
        assert pool.replaced == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_unused_pool_closes_at_once(workers: int) -> None:
    async with SolverPool(workers=workers, deadline_s=1.0):
        pass


async def test_a_plug_in_has_its_plan_before_periodic_work_that_waits() -> None:
    """Periodic work alone would keep the only worker busy for long."""
    async with (
        SolverPool(workers=1, deadline_s=30.0) as pool,
        asyncio.TaskGroup() as group,
    ):
        await pool.solve(cars("warm", 4))
        periodic = [
            group.create_task(pool.solve(cars(f"p{k}", 30), is_urgent=False))
            for k in range(60)
        ]
        await until(lambda: any(task.done() for task in periodic))
        waiting = sum(not task.done() for task in periodic)
        outcome = await pool.solve(cars("plugged in", 12))
        before_it = waiting - sum(not task.done() for task in periodic)
        for task in periodic:
            task.cancel()
    assert isinstance(outcome, Optimal | Relaxed)
    assert waiting > 10
    assert before_it <= 2, "what is under way, and one that ended meanwhile"


async def test_periodic_work_waits_past_the_deadline_and_is_still_solved() -> None:
    async with (
        SolverPool(workers=1, deadline_s=1.0, work=nap) as pool,
        asyncio.TaskGroup() as group,
    ):
        tasks = [
            group.create_task(pool.solve(problem(), is_urgent=False)) for _ in range(40)
        ]
    for task in tasks:
        outcome = task.result()
        assert isinstance(outcome, Fallback)
        assert outcome.why == "engine is edf"


async def test_urgent_work_that_finds_nobody_free_is_planned_by_rule() -> None:
    async with (
        SolverPool(workers=1, deadline_s=1.0, work=nap) as pool,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(pool.solve(problem())) for _ in range(40)]
    reasons = [task.result().why for task in tasks]  # type: ignore[union-attr]  # the rule's
    assert any("every worker is busy" in why for why in reasons)


async def test_workers_are_warm_before_anybody_asks_and_use_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    async with SolverPool(workers=1, deadline_s=10.0, work=threads) as pool:
        await asyncio.wait_for(asyncio.shield(pool._all[0].started), 30)
        outcome = await pool.solve(problem())
    assert isinstance(outcome, Fallback)
    count, told = outcome.why.split()
    assert told == "1"
    assert int(count) <= 3  # itself, who watches the parent, who feeds the queue
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert "RAYON_NUM_THREADS" not in os.environ


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
