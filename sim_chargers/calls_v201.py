"""The calls of the central system that an OCPP 2.0.1 station serves."""

from __future__ import annotations  # the station and its table know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.calls_v16 import set_availability
from sim_chargers.clock import from_wire, to_wire
from sim_chargers.connector import Connector, Reason, Reservation
from sim_chargers.device_model import READ_ONLY, WRITE_ONLY
from sim_chargers.profile_store import ProfileError, purpose_of, read_profile
from sim_chargers.profiles import (
    STATION,
    Context,
    Kind,
    Profile,
    Purpose,
    composite,
)
from sim_chargers.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

ACCEPTED: Final = {"status": "Accepted"}
REJECTED: Final = {"status": "Rejected"}
REPORT_PART: Final = 12  # variables per NotifyReport
MAX_SECRET_LENGTH: Final = 40


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


def _rejected(code: str) -> Reply:
    return Reply(payload={"status": "Rejected", "statusInfo": {"reasonCode": code}})


def set_charging_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Install a profile (K01)."""
    refusal = _install(station, int(payload["evseId"]), payload["chargingProfile"])
    return Reply(payload=ACCEPTED) if refusal is None else _rejected(refusal)


def _install(station: ChargerV201, target: int, wire: Payload) -> str | None:
    """Install a profile, or return the reason code of the refusal."""
    if target != STATION and target not in station.connectors:
        return "UnknownEvse"
    try:
        profile = read_profile(wire, target=target, received_at=station.now())
    except ProfileError:
        return "InvalidSchedule"
    refusal = _profile_refusal(station, profile)
    if refusal is not None:
        return refusal
    try:
        station.profiles.install(profile)
    except ProfileError:
        return "TooManyElements"
    return None


def _profile_refusal(station: ChargerV201, profile: Profile) -> str | None:
    if profile.purpose is Purpose.EXTERNAL:
        return "InvalidProfile"  # K01.FR.22: not for the central system to set
    if profile.kind is Kind.ABSOLUTE and profile.start is None:
        return "InvalidSchedule"
    if any(_collides(profile, old) for old in station.profiles):
        return "DuplicateProfile"
    return _transaction_refusal(station, profile)


def _transaction_refusal(station: ChargerV201, profile: Profile) -> str | None:
    if profile.purpose is not Purpose.TX:
        return None
    transaction = station.connectors[profile.target].transaction
    if profile.transaction_id is None:
        return "MissingParam"
    if transaction is None or transaction.wire_id != profile.transaction_id:
        return "TxNotFound"
    return None


def _collides(new: Profile, old: Profile) -> bool:
    """Same purpose, level and EVSE under another id, valid at the same time."""
    if new.profile_id == old.profile_id:
        return False
    same = (new.purpose, new.stack_level, new.target) == (
        old.purpose,
        old.stack_level,
        old.target,
    )
    before = new.valid_to and old.valid_from and new.valid_to <= old.valid_from
    after = new.valid_from and old.valid_to and new.valid_from >= old.valid_to
    return same and not before and not after


def clear_charging_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Remove profiles by id, or by criteria (K10)."""
    criteria = payload.get("chargingProfileCriteria", {})
    removed = station.profiles.clear(
        profile_id=payload.get("chargingProfileId"),
        target=criteria.get("evseId"),
        purpose=purpose_of(criteria.get("chargingProfilePurpose")),
        stack_level=criteria.get("stackLevel"),
    )
    return Reply(payload={"status": "Accepted" if removed else "Unknown"})


def get_charging_profiles(station: ChargerV201, payload: Payload) -> Reply:
    """Report installed profiles, one message per EVSE (K09)."""
    wanted = payload["chargingProfile"]
    ids = wanted.get("chargingProfileId")
    purpose = purpose_of(wanted.get("chargingProfilePurpose"))
    sources = wanted.get("chargingLimitSource", ["CSO"])
    found = [
        p
        for p in station.profiles
        if "CSO" in sources
        and (ids is None or p.profile_id in ids)
        and purpose in (None, p.purpose)
        and wanted.get("stackLevel") in (None, p.stack_level)
        and payload.get("evseId") in (None, p.target)
    ]
    if not found:
        return Reply(payload={"status": "NoProfiles"})

    def report() -> None:
        targets = sorted({p.target for p in found})
        for target in targets:
            message = {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "evseId": target,
                "chargingProfile": [p.wire for p in found if p.target == target],
                "tbc": target != targets[-1],
            }
            station.enqueue("ReportChargingProfiles", partial(dict, message))

    return Reply(payload=ACCEPTED, after=report)


def get_composite_schedule(station: ChargerV201, payload: Payload) -> Reply:
    """Compose the schedule of an EVSE, or of the whole station (K08)."""
    number, duration_s = int(payload["evseId"]), int(payload["duration"])
    now = station.now()
    first = next(iter(station.connectors.values()))
    unit = payload.get("chargingRateUnit", "W" if first.evse.spec.is_dc else "A")
    if number == STATION:
        context = Context(target=STATION, scale=station.scale(first))
        maximum = sum(c.evse.spec.native_max for c in station.connectors.values())
    elif number in station.connectors:
        context = station.context(station.connectors[number])
        maximum = station.connectors[number].evse.spec.native_max
    else:
        return _rejected("UnknownEvse")
    steps = composite(station.profiles, context, now, duration_s, maximum)
    schedule = {
        "evseId": number,
        "duration": duration_s,
        "scheduleStart": to_wire(now),
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": s, "limit": round(context.scale.from_native(v, unit), 1)}
            for s, v in steps
        ],
    }
    return Reply(payload={"status": "Accepted", "schedule": schedule})


