"""Connectors kept for somebody (1.6: 5.1, 5.13; 2.0.1: H01 to H04)."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.clock import from_wire
from sim_chargers.connector import Connector, Reservation
from sim_chargers.outcomes import Reply
from sim_chargers.profiles import STATION

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload


def reserve_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Keep a connector for a token; 0 leaves the choice to the station (5.13)."""
    wanted = Reservation(
        reservation_id=int(payload["reservationId"]),
        token=str(payload["idTag"]),
        until=from_wire(payload["expiryDate"]),
        group=payload.get("parentIdTag"),
    )
    number = int(payload["connectorId"])
    return _reserve(station, wanted, None if number == STATION else number)


def reserve_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Keep an EVSE for a token (H01)."""
    wanted = Reservation(
        reservation_id=int(payload["id"]),
        token=str(payload["idToken"]["idToken"]),
        until=from_wire(payload["expiryDateTime"]),
        group=payload.get("groupIdToken", {}).get("idToken"),
    )
    return _reserve(station, wanted, payload.get("evseId"))


def cancel(station: Charger, payload: Payload) -> Reply:
    """Give a connector free again (5.1; H02)."""
    found = station.forget_reservation(int(payload["reservationId"]))
    return Reply(payload=ACCEPTED if found else REJECTED)


def _reserve(station: Charger, wanted: Reservation, number: int | None) -> Reply:
    if number is not None and number not in station.connectors:
        return Reply(payload=REJECTED)
    if wanted.until <= station.now():
        return Reply(payload=REJECTED)
    places = [c for c in station.connectors.values() if number in (None, c.number)]
    refusals = [_refusal(c, wanted) for c in places]
    if all(refusals):
        return Reply(payload={"status": refusals[0]})
    station.forget_reservation(wanted.reservation_id)
    places[refusals.index(None)].reservation = wanted
    return Reply(payload=ACCEPTED)


def _refusal(connector: Connector, wanted: Reservation) -> str | None:
    """Say why a connector cannot be kept for somebody."""
    if connector.fault is not None:
        return "Faulted"
    if not connector.operative:
        return "Unavailable"
    kept = connector.reservation
    is_other = kept is not None and kept.reservation_id != wanted.reservation_id
    return "Occupied" if is_other or not connector.is_free else None
