"""The calls of the central system that an OCPP 2.0.1 station serves."""

from __future__ import annotations  # the station and its table know each other

from functools import partial
from typing import TYPE_CHECKING

from sim_chargers.answers import ACCEPTED, REJECTED, rejected
from sim_chargers.clock import from_wire
from sim_chargers.connector import Connector, Reason, Reservation, set_availability
from sim_chargers.profile_store import ProfileError, read_profile
from sim_chargers.profiles import (
    STATION,
    Profile,
    Purpose,
)
from sim_chargers.smart_charging_v201 import (
    clear_charging_profile,
    get_charging_profiles,
    get_composite_schedule,
    set_charging_profile,
)
from sim_chargers.variables_v201 import get_base_report, get_variables, set_variables
from sim_chargers.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload


def table(station: ChargerV201) -> dict[str, Callable[[Payload], Reply]]:
    """Bind all served calls to a station."""
    served = {
        "CancelReservation": cancel_reservation,
        "ChangeAvailability": change_availability,
        "ClearCache": clear_cache,
        "ClearChargingProfile": clear_charging_profile,
        "DataTransfer": data_transfer,
        "GetBaseReport": get_base_report,
        "GetChargingProfiles": get_charging_profiles,
        "GetCompositeSchedule": get_composite_schedule,
        "GetLocalListVersion": get_local_list_version,
        "GetTransactionStatus": get_transaction_status,
        "GetVariables": get_variables,
        "RequestStartTransaction": request_start,
        "RequestStopTransaction": request_stop,
        "ReserveNow": reserve_now,
        "Reset": reset,
        "SendLocalList": send_local_list,
        "SetChargingProfile": set_charging_profile,
        "SetNetworkProfile": set_network_profile,
        "SetVariables": set_variables,
        "TriggerMessage": trigger_message,
        "UnlockConnector": unlock_connector,
        "UpdateFirmware": update_firmware,
    }
    return {action: partial(serve, station) for action, serve in served.items()}


def request_start(station: ChargerV201, payload: Payload) -> Reply:
    """Start for a token (F01, F02)."""
    if "evseId" in payload:
        chosen = station.connectors.get(int(payload["evseId"]))
    else:
        chosen = next((c for c in station.connectors.values() if c.is_free), None)
    if chosen is None or not chosen.operative or station.is_restarting:
        return rejected("UnknownEvse")
    if chosen.transaction is not None:
        return rejected("TxInProgress")
    connector = chosen
    token = str(payload["idToken"]["idToken"])
    kept = connector.reservation
    if kept is not None and kept.token.casefold() != token.casefold():
        return rejected("Reserved")
    profile: Profile | None = None
    if "chargingProfile" in payload:
        try:
            profile = read_profile(
                payload["chargingProfile"],
                target=connector.number,
                received_at=station.now(),
            )
        except ProfileError:
            return rejected("InvalidSchedule")
        if profile.purpose is not Purpose.TX or profile.transaction_id is not None:
            return rejected("InvalidProfile")

    def begin() -> None:
        station.begin_remotely(
            connector,
            token,
            wait_s=float(station.model.text("TxCtrlr", "EVConnectionTimeOut")),
            remote_start_id=int(payload["remoteStartId"]),
            profile=profile,
            authorise=station.model.is_true("AuthCtrlr", "AuthorizeRemoteStart"),
        )

    return Reply(payload=ACCEPTED, after=begin)


def request_stop(station: ChargerV201, payload: Payload) -> Reply:
    """Stop the named transaction (F03)."""
    connector = station.transaction_connector(str(payload["transactionId"]))
    if connector is None:
        return rejected("TxNotFound")
    found = connector

    def stop() -> None:
        if found.transaction is not None:
            station.stop(found, Reason.REMOTE)

    return Reply(payload=ACCEPTED, after=stop)


def get_transaction_status(station: ChargerV201, payload: Payload) -> Reply:
    """Say whether a transaction runs and whether messages wait (E14)."""
    waiting = len(station.outbox) > 0
    if "transactionId" not in payload:
        return Reply(payload={"messagesInQueue": waiting})
    running = station.transaction_connector(payload["transactionId"]) is not None
    return Reply(payload={"ongoingIndicator": running, "messagesInQueue": waiting})


