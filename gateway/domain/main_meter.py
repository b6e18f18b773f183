"""A cabinet's main meter against the sessions below it.

Whatever flows into cars flows through the main meter first, together with losses and
other loads, which never give anything back. So over any time the sessions can only have
less than the main meter, and nothing else is ever concluded: not from what is left,
which may be any load, and not where PV, a battery or a car delivers. What a session
drew is counted from below, what the main meter did from above, so that clocks and late
registers raise no doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias

from gateway.domain.ids import CabinetId, StationId
from gateway.domain.topology import Site

SHARE: Final = 1.08
"""Two meters of class A at twice their error, in opposite directions (MID, Annex V)."""
EXTRA_MILLIWH: Final = 500_000
"""500 Wh: registers in coarse steps on both sides."""
CLOCKS: Final = timedelta(seconds=60)
"""Clocks of stations are trusted to this."""
LATE: Final = timedelta(minutes=5)
"""A main meter's register may be so old when it is told."""

Register: TypeAlias = tuple[datetime, int]
"""A moment and a register, mWh."""


class Fit(StrEnum):
    """How the sessions go with the main meter."""

    FITS = "fits"
    EXCEEDED = "exceeded"
    """The sessions have more than the main meter: a meter below it counts too much."""
    UNKNOWN = "unknown"
    """The main meter told no two registers, or they fell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What the main meter counted from one register of its own to another, mWh."""

    from_at: datetime
    to_at: datetime
    milliwh: int

    @property
    def counts_from(self) -> datetime:
        """From here on a session's energy is surely in it."""
        return self.from_at + CLOCKS

    @property
    def counts_to(self) -> datetime:
        """Until here a session's energy is surely in it."""
        return self.to_at - CLOCKS - LATE


def span_of(registers: Sequence[Register]) -> Span | None:
    """What a main meter counted in all; ``None``: too little is known, or it fell."""
    ordered = sorted(set(registers))
    if len(ordered) <= 1 or any(b[1] < a[1] for a, b in pairwise(ordered)):
        return None
    (from_at, first), (to_at, last) = ordered[0], ordered[-1]
    return Span(from_at=from_at, to_at=to_at, milliwh=last - first)


def least_milliwh(registers: Sequence[Register], span: Span) -> int:
    """The least that a session drew while the main meter counted."""
    inside = sorted(
        {one for one in registers if span.counts_from <= one[0] <= span.counts_to}
    )
    if any(b[1] < a[1] for a, b in pairwise(inside)):
        return 0  # its own verdict says so
    return inside[-1][1] - inside[0][1] if inside else 0


def fit(span: Span | None, sessions_milliwh: int) -> Fit:
    """Whether sessions can have drawn so much, each counted by `least_milliwh`."""
    if span is None:
        return Fit.UNKNOWN
    most = span.milliwh * SHARE + EXTRA_MILLIWH
    return Fit.EXCEEDED if sessions_milliwh > most else Fit.FITS


def main_meters(
    site: Site, station_id: StationId, evse_id: int
) -> tuple[StationId, ...]:
    """The stations whose main meters see all that an EVSE draws, and no generation."""
    evse = site.evse(station_id, evse_id)
    if evse is None or evse.cabinet_id is None:
        return ()
    above = (main_meter_of(site, one.id) for one in site.path(evse.cabinet_id))
    return tuple(one for one in above if one is not None)


def main_meter_of(site: Site, cabinet_id: CabinetId) -> StationId | None:
    """The station whose main meter is the feeder meter of a cabinet.

    ``None`` where there is none, or where PV or a battery below it could deliver.
    """
    cabinet = site.cabinet(cabinet_id)
    if cabinet is None or cabinet.feeder_meter is None:
        return None
    group = site.group(cabinet_id)
    if group.pvs or group.batteries:
        return None
    meter = cabinet.feeder_meter
    named = (one.id for one in site.stations if one.main_meter == meter)
    return next(named, None)
