"""What charge detail records are made of: rows of settled sessions."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import IdToken, SessionId
from gateway.domain.session import Session
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff import Tariff
from gateway.store import money, sessions, signed, tokens
from gateway.store.times import from_text, to_text

_IN_WINDOW: Final = "decided_at >= coalesce(?1, '') AND decided_at < coalesce(?2, '~')"
"""Without a bound, what is before or after all times; an index is entered by it."""
_WINDOW: Final = (
    " FROM (SELECT decided_at, session_id, 0 AS place FROM bill"  # noqa: S608 - constant clauses
    f"  WHERE status = 'settled' AND {_IN_WINDOW}"
    " UNION ALL SELECT decided_at, session_id, 2 * ordinal - 1 FROM credit"
    f"  WHERE {_IN_WINDOW}"
    " UNION ALL SELECT decided_at, session_id, 2 * ordinal FROM credit"
    f"  WHERE {_IN_WINDOW})"
)
"""A bill has one record, and each of its credits two more."""
_FIXED_AT: Final = "SELECT fixed_at FROM session_tariff WHERE session_id = ?"
_IS_COMMANDED: Final = (
    "SELECT 1 FROM session WHERE session_id = ?1 AND (remote_start_id IS NOT NULL"
    " OR EXISTS (SELECT 1 FROM command WHERE command.station_id = session.station_id"
    " AND state = 'effected' AND detail = ?1))"
)
_CONNECTOR: Final = (
    "SELECT value FROM device_variable WHERE station_id = ?1 AND component = ?2"
    " AND variable = 'ConnectorType' AND attribute = 'Actual'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A session with a settled bill.

    Attributes:
        contract_id: Behind its token, as it is known now.
        is_commanded: Started from afar.
        connector_type: As its 2.0.1 station says it.
        signed_texts: Its signed records, unless they speak against the session.
        key: Curve and point of the key they were checked with.
        meter_serial: Of the meter that signed, or of the one whose key is pinned.
    """

    session: Session
    started_at: datetime
    ended_at: datetime
    document: Mapping[str, Any]
    settled_at: datetime
    tariff: Tariff
    tariff_fixed_at: datetime
    contract_id: str | None
    is_commanded: bool
    connector_type: str | None
    signed_texts: tuple[str, ...]
    key: tuple[str, str] | None
    meter_serial: str | None


def count(
    conn: sqlite3.Connection, since: datetime | None, before: datetime | None
) -> int:
    """How many records became final in a window; ``before`` is outside of it."""
    found = conn.execute(f"SELECT count(*){_WINDOW}", _texts(since, before))
    return int(found.fetchone()[0])


def page(
    conn: sqlite3.Connection,
    since: datetime | None,
    before: datetime | None,
    *,
    offset: int,
    limit: int,
) -> list[tuple[SessionId, int]]:
    """Records that became final in a window: whose, and which of the session's."""
    rows = conn.execute(
        f"SELECT session_id, place{_WINDOW}"
        " ORDER BY decided_at, session_id, place LIMIT ?3 OFFSET ?4",
        (*_texts(since, before), limit, offset),
    )
    return [(SessionId(row[0]), row[1]) for row in rows]


def find(conn: sqlite3.Connection, session: Session) -> Settled | None:
    """A session with all that a record says; ``None`` without a settled bill."""
    session_id = session.session_id
    bill = money.find_bill(conn, session_id)
    tariff = money.promised_tariff(conn, session_id)
    starts, ends = session.started_at, session.ended_at
    if bill is None or bill.status != "settled" or bill.document is None:
        return None
    if tariff is None or starts is None or ends is None:
        return None
    texts, key, meter_serial = _signed(conn, session)
    return Settled(
        session=session,
        started_at=starts,
        ended_at=ends,
        document=bill.document,
        settled_at=bill.decided_at,
        tariff=tariff,
        tariff_fixed_at=from_text(conn.execute(_FIXED_AT, (session_id,)).fetchone()[0]),
        contract_id=_contract(conn, session),
        is_commanded=conn.execute(_IS_COMMANDED, (session_id,)).fetchone() is not None,
        connector_type=_connector_type(conn, session),
        signed_texts=texts,
        key=key,
        meter_serial=meter_serial,
    )


def session_of(conn: sqlite3.Connection, session_id: SessionId) -> Session | None:
    """The session itself."""
    return sessions.by_id(conn, session_id)


def _texts(
    since: datetime | None, before: datetime | None
) -> tuple[str | None, str | None]:
    return (
        None if since is None else to_text(since),
        None if before is None else to_text(before),
    )


def _contract(conn: sqlite3.Connection, session: Session) -> str | None:
    if not session.id_token:
        return None
    presented = IdToken(value=session.id_token, kind=session.token_kind)
    row = tokens.find(conn, presented)
    return None if row is None else row.contract_id


def _connector_type(conn: sqlite3.Connection, session: Session) -> str | None:
    place = f"evse{session.evse_id}"
    for component in (
        f"{place}.{session.connector_id}/Connector",
        f"{place}/Connector",
    ):
        row = conn.execute(_CONNECTOR, (session.station_id, component)).fetchone()
        if row is not None and row[0] is not None:
            return str(row[0])
    return None


def _signed(
    conn: sqlite3.Connection, session: Session
) -> tuple[tuple[str, ...], tuple[str, str] | None, str | None]:
    """Records that do not speak against the session, their key, the meter's serial."""
    pinned = signed.pinned(conn, session.station_id, session.evse_id)
    serial = None if pinned is None else pinned.meter_serial
    stored = signed.find(conn, session.session_id)
    if stored is None or stored.finding.verdict is SignedVerdict.FAILED:
        return (), None, serial
    records = [
        signed.record_of_row(row)
        for row in conn.execute(signed.RECORDS, (session.session_id,))
    ]
    told = next((one.meter_serial for one in records if one.meter_serial), None)
    return tuple(one.text for one in records), stored.key, told or serial
