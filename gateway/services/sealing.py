"""Leaves of the log for facts about sessions, made in the transaction of the fact."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from gateway.domain.bill import Bill
from gateway.domain.events import SessionStarted
from gateway.domain.ids import IdToken, SessionId, StationId
from gateway.domain.session import Session, SessionEvent
from gateway.domain.verdict import Basis
from gateway.services import signed_evidence
from gateway.store import group_tariffs, money, readings, wallets
from gateway.store.entry import StoredReading
from gateway.store.many import write_rows
from gateway.store.money import Draft
from gateway.store.times import to_text
from ledger import record
from ledger.bundle import Metered, metered, seal_settlement
from ledger.sqlite_store import DDL, LATER_DDL, NewLeaf, append_leaf, append_leaves

_START_LEAF: Final = (
    "SELECT leaf_index FROM leaf WHERE subject = ? AND kind = 'session_start' LIMIT 1"
)


class _MeterRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A ``meter`` record, members in the order of `ledger.record.canonical`.

    The hot path: one per reading. Equal to the general form, byte for byte, for
    whatever the store holds (`tests/unit/services/test_sealing.py`).
    """

    context: str
    evse_id: int
    k: Literal["meter"] = "meter"
    occurred_at: str
    received_at: str
    register_milliwh: int | None
    session_id: str | None
    station_id: str
    v: int = record.VERSION


_encode_meter: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSealer:
    """Seals starts and readings; satisfies `gateway.store.entry.Sealer`.

    Attributes:
        tariff_id_of: Which tariff a station charges by; ``None`` for none.
    """

    tariff_id_of: Callable[[StationId], str | None]

    def session_started(
        self, conn: sqlite3.Connection, session: Session, event: SessionEvent
    ) -> int:
        """Fix the session's tariff and seal its start, once.

        The tariff is the one of the begin; of a driver who came later, what was asked
        then.
        """
        is_later = session.id_token is not None and not isinstance(
            event, SessionStarted
        )
        return seal_start(
            conn,
            session,
            tariff_id=self.tariff_id_of(session.station_id),
            now=event.received_at,
            promised_at=event.occurred_at if is_later else None,
        )

    def metered(
        self, conn: sqlite3.Connection, stored: Sequence[StoredReading]
    ) -> int | None:
        """Seal readings of sessions, or of EVSEs without one."""
        leaves = [meter_leaf(one) for one in stored]
        return append_leaves(conn, "meter", leaves, write_rows)


def meter_leaf(stored: StoredReading) -> NewLeaf:
    """The leaf of one reading; without a subject, as the reading knows its leaf."""
    sample = stored.sample
    received_at = to_text(stored.received_at)
    data = _encode_meter(
        _MeterRecord(
            context=sample.context,
            evse_id=stored.evse_id,
            occurred_at=to_text(sample.sampled_at),
            received_at=received_at,
            register_milliwh=sample.register_milliwh,
            session_id=stored.session_id,
            station_id=stored.station_id,
        )
    )
    return "", data, received_at


def install_ledger(conn: sqlite3.Connection) -> None:
    """Create the ledger's tables unless they are there.

    A job for the writer: statement by statement, so that its transaction stays whole.
    """
    known = conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'leaf'").fetchone()
    statement = ""
    for part in (DDL if known is None else LATER_DDL).split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement) and statement.strip(" \n;"):
            conn.execute(statement)
            statement = ""


def seal_start(
    conn: sqlite3.Connection,
    session: Session,
    *,
    tariff_id: str | None,
    now: datetime,
    promised_at: datetime | None = None,
) -> int:
    """Seal the start of a session and return the leaf's index; the first one stands.

    Args:
        conn: The writer's connection.
        session: After the fold of its start, or of the first fact heard of it.
        tariff_id: Tariff to promise, if none was promised yet and the group of the
            session's token has none.
        now: Site time.
        promised_at: When its terms became known; ``None``: as it began.
    """
    known = conn.execute(_START_LEAF, (session.session_id,)).fetchone()
    if known is not None:
        return int(known[0])
    body: dict[str, object] = {
        "session_id": session.session_id,
        "station_id": session.station_id,
        "evse_id": session.evse_id,
        "started_at": to_text(session.started_at or now),
    }
    own = group_tariffs.of_token(conn, _token(session))
    tariff_sha256 = money.fix_tariff(
        conn,
        session.session_id,
        own or tariff_id,
        now,
        began_at=promised_at or session.started_at,
    )
    if session.register_start_milliwh is not None:
        body["register_start_milliwh"] = session.register_start_milliwh
    if tariff_sha256 is not None:
        body["tariff_sha256"] = tariff_sha256
    if session.id_token is not None:
        token = session.id_token.casefold().encode()
        body["id_token_sha256"] = hashlib.sha256(token).hexdigest()
    return _append(conn, "session_start", session.session_id, body, now)


