"""Rows of signed meter data: keys of meters, records, and what they prove.

All functions run inside the transaction of the caller.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import SessionId, StationId
from gateway.domain.signed_session import SignedFinding, SignedVerdict
from gateway.store.times import from_text, to_text

OTHER_REGISTERS: Final = "other_registers_billed"
"""An operator decided on registers that the meter did not sign."""
FINDING: Final = (
    "SELECT verdict, reasons, register_start_milliwh, register_end_milliwh, n_record,"
    " curve, point, checked_at FROM signed_session WHERE session_id = ?"
)
RECORDS: Final = (
    "SELECT context, sha256, text, reason, detail, curve, page, meter_serial, readings"
    " FROM signed_record WHERE session_id = ? ORDER BY number"
)
_RAW_OF_SESSION: Final = (
    "WHERE coalesce(session_id, station_id) = ? AND session_id IS NOT NULL"
)
"""Signed data of a session by its index, and none of a station of that name."""
_KEY: Final = (
    "SELECT curve, point, meter_serial, pinned_at, pinned_by FROM meter_key"
    " WHERE station_id = ? AND evse_id = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """Signed data as a station sent it, and the key beside it."""

    context: str
    encoding: str | None
    raw: str
    public_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedKey:
    """The key of a meter, on an operator's word.

    Attributes:
        curve: As OCMF spells it.
        point: Upper-case hexadecimal digits, see `gateway.services.meter_keys`.
    """

    curve: str
    point: str
    meter_serial: str | None
    pinned_at: datetime
    pinned_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenKey:
    """A key that a station sent: a proposal."""

    evse_id: int
    curve: str
    point: str
    meter_serial: str | None
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFinding:
    """What the records of a session prove, and by which key it was looked at.

    Attributes:
        n_record: How many stored texts there were.
        key: Curve and point; ``None``: none was pinned.
    """

    finding: SignedFinding
    n_record: int
    key: tuple[str, str] | None
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record of a session with what was found about it; see `Examined`."""

    context: str
    sha256: str
    text: str
    reason: str | None
    detail: str
    curve: str | None
    page: str | None
    meter_serial: str | None
    readings: list[dict[str, Any]]


def raw_records(
    conn: sqlite3.Connection, session_id: SessionId, *, most: int, most_chars: int
) -> list[RawRecord]:
    """Signed data of a session, in the order of the station's time.

    As many texts as stay below both bounds.
    """
    rows = conn.execute(
        "SELECT context, encoding, raw, public_key FROM signed_reading"  # noqa: S608 - a constant clause
        f" {_RAW_OF_SESSION} ORDER BY sampled_at, rowid LIMIT ?",
        (session_id, most),
    )
    found: list[RawRecord] = []
    n_char = 0
    for context, encoding, raw, public_key in rows:
        n_char += len(raw)
        if n_char > most_chars:
            break
        found.append(
            RawRecord(
                context=context, encoding=encoding, raw=raw, public_key=public_key
            )
        )
    return found


def n_raw(conn: sqlite3.Connection, session_id: SessionId) -> int:
    """How much signed data a session has."""
    row = conn.execute(
        f"SELECT count(*) FROM signed_reading {_RAW_OF_SESSION}",  # noqa: S608 - a constant clause
        (session_id,),
    ).fetchone()
    return int(row[0])


def find(conn: sqlite3.Connection, session_id: SessionId) -> StoredFinding | None:
    """What was found; ``None``: nothing was looked at."""
    row = conn.execute(FINDING, (session_id,)).fetchone()
    return None if row is None else finding_of_row(row)


def of_bill(
    conn: sqlite3.Connection,
    session_id: SessionId,
    document: Mapping[str, object] | None,
) -> StoredFinding | None:
    """What was found, as far as the bill rests on it.

    Good records prove nothing of a bill by other registers, as an operator may state.
    """
    stored = find(conn, session_id)
    if stored is None or document is None:
        return stored
    finding = stored.finding
    billed = (
        document.get("register_start_milliwh"),
        document.get("register_end_milliwh"),
    )
    is_same = billed == (finding.register_start_milliwh, finding.register_end_milliwh)
    if finding.verdict is not SignedVerdict.OK or is_same:
        return stored
    other = SignedFinding(verdict=SignedVerdict.UNVERIFIED, reasons=(OTHER_REGISTERS,))
    return replace(stored, finding=other)


def current(conn: sqlite3.Connection, session_id: SessionId) -> SignedFinding | None:
    """What was found, unless signed data has come since."""
    stored = find(conn, session_id)
    if stored is None or stored.n_record != n_raw(conn, session_id):
        return None
    return stored.finding


def keep(
    conn: sqlite3.Connection,
    session_id: SessionId,
    stored: StoredFinding,
    records: Sequence[StoredRecord],
) -> None:
    """Replace what was found about a session."""
    finding = stored.finding
    curve, point = stored.key or (None, None)
    conn.execute(
        "INSERT OR REPLACE INTO signed_session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session_id,
            finding.verdict.value,
            json.dumps(finding.reasons),
            finding.register_start_milliwh,
            finding.register_end_milliwh,
            stored.n_record,
            curve,
            point,
            to_text(stored.checked_at),
        ),
    )
    conn.execute("DELETE FROM signed_record WHERE session_id = ?", (session_id,))
    conn.executemany(
        "INSERT INTO signed_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                session_id,
                number,
                one.context,
                one.sha256,
                one.text,
                one.reason,
                one.detail,
                one.curve,
                one.page,
                one.meter_serial,
                json.dumps(one.readings),
            )
            for number, one in enumerate(records)
        ],
    )


