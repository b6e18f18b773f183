"""Remote starts and stops (1.6: 5.11, 5.12; 2.0.1: F01 to F03, E14)."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING

from sim_chargers.answers import ACCEPTED, REJECTED, rejected
from sim_chargers.connector import Connector, Reason
from sim_chargers.outcomes import Reply
from sim_chargers.profile_store import ProfileError, read_profile
from sim_chargers.profiles import Profile, Purpose
from sim_chargers.tokens import Setting, same

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload


def start_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Start for a token, on the named or on a free connector (5.11)."""
    connector = _choose(station, payload.get("connectorId"))
    if connector is None or not connector.operative or station.is_restarting:
        return Reply(payload=REJECTED)
    if connector.transaction is not None:
        return Reply(payload=REJECTED)
    try:
        profile = _profile(station, payload, connector)
    except ProfileError:
        return Reply(payload=REJECTED)
    wait_s = float(station.keys["ConnectionTimeOut"])
    return _accepted(station, connector, str(payload["idTag"]), wait_s, profile)


def start_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Start for a token (F01, F02)."""
    connector = _choose(station, payload.get("evseId"))
    if connector is None or not connector.operative or station.is_restarting:
        return rejected("UnknownEvse")
    running = connector.transaction
    if running is not None and running.token:
        return rejected("TxInProgress")
    token = str(payload["idToken"]["idToken"])
    kept = connector.reservation
    if kept is not None and not same(kept.token, token):
        group = payload.get("groupIdToken", {}).get("idToken")
        if kept.group is None or group is None or not same(kept.group, group):
            return rejected("Reserved")
    try:
        profile = _profile(station, payload, connector)
    except ProfileError:
        return rejected("InvalidProfile")
    wait_s = float(station.model.text("TxCtrlr", "EVConnectionTimeOut"))
    number = int(payload["remoteStartId"])
    return _accepted(station, connector, token, wait_s, profile, remote_start_id=number)


def stop_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Stop the named transaction (5.12)."""
    reply = _stop(station, str(payload["transactionId"]))
    return Reply(payload=REJECTED) if reply is None else reply


def stop_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Stop the named transaction (F03)."""
    reply = _stop(station, str(payload["transactionId"]))
    return rejected("TxNotFound") if reply is None else reply


def get_transaction_status(station: ChargerV201, payload: Payload) -> Reply:
    """Say whether a transaction runs and whether messages wait (E14)."""
    if "transactionId" not in payload:
        waits = any(True for _ in station.outbox.waiting("TransactionEvent"))
        return Reply(payload={"messagesInQueue": waits})
    number = str(payload["transactionId"])
    waits = any(
        message["transactionInfo"]["transactionId"] == number
        for message in station.outbox.waiting("TransactionEvent")
    )
    running = station.transaction_connector(number) is not None
    return Reply(payload={"ongoingIndicator": running, "messagesInQueue": waits})


def _choose(station: Charger, number: int | None) -> Connector | None:
    """Take the named connector, else one with a waiting car, else a free one."""
    if number is not None:
        return station.connectors.get(int(number))
    ready = [
        c
        for c in station.connectors.values()
        if c.operative and c.transaction is None and c.reservation is None
    ]
    ready.sort(key=lambda c: c.evse.vehicle is None)
    return ready[0] if ready else None


def _profile(
    station: Charger, payload: Payload, connector: Connector
) -> Profile | None:
    if "chargingProfile" not in payload:
        return None
    profile = read_profile(
        payload["chargingProfile"],
        target=connector.number,
        received_at=station.now(),
    )
    if profile.purpose is not Purpose.TX or profile.transaction_id is not None:
        raise ProfileError("a start takes a transaction profile without a transaction")
    return profile


def _accepted(
    station: Charger,
    connector: Connector,
    token: str,
    wait_s: float,
    profile: Profile | None,
    *,
    remote_start_id: int | None = None,
) -> Reply:
    def begin() -> None:
        station.begin_remotely(
            connector,
            token,
            wait_s=wait_s,
            remote_start_id=remote_start_id,
            profile=profile,
            authorise=station.is_set(Setting.AUTHORISE_REMOTE),
        )

    running = connector.transaction
    if running is not None and remote_start_id is not None:  # F01.FR.13
        answer = {**ACCEPTED, "transactionId": running.wire_id}
        return Reply(payload=answer, after=begin)
    return Reply(payload=ACCEPTED, after=begin)


def _stop(station: Charger, transaction_id: str) -> Reply | None:
    connector = station.transaction_connector(transaction_id)
    if connector is None:
        return None
    found = connector

    def stop() -> None:
        if found.transaction is not None:
            station.stop(found, Reason.REMOTE)

    return Reply(payload=ACCEPTED, after=stop)
