"""Block N, monitors of variables and the events they cause (2.0.1 part 2)."""

import itertools
from typing import Any

import pytest

from tests.conformance.desk import Operator, stamp
from tests.conformance.paging import reported
from tests.support.raw_station import RawStation

POWER = {
    "component": "EVSE",
    "variable": "Power",
    "type": "UpperThreshold",
    "value": 11000,
    "severity": 3,
}
EVERY_MINUTE = {**POWER, "type": "Periodic", "value": 60, "severity": 8}


def numbering(station: RawStation) -> None:
    """Have the station accept monitors and number them."""
    ids = itertools.count(1)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        results = []
        for one in asked["setMonitoringData"]:
            kept = {name: one[name] for name in ("type", "severity")}
            kept |= {name: one[name] for name in ("component", "variable")}
            is_known = one["component"]["name"] != "NoSuch"
            number = {"id": one.get("id", next(ids))} if is_known else {}
            status = "Accepted" if is_known else "UnknownComponent"
            results.append({**kept, **number, "status": status})
        return {"setMonitoringResult": results}

    station.handlers["SetVariableMonitoring"] = answer


async def set_monitors(
    operator: Operator, station: RawStation, *items: dict[str, Any]
) -> list[dict[str, Any]]:
    answer = await operator.http.post(
        f"/stations/{station.station_id}/monitors", json={"items": items}
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def known(operator: Operator, station: RawStation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await operator.get(
        f"/stations/{station.station_id}/monitors"
    )
    return found


def event(
    number: int, monitor_id: int, trigger: str = "Alerting", **members: Any
) -> dict[str, Any]:
    entry = {
        "eventId": number,
        "timestamp": stamp(),
        "trigger": trigger,
        "actualValue": "12000",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "EVSE"},
        "variable": {"name": "Power"},
        "variableMonitoringId": monitor_id,
        **members,
    }
    return {"generatedAt": stamp(), "seqNo": 0, "eventData": [entry]}


@pytest.mark.use_case("N04", "N06")
async def test_monitors_are_set_replaced_and_cleared(operator: Operator) -> None:
    async with operator.booted() as station:
        numbering(station)
        said = await set_monitors(
            operator, station, POWER, EVERY_MINUTE, {**POWER, "component": "NoSuch"}
        )
        assert [one["status"] for one in said] == [
            "Accepted",
            "Accepted",
            "UnknownComponent",
        ]
        assert [one["monitor_id"] for one in await known(operator, station)] == [1, 2]
        await set_monitors(operator, station, {**POWER, "id": 1, "value": 9000})
        sent = station.calls("SetVariableMonitoring")[-1]["setMonitoringData"]
        assert (sent[0]["id"], sent[0]["value"]) == (1, 9000)
        assert len(await known(operator, station)) == 2
        station.handlers["ClearVariableMonitoring"] = lambda asked: {
            "clearMonitoringResult": [
                {"id": one, "status": "NotFound" if one == 9 else "Accepted"}
                for one in asked["id"]
            ]
        }
        answer = await operator.http.delete(
            f"/stations/{station.station_id}/monitors",
            params=[("id", "1"), ("id", "9")],
        )
        assert [one["status"] for one in answer.json()["items"]] == [
            "Accepted",
            "NotFound",
        ]
        assert [one["monitor_id"] for one in await known(operator, station)] == [2]


@pytest.mark.use_case("N02")
async def test_a_monitoring_report_tells_all_that_is_set(operator: Operator) -> None:
    async with operator.booted() as station:
        told = [
            {
                "generatedAt": stamp(),
                "seqNo": number,
                "tbc": number == 0,
                "monitor": [
                    {
                        "component": {"name": "EVSE", "evse": {"id": number + 1}},
                        "variable": {"name": "Power"},
                        "variableMonitoring": [
                            {
                                "id": 40 + number,
                                "transaction": False,
                                "value": 5,
                                "type": "Delta",
                                "severity": 6,
                            }
                        ],
                    }
                ],
            }
            for number in (0, 1)
        ]
        path = f"/stations/{station.station_id}/monitors/refresh"
        said = await reported(
            operator,
            station,
            operator.http.build_request("POST", path),
            asked="GetMonitoringReport",
            action="NotifyMonitoringReport",
            told=told,
        )
        assert (said["status"], said["state"]) == ("Accepted", "complete")
        assert [one["monitor_id"] for one in await known(operator, station)] == [40, 41]
        station.handlers["GetMonitoringReport"] = lambda _: {"status": "EmptyResultSet"}
        answer = await operator.http.post(path)
        assert answer.json()["status"] == "EmptyResultSet"


@pytest.mark.use_case("N03", "N05")
@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_the_base_and_the_level_of_monitoring_are_set(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        for action in ("SetMonitoringBase", "SetMonitoringLevel"):
            station.handlers[action] = lambda _: {"status": status}
        answer = await operator.http.put(
            f"/stations/{station.station_id}/monitoring",
            json={"base": "HardWiredOnly", "level": 5},
        )
    said = answer.json()
    assert (said["base"]["status"], said["level"]["status"]) == (status, status)
    assert station.calls("SetMonitoringBase") == [{"monitoringBase": "HardWiredOnly"}]
    assert station.calls("SetMonitoringLevel") == [{"severity": 5}]


@pytest.mark.use_case("N07")
async def test_an_alert_is_an_alarm_until_the_station_clears_it(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        numbering(station)
        await set_monitors(operator, station, POWER)
        path = f"/stations/{station.station_id}"
        assert await station.ask("NotifyEvent", event(1, 1)) == {}
        (alarm,) = await operator.get(f"{path}/events", alarms="true")
        assert (alarm["severity"], alarm["value"]) == (3, "12000")
        assert alarm["cleared_at"] is None
        assert [one["variable"] for one in (await operator.get(path))["alarms"]] == [
            "Power"
        ]
        cleared = event(2, 1, actualValue="9000", cleared=True)
        assert await station.ask("NotifyEvent", cleared) == {}
        assert (await operator.get(path))["alarms"] == []
        (_, alarm) = await operator.get(f"{path}/events")
        assert alarm["cleared_at"] is not None


@pytest.mark.use_case("N08")
async def test_periodic_events_are_kept_and_alarm_nobody(operator: Operator) -> None:
    async with operator.booted() as station:
        numbering(station)
        await set_monitors(operator, station, EVERY_MINUTE)
        path = f"/stations/{station.station_id}"
        pages = [
            event(number, 1, "Periodic", actualValue=str(number)) | more
            for number, more in (
                (10, {"seqNo": 0, "tbc": True}),
                (11, {"seqNo": 1, "tbc": False}),
            )
        ]
        for page in pages:
            assert await station.ask("NotifyEvent", page) == {}
        events = await operator.get(f"{path}/events")
        assert [(one["value"], one["severity"]) for one in events] == [
            ("11", 8),
            ("10", 8),
        ]
        assert await operator.get(f"{path}/events", alarms="true") == []
        assert (await operator.get(path))["alarms"] == []
