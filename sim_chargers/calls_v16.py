"""The calls of the central system that an OCPP 1.6 station serves."""

from __future__ import annotations  # the station and its table know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.clock import from_wire
from sim_chargers.connector import Connector, Reason, Reservation, set_availability
from sim_chargers.keys_v16 import DEFAULT_KEYS
from sim_chargers.profile_store import (
    ProfileError,
    read_profile,
)
from sim_chargers.profiles import STATION, Profile, Purpose
from sim_chargers.smart_charging_v16 import (
    clear_charging_profile,
    get_composite_schedule,
    set_charging_profile,
)
from sim_chargers.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.frames import Payload

MAX_SECRET_LENGTH: Final = 40


def table(station: ChargerV16) -> dict[str, Callable[[Payload], Reply]]:
    """Bind all served calls to a station."""
    served = {
        "CancelReservation": cancel_reservation,
        "ChangeAvailability": change_availability,
        "ChangeConfiguration": change_configuration,
        "ClearCache": clear_cache,
        "ClearChargingProfile": clear_charging_profile,
        "DataTransfer": data_transfer,
        "GetCompositeSchedule": get_composite_schedule,
        "GetConfiguration": get_configuration,
        "GetDiagnostics": get_diagnostics,
        "GetLocalListVersion": get_local_list_version,
        "RemoteStartTransaction": remote_start,
        "RemoteStopTransaction": remote_stop,
        "ReserveNow": reserve_now,
        "Reset": reset,
        "SendLocalList": send_local_list,
        "SetChargingProfile": set_charging_profile,
        "TriggerMessage": trigger_message,
        "UnlockConnector": unlock_connector,
        "UpdateFirmware": update_firmware,
    }
    return {action: partial(serve, station) for action, serve in served.items()}


def remote_start(station: ChargerV16, payload: Payload) -> Reply:
    """Start for a token, on the named or on a free connector (5.11)."""
    token = str(payload["idTag"])
    if "connectorId" in payload:
        chosen = station.connectors.get(int(payload["connectorId"]))
    else:
        chosen = next((c for c in station.connectors.values() if _ready(c)), None)
    if chosen is None or not _ready(chosen) or station.is_restarting:
        return Reply(payload=REJECTED)
    connector = chosen
    profile: Profile | None = None
    if "chargingProfile" in payload:
        try:
            profile = read_profile(
                payload["chargingProfile"],
                target=connector.number,
                received_at=station.now(),
            )
        except ProfileError:
            return Reply(payload=REJECTED)
        if profile.purpose is not Purpose.TX or profile.transaction_id is not None:
            return Reply(payload=REJECTED)

    def begin() -> None:
        station.begin_remotely(
            connector,
            token,
            wait_s=float(station.keys["ConnectionTimeOut"]),
            profile=profile,
            authorise=station.is_true("AuthorizeRemoteTxRequests"),
        )

    return Reply(payload=ACCEPTED, after=begin)


def _ready(connector: Connector) -> bool:
    return connector.operative and connector.transaction is None


def remote_stop(station: ChargerV16, payload: Payload) -> Reply:
    """Stop the named transaction (5.12)."""
    connector = station.transaction_connector(int(payload["transactionId"]))
    if connector is None:
        return Reply(payload=REJECTED)
    found = connector

    def stop() -> None:
        if found.transaction is not None:
            station.stop(found, Reason.REMOTE)

    return Reply(payload=ACCEPTED, after=stop)


def get_configuration(station: ChargerV16, payload: Payload) -> Reply:
    """Report configuration keys (5.8)."""
    asked = payload.get("key") or sorted(station.keys)
    names = {key.casefold(): key for key in station.keys}
    known = [names[key.casefold()] for key in asked if key.casefold() in names]
    answer: dict[str, Any] = {
        "configurationKey": [
            {
                "key": key,
                "readonly": DEFAULT_KEYS[key][1],
                "value": station.keys[key],
            }
            for key in known
        ]
    }
    unknown = [key for key in asked if key.casefold() not in names]
    if unknown:
        answer["unknownKey"] = unknown
    return Reply(payload=answer)


def change_configuration(station: ChargerV16, payload: Payload) -> Reply:
    """Change a key (5.3); AuthorizationKey cannot be read and needs a reconnect."""
    key, value = str(payload["key"]), str(payload["value"])
    if key.casefold() == "authorizationkey":
        if not 0 < len(value) <= MAX_SECRET_LENGTH:
            return Reply(payload=REJECTED)
        station.link.password = value
        return Reply(payload=ACCEPTED, after=lambda: station.spawn(station.link.drop()))
    name = {k.casefold(): k for k in station.keys}.get(key.casefold())
    if name is None:
        return Reply(payload={"status": "NotSupported"})
    default, read_only = DEFAULT_KEYS[name]
    if read_only or not _fits(default, value):
        return Reply(payload=REJECTED)
    station.keys[name] = value
    station.apply_key(name)
    return Reply(payload=ACCEPTED)


def _fits(default: str, value: str) -> bool:
    if default in ("true", "false"):
        return value.casefold() in ("true", "false")
    return not default.isdigit() or value.isdigit()


