"""Asks for a meter value where others wait for the room that a lowered limit frees.

A lower limit frees nothing until the meter shows that the car follows, and meter values
come once a minute. A station that accepted a lower limit is asked for one as soon as
its car has had the time to follow, if another session waits for the room. What it sends
then is a meter value like any other; one that does not come changes nothing.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.domain.envelope import Progress
from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.adapter import CallOutcome
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import EvseState
from gateway.services.group_state import GroupState

FOLLOWED_S: Final = 8
"""Site seconds from a limit's answer to the question: a car has 5 s (IEC 61851-1)."""

EVERY_S: Final = 30
"""Seconds between two questions to one station: no less is borne by all of them."""

GIVEN_UP_S: Final = 3600
"""Seconds for which a station that would not, or did not, answer is left alone."""

A_CHANGE: Final = 2
"""Limits of which the later one lowers the earlier."""

TIMEOUT_S: Final = 5.0
"""Real seconds: while a station is asked, no limit can be sent to it."""

_log = structlog.get_logger()


class FreshSamples:
    """Who of one group is asked for a meter value, and when."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._not_before: dict[StationId, datetime] = {}

    def deadline(self, state: GroupState, now: datetime) -> datetime | None:
        """When somebody is to be asked, if nothing happens before."""
        return min((at for _, at in self._waiting(state, now)), default=None)

    def due(self, state: GroupState, now: datetime) -> list[EvseState]:
        """Who is to be asked now; counts as asked from then on."""
        found = [one for one, at in self._waiting(state, now) if at <= now]
        for one in found:
            self._pause(one.evse.ref.station_id, now, EVERY_S)
        return found

    async def ask(self, one: EvseState) -> None:
        """Ask a station; its meter value comes by itself."""
        ref = one.evse.ref
        adapter = self._ports.stations.adapter(ref.station_id)
        if adapter is None:
            return
        command = adapter.encode_sample_trigger(ref.evse_id)
        try:
            payload = await self._ports.stations.call(
                ref.station_id,
                command,
                timeout_s=min(TIMEOUT_S, self._ports.call_timeout_s),
            )
        except CallFailed as error:
            why = str(error)
        else:
            outcome = adapter.outcome(command.action, payload)
            if outcome is CallOutcome.ACCEPTED:
                return
            why = outcome.value
        self._pause(ref.station_id, self._ports.clock.now(), GIVEN_UP_S)
        _log.info("sample.not_asked", station_id=ref.station_id, why=why)

    def _pause(self, station_id: StationId, now: datetime, real_s: float) -> None:
        site_s = real_s * self._ports.clock.speed
        self._not_before[station_id] = now + timedelta(seconds=site_s)

    def _waiting(
        self, state: GroupState, now: datetime
    ) -> Iterator[tuple[EvseState, datetime]]:
        falling = [one for one in state.evses.values() if _is_unseen(state, one, now)]
        if not falling:
            return
        waiting = [one for one in state.evses.values() if _wants_more(state, one, now)]
        for one in falling:
            if all(other is one for other in waiting):
                continue
            station = state.stations[one.evse.ref.station_id]
            if one.accepted_at is None or not station.is_online or station.is_busy:
                continue
            at = one.accepted_at + timedelta(seconds=FOLLOWED_S)
            yield one, max(at, self._not_before.get(station.station.id, at))


def _is_unseen(state: GroupState, one: EvseState, now: datetime) -> bool:
    """A lower limit was accepted, and the higher one before it still counts."""
    session = one.session
    if session is None or len(one.limits) < A_CHANGE or not state.is_trusted(one):
        return False
    newest = state.holding(one).latest(session.session_id)
    if newest is None or newest.progress is not Progress.ACCEPTED:
        return False
    level_da = newest.schedule.at(now)
    return any(
        held.session_id == session.session_id and held.schedule.at(now) > level_da
        for held in one.limits
    )


def _wants_more(state: GroupState, one: EvseState, now: datetime) -> bool:
    """Its plan allows more than it was sent."""
    session = one.session
    if session is None or not one.levels or not state.is_trusted(one):
        return False
    sent = state.holding(one).latest(session.session_id)
    planned_da = 0
    for at_s, level_da in one.levels:
        if at_s > now.timestamp() and planned_da:
            break
        planned_da = level_da
    return sent is None or sent.schedule.at(now) < planned_da
