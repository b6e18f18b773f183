"""The stored samples of a session, as far as they tell of its energy."""

import sqlite3
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from gateway.domain.metering import CLOCK_MARK, INLET, INTERVAL, SUMMED_LABEL
from gateway.domain.session import Session
from gateway.domain.told_energy import Told
from gateway.store.reading_trail import OF_SESSION

MAX_SAMPLES: Final = 20_000
"""Of one session that are looked at: two weeks of one a minute. The latest count."""
_SAMPLES: Final = (
    "SELECT sampled_at, context, register_milliwh, power_w, samples FROM reading"  # noqa: S608 - a constant clause
    f" {OF_SESSION} ORDER BY sampled_at DESC LIMIT ?"
)
_decode: Final = msgspec.json.Decoder(dict[str, str]).decode


def of_session(conn: sqlite3.Connection, session: Session) -> list[Told]:
    """What was told of the energy of a session, in time order."""
    rows = conn.execute(_SAMPLES, (session.session_id, MAX_SAMPLES)).fetchall()
    return [_told(*row) for row in reversed(rows)]


def _told(
    sampled_at: str,
    context: str,
    register: int | None,
    power_w: float | None,
    samples: str,
) -> Told:
    others: dict[str, str] = (
        _decode(samples) if INTERVAL in samples or (SUMMED_LABEL in samples) else {}
    )
    return Told(
        at=datetime.fromisoformat(sampled_at),
        context=context,
        register_milliwh=register,
        power_w=power_w,
        interval_wh=_energy(others, ""),
        clock_interval_wh=_energy(others, CLOCK_MARK),
        summed=others.get(SUMMED_LABEL),
    )


def _energy(others: dict[str, str], mark: str) -> Decimal | None:
    """The energy of an interval at the outlet, or at the inlet where there is none."""
    text = others.get(f"{INTERVAL}{mark}", others.get(f"{INTERVAL}@{INLET}{mark}"))
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
