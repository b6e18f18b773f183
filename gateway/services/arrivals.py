"""Which cars still come, by the site's own past: what plans of mode ``auto`` heed.

Where past days, with the cars that are there now, leave room for all, plans follow the
price around what is expected; elsewhere cars are served at once. Plans only: whatever
is expected, no limit is wider for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from gateway.domain.ids import EvseRef
from gateway.domain.topology import Site
from gateway.domain.usual_need import WORKING_DAYS
from gateway.store.past_visits import PastVisit, past_visits
from gateway.store.queries import Queries
from optimizer import CabinetProblem, Mode
from optimizer.forecast import LEAST_DAYS, Expected, Visit, expected_a, foreseen

HISTORY: Final = timedelta(weeks=8)
READ_AGAIN: Final = timedelta(hours=6)
"""Past sessions are read so often at most."""

MOST_SESSIONS: Final = 100
"""With more cars at once the rule that foresees a shortage takes too long."""

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an EVSE is.

    Attributes:
        cabinets: Ids of the cabinets above it.
        n_phase: Phases it is wired to.
    """

    cabinets: tuple[str, ...]
    n_phase: int


class Arrivals(Protocol):
    """What is known of cars that still come."""

    async def foreseen(
        self, problem: CabinetProblem, places: Mapping[EvseRef, Place]
    ) -> CabinetProblem:
        """State what an ``auto`` problem comes to; others are left as they are."""
        ...


class PastArrivals:
    """Reads past sessions a few times a day. Loop thread."""

    def __init__(self, queries: Queries, site: Callable[[], Site]) -> None:
        self._queries = queries
        self._site = site
        self._visits: Sequence[PastVisit] = ()
        self._read_at: datetime | None = None

    async def foreseen(
        self, problem: CabinetProblem, places: Mapping[EvseRef, Place]
    ) -> CabinetProblem:
        """State what an ``auto`` problem comes to; others are left as they are.

        Raises:
            StoreError: The store cannot be read now.
        """
        if problem.mode is not Mode.AUTO:
            return problem
        if len(problem.sessions) > MOST_SESSIONS:
            return replace(problem, mode=Mode.FINISH)
        now, zone = problem.start, ZoneInfo(self._site().timezone)
        if self._read_at is None or not (
            timedelta(0) <= now - self._read_at < READ_AGAIN
        ):
            work = partial(past_visits, since=now - HISTORY, zone=zone)
            self._visits = await asyncio.to_thread(self._queries.read_now, work)
            self._read_at = now
        return await asyncio.to_thread(
            _foreseen, problem, self._visits, places, now.astimezone(zone)
        )


def _foreseen(
    problem: CabinetProblem,
    visits: Sequence[PastVisit],
    places: Mapping[EvseRef, Place],
    local: datetime,
) -> CabinetProblem:
    return foreseen(problem, expected(problem, visits, places, local))


def expected(
    problem: CabinetProblem,
    visits: Iterable[PastVisit],
    places: Mapping[EvseRef, Place],
    local: datetime,
) -> dict[str, Expected] | None:
    """What cars that come later are expected to draw, A per cabinet and phase.

    Args:
        problem: Whose steps and cabinets.
        visits: Past sessions, with local starts.
        places: The EVSEs of the group.
        local: The present, local time.

    Returns:
        By cabinet, over the past days that were working days or not as today is; None
        with too few of them.
    """
    here = [
        visit
        for visit in visits
        if visit.ref in places and visit.started_at.date() < local.date()
    ]
    if not here:
        return None
    first = min(visit.started_at.date() for visit in here)
    days = [
        day
        for day in _days(first, local.date())
        if _is_working(day) == _is_working(local.date())
    ]
    if len(days) < LEAST_DAYS:
        return None
    found: dict[str, Expected] = {}
    for cabinet in problem.cabinets:
        by_day: dict[date, list[Visit]] = {day: [] for day in days}
        for visit in here:
            place = places[visit.ref]
            day = visit.started_at.date()
            if day in by_day and cabinet.cabinet_id in place.cabinets:
                by_day[day].append(_visit(visit, place, problem.step_s))
        found[cabinet.cabinet_id] = expected_a(
            list(by_day.values()),
            now_step=_step_of(local, problem.step_s),
            n_step=problem.n_step,
            step_s=problem.step_s,
            nominal_v=problem.nominal_v,
        )
    return found


def _visit(visit: PastVisit, place: Place, step_s: int) -> Visit:
    stay_s = min(visit.stay_s, _DAY_S)
    return Visit(
        arrival_step=_step_of(visit.started_at, step_s),
        n_step=max(1, round(stay_s / step_s)),
        energy_wh=visit.energy_wh,
        n_phase=place.n_phase,
    )


def _step_of(local: datetime, step_s: int) -> int:
    return (local.hour * 3600 + local.minute * 60 + local.second) // step_s


def _days(first: date, today: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((today - first).days)]


def _is_working(day: date) -> bool:
    return day.weekday() < WORKING_DAYS
