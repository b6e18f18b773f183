"""API tokens, one-time links and the audit trail, as functions over a connection.

Secrets are 256 random bits, so a plain SHA-256 keeps them; guessing it is guessing
them. Times are real time, not site time: a scaled clock must not age a credential.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.errors import StartupError
from gateway.store.schema import connect, mark_closed, open_database
from gateway.store.times import optional_text, optional_time, to_text

PREFIX: Final = "wp_"
LINK_TTL: Final = timedelta(minutes=30)
SESSION_TTL: Final = timedelta(hours=12)
"""Life of a token that a one-time link was exchanged for."""

TOKEN_COLUMNS: Final = "token_id, role, label, created_at, expires_at, revoked_at"  # noqa: S105 - column names
TOKEN_BY_SHA256: Final = f"SELECT {TOKEN_COLUMNS} FROM api_token WHERE sha256 = ?"  # noqa: S608 - constant columns
"""For readers with a connection of their own; see `token_of_row`."""


class Role(StrEnum):
    """Who may do what; see ``docs/security.md``."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as stored: everything but the secret."""

    token_id: str
    role: Role
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it still opens anything at real time ``now``."""
        is_alive = self.expires_at is None or now < self.expires_at
        return is_alive and self.revoked_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit trail."""

    audit_id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]


def sha256_of(secret: str) -> str:
    """The stored form of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_token(
    conn: sqlite3.Connection,
    *,
    role: Role,
    label: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[str, ApiToken]:
    """Make a token; its secret is returned once and kept nowhere."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        token_id=secrets.token_hex(6),
        role=role,
        label=label,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
    )
    conn.execute(
        "INSERT INTO api_token"
        " (token_id, sha256, role, label, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            token.token_id,
            sha256_of(secret),
            role.value,
            label,
            to_text(now),
            optional_text(expires_at),
        ),
    )
    return secret, token


def create_token_in(path: Path, *, role: Role, label: str, now: datetime) -> str:
    """Make a token over a short connection of its own and return its secret.

    The gateway may be running on the same file: its writer waits for us, or we for it.

    Args:
        path: The database; created if it is not there yet.
        role: What the token may do.
        label: Says whose it is.
        now: Real time.

    Raises:
        StartupError: The database cannot be written.
    """
    try:
        conn = _open(path)
        try:
            conn.execute("BEGIN IMMEDIATE")
            secret, token = create_token(conn, role=role, label=label, now=now)
            audit(
                conn,
                at=now,
                actor="command line",
                action="token.created",
                subject=f"token/{token.token_id}",
                detail={"role": role.value, "label": label},
            )
            conn.execute("COMMIT")
        finally:
            conn.close()
    except sqlite3.Error as error:
        raise StartupError(f"cannot write to {path}: {error}") from error
    return secret


def find_token(conn: sqlite3.Connection, secret: str, now: datetime) -> ApiToken | None:
    """The valid token of a secret."""
    row = conn.execute(TOKEN_BY_SHA256, (sha256_of(secret),)).fetchone()
    token = None if row is None else token_of_row(row)
    return token if token is not None and token.is_valid(now) else None


def token_of_row(row: tuple[str, str, str, str, str | None, str | None]) -> ApiToken:
    """Read a row of `TOKEN_COLUMNS`."""
    return ApiToken(
        token_id=row[0],
        role=Role(row[1]),
        label=row[2],
        created_at=datetime.fromisoformat(row[3]),
        expires_at=optional_time(row[4]),
        revoked_at=optional_time(row[5]),
    )


def tokens(conn: sqlite3.Connection) -> list[ApiToken]:
    """All tokens, newest first."""
    rows = conn.execute(
        f"SELECT {TOKEN_COLUMNS} FROM api_token"  # noqa: S608 - constant columns
        " ORDER BY created_at DESC"
    )
    return [token_of_row(row) for row in rows]


def revoke_token(conn: sqlite3.Connection, token_id: str, now: datetime) -> bool:
    """Take a token back; False if there is none, or it was taken back before."""
    changed = conn.execute(
        "UPDATE api_token SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL",
        (to_text(now), token_id),
    )
    return changed.rowcount > 0


def has_admin(conn: sqlite3.Connection) -> bool:
    """Whether some lasting admin token exists: neither revoked nor ever expiring."""
    row = conn.execute(
        "SELECT 1 FROM api_token"
        " WHERE role = 'admin' AND revoked_at IS NULL AND expires_at IS NULL LIMIT 1"
    ).fetchone()
    return row is not None


def create_link(
    conn: sqlite3.Connection, *, role: Role, now: datetime, ttl: timedelta = LINK_TTL
) -> str:
    """Make a secret that can be exchanged once for a token."""
    secret = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO one_time_link (sha256, role, created_at, expires_at)"
        " VALUES (?, ?, ?, ?)",
        (sha256_of(secret), role.value, to_text(now), to_text(now + ttl)),
    )
    return secret


def redeem_link(
    conn: sqlite3.Connection,
    secret: str,
    now: datetime,
    *,
    ttl: timedelta = SESSION_TTL,
) -> tuple[str, ApiToken] | None:
    """Exchange a link for a token; ``None`` if it is unknown, used or expired."""
    row = conn.execute(
        "UPDATE one_time_link SET used_at = ?"
        " WHERE sha256 = ? AND used_at IS NULL AND expires_at > ? RETURNING role",
        (to_text(now), sha256_of(secret), to_text(now)),
    ).fetchone()
    if row is None:
        return None
    return create_token(
        conn, role=Role(row[0]), label="one-time link", now=now, expires_at=now + ttl
    )


def audit(
    conn: sqlite3.Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, object] | None = None,
) -> int:
    """Add a line to the audit trail and return its number.

    Args:
        conn: The writer's connection, in the transaction of the act itself.
        at: Site time of the act.
        actor: ``token_id`` of the caller, or ``system``.
        action: ``noun.past``, e.g. ``limit.set``.
        subject: What it was done to, e.g. ``cabinet/A``.
        detail: JSON-ready; never a secret.
    """
    text = json.dumps(detail or {}, ensure_ascii=False, sort_keys=True)
    cursor = conn.execute(
        "INSERT INTO audit (at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        (to_text(at), actor, action, subject, text),
    )
    assert cursor.lastrowid is not None, "an INSERT sets lastrowid"
    return cursor.lastrowid


def audit_entries(
    conn: sqlite3.Connection, *, limit: int = 100, before: int | None = None
) -> list[AuditEntry]:
    """The newest lines, or those before a number."""
    rows = conn.execute(
        "SELECT audit_id, at, actor, action, subject, detail FROM audit"
        " WHERE ? IS NULL OR audit_id < ? ORDER BY audit_id DESC LIMIT ?",
        (before, before, limit),
    )
    return [
        AuditEntry(
            audit_id=row[0],
            at=datetime.fromisoformat(row[1]),
            actor=row[2],
            action=row[3],
            subject=row[4],
            detail=json.loads(row[5]),
        )
        for row in rows
    ]


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a database with our tables; migrates only if they lack."""
    if path.exists():
        conn = connect(path)
        has_table = "SELECT 1 FROM sqlite_master WHERE name = 'api_token'"
        if conn.execute(has_table).fetchone() is not None:
            return conn
        conn.close()
    conn = open_database(path)
    mark_closed(conn)
    return conn
