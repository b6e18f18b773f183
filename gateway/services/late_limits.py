"""Limits that a station answers after their call was given up.

Unanswered, a limit counts beside the one before it: the station may hold either. Its
late answer settles that. Only if a newer limit of the same kind was sent meanwhile is
it not known which of the two the station holds: then both go on to count, and the
newer one is sent again.
"""

from datetime import datetime

from gateway.services.evse_state import Outgoing, StationState
from gateway.services.group_items import Answer, LimitAnswered
from gateway.services.group_records import GroupRecords
from gateway.services.group_state import GroupState
from gateway.services.station_setup import StationSetup


class LateLimits:
    """Takes late answers of one group's stations.

    Args:
        setup: Hears of safe defaults.
        records: Remembers what stations may hold.
    """

    def __init__(self, *, setup: StationSetup, records: GroupRecords) -> None:
        self._setup = setup
        self._records = records

    async def take(
        self, state: GroupState, item: LimitAnswered, now: datetime
    ) -> set[int]:
        """Take one late answer.

        Returns:
            Sequences of limits that are surely gone by it.
        """
        outgoing = item.outgoing
        station = state.stations.get(outgoing.station_id)
        if station is None:
            return set()
        is_newest = not _has_newer(state, outgoing, item.command_id)
        if item.answer is not Answer.ACCEPTED:
            state.refused(outgoing, item.command_id)
            if is_newest:
                await self._tell_setup(state, station, item, now)
            return set()
        station.retry_at = None  # it answers
        if is_newest:
            gone = state.accepted(outgoing, item.command_id, now)
            await self._tell_setup(state, station, item, now)
            return gone
        await self._doubt(state, station, item)
        return set()

    async def _tell_setup(
        self,
        state: GroupState,
        station: StationState,
        item: LimitAnswered,
        now: datetime,
    ) -> None:
        command = item.outgoing.command
        if item.outgoing.session_id is None:
            await self._setup.answered_late(
                state, station, command.evse_id, item.answer, now
            )

    async def _doubt(
        self, state: GroupState, station: StationState, item: LimitAnswered
    ) -> None:
        """It may have come into force after the newer one: that one is due again."""
        outgoing = item.outgoing
        is_default = outgoing.session_id is None
        is_lost = False
        for one in state.concerned(outgoing):
            is_held = any(held.sequence == item.command_id for held in one.limits)
            running = None if one.session is None else one.session.session_id
            if not is_default and running != outgoing.session_id:
                continue  # it ended, and its limits with it
            if not is_held:
                state.hold_again(one, outgoing, item.command_id)
                is_lost = True
            one.must_resend = True
        if is_lost:
            await self._records.hold_again(item.command_id)
        if is_default:
            self._setup.restart(outgoing.station_id)
            station.needs_setup = True


def _has_newer(state: GroupState, outgoing: Outgoing, sequence: int) -> bool:
    """Whether a limit of the same kind was sent after this one."""
    command = outgoing.command
    return any(
        held.sequence > sequence
        and held.purpose is command.purpose
        and held.session_id == outgoing.session_id
        and held.target == command.evse_id
        for one in state.concerned(outgoing)
        for held in one.limits
    )
