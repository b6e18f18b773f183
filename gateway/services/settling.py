"""A bill, its settlement leaf and the row for the chain: one database transaction.

What is not billable by itself is held, with its reasons, until an operator releases it.
What is written was worked out before (`gateway.services.preparing`); if its footing has
changed since, nothing is written, and it must be worked out anew.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services import sealing, signed_meter
from gateway.services.decision_record import (
    AS_PROPOSED,
    RELEASED,
    Decision,
    record_decision,
    require_held,
)
from gateway.services.judging import Terms
from gateway.services.preparing import Prepared, prepare
from gateway.services.signed_meter import KeyChanged
from gateway.store import money, sessions
from gateway.store.money import BillRow

SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a transaction wrote.

    Attributes:
        row: The bill.
        is_new: It was not that before.
        changed: Meters that sign with another key than the pinned one.
    """

    row: BillRow
    is_new: bool
    changed: tuple[KeyChanged, ...] = ()


def settle_in(
    conn: sqlite3.Connection, prepared: Prepared, *, now: datetime
) -> Settled | None:
    """Write what was worked out, inside the caller's transaction.

    Args:
        conn: The writer's connection.
        prepared: From an earlier state of the same database.
        now: Site time.

    Returns:
        ``None`` if it must be worked out anew.
    """
    if not prepared.is_current(conn):
        return None
    session, known, found = prepared.footing.session, prepared.known, prepared.proposal
    if not prepared.footing.has_start:
        tariff_id = prepared.terms.tariff_id_of(session.station_id)
        sealing.seal_start(conn, session, tariff_id=tariff_id, now=now)
        return None
    changed: tuple[KeyChanged, ...] = ()
    if prepared.found is not None:
        changed = signed_meter.keep_in(conn, session, prepared.found, now)
    if found is None:
        assert known is not None, "it is settled"
        return Settled(row=known, is_new=False, changed=changed)
    verdict = found.judgement.verdict.value
    if verdict != session.verdict:
        after = msgspec.structs.replace(session, verdict=verdict)
        sessions.update(conn, session, after)
    settlement = None
    if found.may_settle:
        settlement = _seal(conn, prepared, now)
    row = money.put_bill(
        conn,
        session.session_id,
        verdict=verdict,
        reasons=found.reasons,
        draft=prepared.draft,
        decided_at=known.decided_at if known and settlement is None else now,
        decided_by=SYSTEM,
        settlement=settlement,
    )
    return Settled(row=row, is_new=row != known, changed=changed)


def settle_at_once(
    conn: sqlite3.Connection, *, session_id: SessionId, terms: Terms, now: datetime
) -> Settled | None:
    """Work it out and write it in one transaction: slower, and it cannot be late.

    Returns:
        ``None`` while the session runs, or if it is unknown.
    """
    for _ in range(2):  # the first may only seal the start
        prepared = prepare(conn, session_id, terms)
        done = None if prepared is None else settle_in(conn, prepared, now=now)
        if done is not None:
            return done
    return None


def release_in(
    conn: sqlite3.Connection,
    prepared: Prepared,
    *,
    actor: str,
    now: datetime,
    seen_minor: int | None = None,
) -> BillRow | None:
    """Settle the proposal of a held bill inside the caller's transaction.

    Args:
        conn: The writer's connection.
        prepared: From an earlier state of the same database.
        actor: Token of the operator.
        now: Site time.
        seen_minor: The amount that the operator saw; ``None``: whatever it is.

    Returns:
        ``None`` if it must be worked out anew.

    Raises:
        RequestError: 404 no bill; 409 settled already, no bill can be made, or it is
            another amount than was seen.
    """
    if not prepared.is_current(conn):
        return None
    held, found = prepared.known, prepared.proposal
    if held is None:
        raise RequestError(404, "no_bill", "this session has no bill")
    require_held(held)
    assert found is not None, "what has a bill has a start, and is judged"
    if found.bill is None:
        why = found.missing or "no_bill"
        raise RequestError(409, why, "no bill can be made from its registers")
    if seen_minor not in {None, found.bill.amount_minor}:
        raise RequestError(
            409,
            "other_proposal",
            f"by what the station told since it is {found.bill.amount_text}"
            f" {found.bill.currency}: look at the bill again",
        )
    if prepared.found is not None:  # it was judged by this, and is sealed with it
        signed_meter.keep_in(conn, prepared.footing.session, prepared.found, now)
    record_decision(
        conn,
        held,
        Decision(
            word=RELEASED, reason=AS_PROPOSED, before=found.bill, after=found.bill
        ),
        actor=actor,
        now=now,
    )
    return money.put_bill(
        conn,
        prepared.session_id,
        verdict=held.verdict,
        reasons=held.reasons,
        draft=prepared.draft,
        decided_at=now,
        decided_by=actor,
        settlement=_seal(conn, prepared, now),
    )


def _seal(
    conn: sqlite3.Connection, prepared: Prepared, now: datetime
) -> tuple[int, bytes]:
    found, draft, counted = prepared.proposal, prepared.draft, prepared.counted
    assert found is not None, "there is a bill"
    assert draft is not None, "there is a bill"
    assert counted is not None, "there is a bill"
    session, basis = prepared.footing.session, found.judgement.basis
    return sealing.seal_bill(
        conn, session, draft, counted=counted, basis=basis, now=now
    )
