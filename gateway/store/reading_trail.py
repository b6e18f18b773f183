"""The trail of a session: it names its latest reading, each reading the one before.

An index by session would cost a page of the database for nearly every message, because
thousands of sessions take turns. The row of the session changes with each reading
anyway, and new readings follow each other at the end of their table.

Nearly always the readings of a session come in the order of their time. Whatever is not
later than all others is compared by walking back a little. Where one really came out of
order, or lies far back, all readings of its session are put into an index once, which
from then on answers for them: the session is *listed*. (Readings without a session are
always listed.)
"""

import sqlite3
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Final, NamedTuple

from gateway.domain.ids import SessionId
from gateway.store.schema import WriterConnection

OF_SESSION: Final = (
    "WHERE reading_id IN (WITH RECURSIVE trail (id) AS"
    " (SELECT last_reading_id FROM session WHERE session_id = ?"
    " UNION ALL SELECT previous_id FROM trail JOIN reading ON reading_id = id)"
    " SELECT id FROM trail)"
)
"""The readings of a session, in no order: walks the whole trail."""
MOST_STEPS: Final = 64
"""Readings looked at for one that is not later than all others."""
MAX_REMEMBERED: Final = 20_000
"""Ends of trails that the writer keeps at hand."""

_LISTED: Final = (
    "WHERE coalesce(session_id, station_id) = ? AND session_id IS NOT NULL"
    " AND is_listed = 1"
)
_END: Final = "SELECT last_reading_id, is_listed FROM session WHERE session_id = ?"
_STEP: Final = (
    "SELECT previous_id, evse_id, sampled_at, digest, register_milliwh"
    " FROM reading WHERE reading_id = ?"
)
_EARLIER: Final = (
    f"SELECT register_milliwh FROM reading {_LISTED} AND sampled_at < ?"  # noqa: S608 - a constant clause
    " AND register_milliwh IS NOT NULL"
    " ORDER BY sampled_at DESC, register_milliwh DESC LIMIT 1"
)
_LATER: Final = (
    f"SELECT register_milliwh FROM reading {_LISTED} AND sampled_at > ?"  # noqa: S608 - a constant clause
    " AND register_milliwh IS NOT NULL ORDER BY sampled_at, register_milliwh LIMIT 1"
)


class TrailEnd(NamedTuple):
    """What the row of a session knows of its readings.

    Attributes:
        last_id: Number of the reading that was stored last; ``None`` without any.
        is_listed: All its readings are in the index.
    """

    last_id: int | None
    is_listed: int


class _Step(NamedTuple):
    previous_id: int | None
    evse_id: int
    sampled_at: str
    digest: int
    register_milliwh: int | None


def end_of(conn: sqlite3.Connection, session_id: SessionId) -> TrailEnd:
    """The end of a stored session's trail."""
    if isinstance(conn, WriterConnection):
        known: TrailEnd | None = conn.trails.get(session_id)
        if known is not None:
            return known
    row = conn.execute(_END, (session_id,)).fetchone()
    assert row is not None, "a reading belongs to a session that is stored"
    return TrailEnd(*row)


def remember(conn: sqlite3.Connection, session_id: SessionId, end: TrailEnd) -> None:
    """Keep the end of a trail at hand, which is written in the same transaction."""
    if isinstance(conn, WriterConnection):
        if len(conn.trails) >= MAX_REMEMBERED:
            conn.trails.clear()
        conn.trails[session_id] = end


def extend(conn: sqlite3.Connection, session_id: SessionId, end: TrailEnd) -> None:
    """Write where the trail of a session ends now."""
    conn.execute(
        "UPDATE session SET last_reading_id = ?, is_listed = ? WHERE session_id = ?",
        (*end, session_id),
    )
    remember(conn, session_id, end)


