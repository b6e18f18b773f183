"""Messages on displays, and profiles that stations hold."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.device import GENERATED_AT
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = {"format": "UTF8", "content": "Hello"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        running.parts.device.reports._page_wait_s = 1.0
        yield running


async def tell(
    station: RawStation, asked: str, action: str, pages: list[dict[str, Any]]
) -> None:
    """Once asked, send pages with the request's id."""
    await station.heard_so_far(asked, 1)
    request_id = station.calls(asked)[0]["requestId"]
    for page in pages:
        await station.ask(action, {"requestId": request_id, **page})


async def shown(site: ApiSite, station_id: str) -> list[int]:
    """Ids of the stored messages."""
    said = await site.call("GET", f"/stations/{station_id}/display-messages")
    return [one["message"]["id"] for one in said]


@pytest.mark.use_case("O01", "O03", "O05", "O06")
async def test_messages_are_shown_replaced_reported_and_cleared(site: ApiSite) -> None:
    await site.register("SHOW")
    path = "/stations/SHOW/display-messages"
    async with site.station("SHOW", "2.0.1") as station:
        await station.boot()
        first = await site.call("POST", path, {"content": "A"})
        assert first["status"] == "Accepted"
        number = first["message_id"]
        front = {"content": "B", "priority": "AlwaysFront"}
        await site.call("POST", path, {"message_id": 70, **front})
        await site.call("POST", path, {"message_id": 71, **front})
        assert await shown(site, "SHOW") == [number, 71]
        await site.call("POST", path, {"message_id": number, "content": "C"})
        (known, _) = await site.call("GET", path)
        assert known["message"]["message"]["content"] == "C"
        station.handlers["SetDisplayMessage"] = lambda _: {"status": "Rejected"}
        refused = await site.call("POST", path, {"message_id": 90, "content": "D"})
        assert refused["status"] == "Rejected"
        assert await shown(site, "SHOW") == [number, 71]
        message = {"id": 5, "priority": "NormalCycle", "message": TEXT}
        pages = [
            {"tbc": True, "messageInfo": [message]},
            {"tbc": False, "messageInfo": [{**message, "id": 6}]},
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(
                tell(station, "GetDisplayMessages", "NotifyDisplayMessages", pages)
            )
            said = await site.call("POST", f"{path}/refresh")
        assert said["state"] == "complete"
        assert await shown(site, "SHOW") == [5, 6]
        await site.call("DELETE", f"{path}/5")
        assert await shown(site, "SHOW") == [6]
        station.handlers["GetDisplayMessages"] = lambda _: {"status": "Unknown"}
        said = await site.call("POST", f"{path}/refresh")
        assert (said["status"], said["state"]) == ("Unknown", "complete")
        assert await shown(site, "SHOW") == []
    refused = await site.call("POST", path, {"content": "A"}, status=409)
    assert refused["error"] == "not_connected"


@pytest.mark.use_case("O02")
async def test_a_message_of_a_transaction_goes_with_its_end(site: ApiSite) -> None:
    await site.register("TX")

    def transaction(kind: str, number: int) -> dict[str, Any]:
        return {
            "eventType": kind,
            "timestamp": GENERATED_AT,
            "triggerReason": "Authorized",
            "seqNo": number,
            "transactionInfo": {"transactionId": "tx-1"},
            "evse": {"id": 1, "connectorId": 1},
        }

    async with site.station("TX", "2.0.1") as station:
        await station.boot()
        await station.ask("TransactionEvent", transaction("Started", 0))
        body = {"content": "Welcome", "transaction_id": "tx-1"}
        await site.call("POST", "/stations/TX/display-messages", body)
        (asked,) = station.calls("SetDisplayMessage")
        assert asked["message"]["transactionId"] == "tx-1"
        assert len(await shown(site, "TX")) == 1
        await station.ask("TransactionEvent", transaction("Ended", 1))
        assert await shown(site, "TX") == []


async def test_a_report_whose_pages_stop_coming_keeps_nobody_waiting(
    site: ApiSite,
) -> None:
    await site.register("STOPS")
    async with site.station("STOPS", "2.0.1") as station:
        await station.boot()
        message = {"id": 5, "priority": "NormalCycle", "message": TEXT}
        async with asyncio.TaskGroup() as group:
            group.create_task(
                tell(
                    station,
                    "GetDisplayMessages",
                    "NotifyDisplayMessages",
                    [{"tbc": True, "messageInfo": [message]}],
                )
            )
            said = await site.call("POST", "/stations/STOPS/display-messages/refresh")
        assert said["state"] == "incomplete"
        assert await shown(site, "STOPS") == []
        (known,) = await site.call("GET", "/stations/STOPS/reports?kind=displays")
        assert known["state"] == "incomplete"


@pytest.mark.use_case("K09", "K11", "K12", "K13")
async def test_profiles_are_reported_and_limits_of_others_are_told(
    site: ApiSite,
) -> None:
    await site.register("HOLDS")
    path = "/stations/HOLDS/charging-profiles"
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
            }
        ],
    }
    async with site.station("HOLDS", "2.0.1") as station:
        await station.boot()
        limit = {"chargingLimitSource": "EMS", "isGridCritical": True}
        await station.ask("NotifyChargingLimit", {"chargingLimit": limit})
        pages = [
            {
                "tbc": evse_id == 1,
                "evseId": evse_id,
                "chargingLimitSource": "CSO",
                "chargingProfile": [profile],
            }
            for evse_id in (1, 2)
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(
                tell(station, "GetChargingProfiles", "ReportChargingProfiles", pages)
            )
            said = await site.call("GET", path)
        assert said["state"] == "complete"
        assert [one["evse_id"] for one in said["profiles"]] == [1, 2]
        assert said["profiles"][0]["profile"]["id"] == 1
        (told,) = said["external_limits"]
        assert (told["source"], told["cleared_at"]) == ("EMS", None)
        await station.ask("ClearedChargingLimit", {"chargingLimitSource": "EMS"})
        station.handlers["GetChargingProfiles"] = lambda _: {"status": "NoProfiles"}
        said = await site.call("GET", path)
        assert said["profiles"] == []
        assert said["external_limits"][0]["cleared_at"] is not None


@pytest.mark.action16("GetCompositeSchedule to the station")
async def test_a_1_6_station_tells_its_composite_schedules(site: ApiSite) -> None:
    await site.register("COMP", evses=[{"evse_id": 1, "max_a": 16}])
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
    }
    async with site.station("COMP") as station:
        await station.boot()
        station.handlers["GetCompositeSchedule"] = lambda asked: {
            "status": "Accepted",
            "connectorId": asked["connectorId"],
            "chargingSchedule": schedule,
        }
        said = await site.call("GET", "/stations/COMP/charging-profiles")
        assert [one["evse_id"] for one in said["composite"]] == [0, 1]
        assert said["composite"][1]["schedule"]["chargingSchedule"] == schedule
