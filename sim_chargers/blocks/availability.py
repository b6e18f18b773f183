"""Out of service, reset, unlock (1.6: 5.2, 5.14, 5.18; 2.0.1: B11, B12, F05, G03)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Final

from sim_chargers.answers import ACCEPTED, REJECTED, rejected
from sim_chargers.connector import Reason, set_availability
from sim_chargers.outcomes import Reply
from sim_chargers.profiles import STATION
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.connector import Connector
    from sim_chargers.frames import Payload

EVSE_RESET_S: Final = 5.0  # site seconds without the EVSE
_OPERATIVE: Final = {"Operative": True, "Inoperative": False}


def change_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Take connectors out of service, or put them back (5.2)."""
    number = int(payload["connectorId"])
    if number != STATION and number not in station.connectors:
        return Reply(payload=REJECTED)
    reply = _change(station, number, _OPERATIVE[payload["type"]])
    if number != STATION:
        return reply
    return Reply(payload=reply.payload, after=station.accepted)


def change_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Take EVSEs out of service, or put them back (G03, G04)."""
    evse = payload.get("evse", {})
    number = int(evse.get("id", STATION))
    is_known = number == STATION or number in station.connectors
    if not is_known or evse.get("connectorId", 1) != 1:
        return rejected("UnknownEvse")
    return _change(station, number, _OPERATIVE[payload["operationalStatus"]])


def reset_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Restart (5.14)."""
    kind = payload["type"]
    if station.is_restarting or kind not in ("Soft", "Hard"):
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED, after=lambda: station.reset(kind))


def reset_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Restart all or one EVSE, at once or when the transactions are over (B11, B12)."""
    is_on_idle = {"OnIdle": True, "Immediate": False}[payload["type"]]
    if station.is_restarting:
        return rejected("Resetting")
    if "evseId" in payload:
        return _reset_evse(station, int(payload["evseId"]), is_on_idle)
    if is_on_idle and station.has_transaction():
        station.resets_when_idle = True
        return Reply(payload={"status": "Scheduled"})

    def restart() -> None:
        station.spawn(station.restart(Reason.RESET, "RemoteReset"))

    return Reply(payload=ACCEPTED, after=restart)


def unlock_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Unlock; a running transaction is stopped first (5.18)."""
    connector = station.connectors.get(int(payload["connectorId"]))
    if connector is None:
        return Reply(payload={"status": "NotSupported"})
    if Twist.UNLOCK_FAILS in station.twists:
        return Reply(payload={"status": "UnlockFailed"})
    if connector.transaction is not None:
        station.stop(connector, Reason.UNLOCK)
    return Reply(payload={"status": "Unlocked"})


def unlock_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Unlock a free connector (F05); a running transaction keeps it locked."""
    connector = station.connectors.get(int(payload["evseId"]))
    if connector is None or int(payload["connectorId"]) != 1:
        return Reply(payload={"status": "UnknownConnector"})
    if connector.transaction is not None:
        return Reply(payload={"status": "OngoingAuthorizedTransaction"})
    is_stuck = Twist.UNLOCK_FAILS in station.twists
    return Reply(payload={"status": "UnlockFailed" if is_stuck else "Unlocked"})


def _change(station: Charger, number: int, operative: bool) -> Reply:
    chosen = [c for c in station.connectors.values() if number in (STATION, c.number)]
    is_later = False
    for connector in chosen:
        is_later |= set_availability(connector, operative)
        if not operative and not connector.inoperative_later:
            station.drop_reservation(connector)
    return Reply(payload={"status": "Scheduled" if is_later else "Accepted"})


def _reset_evse(station: ChargerV201, number: int, is_on_idle: bool) -> Reply:
    """Restart one EVSE, where the device model allows it (B11.FR.08)."""
    connector = station.connectors.get(number)
    if connector is None:
        return rejected("UnknownEvse")
    allowed = station.model.find("EVSE", "AllowReset", evse_id=number)
    if allowed is None or allowed.value != "true":
        return rejected("NotEnabled")
    connector.resets_when_idle = is_on_idle and connector.transaction is not None
    if connector.resets_when_idle:
        return Reply(payload={"status": "Scheduled"})
    return Reply(payload=ACCEPTED, after=partial(begin_evse_reset, station, connector))


def begin_evse_reset(station: ChargerV201, connector: Connector) -> None:
    """Stop what runs at an EVSE and take it away for some seconds."""
    connector.resets_when_idle = False
    if connector.transaction is not None:
        station.stop(connector, Reason.RESET)
    station.spawn(_restart_evse(station, connector))


async def _restart_evse(station: ChargerV201, connector: Connector) -> None:
    was_operative = connector.operative
    connector.operative = False
    await station.clock.sleep(EVSE_RESET_S)
    connector.operative = was_operative
