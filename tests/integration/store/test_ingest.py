"""From the frame of a station to its answer, over the real adapters and a real file."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.bus import Bus, FactCommitted, Subscription
from gateway.domain.ids import StationId
from gateway.errors import StoreError
from gateway.ocpp import frames, v16, v201
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import NO_ANSWER
from gateway.services.authorization import Authorizer
from gateway.services.ingest import Ingest, StationContext, StationSink
from gateway.store import stations, tokens
from gateway.store.entry import Entry
from gateway.store.queries import Queries
from gateway.store.sqlite import Appended, Hooks, Store
from tests.support.journal import open_store

START = {
    "connectorId": 1,
    "idTag": "DRIVER",
    "meterStart": 1000,
    "timestamp": "2026-06-01T12:00:00Z",
}


class SteppingClock:
    """Site time that moves a second with every look."""

    speed = 1.0

    def __init__(self) -> None:
        self.at = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        """A second later than before."""
        self.at += timedelta(seconds=1)
        return self.at

    def real_s(self, site_s: float) -> float:
        """Unscaled."""
        return site_s


@dataclass
class Bench:
    """An ingest with one station of each version."""

    store: Store
    queries: Queries
    ingest: Ingest
    clock: SteppingClock
    heard: Subscription
    sinks: dict[str, StationSink] = field(default_factory=dict)

    def connect(self, name: str, adapter: Adapter, *, accepted: bool = True) -> None:
        """A station comes online."""
        self.sinks[name] = self.ingest.sink(
            StationContext(
                station_id=StationId(name), adapter=adapter, is_accepted=accepted
            )
        )

    def send(
        self, name: str, action: str, payload: dict[str, Any]
    ) -> asyncio.Queue[list[Any]]:
        """Send one CALL; its answers, should they come, are in the queue."""
        answers: asyncio.Queue[list[Any]] = asyncio.Queue()
        raw = frames.encode_call("m", action, payload)
        call = frames.parse(raw)
        assert isinstance(call, frames.Call)

        def respond(frame: bytes) -> None:
            if frame != NO_ANSWER:
                answers.put_nowait(json.loads(frame))

        self.sinks[name].handle(call, respond, raw, self.clock.now())
        return answers

    async def ask(self, name: str, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send one CALL and wait for its answer."""
        return await asyncio.wait_for(self.send(name, action, payload).get(), 5)


@asynccontextmanager
async def bench(path: Path) -> AsyncIterator[Bench]:
    """A bench with the token ``driver`` known and both stations accepted."""
    clock, bus = SteppingClock(), Bus()
    async with open_store(path, Hooks(judge=Authorizer())) as (store, queries):
        await store.writer.run(
            lambda conn: tokens.put(
                conn, value="driver", status="Accepted", now=clock.now()
            )
        )
        ingest = Ingest(
            log=store,
            jobs=store.writer,
            bus=bus,
            clock=clock,
            loop_time=asyncio.get_running_loop().time,
        )
        with bus.subscribe("test") as heard:
            made = Bench(store, queries, ingest, clock, heard)
            made.connect("CP16", v16.V16())
            made.connect("CP201", v201.V201())
            yield made


