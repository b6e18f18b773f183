"""What the demo makes of the lines of its simulator."""

import asyncio
import json
from typing import Any
from unittest import mock

from structlog.testing import capture_logs

from gateway import demo

VIOLATION = {
    "event": "violation",
    "cabinet": "main",
    "phase": 1,
    "amps": 130.0,
    "limit": 125.0,
    "seconds": 3.0,
}


async def test_a_limit_that_was_exceeded_is_logged_and_ends_nothing() -> None:
    stream = asyncio.StreamReader()
    for line in (VIOLATION, {"event": "session_ended"}):
        stream.feed_data(json.dumps(line).encode() + b"\n")
    stream.feed_eof()
    simulation = demo.Simulation(mock.Mock(stdout=stream))
    gateway: Any = mock.Mock()
    with capture_logs() as logs:
        await demo._follow(simulation, gateway)
    (logged,) = logs
    assert (logged["event"], logged["cabinet"]) == ("limit.exceeded", "main")
    assert simulation.n_ended == 1
