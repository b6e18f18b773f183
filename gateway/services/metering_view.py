"""How the energy of a session was found, for those who ask why."""

import sqlite3
from typing import Any

from gateway.domain.neighbours import gap
from gateway.domain.reasons import REASONS, weight
from gateway.domain.session import Session, SessionPhase
from gateway.domain.told_energy import ToldEnergy
from gateway.services import signed_meter
from gateway.services.session_energy import judge_in, told_in
from gateway.store import continuity
from gateway.store.meters import Rating

View = dict[str, Any]


def of_session(conn: sqlite3.Connection, session: Session, rating: Rating) -> View:
    """Its sources and verdict now; a settled bill stays what it was."""
    rated_w = rating(session.station_id, session.evse_id)
    told = told_in(conn, session, rated_w)
    return {
        "session_id": session.session_id,
        "rated_w": rated_w,
        "sources": _sources(conn, session, told),
        "judgement": _judgement(conn, session, rated_w),
    }


def _sources(conn: sqlite3.Connection, session: Session, told: ToldEnergy) -> View:
    intervals = told.intervals
    signed = signed_meter.current(conn, session)
    return {
        "signed": {
            "register_start_milliwh": signed.register_start_milliwh,
            "register_end_milliwh": signed.register_end_milliwh,
        },
        "transaction": {
            "register_start_milliwh": session.register_start_milliwh,
            "register_end_milliwh": session.register_end_milliwh,
        },
        "samples": {
            "begin_milliwh": told.begin_milliwh,
            "end_milliwh": told.end_milliwh,
            "lowest_milliwh": told.low_milliwh,
            "highest_milliwh": told.last_milliwh,
            "placeholders": told.n_placeholder,
            "summed": sorted(one for one in told.summed if one is not None),
        },
        "intervals": None
        if intervals is None
        else {
            "energy_milliwh": intervals.milliwh,
            "intervals": intervals.n_interval,
            "is_whole": intervals.is_whole,
        },
        "power": {"estimate_milliwh": told.power_milliwh},
    }


def _judgement(
    conn: sqlite3.Connection, session: Session, rated_w: float | None
) -> View | None:
    if session.phase is not SessionPhase.ENDED:
        return None
    signed = signed_meter.current(conn, session)
    found = judge_in(conn, session, rated_w=rated_w, signed=signed)
    start = found.register_start_milliwh
    before = continuity.before(conn, session)
    kind, advance = (
        (None, None) if start is None else gap(before, start, session.started_at)
    )
    return {
        "verdict": found.verdict.value,
        "basis": found.basis.value,
        "energy_milliwh": found.energy_milliwh,
        "estimate_milliwh": found.estimate_milliwh,
        "register_start_milliwh": start,
        "register_end_milliwh": found.register_end_milliwh,
        "since_the_session_before": {
            "kind": None if kind is None else kind.value,
            "advance_milliwh": advance,
        },
        "reasons": [
            {
                "reason": word,
                "verdict": weight(word).value,
                "meaning": REASONS[word].text if word in REASONS else "",
            }
            for word in found.reasons
        ],
    }
