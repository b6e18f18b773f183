"""What shows that a station did what it accepted: facts, never its word alone."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias, assert_never

from gateway.domain.command import EffectFailed, EffectSeen
from gateway.domain.events import (
    Availability,
    Event,
    EvseStatusChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StationBooted,
    StationNotified,
)
from gateway.domain.ids import EvseRef
from gateway.domain.metering import samples_in
from gateway.domain.session import Session

TOLERANCE: Final = 1.05
"""A meter that shows this much of a limit shows the limit: its accuracy class, and a
car that steps in whole amperes."""
REMOTE_START: Final = "RemoteStart"
"""Trigger of an event of a session that a remote start took over (2.0.1, F02)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """Accepted is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsSession:
    """A session begins, with this id or else for this token.

    Attributes:
        evse_id: ``None``: on any.
        token_key: `IdToken.key`.
        remote_start_id: As sent; 1.6 has none, some 2.0.1 stations never tell it.
    """

    evse_id: int | None
    token_key: str
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsSession:
    """A session ends."""

    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsLimit:
    """The meter shows no more than a limit.

    Attributes:
        evse_id: 0 is any of the station.
        limit: Per phase in A, or in total in W.
    """

    evse_id: int
    limit: float
    is_power: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Boots:
    """The station boots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowsAvailability:
    """An EVSE (0: all of the station) reports that it can, or cannot, be used."""

    evse_id: int
    is_operative: bool

    def holds(self, availability: Availability) -> bool:
        """Whether a state is what was asked for; a fault is neither."""
        if self.is_operative:
            return availability not in {
                Availability.UNAVAILABLE,
                Availability.FAULTED,
            }
        return availability is Availability.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class SendsMessage:
    """A message arrives.

    Attributes:
        message: Wire action of the message.
        evse_id: ``None``: about any.
    """

    message: str
    evse_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsStatus:
    """A job that tells how it goes: firmware, log upload.

    Attributes:
        topic: The notice that tells it.
        request_id: Of this job; ``None`` where the version has none.
        done: Words of success.
        wrong: Words of failure; any other word is progress.
    """

    topic: str
    request_id: int | None
    done: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendsReport:
    """A report arrives whole: its last page, and every page before it.

    Whether it is whole the store knows: pages come in any order, or more than once.

    Attributes:
        about: What it is about, e.g. ``device``.
        request_id: Which report it is.
    """

    about: str
    request_id: int


Expectation: TypeAlias = (
    AtOnce
    | StartsSession
    | EndsSession
    | HoldsLimit
    | Boots
    | ShowsAvailability
    | SendsMessage
    | ReportsStatus
    | SendsReport
)

_KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        AtOnce,
        StartsSession,
        EndsSession,
        HoldsLimit,
        Boots,
        ShowsAvailability,
        SendsMessage,
        ReportsStatus,
        SendsReport,
    )
}

