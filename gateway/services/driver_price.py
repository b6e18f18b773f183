"""What a driver's page says of prices: those promised to the session, and its bill."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.bill import amount_text
from gateway.domain.session import Session
from gateway.domain.tariff_text import tariff_text
from gateway.services.billing import cost_so_far
from gateway.store import money
from gateway.store.money import BillRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPrice:
    """Texts with the currency; ``None`` where there is no tariff or no price."""

    price: str | None
    cost: str | None


def driver_price(
    conn: sqlite3.Connection, session: Session, bill: BillRow | None, now: datetime
) -> DriverPrice:
    """Prices and cost of a session; the cost is that of its bill once there is one."""
    tariff = money.promised_tariff(conn, session.session_id)
    if tariff is None:
        return DriverPrice(price=None, cost=None)
    if bill is not None and bill.amount_minor is not None:
        cost: str | None = amount_text(bill.amount_minor, tariff.minor_digits)
    else:
        running = cost_so_far(conn, session)
        cost = None if running is None else running.amount_text
    return DriverPrice(
        price=tariff_text(tariff, session.ended_at or now),
        cost=None if cost is None else f"{cost} {tariff.currency}",
    )
