"""Session rows: finding the session a fact belongs to, and writing it back.

Every look-up starts with the station, so no station can name another's session.
"""

import re
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from itertools import compress
from operator import is_not
from typing import Any, Final

import msgspec

from gateway.domain.events import ChargingState, StationBooted
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import FIRST_TRUSTED_YEAR
from gateway.domain.session import EndedBy, Session, SessionPhase
from gateway.domain.session import interrupt as interrupted
from gateway.store.many import marks, write_rows
from gateway.store.schema import WriterConnection
from gateway.store.times import optional_time, to_text

_FIELDS: Final = (
    "session_id",
    "station_id",
    "evse_id",
    "connector_id",
    "phase",
    "transaction_id",
    "id_token",
    "token_kind",
    "started_at",
    "ended_at",
    "received_at",
    "has_start",
    "ended_by",
    "register_start_milliwh",
    "register_last_milliwh",
    "register_end_milliwh",
    "register_low_milliwh",
    "first_sample_at",
    "last_sample_at",
    "power_w",
    "power_at",
    "current_a",
    "current_at",
    "soc_percent",
    "soc_at",
    "sampled_at",
    "charging_state",
    "charging_state_at",
    "charging_state_sequence",
    "stop_reason",
    "sequences",
    "verdicts",
    "verdict",
    "interrupted_at",
)
_CURRENT_COLUMNS: Final = ("current_l1_a", "current_l2_a", "current_l3_a")
_values: Final = msgspec.structs.astuple
"""The values of a session, in the order of `_FIELDS`."""
COLUMNS: Final = ", ".join(
    f"session.{column}"
    for field in _FIELDS
    for column in (_CURRENT_COLUMNS if field == "current_a" else (field,))
)
"""What `from_row` reads, in its order."""

_SELECT: Final = f"SELECT {COLUMNS} FROM session "  # noqa: S608 - constant column names
_UNDER_WIRE_ID: Final = (
    "SELECT 1 FROM session WHERE station_id = ? AND transaction_id = ?"
)
_RANGE: Final = re.compile(r"(-?\d+)-(-?\d+)")
MAX_NUMBER: Final = 2**31 - 1
MAX_REMEMBERED: Final = 10_000
"""Running sessions that the writer keeps at hand, about 1 KB each."""


def from_row(row: sqlite3.Row | tuple[Any, ...]) -> Session:
    """Read a session from a row of `COLUMNS`."""
    l1, l2, l3 = row[21:24]
    return Session(
        session_id=SessionId(row[0]),
        station_id=StationId(row[1]),
        evse_id=row[2],
        connector_id=row[3],
        phase=SessionPhase(row[4]),
        transaction_id=row[5],
        id_token=row[6],
        token_kind=row[7],
        started_at=optional_time(row[8]),
        ended_at=optional_time(row[9]),
        received_at=optional_time(row[10]),
        has_start=bool(row[11]),
        ended_by=None if row[12] is None else EndedBy(row[12]),
        register_start_milliwh=row[13],
        register_last_milliwh=row[14],
        register_end_milliwh=row[15],
        register_low_milliwh=row[16],
        first_sample_at=optional_time(row[17]),
        last_sample_at=optional_time(row[18]),
        power_w=row[19],
        power_at=optional_time(row[20]),
        current_a=None if l1 is None else (l1, l2, l3),
        current_at=optional_time(row[24]),
        soc_percent=row[25],
        soc_at=optional_time(row[26]),
        sampled_at=optional_time(row[27]),
        charging_state=None if row[28] is None else ChargingState(row[28]),
        charging_state_at=optional_time(row[29]),
        charging_state_sequence=row[30],
        stop_reason=row[31],
        sequences=_ranges(row[32]),
        verdicts=tuple(row[33].split(",")) if row[33] else (),
        verdict=row[34],
        interrupted_at=optional_time(row[35]),
    )


def insert(conn: sqlite3.Connection, session: Session, offset: int) -> None:
    """Write a new session; the writer has it at hand if its wire id is new, too."""
    if isinstance(conn, WriterConnection):
        key = _wire_key(session)
        conn.remembered.pop(key, None)
        if key[1] and conn.execute(_UNDER_WIRE_ID, key).fetchone() is None:
            _keep_at_hand(conn, key, session)
    new: dict[str, object] = dict(zip(_FIELDS, _values(session), strict=True))
    new |= {"token_key": _token_key(session), "start_offset": offset}
    conn.execute(_sql("INSERT", tuple(new)), _row(tuple(new), new.values()))


