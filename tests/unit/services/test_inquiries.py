"""Questions of stations and who answers them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.inquiries import (
    DataAnswered,
    DataOffered,
    DataStatus,
    Finding,
    SigningAsked,
)
from gateway.services.inquiries import MAX_PER_STATION, Found, Inquiries

CP1 = StationId("CP1")
OFFER = DataOffered(vendor_id="org.example", message_id=None, data="x")
YES = DataAnswered(status=DataStatus.ACCEPTED)


@pytest.fixture
async def inquiries() -> AsyncIterator[Inquiries]:
    part = Inquiries(deadline_s=0.05)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part.run())
        yield part
        task.cancel()


async def asked(part: Inquiries, what: DataOffered | SigningAsked) -> Finding | None:
    answer: asyncio.Future[Finding | None] = asyncio.get_running_loop().create_future()
    part.ask(CP1, what, answer.set_result)
    return await asyncio.wait_for(answer, 30)


async def test_what_nobody_answers_is_left_without_a_finding_at_once(
    inquiries: Inquiries,
) -> None:
    assert await asked(inquiries, SigningAsked(csr="")) is None


async def test_what_follows_an_answer_runs_after_it(inquiries: Inquiries) -> None:
    order: list[str] = []
    done = asyncio.Event()

    async def then() -> None:
        order.append("then")
        done.set()

    async def handler(_: StationId, __: DataOffered) -> Found:
        return Found(finding=YES, then=then)

    inquiries.answer_with(DataOffered, handler)
    inquiries.ask(CP1, OFFER, lambda _: order.append("answer"))
    await asyncio.wait_for(done.wait(), 30)
    assert order == ["answer", "then"]


async def test_a_failing_or_slow_handler_refuses_and_harms_no_other_question(
    inquiries: Inquiries,
) -> None:
    async def fails(_: StationId, __: DataOffered) -> Found:
        raise CallFailed("no")

    async def breaks(_: StationId, __: DataOffered) -> Found:
        raise ZeroDivisionError

    async def sleeps(_: StationId, __: DataOffered) -> Found:
        await asyncio.sleep(10)
        return Found(finding=YES)

    async def works(_: StationId, __: DataOffered) -> Found:
        return Found(finding=YES)

    for handler in (fails, breaks, sleeps):
        inquiries.answer_with(DataOffered, handler)
        assert await asked(inquiries, OFFER) is None
    inquiries.answer_with(DataOffered, works)
    assert await asked(inquiries, OFFER) == YES


async def test_one_station_that_asks_without_end_keeps_no_other_waiting() -> None:
    """Its share is a few questions at a time; more of them are refused politely."""
    part, stuck, refused = Inquiries(deadline_s=10), asyncio.Event(), 0

    async def handler(station_id: StationId, _: DataOffered) -> Found:
        if station_id == CP1:
            await stuck.wait()
        return Found(finding=YES)

    def note(finding: Finding | None) -> None:
        nonlocal refused
        refused += finding is None

    part.answer_with(DataOffered, handler)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part.run())
        for _ in range(64):
            part.ask(CP1, OFFER, note)
        answer: asyncio.Future[Finding | None] = asyncio.Future()
        part.ask(StationId("CP2"), OFFER, answer.set_result)
        assert await asyncio.wait_for(answer, 30) == YES
        assert refused == 64 - MAX_PER_STATION
        stuck.set()
        await asyncio.sleep(0.01)
        assert await asked(part, OFFER) == YES  # it has its share again
        task.cancel()


async def test_an_answer_that_cannot_be_written_harms_no_other_question(
    inquiries: Inquiries,
) -> None:
    async def works(_: StationId, __: DataOffered) -> Found:
        return Found(finding=YES)

    def breaks(_: Finding | None) -> None:
        raise ZeroDivisionError

    inquiries.answer_with(DataOffered, works)
    inquiries.ask(CP1, OFFER, breaks)
    assert await asked(inquiries, OFFER) == YES
    assert await asked(inquiries, OFFER) == YES
