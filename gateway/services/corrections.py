"""The operator's desk for bills: held ones are decided on, settled ones credited."""

import sqlite3
from functools import partial
from typing import Final

import structlog

from gateway.bus import Bus, SessionSettled
from gateway.clock import Clock
from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services.crediting import Credit, credit_in
from gateway.services.decisions import Correction, correct_in, waive_in
from gateway.services.judging import Terms
from gateway.store import api_tokens, corrections, money
from gateway.store.corrections import CreditRecord
from gateway.store.money import BillRow
from gateway.store.times import to_text
from gateway.store.writer import Writer

_log: Final = structlog.get_logger()


class Corrections:
    """Corrects bills on an operator's word; every act is a new record.

    Args:
        writer: Runs each act in one transaction.
        bus: Told of what was decided.
        clock: Site clock.
        terms: What bills depend on besides their sessions.
    """

    def __init__(self, *, writer: Writer, bus: Bus, clock: Clock, terms: Terms) -> None:
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._terms = terms

    async def correct(
        self, session_id: SessionId, wish: Correction, actor: str
    ) -> BillRow:
        """Settle a held bill as corrected; see `correct_in`.

        Raises:
            RequestError: It cannot be corrected so.
        """
        now = self._clock.now()
        row = await self._writer.run(
            partial(
                correct_in,
                session_id=session_id,
                wish=wish,
                actor=actor,
                now=now,
                terms=self._terms,
            )
        )
        self._tell(session_id, "settled")
        return row

    async def waive(self, session_id: SessionId, reason: str, actor: str) -> BillRow:
        """Give a held bill up; see `waive_in`.

        Raises:
            RequestError: 404 no bill; 409 it is decided already.
        """
        now = self._clock.now()
        row = await self._writer.run(
            partial(
                waive_in,
                session_id=session_id,
                reason=reason,
                actor=actor,
                now=now,
                terms=self._terms,
            )
        )
        self._tell(session_id, "waived")
        return row

    async def credit(
        self, session_id: SessionId, wish: Credit, actor: str
    ) -> CreditRecord:
        """Credit a settled session; the same key again gets the same credit.

        Raises:
            RequestError: It cannot be credited so; see `credit_in`.
        """
        now = self._clock.now()
        found, is_new = await self._writer.run(
            partial(
                credit_in,
                session_id=session_id,
                wish=wish,
                actor=actor,
                now=now,
                rating=self._terms.rating,
            )
        )
        if is_new:
            self._tell_credit(found)
        return found

    async def accept(self, session_id: SessionId, actor: str) -> CreditRecord:
        """Credit what late data of a settled session propose.

        Raises:
            RequestError: 404 no open proposal; 409 it is not in the driver's favour.
        """

        def job(conn: sqlite3.Connection) -> CreditRecord:
            proposal = _open(conn, session_id)
            bill = money.find_bill(conn, session_id)
            if proposal.amount_minor is None or bill is None:
                raise RequestError(
                    409, "no_amount", "no bill can be made of the late data"
                )
            assert bill.amount_minor is not None, "it is settled"
            left = bill.amount_minor - corrections.credited_minor(conn, session_id)
            amount_minor = left - proposal.amount_minor
            if amount_minor <= 0:
                raise RequestError(
                    409,
                    "not_in_favour",
                    f"the late data make {proposal.amount_minor}, and {left} is left"
                    " of the bill: nothing is ever billed afterwards",
                )
            wish = Credit(
                amount_minor=amount_minor,
                reason=f"late data: {', '.join(proposal.reasons)}",
                idempotency_key=f"proposal {to_text(proposal.found_at)}",
            )
            credit, _ = credit_in(
                conn, session_id=session_id, wish=wish, actor=actor, now=now
            )
            corrections.close_proposal(
                conn, session_id, state="credited", actor=actor, now=now
            )
            return credit

        now = self._clock.now()
        found = await self._writer.run(job)
        self._tell_credit(found)
        return found

    async def dismiss(self, session_id: SessionId, reason: str, actor: str) -> None:
        """Leave a settled bill as it is, though late data say otherwise (audited).

        Raises:
            RequestError: 404 there is no open proposal.
        """
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            proposal = _open(conn, session_id)
            corrections.close_proposal(
                conn, session_id, state="dismissed", actor=actor, now=now
            )
            api_tokens.audit(
                conn,
                at=now,
                actor=actor,
                action="proposal.dismissed",
                subject=f"session/{session_id}",
                detail={
                    "reason": reason,
                    "reasons": list(proposal.reasons),
                    "amount_minor": proposal.amount_minor,
                },
            )

        await self._writer.run(job)

    def _tell(self, session_id: SessionId, status: str) -> None:
        self._bus.publish(
            SessionSettled(session_id=session_id, status=status, at=self._clock.now())
        )

    def _tell_credit(self, credit: CreditRecord) -> None:
        _log.info(
            "session.credited",
            session_id=credit.session_id,
            credit=credit.name,
            amount_minor=credit.amount_minor,
            currency=credit.currency,
        )
        self._tell(credit.session_id, "credited")


def _open(
    conn: sqlite3.Connection, session_id: SessionId
) -> corrections.ProposalRecord:
    found = corrections.proposal_of(conn, session_id)
    if found is None or found.state != "open":
        raise RequestError(404, "no_proposal", "there is no open proposal")
    return found