def place(
    conn: sqlite3.Connection,
    session_id: SessionId,
    at: str,
    identity: tuple[object, ...],
) -> TrailEnd | None:
    """The end of the trail that a reading is to follow.

    Args:
        conn: The writer's connection.
        session_id: A stored session.
        at: Station's time of the reading, as it is stored.
        identity: What a repetition has in common with it: its columns ``evse_id``,
            ``sampled_at`` and ``digest``.

    Returns:
        ``None`` if the reading is surely known. Of a listed session the index says
        whether it is.
    """
    end = end_of(conn, session_id)
    if end.is_listed:
        return end
    steps = islice(_back(conn, end), MOST_STEPS)
    not_before = [*takewhile(lambda step: step.sampled_at >= at, steps)]
    if any(step[1:4] == identity for step in not_before):
        return None
    is_last = all(step.sampled_at == at for step in not_before)
    if is_last and len(not_before) < MOST_STEPS:
        return end
    return _list_all(conn, session_id, end)


def neighbours(
    conn: sqlite3.Connection, session_id: SessionId, at: str
) -> tuple[int | None, int | None]:
    """Registers before and after an instant, mWh.

    Of several at the nearest time before it the highest, after it the lowest.
    """
    end = end_of(conn, session_id)
    if not end.is_listed:
        near = _near(conn, end, at)
        if near is not None:
            return near
        _list_all(conn, session_id, end)
    earlier = conn.execute(_EARLIER, (session_id, at)).fetchone()
    later = conn.execute(_LATER, (session_id, at)).fetchone()
    return earlier and earlier[0], later and later[0]


def untrue(conn: sqlite3.Connection) -> Iterator[str]:
    """Readings that their session would not find, or would find twice.

    Each reading follows an earlier one of its session, none is followed twice, and the
    session names the latest: so they form one line.
    """
    for (session_id,) in conn.execute(
        "SELECT session_id FROM reading LEFT JOIN session USING (session_id)"
        " WHERE session_id IS NOT NULL GROUP BY session_id"
        " HAVING max(reading_id) IS NOT max(last_reading_id)"
        " OR count(*) - count(previous_id) <> 1"
        " OR count(previous_id) <> count(DISTINCT previous_id)"
    ):
        yield f"the trail of session {session_id} does not show all its readings"
    for (reading_id,) in conn.execute(
        "SELECT reading.reading_id FROM reading LEFT JOIN reading AS before"
        " ON before.reading_id = reading.previous_id"
        " WHERE reading.previous_id IS NOT NULL AND NOT coalesce("
        " before.session_id = reading.session_id"
        " AND before.reading_id < reading.reading_id, 0)"
    ):
        yield f"reading {reading_id} follows none of its session"


def _near(
    conn: sqlite3.Connection, end: TrailEnd, at: str
) -> tuple[int | None, int | None] | None:
    """`neighbours` by walking back; ``None`` if they are too far."""
    earlier: tuple[str, int] | None = None
    later: tuple[str, int] | None = None
    for n_step, step in enumerate(_back(conn, end)):
        if n_step == MOST_STEPS:
            return None
        if earlier is not None and step.sampled_at < earlier[0]:
            break
        register = step.register_milliwh
        if register is None:
            continue
        found = (step.sampled_at, register)
        if step.sampled_at < at:
            earlier = found if earlier is None else max(earlier, found)
        elif step.sampled_at > at:
            later = found if later is None else min(later, found)
    return earlier and earlier[1], later and later[1]


def _back(conn: sqlite3.Connection, end: TrailEnd) -> Iterator[_Step]:
    """The readings of a session, the latest stored first."""
    reading_id = end.last_id
    while reading_id is not None:
        step = _Step(*conn.execute(_STEP, (reading_id,)).fetchone())
        yield step
        reading_id = step.previous_id


def _list_all(
    conn: sqlite3.Connection, session_id: SessionId, end: TrailEnd
) -> TrailEnd:
    """Put all readings of a session into the index."""
    conn.execute(f"UPDATE reading SET is_listed = 1 {OF_SESSION}", (session_id,))  # noqa: S608 - a constant clause
    listed = end._replace(is_listed=1)
    extend(conn, session_id, listed)
    return listed
