"""Flows about tokens, transactions and reservations (C, D, E, H; 1.6: 4, 5.13)."""

from typing import Final

from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.connector import Reason
from sim_chargers.flows.stage import V201, Flow, Stage

UNKNOWN_TOKEN: Final = "NOBODYSCARD"  # noqa: S105 - an id token is no secret
OFFLINE_S: Final = 60.0  # site seconds
STARTS: Final = ("RemoteStartTransaction", "RequestStartTransaction")
STOPS: Final = ("RemoteStopTransaction", "RequestStopTransaction")


async def _charge(stage: Stage) -> None:
    await stage.charge()
    await stage.settle(30.0)
    await stage.finish()


async def _unknown(stage: Stage) -> None:
    await stage.plug_in()
    started = await stage.show(UNKNOWN_TOKEN)
    stage.leave()
    stage.check(not started, "a token that nobody knows may charge")


async def _group_stop(stage: Stage) -> None:
    await stage.charge(stage.tokens[0])
    stage.check(await stage.show(stage.tokens[1]), "another of the group cannot stop")
    await stage.ended()
    stage.leave()


async def _master_pass(stage: Stage) -> None:
    await stage.heard("SetVariables")
    stage.check(stage.station.master_pass_group(), "no group was set")
    await stage.charge(stage.tokens[0])
    stage.check(await stage.show(stage.tokens[1]), "the master pass cannot stop")
    ended = await stage.ended()
    reason = ended.payload["transactionInfo"].get("stoppedReason")
    stage.check(reason == "MasterPass", f"stopped for {reason}")
    stage.leave()


async def _offline(stage: Stage) -> None:
    """A card that was seen before starts and stops without a network."""
    await stage.charge()
    await stage.finish()
    await _offline_session(stage, stage.tokens[0])


async def _offline_by_list(stage: Stage) -> None:
    await stage.heard("SendLocalList", answered="Accepted")
    station = stage.station
    station.tokens.cache.clear()
    listed = [t for t in stage.tokens if (e := station.known(t)) and e.is_accepted]
    stage.check(listed, f"none of {', '.join(stage.tokens)} is accepted by the list")
    await _offline_session(stage, listed[0])


async def _offline_session(stage: Stage, token: str) -> None:
    station = stage.station
    station.link.unplug_cable()
    await stage.until(lambda: not station.is_online, "offline")
    try:
        await stage.plug_in()
        await stage.settle()
        stage.check(await stage.show(token), f"{token} was refused offline")
        await stage.settle(OFFLINE_S)
        stage.check(await stage.show(token), f"{token} could not stop offline")
    finally:
        station.link.plug_cable()
    stage.leave()
    await stage.started()
    await stage.ended()


async def _start_on_cable(stage: Stage) -> None:
    with _points(stage, "EVConnected", "EVConnected"):
        await stage.plug_in()
        await stage.started()
        stage.check(not stage.transaction.token, "authorised without a token")
        stage.check(await stage.show(stage.tokens[0]), "the token was refused")
        await stage.sent("TransactionEvent", triggerReason="Authorized")
        await stage.settle()
        stage.check(await stage.show(stage.tokens[0]), "the token did not stop")
        await stage.sent("TransactionEvent", triggerReason="StopAuthorized")
        stage.leave()
        await stage.ended()


async def _start_on_token(stage: Stage) -> None:
    with _points(stage, "Authorized", "Authorized"):
        stage.check(await stage.show(stage.tokens[0]), "the token was refused")
        await stage.started()
        stage.plug_in_now()
        await stage.sent("TransactionEvent", triggerReason="CablePluggedIn")
        await stage.settle()
        await stage.finish()


async def _nobody_plugs_in(stage: Stage) -> None:
    stage.check(await stage.show(stage.tokens[0]), "the token was refused")
    stage.check(stage.connector.authorised is not None, "nobody is waited for")
    await stage.until(lambda: stage.connector.authorised is None, "nobody came")
    stage.check(stage.connector.transaction is None, "a transaction is running")


async def _status(stage: Stage) -> None:
    await stage.charge()
    found = await stage.heard("GetTransactionStatus")
    stage.check(found.answer, "no answer")
    await stage.finish()


async def _remote(stage: Stage) -> None:
    await stage.heard(*STARTS, answered="Accepted")
    await stage.settle()
    await stage.plug_in()
    await stage.started()
    await stage.heard(*STOPS, answered="Accepted")
    await stage.ended()
    stage.leave()


async def _remote_nobody(stage: Stage) -> None:
    await stage.heard(*STARTS, answered="Accepted")
    connector = stage.connector
    await stage.until(lambda: connector.remote_start is not None, "waits for a car")
    await stage.until(lambda: connector.remote_start is None, "nobody came")


async def _reserved(stage: Stage) -> str:
    await stage.heard("ReserveNow", answered="Accepted")
    kept = stage.connector.reservation
    stage.check(kept is not None, f"connector {stage.connector.number} is not reserved")
    assert kept is not None, "just checked"
    await stage.sent("StatusNotification")
    return kept.token


async def _reservation_used(stage: Stage) -> None:
    token = await _reserved(stage)
    await stage.plug_in()
    stage.check(not await stage.show(UNKNOWN_TOKEN), "a stranger may use it")
    stage.check(await stage.show(token), f"{token} may not use its reservation")
    start = await stage.started()
    stage.check("reservationId" in start.payload, "the start names no reservation")
    await stage.settle()
    await stage.finish()


