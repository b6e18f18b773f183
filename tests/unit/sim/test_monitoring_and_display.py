"""Monitors, customer information and display messages of 2.0.1."""

from typing import Any

import pytest

from sim_chargers.blocks.customer import PAGE
from sim_chargers.blocks.display import expire
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.monitors import watch
from sim_chargers.tokens import TokenEntry
from tests.unit.sim.desk import Payload, ask, said, status, told, v201

TEMPERATURE = {
    "component": {"name": "TemperatureSensor"},
    "variable": {"name": "Temperature"},
}
STATE = {
    "component": {"name": "EVSE", "evse": {"id": 1}},
    "variable": {"name": "AvailabilityState"},
}


def monitor(cp: ChargerV201, **changes: Any) -> Payload:
    row = {**TEMPERATURE, "type": "UpperThreshold", "value": 60.0, "severity": 5}
    answer = ask(cp, "SetVariableMonitoring", setMonitoringData=[{**row, **changes}])
    (result,) = answer["setMonitoringResult"]
    return dict(result)


def events(cp: ChargerV201) -> list[Payload]:
    return [row for part in said(cp, "NotifyEvent") for row in part["eventData"]]


def test_a_threshold_speaks_up_once_and_clears_once() -> None:
    cp = v201()
    number = monitor(cp)["id"]
    for celsius in (20.0, 61.0, 62.0, 59.0, 58.0):
        cp.temperature_c = celsius
        watch(cp)
    high, low = events(cp)
    assert (high["trigger"], high["actualValue"]) == ("Alerting", "61.0")
    assert "cleared" not in high
    assert (low["cleared"], low["actualValue"]) == (True, "59.0")
    assert {high["variableMonitoringId"], low["variableMonitoringId"]} == {number}
    assert low["eventId"] > high["eventId"]


def test_a_delta_counts_from_the_last_report() -> None:
    cp = v201()
    monitor(cp, type="Delta", value=5.0)
    for celsius in (20.0, 24.0, 26.0, 30.0, 21.0):
        cp.temperature_c = celsius
        watch(cp)
    assert [row["actualValue"] for row in events(cp)] == ["26.0", "21.0"]
    assert {row["trigger"] for row in events(cp)} == {"Delta"}


def test_a_delta_on_a_word_reports_every_change() -> None:
    cp = v201()
    assert monitor(cp, **STATE, type="Delta", value=0.0)["status"] == "Accepted"
    watch(cp)
    cp.connectors[1].operative = False
    watch(cp)
    watch(cp)
    assert [row["actualValue"] for row in events(cp)] == ["Unavailable"]


def test_severities_beyond_the_level_are_silent() -> None:
    cp = v201()
    monitor(cp, severity=5)
    assert status(cp, "SetMonitoringLevel", severity=4) == "Accepted"
    cp.temperature_c = 70.0
    watch(cp)
    assert events(cp) == []
    assert status(cp, "SetMonitoringLevel", severity=10) == "Rejected"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"component": {"name": "Nothing"}}, "UnknownComponent"),
        ({"variable": {"name": "Nothing"}}, "UnknownVariable"),
        ({**STATE, "type": "UpperThreshold"}, "UnsupportedMonitorType"),
        ({"severity": 10}, "Rejected"),
        ({"type": "Periodic", "value": 0.0}, "Rejected"),
        ({"id": 99}, "Rejected"),
        ({"value": 70.0}, "Duplicate"),
        ({"type": "LowerThreshold"}, "Accepted"),
    ],
)
def test_a_monitor_is_set_or_refused_for_a_reason(
    changes: Payload, expected: str
) -> None:
    cp = v201()
    monitor(cp)
    assert monitor(cp, **changes)["status"] == expected


def test_custom_monitors_can_be_cleared_and_the_factorys_cannot() -> None:
    cp = v201()
    number = monitor(cp)["id"]
    answer = ask(cp, "ClearVariableMonitoring", id=[number, 1, 77])
    states = [row["status"] for row in answer["clearMonitoringResult"]]
    assert states == ["Accepted", "Rejected", "NotFound"]


def test_the_base_decides_which_monitors_are_left() -> None:
    cp = v201()
    monitor(cp)
    ask(cp, "SetMonitoringBase", monitoringBase="FactoryDefault")
    assert {m.origin for m in cp.monitors.rows.values()} == {"PreconfiguredMonitor"}
    ask(cp, "SetMonitoringBase", monitoringBase="HardWiredOnly")
    assert cp.monitors.rows == {}
    assert status(cp, "GetMonitoringReport", requestId=1) == "EmptyResultSet"
    ask(cp, "SetMonitoringBase", monitoringBase="All")
    assert len(cp.monitors.rows) == 1


