"""Tariffs, what each session was promised, and its bill: rows over a connection.

All functions run inside the transaction of the caller.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from gateway.domain.bill import Bill, RegisterPoint
from gateway.domain.ids import SessionId
from gateway.domain.tariff import Tariff, canonical_json
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import to_text

_BILL_COLUMNS: Final = (
    "session_id, status, verdict, reasons, energy_milliwh, amount_minor, currency,"
    " document, tariff_sha256, settlement_leaf_index, session_key, decided_at,"
    " decided_by"
)
MAX_TARIFFS: Final = 256
"""Kept as objects, of all that sessions were promised."""
BILL_BY_SESSION: Final = f"SELECT {_BILL_COLUMNS} FROM bill WHERE session_id = ?"  # noqa: S608 - constant columns
"""For readers with a connection of their own; see `bill_of_row`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTariff:
    """A tariff and where it came from, ``config`` or ``api``."""

    tariff: Tariff
    source: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """What became of a session's energy.

    Attributes:
        status: ``held`` or ``settled``.
        verdict: `gateway.domain.metering.Verdict` of the energy.
        reasons: Why it is held, or what was noted.
        document: The bill, or the proposal of a held one; ``None`` if none can be made.
        decided_by: ``system``, or the token of the operator who released it.
    """

    session_id: SessionId
    status: str
    verdict: str
    reasons: tuple[str, ...]
    energy_milliwh: int | None
    amount_minor: int | None
    currency: str | None
    document: dict[str, object] | None
    tariff_sha256: str | None
    settlement_leaf_index: int | None
    session_key: bytes | None
    decided_at: datetime
    decided_by: str


def load_config_tariffs(
    conn: sqlite3.Connection, tariffs: Iterable[Tariff], now: datetime
) -> None:
    """Bring the tariffs of the configuration in; one changed by the API stays so.

    Tariffs that left the configuration go, unless the API owns them.
    """
    kept = list(tariffs)
    known = {
        row[0]: row[1] for row in conn.execute("SELECT tariff_id, source FROM tariff")
    }
    for tariff in kept:
        if known.get(tariff.id) != "api":
            put_tariff(conn, tariff, source="config", now=now)
    for tariff_id in known.keys() - {tariff.id for tariff in kept}:
        conn.execute(
            "DELETE FROM tariff WHERE tariff_id = ? AND source = 'config'", (tariff_id,)
        )


def put_tariff(
    conn: sqlite3.Connection, tariff: Tariff, *, source: str, now: datetime
) -> None:
    """Write a tariff; sessions that started keep what they were promised.

    What it said before stays known for sessions that began then and are told late.
    """
    document = tariff.snapshot_json()
    newest = conn.execute(
        "SELECT document FROM tariff_version WHERE tariff_id = ?"
        " ORDER BY since DESC LIMIT 1",
        (tariff.id,),
    ).fetchone()
    if newest is None or newest[0] != document:
        conn.execute(
            "INSERT OR REPLACE INTO tariff_version VALUES (?, ?, ?)",
            (tariff.id, to_text(now), document),
        )
    conn.execute(
        "INSERT INTO tariff (tariff_id, document, source, updated_at)"
        " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (tariff_id) DO UPDATE"
        " SET document = ?2, source = ?3, updated_at = ?4",
        (tariff.id, document, source, to_text(now)),
    )


def delete_tariff(conn: sqlite3.Connection, tariff_id: str) -> bool:
    """Remove a tariff; False if there is none."""
    done = conn.execute("DELETE FROM tariff WHERE tariff_id = ?", (tariff_id,))
    return done.rowcount > 0


def find_tariff(conn: sqlite3.Connection, tariff_id: str) -> StoredTariff | None:
    """One tariff."""
    row = conn.execute(
        "SELECT document, source, updated_at FROM tariff WHERE tariff_id = ?",
        (tariff_id,),
    ).fetchone()
    return None if row is None else _stored(row)


def tariffs_named(conn: sqlite3.Connection, *, ids: Iterable[str]) -> list[Tariff]:
    """Those of some tariffs that there are, in the order of their ids given."""
    found = (find_tariff(conn, tariff_id) for tariff_id in ids)
    return [one.tariff for one in found if one is not None]


def all_tariffs(conn: sqlite3.Connection) -> list[StoredTariff]:
    """All tariffs by id."""
    rows = conn.execute(
        "SELECT document, source, updated_at FROM tariff ORDER BY tariff_id"
    )
    return [_stored(row) for row in rows]