async def _reservation_expires(stage: Stage) -> None:
    await _reserved(stage)
    await stage.until(lambda: stage.connector.reservation is None, "it expired")
    if isinstance(stage.station, ChargerV201):
        await stage.sent("ReservationStatusUpdate", reservationUpdateStatus="Expired")


async def _reservation_cancelled(stage: Stage) -> None:
    await _reserved(stage)
    await stage.heard("CancelReservation", answered="Accepted")
    stage.check(stage.connector.reservation is None, "it is still there")


async def _reservation_removed(stage: Stage) -> None:
    await _reserved(stage)
    stage.station.break_connector(stage.connector, "GroundFailure")
    try:
        await stage.sent("ReservationStatusUpdate", reservationUpdateStatus="Removed")
    finally:
        stage.station.break_connector(stage.connector, None)


async def _faulted(stage: Stage) -> None:
    await stage.charge()
    stage.station.break_connector(stage.connector, "GroundFailure")
    try:
        await stage.ended()
        await stage.sent("StatusNotification", **_state(stage, "Faulted"))
    finally:
        stage.station.break_connector(stage.connector, None)
        stage.leave()
    await stage.sent("StatusNotification", **_state(stage, "Available"))


async def _power_cut(stage: Stage) -> None:
    await stage.charge()
    await stage.station.restart(Reason.POWER_LOSS, "PowerUp")
    await stage.sent("BootNotification", answered="Accepted")
    await stage.ended()
    stage.leave()


def _state(stage: Stage, status: str) -> dict[str, str]:
    is_v201 = isinstance(stage.station, ChargerV201)
    return {"connectorStatus" if is_v201 else "status": status}


class _points:  # noqa: N801 - reads as the statement it is
    """Other points of start and stop, until the block ends."""

    def __init__(self, stage: Stage, start: str, stop: str) -> None:
        assert isinstance(stage.station, ChargerV201), "2.0.1 only"
        self._model = stage.station.model
        self._wanted = {"TxStartPoint": start, "TxStopPoint": stop}
        self._old: dict[str, str] = {}

    def __enter__(self) -> None:
        for name, value in self._wanted.items():
            self._old[name] = self._model.text("TxCtrlr", name)
            self._model.put("TxCtrlr", name, value)

    def __exit__(self, *_error: object) -> None:
        for name, value in self._old.items():
            self._model.put("TxCtrlr", name, value)


FLOWS: Final = (
    Flow(name="charge", line="a plain session, card to card", play=_charge),
    Flow(
        name="unknown-token",
        line="a driver whose card must be refused",
        play=_unknown,
    ),
    Flow(
        name="group-stop",
        line="one card starts, another of its group stops",
        play=_group_stop,
    ),
    Flow(
        name="master-pass",
        line="a card of the master pass group stops somebody else's session",
        play=_master_pass,
        waits_for=("SetVariables",),
        versions=V201,
    ),
    Flow(
        name="offline-session",
        line="a known card charges without a network; the backlog comes later",
        play=_offline,
    ),
    Flow(
        name="local-list-offline",
        line="a card of the local list charges without a network",
        play=_offline_by_list,
        waits_for=("SendLocalList",),
    ),
    Flow(
        name="start-on-cable",
        line="the transaction begins with the cable and ends with it",
        play=_start_on_cable,
        versions=V201,
    ),
    Flow(
        name="start-on-token",
        line="the transaction begins with the card, before there is a car",
        play=_start_on_token,
        versions=V201,
    ),
    Flow(
        name="nobody-plugs-in",
        line="a card is shown, but no car comes",
        play=_nobody_plugs_in,
    ),
    Flow(
        name="transaction-status",
        line="charges and is asked whether it does",
        play=_status,
        waits_for=("GetTransactionStatus",),
        versions=V201,
    ),
    Flow(
        name="remote-start",
        line="is started and stopped from afar; a car comes in between",
        play=_remote,
        waits_for=(*STARTS, *STOPS),
    ),
    Flow(
        name="remote-start-no-car",
        line="is started from afar, but no car comes",
        play=_remote_nobody,
        waits_for=STARTS,
    ),
    Flow(
        name="reservation-used",
        line="is reserved, refuses a stranger, charges its holder",
        play=_reservation_used,
        waits_for=("ReserveNow",),
    ),
    Flow(
        name="reservation-expires",
        line="is reserved for somebody who never comes",
        play=_reservation_expires,
        waits_for=("ReserveNow",),
    ),
    Flow(
        name="reservation-cancelled",
        line="is reserved and given free again",
        play=_reservation_cancelled,
        waits_for=("ReserveNow", "CancelReservation"),
    ),
    Flow(
        name="reservation-removed",
        line="is reserved, then breaks",
        play=_reservation_removed,
        waits_for=("ReserveNow",),
        versions=V201,
    ),
    Flow(
        name="connector-faulted",
        line="breaks while it charges, and is mended",
        play=_faulted,
    ),
    Flow(
        name="power-cut",
        line="loses its power while it charges, reports the end after the boot",
        play=_power_cut,
    ),
)
