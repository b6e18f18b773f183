"""Whether a station's clock is too far off to know at which price it delivered."""

import sqlite3
from datetime import timedelta
from typing import Final

from gateway.domain.session import Session
from gateway.domain.tariff import Tariff, TariffError
from gateway.store import clocks, money

TRUSTED_OFFSET: Final = timedelta(seconds=60)
"""A clock off by no more than this may choose between prices."""


def is_price_doubtful(
    conn: sqlite3.Connection, session: Session, tariff: Tariff
) -> bool:
    """Whether a price may have changed within the error of the station's clock.

    Be it by the hour, or because somebody changed the tariff around the begin.

    Kilowatt-hours are allotted to prices by the station's times. With a clock that is
    off, one price for the session and its surroundings is as good as a right clock;
    two are not.
    """
    starts, ends = session.started_at, session.ended_at
    offset = clocks.offset_of(conn, session.station_id)
    if offset is None or starts is None or ends is None:
        return False
    error = abs(offset)
    if error <= TRUSTED_OFFSET or ends < starts:
        return False
    if money.is_tariff_changed(conn, tariff.id, starts - error, starts + error):
        return True
    try:
        return len(tariff.segments(starts - error, ends + error)) > 1
    except TariffError:
        return True
