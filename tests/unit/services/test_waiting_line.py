"""Who is urgent goes first; nothing gets lost when somebody stops waiting."""

import asyncio
from datetime import UTC, datetime

from gateway.services.plan_pace import next_step, stagger_s
from gateway.services.waiting_line import WaitingLine


async def test_the_urgent_go_first_and_equals_in_the_order_they_came() -> None:
    line: WaitingLine[int] = WaitingLine()
    served: list[str] = []

    async def wait(name: str, *, is_urgent: bool) -> None:
        await line.get(is_urgent=is_urgent)
        served.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "C", "D"):
            group.create_task(wait(name, is_urgent=name.isupper()))
        await asyncio.sleep(0)
        for one in range(4):
            line.put(one)
            await asyncio.sleep(0)
    assert served == ["C", "D", "a", "b"]


async def test_who_gives_up_takes_nothing_along() -> None:
    line: WaitingLine[int] = WaitingLine()
    async with asyncio.TaskGroup() as group:
        tired = group.create_task(line.get(is_urgent=True))
        caught = group.create_task(line.get(is_urgent=True))
        patient = group.create_task(line.get(is_urgent=False))
        await asyncio.sleep(0)
        tired.cancel()
        await asyncio.sleep(0)
        line.put(7)
        caught.cancel()  # in the same moment in which it was served
    assert tired.cancelled()
    assert caught.cancelled()
    assert patient.result() == 7


def test_groups_begin_their_steps_apart_but_each_always_at_the_same_instant() -> None:
    late = [stagger_s(f"cabinet-{k}", 900) for k in range(1000)]
    assert set(late) == set(range(60))
    assert stagger_s("cabinet-1", 10) == 0
    now = datetime(2026, 3, 1, 0, 0, 20, tzinfo=UTC)
    assert next_step(now, 900, 0) == datetime(2026, 3, 1, 0, 15, tzinfo=UTC)
    assert next_step(now, 900, 40) == datetime(2026, 3, 1, 0, 0, 40, tzinfo=UTC)
    assert next_step(now, 900, 20) == datetime(2026, 3, 1, 0, 15, 20, tzinfo=UTC)