def fix_tariff(
    conn: sqlite3.Connection,
    session_id: SessionId,
    tariff_id: str | None,
    now: datetime,
    *,
    began_at: datetime | None = None,
) -> str | None:
    """Promise a session the terms of its begin; the first promise stands.

    Args:
        conn: The writer's connection.
        session_id: The session.
        tariff_id: The tariff that it charges by.
        now: Site time.
        began_at: When it began, where that is known; of a tariff that was not known
            then, what it said first.

    Returns:
        Hash of the terms promised, ``None`` while there is no such tariff.
    """
    known = conn.execute(
        "SELECT tariff_sha256 FROM session_tariff WHERE session_id = ?", (session_id,)
    ).fetchone()
    if known is not None:
        return str(known[0])
    document = _terms_of(conn, tariff_id, min(began_at or now, now))
    if document is None:
        return None
    sha256 = hashlib.sha256(document.encode()).hexdigest()
    conn.execute(
        "INSERT OR IGNORE INTO tariff_snapshot VALUES (?, ?)", (sha256, document)
    )
    conn.execute(
        "INSERT INTO session_tariff VALUES (?, ?, ?)",
        (session_id, sha256, to_text(now)),
    )
    return sha256


def is_tariff_changed(
    conn: sqlite3.Connection, tariff_id: str, since: datetime, until: datetime
) -> bool:
    """Whether a tariff was changed, not just made, between two instants."""
    row = conn.execute(
        "SELECT 1 FROM tariff_version WHERE tariff_id = ?1 AND since > ?2"
        " AND since <= ?3 AND since > (SELECT min(since) FROM tariff_version"
        "  WHERE tariff_id = ?1) LIMIT 1",
        (tariff_id, to_text(since), to_text(until)),
    ).fetchone()
    return row is not None