def _token(session: Session) -> IdToken | None:
    if session.id_token is None:
        return None
    return IdToken(value=session.id_token, kind=session.token_kind)


def seal_record(
    kind: str, subject: str, body: Mapping[str, object], conn: sqlite3.Connection
) -> None:
    """Seal a plan or what was sent of it; its own time is in the body."""
    data = record.canonical(kind, body)
    of_it = ("made_at", "seen_at", "answered_at", "sent_at", "at")
    sealed_at = next((str(body[name]) for name in of_it if body.get(name)), "")
    append_leaf(conn, kind, subject, data, None, sealed_at)


def seal_register(
    conn: sqlite3.Connection,
    session: Session,
    *,
    at: datetime,
    register_milliwh: int,
    now: datetime,
    context: str = "session",
) -> None:
    """Seal a register that came with the session itself, as the end register does.

    Args:
        conn: The writer's connection.
        session: Whose it is.
        at: The station's time.
        register_milliwh: Its reading.
        now: Site time.
        context: ``intervals`` where no meter shows it and energies of intervals were
            added up to it; ``operator`` where an operator stated it.
    """
    body: dict[str, object] = {
        "session_id": session.session_id,
        "station_id": session.station_id,
        "evse_id": session.evse_id,
        "occurred_at": to_text(at),
        "received_at": to_text(now),
        "register_milliwh": register_milliwh,
        "context": context,
    }
    _append(conn, "meter", session.session_id, body, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the settlement of a session counts, gathered before it is sealed.

    Attributes:
        metered: Leaves of its readings.
        sealed: The registers of the bill that a leaf shows already.
        bill_sha256: Of the bill.
    """

    metered: Metered
    sealed: frozenset[int]
    bill_sha256: str


def count_leaves(
    conn: sqlite3.Connection, session_id: SessionId, bill: Bill
) -> Counted:
    """Gather what a settlement counts, on any connection, in a transaction."""
    needed = {bill.register_start_milliwh, bill.register_end_milliwh}
    return Counted(
        metered=metered(conn, session_id, readings.leaves_of(conn, session_id)),
        sealed=frozenset(needed & money.sealed_registers(conn, session_id)),
        bill_sha256=record.sha256_json(bill.to_json()),
    )


def seal_bill(
    conn: sqlite3.Connection,
    session: Session,
    draft: Draft,
    *,
    counted: Counted,
    basis: Basis,
    now: datetime,
    by_hand: frozenset[int] = frozenset(),
) -> tuple[int, bytes]:
    """Seal registers that no leaf shows yet, then the settlement, and queue it.

    Args:
        conn: The writer's connection.
        session: It was priced.
        draft: Its bill.
        counted: By `count_leaves`.
        basis: What its energy was taken from.
        now: Site time.
        by_hand: Registers that only an operator stated.

    Returns:
        Index of the settlement leaf, and the key of the session on the chain.
    """
    assert session.started_at is not None, "it was priced"
    assert session.ended_at is not None, "it was priced"
    bill, known = draft.bill, set(counted.sealed)
    for at, register in (
        (session.started_at, bill.register_start_milliwh),
        (session.ended_at, bill.register_end_milliwh),
    ):
        if register not in known:
            context = "intervals" if basis is Basis.INTERVALS else "session"
            seal_register(
                conn,
                session,
                at=at,
                register_milliwh=register,
                now=now,
                context="operator" if register in by_hand else context,
            )
            known.add(register)
    registers = bill.register_start_milliwh, bill.register_end_milliwh
    wallet = wallets.of_token(conn, session.id_token)
    claim = signed_evidence.seal_records(conn, session, registers, now)
    leaf_index = seal_settlement(
        conn,
        session_id=session.session_id,
        bill=draft.document,
        ended_at=to_text(session.ended_at),
        sealed_at=to_text(now),
        counted=counted.metered,
        bill_sha256=counted.bill_sha256,
        signed=claim,
        flex_to=None if wallet is None else wallet.address,
    )
    (key,) = conn.execute(
        "SELECT session_key FROM settlement_queue JOIN leaf"
        " ON start_leaf_index = leaf_index WHERE subject = ?",
        (session.session_id,),
    ).fetchone()
    return leaf_index, key


def seal_decision(
    conn: sqlite3.Connection,
    session_id: SessionId,
    decision: Mapping[str, object],
    now: datetime,
) -> int:
    """Seal what an operator made of a held bill; returns the leaf's index."""
    body = {**decision, "session_id": session_id, "decided_at": to_text(now)}
    return _append(conn, "decision", session_id, body, now)


def _append(
    conn: sqlite3.Connection,
    kind: str,
    subject: SessionId | StationId,
    body: dict[str, object],
    now: datetime,
) -> int:
    data = record.canonical(kind, body)
    return append_leaf(conn, kind, subject, data, None, to_text(now))