def update(conn: sqlite3.Connection, before: Session, after: Session) -> None:
    """Write what changed, and only that."""
    changed = _changed(before, after)
    if changed:
        fields = tuple(changed)
        row = _row(fields, changed.values(), after.session_id)
        conn.execute(_sql("UPDATE", fields), row)
        if isinstance(conn, WriterConnection):
            remember(conn, after)


def update_all(
    conn: WriterConnection,
    sessions: Iterable[tuple[Session, Session]],
    last_reading_ids: Mapping[SessionId, int],
) -> None:
    """Write what changed in different sessions, with one statement per set of columns.

    Args:
        conn: The writer's connection, which remembers them as they are now.
        sessions: Before and after, each session once.
        last_reading_ids: The ends of their trails, where readings were stored.
    """
    rows: dict[tuple[str, ...], list[list[object]]] = {}
    for before, after in sessions:
        assert before.id_token == after.id_token, "its key would change, too"
        news = _values(after)
        # Another object may be an equal value: writing it costs less than asking.
        is_other = [*map(is_not, _values(before), news)]
        fields = tuple(compress(_FIELDS, is_other))
        if fields:
            last_id = last_reading_ids.get(after.session_id)
            row = _row(fields, compress(news, is_other), last_id, after.session_id)
            rows.setdefault(fields, []).append(row)
    for fields, found in rows.items():
        write_rows(conn, partial(_update_many, fields), found)


def remembered(
    conn: WriterConnection, station_id: StationId, transaction_id: str
) -> Session | None:
    """The running session under a wire id, if the writer has it at hand."""
    found: Session | None = conn.remembered.get((station_id, transaction_id))
    return found


def _keep_at_hand(
    conn: WriterConnection, key: tuple[str, str], session: Session
) -> None:
    """Remember the only session under a wire id; the first to come is forgotten."""
    if len(conn.remembered) >= MAX_REMEMBERED:
        conn.remembered.pop(next(iter(conn.remembered)))
    conn.remembered[key] = session


def remember(conn: WriterConnection, session: Session) -> None:
    """Keep up with a written session; forget it once it is over."""
    key = _wire_key(session)
    known = conn.remembered.get(key)
    if known is None:
        return
    if known.session_id == session.session_id and session.phase is SessionPhase.RUNNING:
        conn.remembered[key] = session
    else:
        del conn.remembered[key]


def interrupt(conn: sqlite3.Connection, event: StationBooted) -> None:
    """A station restarted: nothing is known of what its running sessions do.

    A boot that we asked for follows no restart.
    """
    if event.is_asked:
        return
    conn.execute(
        "UPDATE evse_status SET charging_state = NULL"
        " WHERE station_id = ? AND charging_state IS NOT NULL",
        (event.station_id,),
    )
    for session in _all(
        conn, "WHERE station_id = ? AND phase = 'running'", (event.station_id,)
    ):
        update(conn, session, interrupted(session, event.received_at))


def by_id(conn: sqlite3.Connection, session_id: SessionId) -> Session | None:
    """One session."""
    return _one(conn, "WHERE session_id = ?", (session_id,))


def by_wire_id(
    conn: sqlite3.Connection, station_id: StationId, transaction_id: str
) -> list[Session]:
    """All sessions of a station under one wire id, in order of their start.

    A running session is remembered: every meter value asks for it.
    """
    if isinstance(conn, WriterConnection):
        known = remembered(conn, station_id, transaction_id)
        if known is not None:
            return [known]
    found = _all(
        conn,
        "WHERE station_id = ? AND transaction_id = ? ORDER BY started_at, session_id",
        (station_id, transaction_id),
    )
    is_only_one = len(found) == 1 and found[0].phase is SessionPhase.RUNNING
    if is_only_one and isinstance(conn, WriterConnection):
        _keep_at_hand(conn, (station_id, transaction_id), found[0])
    return found


