"""What both dialects share when they take a CALL apart."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

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
from gateway.ocpp.adapter import Answer, Decoded, Durability
from gateway.ocpp.frames import Call
from gateway.ocpp.readings import timestamp

Payload: TypeAlias = dict[str, object]
Reply: TypeAlias = Callable[[Answer], Payload]

_any = msgspec.json.Decoder()


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
        """An EVSE of the sender."""
        return EvseRef(
            station_id=self.station_id, evse_id=evse_id, connector_id=connector_id
        )

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
) -> Decoded:
    """A message that states one fact: answered after its commit."""
    return Decoded(
        action=message.call.action,
        events=(event,),
        durability=Durability.COMMIT,
        reply=reply,
        deviations=tuple(message.notes),
    )


def notified(message: Message, reply: Reply, *, at: str | None = None) -> Decoded:
    """A message that is kept as it is.

    Args:
        message: The message.
        reply: Its answer.
        at: Wire name of the member that tells its time, if it has one.
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
    )


def empty(_: Answer) -> Payload:
    """The answer ``{}``."""
    return {}
