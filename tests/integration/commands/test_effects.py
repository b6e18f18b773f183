"""Accepted is not done: each command is followed to what it should bring about."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain import effects
from tests.integration.commands.steps import begin, end, named, until
from tests.support.api_site import ApiSite, api_site
from tests.support.queue_station import stamp
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def called(site: ApiSite, name: str, action: str, payload: Any) -> dict[str, Any]:
    """POST /calls; the command it made."""
    response = await site.send(
        "POST", f"/stations/{name}/calls", {"action": action, "payload": payload}
    )
    assert response.json()["outcome"] == "result", response.text
    command_id = response.headers["X-Command-Id"]
    found: dict[str, Any] = await site.call("GET", f"/commands/{command_id}")
    return found


async def say_status(station: RawStation, word: str, connector: int = 1) -> None:
    if station.version == "1.6":
        payload = {"connectorId": connector, "errorCode": "NoError", "status": word}
    else:
        payload = {
            "timestamp": stamp(),
            "connectorStatus": word,
            "evseId": connector,
            "connectorId": 1,
        }
    await station.ask("StatusNotification", payload)


def availability(version: str, *, operative: bool, evse_id: int) -> dict[str, Any]:
    word = "Operative" if operative else "Inoperative"
    if version == "1.6":
        return {"connectorId": evse_id, "type": word}
    payload: dict[str, Any] = {"operationalStatus": word}
    if evse_id:
        payload["evse"] = {"id": evse_id}
    return payload


@pytest.mark.use_case("B11")
@pytest.mark.action16("Reset to the station")
@VERSIONS
async def test_a_reset_is_effected_by_the_boot_that_follows(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        kind = "Soft" if version == "1.6" else "Immediate"
        command = await called(site, name, "Reset", {"type": kind})
        assert command["state"] == "accepted"
        assert command["effect_by"] is not None
        await station.boot()
        done = await until(site, command, "effected")
    assert done["asked_by"] != "service"


async def test_a_reset_of_one_evse_boots_nothing_and_is_done_at_once(
    site: ApiSite,
) -> None:
    name = await named(site)
    async with site.station(name, "2.0.1") as station:
        await station.boot()
        payload = {"type": "Immediate", "evseId": 1}
        command = await called(site, name, "Reset", payload)
        assert command["state"] == "effected"


@pytest.mark.use_case("F05")
@pytest.mark.action16("UnlockConnector to the station")
@VERSIONS
async def test_unlocking_is_what_the_station_says_it_was(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    payload = (
        {"connectorId": 1} if version == "1.6" else {"evseId": 1, "connectorId": 1}
    )
    async with site.station(name, version) as station:
        await station.boot()
        for word, state in (("Unlocked", "effected"), ("UnlockFailed", "failed")):
            station.handlers["UnlockConnector"] = lambda _, w=word: {"status": w}  # type: ignore[misc]  # a default binds the word
            command = await called(site, name, "UnlockConnector", payload)
            assert (command["state"], command["detail"]) == (state, word)
        station.handlers["UnlockConnector"] = lambda _: ("InternalError", "jammed")
        response = await site.send(
            "POST",
            f"/stations/{name}/calls",
            {"action": "UnlockConnector", "payload": payload},
        )
        command = await site.call(
            "GET", f"/commands/{response.headers['X-Command-Id']}"
        )
        assert (command["state"], command["reason"]) == ("failed", "refused")
        assert command["answer"] == {"code": "InternalError", "description": "jammed"}


@pytest.mark.action16("ChangeAvailability to the station")
@VERSIONS
async def test_availability_is_effected_when_a_status_shows_it(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        await say_status(station, "Available")
        off = availability(version, operative=False, evse_id=1)
        command = await called(site, name, "ChangeAvailability", off)
        assert command["state"] == "accepted"
        await say_status(station, "Available", 2)
        await say_status(station, "Unavailable")
        assert (await until(site, command, "effected"))["detail"] == "Unavailable"
        again = await called(site, name, "ChangeAvailability", off)
        assert (await until(site, again, "effected"))["detail"] == "Unavailable"


@VERSIONS
async def test_the_availability_of_a_station_needs_every_evse(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        for number in (1, 2):
            await say_status(station, "Available", number)
        off = availability(version, operative=False, evse_id=0)
        command = await called(site, name, "ChangeAvailability", off)
        await say_status(station, "Unavailable", 1)
        await asyncio.sleep(0.1)
        assert (await until(site, command, "accepted"))["effect_by"]
        await say_status(station, "Unavailable", 2)
        await until(site, command, "effected")


@pytest.mark.quirk(27)
@pytest.mark.action16("ChangeAvailability to the station")
@VERSIONS
async def test_scheduled_waits_for_the_end_of_the_session(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        began = await begin(station, "TAG")
        station.handlers["ChangeAvailability"] = lambda _: {"status": "Scheduled"}
        off = availability(version, operative=False, evse_id=1)
        command = await called(site, name, "ChangeAvailability", off)
        assert (command["state"], command["effect_by"]) == ("accepted", None)
        assert command["detail"] == "Scheduled"
        await end(station, began)
        async with asyncio.timeout(30):
            while (await until(site, command, "accepted"))["effect_by"] is None:  # noqa: ASYNC110 - it asks over HTTP
                await asyncio.sleep(0.02)
        await say_status(station, "Unavailable")
        await until(site, command, "effected")


@pytest.mark.use_case("F06")
@pytest.mark.action16("TriggerMessage to the station")
@VERSIONS
async def test_a_triggered_message_must_arrive(site: ApiSite, version: str) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        payload = {"requestedMessage": "StatusNotification"}
        command = await called(site, name, "TriggerMessage", payload)
        await say_status(station, "Available")
        await until(site, command, "effected")
        payload = {"requestedMessage": "Heartbeat"}
        assert (await called(site, name, "TriggerMessage", payload))[
            "state"
        ] == "effected"
        station.handlers["TriggerMessage"] = lambda _: {"status": "NotImplemented"}
        refused = await called(site, name, "TriggerMessage", payload)
        assert (refused["state"], refused["detail"]) == ("failed", "NotImplemented")


@VERSIONS
async def test_a_log_upload_follows_its_own_status_and_hides_the_password(
    site: ApiSite, version: str
) -> None:
    name = await named(site)

    def log(request_id: int) -> dict[str, Any]:
        place = {"remoteLocation": "ftp://user:geheim@files.example/logs"}
        kind = "SecurityLog"
        return {"requestId": request_id, "logType": kind, "log": place}

    async with site.station(name, version) as station:
        await station.boot()
        first = await called(site, name, "GetLog", log(7))
        assert first["payload"]["log"]["remoteLocation"] == (
            "ftp://***@files.example/logs"
        )
        assert station.calls("GetLog")[0] == log(7)
        second = await called(site, name, "GetLog", log(8))
        for word, number in (("Uploading", 7), ("UploadFailure", 8), ("Uploaded", 7)):
            notice = {"status": word, "requestId": number}
            await station.ask("LogStatusNotification", notice)
        await until(site, first, "effected")
        failed = await until(site, second, "failed")
        assert (failed["reason"], failed["detail"]) == ("went_wrong", "UploadFailure")


@pytest.mark.action16("UpdateFirmware to the station")
@VERSIONS
async def test_firmware_is_effected_when_it_is_installed(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    payload: dict[str, Any] = {
        "location": "https://f.example/x",
        "retrieveDate": stamp(),
    }
    if version == "2.0.1":
        firmware = {"location": "https://f.example/x", "retrieveDateTime": stamp()}
        payload = {"requestId": 3, "firmware": firmware}
    async with site.station(name, version) as station:
        await station.boot()
        station.handlers["UpdateFirmware"] = lambda _: (
            {} if version == "1.6" else {"status": "Accepted"}
        )
        command = await called(site, name, "UpdateFirmware", payload)
        notice: dict[str, Any] = {} if version == "1.6" else {"requestId": 3}
        for word in ("Downloading", "Downloaded", "Installing"):
            await station.ask("FirmwareStatusNotification", notice | {"status": word})
        assert (await until(site, command, "accepted"))["ended_at"] is None
        await station.ask(
            "FirmwareStatusNotification", notice | {"status": "Installed"}
        )
        await until(site, command, "effected")
        again = await called(site, name, "UpdateFirmware", payload)
        await station.ask(
            "FirmwareStatusNotification", notice | {"status": "InstallationFailed"}
        )
        failed = await until(site, again, "failed")
        assert failed["detail"] == "InstallationFailed"


def profile(version: str, limit: float) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    body: dict[str, Any] = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    if version == "1.6":
        body |= {"chargingProfileId": 1, "chargingSchedule": schedule}
        return {"connectorId": 1, "csChargingProfiles": body}
    body |= {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}
    return {"evseId": 1, "chargingProfile": body}


async def sample(station: RawStation, began: dict[str, Any], current_a: float) -> None:
    values = [
        {"value": str(current_a), "measurand": "Current.Import", "phase": phase}
        for phase in ("L1", "L2", "L3")
    ]
    if station.version == "2.0.1":
        for value in values:
            value["value"] = current_a  # type: ignore[assignment]  # a number there
        await station.ask(
            "TransactionEvent",
            {
                "eventType": "Updated",
                "timestamp": stamp(),
                "triggerReason": "MeterValuePeriodic",
                "seqNo": next(_numbers),
                "transactionInfo": {"transactionId": f"tx-{station.station_id}"},
                "meterValue": [{"timestamp": stamp(), "sampledValue": values}],
            },
        )
        return
    await station.ask(
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": began["transactionId"],
            "meterValue": [{"timestamp": stamp(), "sampledValue": values}],
        },
    )


@VERSIONS
async def test_an_operators_limit_is_effected_when_the_meter_shows_it(
    site: ApiSite, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        began = await begin(station, "TAG")
        command = await called(site, name, "SetChargingProfile", profile(version, 8))
        await sample(station, began, 15.9)
        await sample(station, began, 8.2)
        done = await until(site, command, "effected")
        assert done["detail"] == "8.2 A at a limit of 8 A"
        short = effects.WITHIN | {
            effects.HoldsLimit: effects.WITHIN[effects.HoldsLimit] / 300
        }
        monkeypatch.setattr(effects, "WITHIN", short)
        ignored = await called(site, name, "SetChargingProfile", profile(version, 6))
        await sample(station, began, 16)
        gone = await until(site, ignored, "no_effect")
        assert gone["detail"] == "16 A at a limit of 6 A"
        unseen = await called(site, name, "SetChargingProfile", profile(version, 7))
        async with asyncio.timeout(30):
            while (await until(site, unseen, "accepted"))["reason"] is None:  # noqa: ASYNC110 - it asks over HTTP
                await asyncio.sleep(0.05)
        found = await until(site, unseen, "accepted")
        assert found["reason"] == "not_observable"


@pytest.mark.quirk(27)
async def test_an_old_fact_from_an_offline_queue_is_no_effect(site: ApiSite) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
        payload = {"connectorId": 1, "idTag": "OLDTAG"}
        command = await called(site, name, "RemoteStartTransaction", payload)
        await station.ask(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "OLDTAG",
                "meterStart": 0,
                "timestamp": "2026-01-01T00:00:00Z",
            },
        )
        await asyncio.sleep(0.2)
        assert (await until(site, command, "accepted"))["ended_at"] is None


@pytest.mark.quirk(27)
async def test_one_session_is_the_effect_of_one_remote_start(site: ApiSite) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
        payload = {"connectorId": 1, "idTag": "TWICE"}
        first = await called(site, name, "RemoteStartTransaction", payload)
        second = await called(site, name, "RemoteStartTransaction", payload)
        await begin(station, "twice")
        await until(site, first, "effected")
        assert (await until(site, second, "accepted", "effected"))[
            "state"
        ] == "accepted"


def page(number: int, request_id: int, *, more: bool) -> dict[str, Any]:
    attribute = {"type": "Actual", "value": "1"}
    one = {
        "component": {"name": f"Part{number}"},
        "variable": {"name": "Problem"},
        "variableAttribute": [attribute],
    }
    return {
        "requestId": request_id,
        "generatedAt": stamp(),
        "tbc": more,
        "seqNo": number,
        "reportData": [one],
    }


async def test_a_report_takes_effect_with_its_last_page(site: ApiSite) -> None:
    name = await named(site)
    async with site.station(name, "2.0.1") as station:
        await station.boot()
        payload = {"requestId": 4711, "reportBase": "FullInventory"}
        command = await called(site, name, "GetBaseReport", payload)
        assert (command["state"], command["ended_at"]) == ("accepted", None)
        assert command["effect_by"] is not None
        await station.ask("NotifyReport", page(1, 4711, more=False))
        await station.ask("NotifyReport", page(0, 1, more=False))
        await asyncio.sleep(0.2)
        command = await site.call("GET", f"/commands/{command['command_id']}")
        assert command["state"] == "accepted", "its first page is missing"
        await station.ask("NotifyReport", page(0, 4711, more=True))
        done = await until(site, command, "effected")
        assert done["detail"] == "the report is complete"


async def test_a_report_whose_pages_never_end_had_no_effect(
    site: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(effects.WITHIN, effects.SendsReport, timedelta(seconds=0.5))
    name = await named(site)
    async with site.station(name, "2.0.1") as station:
        await station.boot()
        payload = {"requestId": 5, "reportBase": "FullInventory"}
        command = await called(site, name, "GetBaseReport", payload)
        await station.ask("NotifyReport", page(0, 5, more=True))
        over = await until(site, command, "no_effect")
        assert over["detail"] == "its last page did not come"


async def test_a_report_of_nothing_is_done_when_it_is_answered(site: ApiSite) -> None:
    name = await named(site)
    async with site.station(name, "2.0.1") as station:
        await station.boot()
        station.handlers["GetReport"] = lambda _: {"status": "EmptyResultSet"}
        payload = {"requestId": 6, "componentCriteria": ["Problem"]}
        command = await called(site, name, "GetReport", payload)
        assert (command["state"], command["detail"]) == ("effected", "EmptyResultSet")
