"""A link serves its station whatever the station does, and ends with its socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec
import pytest

from gateway.clock import ScaledClock
from gateway.domain.ids import StationId
from gateway.errors import CallFailed, CallRefused, CallTimedOut, NotConnected
from gateway.ocpp import frames
from gateway.ocpp.frames import Call
from gateway.ocpp.rpc import CallPriority, Endpoint
from gateway.ocpp.v16 import V16
from gateway.server import link as link_module
from gateway.server.link import (
    BURST_S,
    MAX_FRAMES_PER_S,
    MAX_UNANSWERED,
    Link,
)

CLOCK = ScaledClock(
    epoch=datetime(2026, 6, 1, tzinfo=UTC),
    epoch_unix_s=0.0,
    started_monotonic_s=0.0,
    speed=1.0,
)


class Wire:
    """A socket in memory: what reaches the station, and what it is told."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed_with: tuple[int, str] | None = None
        self.is_held = False

    def send(self, frame: bytes) -> None:
        self.sent.put_nowait(frame)

    def close(self, code: int, reason: str) -> None:
        self.closed_with = self.closed_with or (code, reason)

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        self.is_held = False

    async def next_sent(self) -> list[object]:
        async with asyncio.timeout(30):
            frame: list[object] = msgspec.json.decode(await self.sent.get())
            return frame


