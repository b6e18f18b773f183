"""A settlement worked out beforehand, on a connection that only reads.

All that takes time with the length of a session is here: its registers, its price, the
signatures of its meter, the tree over its leaves. The writer only checks that the
footing is still the same, and writes.
"""

import sqlite3
from dataclasses import dataclass

from gateway.domain.ids import SessionId
from gateway.domain.session import SessionPhase
from gateway.services import signed_meter
from gateway.services.footing import Footing, footing_of, has_newer, newest_reading
from gateway.services.judging import Proposal, Terms, propose
from gateway.services.sealing import Counted, count_leaves
from gateway.services.signed_meter import Found
from gateway.store import money
from gateway.store.money import BillRow, Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a settlement would write, and what it rests on.

    Attributes:
        terms: They give the same answers when it is written, or it is not.
        reading_id: The newest reading of all when it was read.
        known: The bill so far.
        found: What is to be kept of signed data; ``None``: nothing new.
        proposal: ``None`` if there is nothing to judge: it is settled, or its start
            must be sealed first.
        draft: The bill of the proposal, written out.
        counted: What its settlement leaf would count.
    """

    terms: Terms
    footing: Footing
    reading_id: int
    known: BillRow | None
    found: Found | None
    proposal: Proposal | None
    draft: Draft | None
    counted: Counted | None

    @property
    def session_id(self) -> SessionId:
        """Whose it is."""
        return self.footing.session.session_id

    def is_current(self, conn: sqlite3.Connection) -> bool:
        """Whether it rests on what is stored now, seen by the writer."""
        return (
            not has_newer(conn, self.session_id, self.reading_id)
            and footing_of(conn, self.session_id, self.terms) == self.footing
            and (
                self.found is None
                or signed_meter.is_still_so(conn, self.session_id, self.found)
            )
        )


def prepare(
    conn: sqlite3.Connection, session_id: SessionId, terms: Terms
) -> Prepared | None:
    """Work out the settlement of an ended session.

    Args:
        conn: Any connection, in a transaction: it sees one state.
        session_id: The session.
        terms: What it depends on besides.

    Returns:
        ``None`` while the session runs, or if it is unknown.
    """
    reading_id = newest_reading(conn)
    footing = footing_of(conn, session_id, terms)
    if footing is None or footing.session.phase is not SessionPhase.ENDED:
        return None
    known = money.find_bill(conn, session_id)
    finding, found = signed_meter.look(conn, footing.session)
    proposal = None
    is_settled = known is not None and known.status != "held"
    if footing.has_start and not is_settled:
        proposal = propose(conn, footing.session, terms=terms, finding=finding)
    bill = None if proposal is None else proposal.bill
    return Prepared(
        terms=terms,
        footing=footing,
        reading_id=reading_id,
        known=known,
        found=found,
        proposal=proposal,
        draft=None if bill is None else Draft.of(bill),
        counted=None if bill is None else count_leaves(conn, session_id, bill),
    )
