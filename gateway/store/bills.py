"""Bills with what they rest on, and the bills of a span of time: rows to read.

All functions run over the caller's connection, in one snapshot if it has one.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.bill_facts import BillFacts, Chain, Credit, Register, Signature
from gateway.domain.credit_net import CreditStep
from gateway.domain.ids import SessionId
from gateway.domain.signed_session import SignedVerdict
from gateway.store import corrections, money, sessions, signed
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import from_text, optional_time, to_text

PAGE: Final = 500
"""Rows read at a time: bounds how long one read lasts."""

_REGISTERS: Final = (
    "SELECT sampled_at, register_milliwh, context, leaf_index FROM reading"  # noqa: S608 - a constant clause
    f" {OF_SESSION} AND register_milliwh IS NOT NULL"
    " ORDER BY sampled_at, register_milliwh"
)
_SERIAL: Final = (
    "SELECT meter_serial FROM signed_record WHERE session_id = bill.session_id"
    " AND meter_serial IS NOT NULL ORDER BY reason IS NOT NULL, number LIMIT 1"
)
_CHAIN: Final = (
    "SELECT state, tx_hash, block_number FROM settlement_queue"
    " JOIN outbox_tx USING (tx_id) WHERE session_key = ?"
)
_OF_BOTH: Final = (
    "session_id, station_id, evse_id, connector_id, id_token, started_at, ended_at,"
    f" bill.status, bill.verdict, bill.document, bill.tariff_sha256, ({_SERIAL})"
)
_BILLS: Final = (
    f"SELECT {_OF_BOTH}, session_id, bill.reasons, bill.energy_milliwh,"  # noqa: S608 - constant columns
    " bill.bill_sha256, settlement_leaf_index, bill.decided_at, bill.decided_by,"
    " NULL FROM bill JOIN session USING (session_id)"
    " WHERE bill.decided_at >= ?1 AND bill.decided_at < ?2"
    " AND (bill.decided_at, session_id) > (?3, ?4)"
    " ORDER BY bill.decided_at, session_id LIMIT ?5"
)
_CREDITS: Final = (
    f"SELECT {_OF_BOTH}, printf('C%06d', number) AS name, json_array(credit.reason),"  # noqa: S608 - constant columns
    " NULL, NULL, credit.leaf_index, credit.decided_at, credit.decided_by,"
    " (SELECT json_group_array(json_array(amount_minor, json(document))) FROM"
    " (SELECT amount_minor, document FROM credit AS other WHERE other.session_id ="
    " credit.session_id AND other.ordinal <= credit.ordinal ORDER BY other.ordinal))"
    " FROM credit JOIN bill USING (session_id) JOIN session USING (session_id)"
    " WHERE credit.decided_at >= ?1 AND credit.decided_at < ?2"
    " AND (credit.decided_at, name) > (?3, ?4)"
    " ORDER BY credit.decided_at, name LIMIT ?5"
)
_N_COMMON: Final = 12
"""Columns of `_OF_BOTH`."""
_TOTALS: Final = (
    "SELECT status, coalesce(currency, ''),"
    " coalesce(json_extract(document, '$.minor_digits'), 0), count(*),"
    " coalesce(sum(energy_milliwh), 0),"
    " coalesce(sum(coalesce(json_extract(document, '$.net_minor'), amount_minor)), 0),"
    " coalesce(sum(amount_minor), 0) FROM bill"
    " WHERE decided_at >= ? AND decided_at < ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From an instant until before another."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """A bill or a credit in a list.

    Attributes:
        number: The session of a bill; the name of a credit, as ``C000042``.
        reasons: Why it is held, or what was noted; of a credit, the operator's words.
        document: Of the bill, also of a credit's: see `gateway.domain.bill.Bill`;
            ``None``: none can be made.
        given: A credit, last, after those of the same bill before it; empty of a bill.
    """

    number: str
    session_id: SessionId
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str | None
    started_at: datetime | None
    ended_at: datetime | None
    status: str
    verdict: str
    reasons: tuple[str, ...]
    energy_milliwh: int | None
    document: dict[str, Any] | None
    sha256: str | None
    tariff_sha256: str | None
    leaf_index: int | None
    decided_at: datetime
    decided_by: str
    meter_serial: str | None
    given: tuple[CreditStep, ...] = ()

    @property
    def is_settled(self) -> bool:
        """It is final; else its amounts are a proposal."""
        return self.status == "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The bills of a status and a currency, added up; amounts in minor units."""

    status: str
    currency: str
    minor_digits: int
    n_bill: int
    energy_milliwh: int
    net_minor: int
    amount_minor: int


