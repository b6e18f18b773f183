"""The plans' own limits are shown as commands, in the same words."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.store import limits
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def test_limits_are_listed_with_the_states_of_commands(site: ApiSite) -> None:
    now = site.gateway.clock.now()
    command = SetLimit(
        evse_id=1,
        purpose=Purpose.DEFAULT,
        schedule=LimitSchedule(start=now, steps=(LimitStep(offset_s=0, limit_da=65),)),
        transaction_id=None,
        profile_id=4,
        unit=LimitUnit.A,
        number_phases=3,
        nominal_v=230.0,
    )
    outcomes = ["sent", "accepted", "refused", "unknown", "not_sent", "seen"]

    def job(conn: sqlite3.Connection) -> None:
        for index, outcome in enumerate(outcomes):
            number = limits.insert_command(
                conn,
                station_id=StationId("OLD"),
                evse_ids=[1],
                session_id=None,
                command=command,
                plan_id=None,
                sent_at=now + timedelta(seconds=index),
            )
            if outcome == "seen":
                limits.record_seen(conn, number, now)
            elif outcome != "sent":
                limits.record_outcome(conn, number, outcome=outcome, answered_at=now)

    await site.gateway.writer.run(job)
    await site.call(
        "POST", "/stations/OLD/commands", {"action": "ClearCache"}, status=202
    )

    async def listed(query: str = "") -> list[dict[str, Any]]:
        path = f"/commands?station_id=OLD{query}"
        found: list[dict[str, Any]] = await site.call("GET", path, role="viewer")
        return found

    shown = await listed("&kind=limit")
    assert [(one["state"], one["reason"]) for one in reversed(shown)] == [
        ("sent", None),
        ("accepted", None),
        ("failed", "refused"),
        ("failed", "unknown"),
        ("expired", "not_sent"),
        ("effected", None),
    ]
    assert shown[0]["payload"]["steps"] == [{"offset_s": 0, "limit_a": 6.5}]
    assert {one["kind"] for one in await listed()} == {"limit", "call"}
    assert [one["kind"] for one in await listed("&kind=call")] == ["call"]
    for state, count in (("failed", 2), ("effected", 1), ("no_effect", 0)):
        assert len(await listed(f"&state={state}")) == count
    assert await listed("&state=queued") == await listed("&kind=call")
    assert len(await listed("&limit=3")) == 3
    number = shown[0]["command_id"]
    assert await site.call("GET", f"/commands/{number}") == shown[0]
    refused = await site.call("DELETE", f"/commands/{number}", status=409)
    assert refused["error"] == "not_queued"
    await site.call("GET", "/commands?state=nonsense", status=422)
