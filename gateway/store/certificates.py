"""Rows of certificates: issued by us, listed by stations, seen on their way."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.certificates import (
    CertificateHash,
    CertificateKind,
    CertificateUse,
    ListedCertificate,
)
from gateway.domain.ids import StationId
from gateway.store.times import from_text, to_text

MAX_KNOWN: Final = 10_000
"""Certificates remembered by their PEM; the oldest make room."""

ISSUED_COLUMNS: Final = (
    "fingerprint, station_id, use, serial, subject, not_before, not_after, chain,"
    " status, issued_at, changed_at"
)
ISSUED_TO: Final = (
    f"SELECT {ISSUED_COLUMNS} FROM issued_certificate WHERE station_id = ?"  # noqa: S608 - constant
    " ORDER BY issued_at DESC, fingerprint LIMIT ?"
)
ISSUED_BY_FINGERPRINT: Final = (
    f"SELECT {ISSUED_COLUMNS} FROM issued_certificate WHERE fingerprint = ?"  # noqa: S608 - constant
)
INSTALLED: Final = (
    f"SELECT {ISSUED_COLUMNS} FROM issued_certificate WHERE status = 'installed'"  # noqa: S608 - constant
    " ORDER BY not_after"
)
LISTED: Final = (
    "SELECT kind, hash_algorithm, issuer_name_hash, issuer_key_hash, serial_number,"
    " children, told_at FROM listed_certificate WHERE station_id = ?"
    " ORDER BY kind, serial_number, hash_algorithm"
)
KNOWN_BY_SERIAL: Final = (
    "SELECT pem FROM known_certificate WHERE serial = ? ORDER BY fingerprint"
)
KNOWN_BY_SUBJECT: Final = (
    "SELECT pem FROM known_certificate WHERE subject = ? ORDER BY fingerprint"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate that our authority signed.

    Attributes:
        fingerprint: SHA-256 of its DER form, hexadecimal.
        chain: PEM, leaf first, as sent to the station.
        status: ``issued`` (the station has not answered), ``installed``, ``rejected``,
            or ``superseded`` by a newer one that the station installed.
    """

    fingerprint: str
    station_id: StationId
    use: CertificateUse
    serial: str
    subject: str
    not_before: datetime
    not_after: datetime
    chain: str
    status: str
    issued_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCertificate:
    """A certificate whose PEM we have seen."""

    fingerprint: str
    serial: str
    subject: str
    not_after: datetime
    pem: str


def put_issued(conn: sqlite3.Connection, row: IssuedCertificate) -> None:
    """Keep a new certificate; one that is known keeps its row."""
    conn.execute(
        f"INSERT OR IGNORE INTO issued_certificate ({ISSUED_COLUMNS})"  # noqa: S608 - constant
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.fingerprint,
            row.station_id,
            row.use.value,
            row.serial,
            row.subject,
            to_text(row.not_before),
            to_text(row.not_after),
            row.chain,
            row.status,
            to_text(row.issued_at),
            to_text(row.changed_at),
        ),
    )


def set_status(
    conn: sqlite3.Connection, fingerprint: str, status: str, at: datetime
) -> None:
    """What became of a certificate; an installed one supersedes the earlier ones."""
    conn.execute(
        "UPDATE issued_certificate SET status = ?, changed_at = ?"
        " WHERE fingerprint = ? AND status <> ?",
        (status, to_text(at), fingerprint, status),
    )
    if status == "installed":
        conn.execute(
            "UPDATE issued_certificate SET status = 'superseded', changed_at = ?1"
            " WHERE status = 'installed' AND fingerprint <> ?2 AND (station_id, use) ="
            " (SELECT station_id, use FROM issued_certificate WHERE fingerprint = ?2)",
            (to_text(at), fingerprint),
        )