def facts(conn: sqlite3.Connection, session_id: SessionId) -> BillFacts | None:
    """All that a bill rests on; ``None`` while there is no bill."""
    row = money.find_bill(conn, session_id)
    session = sessions.by_id(conn, session_id)
    if row is None or session is None:
        return None
    sha256, serial = conn.execute(
        f"SELECT bill_sha256, ({_SERIAL}) FROM bill WHERE session_id = ?",  # noqa: S608 - a constant subquery
        (session_id,),
    ).fetchone()
    return BillFacts(
        session_id=session_id,
        station_id=session.station_id,
        evse_id=session.evse_id,
        connector_id=session.connector_id,
        id_token=session.id_token,
        started_at=session.started_at,
        ended_at=session.ended_at,
        stop_reason=session.stop_reason,
        status=row.status,
        verdict=row.verdict,
        reasons=row.reasons,
        document=row.document,
        sha256=sha256,
        tariff=money.promised_tariff(conn, session_id),
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        registers=tuple(
            Register(
                at=from_text(at), milliwh=milliwh, context=context, leaf_index=leaf
            )
            for at, milliwh, context, leaf in conn.execute(_REGISTERS, (session_id,))
        ),
        signature=_signature(conn, session_id, row.document),
        meter_serial=serial,
        leaf_index=row.settlement_leaf_index,
        session_key=None if row.session_key is None else row.session_key.hex(),
        chain=_chain(conn, row.session_key),
        credits_=_credits(conn, session_id),
        decision=_decision(conn, session_id),
    )


def in_span(
    conn: sqlite3.Connection,
    span: Span,
    after: tuple[datetime, str] | None = None,
    limit: int = PAGE,
) -> list[BillLine]:
    """Bills and credits decided in a span, in that order.

    Args:
        conn: A reader's.
        span: When they were settled, or judged while they are held.
        after: Time and number of the last one read before.
        limit: How many at most.
    """
    since, last = to_text(span.since), ("", "")
    if after is not None:
        since = to_text(max(span.since, after[0]))  # where the index is entered
        last = (to_text(after[0]), after[1])
    values = (since, to_text(span.until), *last, limit)
    found = [
        _line(row) for sql in (_BILLS, _CREDITS) for row in conn.execute(sql, values)
    ]
    return sorted(found, key=lambda one: (one.decided_at, one.number))[:limit]


def all_in_span(conn: sqlite3.Connection, span: Span) -> Iterator[BillLine]:
    """Every bill and credit decided in a span, read in pages."""
    after: tuple[datetime, str] | None = None
    while page := in_span(conn, span, after):
        yield from page
        after = (page[-1].decided_at, page[-1].number)


def totals(conn: sqlite3.Connection, span: Span) -> list[Total]:
    """The bills decided in a span, added up."""
    rows = conn.execute(_TOTALS, (to_text(span.since), to_text(span.until)))
    return [
        Total(
            status=row[0],
            currency=row[1],
            minor_digits=row[2],
            n_bill=row[3],
            energy_milliwh=row[4],
            net_minor=row[5],
            amount_minor=row[6],
        )
        for row in rows
    ]


def credits_in_span(conn: sqlite3.Connection, span: Span) -> list[BillLine]:
    """Every credit decided in a span."""
    values = (to_text(span.since), to_text(span.until), "", "", -1)
    return [_line(row) for row in conn.execute(_CREDITS, values)]


def _credits(conn: sqlite3.Connection, session_id: SessionId) -> tuple[Credit, ...]:
    return tuple(
        Credit(
            name=one.name,
            amount_minor=one.amount_minor,
            reason=one.reason,
            decided_at=one.decided_at,
        )
        for one in corrections.credits_of(conn, session_id)
    )


def _decision(conn: sqlite3.Connection, session_id: SessionId) -> str | None:
    found = corrections.decision_on(conn, session_id)
    if found is None or found.decision == "released":
        return None
    return found.reason


def _signature(
    conn: sqlite3.Connection,
    session_id: SessionId,
    document: Mapping[str, object] | None,
) -> Signature:
    stored = signed.of_bill(conn, session_id, document)
    if stored is None:
        return Signature(verdict=SignedVerdict.UNSIGNED)
    return Signature(
        verdict=stored.finding.verdict,
        reasons=stored.finding.reasons,
        n_record=stored.n_record,
        key=stored.key,
        checked_at=stored.checked_at,
    )


def _chain(conn: sqlite3.Connection, session_key: bytes | None) -> Chain | None:
    row = conn.execute(_CHAIN, (session_key,)).fetchone()
    if row is None:
        return None
    state, tx_hash, block = row
    return Chain(
        state=state,
        tx_hash=None if tx_hash is None else "0x" + tx_hash.hex(),
        block=block,
    )


def _line(row: tuple[Any, ...]) -> BillLine:
    name, reasons, energy, sha256, leaf, at, by, given = row[_N_COMMON:]
    return BillLine(
        number=name,
        session_id=SessionId(row[0]),
        station_id=row[1],
        evse_id=row[2],
        connector_id=row[3],
        id_token=row[4],
        started_at=optional_time(row[5]),
        ended_at=optional_time(row[6]),
        status=row[7],
        verdict=row[8],
        document=None if row[9] is None else json.loads(row[9]),
        tariff_sha256=row[10],
        meter_serial=row[11],
        reasons=tuple(json.loads(reasons)),
        energy_milliwh=energy,
        sha256=sha256,
        leaf_index=leaf,
        decided_at=from_text(at),
        decided_by=by,
        given=_steps(given or "[]"),
    )


def _steps(text: str) -> tuple[CreditStep, ...]:
    return tuple(
        CreditStep(amount_minor=amount_minor, document=document)
        for amount_minor, document in json.loads(text)
    )