def set_network_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Refuse: there is one network only (B09)."""
    del station, payload
    return rejected("NotSupported")


def trigger_message(station: ChargerV201, payload: Payload) -> Reply:
    """Send a message out of turn (F06)."""
    wanted = payload["requestedMessage"]
    number = payload.get("evse", {}).get("id")
    if number is not None and number not in station.connectors:
        return Reply(payload=REJECTED)
    chosen = [c for c in station.connectors.values() if number in (None, c.number)]
    after: dict[str, Callable[[], None]] = {
        "BootNotification": station.request_boot,
        "Heartbeat": lambda: station.enqueue("Heartbeat", dict),
        "StatusNotification": partial(_send_states, station, chosen),
        "MeterValues": partial(_send_idle_samples, station, chosen),
        "TransactionEvent": partial(_send_samples, station, chosen),
        "FirmwareStatusNotification": partial(_send_firmware, station, ("Idle",)),
        "LogStatusNotification": lambda: station.enqueue(
            "LogStatusNotification", partial(dict, status="Idle")
        ),
    }
    if wanted not in after:
        return Reply(payload={"status": "NotImplemented"})
    if wanted == "BootNotification" and station.is_accepted:
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED, after=after[wanted])


def _send_states(station: ChargerV201, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        connector.reported = station.status_of(connector)
        station.send_status(connector, connector.reported)


def _send_idle_samples(station: ChargerV201, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        station.send_idle_sample(connector, "Trigger")


def _send_samples(station: ChargerV201, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        if connector.transaction is not None:
            station.send_sample(connector, connector.transaction, "Trigger")


def _send_firmware(station: ChargerV201, states: Iterable[str]) -> None:
    for status in states:
        station.enqueue("FirmwareStatusNotification", partial(dict, status=status))


def update_firmware(station: ChargerV201, payload: Payload) -> Reply:
    """Pretend to install firmware and report its states (L01)."""
    request_id = int(payload["requestId"])

    def install() -> None:
        for status in ("Downloading", "Downloaded", "Installing", "Installed"):
            station.enqueue(
                "FirmwareStatusNotification",
                partial(dict, status=status, requestId=request_id),
            )

    return Reply(payload=ACCEPTED, after=install)


def reset(station: ChargerV201, payload: Payload) -> Reply:
    """Restart at once, or when the last transaction has ended (B11, B12)."""
    if "evseId" in payload:
        return rejected("UnsupportedParam")
    if payload["type"] == "OnIdle" and station.has_transaction():
        station.resets_when_idle = True
        return Reply(payload={"status": "Scheduled"})
    return Reply(
        payload=ACCEPTED,
        after=lambda: station.spawn(station.restart(Reason.RESET, "RemoteReset")),
    )


def change_availability(station: ChargerV201, payload: Payload) -> Reply:
    """Take EVSEs out of service, or put them back (G03, G04)."""
    operative = {"Operative": True, "Inoperative": False}[payload["operationalStatus"]]
    number = payload.get("evse", {}).get("id", STATION)
    if number != STATION and number not in station.connectors:
        return rejected("UnknownEvse")
    chosen = [c for c in station.connectors.values() if number in (STATION, c.number)]
    is_later = False
    for connector in chosen:
        is_later |= set_availability(connector, operative)
    return Reply(payload={"status": "Scheduled" if is_later else "Accepted"})


def unlock_connector(station: ChargerV201, payload: Payload) -> Reply:
    """Unlock a free connector (F05); a running transaction keeps it locked."""
    connector = station.connectors.get(int(payload["evseId"]))
    if connector is None or int(payload["connectorId"]) != 1:
        return Reply(payload={"status": "UnknownConnector"})
    if connector.transaction is not None:
        return Reply(payload={"status": "OngoingAuthorizedTransaction"})
    return Reply(payload={"status": "Unlocked"})


def send_local_list(station: ChargerV201, payload: Payload) -> Reply:
    """Take a local authorization list (D01)."""
    version = int(payload["versionNumber"])
    if payload["updateType"] == "Full":
        station.local_list = {}
    elif version <= station.local_list_version:
        return Reply(payload={"status": "VersionMismatch"})
    for entry in payload.get("localAuthorizationList", []):
        tag = str(entry["idToken"]["idToken"]).casefold()
        if "idTokenInfo" in entry:
            station.local_list[tag] = str(entry["idTokenInfo"]["status"])
        else:
            station.local_list.pop(tag, None)
    station.local_list_version = version
    return Reply(payload=ACCEPTED)


def get_local_list_version(station: ChargerV201, payload: Payload) -> Reply:
    """Report the version of the list (D02)."""
    del payload
    return Reply(payload={"versionNumber": station.local_list_version})


def reserve_now(station: ChargerV201, payload: Payload) -> Reply:
    """Keep an EVSE for a token (H01)."""
    if "evseId" in payload:
        chosen = station.connectors.get(int(payload["evseId"]))
    else:
        chosen = next((c for c in station.connectors.values() if c.is_free), None)
    if chosen is None:
        return Reply(payload=REJECTED)
    if not chosen.operative:
        return Reply(payload={"status": "Unavailable"})
    reservation_id = int(payload["id"])
    kept = chosen.reservation
    is_other = kept is not None and kept.reservation_id != reservation_id
    if not chosen.is_free or is_other:
        return Reply(payload={"status": "Occupied"})
    station.forget_reservation(reservation_id)
    chosen.reservation = Reservation(
        reservation_id=reservation_id,
        token=str(payload["idToken"]["idToken"]),
        until=from_wire(payload["expiryDateTime"]),
    )
    return Reply(payload=ACCEPTED)


def cancel_reservation(station: ChargerV201, payload: Payload) -> Reply:
    """Give an EVSE free again (H02)."""
    found = station.forget_reservation(int(payload["reservationId"]))
    return Reply(payload=ACCEPTED if found else REJECTED)


def clear_cache(station: ChargerV201, payload: Payload) -> Reply:
    """Forget the authorization cache (C11)."""
    del payload
    station.cache.clear()
    return Reply(payload=ACCEPTED)


def data_transfer(station: ChargerV201, payload: Payload) -> Reply:
    """No vendor extension is known (P01)."""
    del station, payload
    return Reply(payload={"status": "UnknownVendorId"})
