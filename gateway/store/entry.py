"""What goes into the journal with one message, and what comes back from its commit."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

import msgspec

from gateway.domain.events import (
    Deviation,
    DeviceReported,
    Event,
    EvseStatusChanged,
    SessionUpdated,
)
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.metering import Sample
from gateway.domain.session import Session, SessionEvent


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One understood message of a station, to be stored as a whole or not at all.

    Attributes:
        raw: The frame exactly as it came.
        payload: Its payload, for telling repetitions apart where a clock cannot.
        authorize: A token to be judged without a transaction.
        is_ours: The central system numbers this station's transactions (OCPP 1.6).
    """

    station_id: StationId
    message_id: str
    action: str
    raw: bytes
    payload: bytes
    events: tuple[Event, ...]
    received_at: datetime
    is_ours: bool
    deviations: tuple[Deviation, ...] = ()
    authorize: IdToken | None = None
    authorize_evse: EvseRef | None = None

    @property
    def is_telemetry(self) -> bool:
        """Whether all it tells is states, reports, or samples of no transaction."""
        return self.authorize is None and all(map(_is_telemetry, self.events))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenQuestion:
    """May this token charge?

    Attributes:
        session_id: The session that is starting; ``None`` for a bare Authorize.
        begins: The session begins with it, now or in a station's backlog.
        is_start: It begins now: only then concurrent transactions refuse it.
    """

    station_id: StationId
    evse: EvseRef | None
    token: IdToken
    at: datetime
    session_id: SessionId | None = None
    begins: bool = False
    is_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDecision:
    """The answer to a `TokenQuestion`.

    Attributes:
        status: A word of ``gateway.ocpp.adapter.TokenStatus``.
        language: RFC 5646, of what the driver is told; ``language_2``: second choice.
        message: Shown to the driver.
        evse_ids: The only EVSEs it is good for; empty for all.
    """

    status: str
    expires_at: datetime | None = None
    group: str | None = None
    language: str | None = None
    language_2: str | None = None
    message: str | None = None
    evse_ids: tuple[int, ...] = ()


class StoredReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One new row of ``reading``, as the sealer sees it."""

    session_id: SessionId | None
    station_id: StationId
    evse_id: int
    received_at: datetime
    sample: Sample


class CommittedFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event after its commit.

    Attributes:
        session: The session it belongs to, after the fold.
        is_new: False for a repetition that changed nothing.
        is_backlog: Too old to drive live state or limits.
    """

    event: Event
    session: Session | None
    is_new: bool
    is_backlog: bool


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the commit of an `Entry` made true; the reply is built from it.

    Attributes:
        offset: Position in the journal.
        facts: One per event, in order.
        closed: Sessions that this entry closed as superseded.
        session: The session of the last event that has one.
        transaction_number: The number of a 1.6 transaction.
        authorization: The judgement on the token in the message.
        registration: ``Accepted``, ``Pending`` or ``Rejected``, for a boot.
    """

    offset: int
    facts: tuple[CommittedFact, ...]
    closed: tuple[Session, ...] = ()
    session: Session | None = None
    transaction_number: int | None = None
    authorization: TokenDecision | None = None
    registration: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether anything changed."""
        for fact in self.facts:  # noqa: SIM110 - a generator costs more, on the hot path
            if fact.is_new:
                return True
        return False

    @property
    def is_backlog(self) -> bool:
        """Whether everything in it is too old for live state."""
        return bool(self.facts) and all(fact.is_backlog for fact in self.facts)


class Sealer(Protocol):
    """Makes ledger leaves, in the very transaction that stores the facts."""

    def session_started(
        self, conn: sqlite3.Connection, session: Session, event: SessionEvent
    ) -> int | None:
        """Seal the start of a session whose terms are known; returns the leaf's index.

        Args:
            conn: The writer's connection.
            session: With its driver, or without if energy flowed before one was known.
            event: That made its terms known.
        """
        ...

    def metered(
        self, conn: sqlite3.Connection, stored: Sequence[StoredReading]
    ) -> int | None:
        """Seal readings; returns the index of the first leaf, the others follow it."""
        ...


Judge: TypeAlias = Callable[[sqlite3.Connection, TokenQuestion], TokenDecision]
Rating: TypeAlias = Callable[[StationId, int], float | None]
"""Rated power of an EVSE, W; ``None`` if unknown. Called in the writer thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the wiring injects into the journal; all run inside the transaction.

    Attributes:
        judge: Decides about tokens.
        sealer: Makes ledger leaves; ``None`` without a ledger.
        rating: Rated power of an EVSE, for plausibility.
    """

    judge: Judge
    sealer: Sealer | None = None
    rating: Rating | None = None


def _is_telemetry(event: Event) -> bool:
    if isinstance(event, SessionUpdated):
        return event.transaction_id is None
    return isinstance(event, EvseStatusChanged | DeviceReported)
