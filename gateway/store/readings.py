"""Reading rows: one per sample time of a message, a repetition adds none."""

import hashlib
import sqlite3
from datetime import datetime
from typing import Final

import msgspec

from gateway.domain.events import SignedReading
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Sample
from gateway.domain.session import Session
from gateway.store.entry import Sealer, StoredReading
from gateway.store.times import to_text

_INSERT: Final = (
    "INSERT OR IGNORE INTO reading (session_id, station_id, evse_id, sampled_at,"
    " digest, context, register_milliwh, power_w, current_l1_a, current_l2_a,"
    " current_l3_a, soc_percent, samples, frame_offset)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_SIGNED: Final = (
    "INSERT OR IGNORE INTO signed_reading (session_id, station_id, evse_id,"
    " sampled_at, digest, context, encoding, raw, frame_offset)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NO_CURRENT: Final = (None, None, None)
_encode: Final = msgspec.json.Encoder().encode


def insert(
    conn: sqlite3.Connection,
    sample: Sample,
    *,
    session_id: SessionId | None,
    station_id: StationId,
    evse_id: int,
    received_at: datetime,
    offset: int,
    sealer: Sealer | None,
) -> bool:
    """Store a sample and seal it; returns whether it was new."""
    others = _encode(dict(sample.others)).decode() if sample.others else "{}"
    l1, l2, l3 = sample.current_a or _NO_CURRENT
    content = (
        f"{sample.context}|{sample.register_milliwh}|{sample.power_w}"
        f"|{l1}|{l2}|{l3}|{sample.soc_percent}|{others}"
    )
    cursor = conn.execute(
        _INSERT,
        (
            session_id,
            station_id,
            evse_id,
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
        ),
    )
    if cursor.rowcount != 1:
        return False
    if sealer is None:
        return True
    reading_id = cursor.lastrowid
    assert reading_id is not None, "an INSERT sets lastrowid"
    leaf_index = sealer.metered(
        conn,
        StoredReading(
            reading_id=reading_id,
            session_id=session_id,
            station_id=station_id,
            evse_id=evse_id,
            received_at=received_at,
            sample=sample,
        ),
    )
    if leaf_index is not None:
        conn.execute(
            "UPDATE reading SET leaf_index = ? WHERE reading_id = ?",
            (leaf_index, reading_id),
        )
    return True


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
        ),
    )
    return cursor.rowcount == 1


def has_drop(conn: sqlite3.Connection, before: Session, sample: Sample) -> bool:
    """Whether a new sample's register contradicts its neighbours in time.

    A register only grows (OCPP 1.6 errata 3.78); a drop begins another meter's
    segment. Comparing each new sample with its neighbours finds every drop, whatever
    the order of arrival: two samples that end up side by side were side by side when
    the second of them came.
    """
    register = sample.register_milliwh
    if register is None or before.last_sample_at is None:
        return False
    highest = before.register_last_milliwh
    if (
        sample.sampled_at > before.last_sample_at
        and highest is not None
        and register >= highest
    ):
        return False
    at = to_text(sample.sampled_at)
    earlier = conn.execute(
        "SELECT max(register_milliwh) FROM (SELECT register_milliwh FROM reading"
        " WHERE coalesce(session_id, station_id) = ? AND sampled_at < ?"
        " AND register_milliwh IS NOT NULL ORDER BY sampled_at DESC LIMIT 1)",
        (before.session_id, at),
    ).fetchone()[0]
    later = conn.execute(
        "SELECT min(register_milliwh) FROM (SELECT register_milliwh FROM reading"
        " WHERE coalesce(session_id, station_id) = ? AND sampled_at > ?"
        " AND register_milliwh IS NOT NULL ORDER BY sampled_at LIMIT 1)",
        (before.session_id, at),
    ).fetchone()[0]
    return (earlier is not None and earlier > register) or (
        later is not None and later < register
    )


def _digest(content: str) -> int:
    data = hashlib.blake2b(content.encode(), digest_size=8).digest()
    return int.from_bytes(data, "big", signed=True)
