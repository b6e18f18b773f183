"""Sessions against the main meter of their cabinet: one at its end, all of them daily.

What is compared, and why only in one direction, is told in `gateway.domain.main_meter`.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.ids import CabinetId, StationId
from gateway.domain.main_meter import (
    CLOCKS,
    LATE,
    Fit,
    Span,
    fit,
    least_milliwh,
    main_meter_of,
    span_of,
)
from gateway.domain.reasons import Verdict
from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.store import main_registers

BESIDE: Final = timedelta(hours=2)
"""A main meter's register so long before or after a session still bounds it."""
HELD: Final = frozenset({Verdict.SUSPICIOUS.value, Verdict.UNBILLABLE.value})
"""Sessions with these are doubted already: they take no part in the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """A cabinet's main meter against its sessions over some time.

    Attributes:
        station_id: Whose main meter it is.
        span: What it counted; ``None`` where that is not known.
        sessions_milliwh: The least that the sessions drew meanwhile.
        n_session: How many of them counted.
    """

    station_id: StationId
    span: Span | None
    sessions_milliwh: int
    n_session: int

    @property
    def fit(self) -> Fit:
        """How they go together."""
        return fit(self.span, self.sessions_milliwh)


def exceeds_main_meter(
    conn: sqlite3.Connection, session: Session, mains: Iterable[StationId]
) -> bool:
    """Whether a session claims more than a main meter above it counted meanwhile.

    The main meter's registers around the session bound it from above, other loads and
    sessions included; what came until now has to do.
    """
    starts, ends = session.started_at, session.ended_at
    if starts is None or ends is None or ends < starts:
        return False
    for station_id in mains:
        told = main_registers.of_main(conn, station_id, starts - BESIDE, ends + BESIDE)
        earlier = [one for one in told if one[0] <= starts - CLOCKS]
        later = [one for one in told if one[0] > starts - CLOCKS]
        enough = min(
            (one for one in later if one[0] >= ends + CLOCKS + LATE), default=None
        )
        between = [one for one in later if enough is None or one[0] <= enough[0]]
        span = span_of([*sorted(earlier)[-1:], *between])
        if span is None:
            continue
        registers = main_registers.of_session(conn, session, span.from_at, span.to_at)
        if fit(span, least_milliwh(registers, span)) is Fit.EXCEEDED:
            return True
    return False


def of_cabinet(
    conn: sqlite3.Connection,
    site: Site,
    cabinet_id: CabinetId,
    begin: datetime,
    end: datetime,
) -> Residual | None:
    """A cabinet's main meter against its sessions; ``None``: there is no such meter."""
    main = main_meter_of(site, cabinet_id)
    if main is None:
        return None
    span = span_of(main_registers.of_main(conn, main, begin, end))
    if span is None:
        return Residual(station_id=main, span=None, sessions_milliwh=0, n_session=0)
    below = {one.id for one in site.subtree(cabinet_id)}
    refs = {
        (one.ref.station_id, one.ref.evse_id)
        for one in site.evses
        if one.cabinet_id in below
    }
    stations = sorted({station_id for station_id, _ in refs})
    found = [
        least_milliwh(
            main_registers.of_session(conn, session, span.from_at, span.to_at), span
        )
        for session in main_registers.sessions_of(
            conn, stations, span.from_at, span.to_at
        )
        if (session.station_id, session.evse_id) in refs
        and session.verdict not in HELD
        and "register_drop" not in session.verdicts
    ]
    return Residual(
        station_id=main,
        span=span,
        sessions_milliwh=sum(found),
        n_session=sum(one > 0 for one in found),
    )
