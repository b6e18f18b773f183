"""How a station gets into the states that the official test cases begin with."""

from typing import Any

from tests.conformance.desk import (
    OCCUPIED,
    Operator,
    Transaction,
    connector_event,
    connector_status,
)
from tests.support.raw_station import RawStation


async def tell_state(station: RawStation, status: str, *, evse_id: int = 1) -> None:
    """Say a connector's state in both ways that 2.0.1 has (G01)."""
    told = connector_status(status, evse_id=evse_id)
    assert await station.ask("StatusNotification", told) == {}
    told = connector_event(status, evse_id=evse_id)
    assert await station.ask("NotifyEvent", told) == {}


async def authorize(station: RawStation, token: str) -> dict[str, Any]:
    """Authorize; the ``idTokenInfo``."""
    answer = await station.ask(
        "Authorize", {"idToken": {"idToken": token, "type": "ISO14443"}}
    )
    info: dict[str, Any] = answer["idTokenInfo"]
    return info


async def ev_connected(
    operator: Operator, station: RawStation, token: str, *, evse_id: int = 1
) -> Transaction:
    """EVConnectedPreSession: plugged in, nobody authorized yet."""
    await operator.token(token)
    await tell_state(station, OCCUPIED, evse_id=evse_id)
    charging = Transaction(station, token, evse_id=evse_id)
    await charging.event("Started", "CablePluggedIn", state="EVConnected")
    return charging


async def authorized(
    operator: Operator, station: RawStation, token: str, *, evse_id: int = 1
) -> Transaction:
    """Authorized: a token was presented, no car yet."""
    await operator.token(token)
    assert (await authorize(station, token))["status"] == "Accepted"
    charging = Transaction(station, token, evse_id=evse_id)
    answer = await charging.event("Started", "Authorized", authorized=True)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    return charging


async def energy_transfer(
    operator: Operator, station: RawStation, token: str, *, evse_id: int = 1
) -> Transaction:
    """EnergyTransferStarted: plugged in, authorized, charging."""
    charging = await ev_connected(operator, station, token, evse_id=evse_id)
    answer = await charging.event(
        "Updated", "Authorized", authorized=True, energy="Transaction.Begin"
    )
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await charging.event("Updated", "ChargingStateChanged", state="Charging")
    return charging


async def energy_suspended(
    operator: Operator, station: RawStation, token: str
) -> Transaction:
    """EnergyTransferSuspended: authorized and plugged in, the car takes nothing."""
    charging = await energy_transfer(operator, station, token)
    await charging.event("Updated", "ChargingStateChanged", state="SuspendedEV")
    return charging


async def stop_authorized(
    operator: Operator, station: RawStation, token: str
) -> Transaction:
    """StopAuthorized: the driver ended it, the cable is still in."""
    charging = await energy_transfer(operator, station, token)
    await charging.event(
        "Updated", "StopAuthorized", state="EVConnected", authorized=True
    )
    return charging


async def session_of(operator: Operator, charging: Transaction) -> dict[str, Any]:
    """The session as operators see it."""
    found = [
        one
        for one in await operator.sessions(charging.station)
        if one["transaction_id"] == charging.transaction_id
    ]
    assert len(found) == 1, "one transaction is one session"
    return found[0]


async def ended(operator: Operator, charging: Transaction) -> dict[str, Any]:
    """The session, which must be over."""
    session = await session_of(operator, charging)
    assert session["ended_at"] is not None
    return session
