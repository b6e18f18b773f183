"""What stations may say, and are asked, before and after an accepted boot."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.device import GENERATED_AT, entry, page, report

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.quirk(10)
@pytest.mark.use_case("B02")
@pytest.mark.action16("BootNotification from the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_pending_station_is_heard_only_once_it_is_accepted_and_boots_at_once(
    site: ApiSite, version: str
) -> None:
    name = f"PENDING-{version}"
    await site.register(name, registration="Pending")
    async with site.station(name, version) as station:
        answer = await station.boot()
        assert answer["status"] == "Pending"
        assert answer["interval"] > 0
        assert (await station.call("Heartbeat", {}))[2] == "SecurityError"
        assert station.heard == []
        await site.call("PUT", f"/stations/{name}", {"registration": "Accepted"})
        await station.heard_so_far("TriggerMessage", 1)
        assert station.calls("TriggerMessage") == [
            {"requestedMessage": "BootNotification"}
        ]
        assert (await station.boot())["status"] == "Accepted"
        assert (await station.call("Heartbeat", {}))[0] == 3
        await site.call("PUT", f"/stations/{name}", {"registration": "Accepted"})
        await site.call("POST", f"/stations/{name}/calls", {"action": "ClearCache"})
        assert len(station.calls("TriggerMessage")) == 1


@pytest.mark.use_case("B02")
async def test_a_pending_station_is_asked_for_reports_and_may_send_them(
    site: ApiSite,
) -> None:
    await site.register("ASKED", registration="Pending")
    async with site.station("ASKED", "2.0.1") as station:
        await station.boot()
        unasked = await station.call("NotifyReport", page(99, 0, last=True))
        assert unasked[2] == "SecurityError"
        asked = await report(site, "ASKED", {"base": "FullInventory"})
        request_id = station.calls("GetBaseReport")[0]["requestId"]
        assert asked == [
            {"request_id": request_id, "outcome": "result", "status": "Accepted"}
        ]
        sent = page(request_id, 0, entry("ClockCtrlr", "TimeSource", "NTP"), last=True)
        assert (await station.call("NotifyReport", sent))[0] == 3
        model = await site.call("GET", "/stations/ASKED/device-model")
        assert model["source"]["base"] == "FullInventory"
        other = {"generatedAt": GENERATED_AT, "seqNo": 0, "eventData": []}
        assert (await station.call("NotifyEvent", other))[2] == "SecurityError"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_triggered_message_of_a_pending_station_is_answered(
    site: ApiSite, version: str
) -> None:
    name = f"TRIGGERED-{version}"
    await site.register(name, registration="Pending")
    async with site.station(name, version) as station:
        await station.boot()
        assert (await station.call("Heartbeat", {}))[2] == "SecurityError"
        trigger = {"requestedMessage": "Heartbeat"}
        await site.call(
            "POST",
            f"/stations/{name}/calls",
            {"action": "TriggerMessage", "payload": trigger},
        )
        assert (await station.call("Heartbeat", {}))[0] == 3


@pytest.mark.use_case("B03")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_rejected_station_is_sent_nothing(site: ApiSite, version: str) -> None:
    name = f"REJECTED-{version}"
    await site.register(name, registration="Rejected")
    async with site.station(name, version) as station:
        assert (await station.boot())["status"] == "Rejected"
        assert (await station.call("Heartbeat", {}))[2] == "SecurityError"
        for path, body in (
            ("calls", {"action": "ClearCache"}),
            ("variables/write", {"items": [{"key": "A", "value": "1"}]}),
        ):
            refused = await site.call(
                "POST", f"/stations/{name}/{path}", body, status=409
            )
            assert refused["error"] == "boot_rejected"
        await site.call("PUT", f"/stations/{name}", {"registration": "Accepted"})
        assert station.heard == []
        assert (await station.boot())["status"] == "Accepted"
        await site.call("POST", f"/stations/{name}/calls", {"action": "ClearCache"})
        assert station.calls("ClearCache") == [{}]


async def test_a_managed_station_gets_no_limit_before_its_boot_is_accepted(
    site: ApiSite,
) -> None:
    await site.call(
        "PUT", "/stations/NEW", {"registration": "Pending", "password": "x" * 16}
    )
    async with site.station("NEW", "2.0.1", "x" * 16) as station:
        await station.boot()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await station.heard_so_far("SetChargingProfile", 1)
        assert station.heard == []
        await site.call("PUT", "/stations/NEW", {"registration": "Accepted"})
        await station.heard_so_far("TriggerMessage", 1)
        await station.boot()
        await station.heard_so_far("SetChargingProfile", 1)
        await station.heard_so_far("GetBaseReport", 1)


async def test_a_managed_station_is_asked_for_its_whole_model_once_per_firmware(
    site: ApiSite,
) -> None:
    await site.register("MODEL", managed=True)

    def pages(request_id: int) -> list[dict[str, Any]]:
        return [
            page(request_id, 0, entry("ClockCtrlr", "TimeSource", "NTP")),
            page(request_id, 1, entry("EVSE", "Power", "11000"), last=True),
        ]

    async with site.station("MODEL", "2.0.1") as station:
        station.handlers["GetBaseReport"] = lambda asked: {
            "status": "NotSupported"
            if asked["reportBase"] == "FullInventory"
            else "Accepted"
        }
        await station.boot()
        await station.heard_so_far("GetBaseReport", 2)
        first, second = station.calls("GetBaseReport")
        assert first["reportBase"] == "FullInventory"
        assert second["reportBase"] == "ConfigurationInventory"
        assert first["requestId"] != second["requestId"]
        for one in pages(second["requestId"]):
            await station.ask("NotifyReport", one)
        model = await site.call("GET", "/stations/MODEL/device-model")
        assert model["source"]["state"] == "complete"
        await station.boot()
        await station.heard_so_far("SetVariables", 8)
        assert len(station.calls("GetBaseReport")) == 2
        await station.ask(
            "BootNotification",
            {
                "reason": "FirmwareUpdate",
                "chargingStation": {
                    "vendorName": "V",
                    "model": "M",
                    "firmwareVersion": "2",
                },
            },
        )
        await station.heard_so_far("GetBaseReport", 3)
