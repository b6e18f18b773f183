"""Addresses of drivers on the ledger's chain, by id token."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.store.times import from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """Where the flexibility of a token's sessions is credited.

    Attributes:
        address: In lower-case hex, with prefix.
    """

    token: str
    address: str
    updated_at: datetime


def put(conn: sqlite3.Connection, token: str, address: str, now: datetime) -> None:
    """Keep the address of a token, in place of one before."""
    conn.execute(
        "INSERT OR REPLACE INTO driver_wallet (token_key, address, updated_at)"
        " VALUES (?, ?, ?)",
        (token.casefold(), address.lower(), to_text(now)),
    )


def delete(conn: sqlite3.Connection, token: str) -> bool:
    """Forget the address of a token; whether there was one."""
    done = conn.execute(
        "DELETE FROM driver_wallet WHERE token_key = ?", (token.casefold(),)
    )
    return done.rowcount > 0


def of_token(conn: sqlite3.Connection, token: str | None) -> Wallet | None:
    """The address of a token."""
    row = conn.execute(
        "SELECT token_key, address, updated_at FROM driver_wallet WHERE token_key = ?",
        (None if token is None else token.casefold(),),
    ).fetchone()
    if row is None:
        return None
    return Wallet(token=row[0], address=row[1], updated_at=from_text(row[2]))
