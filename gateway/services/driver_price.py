"""What a driver's page says of prices: those promised to the session, and its bill."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.bill import amount_text
from gateway.domain.bill_labels import ENGLISH, why
from gateway.domain.session import Session
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_text import tariff_text
from gateway.services.bill_view import balance_minor
from gateway.services.billing import cost_so_far
from gateway.store import corrections, money
from gateway.store.money import BillRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPrice:
    """Texts with the currency; ``None`` where there is no tariff or no price.

    Attributes:
        cost: What is to be paid, after credits.
        credited: What was credited; ``None``: nothing.
    """

    price: str | None
    cost: str | None
    credited: str | None = None


def driver_price(
    conn: sqlite3.Connection, session: Session, bill: BillRow | None, now: datetime
) -> DriverPrice:
    """Prices and cost of a session; the cost is that of its bill once there is one."""
    tariff = money.promised_tariff(conn, session.session_id)
    if tariff is None:
        return DriverPrice(price=None, cost=None)
    cost: str | None
    if bill is not None and bill.status != "held":
        cost = _to_pay(conn, bill, tariff)
    elif bill is not None and bill.amount_minor is not None:
        cost = amount_text(bill.amount_minor, tariff.minor_digits)
    else:
        running = cost_so_far(conn, session)
        cost = None if running is None else running.amount_text
    credited_minor = corrections.credited_minor(conn, session.session_id)
    credited = amount_text(credited_minor, tariff.minor_digits)
    return DriverPrice(
        price=tariff_text(tariff, session.ended_at or now),
        cost=None if cost is None else f"{cost} {tariff.currency}",
        credited=f"{credited} {tariff.currency}" if credited_minor else None,
    )


def driver_meter(session: Session, bill: BillRow | None) -> dict[str, int]:
    """Energy and registers of a session: those of its bill once one is worked out.

    A bill may rest on others than the station told: on samples where an end register is
    missing, or on what an operator read at the meter.
    """
    document = None if bill is None else bill.document
    if document is not None:
        names = ("energy_milliwh", "register_start_milliwh", "register_end_milliwh")
        return {name: int(str(document[name])) for name in names}
    return {
        "energy_milliwh": session.energy_milliwh,
        "register_start_milliwh": session.register_start_milliwh or 0,
        "register_end_milliwh": session.register_end_milliwh or 0,
    }


def driver_doubt(bill: BillRow | None) -> str | None:
    """Why a bill is held, in plain words; ``None``: it is not."""
    if bill is None or bill.status != "held":
        return None
    words = [ENGLISH.why[why(one)] for one in bill.reasons or ("",)]
    return " ".join(dict.fromkeys(words))


def _to_pay(conn: sqlite3.Connection, bill: BillRow, tariff: Tariff) -> str:
    """What is left of a final bill; nothing of one that was given up."""
    credited_minor = corrections.credited_minor(conn, bill.session_id)
    return amount_text(balance_minor(bill, credited_minor) or 0, tariff.minor_digits)
