"""Rows of known tokens; functions over a connection, to be run by the writer."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import IdToken, StationId
from gateway.domain.week_times import WeekTime, to_words, week_time
from gateway.store.times import optional_text, optional_time, to_text

_RULES: Final = (
    "status, expires_at, group_id, max_sessions, stations, evse_ids, language,"
    " language_2, personal_message, allowed_times, evse_types, contract_id,"
    " may_pause"
)
_PUT: Final = (
    f"INSERT OR REPLACE INTO id_token (token_key, kind, value, updated_at, {_RULES})"  # noqa: S608 - constant columns
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A known token, as the rules need it.

    Attributes:
        max_sessions: How many transactions at once; ``None`` for the site's default.
        stations: Where it may charge; ``None`` for everywhere.
        evse_ids: The only EVSEs of those stations; ``None`` for all.
        language: RFC 5646, of what its driver is told; ``language_2`` is second choice.
        allowed_times: When it may charge, local time; ``None`` for always.
        evse_types: ``AC`` or ``DC``: the only EVSEs; ``None`` for all.
        contract_id: Of the contract behind it, as its provider names it.
        may_pause: False: plans do not pause its sessions once they charge.
    """

    status: str
    expires_at: datetime | None = None
    group_id: str | None = None
    max_sessions: int | None = None
    stations: frozenset[str] | None = None
    evse_ids: tuple[int, ...] | None = None
    language: str | None = None
    language_2: str | None = None
    personal_message: str | None = None
    allowed_times: tuple[WeekTime, ...] | None = None
    evse_types: tuple[str, ...] | None = None
    contract_id: str | None = None
    may_pause: bool = True

    def may_charge_at(self, station_id: StationId) -> bool:
        """Whether the station is one of the token's."""
        return self.stations is None or station_id in self.stations


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """A token with its rules; ``kind`` empty for any type."""

    value: str
    kind: str
    row: TokenRow


def put(
    conn: sqlite3.Connection,
    *,
    value: str,
    status: str,
    now: datetime,
    kind: str = "",
    expires_at: datetime | None = None,
    group_id: str | None = None,
    max_sessions: int | None = None,
    stations: tuple[str, ...] | None = None,
    evse_ids: tuple[int, ...] | None = None,
    language: str | None = None,
    language_2: str | None = None,
    personal_message: str | None = None,
    allowed_times: tuple[WeekTime, ...] | None = None,
    evse_types: tuple[str, ...] | None = None,
    contract_id: str | None = None,
    may_pause: bool = True,
) -> None:
    """Make a token known, or change it; the other members are those of `TokenRow`.

    Args:
        conn: The writer's connection.
        value: As presented; compares without case.
        status: ``Accepted``, ``Blocked``, ``Expired``, ``Invalid`` or ``NoCredit``.
        now: Site time.
        kind: 2.0.1 token type the entry is for; empty for any.
        expires_at: From then on it counts as expired; may lie in the past.
        group_id: Told to stations, which let members end each other's sessions.
        max_sessions: Transactions at once; ``None`` for the site's default.
        stations: The only stations; ``None`` for all.
        evse_ids: The only EVSEs; ``None`` for all.
        language: Of what the driver is told.
        language_2: Second choice.
        personal_message: Shown to the driver by 2.0.1 stations.
        allowed_times: When it may charge; ``None`` for always.
        evse_types: ``AC`` or ``DC``; ``None`` for both.
        contract_id: Of the contract behind it; in charge detail records only.
        may_pause: False: plans do not pause its sessions once they charge.
    """
    conn.execute(
        _PUT,
        (
            value.casefold(),
            kind,
            value,
            to_text(now),
            status,
            optional_text(expires_at),
            group_id,
            max_sessions,
            None if stations is None else json.dumps(sorted(stations)),
            None if evse_ids is None else json.dumps(sorted(evse_ids)),
            language,
            language_2,
            personal_message,
            None
            if allowed_times is None
            else json.dumps([to_words(one) for one in allowed_times]),
            None if evse_types is None else json.dumps(sorted(evse_types)),
            contract_id,
            int(may_pause),
        ),
    )


def delete(conn: sqlite3.Connection, value: str, kind: str | None = None) -> bool:
    """Forget a token, of one type or of all; returns whether it was known."""
    cursor = conn.execute(
        "DELETE FROM id_token WHERE token_key = ?1 AND (?2 IS NULL OR kind = ?2)",
        (value.casefold(), kind),
    )
    return cursor.rowcount > 0


def find(conn: sqlite3.Connection, token: IdToken) -> TokenRow | None:
    """The entry for a token: of its own type first, else the one for any type.

    A token whose type the station could not say (OCPP 1.6) matches any entry.
    """
    kind = token.kind or ""
    row = conn.execute(
        f"SELECT {_RULES} FROM id_token"  # noqa: S608 - constant columns
        " WHERE token_key = ?1 AND (?2 = '' OR kind IN (?2, ''))"
        " ORDER BY kind = ?2 DESC, kind LIMIT 1",
        (token.key, kind),
    ).fetchone()
    return None if row is None else _row(row)


def all_tokens(conn: sqlite3.Connection) -> list[KnownToken]:
    """Every known token, by value."""
    rows = conn.execute(
        f"SELECT value, kind, {_RULES} FROM id_token ORDER BY token_key, kind"  # noqa: S608 - constant columns
    )
    return [KnownToken(value=row[0], kind=row[1], row=_row(row[2:])) for row in rows]


def open_sessions(
    conn: sqlite3.Connection, token: IdToken, *, besides: str | None
) -> int:
    """How many transactions a token has running, besides one of them."""
    row = conn.execute(
        "SELECT count(*) FROM session WHERE token_key = ? AND phase = 'running'"
        " AND session_id IS NOT ?",
        (token.key, besides),
    ).fetchone()
    return int(row[0])


def is_charging_at(
    conn: sqlite3.Connection, station_id: StationId, token: IdToken, group: str | None
) -> bool:
    """Whether a token, or one of its group, has a transaction running at a station."""
    row = conn.execute(
        "SELECT 1 FROM session WHERE station_id = ?1 AND phase = 'running'"
        " AND (token_key = ?2 OR (?3 IS NOT NULL AND EXISTS ("
        " SELECT 1 FROM id_token AS other WHERE other.token_key = session.token_key"
        " AND other.group_id = ?3))) LIMIT 1",
        (station_id, token.key, group),
    ).fetchone()
    return row is not None


def _row(row: tuple[Any, ...]) -> TokenRow:
    return TokenRow(
        status=row[0],
        expires_at=optional_time(row[1]),
        group_id=row[2],
        max_sessions=row[3],
        stations=None if row[4] is None else frozenset(json.loads(row[4])),
        evse_ids=None if row[5] is None else tuple(json.loads(row[5])),
        language=row[6],
        language_2=row[7],
        personal_message=row[8],
        allowed_times=None if row[9] is None else read_times(json.loads(row[9])),
        evse_types=None if row[10] is None else tuple(json.loads(row[10])),
        contract_id=row[11],
        may_pause=bool(row[12]),
    )


def read_times(stored: list[dict[str, Any]]) -> tuple[WeekTime, ...]:
    """Stretches of the week as they are stored.

    Raises:
        ValueError: One means nothing.
    """
    return tuple(week_time(one["days"], one["from"], one["until"]) for one in stored)
