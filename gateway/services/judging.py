"""What an ended session is worth, and whether that may stand without a person.

One judgement for all who ask: the settlement that seals it, and what a driver is told
at the end. It reads only.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.config import Regime
from gateway.domain.bill import Bill
from gateway.domain.ids import StationId
from gateway.domain.reasons import Verdict
from gateway.domain.session import Session
from gateway.domain.signed_session import SignedFinding
from gateway.domain.verdict import Judgement
from gateway.services import signed_meter
from gateway.services.billing import make_bill, not_certified
from gateway.services.clock_doubt import is_price_doubtful
from gateway.services.group_doubt import is_group_late
from gateway.services.pause_doubt import is_pause_ours
from gateway.services.register_doubt import register_doubt
from gateway.services.session_energy import judge_in
from gateway.store import money

_BY_ITSELF: Final = {
    Regime.STANDARD: frozenset({Verdict.OK, Verdict.OK_UNSIGNED}),
    Regime.EICHRECHT: frozenset({Verdict.OK}),
}


def _no_mains(_station_id: StationId, _evse_id: int) -> tuple[StationId, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What settling depends on besides the session.

    Attributes:
        regime: What settles by itself.
        tariff_id_of: Which tariff a station charges by.
        rating: Rated power of an EVSE, W, for plausibility.
        mains: The stations whose main meters see all that an EVSE draws.
    """

    regime: Regime
    tariff_id_of: Callable[[StationId], str | None]
    rating: Callable[[StationId, int], float | None]
    mains: Callable[[StationId, int], tuple[StationId, ...]] = _no_mains


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What became of a session, before anything is written.

    Attributes:
        judgement: On its energy.
        bill: ``None`` if none can be made.
        missing: Why there is none; ``None`` if there is.
        reasons: Why it must be held, or what was noted.
        may_settle: Nothing speaks against it, and there is a bill.
    """

    judgement: Judgement
    bill: Bill | None
    missing: str | None
    reasons: tuple[str, ...]
    may_settle: bool


def propose(
    conn: sqlite3.Connection,
    session: Session,
    *,
    terms: Terms,
    finding: SignedFinding,
) -> Proposal:
    """Judge and price an ended session by what is stored now.

    Whatever it reads besides readings must show in `gateway.services.footing.Footing`.

    Args:
        conn: Any connection, in a transaction.
        session: As it is stored.
        terms: What it depends on besides.
        finding: What its signed data prove.
    """
    rated_w = terms.rating(session.station_id, session.evse_id)
    judgement = judge_in(
        conn,
        session,
        rated_w=rated_w,
        signed=finding,
        mains=terms.mains(session.station_id, session.evse_id),
    )
    tariff = money.promised_tariff(conn, session.session_id)
    bill, missing = make_bill(conn, session, judgement, tariff)
    doubts = not_certified(bill) if terms.regime is Regime.EICHRECHT else []
    if tariff is not None and is_price_doubtful(conn, session, tariff):
        doubts.append("clock_offset")
    if is_group_late(conn, session, tariff):
        doubts.append("group_tariff_late")
    if is_pause_ours(conn, session.session_id, bill):
        doubts.append("paused_by_limit")
    doubt = register_doubt(conn, session, terms.rating)
    if doubt is not None:
        doubts.append(doubt)
    is_good = judgement.verdict in _BY_ITSELF[terms.regime]
    return Proposal(
        judgement=judgement,
        bill=bill,
        missing=missing,
        reasons=(
            *judgement.reasons,
            *(() if missing is None else (missing,)),
            *doubts,
        ),
        may_settle=bill is not None and is_good and not doubts,
    )


def final_cost(
    conn: sqlite3.Connection, session: Session, *, terms: Terms
) -> str | None:
    """What an ended session is billed, in major units, where that is final already.

    It reads only. The bill itself is made from the same judgement; one that is held
    for a person is told to nobody, since it may change.
    """
    finding = signed_meter.current(conn, session)
    found = propose(conn, session, terms=terms, finding=finding)
    if found.bill is None or not found.may_settle:
        return None
    return found.bill.amount_text
