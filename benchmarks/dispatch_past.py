"""What a site's own past tells its dispatch: stays, wrong departures, cars to come.

The gateway reads past sessions from its store; here they are the past days of the
plans' benchmark (`optimizer_past`), read by the same rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from benchmarks.optimizer_days import STEP_S, Day, disturbed, draw
from benchmarks.optimizer_loop import past_draw
from benchmarks.optimizer_past import HISTORY
from gateway.domain.ids import EvseRef
from gateway.domain.session import Session
from gateway.domain.usual_need import Default, Visit, alike, usual
from gateway.services.arrivals import Place
from gateway.services.need_policy import likely
from optimizer import CabinetProblem
from optimizer.forecast import foreseen

PAST_LIMIT_A: Final = 63.0
"""Who came on past days does not depend on the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastNeeds:
    """What is assumed of drivers, by past days (`gateway.services.need_policy`).

    Attributes:
        visits: Stays of the past, as meters and plugs tell.
        errors_s: How much later than said cars left.
    """

    visits: tuple[Visit, ...]
    errors_s: tuple[int, ...]

    async def of_group(self, session: Session) -> Default:
        """See `NeedDefaults`: no token belongs to a group here."""
        del session
        return Default()

    async def of_history(self, session: Session, now: datetime) -> Default:
        """See `NeedDefaults`."""
        return usual(self.visits, session.started_at or now)

    async def departures(
        self, session: Session, said: datetime | None, now: datetime
    ) -> tuple[datetime, ...]:
        """See `NeedDefaults`."""
        if said is not None:
            return likely(said, self.errors_s)
        start = session.started_at or now
        return likely(start, [one.stay_s for one in alike(self.visits, start)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PastArrivals:
    """Which cars still come, by past days (`gateway.services.arrivals`)."""

    day: Day

    async def foreseen(
        self, problem: CabinetProblem, places: Mapping[EvseRef, Place]
    ) -> CabinetProblem:
        """See `Arrivals`."""
        del places  # there is one cabinet, and every EVSE is behind it
        step = int((problem.start - self.day.start).total_seconds() // STEP_S)
        expected = past_draw(self.day.kind, step % self.day.n_step)
        (cabinet,) = problem.cabinets
        return foreseen(problem, {cabinet.cabinet_id: expected})


def past_needs(day: Day) -> PastNeeds:
    """Past days of this kind, with the same surprises, as if just before this one."""
    visits: list[Visit] = []
    errors_s: list[int] = []
    for back, seed in enumerate(HISTORY, start=1):
        start = day.start - timedelta(days=back)
        for car in disturbed(draw(day.kind, PAST_LIMIT_A, seed), day.disturbance).cars:
            visits.append(
                Visit(
                    start + timedelta(seconds=car.arrival_step * STEP_S),
                    car.energy_wh,
                    (car.departure_step - car.arrival_step) * STEP_S,
                )
            )
            errors_s.append((car.departure_step - car.stated_step) * STEP_S)
    return PastNeeds(visits=tuple(visits), errors_s=tuple(errors_s))
