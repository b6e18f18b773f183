"""What the judgement of a session rests on, cheap to read twice.

A bill is worked out on a reading connection and written later. It is written only if
its footing is still the same: whatever `gateway.services.judging.propose` reads must
show here.
"""

import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gateway.domain.ids import IdToken, SessionId, StationId
from gateway.domain.neighbours import Before
from gateway.domain.session import Session
from gateway.services.judging import Terms
from gateway.store import (
    clocks,
    continuity,
    group_tariffs,
    meters,
    money,
    sessions,
    signed,
)
from gateway.store.meters import UnitDecision
from gateway.store.signed import PinnedKey, StoredFinding

_LIMITS: Final = (
    "SELECT count(*), max(command_id), total(outcome IN ('refused', 'not_sent'))"
    " FROM limit_command WHERE session_id = ?"
)
_TARIFFS: Final = "SELECT count(*), max(since) FROM tariff_version"
_START: Final = "SELECT 1 FROM leaf WHERE subject = ? AND kind = 'session_start'"
_NEWEST: Final = "SELECT coalesce(max(reading_id), 0) FROM reading"
_NEWER: Final = "SELECT last_reading_id > ? FROM session WHERE session_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """Equal to an earlier one as long as nothing changed but readings.

    Attributes:
        bill: See `gateway.store.money.bill_mark`.
        has_start: The start of the session is sealed, and its tariff promised.
        n_signed: Signed data that came; ``finding`` is what is kept about them.
        tariffs: How many versions of all tariffs there are, and the newest one's time.
        group_tariff_id: Of the group of the session's token.
        limits: How many limits were sent for the session, and what became of them.
    """

    session: Session
    bill: tuple[Any, ...]
    has_start: bool
    tariff_sha256: str | None
    rated_w: float | None
    before: Before
    mains: tuple[StationId, ...]
    n_signed: int
    finding: StoredFinding | None
    pinned: PinnedKey | None
    clock_offset: timedelta | None
    tariffs: tuple[Any, ...]
    unit: UnitDecision | None
    group_tariff_id: str | None
    limits: tuple[Any, ...]


def footing_of(
    conn: sqlite3.Connection, session_id: SessionId, terms: Terms
) -> Footing | None:
    """The footing as it is stored now; ``None`` if there is no such session."""
    session = sessions.by_id(conn, session_id)
    if session is None:
        return None
    station_id, evse_id = session.station_id, session.evse_id
    token = None
    if session.id_token is not None:
        token = IdToken(value=session.id_token, kind=session.token_kind)
    return Footing(
        session=session,
        bill=money.bill_mark(conn, session_id),
        has_start=conn.execute(_START, (session_id,)).fetchone() is not None,
        tariff_sha256=money.promised_sha256(conn, session_id),
        rated_w=terms.rating(station_id, evse_id),
        before=continuity.before(conn, session),
        mains=terms.mains(station_id, evse_id),
        n_signed=signed.n_raw(conn, session_id),
        finding=signed.find(conn, session_id),
        pinned=signed.pinned(conn, station_id, evse_id),
        clock_offset=clocks.offset_of(conn, station_id),
        tariffs=tuple(conn.execute(_TARIFFS).fetchone()),
        unit=meters.decision_for(conn, station_id),
        group_tariff_id=group_tariffs.of_token(conn, token),
        limits=tuple(conn.execute(_LIMITS, (session_id,)).fetchone()),
    )


def newest_reading(conn: sqlite3.Connection) -> int:
    """Number of the newest reading of all; numbers are never used again."""
    return int(conn.execute(_NEWEST).fetchone()[0])


def has_newer(conn: sqlite3.Connection, session_id: SessionId, reading_id: int) -> bool:
    """Whether a session got a reading after that one."""
    found = conn.execute(_NEWER, (reading_id, session_id)).fetchone()
    return found is not None and bool(found[0])
