"""The energy of an ended session: judged with all that is stored of it and around it.

The store judges a session when it ends by what the session itself remembers. Here its
samples, its neighbours, its signed records and the words of operators are read as well;
it is what bills rest on.
"""

import sqlite3
from dataclasses import replace

from gateway.domain.ids import StationId
from gateway.domain.session import Session
from gateway.domain.signed_session import SignedFinding
from gateway.domain.told_energy import ToldEnergy, told_energy
from gateway.domain.verdict import Judgement, also, judge
from gateway.services.residual import exceeds_main_meter
from gateway.store import continuity, meters, told_samples


def judge_in(
    conn: sqlite3.Connection,
    session: Session,
    *,
    rated_w: float | None,
    signed: SignedFinding,
    mains: tuple[StationId, ...] = (),
) -> Judgement:
    """Judge an ended session inside the caller's transaction; it only reads.

    Args:
        conn: Any connection to the store.
        session: An ended session.
        rated_w: What its EVSE can deliver at most, W; ``None`` if unknown.
        signed: What its signed records prove.
        mains: The stations whose main meters see all that its EVSE draws.

    Raises:
        ValueError: The session is still running.
    """
    found = judge(
        session,
        rated_w=rated_w,
        signed=signed,
        before=continuity.before(conn, session),
        told=told_in(conn, session, rated_w),
    )
    if mains and exceeds_main_meter(conn, session, mains):
        return also(found, "exceeds_main_meter")
    return found


def told_in(
    conn: sqlite3.Connection, session: Session, rated_w: float | None
) -> ToldEnergy:
    """What the stored samples of a session tell of its energy.

    An operator who dismissed the doubt about a register against its power knows the
    power to be wrong: it is not compared any more.
    """
    found = told_energy(
        told_samples.of_session(conn, session),
        start_milliwh=session.register_start_milliwh,
        started_at=session.started_at,
        ended_at=session.ended_at,
        rated_w=rated_w,
    )
    if found.does_power_differ:
        decision = meters.decision_for(conn, session.station_id)
        if decision is not None and decision.decision == "dismissed":
            return replace(found, does_power_differ=False)
    return found