async def test_a_1_6_session_from_start_to_stop(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        started = await site.ask("CP16", "StartTransaction", START)
        assert started[0] == 3
        assert started[2]["idTagInfo"]["status"] == "Accepted"
        number = started[2]["transactionId"]
        sample = {
            "timestamp": "2026-06-01T12:30:00Z",
            "sampledValue": [{"value": "2000"}],
        }
        metered = await site.ask(
            "CP16",
            "MeterValues",
            {"connectorId": 1, "transactionId": number, "meterValue": [sample]},
        )
        assert metered == [3, "m", {}]
        await site.ask(
            "CP16",
            "StopTransaction",
            {
                "transactionId": number,
                "meterStop": 3000,
                "timestamp": "2026-06-01T13:00:00Z",
            },
        )
        (session,) = await site.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.transaction_id == str(number)
        facts = [n for n in site.heard.drain() if isinstance(n, FactCommitted)]
        assert [fact.is_new for fact in facts] == [True, True, True]
        assert facts[-1].session == session


async def test_an_unknown_token_is_invalid_and_its_session_is_kept(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as site:
        answer = await site.ask("CP16", "Authorize", {"idTag": "stranger"})
        assert answer[2]["idTagInfo"]["status"] == "Invalid"
        answer = await site.ask(
            "CP16", "StartTransaction", {**START, "idTag": "stranger"}
        )
        assert answer[2]["idTagInfo"]["status"] == "Invalid"
        assert answer[2]["transactionId"] > 0
        assert len(await site.queries.open_sessions()) == 1


async def test_a_2_0_1_transaction_is_answered_with_its_token(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        answer = await site.ask(
            "CP201",
            "TransactionEvent",
            {
                "eventType": "Started",
                "timestamp": "2026-06-01T12:00:00Z",
                "triggerReason": "Authorized",
                "seqNo": 0,
                "transactionInfo": {"transactionId": "tx-1"},
                "evse": {"id": 1, "connectorId": 1},
                "idToken": {"idToken": "DRIVER", "type": "ISO14443"},
            },
        )
        assert answer[2]["idTokenInfo"]["status"] == "Accepted"
        (session,) = await site.queries.open_sessions()
        assert session.transaction_id == "tx-1"


async def test_a_stranger_must_boot_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        site.connect("NEW", v16.V16(), accepted=False)
        refused = await site.ask("NEW", "StartTransaction", START)
        assert refused[0] == 4
        assert refused[2] == "SecurityError"
        assert await site.queries.sessions() == []
        boot = {"chargePointVendor": "V", "chargePointModel": "M"}
        answer = await site.ask("NEW", "BootNotification", boot)
        assert answer[2]["status"] == "Accepted"
        started = await site.ask("NEW", "StartTransaction", START)
        assert started[0] == 3
        (kept,) = await site.queries.refused_frames("NEW")
        assert kept.error_kind == "security"


async def test_a_station_set_to_pending_is_told_so_at_its_boot(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        site.connect("NEW", v16.V16(), accepted=False)
        boot = {"chargePointVendor": "V", "chargePointModel": "M"}
        await site.ask("NEW", "BootNotification", boot)
        await site.store.writer.run(
            lambda conn: stations.set_registration(conn, StationId("NEW"), "Pending")
        )
        assert (await site.ask("NEW", "Authorize", {"idTag": "driver"}))[0] == 3
        answer = await site.ask("NEW", "BootNotification", boot)
        assert (answer[2]["status"], answer[2]["interval"]) == ("Pending", 60)
        assert (await site.ask("NEW", "Authorize", {"idTag": "driver"}))[0] == 4


async def test_a_flood_of_refused_frames_is_kept_in_part(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        for _ in range(300):
            answer = await site.ask("CP16", "Nonsense", {})
            assert answer[2] == "NotImplemented"
        await site.store.writer.run(lambda _conn: None)  # what is queued is written
        kept = await site.queries.refused_frames("CP16", limit=1000)
        assert 0 < len(kept) <= 120
        assert site.ingest.counters.refused == 300


async def test_heartbeats_are_answered_while_nothing_can_be_stored(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as site:

        class BrokenLog:
            def append(self, _entry: Entry, on_done: Appended) -> None:
                on_done(None, StoreError("disk full"))

        working = site.ingest._log
        site.ingest._log = BrokenLog()
        with capture_logs() as logs:
            unanswered = [site.send("CP16", "StartTransaction", START) for _ in "123"]
            beat = await site.ask("CP16", "Heartbeat", {})
            assert "currentTime" in beat[2]
            assert all(answers.empty() for answers in unanswered)
            site.ingest._log = working
            assert (await site.ask("CP16", "StartTransaction", START))[0] == 3
        assert [log["event"] for log in logs] == ["store.failed", "store.recovered"]


@pytest.mark.parametrize("raw", [b"[", b"{}", b'[2,"1"]'])
async def test_what_is_no_frame_is_kept_and_not_answered_on_1_6(
    tmp_path: Path, raw: bytes
) -> None:
    async with bench(tmp_path) as site:
        with pytest.raises(frames.FrameError) as caught:
            frames.parse(raw)
        site.sinks["CP16"].refuse(raw, caught.value)
        await site.ask("CP16", "StartTransaction", START)
        (kept,) = await site.queries.refused_frames("CP16")
        assert kept.raw == raw


async def test_only_as_many_sessions_as_a_token_may_have(tmp_path: Path) -> None:
    async with bench(tmp_path) as site:
        now = datetime(2026, 6, 1, tzinfo=UTC)
        await site.store.writer.run(
            lambda conn: tokens.put(
                conn, value="DRIVER", status="Accepted", now=now, max_sessions=1
            )
        )
        starts = [{**START, "connectorId": number} for number in range(1, 5)]
        answers = [site.send("CP16", "StartTransaction", start) for start in starts]
        found = [
            (await asyncio.wait_for(answer.get(), 5))[2]["idTagInfo"]["status"]
            for answer in answers
        ]
        assert found == ["Accepted", "ConcurrentTx", "ConcurrentTx", "ConcurrentTx"]


async def test_a_fact_whose_answer_cannot_be_made_is_told_to_all_and_answered(
    tmp_path: Path,
) -> None:
    """A station that hears nothing would send it again for ever."""

    def breaks(_session: object) -> str:
        raise ZeroDivisionError

    async with bench(tmp_path) as site:
        site.ingest._total_cost = breaks  # a bug in a service of ours
        event = {
            "eventType": "Started",
            "timestamp": "2026-06-01T12:00:00Z",
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "tx"},
            "evse": {"id": 1, "connectorId": 1},
        }
        update = {**event, "eventType": "Updated", "seqNo": 1}
        await site.ask("CP201", "TransactionEvent", event)
        with capture_logs():
            answer = await site.ask("CP201", "TransactionEvent", update)
        assert answer[2] == "InternalError"
        offsets = [
            one.offset
            for one in site.heard.drain()
            if isinstance(one, FactCommitted) and one.session is not None
        ]
        assert len(offsets) == 2
