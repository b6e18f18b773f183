"""Registers that an operator states for a session: believed as far as meters bear out.

An operator may always lower a bill. Nobody raises one above what was measured: a
register that adds energy must be one that the station itself reported.
"""

import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.bill import Bill
from gateway.domain.neighbours import most_milliwh
from gateway.domain.reasons import Verdict
from gateway.domain.session import Session
from gateway.domain.units import MAX_REGISTER_WH, MILLIWH_PER_WH
from gateway.domain.verdict import Judgement
from gateway.errors import RequestError
from gateway.services.billing import make_bill
from gateway.store import money
from gateway.store.reading_trail import OF_SESSION

MAX_REGISTER_MILLIWH: Final = int(MAX_REGISTER_WH) * MILLIWH_PER_WH


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What an operator says the meter showed; ``None``: as it was judged.

    Attributes:
        energy_milliwh: Instead of an end register: what lies above the start.
    """

    register_start_milliwh: int | None = None
    register_end_milliwh: int | None = None
    energy_milliwh: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stated."""
        return (
            self.register_start_milliwh is None
            and self.register_end_milliwh is None
            and self.energy_milliwh is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """The bill of stated registers.

    Attributes:
        by_hand: Registers of it that no datum of the session shows.
    """

    bill: Bill
    by_hand: frozenset[int]


def restate(
    conn: sqlite3.Connection,
    session: Session,
    judgement: Judgement,
    stated: Stated,
    *,
    rated_w: float | None,
) -> Restated:
    """Price a session by registers that an operator states.

    Args:
        conn: Any connection, in a transaction.
        session: An ended session.
        judgement: On what the station reported.
        stated: What the operator says.
        rated_w: Rating of the EVSE, W; ``None`` if unknown.

    Raises:
        RequestError: 422 the registers are none; 409 ``above_rating`` more than the
            EVSE can deliver in that time, ``above_proposal`` more than any meter
            showed, or no bill can be made of them.
    """
    start, end = _registers(judgement, stated)
    if not 0 <= start <= end <= MAX_REGISTER_MILLIWH:
        raise RequestError(422, "not_registers", f"{start} to {end} mWh is no session")
    _check_rating(session, end - start, rated_w)
    shown = _shown(conn, session)
    others = _neighbours(conn, session)
    known = judgement.register_start_milliwh, judgement.register_end_milliwh
    lower = known[0] is None or start < known[0]
    higher = known[1] is None or end > known[1]
    for register, raises in ((start, lower), (end, higher)):
        if raises and register not in shown | others:
            raise RequestError(
                409,
                "above_proposal",
                f"no meter reading shows {register} mWh: a correction may lower a"
                " bill, and raise it only to what the station reported",
            )
    bill, why_not = make_bill(
        conn,
        session,
        replace(
            judgement,
            verdict=Verdict.RECONSTRUCTED,
            register_start_milliwh=start,
            register_end_milliwh=end,
            energy_milliwh=end - start,
        ),
        money.promised_tariff(conn, session.session_id),
    )
    if bill is None:
        raise RequestError(
            409, why_not or "no_registers", "no bill can be made of these registers"
        )
    proven = shown | {one for one in known if one is not None}
    return Restated(bill=bill, by_hand=frozenset({start, end} - proven))


def _registers(judgement: Judgement, stated: Stated) -> tuple[int, int]:
    start = stated.register_start_milliwh
    if start is None:
        start = judgement.register_start_milliwh
    end = stated.register_end_milliwh
    if end is not None and stated.energy_milliwh is not None:
        raise RequestError(
            422, "not_registers", "give an end register or an energy, not both"
        )
    if end is None and stated.energy_milliwh is not None and start is not None:
        end = start + stated.energy_milliwh
    if end is None and stated.energy_milliwh is None:
        end = judgement.register_end_milliwh
    if start is None or end is None:
        missing = "start" if start is None else "end"
        raise RequestError(422, "not_registers", f"the {missing} register is missing")
    return start, end


def _check_rating(session: Session, energy_milliwh: int, rated_w: float | None) -> None:
    if session.started_at is None or session.ended_at is None:
        return  # it cannot be priced, and is refused for that
    most = most_milliwh(session.ended_at - session.started_at, rated_w)
    if energy_milliwh > most:
        raise RequestError(
            409,
            "above_rating",
            f"{energy_milliwh} mWh is more than the EVSE can deliver in that time"
            f" ({int(most)} mWh)",
        )


def _shown(conn: sqlite3.Connection, session: Session) -> frozenset[int]:
    """Registers that the station reported for the session, in any message."""
    rows = conn.execute(
        f"SELECT register_milliwh FROM reading {OF_SESSION}"  # noqa: S608 - a constant clause
        " AND register_milliwh IS NOT NULL"
        " UNION SELECT register_milliwh FROM amendment WHERE session_id = ?1"
        " UNION SELECT register_start_milliwh FROM signed_session WHERE session_id = ?1"
        " UNION SELECT register_end_milliwh FROM signed_session WHERE session_id = ?1",
        (session.session_id,),
    )
    own = {
        session.register_start_milliwh,
        session.register_end_milliwh,
        session.register_last_milliwh,
        session.register_low_milliwh,
    }
    found = {row[0] for row in rows} | own
    return frozenset(one for one in found if one is not None)


def _neighbours(conn: sqlite3.Connection, session: Session) -> frozenset[int]:
    """Registers at which the sessions around it on its EVSE ended and began."""
    rows = conn.execute(
        "SELECT register_end_milliwh FROM (SELECT * FROM session"
        "  WHERE station_id = ?1 AND evse_id = ?2 AND session_id <> ?3"
        "  AND started_at <= (SELECT started_at FROM session WHERE session_id = ?3)"
        "  ORDER BY started_at DESC LIMIT 1)"
        " UNION SELECT register_start_milliwh FROM (SELECT * FROM session"
        "  WHERE station_id = ?1 AND evse_id = ?2 AND session_id <> ?3"
        "  AND started_at >= (SELECT started_at FROM session WHERE session_id = ?3)"
        "  ORDER BY started_at LIMIT 1)",
        (session.station_id, session.evse_id, session.session_id),
    )
    return frozenset(row[0] for row in rows if row[0] is not None)