def number_of(conn: sqlite3.Connection, session_id: SessionId) -> int | None:
    """The 1.6 transaction number of a session."""
    row = conn.execute(
        "SELECT transaction_number FROM session WHERE session_id = ?", (session_id,)
    ).fetchone()
    return None if row is None else row[0]


def allot_number(
    conn: sqlite3.Connection,
    station_id: StationId,
    draw: Callable[[int], int] = secrets.randbelow,
) -> int:
    """A transaction number that nobody has: positive, 31 bits, not guessable."""
    while True:
        number = draw(MAX_NUMBER) + 1
        taken = conn.execute(
            "SELECT 1 FROM session WHERE transaction_number = ?1"
            " OR (station_id = ?2 AND transaction_id = CAST(?1 AS TEXT))",
            (number, station_id),
        ).fetchone()
        if taken is None:
            return number


def open_at_evse(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int
) -> list[Session]:
    """Running sessions on one EVSE."""
    return _all(
        conn,
        "WHERE station_id = ? AND evse_id = ? AND phase = 'running'"
        " ORDER BY started_at",
        (station_id, evse_id),
    )


def during(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int, at: datetime
) -> list[Session]:
    """Sessions on an EVSE that were running at a station's time; two at most."""
    text = to_text(at)
    return _all(
        conn,
        "WHERE station_id = ? AND evse_id = ? AND started_at <= ?"
        " AND (ended_at IS NULL OR ended_at >= ?) ORDER BY started_at DESC LIMIT 2",
        (station_id, evse_id, text, text),
    )


def open_at_station(
    conn: sqlite3.Connection, station_id: StationId, at: datetime
) -> list[Session]:
    """Running sessions of a station that had started by a station's time."""
    return _all(
        conn,
        "WHERE station_id = ? AND phase = 'running' AND started_at <= ?",
        (station_id, to_text(at)),
    )


def ended_like(
    conn: sqlite3.Connection,
    station_id: StationId,
    ended_at: datetime,
    register_milliwh: int | None,
) -> Session | None:
    """The session that ended at this time with this register: a repeated end."""
    return _one(
        conn,
        "WHERE station_id = ? AND ended_at = ? AND ended_by = 'station'"
        " AND register_end_milliwh IS ? LIMIT 1",
        (station_id, to_text(ended_at), register_milliwh),
    )


def closable_before(
    conn: sqlite3.Connection, session: Session, at: datetime
) -> list[Session]:
    """Sessions on the same EVSE that a start at ``at`` proves to be over."""
    return _all(
        conn,
        "WHERE station_id = ? AND evse_id = ? AND session_id <> ?"
        " AND (phase = 'running' OR (ended_by = 'superseded' AND ended_at > ?))"
        " AND min(started_at, received_at) <= ?",
        (
            session.station_id,
            session.evse_id,
            session.session_id,
            to_text(at),
            to_text(at),
        ),
    )


def next_start(
    conn: sqlite3.Connection, session: Session, at: datetime
) -> Session | None:
    """The first session on the same EVSE that started after ``at``."""
    text = to_text(at)
    return _one(
        conn,
        "WHERE station_id = ? AND evse_id = ? AND started_at > ?"
        " AND received_at > ? AND has_start = 1 AND session_id <> ?"
        " ORDER BY started_at LIMIT 1",
        (session.station_id, session.evse_id, text, text, session.session_id),
    )


def next_without_start(conn: sqlite3.Connection, session: Session) -> Session | None:
    """The session after an ended one on the same EVSE, if its start never came."""
    if session.ended_at is None:
        return None
    return _one(
        conn,
        "WHERE station_id = ? AND evse_id = ? AND started_at >= ? AND has_start = 0"
        " AND phase = 'ended' AND session_id <> ? ORDER BY started_at LIMIT 1",
        (
            session.station_id,
            session.evse_id,
            to_text(session.ended_at),
            session.session_id,
        ),
    )


def order_time(session: Session) -> datetime:
    """When a session really began, as far as its station's clock can be trusted."""
    started_at, received_at = session.started_at, session.received_at
    assert received_at is not None, "a stored session was received"
    if started_at is None or started_at.year < FIRST_TRUSTED_YEAR:
        return received_at
    return min(started_at, received_at)


