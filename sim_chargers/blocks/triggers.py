"""Messages that a station is told to send (1.6: 5.17, whitepaper; 2.0.1: F06)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.blocks import firmware, logs, publishing
from sim_chargers.outcomes import Reply
from sim_chargers.profiles import STATION
from sim_chargers.renewal import COMBINED_KIND, STATION_KIND, V2G_KIND, renew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.connector import Connector
    from sim_chargers.frames import Payload

    Triggers: TypeAlias = dict[str, Callable[[], None]]


def trigger_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Send a message out of turn (5.17)."""
    number = payload.get("connectorId")
    chosen = _chosen(station, number)
    triggers = _common(station, chosen) | {
        "MeterValues": partial(_send_samples, station, chosen, idle_too=True),
        "FirmwareStatusNotification": partial(_firmware, station, firmware.PLAIN),
        "DiagnosticsStatusNotification": partial(_diagnostics, station),
    }
    return _serve(station, payload, triggers, chosen)


def extended_trigger_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Send a message out of turn (security whitepaper, 5.17 extended)."""
    number = payload.get("connectorId")
    chosen = _chosen(station, number)
    triggers = _common(station, chosen) | {
        "MeterValues": partial(_send_samples, station, chosen, idle_too=True),
        "FirmwareStatusNotification": partial(_firmware, station, firmware.SIGNED_V16),
        "LogStatusNotification": partial(_log, station),
        "SignChargePointCertificate": partial(_sign, station, STATION_KIND),
    }
    return _serve(station, payload, triggers, chosen)


def trigger_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Send a message out of turn (F06)."""
    number = payload.get("evse", {}).get("id")
    chosen = _chosen(station, number)
    triggers = _common(station, chosen) | {
        "MeterValues": partial(_send_idle_samples, station, chosen),
        "TransactionEvent": partial(_send_samples, station, chosen, idle_too=False),
        "FirmwareStatusNotification": partial(_firmware, station, firmware.PLAIN),
        "LogStatusNotification": partial(_log, station),
        "PublishFirmwareStatusNotification": partial(_publishing, station),
        "SignChargingStationCertificate": partial(_sign, station, STATION_KIND),
        "SignV2GCertificate": partial(_sign, station, V2G_KIND),
        "SignCombinedCertificate": partial(_sign, station, COMBINED_KIND),
    }
    return _serve(station, payload, triggers, chosen)


def _serve(
    station: Charger,
    payload: Payload,
    triggers: Triggers,
    chosen: list[Connector],
) -> Reply:
    wanted = str(payload["requestedMessage"])
    if not chosen:
        return Reply(payload=REJECTED)
    if wanted not in triggers:
        return Reply(payload={"status": "NotImplemented"})
    if wanted == "BootNotification" and station.is_accepted:
        return Reply(payload=REJECTED)  # F06.FR.17; 1.6 errata 3.40: only while Pending
    return Reply(payload=ACCEPTED, after=triggers[wanted])


def _chosen(station: Charger, number: int | None) -> list[Connector]:
    every = station.connectors.values()
    return [c for c in every if number in (None, STATION, c.number)]


def _common(station: Charger, chosen: Iterable[Connector]) -> Triggers:
    return {
        "BootNotification": station.request_boot,
        "Heartbeat": lambda: station.enqueue("Heartbeat", dict),
        "StatusNotification": partial(_send_states, station, chosen),
    }


def _send_states(station: Charger, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        connector.reported = station.status_of(connector)
        station.send_status(connector, connector.reported)


def _send_samples(
    station: Charger, chosen: Iterable[Connector], *, idle_too: bool
) -> None:
    for connector in chosen:
        if connector.transaction is not None:
            station.send_sample(connector, connector.transaction, "Trigger")
        elif idle_too:
            station.send_idle_sample(connector, "Trigger")


def _send_idle_samples(station: Charger, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        station.send_idle_sample(connector, "Trigger")


def _firmware(station: Charger, action: str) -> None:
    report = firmware.idle_report(station)
    if action == firmware.PLAIN and station.firmware.order is not None:
        action = station.firmware.order.action if "requestId" in report else action
    station.enqueue(action, lambda: report)


def _diagnostics(station: Charger) -> None:
    errand = station.uploads.errand
    is_plain = errand is not None and errand.request_id is None
    report = logs.idle_report(station) if is_plain else {"status": "Idle"}
    station.enqueue("DiagnosticsStatusNotification", lambda: report)


def _log(station: Charger) -> None:
    errand = station.uploads.errand
    is_plain = errand is not None and errand.request_id is None
    report = {"status": "Idle"} if is_plain else logs.idle_report(station)
    station.enqueue("LogStatusNotification", lambda: report)


def _publishing(station: Charger) -> None:
    report = publishing.idle_report(station)
    station.enqueue("PublishFirmwareStatusNotification", lambda: report)


def _sign(station: Charger, kind: str) -> None:
    station.spawn(renew(station, kind))
