"""The calls that set and clear limits at a station, and what their answers prove."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

import structlog

from gateway.domain.ids import StationId
from gateway.errors import CallFailed, CallRefused, ErrorKind
from gateway.ocpp.adapter import Adapter, CallOutcome
from gateway.ocpp.outbound import refusal_word
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import Outgoing
from gateway.services.group_items import Answer, LimitAnswered
from gateway.services.ladder import Reason

NOT_ACTED: Final = (ErrorKind.NOT_IMPLEMENTED, ErrorKind.NOT_SUPPORTED)
"""Errors with which a station says that it has no such function. Any other error may
come from one that had acted already, so its old and its new limit both count."""

_REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "UnsupportedRateUnit": Reason.UNIT,
        "TooManyElements": Reason.PERIODS,
        "UnsupportedRequest": Reason.ALL,
        "NotEnabled": Reason.ALL,
        **dict.fromkeys(
            (
                "TxNotFound",
                "UnknownTxId",
                "TxInProgress",
                "FwUpdateInProgress",
                "CSNotAccepted",
                "InternalError",
                "OutOfMemory",
            ),
            Reason.PASSING,
        ),
    }
)
"""What the reason codes of 2.0.1 say (part 2, appendices, 5)."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """How sending a limit ended, and why it was refused, if it was."""

    answer: Answer
    reason: Reason = Reason.UNSAID


async def send_limit(
    ports: Ports, outgoing: Outgoing, on_late: Callable[[Said], None]
) -> Said:
    """Send one limit; only what surely did not act keeps the old one.

    Args:
        ports: How stations are reached.
        outgoing: What is sent.
        on_late: Gets what a station said after `Answer.UNKNOWN` was returned.
    """
    adapter = ports.stations.adapter(outgoing.station_id)
    if adapter is None:
        return Said(Answer.NOT_SENT)
    try:
        command = adapter.encode_limit(outgoing.command)
    except ValueError as error:
        _log.warning(
            "limit.not_encodable",
            station_id=outgoing.station_id,
            why=str(error),
        )
        return Said(Answer.NOT_SENT)
    payload: Mapping[str, object] | CallFailed
    try:
        payload = await ports.stations.call(
            outgoing.station_id,
            command,
            timeout_s=ports.call_timeout_s,
            priority=CallPriority.LIMIT,
            on_late=lambda answer: on_late(_said(answer, adapter, command.action)),
        )
    except CallFailed as error:
        payload = error
    return _said(payload, adapter, command.action)


async def send_limits(
    ports: Ports,
    limits: Iterable[tuple[int, Outgoing]],
    on_late: Callable[[LimitAnswered], None],
) -> AsyncIterator[LimitAnswered]:
    """Send limits to one station, one call at a time; what became of each.

    What was `Answer.UNKNOWN` may be answered later: ``on_late`` gets that.
    """
    loop = asyncio.get_running_loop()
    for command_id, outgoing in limits:
        unanswered = LimitAnswered(
            outgoing=outgoing,
            command_id=command_id,
            answer=Answer.UNKNOWN,
            latency_s=0.0,
        )
        began_s = loop.time()
        said = await send_limit(
            ports, outgoing, partial(_came_late, on_late, unanswered, loop, began_s)
        )
        latency_s = loop.time() - began_s
        yield replace(
            unanswered, answer=said.answer, reason=said.reason, latency_s=latency_s
        )


async def clear_limits(
    ports: Ports, station_id: StationId, on_late: Callable[[bool], None]
) -> bool:
    """Ask a station to forget all limits, ours as well.

    Args:
        ports: How stations are reached.
        station_id: Which.
        on_late: Told when a station that had not answered in time has cleared after
            all, or may have; with whether everything is gone by that.

    Returns:
        Whether it did, or had nothing to forget; of several calls, all of them.
    """
    adapter = ports.stations.adapter(station_id)
    if adapter is None:
        return False
    commands = adapter.encode_clear_limits()
    for number, command in enumerate(commands, start=1):
        came_late = partial(
            _cleared_late, on_late, adapter, command.action, number == len(commands)
        )
        try:
            payload = await ports.stations.call(
                station_id,
                command,
                timeout_s=ports.call_timeout_s,
                priority=CallPriority.LIMIT,
                on_late=came_late,
            )
        except CallFailed as error:
            _log.warning("limits.not_cleared", station_id=station_id, why=str(error))
            return False
        if adapter.outcome(command.action, payload) is not CallOutcome.ACCEPTED:
            _log.warning(
                "limits.not_cleared",
                station_id=station_id,
                why=str(payload.get("status")),
            )
            return False
    return True


def _cleared_late(
    on_late: Callable[[bool], None],
    adapter: Adapter,
    action: str,
    is_last: bool,
    answer: Mapping[str, object] | CallFailed,
) -> None:
    if isinstance(answer, CallFailed) and not isinstance(answer, CallRefused):
        return  # still no answer: that is what it counts as already
    read = _reading(answer, adapter, action)
    if read is not Answer.REFUSED:
        on_late(is_last and read is Answer.ACCEPTED)


def _came_late(
    on_late: Callable[[LimitAnswered], None],
    unanswered: LimitAnswered,
    loop: asyncio.AbstractEventLoop,
    began_s: float,
    said: Said,
) -> None:
    if said.answer is not Answer.UNKNOWN:  # that is what it counts as already
        late = replace(unanswered, answer=said.answer, reason=said.reason, is_late=True)
        on_late(replace(late, latency_s=loop.time() - began_s))


def _said(
    answer: Mapping[str, object] | CallFailed, adapter: Adapter, action: str
) -> Said:
    return Said(_reading(answer, adapter, action), _reason(answer, adapter, action))


def _reading(
    answer: Mapping[str, object] | CallFailed, adapter: Adapter, action: str
) -> Answer:
    """What an answer proves about the limit that it answers."""
    match answer:
        case CallRefused():
            return _answer_of(answer, adapter)
        case CallFailed():
            return Answer.UNKNOWN
        case _:
            pass
    match adapter.outcome(action, answer):
        case CallOutcome.ACCEPTED:
            return Answer.ACCEPTED
        case CallOutcome.REJECTED | CallOutcome.NOT_SUPPORTED:
            return Answer.REFUSED
        case CallOutcome.OTHER:
            return Answer.UNKNOWN


def _reason(
    answer: Mapping[str, object] | CallFailed, adapter: Adapter, action: str
) -> Reason:
    """Why a limit was refused, as far as the station says so."""
    match answer:
        case CallRefused():
            is_known = _answer_of(answer, adapter) is not Answer.REFUSED
            return Reason.UNSAID if is_known else Reason.ALL
        case CallFailed():
            return Reason.UNSAID
        case _:
            pass
    if adapter.outcome(action, answer) is CallOutcome.NOT_SUPPORTED:
        return Reason.WAY
    return _REASONS.get(refusal_word(answer) or "", Reason.UNSAID)


def _answer_of(refusal: CallRefused, adapter: Adapter) -> Answer:
    unread = {adapter.error_code(kind) for kind in NOT_ACTED}
    return Answer.REFUSED if refusal.code in unread else Answer.UNKNOWN
