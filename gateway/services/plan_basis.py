"""What a plan, and a round of limits, rest on: while that is the same, both still hold.

Most of what a group hears are samples that change neither. A plan is made anew when the
sessions that can be planned are others, or one of them stopped asking for energy; a
round of limits is looked at again when somebody holds, wants or may be sent something
else, or after `QUIET_S`, since time alone makes readings stale and limits decay.
"""

from dataclasses import fields
from operator import attrgetter
from typing import Final, TypeAlias

from gateway.domain.topology import Battery, Load
from gateway.services.evse_state import EvseState, StationState
from gateway.services.group_state import GroupState
from gateway.services.phase_watch import known_phases
from gateway.services.planned_session import is_steered

QUIET_S: Final = 30.0
"""Real seconds after which a group looks at its limits though nothing happened.

What time alone does, to readings and schedules, was counted when limits were sent.
"""

Basis: TypeAlias = tuple[object, ...]

_PASSING: Final = {
    "session",
    "accepted_at",
    "heard_at",
    "watched_at",
    "bounds",
    "car",
    "offered",
    "seen_at",
    "expected",
    "strayed_at",
    "rest",
    "risk",
    "kept",
    "use",
}
"""Of what is known about an EVSE, what any sample changes and no limit rests on."""

_of_evse: Final = attrgetter(
    *(f.name for f in fields(EvseState) if f.name not in _PASSING)
)
_of_station: Final = attrgetter(
    *(f.name for f in fields(StationState) if f.name != "evses")
)


def plan_basis(state: GroupState) -> Basis:
    """Who is planned, on which phases, and who has enough, or all that was asked."""
    return tuple(
        None
        if one.session is None or not is_steered(state, one)
        else (
            one.session.session_id,
            one.rest.is_long,
            one.has_had(),
            known_phases(state.site, one),
        )
        for one in state.evses.values()
    )


def round_basis(state: GroupState) -> Basis:
    """Everything but the time that a round of limits depends on; to be compared.

    Of readings, those of consumers: PV and feeder meters leave no more room, and what
    the fast loop makes of them comes as an item of its own.
    """
    consumers: tuple[Load | Battery, ...]
    consumers = (*state.group.loads, *state.group.batteries)
    readings = (state.readings.get(one.id) for one in consumers)
    return (
        tuple(map(_running, state.evses.values())),
        tuple(map(_of_evse, state.evses.values())),
        tuple(known_phases(state.site, one) for one in state.evses.values()),
        tuple(map(_of_station, state.stations.values())),
        tuple(state.modes.items()),
        tuple(None if r is None else (r.current_da, r.power_w) for r in readings),
        state.thresholds,
        state.departed,
        state.clock_doubt_s,
    )


def _running(one: EvseState) -> Basis | None:
    session = one.session
    return None if session is None else (session.session_id, session.transaction_id)