def texts(conn: sqlite3.Connection, session_id: SessionId) -> list[str]:
    """The records of a session, as they were signed."""
    rows = conn.execute(
        "SELECT text FROM signed_record WHERE session_id = ? ORDER BY number",
        (session_id,),
    )
    return [row[0] for row in rows]


def is_shown_elsewhere(
    conn: sqlite3.Connection, session_id: SessionId, sha256: str
) -> bool:
    """Whether another session has shown this very record as its own."""
    row = conn.execute(
        "SELECT 1 FROM signed_record JOIN signed_session USING (session_id)"
        " WHERE sha256 = ? AND session_id <> ? AND verdict = 'ok' LIMIT 1",
        (sha256, session_id),
    ).fetchone()
    return row is not None


def pinned(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int
) -> PinnedKey | None:
    """The key of the meter behind an EVSE."""
    row = conn.execute(_KEY, (station_id, evse_id)).fetchone()
    return None if row is None else _pinned(row)


def keys_of(
    conn: sqlite3.Connection, station_id: StationId
) -> tuple[dict[int, PinnedKey], list[SeenKey]]:
    """All keys of a station's meters: pinned, by EVSE, and seen, latest first."""
    rows = conn.execute(
        "SELECT evse_id, curve, point, meter_serial, pinned_at, pinned_by"
        " FROM meter_key WHERE station_id = ? ORDER BY evse_id",
        (station_id,),
    )
    seen = conn.execute(
        "SELECT evse_id, curve, point, meter_serial, first_seen_at, last_seen_at"
        " FROM meter_key_seen WHERE station_id = ?"
        " ORDER BY evse_id, last_seen_at DESC, point",
        (station_id,),
    )
    return {row[0]: _pinned(row[1:]) for row in rows}, [
        SeenKey(
            evse_id=row[0],
            curve=row[1],
            point=row[2],
            meter_serial=row[3],
            first_seen_at=from_text(row[4]),
            last_seen_at=from_text(row[5]),
        )
        for row in seen
    ]


def pin(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int, key: PinnedKey
) -> None:
    """Trust a key from now on, and no other at this EVSE."""
    conn.execute(
        "INSERT OR REPLACE INTO meter_key VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            evse_id,
            key.curve,
            key.point,
            key.meter_serial,
            to_text(key.pinned_at),
            key.pinned_by,
        ),
    )


def unpin(conn: sqlite3.Connection, station_id: StationId, evse_id: int) -> bool:
    """Trust no key at an EVSE; whether there was one."""
    done = conn.execute(
        "DELETE FROM meter_key WHERE station_id = ? AND evse_id = ?",
        (station_id, evse_id),
    )
    return done.rowcount == 1


def note_seen(
    conn: sqlite3.Connection, station_id: StationId, key: SeenKey, most: int
) -> bool:
    """Remember a key that a station sent; whether it is the first time.

    Of one EVSE the ``most`` seen last are kept: a station must not fill the disk.
    """
    values = (station_id, key.evse_id, key.curve, key.point)
    changed = conn.execute(
        "UPDATE meter_key_seen SET last_seen_at = ?5, meter_serial = ?6"
        " WHERE station_id = ?1 AND evse_id = ?2 AND curve = ?3 AND point = ?4",
        (*values, to_text(key.last_seen_at), key.meter_serial),
    )
    if changed.rowcount == 1:
        return False
    conn.execute(
        "INSERT INTO meter_key_seen VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *values,
            key.meter_serial,
            to_text(key.first_seen_at),
            to_text(key.last_seen_at),
        ),
    )
    conn.execute(
        "DELETE FROM meter_key_seen WHERE rowid IN (SELECT rowid FROM meter_key_seen"
        " WHERE station_id = ? AND evse_id = ?"
        " ORDER BY last_seen_at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        (station_id, key.evse_id, most),
    )
    return True


def held_at(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int, limit: int
) -> list[SessionId]:
    """Sessions of an EVSE with signed data whose bills are held, newest first."""
    rows = conn.execute(
        "SELECT session_id FROM session JOIN bill USING (session_id)"
        " JOIN signed_session USING (session_id)"
        " WHERE station_id = ? AND evse_id = ? AND status = 'held'"
        " ORDER BY started_at DESC LIMIT ?",
        (station_id, evse_id, limit),
    )
    return [SessionId(row[0]) for row in rows]


def finding_of_row(row: tuple[Any, ...]) -> StoredFinding:
    """Read a row of `FINDING`."""
    return StoredFinding(
        finding=SignedFinding(
            verdict=SignedVerdict(row[0]),
            reasons=tuple(json.loads(row[1])),
            register_start_milliwh=row[2],
            register_end_milliwh=row[3],
        ),
        n_record=row[4],
        key=None if row[5] is None else (row[5], row[6]),
        checked_at=from_text(row[7]),
    )


def record_of_row(row: tuple[Any, ...]) -> StoredRecord:
    """Read a row of `RECORDS`."""
    return StoredRecord(
        context=row[0],
        sha256=row[1],
        text=row[2],
        reason=row[3],
        detail=row[4],
        curve=row[5],
        page=row[6],
        meter_serial=row[7],
        readings=json.loads(row[8]),
    )


def _pinned(row: tuple[Any, ...]) -> PinnedKey:
    return PinnedKey(
        curve=row[0],
        point=row[1],
        meter_serial=row[2],
        pinned_at=from_text(row[3]),
        pinned_by=row[4],
    )
