"""Flows about logs, monitors and customers (N01 to N10; 1.6: 5.9, whitepaper)."""

from typing import Final

from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.flows.stage import V201, Flow, Stage
from sim_chargers.twists import Twist

LOGS: Final = ("GetLog", "GetDiagnostics")
REPORTS: Final = ("LogStatusNotification", "DiagnosticsStatusNotification")
HOT_C: Final = 99.0
COOL_C: Final = 20.0


async def _uploads(stage: Stage) -> None:
    await stage.heard(*LOGS)
    await stage.sent(*REPORTS, status="Uploading")
    await stage.sent(*REPORTS, status="Uploaded")


async def _fails(stage: Stage) -> None:
    stage.twist(Twist.UPLOAD_FAILS)
    await stage.heard(*LOGS)
    await stage.sent(*REPORTS, status=("UploadFailure", "UploadFailed"))


async def _denied(stage: Stage) -> None:
    stage.twist(Twist.UPLOAD_DENIED)
    await stage.heard(*LOGS)
    await stage.sent(*REPORTS, status=("PermissionDenied", "UploadFailed"))


async def _replaced(stage: Stage) -> None:
    stage.twist(Twist.SLOW_TRANSFER)
    await stage.heard("GetLog", answered="Accepted")
    await stage.sent("LogStatusNotification", status="Uploading")
    await stage.heard("GetLog", answered="AcceptedCanceled")
    stage.untwist(Twist.SLOW_TRANSFER)
    if isinstance(stage.station, ChargerV201):
        await stage.sent("LogStatusNotification", status="AcceptedCanceled")
    await stage.sent("LogStatusNotification", status="Uploaded")


async def _alert(stage: Stage) -> None:
    station = _v201(stage)
    await stage.heard("SetVariableMonitoring")
    stage.check(
        any(m.kind == "UpperThreshold" for m in station.monitors.rows.values()),
        "no upper threshold was set",
    )
    try:
        station.temperature_c = HOT_C
        event = await stage.sent("NotifyEvent")
        row = event.payload["eventData"][0]
        stage.check(row["trigger"] == "Alerting", "the event is no alert")
        station.temperature_c = COOL_C
        event = await stage.sent("NotifyEvent")
        row = event.payload["eventData"][0]
        stage.check(row.get("cleared"), "the event does not clear the alert")
    finally:
        station.temperature_c = None


async def _monitors(stage: Stage) -> None:
    await stage.heard("SetMonitoringBase", answered="Accepted")
    await stage.heard("SetMonitoringLevel", answered="Accepted")
    await stage.heard("SetVariableMonitoring")
    await stage.heard("GetMonitoringReport", answered="Accepted")
    await stage.sent("NotifyMonitoringReport", tbc=False)
    await stage.heard("ClearVariableMonitoring")


async def _customer(stage: Stage) -> None:
    await stage.charge()
    await stage.finish()
    await stage.heard("CustomerInformation", answered="Accepted")
    last = await stage.sent("NotifyCustomerInformation", tbc=False)
    stage.check(last.payload["data"], "the report is empty")


def _v201(stage: Stage) -> ChargerV201:
    assert isinstance(stage.station, ChargerV201), "the flow is for 2.0.1 only"
    return stage.station


FLOWS: Final = (
    Flow(
        name="log-upload",
        line="uploads a log file; really, where the address is on loopback",
        play=_uploads,
        waits_for=LOGS,
    ),
    Flow(
        name="log-upload-fails",
        line="loses the connection while it uploads, each time",
        play=_fails,
        waits_for=LOGS,
    ),
    Flow(
        name="log-upload-denied",
        line="may not write where it is told to upload",
        play=_denied,
        waits_for=LOGS,
    ),
    Flow(
        name="log-upload-replaced",
        line="is asked for another log while it uploads",
        play=_replaced,
        waits_for=("GetLog",),
    ),
    Flow(
        name="monitoring-alert",
        line="gets hot until an upper threshold speaks up, and cools down again",
        play=_alert,
        waits_for=("SetVariableMonitoring",),
        versions=V201,
    ),
    Flow(
        name="monitoring-report",
        line="lets its monitors be set, listed and cleared",
        play=_monitors,
        waits_for=(
            "SetMonitoringBase",
            "SetMonitoringLevel",
            "SetVariableMonitoring",
            "GetMonitoringReport",
            "ClearVariableMonitoring",
        ),
        versions=V201,
    ),
    Flow(
        name="customer-information",
        line="charges for a customer and tells what it knows, in pages",
        play=_customer,
        waits_for=("CustomerInformation",),
        versions=V201,
    ),
)
