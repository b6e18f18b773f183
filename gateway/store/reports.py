"""Answers in pages: kept page by page, taken over only when they are whole.

Pages may come in any order and more than once; a report is complete when its last page
and all before it (from 0 on) are there. It replaces what was known, or is merged into
it, in the transaction that stores its last missing page. Functions over a connection.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from gateway.store.times import to_text

REQUESTS = "request"
"""Name of the counter that request ids are drawn from."""
REPORT_STATE: Final = (
    "SELECT state FROM report WHERE station_id = ? AND kind = ? AND request_id = ?"
)
MAX_PAGES: Final = 5_000
"""Pages kept of one report; every further one costs a look at all of them."""


class Kind(StrEnum):
    """What a report is about; request ids are told apart by kind."""

    DEVICE = "device"
    MONITORS = "monitors"
    DISPLAYS = "displays"
    CUSTOMER = "customer"
    PROFILES = "profiles"


class State(StrEnum):
    """How far a report has come; ``incomplete`` may still become ``complete``."""

    ASKED = "asked"
    RECEIVING = "receiving"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a station is asked for.

    Attributes:
        base: ``FullInventory`` and such; ``None``: by criteria.
        is_whole: No filter: what is not in the answer does not exist.
        asked: The request's payload, without personal data.
    """

    station_id: str
    kind: Kind
    request_id: int
    base: str | None
    is_whole: bool
    asked: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One message of an answer.

    Attributes:
        sequence: ``None`` where the message has none: the order of arrival counts.
    """

    station_id: str
    kind: Kind
    request_id: int
    sequence: int | None
    is_last: bool
    body: Mapping[str, Any]
    received_at: datetime
    generated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A complete report: its pages in order."""

    station_id: str
    kind: Kind
    request_id: int
    base: str | None
    is_whole: bool
    bodies: tuple[Mapping[str, Any], ...]
    at: datetime

    def listed(self, member: str) -> list[dict[str, Any]]:
        """The objects of a list member of all pages, in order."""
        found: list[dict[str, Any]] = []
        for body in self.bodies:
            value = body.get(member)
            found += [one for one in value or () if isinstance(one, dict)]
        return found


def next_number(conn: sqlite3.Connection, name: str) -> int:
    """The next number of a counter, from 1 on."""
    row = conn.execute(
        "INSERT INTO counter VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        (name,),
    ).fetchone()
    return int(row[0])


def ask(conn: sqlite3.Connection, request: Request, now: datetime) -> None:
    """Note a request before it is sent; an earlier one of the same id is forgotten."""
    _drop_pages(conn, _key(request))
    conn.execute(
        "INSERT OR REPLACE INTO report (station_id, kind, request_id, state, base,"
        " asked, is_whole, asked_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *_key(request),
            State.ASKED.value,
            request.base,
            json.dumps(request.asked),
            int(request.is_whole),
            to_text(now),
            to_text(now),
        ),
    )


def close(
    conn: sqlite3.Connection,
    request: Request,
    status: str,
    now: datetime,
    *,
    will_follow: bool,
    is_empty: bool,
    take_over: Callable[[sqlite3.Connection, Whole], None],
) -> None:
    """Note what a station answered to a request.

    Args:
        conn: In a transaction.
        request: As noted by `ask`.
        status: The station's word.
        now: Site time.
        will_follow: Pages will come, or came already.
        is_empty: There is nothing to report: complete without a page.
        take_over: Puts a complete report into its tables.
    """
    key = _key(request)
    conn.execute(
        "UPDATE report SET status = ? WHERE station_id = ? AND kind = ?"
        " AND request_id = ?",
        (status, *key),
    )
    if will_follow:
        return
    state = State.COMPLETE if is_empty else State.REFUSED
    changed = conn.execute(
        "UPDATE report SET state = ?, updated_at = ?"
        " WHERE station_id = ? AND kind = ? AND request_id = ? AND state = 'asked'",
        (state.value, to_text(now), *key),
    )
    whole = _whole(conn, key, now)
    if is_empty and changed.rowcount and whole is not None and whole.base is None:
        take_over(conn, whole)


