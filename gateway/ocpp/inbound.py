"""What both dialects share when they take a CALL apart."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from gateway.domain.events import (
    Deviation,
    DeviceReported,
    EvseStatusChanged,
    Reading,
    ReservationChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    SignedReading,
    StationBooted,
    StationNotified,
)
from gateway.domain.ids import EvseRef, StationId
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.adapter import Answer, Decoded, Durability
from gateway.ocpp.frames import Call, float_or_text
from gateway.ocpp.inquiries import Inquiry
from gateway.ocpp.readings import timestamp
from gateway.ocpp.tolerant import MAX_INTEGER

Payload: TypeAlias = dict[str, object]
Reply: TypeAlias = Callable[[Answer], Payload]

MAX_EVSE: Final = 65_535
"""EVSEs and connectors are numbered from 1 on (1.6, 2.2; 2.0.1 part 1, 7.1); a number
beyond is no place where a car could be."""

_any = msgspec.json.Decoder(float_hook=float_or_text)


@dataclass(slots=True)
class Message:
    """One CALL on its way to facts.

    Attributes:
        request: Struct of the action, see ``gateway.ocpp.schema``.
        notes: Deviations found so far.
    """

    station_id: StationId
    received_at: datetime
    call: Call
    request: Any
    notes: list[Deviation]

    def time(self, text: str | None, path: str) -> datetime:
        """The station's time; see ``readings.timestamp``."""
        return timestamp(text, self.received_at, path, self.notes)

    def note(self, kind: str, path: str, detail: str) -> None:
        """Record a deviation."""
        self.notes.append(Deviation(kind=kind, path=path, detail=detail))

    def evse(self, evse_id: int, connector_id: int) -> EvseRef:
        """An EVSE of the sender; one with an absurd number is kept as number 0."""
        if not (0 <= evse_id <= MAX_EVSE and 0 <= connector_id <= MAX_EVSE):
            self.note("value_range", "$", "an EVSE or connector number is out of range")
            evse_id = connector_id = 0
        return EvseRef(
            station_id=self.station_id, evse_id=evse_id, connector_id=connector_id
        )

    def whole(self, number: int | None, path: str) -> int | None:
        """An optional integer, left out where no database could keep it."""
        if number is None or abs(number) <= MAX_INTEGER:
            return number
        self.note("value_range", path, "the number is out of range")
        return None

    def required(self, number: int, path: str) -> int:
        """An integer that the fact cannot do without.

        Raises:
            RemoteError: No database could keep it.
        """
        if abs(number) > MAX_INTEGER:
            raise RemoteError(ErrorKind.PROPERTY, f"{path}: out of range")
        return number

    def body(self) -> Payload:
        """The payload as plain JSON."""
        body: Payload = _any.decode(self.call.payload)
        return body


@dataclass(slots=True)
class Samples:
    """All samples of a message."""

    readings: list[Reading] = field(default_factory=list)
    signed: list[SignedReading] = field(default_factory=list)
    last_at: datetime | None = None
    """Time of the latest sample."""


def fact(
    message: Message,
    event: (
        StationBooted
        | EvseStatusChanged
        | SessionStarted
        | SessionUpdated
        | SessionEnded
        | ReservationChanged
        | DeviceReported
        | StationNotified
    ),
    reply: Reply,
    *,
    inquiry: Inquiry | None = None,
) -> Decoded:
    """A message that states one fact: answered after its commit and its inquiry."""
    return Decoded(
        action=message.call.action,
        events=(event,),
        durability=Durability.COMMIT,
        reply=reply,
        deviations=tuple(message.notes),
        inquiry=inquiry,
    )


def notified(
    message: Message,
    reply: Reply,
    *,
    at: str | None = None,
    inquiry: Callable[[Message], Inquiry] | None = None,
) -> Decoded:
    """A message that is kept as it is.

    Args:
        message: The message.
        reply: Its answer.
        at: Wire name of the member that tells its time, if it has one.
        inquiry: Makes the question that precedes the answer.
    """
    body = message.body()
    text = body.get(at) if at else None
    occurred_at = (
        message.time(text, f"$.{at}") if isinstance(text, str) else message.received_at
    )
    return fact(
        message,
        StationNotified(
            station_id=message.station_id,
            occurred_at=occurred_at,
            received_at=message.received_at,
            topic=message.call.action,
            body=body,
        ),
        reply,
        inquiry=None if inquiry is None else inquiry(message),
    )


def empty(_: Answer) -> Payload:
    """The answer ``{}``."""
    return {}
