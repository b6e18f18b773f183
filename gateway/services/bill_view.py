"""What API and pages say of the corrections of a bill."""

import sqlite3
from typing import Final

from gateway.domain.ids import SessionId
from gateway.store import corrections, money
from gateway.store.corrections import CreditRecord, ProposalRecord
from gateway.store.money import BillRow
from gateway.store.times import to_text

_ON_CHAIN: Final = (
    "SELECT refused, state FROM credit_queue LEFT JOIN outbox_tx USING (tx_id)"
    " WHERE credit_key = ?"
)


def corrections_of(conn: sqlite3.Connection, row: BillRow) -> dict[str, object]:
    """Credits, what is left to pay, the operator's decision, and late data's word."""
    credits_ = corrections.credits_of(conn, row.session_id)
    credited_minor = sum(one.amount_minor for one in credits_)
    decision = corrections.decision_on(conn, row.session_id)
    proposal = corrections.proposal_of(conn, row.session_id)
    return {
        "credits": [credit_json(conn, one) for one in credits_],
        "credited_minor": credited_minor,
        "balance_minor": balance_minor(row, credited_minor),
        "decision": None
        if decision is None
        else {
            "decision": decision.decision,
            "reason": decision.reason,
            "before": decision.before,
            "after": decision.after,
            "decided_at": to_text(decision.decided_at),
            "decided_by": decision.decided_by,
            "leaf_index": decision.leaf_index,
        },
        "proposal": None
        if proposal is None
        else proposal_json(proposal, row, credited_minor),
    }


def balance_minor(row: BillRow, credited_minor: int) -> int | None:
    """What the driver pays after all; ``None`` while that is open."""
    match row.status:
        case "settled":
            return (row.amount_minor or 0) - credited_minor
        case "waived":
            return 0
        case _:
            return None


def credit_json(conn: sqlite3.Connection, credit: CreditRecord) -> dict[str, object]:
    """One credit; ``state``: ``pending``, ``on_chain`` or ``refused`` by the chain."""
    found = conn.execute(_ON_CHAIN, (credit.credit_key,)).fetchone()
    refused, state = (None, None) if found is None else found
    word = "on_chain" if state in {"mined", "final"} else "pending"
    return {
        "credit_id": credit.name,
        "session_id": credit.session_id,
        "amount_minor": credit.amount_minor,
        "currency": credit.currency,
        "reason": credit.reason,
        "corrected": credit.document,
        "idempotency_key": credit.idempotency_key,
        "state": word if refused is None else "refused",
        "decided_at": to_text(credit.decided_at),
        "decided_by": credit.decided_by,
        "leaf_index": credit.leaf_index,
    }


def proposal_json(
    proposal: ProposalRecord, row: BillRow, credited_minor: int
) -> dict[str, object]:
    """What late data would have made; ``difference_minor`` > 0: the driver paid more.

    Against the driver (< 0) it is shown, and nothing follows from it.
    """
    balance = balance_minor(row, credited_minor)
    difference = None
    if balance is not None and proposal.amount_minor is not None:
        difference = balance - proposal.amount_minor
    return {
        "session_id": proposal.session_id,
        "reasons": list(proposal.reasons),
        "energy_milliwh": proposal.energy_milliwh,
        "amount_minor": proposal.amount_minor,
        "difference_minor": difference,
        "currency": row.currency,
        "found": proposal.found,
        "found_at": to_text(proposal.found_at),
        "state": proposal.state,
        "decided_at": None
        if proposal.decided_at is None
        else to_text(proposal.decided_at),
        "decided_by": proposal.decided_by,
    }


def all_proposals(
    conn: sqlite3.Connection, *, is_open: bool | None, limit: int
) -> list[dict[str, object]]:
    """Proposals, newest first, each with what is left of its bill."""
    views = []
    for one in corrections.proposals(conn, is_open=is_open, limit=limit):
        row = money.find_bill(conn, one.session_id)
        if row is not None:
            credited_minor = corrections.credited_minor(conn, one.session_id)
            views.append(proposal_json(one, row, credited_minor))
    return views


def credit_of(
    conn: sqlite3.Connection, session_id: SessionId
) -> list[dict[str, object]]:
    """The credits of a session, in their order."""
    return [credit_json(conn, one) for one in corrections.credits_of(conn, session_id)]