def add_page(conn: sqlite3.Connection, page: Page) -> tuple[bool, Whole | None]:
    """Keep a page; one of a report that has too many is left out.

    Returns:
        Whether it is new, and the report if this page makes it complete.
    """
    key = _key(page)
    text = json.dumps(page.body, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = conn.execute(
        "SELECT state FROM report WHERE station_id = ? AND kind = ? AND request_id = ?",
        key,
    ).fetchone()
    state = None if row is None else State(row[0])
    if _is_known(conn, key, page.sequence, digest):
        return False, None
    if state in {State.COMPLETE, State.READ}:  # the station uses the id once more
        _drop_pages(conn, key)
    elif _count_pages(conn, key) >= MAX_PAGES:
        return False, None
    conn.execute(
        "INSERT INTO report (station_id, kind, request_id, state, generated_at,"
        " updated_at) VALUES (?, ?, ?, 'receiving', ?, ?) ON CONFLICT DO UPDATE SET"
        " state = 'receiving', generated_at = excluded.generated_at,"
        " updated_at = excluded.updated_at",
        (
            *key,
            None if page.generated_at is None else to_text(page.generated_at),
            to_text(page.received_at),
        ),
    )
    sequence = _next_sequence(conn, key) if page.sequence is None else page.sequence
    conn.execute(
        "INSERT OR REPLACE INTO report_page VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*key, sequence, int(page.is_last), digest, text),
    )
    if not _is_complete(conn, key):
        return True, None
    return True, _whole(conn, key, page.received_at)


def taken_over(conn: sqlite3.Connection, whole: Whole, *, keeps_pages: bool) -> None:
    """A complete report is in the tables: its pages are needed no longer."""
    key = (whole.station_id, whole.kind.value, whole.request_id)
    conn.execute(
        "UPDATE report SET state = 'complete', updated_at = ?"
        " WHERE station_id = ? AND kind = ? AND request_id = ?",
        (to_text(whole.at), *key),
    )
    if not keeps_pages:
        conn.execute(
            "UPDATE report_page SET body = NULL"
            " WHERE station_id = ? AND kind = ? AND request_id = ?",
            key,
        )


def expire(conn: sqlite3.Connection, before: datetime, now: datetime) -> int:
    """Flag reports of which nothing came since ``before``; how many."""
    cursor = conn.execute(
        "UPDATE report SET state = 'incomplete', updated_at = ?"
        " WHERE state IN ('asked', 'receiving') AND updated_at < ?",
        (to_text(now), to_text(before)),
    )
    return cursor.rowcount


def give_up(
    conn: sqlite3.Connection,
    station_id: str,
    kind: Kind,
    request_id: int,
    now: datetime,
) -> None:
    """Flag a report that nobody waits for any more."""
    conn.execute(
        "UPDATE report SET state = 'incomplete', updated_at = ?"
        " WHERE station_id = ? AND kind = ? AND request_id = ?"
        " AND state IN ('asked', 'receiving')",
        (to_text(now), station_id, kind.value, request_id),
    )


def take_text(
    conn: sqlite3.Connection, station_id: str, request_id: int
) -> tuple[str, str] | None:
    """State and text of a customer report; a complete one is deleted by this.

    Returns:
        ``None`` for an unknown one.
    """
    key = (station_id, Kind.CUSTOMER.value, request_id)
    row = conn.execute(
        "SELECT state FROM report WHERE station_id = ? AND kind = ? AND request_id = ?",
        key,
    ).fetchone()
    if row is None:
        return None
    pages = conn.execute(
        "SELECT body FROM report_page WHERE station_id = ? AND kind = ?"
        " AND request_id = ? AND body IS NOT NULL ORDER BY sequence",
        key,
    ).fetchall()
    text = "".join(str(json.loads(page[0]).get("data", "")) for page in pages)
    if row[0] == State.COMPLETE.value:
        forget_text(conn, station_id, request_id)
    return str(row[0]), text


def forget_text(conn: sqlite3.Connection, station_id: str, request_id: int) -> bool:
    """Delete what a customer report says; whether there was one."""
    key = (station_id, Kind.CUSTOMER.value, request_id)
    _drop_pages(conn, key)
    cursor = conn.execute(
        "UPDATE report SET state = 'read' WHERE station_id = ? AND kind = ?"
        " AND request_id = ?",
        key,
    )
    return cursor.rowcount > 0


def _key(named: Request | Page) -> tuple[str, str, int]:
    return (named.station_id, named.kind.value, named.request_id)


def _drop_pages(conn: sqlite3.Connection, key: tuple[str, str, int]) -> None:
    conn.execute(
        "DELETE FROM report_page WHERE station_id = ? AND kind = ? AND request_id = ?",
        key,
    )


def _is_known(
    conn: sqlite3.Connection,
    key: tuple[str, str, int],
    sequence: int | None,
    digest: str,
) -> bool:
    place, value = ("digest", digest) if sequence is None else ("sequence", sequence)
    found = conn.execute(
        "SELECT 1 FROM report_page WHERE station_id = ? AND kind = ?"  # noqa: S608 - one of two names
        f" AND request_id = ? AND {place} = ? AND digest = ?",
        (*key, value, digest),
    ).fetchone()
    return found is not None


def _count_pages(conn: sqlite3.Connection, key: tuple[str, str, int]) -> int:
    row = conn.execute(
        "SELECT count(*) FROM report_page WHERE station_id = ? AND kind = ?"
        " AND request_id = ?",
        key,
    ).fetchone()
    return int(row[0])


def _next_sequence(conn: sqlite3.Connection, key: tuple[str, str, int]) -> int:
    row = conn.execute(
        "SELECT coalesce(max(sequence), -1) + 1 FROM report_page"
        " WHERE station_id = ? AND kind = ? AND request_id = ?",
        key,
    ).fetchone()
    return int(row[0])


def _is_complete(conn: sqlite3.Connection, key: tuple[str, str, int]) -> bool:
    (last,) = conn.execute(
        "SELECT min(sequence) FROM report_page WHERE station_id = ? AND kind = ?"
        " AND request_id = ? AND is_last = 1",
        key,
    ).fetchone()
    if last is None:
        return False
    (n_page,) = conn.execute(
        "SELECT count(*) FROM report_page WHERE station_id = ? AND kind = ?"
        " AND request_id = ? AND sequence BETWEEN 0 AND ?",
        (*key, last),
    ).fetchone()
    return bool(n_page == last + 1)


def _whole(
    conn: sqlite3.Connection, key: tuple[str, str, int], at: datetime
) -> Whole | None:
    row = conn.execute(
        "SELECT base, is_whole FROM report"
        " WHERE station_id = ? AND kind = ? AND request_id = ?",
        key,
    ).fetchone()
    if row is None:
        return None
    pages = conn.execute(
        "SELECT body FROM report_page WHERE station_id = ? AND kind = ?"
        " AND request_id = ? ORDER BY sequence",
        key,
    )
    return Whole(
        station_id=key[0],
        kind=Kind(key[1]),
        request_id=key[2],
        base=row[0],
        is_whole=bool(row[1]),
        bodies=tuple(json.loads(page[0]) for page in pages if page[0] is not None),
        at=at,
    )
