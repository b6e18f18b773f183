"""A bill, its settlement leaf and the row for the chain: one database transaction.

What is not billable by itself is held, with its reasons, until an operator releases it.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from gateway.domain.ids import SessionId
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError
from gateway.services import sealing, signed_meter
from gateway.services.billing import make_bill
from gateway.services.judging import Terms, propose
from gateway.services.session_energy import judge_in
from gateway.services.signed_meter import KeyChanged
from gateway.store import api_tokens, money, sessions
from gateway.store.money import BillRow

SYSTEM: Final = "system"


def settle_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    terms: Terms,
    now: datetime,
    on_key: Callable[[KeyChanged], None] = lambda _changed: None,
) -> tuple[BillRow | None, bool]:
    """Judge a session inside the caller's transaction.

    Args:
        conn: The writer's connection.
        session_id: The session.
        terms: What it depends on besides.
        now: Site time.
        on_key: Told of a meter that signs with another key than the pinned one.

    Returns:
        The bill (``None`` while the session runs), and whether it changed.
    """
    session = sessions.by_id(conn, session_id)
    if session is None or session.phase is not SessionPhase.ENDED:
        return None, False
    finding, changed = signed_meter.check_in(conn, session, now)
    for one in changed:
        on_key(one)
    known = money.find_bill(conn, session_id)
    if known is not None and known.status == "settled":
        return known, False
    tariff_id = terms.tariff_id_of(session.station_id)
    sealing.seal_start(conn, session, tariff_id=tariff_id, now=now)
    found = propose(conn, session, terms=terms, finding=finding)
    verdict = found.judgement.verdict.value
    if verdict != session.verdict:
        after = msgspec.structs.replace(session, verdict=verdict)
        sessions.update(conn, session, after)
    settlement = None
    if found.bill is not None and found.may_settle:
        basis = found.judgement.basis
        settlement = sealing.seal_bill(conn, session, found.bill, now, basis)
    money.put_bill(
        conn,
        session_id,
        verdict=verdict,
        reasons=found.reasons,
        bill=found.bill,
        decided_at=known.decided_at if known and settlement is None else now,
        decided_by=SYSTEM,
        settlement=settlement,
    )
    row = money.find_bill(conn, session_id)
    return row, row != known


def release_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    terms: Terms,
    actor: str,
    now: datetime,
) -> BillRow:
    """Settle the proposal of a held bill inside the caller's transaction.

    Raises:
        RequestError: 404 no bill; 409 settled already, or no bill can be made.
    """
    held = money.find_bill(conn, session_id)
    session = sessions.by_id(conn, session_id)
    if held is None or session is None:
        raise RequestError(404, "no_bill", "this session has no bill")
    if held.status == "settled":
        raise RequestError(409, "settled", "this session is settled already")
    found = signed_meter.current(conn, session)
    rated_w = terms.rating(session.station_id, session.evse_id)
    judgement = judge_in(conn, session, rated_w=rated_w, signed=found)
    tariff = money.promised_tariff(conn, session_id)
    bill, why_not = make_bill(conn, session, judgement, tariff)
    if bill is None:
        raise RequestError(409, why_not[0], "no bill can be made from its registers")
    money.put_bill(
        conn,
        session_id,
        verdict=held.verdict,
        reasons=held.reasons,
        bill=bill,
        decided_at=now,
        decided_by=actor,
        settlement=sealing.seal_bill(conn, session, bill, now, judgement.basis),
    )
    api_tokens.audit(
        conn,
        at=now,
        actor=actor,
        action="bill.released",
        subject=f"session/{session_id}",
        detail={"verdict": held.verdict, "amount_minor": bill.amount_minor},
    )
    row = money.find_bill(conn, session_id)
    assert row is not None, "it was written above"
    return row
