"""A decision on a held bill as a record: a row, a leaf, a line of the audit trail."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.bill import Bill
from gateway.errors import RequestError
from gateway.services import sealing
from gateway.store import api_tokens, corrections
from gateway.store.corrections import DecisionRecord
from gateway.store.money import BillRow

RELEASED: Final = "released"
CORRECTED: Final = "corrected"
WAIVED: Final = "waived"
AS_PROPOSED: Final = "released as proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an operator makes of a held bill.

    Attributes:
        word: ``released``, ``corrected`` or ``waived``.
        before: The proposal; ``None`` where no bill could be made.
        after: What is settled; ``None`` of a waived bill.
        balance_minor: What is to be paid after all; ``None``: what is settled.
    """

    word: str
    reason: str
    before: Bill | None
    after: Bill | None
    balance_minor: int | None = None


def require_held(row: BillRow) -> None:
    """Let nobody decide a second time.

    Raises:
        RequestError: 409 the bill is settled or waived.
    """
    if row.status != "held":
        raise RequestError(
            409,
            "waived" if row.status == "waived" else "settled",
            f"this bill is {row.status} already",
        )


def record_decision(
    conn: sqlite3.Connection,
    held: BillRow,
    decision: Decision,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Keep a decision, before what it leads to is sealed, in the same transaction."""
    before, after = _facts(decision.before), _facts(decision.after)
    balance_minor = decision.balance_minor
    if balance_minor is None:
        balance_minor = 0 if decision.after is None else decision.after.amount_minor
    leaf_index = sealing.seal_decision(
        conn,
        held.session_id,
        {
            "decision": decision.word,
            "reason": decision.reason,
            "decided_by": actor,
            "verdict": held.verdict,
            "before": before,
            "after": after,
            "balance_minor": balance_minor,
        },
        now,
    )
    corrections.insert_decision(
        conn,
        DecisionRecord(
            session_id=held.session_id,
            decision=decision.word,
            reason=decision.reason,
            before=before,
            after=after,
            decided_at=now,
            decided_by=actor,
            leaf_index=leaf_index,
        ),
    )
    api_tokens.audit(
        conn,
        at=now,
        actor=actor,
        action=f"bill.{decision.word}",
        subject=f"session/{held.session_id}",
        detail={
            "verdict": held.verdict,
            "reason": decision.reason,
            "before": before,
            "after": after,
            "amount_minor": balance_minor,
        },
    )


def _facts(bill: Bill | None) -> dict[str, object] | None:
    if bill is None:
        return None
    return {
        "register_start_milliwh": bill.register_start_milliwh,
        "register_end_milliwh": bill.register_end_milliwh,
        "energy_milliwh": bill.energy_milliwh,
        "amount_minor": bill.amount_minor,
        "currency": bill.currency,
    }
