"""Corrections of bills: decisions on held ones, credits of settled ones, proposals.

All functions run inside the transaction of the caller. Nothing here is ever changed
but the state of a proposal; triggers of the database see to that.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import SessionId
from gateway.store.times import optional_time, to_text

Document = Mapping[str, Any]

_CREDIT: Final = (
    "number, session_id, ordinal, amount_minor, currency, reason, document,"
    " idempotency_key, asked_sha256, decided_at, decided_by, leaf_index, credit_key"
)
_PROPOSAL: Final = (
    "session_id, reasons, found, energy_milliwh, amount_minor, found_at, state,"
    " decided_at, decided_by"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditRecord:
    """Money back for a settled session.

    Attributes:
        number: Of all credits, ascending.
        ordinal: Of the session's credits, from 1.
        document: What the corrected bill would be; ``None``: an amount was given.
        asked_sha256: Of what was asked with the idempotency key.
        decided_by: Token of the operator.
    """

    number: int
    session_id: SessionId
    ordinal: int
    amount_minor: int
    currency: str
    reason: str
    document: Document | None
    idempotency_key: str
    asked_sha256: str
    decided_at: datetime
    decided_by: str
    leaf_index: int
    credit_key: bytes

    @property
    def name(self) -> str:
        """What books call it, as ``C000042``."""
        return f"C{self.number:06d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """What an operator made of a held bill.

    Attributes:
        decision: ``released``, ``corrected`` or ``waived``.
        before: Registers, energy and amount of the proposal; ``None``: there was none.
        after: Those that were settled; ``None`` of a waived bill.
    """

    session_id: SessionId
    decision: str
    reason: str
    before: Document | None
    after: Document | None
    decided_at: datetime
    decided_by: str
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecord:
    """What data that came after a settlement would have made of it.

    Attributes:
        found: The bill they make; ``None`` where they make none.
        state: ``open``, ``credited`` or ``dismissed``.
    """

    session_id: SessionId
    reasons: tuple[str, ...]
    found: Document | None
    energy_milliwh: int | None
    amount_minor: int | None
    found_at: datetime
    state: str
    decided_at: datetime | None = None
    decided_by: str | None = None


def next_number(conn: sqlite3.Connection) -> int:
    """The number of the next credit; there are no gaps, as none is ever deleted."""
    row = conn.execute("SELECT coalesce(max(number), 0) + 1 FROM credit").fetchone()
    return int(row[0])


def insert_credit(conn: sqlite3.Connection, credit: CreditRecord) -> None:
    """Write a credit.

    Raises:
        sqlite3.IntegrityError: The session is not settled, or its credits would exceed
            its bill.
    """
    conn.execute(
        f"INSERT INTO credit ({_CREDIT})"  # noqa: S608 - constant columns
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            credit.number,
            credit.session_id,
            credit.ordinal,
            credit.amount_minor,
            credit.currency,
            credit.reason,
            _text(credit.document),
            credit.idempotency_key,
            credit.asked_sha256,
            to_text(credit.decided_at),
            credit.decided_by,
            credit.leaf_index,
            credit.credit_key,
        ),
    )


def credits_of(
    conn: sqlite3.Connection, session_id: SessionId
) -> tuple[CreditRecord, ...]:
    """The credits of a session, in their order."""
    rows = conn.execute(
        f"SELECT {_CREDIT} FROM credit WHERE session_id = ? ORDER BY ordinal",  # noqa: S608 - constant columns
        (session_id,),
    )
    return tuple(_credit(row) for row in rows)


def credit_by_key(
    conn: sqlite3.Connection, session_id: SessionId, idempotency_key: str
) -> CreditRecord | None:
    """The credit that was asked for with a key."""
    row = conn.execute(
        f"SELECT {_CREDIT} FROM credit WHERE session_id = ? AND idempotency_key = ?",  # noqa: S608 - constant columns
        (session_id, idempotency_key),
    ).fetchone()
    return None if row is None else _credit(row)


def credited_minor(conn: sqlite3.Connection, session_id: SessionId) -> int:
    """The sum of a session's credits, in minor units."""
    row = conn.execute(
        "SELECT coalesce(sum(amount_minor), 0) FROM credit WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    return int(row[0])


def insert_decision(conn: sqlite3.Connection, decision: DecisionRecord) -> None:
    """Write what an operator made of a held bill; there is one per session."""
    conn.execute(
        "INSERT INTO bill_decision (session_id, decision, reason, before, after,"
        " decided_at, decided_by, leaf_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            decision.session_id,
            decision.decision,
            decision.reason,
            _text(decision.before),
            _text(decision.after),
            to_text(decision.decided_at),
            decision.decided_by,
            decision.leaf_index,
        ),
    )