def only_evse(conn: sqlite3.Connection, station_id: StationId) -> int | None:
    """The one EVSE of a station, if all it ever said was about one."""
    rows = conn.execute(
        "SELECT evse_id FROM evse_status WHERE station_id = ?1 AND evse_id > 0"
        " UNION SELECT evse_id FROM session WHERE station_id = ?1 AND evse_id > 0"
        " LIMIT 2",
        (station_id,),
    ).fetchall()
    return rows[0][0] if len(rows) == 1 else None


def _wire_key(session: Session) -> tuple[str, str]:
    return session.station_id, session.transaction_id or ""


def _one(
    conn: sqlite3.Connection, where: str, values: tuple[object, ...]
) -> Session | None:
    row = conn.execute(_SELECT + where, values).fetchone()
    return None if row is None else from_row(row)


def _all(
    conn: sqlite3.Connection, where: str, values: tuple[object, ...]
) -> list[Session]:
    return [from_row(row) for row in conn.execute(_SELECT + where, values)]


def _changed(before: Session, after: Session) -> dict[str, object]:
    """The fields that changed, with their new values."""
    olds, news = _values(before), _values(after)
    others = compress(zip(_FIELDS, olds, news, strict=True), map(is_not, olds, news))
    changed: dict[str, object] = {
        field: new for field, old, new in others if old != new
    }
    if "id_token" in changed:
        changed["token_key"] = _token_key(after)
    return changed


def _row(fields: tuple[str, ...], values: Iterable[Any], *more: object) -> list[object]:
    """Fields as the columns of `_sql` take them, and what follows them."""
    row: list[object] = []
    moment, text = None, ""  # most of the times of one row are the same
    for write, value in zip(_writers(fields), values, strict=True):
        if write is None:
            row.append(value)
        elif write is to_text:
            if value is not moment:
                moment, text = value, "" if value is None else write(value)
            row.append(text if value else None)
        else:
            row.extend(write(value))
    row.extend(more)
    return row


@cache
def _writers(fields: tuple[str, ...]) -> tuple[Callable[[Any], Any] | None, ...]:
    """How each field becomes columns; ``None`` where it is one as it is."""
    return tuple(_WRITERS.get(field) for field in fields)


def _columns(fields: tuple[str, ...]) -> list[str]:
    return [
        column
        for field in fields
        for column in (_CURRENT_COLUMNS if field == "current_a" else (field,))
    ]


@cache
def _update_many(fields: tuple[str, ...], n_row: int) -> str:
    columns = _columns(fields)
    n_column = len(columns) + 2
    setters = ", ".join(f"{name} = v.column{n}" for n, name in enumerate(columns, 1))
    last = f"last_reading_id = coalesce(v.column{n_column - 1}, last_reading_id)"
    return (
        f"UPDATE session SET {setters}, {last}"  # noqa: S608 - names from _FIELDS
        f" FROM ({marks(n_row, n_column)}) AS v"
        f" WHERE session_id = v.column{n_column}"
    )


@cache
def _sql(verb: str, fields: tuple[str, ...]) -> str:
    columns = _columns(fields)
    if verb == "INSERT":
        marks = ", ".join("?" * len(columns))
        return f"INSERT INTO session ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names from _FIELDS
    setters = ", ".join(f"{column} = ?" for column in columns)
    return f"UPDATE session SET {setters} WHERE session_id = ?"  # noqa: S608 - names from _FIELDS


def _token_key(session: Session) -> str | None:
    return None if session.id_token is None else session.id_token.casefold()


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Read ranges; a station may number below zero: ``-3--1`` is one of them."""
    return tuple((int(low), int(high)) for low, high in _RANGE.findall(text))


def _ranges_text(ranges: tuple[tuple[int, int], ...]) -> str:
    return ",".join(f"{low}-{high}" for low, high in ranges)


def _current(value: tuple[float, float, float] | None) -> tuple[float | None, ...]:
    return value or (None, None, None)


_WRITERS: Final[dict[str, Callable[[Any], Any]]] = {
    "current_a": _current,
    "sequences": lambda ranges: (_ranges_text(ranges),),
    "verdicts": lambda words: (",".join(words),),
    **{field: to_text for field in _FIELDS if field.endswith("_at")},
}
"""Fields that are not one column as they are: a time, or what to extend the row by."""
