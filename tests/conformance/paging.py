"""Stations that tell in pages what they were asked for."""

import asyncio
from typing import Any

import httpx

from tests.conformance.desk import Operator
from tests.support.raw_station import RawStation


async def pages(
    station: RawStation, asked: str, action: str, told: list[dict[str, Any]]
) -> None:
    """Once asked, send pages with the request's id."""
    seen = len(station.calls(asked))
    await station.heard_so_far(asked, seen + 1)
    number = station.calls(asked)[-1]["requestId"]
    for page in told:
        assert await station.ask(action, {"requestId": number, **page}) == {}


async def reported(
    operator: Operator,
    station: RawStation,
    request: httpx.Request,
    *,
    asked: str,
    action: str,
    told: list[dict[str, Any]],
) -> dict[str, Any]:
    """Send a request that waits for a report, and tell the report."""
    async with asyncio.TaskGroup() as group:
        group.create_task(pages(station, asked, action, told))
        answer = await operator.http.send(request)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found