class Sink:
    """Answers every CALL with an empty result, later if told to wait."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.raw: list[bytes] = []
        self.refused: list[bytes] = []
        self.held: list[Callable[[], None]] | None = None

    def handle(
        self,
        frame: Call,
        respond: Callable[[bytes], None],
        raw: bytes,
        received_at: datetime,  # noqa: ARG002 - of the protocol
    ) -> None:
        self.calls.append(frame)
        self.raw.append(raw)
        answer = frames.encode_result(frame.message_id, {})
        if self.held is None:
            respond(answer)
        else:
            self.held.append(lambda: respond(answer))

    def refuse(self, raw: bytes, error: Exception) -> bytes | None:
        self.refused.append(raw)
        return f'[4,"-1","FormatViolation","{type(error).__name__}",{{}}]'.encode()


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Link, Wire, Sink]]:
    wire, sink, ids = Wire(), Sink(), count(1)
    link = Link(
        station_id=StationId("CP1"),
        adapter=V16(),
        transport=wire,
        endpoint=Endpoint(lambda: f"ours-{next(ids)}", max_queued=3),
        sink=sink,
        clock=CLOCK,
        remote="127.0.0.1:1",
        epoch=1,
    )
    try:
        yield link, wire, sink
    finally:
        link.lost()


async def outcome_of(
    call: Coroutine[Any, Any, dict[str, object]],
) -> dict[str, object] | CallFailed:
    """The answer, or the failure as a value."""
    try:
        return await call
    except CallFailed as error:
        return error


async def turns(n: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(n):
        await asyncio.sleep(0)


async def test_a_station_that_calls_while_it_is_called_is_served_at_once() -> None:
    async with linked() as (link, wire, sink), asyncio.TaskGroup() as group:
        ours = group.create_task(link.call("Reset", {"type": "Soft"}, timeout_s=5))
        assert await wire.next_sent() == [2, "ours-1", "Reset", {"type": "Soft"}]
        link.take(b'[2,"a","Heartbeat",{}]')
        assert await wire.next_sent() == [3, "a", {}]
        assert not ours.done()
        link.take(b'[3,"ours-1",{"status":"Accepted"}]')
        assert await ours == {"status": "Accepted"}
        assert sink.raw == [b'[2,"a","Heartbeat",{}]']


async def test_one_call_is_outstanding_and_a_stop_overtakes_the_waiting() -> None:
    async with linked() as (link, wire, _), asyncio.TaskGroup() as group:
        first = group.create_task(link.call("GetConfiguration", {}, timeout_s=5))
        assert (await wire.next_sent())[2] == "GetConfiguration"
        low = group.create_task(link.call("ClearCache", {}, timeout_s=5))
        stop = link.call(
            "RemoteStopTransaction",
            {"transactionId": 1},
            timeout_s=5,
            priority=CallPriority.STOP,
        )
        high = group.create_task(outcome_of(stop))
        await asyncio.sleep(0)
        assert wire.sent.empty()
        link.take(b'[3,"ours-1",{}]')
        assert (await wire.next_sent())[2] == "RemoteStopTransaction"
        link.take(b'[4,"ours-3","InternalError","no",{"why":1}]')
        assert (await wire.next_sent())[2] == "ClearCache"
        link.take(b'[3,"ours-2",{"status":"Accepted"}]')
        await first
        assert await low == {"status": "Accepted"}
        refusal = await high
        assert isinstance(refusal, CallRefused)
        assert (refusal.code, refusal.details) == ("InternalError", {"why": 1})


async def test_a_silent_station_costs_its_caller_a_timeout_and_nothing_else() -> None:
    async with linked() as (link, wire, _):
        with pytest.raises(CallTimedOut):
            await link.call("Reset", {"type": "Soft"}, timeout_s=0.05)
        link.take(b'[3,"ours-1",{"status":"Accepted"}]')
        link.take(b'[3,"never-asked",{}]')
        link.take(b'[2,"a","Heartbeat",{}]')
        assert (await wire.next_sent())[1] == "ours-1"
        assert await wire.next_sent() == [3, "a", {}]
        assert link.counters.orphan_answers == 1


async def test_a_full_line_refuses_further_calls() -> None:
    async with linked() as (link, _, _), asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(outcome_of(link.call("ClearCache", {}, timeout_s=0.05)))
            for _ in range(4)
        ]
        await turns()
        with pytest.raises(CallFailed, match="too many"):
            await link.call("ClearCache", {}, timeout_s=1)
        for task in waiting:
            assert isinstance(await task, CallTimedOut)


async def test_what_is_not_ocpp_is_answered_and_the_socket_stays_up() -> None:
    async with linked() as (link, wire, sink):
        link.take(b"not json")
        assert (await wire.next_sent())[0] == 4
        link.take(b'[2,"a","Heartbeat",{}]')
        assert await wire.next_sent() == [3, "a", {}]
        assert sink.refused == [b"not json"]


async def test_a_message_repeated_in_flight_gets_one_answer() -> None:
    async with linked() as (link, wire, sink):
        sink.held = []
        stop = b'[2,"a","StopTransaction",{"transactionId":1}]'
        link.take(stop)
        link.take(stop)
        await turns()
        for answer in sink.held:
            answer()
        assert await wire.next_sent() == [3, "a", {}]
        assert len(sink.calls) == 1
        assert wire.sent.empty()


async def test_a_station_that_is_owed_too_many_answers_is_read_no_further() -> None:
    async with linked() as (link, wire, sink):
        sink.held = []
        for number in range(MAX_UNANSWERED):
            assert not wire.is_held
            link.take(f'[2,"{number}","StopTransaction",{{}}]'.encode())
        assert wire.is_held
        for answer in sink.held[: MAX_UNANSWERED // 2 - 1]:
            answer()
        assert wire.is_held
        sink.held[MAX_UNANSWERED // 2]()
        assert not wire.is_held


async def test_answers_that_never_come_silence_no_station_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "PATIENCE_S", 0.05)
    async with linked() as (link, wire, sink):
        sink.held = []
        for number in range(MAX_UNANSWERED):
            link.take(f'[2,"{number}","StopTransaction",{{}}]'.encode())
        assert wire.is_held
        await asyncio.sleep(0.1)
        assert not wire.is_held


async def test_a_station_that_sends_without_pause_is_slowed_to_its_share() -> None:
    async with linked() as (link, wire, _):
        n_taken = 0
        while not wire.is_held:
            n_taken += 1
            link.take(f'[2,"{n_taken}","Heartbeat",{{}}]'.encode())
        assert n_taken == pytest.approx(MAX_FRAMES_PER_S * BURST_S, rel=0.3)


async def test_calls_end_with_the_connection() -> None:
    async with linked() as (link, wire, _), asyncio.TaskGroup() as group:
        reset = link.call("Reset", {"type": "Soft"}, timeout_s=5)
        ours = group.create_task(outcome_of(reset))
        await wire.next_sent()
        link.lost()
        assert isinstance(await ours, NotConnected)
        with pytest.raises(NotConnected):
            await link.call("Reset", {"type": "Soft"}, timeout_s=5)


async def test_an_answer_after_the_timeout_reaches_who_asked_for_late_ones() -> None:
    late: list[Any] = []
    async with linked() as (link, wire, _):
        with pytest.raises(CallTimedOut):
            await link.call("ClearCache", {}, timeout_s=0.01, on_late=late.append)
        with pytest.raises(CallTimedOut):
            await link.call("ClearCache", {}, timeout_s=0.01, on_late=late.append)
        await wire.next_sent()
        await wire.next_sent()
        link.take(b'[3,"ours-1",{"status":"Accepted"}]')
        link.take(b'[3,"ours-1",{"status":"Accepted"}]')
        link.take(b'[4,"ours-2","InternalError","no",{}]')
    assert late[0] == {"status": "Accepted"}
    assert isinstance(late[1], CallRefused)
    assert late[2:] == []


async def test_an_answer_to_a_caller_that_gave_up_itself_counts_as_late() -> None:
    late: list[Any] = []
    async with linked() as (link, wire, _), asyncio.TaskGroup() as group:
        ours = group.create_task(
            link.call("ClearCache", {}, timeout_s=5, on_late=late.append)
        )
        await wire.next_sent()
        ours.cancel()
        await turns()
        link.take(b'[3,"ours-1",{"status":"Accepted"}]')
    assert late == [{"status": "Accepted"}]


async def test_a_call_that_never_left_is_told_from_one_that_did() -> None:
    async with linked() as (link, wire, _), asyncio.TaskGroup() as group:
        first = group.create_task(outcome_of(link.call("ClearCache", {}, timeout_s=5)))
        await wire.next_sent()
        second = group.create_task(outcome_of(link.call("ClearCache", {}, timeout_s=5)))
        await turns()
        link.lost()
        lost, unsent = await first, await second
    assert isinstance(lost, NotConnected)
    assert isinstance(unsent, NotConnected)
    assert (lost.was_sent, unsent.was_sent) == (True, False)
