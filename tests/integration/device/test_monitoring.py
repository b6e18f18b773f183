"""Monitors and events of 2.0.1 stations."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.bus import AlarmRaised
from gateway.web.attention import attention
from tests.support.api_site import ApiSite, api_site
from tests.support.device import GENERATED_AT
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")

POWER = {
    "component": "EVSE",
    "variable": "Power",
    "type": "UpperThreshold",
    "value": 11000,
    "severity": 3,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def gives_ids(station: RawStation, first: int = 1) -> None:
    """Answer every monitor with the next id, in reverse order."""
    number = iter(range(first, 1000))

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        results = [
            {
                "id": next(number),
                "status": "Accepted",
                "type": one["type"],
                "severity": one["severity"],
                "component": one["component"],
                "variable": one["variable"],
            }
            for one in asked["setMonitoringData"]
        ]
        return {"setMonitoringResult": results[::-1]}

    station.handlers["SetVariableMonitoring"] = answer


def event(number: int, monitor_id: int | None, **more: Any) -> dict[str, Any]:
    """A NotifyEvent of one alert."""
    entry: dict[str, Any] = {
        "eventId": number,
        "timestamp": GENERATED_AT,
        "trigger": "Alerting",
        "actualValue": "12000",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "EVSE"},
        "variable": {"name": "Power"},
        **more,
    }
    if monitor_id is not None:
        entry["variableMonitoringId"] = monitor_id
    return {"generatedAt": GENERATED_AT, "seqNo": 0, "eventData": [entry]}


@pytest.mark.use_case("N04", "N06")
async def test_monitors_are_set_split_known_by_their_ids_and_cleared(
    site: ApiSite,
) -> None:
    await site.register("MON", items_per_message=2)
    path = "/stations/MON/monitors"
    async with site.station("MON", "2.0.1") as station:
        await station.boot()
        gives_ids(station)
        items = [{**POWER, "component": f"C{n}"} for n in range(3)]
        said = await site.call("POST", path, {"items": items})
        asked = station.calls("SetVariableMonitoring")
        assert [len(one["setMonitoringData"]) for one in asked] == [2, 1]
        assert [one["component"]["name"] for one in said["items"]] == ["C0", "C1", "C2"]
        assert [one["monitor_id"] for one in said["items"]] == [1, 2, 3]
        known = await site.call("GET", path)
        assert [(one["monitor_id"], one["component"]["name"]) for one in known] == [
            (1, "C0"),
            (2, "C1"),
            (3, "C2"),
        ]
        station.handlers["ClearVariableMonitoring"] = lambda asked: {
            "clearMonitoringResult": [
                {"id": one, "status": "Rejected" if one == 2 else "Accepted"}
                for one in asked["id"]
            ]
        }
        said = await site.call("DELETE", f"{path}?id=1&id=2&id=3")
        assert [one["status"] for one in said["items"]] == [
            "Accepted",
            "Rejected",
            "Accepted",
        ]
        known = await site.call("GET", path)
        assert [one["monitor_id"] for one in known] == [2]


@pytest.mark.use_case("N02")
async def test_a_monitoring_report_replaces_what_was_known(site: ApiSite) -> None:
    await site.register("REPORT")
    path = "/stations/REPORT/monitors"
    async with site.station("REPORT", "2.0.1") as station:
        await station.boot()
        gives_ids(station, 50)
        await site.call("POST", path, {"items": [POWER]})

        async def told() -> None:
            await station.heard_so_far("GetMonitoringReport", 1)
            request_id = station.calls("GetMonitoringReport")[0]["requestId"]
            for number in (1, 0):
                monitoring = {
                    "id": 7 + number,
                    "transaction": False,
                    "value": 1,
                    "type": "Delta",
                    "severity": 5,
                }
                page = {
                    "requestId": request_id,
                    "generatedAt": GENERATED_AT,
                    "seqNo": number,
                    "tbc": number == 0,
                    "monitor": [
                        {
                            "component": {"name": "EVSE", "evse": {"id": 1}},
                            "variable": {"name": "AvailabilityState"},
                            "variableMonitoring": [monitoring],
                        }
                    ],
                }
                await station.ask("NotifyMonitoringReport", page)

        async with asyncio.TaskGroup() as group:
            group.create_task(told())
            said = await site.call("POST", f"{path}/refresh")
        assert said["state"] == "complete"
        assert [one["monitor_id"] for one in said["monitors"]] == [7, 8]


@pytest.mark.use_case("N07")
async def test_a_grave_event_is_an_alarm_until_it_is_cleared(site: ApiSite) -> None:
    await site.register("ALARM")
    async with site.station("ALARM", "2.0.1") as station:
        await station.boot()
        gives_ids(station, 9)
        items = [POWER, {**POWER, "severity": 6}]
        await site.call("POST", "/stations/ALARM/monitors", {"items": items})
        with (
            capture_logs() as logs,
            site.parts.bus.subscribe(
                "test", wants=lambda one: isinstance(one, AlarmRaised)
            ) as heard,
        ):
            await station.ask("NotifyEvent", event(1, 9))
            await station.ask("NotifyEvent", event(1, 9))
            await station.ask("NotifyEvent", event(2, 10))
            (alarm, *_) = await heard.batch()
        assert isinstance(alarm, AlarmRaised)
        assert (alarm.station_id, alarm.severity) == ("ALARM", 3)
        assert [one["severity"] for one in logs if one["event"] == "station.alarm"][
            :1
        ] == [3]
        events = await site.call("GET", "/stations/ALARM/events")
        assert [(one["event_id"], one["severity"]) for one in events] == [
            (2, 6),
            (1, 3),
        ]
        (alarm,) = await site.call("GET", "/stations/ALARM/events?alarms=true")
        assert alarm["cleared_at"] is None
        view = await site.call("GET", "/stations/ALARM")
        assert [one["variable"] for one in view["alarms"]] == ["Power"]
        text = attention([view], [], {}, site.gateway.clock.now())
        assert "ALARM: alarm of EVSE" in text
        await station.ask("NotifyEvent", event(3, 9, cleared=True))
        view = await site.call("GET", "/stations/ALARM")
        assert view["alarms"] == []


async def test_an_alert_of_an_unknown_monitor_counts_as_an_alarm(
    site: ApiSite,
) -> None:
    await site.register("UNKNOWN")
    async with site.station("UNKNOWN", "2.0.1") as station:
        await station.boot()
        await station.ask("NotifyEvent", event(1, None))
        await station.ask("NotifyEvent", event(2, None, trigger="Delta"))
        events = await site.call("GET", "/stations/UNKNOWN/events")
        assert [(one["event_id"], one["alarm"]) for one in events] == [
            (2, False),
            (1, True),
        ]


async def test_numbers_that_no_database_keeps_cost_only_the_record(
    site: ApiSite,
) -> None:
    await site.register("HUGE")
    async with site.station("HUGE", "2.0.1") as station:
        await station.boot()
        assert (await station.call("NotifyEvent", event(10**30, None)))[0] == 3
        assert await site.call("GET", "/stations/HUGE/events") == []


@pytest.mark.use_case("N03", "N05")
async def test_base_and_level_are_set_and_1_6_has_none_of_it(site: ApiSite) -> None:
    await site.register("LEVEL")
    body = {"base": "All", "level": 4}
    async with site.station("LEVEL", "2.0.1") as station:
        await station.boot()
        said = await site.call("PUT", "/stations/LEVEL/monitoring", body)
        assert {name: one["status"] for name, one in said.items()} == {
            "base": "Accepted",
            "level": "Accepted",
        }
        assert station.calls("SetMonitoringLevel") == [{"severity": 4}]
    path = "/stations/LEVEL/monitors"
    refused = await site.call("POST", path, {"items": [POWER]}, status=409)
    assert refused["error"] == "not_connected"
    async with site.station("LEVEL") as station:
        refused = await site.call("POST", path, {"items": [POWER]}, status=422)
        assert refused["error"] == "NotImplemented"
        assert station.heard == []
