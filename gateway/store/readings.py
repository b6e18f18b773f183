"""Reading rows: one per sample time of a message, a repetition adds none."""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count, pairwise, repeat
from typing import Final, TypeAlias

import msgspec

from gateway.domain.events import SignedReading
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Sample
from gateway.domain.session import Session
from gateway.store import reading_trail
from gateway.store.entry import Sealer, StoredReading
from gateway.store.many import marks, write_rows
from gateway.store.reading_trail import OF_SESSION, TrailEnd
from gateway.store.schema import WriterConnection
from gateway.store.times import to_text

_VALUES: Final = (
    " INTO reading (session_id, station_id, evse_id, sampled_at, digest, context,"
    " register_milliwh, power_w, current_l1_a, current_l2_a, current_l3_a, soc_percent,"
    " samples, frame_offset, leaf_index, reading_id, previous_id, is_listed) "
)
_N_VALUE: Final = 18
_NEXT_ID: Final = "SELECT coalesce(max(reading_id), 0) + 1 FROM reading"
_INSERT: Final = "INSERT OR IGNORE" + _VALUES + marks(1, _N_VALUE)
_INSERT_SIGNED: Final = (
    "INSERT OR IGNORE INTO signed_reading (session_id, station_id, evse_id,"
    " sampled_at, digest, context, encoding, raw, frame_offset, public_key)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_Row: TypeAlias = tuple[str | int | float | None, ...]
_APART: Final = TrailEnd(None, 1)
"""Of a reading without a session."""
_NO_CURRENT: Final = (None, None, None)
_encode: Final = msgspec.json.Encoder().encode


def insert(
    conn: sqlite3.Connection, stored: StoredReading, offset: int, sealer: Sealer | None
) -> bool:
    """Store a sample and seal it; returns whether it was new."""
    session_id = stored.session_id
    row = _row(stored, offset, None)
    end: TrailEnd | None = _APART
    if session_id is not None:
        at = to_text(stored.sample.sampled_at)
        end = reading_trail.place(conn, session_id, at, row[2:5])
    if end is None:
        return False
    (reading_id,) = conn.execute(_NEXT_ID).fetchone()
    cursor = conn.execute(_INSERT, (*row, reading_id, *end))
    if cursor.rowcount != 1:
        return False
    if session_id is not None:
        reading_trail.extend(conn, session_id, end._replace(last_id=reading_id))
    leaf_index = None if sealer is None else sealer.metered(conn, (stored,))
    if leaf_index is not None:
        conn.execute(
            "UPDATE reading SET leaf_index = ? WHERE reading_id = ?",
            (leaf_index, reading_id),
        )
    return True


def insert_new(
    conn: WriterConnection,
    found: Iterable[tuple[StoredReading, SessionId, int]],
    first_leaf: int | None,
) -> dict[SessionId, int]:
    """Store samples of sessions that surely come next, and are sealed already.

    Args:
        conn: The writer's connection.
        found: Samples with their sessions and the offsets of their frames.
        first_leaf: Index of the first one's leaf, the others follow it; ``None``
            without a ledger.

    Returns:
        The last readings of these sessions; the caller writes them into their rows.
    """
    leaves = repeat(None) if first_leaf is None else count(first_leaf)
    (first_id,) = conn.execute(_NEXT_ID).fetchone()
    last_ids: dict[SessionId, int] = {}
    rows = []
    for reading_id, (stored, session_id, offset), leaf_index in zip(
        count(first_id), found, leaves, strict=False
    ):
        end = reading_trail.end_of(conn, session_id)
        rows.append((*_row(stored, offset, leaf_index), reading_id, *end))
        reading_trail.remember(conn, session_id, TrailEnd(reading_id, end.is_listed))
        last_ids[session_id] = reading_id
    write_rows(conn, _insert_new, rows)
    return last_ids


def leaves_of(conn: sqlite3.Connection, session_id: SessionId) -> list[int]:
    """The leaves of a session's readings, ascending."""
    rows = conn.execute(
        f"SELECT leaf_index FROM reading {OF_SESSION}"  # noqa: S608 - a constant clause
        " AND leaf_index IS NOT NULL ORDER BY leaf_index",
        (session_id,),
    )
    return [row[0] for row in rows]


@cache
def _insert_new(n_row: int) -> str:
    return "INSERT OR FAIL" + _VALUES + marks(n_row, _N_VALUE)


def insert_signed(
    conn: sqlite3.Connection,
    signed: SignedReading,
    *,
    session_id: SessionId | None,
    station_id: StationId,
    evse_id: int,
    offset: int,
) -> bool:
    """Store a signed record exactly as it came; returns whether it was new."""
    cursor = conn.execute(
        _INSERT_SIGNED,
        (
            session_id,
            station_id,
            evse_id,
            to_text(signed.sampled_at),
            _digest(f"{signed.context}|{signed.encoding}|{signed.raw}"),
            signed.context,
            signed.encoding,
            signed.raw,
            offset,
            signed.public_key,
        ),
    )
    return cursor.rowcount == 1


def may_drop(before: Session, sample: Sample) -> bool:
    """Whether a new sample could contradict its neighbours in time: ask `has_drop`."""
    register, highest = sample.register_milliwh, before.register_last_milliwh
    if register is None or before.last_sample_at is None:
        return False
    return (
        sample.sampled_at <= before.last_sample_at
        or highest is None
        or register < highest
    )


def falls(samples: Sequence[Sample]) -> bool:
    """Whether the registers of one message drop on their way, in time order."""
    registers = [
        one.register_milliwh for one in samples if one.register_milliwh is not None
    ]
    return any(later < earlier for earlier, later in pairwise(registers))


def has_drop(conn: sqlite3.Connection, before: Session, sample: Sample) -> bool:
    """Whether a new sample's register contradicts its neighbours in time.

    A register only grows (OCPP 1.6 errata 3.78); a drop begins another meter's
    segment. Comparing each new sample with its neighbours finds every drop, whatever
    the order of arrival: two samples that end up side by side were side by side when
    the second of them came, or came in one message (see `falls`).
    """
    register = sample.register_milliwh
    if register is None or not may_drop(before, sample):
        return False
    at = to_text(sample.sampled_at)
    earlier, later = reading_trail.neighbours(conn, before.session_id, at)
    return (earlier is not None and earlier > register) or (
        later is not None and later < register
    )


def _row(stored: StoredReading, offset: int, leaf_index: int | None) -> _Row:
    sample = stored.sample
    others = _encode(dict(sample.others)).decode() if sample.others else "{}"
    l1, l2, l3 = sample.current_a or _NO_CURRENT
    content = (
        f"{sample.context}|{sample.register_milliwh}|{sample.power_w}"
        f"|{l1}|{l2}|{l3}|{sample.soc_percent}|{others}"
    )
    return (
        stored.session_id,
        stored.station_id,
        stored.evse_id,
        to_text(sample.sampled_at),
        _digest(content),
        sample.context,
        sample.register_milliwh,
        sample.power_w,
        l1,
        l2,
        l3,
        sample.soc_percent,
        others,
        offset,
        leaf_index,
    )


def _digest(content: str) -> int:
    data = hashlib.blake2b(content.encode(), digest_size=8).digest()
    return int.from_bytes(data, "big", signed=True)
