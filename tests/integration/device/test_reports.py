"""Reports in pages become the stored device model, whole or not at all."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.device import entry, page, report, values
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def full(
    site: ApiSite, station: RawStation, *entries: dict[str, Any]
) -> dict[str, Any]:
    """Ask for a full report and have it sent in one page."""
    (sent,) = await report(site, station.station_id, {"base": "FullInventory"})
    one = page(sent["request_id"], 0, *entries, last=True)
    await station.ask("NotifyReport", one)
    return one


@pytest.mark.use_case("B07")
async def test_a_base_report_replaces_the_model_when_its_last_page_is_there(
    site: ApiSite,
) -> None:
    await site.register("BASE")
    async with site.station("BASE", "2.0.1") as station:
        await station.boot()
        nothing = await site.call("GET", "/stations/BASE/device-model", status=404)
        assert nothing["error"] == "no_report"
        old = await full(site, station, entry("Old", "Gone", "1"), entry("A", "X", "0"))
        assert await values(site, "BASE") == {"Old.Gone": "1", "A.X": "0"}
        (sent,) = await report(site, "BASE", {"base": "FullInventory"})
        assert sent["request_id"] != old["requestId"]
        pages = [
            page(sent["request_id"], 0, entry("A", "X", "1")),
            page(sent["request_id"], 1),
            page(sent["request_id"], 2, entry("B", "Y", "2"), last=True),
        ]
        for one in (pages[2], pages[0], pages[0], old):
            await station.ask("NotifyReport", one)
            assert await values(site, "BASE") == {"Old.Gone": "1", "A.X": "0"}
        (known, *_) = await site.call("GET", "/stations/BASE/reports")
        assert (known["state"], known["pages"]) == ("receiving", 2)
        await station.ask("NotifyReport", pages[1])
        assert await values(site, "BASE") == {"A.X": "1", "B.Y": "2"}
        (known, *_) = await site.call("GET", "/stations/BASE/reports")
        assert known["state"] == "complete"


@pytest.mark.use_case("B08")
async def test_a_report_by_criteria_is_merged_and_split_as_the_station_wants(
    site: ApiSite,
) -> None:
    await site.register("CUSTOM")
    async with site.station("CUSTOM", "2.0.1") as station:
        await station.boot()
        limit = entry("DeviceDataCtrlr", "ItemsPerMessage", "2")
        limit["variable"]["instance"] = "GetReport"
        await full(site, station, limit, entry("EVSE", "Power", "1"))
        items = [{"component": f"C{n}", "variable": "V"} for n in range(5)]
        sent = await report(site, "CUSTOM", {"items": items})
        asked = station.calls("GetReport")
        assert [len(one["componentVariable"]) for one in asked] == [2, 2, 1]
        ids = [one["request_id"] for one in sent]
        assert ids == [one["requestId"] for one in asked]
        assert len(set(ids)) == 3
        for number, request_id in enumerate(ids):
            one = page(request_id, 0, entry(f"C{number}", "V", "7"), last=True)
            await station.ask("NotifyReport", one)
        known = await values(site, "CUSTOM")
        assert known["EVSE.Power"] == "1"
        assert [known[f"C{n}.V"] for n in range(3)] == ["7", "7", "7"]
        assert await values(site, "CUSTOM", "?component=evse") == {"EVSE.Power": "1"}


async def test_a_refused_report_and_an_empty_one_change_nothing(site: ApiSite) -> None:
    await site.register("REFUSES")
    async with site.station("REFUSES", "2.0.1") as station:
        await station.boot()
        await full(site, station, entry("A", "X", "1"))
        for status, state in (("Rejected", "refused"), ("EmptyResultSet", "complete")):
            answer = {"status": status}
            station.handlers["GetReport"] = lambda _, said=answer: said  # type: ignore[misc]  # a default binds it
            await report(site, "REFUSES", {"criteria": ["Problem"]})
            (known, *_) = await site.call("GET", "/stations/REFUSES/reports")
            assert (known["state"], known["status"]) == (state, status)
        station.handlers["GetBaseReport"] = lambda _: ("NotImplemented", "no")
        (sent,) = await report(site, "REFUSES", {"base": "SummaryInventory"})
        assert sent["outcome"] == "error"
        assert await values(site, "REFUSES") == {"A.X": "1"}


async def test_reports_asked_by_raw_calls_are_kept_alike(site: ApiSite) -> None:
    await site.register("RAW")
    async with site.station("RAW", "2.0.1") as station:
        await station.boot()
        for value in ("1", "2"):
            payload = {"requestId": 7, "reportBase": "FullInventory"}
            await site.call(
                "POST",
                "/stations/RAW/calls",
                {"action": "GetBaseReport", "payload": payload},
            )
            one = page(7, 0, entry("A", f"X{value}", value), last=True)
            await station.ask("NotifyReport", one)
            assert await values(site, "RAW") == {f"A.X{value}": value}


async def test_values_that_are_read_bring_the_model_up_to_date(site: ApiSite) -> None:
    await site.register("READ")
    async with site.station("READ", "2.0.1") as station:
        await station.boot()
        await full(site, station, entry("A", "X", "1"))
        station.handlers["GetVariables"] = lambda asked: {
            "getVariableResult": [
                {"attributeStatus": "Accepted", "attributeValue": "5", **one}
                for one in asked["getVariableData"]
            ]
        }
        body = {"items": [{"component": "A", "variable": "X"}]}
        await site.call("POST", "/stations/READ/variables/read", body)
        assert await values(site, "READ") == {"A.X": "5"}


async def test_what_cannot_be_asked_for_is_refused_with_a_reason(site: ApiSite) -> None:
    await site.register("OLD16")
    await site.register("GONE")
    body = {"base": "FullInventory"}
    refused = await site.call("POST", "/stations/GONE/reports", body, status=409)
    assert refused["error"] == "not_connected"
    for wrong in ({}, {**body, "criteria": ["Problem"]}, {"base": "Everything"}):
        await site.call("POST", "/stations/GONE/reports", wrong, status=422)
    async with site.station("OLD16") as station:
        refused = await site.call("POST", "/stations/OLD16/reports", body, status=422)
        assert refused["error"] == "NotImplemented"
        assert station.heard == []