def decision_on(
    conn: sqlite3.Connection, session_id: SessionId
) -> DecisionRecord | None:
    """What an operator made of a bill; ``None``: nobody had to decide."""
    row = conn.execute(
        "SELECT session_id, decision, reason, before, after, decided_at, decided_by,"
        " leaf_index FROM bill_decision WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    if row is None:
        return None
    return DecisionRecord(
        session_id=SessionId(row[0]),
        decision=row[1],
        reason=row[2],
        before=_document(row[3]),
        after=_document(row[4]),
        decided_at=datetime.fromisoformat(row[5]),
        decided_by=row[6],
        leaf_index=row[7],
    )


def waive_bill(
    conn: sqlite3.Connection, session_id: SessionId, *, actor: str, now: datetime
) -> None:
    """Give a held bill up for good; its proposal stays to be seen."""
    conn.execute(
        "UPDATE bill SET status = 'waived', decided_at = ?, decided_by = ?"
        " WHERE session_id = ?",
        (to_text(now), actor, session_id),
    )


def put_proposal(conn: sqlite3.Connection, proposal: ProposalRecord) -> bool:
    """Keep the latest word of late data; returns whether it says something new.

    What was decided on stays decided while the data say the same.
    """
    known = proposal_of(conn, proposal.session_id)
    if known is not None and (known.reasons, known.found) == (
        proposal.reasons,
        proposal.found,
    ):
        return False
    conn.execute(
        f"INSERT OR REPLACE INTO correction_proposal ({_PROPOSAL})"  # noqa: S608 - constant columns
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            proposal.session_id,
            json.dumps(list(proposal.reasons)),
            _text(proposal.found),
            proposal.energy_milliwh,
            proposal.amount_minor,
            to_text(proposal.found_at),
            proposal.state,
            None,
            None,
        ),
    )
    return True


def proposal_of(
    conn: sqlite3.Connection, session_id: SessionId
) -> ProposalRecord | None:
    """What late data say of a settled session; ``None``: nothing else."""
    row = conn.execute(
        f"SELECT {_PROPOSAL} FROM correction_proposal WHERE session_id = ?",  # noqa: S608 - constant columns
        (session_id,),
    ).fetchone()
    return None if row is None else _proposal(row)


def proposals(
    conn: sqlite3.Connection, *, is_open: bool | None, limit: int
) -> tuple[ProposalRecord, ...]:
    """Proposals, newest first."""
    rows = conn.execute(
        f"SELECT {_PROPOSAL} FROM correction_proposal"  # noqa: S608 - constant columns
        " WHERE ?1 IS NULL OR (state = 'open') = ?1 ORDER BY found_at DESC LIMIT ?2",
        (is_open, limit),
    )
    return tuple(_proposal(row) for row in rows)


def close_proposal(
    conn: sqlite3.Connection,
    session_id: SessionId,
    *,
    state: str,
    actor: str,
    now: datetime,
) -> None:
    """Say what became of an open proposal."""
    conn.execute(
        "UPDATE correction_proposal SET state = ?, decided_at = ?, decided_by = ?"
        " WHERE session_id = ? AND state = 'open'",
        (state, to_text(now), actor, session_id),
    )


def held_bills(conn: sqlite3.Connection, limit: int) -> list[SessionId]:
    """Sessions whose bills wait, newest first."""
    rows = conn.execute(
        "SELECT session_id FROM bill WHERE status = 'held'"
        " ORDER BY decided_at DESC LIMIT ?",
        (limit,),
    )
    return [SessionId(row[0]) for row in rows]


MOST_COUNTED: Final = 100
WAITING: Final = (
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM bill WHERE status = 'held' LIMIT ?1)),"
    " (SELECT count(*) FROM"
    " (SELECT 1 FROM correction_proposal WHERE state = 'open' LIMIT ?1))"
)
"""How many held bills and open proposals wait for a person; at most ``?1`` each."""


def _credit(row: Sequence[Any]) -> CreditRecord:
    return CreditRecord(
        number=row[0],
        session_id=SessionId(row[1]),
        ordinal=row[2],
        amount_minor=row[3],
        currency=row[4],
        reason=row[5],
        document=_document(row[6]),
        idempotency_key=row[7],
        asked_sha256=row[8],
        decided_at=datetime.fromisoformat(row[9]),
        decided_by=row[10],
        leaf_index=row[11],
        credit_key=row[12],
    )


def _proposal(row: Sequence[Any]) -> ProposalRecord:
    return ProposalRecord(
        session_id=SessionId(row[0]),
        reasons=tuple(json.loads(row[1])),
        found=_document(row[2]),
        energy_milliwh=row[3],
        amount_minor=row[4],
        found_at=datetime.fromisoformat(row[5]),
        state=row[6],
        decided_at=optional_time(row[7]),
        decided_by=row[8],
    )


def _text(document: Document | None) -> str | None:
    if document is None:
        return None
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def _document(text: str | None) -> Document | None:
    if text is None:
        return None
    found: Document = json.loads(text)
    return found