def promised_sha256(conn: sqlite3.Connection, session_id: SessionId) -> str | None:
    """Hash of the terms a session was promised."""
    row = conn.execute(
        "SELECT tariff_sha256 FROM session_tariff WHERE session_id = ?", (session_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def promised_tariff(conn: sqlite3.Connection, session_id: SessionId) -> Tariff | None:
    """The terms a session was promised."""
    row = conn.execute(
        "SELECT document FROM session_tariff JOIN tariff_snapshot"
        " ON sha256 = tariff_sha256 WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    return None if row is None else _tariff(row[0])


def registers_of(
    conn: sqlite3.Connection, session_id: SessionId
) -> list[RegisterPoint]:
    """All registers sampled in a session, in order of the station's time."""
    rows = conn.execute(
        f"SELECT sampled_at, register_milliwh FROM reading {OF_SESSION}"  # noqa: S608 - a constant clause
        " AND register_milliwh IS NOT NULL"
        " ORDER BY sampled_at, register_milliwh",
        (session_id,),
    )
    return [
        RegisterPoint(at=datetime.fromisoformat(at), register_milliwh=register)
        for at, register in rows
    ]


def sealed_registers(conn: sqlite3.Connection, session_id: SessionId) -> set[int]:
    """Registers of a session's samples that a leaf of the log shows."""
    rows = conn.execute(
        f"SELECT register_milliwh FROM reading {OF_SESSION}"  # noqa: S608 - a constant clause
        " AND leaf_index IS NOT NULL"
        " AND register_milliwh IS NOT NULL",
        (session_id,),
    )
    return {row[0] for row in rows}


def sessions_to_judge(conn: sqlite3.Connection, limit: int = 500) -> list[SessionId]:
    """Ended sessions without a bill, oldest first."""
    rows = conn.execute(
        "SELECT session_id FROM session WHERE phase = 'ended' AND NOT EXISTS"
        " (SELECT 1 FROM bill WHERE bill.session_id = session.session_id)"
        " ORDER BY ended_at LIMIT ?",
        (limit,),
    )
    return [SessionId(row[0]) for row in rows]


def find_bill(conn: sqlite3.Connection, session_id: SessionId) -> BillRow | None:
    """What became of a session's energy; ``None`` while it is not judged."""
    row = conn.execute(BILL_BY_SESSION, (session_id,)).fetchone()
    return None if row is None else bill_of_row(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bill in the form in which it is stored; it may be long.

    Attributes:
        document: As JSON.
        text: Canonical.
    """

    bill: Bill
    document: dict[str, object]
    text: str

    @classmethod
    def of(cls, bill: Bill) -> "Draft":
        """Write it out."""
        document = bill.to_json()
        return cls(bill=bill, document=document, text=canonical_json(document))


def bill_mark(conn: sqlite3.Connection, session_id: SessionId) -> tuple[Any, ...]:
    """What differs as soon as a bill does; empty while there is none."""
    row = conn.execute(
        "SELECT status, verdict, reasons, bill_sha256, decided_at FROM bill"
        " WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    return () if row is None else tuple(row)


def put_bill(
    conn: sqlite3.Connection,
    session_id: SessionId,
    *,
    verdict: str,
    reasons: tuple[str, ...],
    draft: Draft | None,
    decided_at: datetime,
    decided_by: str,
    settlement: tuple[int, bytes] | None = None,
) -> BillRow:
    """Write a bill, held, or settled once and for all, and return its row.

    Args:
        conn: The writer's connection.
        session_id: The session.
        verdict: On its energy.
        reasons: Why it is held, or what was noted.
        draft: The bill or a proposal.
        decided_at: Site time.
        decided_by: ``system`` or an operator's token.
        settlement: Index of the settlement leaf and the session's key: settled.

    Raises:
        sqlite3.IntegrityError: The session is settled already.
    """
    bill = None if draft is None else draft.bill
    text = None if draft is None else draft.text
    leaf_index, key = (None, None) if settlement is None else settlement
    status = "held" if settlement is None else "settled"
    values = (
        status,
        verdict,
        json.dumps(list(reasons)),
        None if bill is None else bill.energy_milliwh,
        None if bill is None else bill.amount_minor,
        None if bill is None else bill.currency,
        text,
        None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        None if bill is None else bill.tariff_sha256,
        leaf_index,
        key,
        to_text(decided_at),
        decided_by,
        session_id,
    )
    changed = conn.execute(
        "UPDATE bill SET status = ?, verdict = ?, reasons = ?, energy_milliwh = ?,"
        " amount_minor = ?, currency = ?, document = ?, bill_sha256 = ?,"
        " tariff_sha256 = ?, settlement_leaf_index = ?, session_key = ?,"
        " decided_at = ?, decided_by = ? WHERE session_id = ?",
        values,
    )
    if changed.rowcount == 0:
        conn.execute(
            "INSERT INTO bill (status, verdict, reasons, energy_milliwh, amount_minor,"
            " currency, document, bill_sha256, tariff_sha256, settlement_leaf_index,"
            " session_key, decided_at, decided_by, session_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
    return BillRow(
        session_id=session_id,
        status=status,
        verdict=verdict,
        reasons=reasons,
        energy_milliwh=None if bill is None else bill.energy_milliwh,
        amount_minor=None if bill is None else bill.amount_minor,
        currency=None if bill is None else bill.currency,
        document=None if draft is None else draft.document,
        tariff_sha256=None if bill is None else bill.tariff_sha256,
        settlement_leaf_index=leaf_index,
        session_key=key,
        decided_at=decided_at,
        decided_by=decided_by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the store holds: ended sessions, their energy, settled bills."""

    sessions: int
    energy_milliwh: int
    bills: int


def totals(conn: sqlite3.Connection) -> Totals:
    """Count ended sessions and settled bills."""
    sessions, energy_milliwh = conn.execute(
        "SELECT count(*), coalesce(sum(max(0, register_end_milliwh"
        " - register_start_milliwh)), 0) FROM session WHERE phase = 'ended'"
    ).fetchone()
    (bills,) = conn.execute(
        "SELECT count(*) FROM bill WHERE status = 'settled'"
    ).fetchone()
    return Totals(sessions=sessions, energy_milliwh=energy_milliwh, bills=bills)


def bill_of_row(row: tuple[Any, ...]) -> BillRow:
    """Read a row as `BILL_BY_SESSION` selects it."""
    return BillRow(
        session_id=SessionId(row[0]),
        status=row[1],
        verdict=row[2],
        reasons=tuple(json.loads(row[3])),
        energy_milliwh=row[4],
        amount_minor=row[5],
        currency=row[6],
        document=None if row[7] is None else json.loads(row[7]),
        tariff_sha256=row[8],
        settlement_leaf_index=row[9],
        session_key=row[10],
        decided_at=datetime.fromisoformat(row[11]),
        decided_by=row[12],
    )


def _terms_of(
    conn: sqlite3.Connection, tariff_id: str | None, at: datetime
) -> str | None:
    """What a tariff said at an instant; ``None``: there is no such tariff now."""
    row = conn.execute(
        "SELECT coalesce((SELECT document FROM tariff_version"
        "  WHERE tariff_id = ?1 AND since <= ?2 ORDER BY since DESC LIMIT 1),"
        " (SELECT document FROM tariff_version"
        "  WHERE tariff_id = ?1 ORDER BY since LIMIT 1), document)"
        " FROM tariff WHERE tariff_id = ?1",
        (tariff_id, to_text(at)),
    ).fetchone()
    return None if row is None else str(row[0])


@lru_cache(maxsize=MAX_TARIFFS)  # the same few, and they never change
def _tariff(snapshot: str) -> Tariff:
    return Tariff.from_snapshot(json.loads(snapshot))


def _stored(row: tuple[str, str, str]) -> StoredTariff:
    return StoredTariff(
        tariff=_tariff(row[0]),
        source=row[1],
        updated_at=datetime.fromisoformat(row[2]),
    )
