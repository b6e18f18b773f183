"""Credits: what a settled bill was too high by, as a record of its own.

Row, leaf, place in the queue for the chain and line of the audit trail are one database
transaction, so a crash leaves all or nothing; a repeated request gets the credit that
its idempotency key made.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime

from gateway.domain.ids import SessionId, StationId
from gateway.domain.session import Session, SessionPhase
from gateway.domain.tariff import canonical_json
from gateway.errors import RequestError
from gateway.services import signed_meter
from gateway.services.flexibility_credit import to_take_back
from gateway.services.session_energy import judge_in
from gateway.services.stated import Stated, restate
from gateway.store import api_tokens, corrections, money, sessions
from gateway.store.corrections import CreditRecord, Document
from gateway.store.money import BillRow
from gateway.store.times import to_text
from ledger.credits import seal_credit
from ledger.errors import RecordError

Rating = Callable[[StationId, int], float | None]
"""Rated power of an EVSE, W; ``None`` if unknown."""


def no_rating(_station_id: StationId, _evse_id: int) -> float | None:
    """Nothing is known of what the EVSE can deliver."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What an operator credits.

    Attributes:
        amount_minor: What the driver gets back; ``None`` where registers are stated.
        stated: What the bill should have rested on; its difference is credited.
        idempotency_key: Names the request: repeated, it makes no second credit.
    """

    reason: str
    idempotency_key: str
    amount_minor: int | None = None
    stated: Stated = field(default_factory=Stated)

    @property
    def sha256(self) -> str:
        """Of what is asked, so that a reused key is told from a repeated request."""
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()


def credit_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    wish: Credit,
    actor: str,
    now: datetime,
    rating: Rating = no_rating,
) -> tuple[CreditRecord, bool]:
    """Credit a settled session inside the caller's transaction.

    Returns:
        The credit, and whether it is new.

    Raises:
        RequestError: 404 no bill; 409 not settled, ``exceeds_bill``,
            ``not_in_favour`` of the driver, ``idempotency_conflict``, or a register
            that cannot be believed; 422 neither or both of amount and registers.
    """
    known = corrections.credit_by_key(conn, session_id, wish.idempotency_key)
    if known is not None:
        if known.asked_sha256 != wish.sha256:
            raise RequestError(
                409,
                "idempotency_conflict",
                "the idempotency key was used for another credit",
            )
        return known, False
    row, session = _settled(conn, session_id)
    assert row.amount_minor is not None, "a settled bill has an amount"
    assert row.currency is not None, "a settled bill has a currency"
    left = row.amount_minor - corrections.credited_minor(conn, session_id)
    amount_minor, document = _amount(conn, session, wish, left, rating)
    if amount_minor > left:
        raise RequestError(
            409,
            "exceeds_bill",
            f"a credit of {amount_minor} exceeds the {left} that is left of the bill",
        )
    number = corrections.next_number(conn)
    taken = 0
    if document is not None and row.session_key is not None:
        taken = to_take_back(
            conn,
            session_id,
            row.session_key,
            billed_milliwh=int(row.energy_milliwh or 0),
            corrected_milliwh=int(str(document["energy_milliwh"])),
        )
    try:
        sealed = seal_credit(
            conn,
            session_id=session_id,
            amount_minor=amount_minor,
            reason=wish.reason,
            sealed_at=to_text(now),
            more={
                "number": number,
                "decided_by": actor,
                "corrected": None if document is None else _facts(document),
            },
            flex_milliwh=taken,
        )
    except RecordError as error:
        raise RequestError(409, "no_credit", str(error)) from error
    credit = CreditRecord(
        number=number,
        session_id=session_id,
        ordinal=sealed.ordinal,
        amount_minor=amount_minor,
        currency=row.currency,
        reason=wish.reason,
        document=document,
        idempotency_key=wish.idempotency_key,
        asked_sha256=wish.sha256,
        decided_at=now,
        decided_by=actor,
        leaf_index=sealed.leaf_index,
        credit_key=sealed.credit_key,
    )
    corrections.insert_credit(conn, credit)
    api_tokens.audit(
        conn,
        at=now,
        actor=actor,
        action="bill.credited",
        subject=f"session/{session_id}",
        detail={
            "credit": credit.name,
            "amount_minor": amount_minor,
            "balance_minor": left - amount_minor,
            "reason": wish.reason,
        },
    )
    return credit, True


def _settled(
    conn: sqlite3.Connection, session_id: SessionId
) -> tuple[BillRow, Session]:
    row = money.find_bill(conn, session_id)
    session = sessions.by_id(conn, session_id)
    if row is None or session is None:
        raise RequestError(404, "no_bill", "this session has no bill")
    if row.status != "settled" or session.phase is not SessionPhase.ENDED:
        raise RequestError(
            409,
            "not_settled",
            f"this bill is {row.status}: only a settled one has credits",
        )
    return row, session


def _amount(
    conn: sqlite3.Connection,
    session: Session,
    wish: Credit,
    left: int,
    rating: Rating,
) -> tuple[int, Document | None]:
    """What is credited, and the bill it should have been."""
    if wish.stated.is_empty == (wish.amount_minor is None):
        raise RequestError(422, "what_to_credit", "give an amount, or registers")
    if wish.amount_minor is not None:
        if wish.amount_minor <= 0:
            raise RequestError(422, "not_an_amount", "a credit is more than nothing")
        return wish.amount_minor, None
    rated_w = rating(session.station_id, session.evse_id)
    judgement = judge_in(
        conn, session, rated_w=rated_w, signed=signed_meter.current(conn, session)
    )
    found = restate(conn, session, judgement, wish.stated, rated_w=rated_w)
    amount_minor = left - found.bill.amount_minor
    if amount_minor <= 0:
        raise RequestError(
            409,
            "not_in_favour",
            f"these registers make {found.bill.amount_minor}, and {left} is left of"
            " the bill: a credit is in the driver's favour only",
        )
    return amount_minor, found.bill.to_json()


def _facts(document: Document) -> dict[str, object]:
    names = (
        "register_start_milliwh",
        "register_end_milliwh",
        "energy_milliwh",
        "amount_minor",
    )
    return {name: document[name] for name in names}