WITHIN: Final[dict[type[Any], timedelta]] = {
    StartsSession: timedelta(seconds=60),
    EndsSession: timedelta(seconds=120),
    HoldsLimit: timedelta(seconds=180),
    Boots: timedelta(seconds=300),
    ShowsAvailability: timedelta(seconds=60),
    SendsMessage: timedelta(seconds=60),
    ReportsStatus: timedelta(days=7),
    SendsReport: timedelta(minutes=30),
}
"""How long each effect is waited for. A session: the usual ConnectionTimeOut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverLimit:
    """The meter shows more than the limit: so far it does not hold."""

    shown: str


Sighting: TypeAlias = EffectSeen | EffectFailed | OverLimit


def sighting(
    expected: Expectation, event: Event, session: Session | None
) -> Sighting | None:
    """What a fact, newer than the command, says about its effect.

    Args:
        expected: Of a command to the station that the fact is about.
        event: The fact.
        session: Its session after the fact, if it has one.

    Returns:
        ``None`` where the fact says nothing about it.
    """
    match expected:
        case AtOnce() | SendsReport():
            return None
        case StartsSession():
            return _started(expected, event, session)
        case EndsSession():
            return _ended(expected, event)
        case HoldsLimit():
            return _held(expected, event, session)
        case Boots():
            is_boot = isinstance(event, StationBooted)
            return EffectSeen(at=event.received_at) if is_boot else None
        case ShowsAvailability():
            return _available(expected, event)
        case SendsMessage():
            is_asked = _is_message(expected, event)
            return EffectSeen(at=event.received_at) if is_asked else None
        case ReportsStatus():
            return _reported(expected, event)
        case _:
            assert_never(expected)


def to_json(expected: Expectation) -> dict[str, Any]:
    """An expectation as JSON; `from_json` reads it."""
    return {"kind": type(expected).__name__, **asdict(expected)}


def from_json(body: dict[str, Any]) -> Expectation:
    """An expectation as it was written."""
    members = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in body.items()
        if name != "kind"
    }
    expected: Expectation = _KINDS[body["kind"]](**members)
    return expected


def within(expected: Expectation) -> timedelta | None:
    """How long its effect is waited for."""
    return WITHIN.get(type(expected))


def _started(
    expected: StartsSession, event: Event, session: Session | None
) -> EffectSeen | None:
    detail = "" if session is None else session.session_id
    match event:
        case SessionStarted():
            told = event.remote_start_id
            if told is not None and expected.remote_start_id is not None:
                fits = told == expected.remote_start_id
            else:
                fits = _fits(expected, event.evse.evse_id, event)
        case SessionUpdated(trigger=trigger) if trigger == REMOTE_START:
            evse_id = None if session is None else session.evse_id
            fits = _fits(expected, evse_id, event)
        case _:
            return None
    return EffectSeen(at=event.received_at, detail=detail) if fits else None


def _fits(
    expected: StartsSession, evse_id: int | None, event: SessionStarted | SessionUpdated
) -> bool:
    token = event.id_token
    return (
        token is not None
        and token.key == expected.token_key
        and expected.evse_id in {None, evse_id}
    )


def _ended(expected: EndsSession, event: Event) -> EffectSeen | None:
    if not isinstance(event, SessionEnded):
        return None
    if event.transaction_id != expected.transaction_id:
        return None
    return EffectSeen(at=event.received_at, detail=event.stop_reason or "")


def _available(expected: ShowsAvailability, event: Event) -> EffectSeen | None:
    if not isinstance(event, EvseStatusChanged):
        return None
    is_asked = expected.evse_id in {0, event.evse.evse_id}
    if not (is_asked and expected.holds(event.availability)):
        return None
    return EffectSeen(at=event.received_at, detail=event.wire_status)


def _held(
    expected: HoldsLimit, event: Event, session: Session | None
) -> EffectSeen | OverLimit | None:
    if session is None or not isinstance(event, SessionUpdated | SessionStarted):
        return None
    if not samples_in(event) or expected.evse_id not in {0, session.evse_id}:
        return None
    if expected.is_power:
        if session.power_w is None or session.power_at != session.sampled_at:
            return None
        value, unit = session.power_w, "W"
    else:
        if session.current_a is None or session.current_at != session.sampled_at:
            return None
        value, unit = max(session.current_a), "A"
    shown = f"{value:g} {unit} at a limit of {expected.limit:g} {unit}"
    if value <= expected.limit * TOLERANCE:
        return EffectSeen(at=event.received_at, detail=shown)
    return OverLimit(shown=shown)


def _is_message(expected: SendsMessage, event: Event) -> bool:
    evse: EvseRef | None = None
    match event:
        case StationBooted():
            name = "BootNotification"
        case EvseStatusChanged():
            name, evse = "StatusNotification", event.evse
        case SessionUpdated():
            name, evse = "MeterValues", event.evse
            if event.sequence is not None:
                name = "TransactionEvent"
        case SessionStarted():
            name, evse = "TransactionEvent", event.evse
        case StationNotified():
            name = event.topic
        case _:
            return False
    if name != expected.message:
        return False
    return expected.evse_id is None or evse is None or evse.evse_id == expected.evse_id


def _reported(
    expected: ReportsStatus, event: Event
) -> EffectSeen | EffectFailed | None:
    if not isinstance(event, StationNotified) or event.topic != expected.topic:
        return None
    told = event.body.get("requestId")
    if expected.request_id is not None and told not in {None, expected.request_id}:
        return None
    word = str(event.body.get("status"))
    if word in expected.done:
        return EffectSeen(at=event.received_at, detail=word)
    if word in expected.wrong:
        return EffectFailed(at=event.received_at, detail=word)
    return None
