"""The session as a fold over its facts; idempotent, tolerant of order.

A station that was offline sends its backlog late, twice, or both. Whatever arrives,
in whatever order, the same set of facts makes the same session. Two rules need an
order, and it is stated: of two *different* ends of one session the first to arrive
wins (the other is kept as an amendment), and so it is with two different starts.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from gateway.domain.events import (
    ChargingState,
    EvseStatusChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    is_backlog,
)
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.metering import BEGIN, END, Sample, samples_in
from gateway.domain.neighbours import REGISTER_TOLERANCE_MILLIWH

SessionEvent: TypeAlias = SessionStarted | SessionUpdated | SessionEnded

MAX_SEQUENCE_RANGES: Final = 256
"""Gaps remembered per session; a station that numbers at random gets no more."""
_LIVE: Final = (
    ("power_w", "power_at"),
    ("current_a", "current_at"),
    ("soc_percent", "soc_at"),
)
"""Fields of `Sample` of which a session keeps the latest, and their times."""


class SessionPhase(StrEnum):
    """Where a session is in its life."""

    RUNNING = "running"
    ENDED = "ended"


class EndedBy(StrEnum):
    """Who said that a session is over."""

    STATION = "station"
    SUPERSEDED = "superseded"
    """A later start on the same EVSE proves that this one ended before."""
    OPERATOR = "operator"


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """State of one session.

    Attributes:
        transaction_id: Wire id as text; ``None`` only before the store allots one.
        id_token: As presented at start; ``None`` if none was.
        started_at: Station's time of the start; of the first fact while the start
            itself is unknown (``has_start``).
        ended_at: Station's time of the end.
        received_at: When we first heard of the session.
        has_start: The start itself was received.
        ended_by: Whose word the end is; ``None`` while running.
        register_start_milliwh: Start register.
        register_last_milliwh: Highest register seen.
        register_end_milliwh: End register, once ended.
        register_low_milliwh: Lowest register among the samples, but for a begin of 0:
            that may stand for a register that the station did not have then.
        first_sample_at: Station's time of the earliest sample with a register, but for
            a begin of 0.
        last_sample_at: Station's time of the latest sample with a register.
        power_w: Latest total active power, W.
        power_at: Station's time of ``power_w``; likewise the other ``*_at``.
        current_a: Latest current per phase L1..L3 as the station reports them, A.
        sampled_at: Station's time of the latest sample of any kind.
        sequences: Ranges of 2.0.1 ``seqNo`` received, ascending, ends included.
        verdicts: Reason words found so far, ascending (``docs/metering``).
        verdict: Verdict on the energy, once ended (`gateway.domain.metering`).
        interrupted_at: When its station restarted; ``None`` once it is heard of again.
    """

    session_id: SessionId
    station_id: StationId
    evse_id: int
    connector_id: int
    phase: SessionPhase
    transaction_id: str | None = None
    id_token: str | None = None
    token_kind: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    received_at: datetime | None = None
    has_start: bool = False
    ended_by: EndedBy | None = None
    register_start_milliwh: int | None = None
    register_last_milliwh: int | None = None
    register_end_milliwh: int | None = None
    register_low_milliwh: int | None = None
    first_sample_at: datetime | None = None
    last_sample_at: datetime | None = None
    power_w: float | None = None
    power_at: datetime | None = None
    current_a: tuple[float, float, float] | None = None
    current_at: datetime | None = None
    soc_percent: float | None = None
    soc_at: datetime | None = None
    sampled_at: datetime | None = None
    charging_state: ChargingState | None = None
    charging_state_at: datetime | None = None
    charging_state_sequence: int = -1
    stop_reason: str | None = None
    sequences: tuple[tuple[int, int], ...] = ()
    verdicts: tuple[str, ...] = ()
    verdict: str | None = None
    interrupted_at: datetime | None = None

    @property
    def energy_milliwh(self) -> int:
        """Energy delivered so far by registers; 0 while unknown."""
        last = self.register_end_milliwh
        if last is None:
            last = self.register_last_milliwh
        if last is None or self.register_start_milliwh is None:
            return 0
        return max(0, last - self.register_start_milliwh)

    @property
    def has_terms(self) -> bool:
        """Whether a tariff is promised: its driver is known, or energy has flowed."""
        return self.id_token is not None or self.has_delivered

    @property
    def has_delivered(self) -> bool:
        """Whether more energy has flowed than a meter counts by itself."""
        return self.energy_milliwh > REGISTER_TOLERANCE_MILLIWH

    @property
    def has_gap(self) -> bool:
        """Messages are missing: ask the station (GetTransactionStatus)."""
        if not self.sequences:
            return False
        return len(self.sequences) > 1 or self.sequences[0][0] != 0

    @property
    def evse(self) -> EvseRef:
        """Where the session takes place."""
        return EvseRef(
            station_id=self.station_id,
            evse_id=self.evse_id,
            connector_id=self.connector_id,
        )


def empty(
    session_id: SessionId, station_id: StationId, transaction_id: str | None
) -> Session:
    """A session of which nothing is known yet; fold its first event into it."""
    return Session(
        session_id=session_id,
        station_id=station_id,
        evse_id=0,
        connector_id=0,
        phase=SessionPhase.RUNNING,
        transaction_id=transaction_id,
    )


def apply(
    session: Session, event: SessionEvent, samples: Sequence[Sample] | None = None
) -> Session:
    """Fold one event into a session. Idempotent; the order of arrival is free.

    Args:
        session: The state before.
        event: The fact.
        samples: `samples_in` the event's readings, where the caller has them already.
    """
    match event:
        case SessionStarted():
            session = _start(session, event)
        case SessionUpdated():
            session = _common(session, event, event.evse)
            session = _state(
                session, event.charging_state, event.occurred_at, event.sequence
            )
        case SessionEnded():
            session = _end(_common(session, event, event.evse), event)
        case _:
            assert_never(event)
    for sample in samples_in(event) if samples is None else samples:
        session = _sample(session, sample)
    if session.interrupted_at is not None and not is_backlog(event):
        session = replace(session, interrupted_at=None)
    return session


def apply_status(session: Session, event: EvseStatusChanged) -> Session:
    """Take over the charging state that a connector reported (OCPP 1.6)."""
    after = _state(session, event.charging_state, event.occurred_at, None)
    if after is session or session.interrupted_at is None or is_backlog(event):
        return after
    return replace(after, interrupted_at=None)


def interrupt(session: Session, at: datetime) -> Session:
    """Its station restarted: what it draws and does is not known until it says so.

    The session goes on, for its station may still end it.
    """
    if session.phase is SessionPhase.ENDED:
        return session
    return replace(
        session, interrupted_at=at, power_w=None, current_a=None, charging_state=None
    )


def supersede(session: Session, at: datetime, register_milliwh: int | None) -> Session:
    """Close a session because another started later on the same EVSE.

    The earliest later start counts; the station's own end, early or late, prevails.
    """
    if session.ended_by in {EndedBy.STATION, EndedBy.OPERATOR}:
        return session
    if session.ended_at is not None and session.ended_at <= at:
        return session
    return replace(
        session,
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.SUPERSEDED,
        ended_at=at,
        register_end_milliwh=register_milliwh,
        verdicts=add_words(session.verdicts, "superseded"),
    )


def close_by_operator(session: Session, at: datetime) -> Session:
    """Close a session that its station will never end; never billed by itself."""
    if session.phase is SessionPhase.ENDED:
        return session
    return replace(
        session,
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.OPERATOR,
        ended_at=at,
        verdicts=add_words(session.verdicts, "ended_by_operator"),
    )


def is_amendment(session: Session, event: SessionEvent) -> bool:
    """Whether an event contradicts what the same kind of event said before."""
    match event:
        case SessionStarted():
            return session.has_start and (
                _is_other_time(session.started_at, event)
                or (
                    event.register_milliwh is not None
                    and session.register_start_milliwh != event.register_milliwh
                )
            )
        case SessionEnded():
            return session.ended_by is EndedBy.STATION and (
                _is_other_time(session.ended_at, event)
                or session.stop_reason != event.stop_reason
                or (
                    event.register_milliwh is not None
                    and session.register_end_milliwh != event.register_milliwh
                )
            )
        case SessionUpdated():
            return False
        case _:
            assert_never(event)


def add_words(words: tuple[str, ...], *more: str) -> tuple[str, ...]:
    """A sorted set of words, grown."""
    return tuple(sorted({*words, *more}))


def _is_other_time(known: datetime | None, event: SessionEvent) -> bool:
    """Whether an event tells another time; one that we had to stamp tells none."""
    return event.occurred_at not in {known, event.received_at}


def _start(session: Session, event: SessionStarted) -> Session:
    if is_amendment(session, event):
        return replace(session, verdicts=add_words(session.verdicts, "amended_start"))
    if not session.has_start:
        register = event.register_milliwh
        if register is None:
            register = session.register_start_milliwh
        session = replace(
            session,
            has_start=True,
            started_at=event.occurred_at,
            register_start_milliwh=register,
            register_last_milliwh=_highest(session.register_last_milliwh, register),
        )
        if event.evse.evse_id > 0:
            session = replace(
                session,
                evse_id=event.evse.evse_id,
                connector_id=event.evse.connector_id,
            )
        if event.id_token is not None:
            session = _with_token(session, event.id_token)
    session = _common(session, event, event.evse)
    return _state(session, event.charging_state, event.occurred_at, event.sequence)


def _end(session: Session, event: SessionEnded) -> Session:
    if is_amendment(session, event):
        return replace(session, verdicts=add_words(session.verdicts, "amended"))
    if session.ended_by is EndedBy.STATION:
        return session
    register = event.register_milliwh
    if register is None and session.ended_by is None:
        register = session.register_end_milliwh
    return replace(
        session,
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.STATION,
        ended_at=event.occurred_at,
        stop_reason=event.stop_reason,
        register_end_milliwh=register,
        register_last_milliwh=_highest(session.register_last_milliwh, register),
        verdicts=tuple(word for word in session.verdicts if word != "superseded"),
    )


def _common(session: Session, event: SessionEvent, evse: EvseRef | None) -> Session:
    """What every event says: place, first time, sequence, token."""
    changes: dict[str, object] = {}
    is_placed = session.has_start and session.evse_id > 0  # else it may come later
    if evse is not None and evse.evse_id > 0 and not is_placed:
        place = (evse.evse_id, evse.connector_id)
        known = (session.evse_id, session.connector_id)
        if session.evse_id == 0 or place < known:
            changes["evse_id"], changes["connector_id"] = place
    if not session.has_start and (
        session.started_at is None or event.occurred_at < session.started_at
    ):
        changes["started_at"] = event.occurred_at
    if session.received_at is None or event.received_at < session.received_at:
        changes["received_at"] = event.received_at
    if event.sequence is not None:
        ranges = _with_sequence(session.sequences, event.sequence)
        if ranges != session.sequences:
            changes["sequences"] = ranges
    if changes:
        session = replace(session, **changes)
    if session.id_token is None and event.id_token is not None:
        session = _with_token(session, event.id_token)
    return session


def _with_token(session: Session, token: IdToken) -> Session:
    return replace(session, id_token=token.value, token_kind=token.kind)


def _state(
    session: Session,
    state: ChargingState | None,
    at: datetime,
    sequence: int | None,
) -> Session:
    if state is None:
        return session
    number = -1 if sequence is None else sequence
    known_at = session.charging_state_at
    if known_at is not None and (at, number, state) <= (
        known_at,
        session.charging_state_sequence,
        session.charging_state or "",
    ):
        return session
    return replace(
        session,
        charging_state=state,
        charging_state_at=at,
        charging_state_sequence=number,
    )


def _sample(session: Session, sample: Sample) -> Session:
    at = sample.sampled_at
    changes = {} if sample.register_milliwh is None else _register(session, sample)
    if session.sampled_at is None or at > session.sampled_at:
        changes["sampled_at"] = at
    if not session.has_start and (
        session.started_at is None or at < session.started_at
    ):
        changes["started_at"] = at
    for name, time_name in _LIVE:
        value = getattr(sample, name)
        if value is not None and _is_newer(
            at, value, getattr(session, time_name), getattr(session, name)
        ):
            changes[name], changes[time_name] = value, at
    return replace(session, **changes) if changes else session


def _register(session: Session, sample: Sample) -> dict[str, object]:
    """What a register sample changes."""
    at, register = sample.sampled_at, sample.register_milliwh
    assert register is not None, "the caller asked"
    low = session.register_low_milliwh
    changes: dict[str, object] = {
        "register_last_milliwh": _highest(session.register_last_milliwh, register),
    }
    if not (register == 0 and sample.context == BEGIN):
        changes["register_low_milliwh"] = (
            register if low is None else min(low, register)
        )
        if session.first_sample_at is None or at < session.first_sample_at:
            changes["first_sample_at"] = at
    if session.last_sample_at is None or at > session.last_sample_at:
        changes["last_sample_at"] = at
    if sample.context == BEGIN and session.register_start_milliwh is None:
        changes["register_start_milliwh"] = register
    if (
        sample.context == END
        and session.register_end_milliwh is None
        and session.ended_by in {None, EndedBy.STATION}
    ):
        changes["register_end_milliwh"] = register
    return changes


def _is_newer(
    at: datetime, value: object, known_at: datetime | None, known: object
) -> bool:
    """Later wins; of two at the same instant the larger, so that order is free."""
    if known_at is None or at > known_at:
        return True
    return at == known_at and known is not None and bool(value > known)  # type: ignore[operator]  # same type on both sides


def _highest(known: int | None, register: int | None) -> int | None:
    if register is None:
        return known
    return register if known is None else max(known, register)


def _with_sequence(
    ranges: tuple[tuple[int, int], ...], number: int
) -> tuple[tuple[int, int], ...]:
    if ranges and ranges[-1][1] + 1 == number:
        return (*ranges[:-1], (ranges[-1][0], number))
    if any(low <= number <= high for low, high in ranges):
        return ranges
    if len(ranges) >= MAX_SEQUENCE_RANGES:
        return ranges
    merged: list[tuple[int, int]] = []
    for low, high in sorted((*ranges, (number, number))):
        if merged and merged[-1][1] + 1 == low:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)