def issued_of_row(row: tuple[Any, ...]) -> IssuedCertificate:
    """A row of `ISSUED_COLUMNS`."""
    return IssuedCertificate(
        fingerprint=row[0],
        station_id=StationId(row[1]),
        use=CertificateUse(row[2]),
        serial=row[3],
        subject=row[4],
        not_before=from_text(row[5]),
        not_after=from_text(row[6]),
        chain=row[7],
        status=row[8],
        issued_at=from_text(row[9]),
        changed_at=from_text(row[10]),
    )


def replace_listing(
    conn: sqlite3.Connection,
    station_id: StationId,
    kinds: Sequence[CertificateKind],
    entries: Iterable[ListedCertificate],
    at: datetime,
) -> None:
    """What a station holds of some kinds, completely, as it has just told."""
    for kind in kinds:
        conn.execute(
            "DELETE FROM listed_certificate WHERE station_id = ? AND kind = ?",
            (station_id, kind.value),
        )
        conn.execute(
            "INSERT OR REPLACE INTO certificate_listing VALUES (?, ?, ?)",
            (station_id, kind.value, to_text(at)),
        )
    for entry in entries:
        _add_listed(conn, station_id, entry, at)


def add_listed(
    conn: sqlite3.Connection,
    station_id: StationId,
    entry: ListedCertificate,
    at: datetime,
) -> None:
    """A certificate that the station has just taken, unless a listing names it."""
    known = conn.execute(
        "SELECT 1 FROM listed_certificate WHERE station_id = ? AND kind = ?"
        " AND ltrim(lower(serial_number), '0') = ?",
        (station_id, entry.kind.value, entry.hash.key[3]),
    ).fetchone()
    if known is None:
        _add_listed(conn, station_id, entry, at)


def remove_listed(
    conn: sqlite3.Connection, station_id: StationId, hashed: CertificateHash
) -> None:
    """A certificate that the station no longer has."""
    conn.execute(
        "DELETE FROM listed_certificate WHERE station_id = ? AND hash_algorithm = ?"
        " AND lower(issuer_name_hash) = ? AND lower(issuer_key_hash) = ?"
        " AND ltrim(lower(serial_number), '0') = ltrim(?, '0')",
        (station_id, *hashed.key),
    )


def listed_of_row(row: tuple[Any, ...]) -> tuple[ListedCertificate, datetime]:
    """A row of `LISTED`: the entry, and when the station told of it."""
    entry = ListedCertificate(
        kind=CertificateKind(row[0]),
        hash=CertificateHash(
            algorithm=row[1],
            issuer_name_hash=row[2],
            issuer_key_hash=row[3],
            serial_number=row[4],
        ),
        children=tuple(
            CertificateHash(
                algorithm=child[0],
                issuer_name_hash=child[1],
                issuer_key_hash=child[2],
                serial_number=child[3],
            )
            for child in json.loads(row[5])
        ),
    )
    return entry, from_text(row[6])


def put_known(conn: sqlite3.Connection, row: KnownCertificate, at: datetime) -> None:
    """Remember a certificate; far too many make the oldest go."""
    conn.execute(
        "INSERT OR REPLACE INTO known_certificate VALUES (?, ?, ?, ?, ?, ?)",
        (
            row.fingerprint,
            row.serial,
            row.subject,
            to_text(row.not_after),
            row.pem,
            to_text(at),
        ),
    )
    conn.execute(
        "DELETE FROM known_certificate WHERE fingerprint IN (SELECT fingerprint"
        " FROM known_certificate ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
        (MAX_KNOWN,),
    )


def _add_listed(
    conn: sqlite3.Connection,
    station_id: StationId,
    entry: ListedCertificate,
    at: datetime,
) -> None:
    children = [
        (c.algorithm, c.issuer_name_hash, c.issuer_key_hash, c.serial_number)
        for c in entry.children
    ]
    conn.execute(
        "INSERT OR REPLACE INTO listed_certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            entry.kind.value,
            entry.hash.algorithm,
            entry.hash.issuer_name_hash,
            entry.hash.issuer_key_hash,
            entry.hash.serial_number,
            json.dumps(children),
            to_text(at),
        ),
    )
