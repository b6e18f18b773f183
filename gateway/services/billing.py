"""Bills out of stored registers: of an ended session, and what a running one costs."""

import sqlite3
from datetime import datetime

from gateway.domain.bill import Bill, RegisterPoint, price
from gateway.domain.reasons import Verdict
from gateway.domain.session import Session
from gateway.domain.tariff import Tariff, TariffError
from gateway.domain.verdict import Basis, Judgement
from gateway.store import money


def make_bill(
    conn: sqlite3.Connection,
    session: Session,
    judgement: Judgement,
    tariff: Tariff | None,
) -> tuple[Bill | None, str | None]:
    """The bill, or why there is none; a missing price is never a price of zero."""
    if tariff is None:
        return None, "no_tariff"
    start, end = judgement.register_start_milliwh, judgement.register_end_milliwh
    starts, ends = session.started_at, session.ended_at
    if judgement.verdict is Verdict.UNBILLABLE or start is None or end is None:
        return None, "no_registers"
    if starts is None or ends is None or end < start or ends < starts:
        return None, "not_priced"
    points = [
        RegisterPoint(at=starts, register_milliwh=start),
        RegisterPoint(at=ends, register_milliwh=end),
    ]
    if judgement.basis is not Basis.INTERVALS:
        points = _points(conn, session, start, end, ends)
    try:
        return price(tariff, points), None
    except TariffError:
        return None, "no_price"


def not_certified(bill: Bill | None) -> list[str]:
    """What a bill rests on besides two registers of a certified meter."""
    if bill is None:
        return []
    found = ["several_prices"] if len(bill.parts) > 1 else []
    return [*found, "time_priced"] if bill.prices_time else found


def cost_so_far(conn: sqlite3.Connection, session: Session) -> Bill | None:
    """Price a session up to its end or latest register, by the bill's own rules.

    Returns:
        ``None`` while tariff or registers are unknown or cannot be priced.
    """
    tariff = money.promised_tariff(conn, session.session_id)
    start, last = session.register_start_milliwh, session.register_last_milliwh
    if tariff is None or session.started_at is None or start is None:
        return None
    end = start if last is None else max(start, last)
    end_at = session.ended_at or session.last_sample_at or session.started_at
    points = _points(conn, session, start, end, max(end_at, session.started_at))
    try:
        return price(tariff, points)
    except TariffError:
        return None


def _points(
    conn: sqlite3.Connection,
    session: Session,
    start: int,
    end: int,
    end_at: datetime,
) -> list[RegisterPoint]:
    """Start, the samples between that fit, and end: a register that only grows."""
    assert session.started_at is not None, "the callers looked"
    points = [RegisterPoint(at=session.started_at, register_milliwh=start)]
    for sample in money.registers_of(conn, session.session_id):
        is_inside = session.started_at <= sample.at <= end_at
        if is_inside and points[-1].register_milliwh <= sample.register_milliwh <= end:
            points.append(sample)
    points.append(RegisterPoint(at=end_at, register_milliwh=end))
    return points
