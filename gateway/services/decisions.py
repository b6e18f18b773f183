"""Held bills corrected or waived by an operator, once; released ones see `settling`.

What is decided is worked out and written in one transaction: it is rare, and nothing
can change in between.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.bill import Bill
from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services import sealing, signed_meter
from gateway.services.crediting import Credit, credit_in
from gateway.services.decision_record import (
    CORRECTED,
    WAIVED,
    Decision,
    record_decision,
    require_held,
)
from gateway.services.judging import Proposal, Terms
from gateway.services.preparing import Prepared, prepare
from gateway.services.stated import Stated, restate
from gateway.store import corrections, money
from gateway.store.money import BillRow, Draft

_KEY: Final = "correction"
"""Idempotency key of the credit that a correction by amount makes: one per bill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How an operator corrects a held bill.

    Attributes:
        stated: Registers or energy; empty where an amount is given.
        amount_minor: What the driver is to pay, at most the proposal; ``None`` where
            registers are stated.
        reason: Mandatory.
    """

    stated: Stated
    amount_minor: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A held bill, judged again by what is stored now."""

    row: BillRow
    prepared: Prepared
    proposal: Proposal


def correct_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    wish: Correction,
    actor: str,
    now: datetime,
    terms: Terms,
) -> BillRow:
    """Settle a held bill as an operator corrects it.

    By registers, it is priced anew by the one pricing function. By an amount, the
    proposal is settled, and what it is too high by is credited at once: no price is
    ever made up.

    Raises:
        RequestError: 404 no bill; 409 decided already, above the proposal, or no bill
            can be made; 422 neither or both ways.
    """
    if wish.stated.is_empty == (wish.amount_minor is None):
        raise RequestError(422, "what_to_correct", "give registers, or an amount")
    held = _held(conn, session_id, terms)
    if wish.amount_minor is not None:
        return _correct_amount(conn, held, wish, actor=actor, now=now)
    session = held.prepared.footing.session
    found = restate(
        conn,
        session,
        held.proposal.judgement,
        wish.stated,
        rated_w=terms.rating(session.station_id, session.evse_id),
    )
    decision = Decision(
        word=CORRECTED,
        reason=wish.reason,
        before=held.proposal.bill,
        after=found.bill,
    )
    return _settle(
        conn, held, found.bill, decision, actor=actor, now=now, by_hand=found.by_hand
    )


def waive_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    reason: str,
    actor: str,
    now: datetime,
    terms: Terms,
) -> BillRow:
    """Give a held bill up: nothing is charged, nothing settled, and it is recorded.

    Raises:
        RequestError: 404 no bill; 409 decided already.
    """
    held = _held(conn, session_id, terms)
    decision = Decision(
        word=WAIVED, reason=reason, before=held.proposal.bill, after=None
    )
    record_decision(conn, held.row, decision, actor=actor, now=now)
    corrections.waive_bill(conn, session_id, actor=actor, now=now)
    row = money.find_bill(conn, session_id)
    assert row is not None, "it was written above"
    return row


def _correct_amount(
    conn: sqlite3.Connection,
    held: _Held,
    wish: Correction,
    *,
    actor: str,
    now: datetime,
) -> BillRow:
    bill, amount_minor = held.proposal.bill, wish.amount_minor
    assert amount_minor is not None, "it is a correction by amount"
    if bill is None:
        why = held.proposal.missing or "no_registers"
        raise RequestError(409, why, "no bill can be made from its registers")
    if amount_minor > bill.amount_minor:
        raise RequestError(
            409,
            "above_proposal",
            f"{amount_minor} is above the proposal of {bill.amount_minor}: an amount"
            " may lower a bill; state registers to raise it",
        )
    decision = Decision(
        word=CORRECTED,
        reason=wish.reason,
        before=bill,
        after=bill,
        balance_minor=amount_minor,
    )
    row = _settle(conn, held, bill, decision, actor=actor, now=now)
    if amount_minor < bill.amount_minor:
        credit = Credit(
            amount_minor=bill.amount_minor - amount_minor,
            reason=wish.reason,
            idempotency_key=_KEY,
        )
        credit_in(conn, session_id=row.session_id, wish=credit, actor=actor, now=now)
    return row


def _held(conn: sqlite3.Connection, session_id: SessionId, terms: Terms) -> _Held:
    prepared = prepare(conn, session_id, terms)
    if prepared is None or prepared.known is None:
        raise RequestError(404, "no_bill", "this session has no bill")
    require_held(prepared.known)
    assert prepared.proposal is not None, "what is held has a start, and is judged"
    return _Held(row=prepared.known, prepared=prepared, proposal=prepared.proposal)


def _settle(
    conn: sqlite3.Connection,
    held: _Held,
    bill: Bill,
    decision: Decision,
    *,
    actor: str,
    now: datetime,
    by_hand: frozenset[int] = frozenset(),
) -> BillRow:
    session = held.prepared.footing.session
    if held.prepared.found is not None:
        signed_meter.keep_in(conn, session, held.prepared.found, now)
    record_decision(conn, held.row, decision, actor=actor, now=now)
    draft = Draft.of(bill)
    return money.put_bill(
        conn,
        session.session_id,
        verdict=held.row.verdict,
        reasons=held.row.reasons,
        draft=draft,
        decided_at=now,
        decided_by=actor,
        settlement=sealing.seal_bill(
            conn,
            session,
            draft,
            counted=sealing.count_leaves(conn, session.session_id, bill),
            basis=held.proposal.judgement.basis,
            now=now,
            by_hand=by_hand,
        ),
    )
