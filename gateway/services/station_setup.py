"""Sets a station up: our safe default first, then leftovers, then our default again.

Leftovers can lie on any level, purpose and EVSE, and neither version can clear "all but
these": clearing takes our default along. So it is set first, everything is cleared, and
it is set again; from before the clearing until then the rating of the station counts.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from gateway.domain.ids import StationId
from gateway.services import group_limits
from gateway.services.evse_state import Outgoing, StationState, Trust
from gateway.services.group_items import Answer, SetupStage
from gateway.services.group_state import GroupState

CLEAR_RETRY_S: Final = 120
"""Real seconds before a station that did not clear is asked again."""

Send: TypeAlias = Callable[[Sequence[Outgoing], datetime], Awaitable[None]]


class StationSetup:
    """How far each station of a group is set up.

    Args:
        send: Checks, records and sends limits.
        store_trust: Keeps what is known about a station; False if that failed.
        start_clearing: Calls the station; its answer comes back as an item.
        retry: Site time before clearing is tried again.
    """

    def __init__(
        self,
        *,
        send: Send,
        store_trust: Callable[[Trust], Awaitable[bool]],
        start_clearing: Callable[[StationId], None],
        retry: timedelta,
    ) -> None:
        self._send = send
        self._store_trust = store_trust
        self._start_clearing = start_clearing
        self._retry = retry
        self._stages: dict[StationId, SetupStage] = {}
        self._failed: dict[StationId, dict[int, Answer]] = {}
        self._wiped: set[StationId] = set()
        self._overtaken: set[StationId] = set()
        self._clear_at: dict[StationId, datetime] = {}

    def deadlines(self, now: datetime) -> list[datetime]:
        """When something is tried again."""
        return [at for at in self._clear_at.values() if at > now]

    def restart(self, station_id: StationId) -> None:
        """From the beginning: it restarted, or is in other hands."""
        self._stages.pop(station_id, None)
        self._clear_at.pop(station_id, None)
        self._wiped.discard(station_id)
        self._overtaken.discard(station_id)

    async def proceed(
        self, state: GroupState, station: StationState, now: datetime
    ) -> None:
        """Take the next step, if there is one and the station can be asked."""
        is_waiting = station.retry_at is not None and station.retry_at > now
        if (
            not station.needs_setup
            or not station.is_online
            or station.is_busy
            or station.is_tested
            or is_waiting
            or not any(state.is_controlled(one) for one in station.evses)
        ):
            return
        station_id = station.station.id
        stage = self._stages.get(station_id, SetupStage.DONE)
        if stage is SetupStage.DONE:
            stage = self._stages[station_id] = SetupStage.DEFAULT
        if stage is not SetupStage.CLEAR:
            self._failed.pop(station_id, None)
            defaults = group_limits.defaults_of(station, now)
            if defaults:  # else there is no way to set one
                await self._send(defaults, now)
            return
        again_at = self._clear_at.get(station_id)
        if again_at is not None and again_at > now:
            return
        trust = state.before_clearing(station_id)
        if trust is not None and not await self._store_trust(trust):
            return
        station.is_busy = True
        self._wiped.discard(station_id)
        self._start_clearing(station_id)

    def default_failed(
        self, station_id: StationId, target: int, answer: Answer
    ) -> None:
        """The safe default for an EVSE, or for all of them, was not accepted."""
        self._failed.setdefault(station_id, {})[target] = answer

    async def answered_late(
        self,
        state: GroupState,
        station: StationState,
        target: int,
        answer: Answer,
        now: datetime,
    ) -> None:
        """A safe default was answered after its time: setting up goes on from there."""
        station_id = station.station.id
        failed = self._failed.get(station_id, {})
        if target not in failed:
            return
        if answer is Answer.ACCEPTED:
            del failed[target]
        else:
            failed[target] = answer
        if station.needs_setup and not station.is_busy:
            await self.called(state, station, now)

    def cleared(self, station_id: StationId, now: datetime, *, done: bool) -> None:
        """The station was asked to clear everything; our default goes back at once."""
        self._stages[station_id] = SetupStage.DEFAULT_AGAIN
        if done:
            self._wiped.add(station_id)
            self._clear_at.pop(station_id, None)
        else:
            self._clear_at[station_id] = now + self._retry

    def cleared_late(self, station: StationState, *, done: bool) -> None:
        """The station cleared after its call was given up: our default is due again.

        A default that is under way now may have come before the clearing.
        """
        station_id = station.station.id
        self._stages[station_id] = SetupStage.DEFAULT_AGAIN
        station.needs_setup = True
        if done:
            self._wiped.add(station_id)
            self._clear_at.pop(station_id, None)
        if station.is_busy:
            self._overtaken.add(station_id)

    async def called(
        self, state: GroupState, station: StationState, now: datetime
    ) -> None:
        """The calls to a station are over: what comes next.

        A station that refuses our default, and of which it is not known what it holds,
        may refuse because of a leftover: then clearing comes first after all.
        """
        station_id = station.station.id
        stage = self._stages.get(station_id)
        if stage not in {SetupStage.DEFAULT, SetupStage.DEFAULT_AGAIN}:
            return
        if station_id in self._overtaken:
            self._overtaken.discard(station_id)
            return
        station.blocks_sessions = False
        failed = set(self._failed.get(station_id, {}).values())
        is_known = station.trust.leftovers_known
        is_clean = is_known or station_id in self._wiped
        may_be_in_the_way = stage is SetupStage.DEFAULT and not is_known
        if failed and not (failed == {Answer.REFUSED} and may_be_in_the_way):
            return
        defaults = group_limits.defaults_of(station, now)
        has_strays = state.has_stray_defaults(
            station_id,
            {(one.command.purpose, one.command.evse_id) for one in defaults},
        )
        if not failed and is_clean and not has_strays:
            self._stages[station_id] = SetupStage.DONE
            trust = state.cleared(station_id)
            if trust.leftovers_known and not is_known:
                await self._store_trust(trust)
            return
        self._stages[station_id] = SetupStage.CLEAR
