"""Whether a session's registers may be in another unit than they claim."""

import sqlite3
from typing import Final

from gateway.domain.session import Session
from gateway.store import meters
from gateway.store.meters import Rating

CONFIRMED: Final = "register_unit"
"""An operator confirmed that the registers of this station are in a wrong unit."""
CONTRADICTED: Final = "register_against_power"
"""The power of this session and its register contradict each other."""


def register_doubt(
    conn: sqlite3.Connection, session: Session, rating: Rating
) -> str | None:
    """Why the registers of an ended session must not be billed as they are.

    A word of an operator counts before the session's own samples: one who dismissed
    the doubt knows the power to be wrong.
    """
    decision = meters.decision_for(conn, session.station_id)
    if decision is not None:
        return CONFIRMED if decision.decision == "confirmed" else None
    rated_w = rating(session.station_id, session.evse_id)
    found = meters.comparison(conn, session, rated_w)
    return CONTRADICTED if found is not None and found.is_contradiction else None
