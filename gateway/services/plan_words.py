"""Says to people why a session gets less than it needs, in the site's local time."""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from gateway.domain.ids import SessionId
from gateway.services.group_problem import Asked
from optimizer import CabinetProblem, EvSession
from optimizer.outcome import Cause, Plan, Reason


def reasons_in_words(asked: Asked, plan: Plan, zone: tzinfo) -> Mapping[SessionId, str]:
    """The reason of every session of a plan that stays short."""
    sessions = {one.session_id: one for one in asked.problem.sessions}
    return {
        SessionId(reason.session_id): reason_in_words(
            reason,
            asked.problem,
            sessions[reason.session_id],
            departure=asked.departures.get(SessionId(reason.session_id)),
            zone=zone,
        )
        for reason in plan.reasons
        if reason.session_id in sessions
    }


def reason_in_words(
    reason: Reason,
    problem: CabinetProblem,
    session: EvSession,
    *,
    departure: datetime | None,
    zone: tzinfo,
) -> str:
    """One reason; times are local, with the weekday where it is not the plan's day."""

    def clock(step: int) -> str:
        at = problem.start + timedelta(seconds=step * problem.step_s)
        return local_time(at, problem.start, zone)

    match reason.cause:
        case Cause.LIMIT:
            row = "" if reason.phase is None else f" on L{reason.phase + 1}"
            begins, ends = clock(reason.from_step), clock(reason.until_step)
            if reason.phase is not None and reason.against is not None:
                return (
                    f"Cabinet {reason.cabinet_id} may load L{reason.phase + 1} no more"
                    f" above L{reason.against + 1} from {begins} to {ends}"
                )
            return f"Cabinet {reason.cabinet_id} is full{row} from {begins} to {ends}"
        case Cause.STAY:
            ends = clock(reason.until_step)
            if departure is not None and departure > problem.start:
                ends = local_time(departure, problem.start, zone)
            return f"{session.max_a:g} A until {ends} is too little for this need"
        case Cause.GONE if reason.until_step == 0:
            return "No time is left before the departure"
        case Cause.GONE:
            return "Its largest current is below the least that charges"
        case Cause.UNIT:
            return "The charger's smallest step is too coarse"
        case _:
            assert_never(reason.cause)


def local_time(at: datetime, reference: datetime, zone: tzinfo) -> str:
    """``09:35``, or ``Tue 09:35`` on another local day than the reference's."""
    local = at.astimezone(zone)
    is_same_day = local.date() == reference.astimezone(zone).date()
    return f"{local:%H:%M}" if is_same_day else f"{local:%a %H:%M}"