def test_a_report_of_monitors_follows_the_criteria() -> None:
    cp = v201()
    monitor(cp, type="Delta", value=5.0)
    ask(
        cp,
        "GetMonitoringReport",
        requestId=3,
        monitoringCriteria=["DeltaMonitoring"],
    )
    (report,) = said(cp, "NotifyMonitoringReport")
    (row,) = report["monitor"]
    assert row["variableMonitoring"][0]["type"] == "Delta"
    assert (report["requestId"], report["seqNo"], report["tbc"]) == (3, 0, False)


def customer(cp: ChargerV201, **more: Any) -> str:
    flags = {"requestId": 1, "report": True, "clear": False}
    return status(cp, "CustomerInformation", **{**flags, **more})


TOKEN = {"idToken": {"idToken": "CARD", "type": "ISO14443"}}


def test_a_long_story_about_a_customer_comes_in_pages() -> None:
    cp = v201()
    cp.tokens.cache["card"] = TokenEntry()
    cp.customers = [("card", f"T{n}", "begin", "end", 1000.0) for n in range(30)]
    assert customer(cp, **TOKEN) == "Accepted"
    pages = said(cp, "NotifyCustomerInformation")
    assert len(pages) > 1
    assert [p["seqNo"] for p in pages] == list(range(len(pages)))
    assert [p["tbc"] for p in pages] == [True] * (len(pages) - 1) + [False]
    assert all(len(p["data"]) <= PAGE for p in pages)
    text = "".join(p["data"] for p in pages)
    assert "cache: Accepted" in text
    assert "T29" in text


def test_a_customer_is_forgotten() -> None:
    cp = v201()
    cp.tokens.cache["card"] = TokenEntry()
    cp.customers = [("card", "T1", "begin", "end", 1000.0)]
    assert customer(cp, clear=True, **TOKEN) == "Accepted"
    assert cp.tokens.cache == {}
    assert customer(cp, **TOKEN) == "Accepted"
    assert said(cp, "NotifyCustomerInformation")[-1]["data"] == "nothing is stored"


def test_a_customer_must_be_named_in_one_way() -> None:
    cp = v201()
    assert customer(cp) == "Invalid"
    assert customer(cp, customerIdentifier="x", **TOKEN) == "Invalid"
    assert customer(cp, report=False, **TOKEN) == "Rejected"


def show(cp: ChargerV201, number: int = 1, **changes: Any) -> str:
    message = {
        "id": number,
        "priority": "NormalCycle",
        "message": {"format": "UTF8", "content": "Hello"},
        **changes,
    }
    return status(cp, "SetDisplayMessage", message=message)


def test_messages_are_shown_listed_and_taken_away() -> None:
    cp = v201()
    assert [show(cp, n) for n in (1, 2, 3)] == ["Accepted"] * 3
    assert told(cp, "message_shown")[0]["content"] == "Hello"
    assert status(cp, "GetDisplayMessages", requestId=1) == "Accepted"
    parts = said(cp, "NotifyDisplayMessages")
    assert [p["tbc"] for p in parts] == [True, False]
    assert status(cp, "ClearDisplayMessage", id=2) == "Accepted"
    assert status(cp, "ClearDisplayMessage", id=2) == "Unknown"
    assert status(cp, "GetDisplayMessages", requestId=1, id=[2]) == "Unknown"


def test_a_message_in_front_of_all_replaces_the_one_before() -> None:
    cp = v201()
    show(cp, 1, priority="AlwaysFront")
    show(cp, 2, priority="AlwaysFront")
    assert set(cp.display) == {2}


def test_a_message_is_refused_for_a_reason() -> None:
    cp = v201()
    html = {"format": "HTML", "content": "<b>Hello</b>"}
    assert show(cp, message=html) == "NotSupportedMessageFormat"
    assert show(cp, transactionId="nobody") == "UnknownTransaction"
    assert [show(cp, n) for n in range(21)][-1] == "Rejected"


def test_a_message_whose_time_is_over_disappears() -> None:
    cp = v201()
    show(cp, 1, endDateTime="2020-01-01T00:00:00Z")
    show(cp, 2, endDateTime="2099-01-01T00:00:00Z")
    expire(cp)
    assert set(cp.display) == {2}