def trigger_message(station: ChargerV16, payload: Payload) -> Reply:
    """Send a message out of turn (5.17)."""
    wanted = payload["requestedMessage"]
    number = payload.get("connectorId")
    if number is not None and number not in station.connectors and number != STATION:
        return Reply(payload=REJECTED)
    chosen = [c for c in station.connectors.values() if number in (None, 0, c.number)]

    after: dict[str, Callable[[], None]] = {
        "BootNotification": station.request_boot,
        "Heartbeat": lambda: station.enqueue("Heartbeat", dict),
        "StatusNotification": partial(_send_states, station, chosen),
        "MeterValues": partial(_send_samples, station, chosen),
        "FirmwareStatusNotification": lambda: station.enqueue(
            "FirmwareStatusNotification", partial(dict, status="Idle")
        ),
        "DiagnosticsStatusNotification": lambda: station.enqueue(
            "DiagnosticsStatusNotification", partial(dict, status="Idle")
        ),
    }
    if wanted not in after:
        return Reply(payload={"status": "NotImplemented"})
    if wanted == "BootNotification" and station.is_accepted:
        return Reply(payload=REJECTED)  # errata 3.40: only while Pending
    return Reply(payload=ACCEPTED, after=after[wanted])


def _send_states(station: ChargerV16, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        connector.reported = station.status_of(connector)
        station.send_status(connector, connector.reported)


def _send_samples(station: ChargerV16, chosen: Iterable[Connector]) -> None:
    for connector in chosen:
        if connector.transaction is not None:
            station.send_sample(connector, connector.transaction, "Trigger")
        else:
            station.send_idle_sample(connector, "Trigger")


def reset(station: ChargerV16, payload: Payload) -> Reply:
    """Restart (5.14)."""
    kind = payload["type"]
    if station.is_restarting or kind not in ("Soft", "Hard"):
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED, after=lambda: station.reset(kind))


def change_availability(station: ChargerV16, payload: Payload) -> Reply:
    """Take connectors out of service, or put them back (5.2)."""
    number = int(payload["connectorId"])
    operative = {"Operative": True, "Inoperative": False}[payload["type"]]
    if number != STATION and number not in station.connectors:
        return Reply(payload=REJECTED)
    chosen = [c for c in station.connectors.values() if number in (STATION, c.number)]
    is_later = False
    for connector in chosen:
        is_later |= set_availability(connector, operative)
    return Reply(payload={"status": "Scheduled" if is_later else "Accepted"})


def unlock_connector(station: ChargerV16, payload: Payload) -> Reply:
    """Unlock; a running transaction is stopped first (5.18)."""
    connector = station.connectors.get(int(payload["connectorId"]))
    if connector is None:
        return Reply(payload={"status": "NotSupported"})
    if connector.transaction is not None:
        station.stop(connector, Reason.UNLOCK)
    return Reply(payload={"status": "Unlocked"})


def send_local_list(station: ChargerV16, payload: Payload) -> Reply:
    """Take a local authorization list (5.15)."""
    version = int(payload["listVersion"])
    entries = payload.get("localAuthorizationList", [])
    if payload["updateType"] == "Full":
        station.local_list = {}
    elif version <= station.local_list_version:
        return Reply(payload={"status": "VersionMismatch"})
    for entry in entries:
        tag = str(entry["idTag"]).casefold()
        if "idTagInfo" in entry:
            station.local_list[tag] = str(entry["idTagInfo"]["status"])
        else:
            station.local_list.pop(tag, None)
    station.local_list_version = version
    return Reply(payload=ACCEPTED)


def get_local_list_version(station: ChargerV16, payload: Payload) -> Reply:
    """Report the version of the list (5.10)."""
    del payload
    return Reply(payload={"listVersion": station.local_list_version})


def reserve_now(station: ChargerV16, payload: Payload) -> Reply:
    """Keep a connector for a token (5.13)."""
    number = int(payload["connectorId"])
    if number == STATION:
        chosen = next((c for c in station.connectors.values() if c.is_free), None)
    else:
        chosen = station.connectors.get(number)
    if chosen is None:
        return Reply(payload=REJECTED)
    if not chosen.operative:
        return Reply(payload={"status": "Unavailable"})
    reservation_id = int(payload["reservationId"])
    kept = chosen.reservation
    is_other = kept is not None and kept.reservation_id != reservation_id
    if not chosen.is_free or is_other:
        return Reply(payload={"status": "Occupied"})
    station.forget_reservation(reservation_id)
    chosen.reservation = Reservation(
        reservation_id=reservation_id,
        token=str(payload["idTag"]),
        until=from_wire(payload["expiryDate"]),
    )
    return Reply(payload=ACCEPTED)


def cancel_reservation(station: ChargerV16, payload: Payload) -> Reply:
    """Give a connector free again (5.1)."""
    found = station.forget_reservation(int(payload["reservationId"]))
    return Reply(payload=ACCEPTED if found else REJECTED)


def clear_cache(station: ChargerV16, payload: Payload) -> Reply:
    """Forget the authorization cache (5.4)."""
    del payload
    station.cache.clear()
    return Reply(payload=ACCEPTED)


def data_transfer(station: ChargerV16, payload: Payload) -> Reply:
    """No vendor extension is known (4.3)."""
    del station, payload
    return Reply(payload={"status": "UnknownVendorId"})


def get_diagnostics(station: ChargerV16, payload: Payload) -> Reply:
    """Pretend to upload a file and report its states (5.9)."""
    str(payload["location"])

    def upload() -> None:
        for status in ("Uploading", "Uploaded"):
            station.enqueue(
                "DiagnosticsStatusNotification", partial(dict, status=status)
            )

    return Reply(payload={"fileName": f"{station.spec.id}.log"}, after=upload)


def update_firmware(station: ChargerV16, payload: Payload) -> Reply:
    """Pretend to install firmware and report its states (5.19)."""
    str(payload["location"])

    def install() -> None:
        for status in ("Downloading", "Downloaded", "Installing", "Installed"):
            station.enqueue("FirmwareStatusNotification", partial(dict, status=status))

    return Reply(payload={}, after=install)
