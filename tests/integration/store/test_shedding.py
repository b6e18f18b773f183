"""Under pressure the store takes transactions and lets telemetry wait outside."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.integration.store.test_ingest import START, bench

STATE = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
TIME = "2026-06-01T12:00:00Z"


def samples(**transaction: int) -> dict[str, Any]:
    """A meter value, of a transaction or of none."""
    value = {"timestamp": TIME, "sampledValue": [{"value": "1"}]}
    return {"connectorId": 1, "meterValue": [value]} | transaction


async def answered(queue: "asyncio.Queue[Any]") -> bool:
    """Whether an answer comes."""
    try:
        async with asyncio.timeout(30):
            await queue.get()
    except TimeoutError:
        return False
    return True


@pytest.mark.quirk(7)
async def test_telemetry_is_refused_before_anything_that_bills(tmp_path: Path) -> None:
    """Row 7: and each is told to the operator once, not with every message."""
    async with bench(tmp_path) as site:
        writer = site.store.writer
        number = (await site.ask("CP16", "StartTransaction", START))[2]["transactionId"]
        writer._max_pending, writer._crowded_at = 8, 2
        entered, hold = threading.Event(), threading.Event()

        def block(_conn: sqlite3.Connection) -> None:
            entered.set()
            hold.wait(60)

        held = writer.submit(block)
        await asyncio.to_thread(entered.wait, 30)
        for _ in range(2):
            writer.submit(lambda _conn: None)
        with capture_logs() as logs:
            shed = [
                site.send("CP16", "StatusNotification", STATE),
                site.send("CP16", "MeterValues", samples()),
            ]
            stop = {"transactionId": number, "meterStop": 2000, "timestamp": TIME}
            taken = [
                site.send("CP16", "MeterValues", samples(transactionId=number)),
                site.send("CP16", "Authorize", {"idTag": "DRIVER"}),
                site.send("CP16", "StopTransaction", stop),
                site.send("CP16", "BootNotification", BOOT),
            ]
        assert writer.counters.shed == 2
        assert site.ingest.counters.unanswered == 2
        assert [log["event"] for log in logs] == ["store.shedding"]
        hold.set()
        await asyncio.wrap_future(held)
        assert [await answered(one) for one in taken] == [True] * 4
        assert all(one.empty() for one in shed)
        assert (await site.ask("CP16", "StatusNotification", STATE))[0] == 3
