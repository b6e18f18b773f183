"""Whether a changed request can be met, said at once from the newest plan.

No solver: the other cars keep what they are planned to get, and the session takes what
is left (``sure_wh``); or it has everything to itself (``most_wh``). What it gets in the
end lies between, and the new plan says where.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol

from gateway.domain.ids import EvseRef, SessionId, StationId
from gateway.domain.session import Session
from gateway.services.evse_state import EvseState, session_ref
from gateway.services.group_problem import Asked, wh_per_da
from gateway.services.group_runner import GroupRunner
from gateway.services.plan_words import local_time
from gateway.services.promises import guaranteed_wh
from optimizer.layout import Layout, Room
from optimizer.outcome import Plan


class Verdict(StrEnum):
    """Whether a need can be met.

    ``FITS``: beside the other cars as planned. ``TIGHT``: only if a new plan makes
    room. ``BEYOND``: not in that time, even alone.
    """

    FITS = "fits"
    TIGHT = "tight"
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What can be had by a departure, all from the start of the session on.

    Attributes:
        energy_wh: What is asked for, Wh.
        departure_at: By when.
        sure_wh: Fits beside the other cars, Wh.
        most_wh: With nobody else there, Wh.
        guaranteed_wh: Reserved whatever others do, Wh, or ``None``.
    """

    energy_wh: int
    departure_at: datetime
    verdict: Verdict
    sure_wh: int
    most_wh: int
    guaranteed_wh: int | None


class Runners(Protocol):
    """Finds the group of a station."""

    def runner(self, station_id: StationId) -> GroupRunner | None:
        """Its runner, or ``None`` outside all cabinets."""
        ...


def of_session(
    runners: Runners,
    session: Session,
    *,
    energy_wh: float | None,
    departure_at: datetime | None,
    now: datetime,
) -> Feasibility | None:
    """What a request comes to; what it leaves out counts as it is known.

    ``None`` where nothing is planned for the session (yet).
    """
    runner = runners.runner(session.station_id)
    ref: EvseRef = session_ref(session)
    one = None if runner is None else runner.state.evses.get(ref)
    if runner is None or one is None:
        return None
    asked, plan = runner.planning.asked, runner.planning.plan
    if asked is None or plan is None:
        return None
    if one.session is None or one.session.session_id != session.session_id:
        return None
    need = one.need
    if need is not None:
        energy_wh = need.energy_wh if energy_wh is None else energy_wh
        departure_at = departure_at or need.departure_at
    if energy_wh is None or departure_at is None:
        return None
    return closed_form(
        asked,
        plan,
        one,
        energy_wh=round(energy_wh),
        departure_at=departure_at,
        now=now,
    )


def closed_form(
    asked: Asked,
    plan: Plan,
    one: EvseState,
    *,
    energy_wh: int,
    departure_at: datetime,
    now: datetime,
) -> Feasibility | None:
    """What can be had; ``None`` where the session is not in the plan."""
    session = one.session
    if session is None or session.session_id not in plan.session_ids:
        return None
    name: SessionId = session.session_id
    index = plan.session_ids.index(name)
    delivered_wh = session.energy_milliwh // 1000
    beside = alone = 0.0
    for share, free_da, most_da in _steps(asked, plan, index, now, departure_at):
        beside += share * free_da
        alone += share * most_da
    scale = wh_per_da(asked.problem, asked.problem.sessions[index])
    scale *= asked.shares.get(name, 1.0)
    sure_wh = delivered_wh + int(beside * scale)
    most_wh = delivered_wh + int(alone * scale)
    if energy_wh <= sure_wh:
        verdict = Verdict.FITS
    else:
        verdict = Verdict.TIGHT if energy_wh <= most_wh else Verdict.BEYOND
    return Feasibility(
        energy_wh=energy_wh,
        departure_at=departure_at,
        verdict=verdict,
        sure_wh=min(sure_wh, max(energy_wh, delivered_wh)),
        most_wh=min(most_wh, max(energy_wh, delivered_wh)),
        guaranteed_wh=guaranteed_wh(
            one, departure_at=departure_at, need_wh=energy_wh, now=now
        ),
    )


def _steps(
    asked: Asked, plan: Plan, index: int, now: datetime, until: datetime
) -> Iterator[tuple[float, int, int]]:
    """Per step: the part of it that is left, the current beside others, and alone."""
    layout = Layout.of(asked.problem)
    step = timedelta(seconds=plan.step_s)
    high_da = layout.high_da[index]
    for number in range(asked.problem.n_step):
        begin = plan.start + number * step
        share = (min(begin + step, until) - max(begin, now)) / step
        if share <= 0:
            continue
        room = Room(layout, number)
        most_da = room.largest_da(index, high_da)
        for other, currents in enumerate(plan.currents_da):
            if other != index:
                room.take(other, currents[number])
        yield share, room.largest_da(index, high_da), most_da


def in_words(found: Feasibility | None, now: datetime, zone: tzinfo) -> str:
    """One sentence for a driver."""
    if found is None:
        return "The new plan follows in a few seconds."
    by = local_time(found.departure_at, now, zone)
    match found.verdict:
        case Verdict.FITS:
            return f"{_kwh(found.energy_wh)} kWh by {by} fits."
        case Verdict.TIGHT:
            return (
                f"Beside the other cars {_kwh(found.sure_wh)} of"
                f" {_kwh(found.energy_wh)} kWh fit by {by}; the new plan may find more."
            )
        case Verdict.BEYOND:
            return (
                f"By {by} at most {_kwh(found.most_wh)} kWh can be charged here:"
                " the time is too short."
            )


def _kwh(energy_wh: int) -> str:
    """Rounded down: what is said can be had."""
    return f"{energy_wh // 100 / 10:.1f}"
