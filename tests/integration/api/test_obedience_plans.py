"""Planning obedience tests, and reading what they found, over HTTP."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import StationId
from gateway.store import commissioning
from gateway.store.commissioning import Cause, TestRecord
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLAN = "/stations/OLD/commissioning-plan"
TESTS = "/stations/OLD/commissioning"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def test_a_test_is_planned_for_the_night_and_given_up(site: ApiSite) -> None:
    planned = await site.call("PUT", PLAN, {})
    assert (planned["from"], planned["until"]) == ("01:00", "05:00")
    assert planned["every_days"] is None
    shown = await site.call("GET", TESTS, role="viewer")
    assert shown == {"station_id": "OLD", "plan": planned, "tests": []}
    await site.call("DELETE", PLAN, status=204)
    again = await site.call("DELETE", PLAN, status=404)
    assert again["error"] == "no_test_planned"
    trail = await site.call("GET", "/audit", role="auditor")
    told = [one["action"] for one in trail[:2]]
    assert told == ["station.test_unplanned", "station.test_planned"]


@pytest.mark.parametrize(
    ("body", "hours"),
    [
        ({"at": "2031-05-01T02:00:00Z"}, (None, None)),
        ({"from": "22:00", "until": "04:30", "every_days": 90}, ("22:00", "04:30")),
        ({"from": "00:00", "until": "24:00"}, ("00:00", "24:00")),
    ],
)
async def test_a_plan_says_when_it_is_due(
    site: ApiSite, body: dict[str, Any], hours: tuple[str | None, str | None]
) -> None:
    planned = await site.call("PUT", PLAN, body | {"restart": True, "outage_s": 60})
    assert (planned["from"], planned["until"]) == hours
    assert planned["every_days"] == body.get("every_days")
    assert (planned["restart"], planned["outage_s"]) == (True, 60)
    if "at" in body:
        assert planned["due_at"] == body["at"]
    assert (await site.call("GET", TESTS))["plan"] == planned


@pytest.mark.parametrize(
    "body",
    [
        {"from": "22:00"},
        {"from": "22:00", "until": "22:00"},
        {"from": "24:00", "until": "05:00"},
        {"from": "late", "until": "05:00"},
        {"every_days": 0},
        {"at": "2031-05-01T02:00:00"},
        {"night": True},
    ],
)
async def test_a_plan_that_means_nothing_is_refused(
    site: ApiSite, body: dict[str, Any]
) -> None:
    await site.call("PUT", PLAN, body, status=422)
    await site.call("PUT", PLAN, {}, role="viewer", status=403)


async def test_every_test_and_what_it_found_is_shown_latest_first(
    site: ApiSite,
) -> None:
    now = site.parts.clock.now()
    step = {"step": "default", "passed": False, "detail": "32 A reported, 6 A set"}
    for hours in (2, 1):
        record = TestRecord(
            station_id=StationId("OLD"),
            started_at=now - timedelta(hours=hours),
            ended_at=now - timedelta(hours=hours) + timedelta(minutes=2),
            cause=Cause.SCHEDULE if hours == 1 else Cause.ASKED,
            firmware="1.0",
            is_proven=False,
            steps=[step],
        )
        await site.gateway.writer.run(partial(commissioning.add, record=record))
    found = (await site.call("GET", TESTS, role="viewer"))["tests"]
    assert [one["cause"] for one in found] == ["schedule", "asked"]
    assert found[0]["steps"] == [step]
    assert found[0]["is_proven"] is False
    page = await site.parts.live.station("OLD")
    assert page is not None
    assert [one["cause"] for one in page["tests"]] == ["schedule", "asked"]
    refused = await site.call("POST", TESTS, status=409)
    assert refused["error"] == "not_connected"
    after = (await site.call("GET", TESTS))["tests"]
    assert after == found, "what never began is no test"