def request_start(station: ChargerV201, payload: Payload) -> Reply:
    """Start for a token (F01, F02)."""
    if "evseId" in payload:
        chosen = station.connectors.get(int(payload["evseId"]))
    else:
        chosen = next((c for c in station.connectors.values() if c.is_free), None)
    if chosen is None or not chosen.operative or station.is_restarting:
        return _rejected("UnknownEvse")
    if chosen.transaction is not None:
        return _rejected("TxInProgress")
    connector = chosen
    token = str(payload["idToken"]["idToken"])
    kept = connector.reservation
    if kept is not None and kept.token.casefold() != token.casefold():
        return _rejected("Reserved")
    profile: Profile | None = None
    if "chargingProfile" in payload:
        try:
            profile = read_profile(
                payload["chargingProfile"],
                target=connector.number,
                received_at=station.now(),
            )
        except ProfileError:
            return _rejected("InvalidSchedule")
        if profile.purpose is not Purpose.TX or profile.transaction_id is not None:
            return _rejected("InvalidProfile")

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
        return _rejected("TxNotFound")
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


def get_base_report(station: ChargerV201, payload: Payload) -> Reply:
    """Report the whole device model in parts (B07)."""
    rows = [variable.report() for variable in station.model]
    if payload["reportBase"] == "SummaryInventory":
        rows = [r for r in rows if r["variable"]["name"] == "AvailabilityState"]

    def report() -> None:
        generated_at = to_wire(station.now())
        for seq_no, first in enumerate(range(0, len(rows), REPORT_PART)):
            message = {
                "requestId": payload["requestId"],
                "generatedAt": generated_at,
                "reportData": rows[first : first + REPORT_PART],
                "tbc": first + REPORT_PART < len(rows),
                "seqNo": seq_no,
            }
            station.enqueue("NotifyReport", partial(dict, message))

    return Reply(payload=ACCEPTED, after=report)


def get_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Read variables (B06)."""
    results = [_get_variable(station, asked) for asked in payload["getVariableData"]]
    return Reply(payload={"getVariableResult": results})


def _get_variable(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = _find(station, asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    if found.mutability == WRITE_ONLY:
        return {"attributeStatus": "Rejected", **result}
    return {"attributeStatus": "Accepted", "attributeValue": found.value, **result}


def set_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Change variables (B05); a new password asks for a reconnect."""
    results = [_set_variable(station, asked) for asked in payload["setVariableData"]]
    station.apply_variables()
    password = station.model.text("SecurityCtrlr", "BasicAuthPassword")
    after = None
    if password and password != station.link.password:
        station.link.password = password
        after = partial(_reconnect, station)
    return Reply(payload={"setVariableResult": results}, after=after)


def _reconnect(station: ChargerV201) -> None:
    station.spawn(station.link.drop())


def _set_variable(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = _find(station, asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    value = str(asked["attributeValue"])
    is_secret = found.mutability == WRITE_ONLY
    is_bad_secret = is_secret and not 0 < len(value) <= MAX_SECRET_LENGTH
    if found.mutability == READ_ONLY or is_bad_secret or not found.fits(value):
        return {"attributeStatus": "Rejected", **result}
    found.value = value
    return {"attributeStatus": "Accepted", **result}


def _echo(asked: dict[str, Any]) -> dict[str, Any]:
    result = {"component": asked["component"], "variable": asked["variable"]}
    if "attributeType" in asked:
        result["attributeType"] = asked["attributeType"]
    return result


def _find(station: ChargerV201, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - Variable or status word
    component, variable = asked["component"], asked["variable"]
    found = station.model.find(
        component["name"],
        variable["name"],
        evse_id=component.get("evse", {}).get("id"),
        instance=variable.get("instance"),
    )
    if found is not None:
        return found
    known = station.model.has_component(component["name"])
    return "UnknownVariable" if known else "UnknownComponent"


def set_network_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Refuse: there is one network only (B09)."""
    del station, payload
    return _rejected("NotSupported")


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
        return _rejected("UnsupportedParam")
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
        return _rejected("UnknownEvse")
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
    _forget_reservation(station, reservation_id)
    chosen.reservation = Reservation(
        reservation_id=reservation_id,
        token=str(payload["idToken"]["idToken"]),
        until=from_wire(payload["expiryDateTime"]),
    )
    return Reply(payload=ACCEPTED)


def cancel_reservation(station: ChargerV201, payload: Payload) -> Reply:
    """Give an EVSE free again (H02)."""
    found = _forget_reservation(station, int(payload["reservationId"]))
    return Reply(payload=ACCEPTED if found else REJECTED)


def _forget_reservation(station: ChargerV201, reservation_id: int) -> bool:
    for connector in station.connectors.values():
        kept = connector.reservation
        if kept is not None and kept.reservation_id == reservation_id:
            connector.reservation = None
            return True
    return False


def clear_cache(station: ChargerV201, payload: Payload) -> Reply:
    """Forget the authorization cache (C11)."""
    del payload
    station.cache.clear()
    return Reply(payload=ACCEPTED)


def data_transfer(station: ChargerV201, payload: Payload) -> Reply:
    """No vendor extension is known (P01)."""
    del station, payload
    return Reply(payload={"status": "UnknownVendorId"})
