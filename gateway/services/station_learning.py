"""What the stations of a group can be told: known, tried, learned and stored.

Settings and earlier lessons are read when a station boots, a session starts or a limit
is refused. A refusal is answered by the next step of ``services.ladder``; at its end
stands a station that takes no limit in any way: it is not controlled, and counts at its
rating until it runs another firmware or an operator has what was learned forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from gateway.domain.capability import (
    WAYS,
    AtZero,
    Capability,
    Feature,
    Learnt,
)
from gateway.domain.ids import StationId
from gateway.domain.topology import CurrentType
from gateway.services import ladder
from gateway.services.capability import TOLD_BY, capability_of, learnt_of
from gateway.services.evse_state import UNCONTROLLED
from gateway.services.group_items import Answer, LimitAnswered
from gateway.services.group_records import GroupRecords
from gateway.services.group_state import GroupState
from gateway.services.ladder import Trial
from gateway.services.station_setup import StationSetup
from gateway.store import capability as rows
from gateway.store.capability import CapabilityRow

FIRMWARE_CHANGED: Final = "firmware_changed"

_log = structlog.get_logger()


@dataclass(slots=True)
class _Known:
    """One station; ``row`` as last read."""

    row: CapabilityRow
    learnt: Learnt
    trial: Trial = Trial()  # noqa: RUF009 - it is frozen

    @property
    def capability(self) -> Capability:
        """Without what is only being tried."""
        return capability_of(self.row, self.learnt)


class StationLearning:
    """Teaches one group's state what its stations can be told.

    Args:
        records: Keeps it.
        setup: Hears where safe defaults go now.
    """

    def __init__(self, *, records: GroupRecords, setup: StationSetup) -> None:
        self._records = records
        self._setup = setup
        self._known: dict[StationId, _Known] = {}

    def take(self, state: GroupState, found: Mapping[StationId, CapabilityRow]) -> None:
        """Tell a state that was just built what the store knows."""
        for station_id, row in found.items():
            if station_id not in state.stations:
                continue
            known = _Known(row=row, learnt=learnt_of(row))
            before = self._known.get(station_id)
            if before is not None and before.row.firmware == row.firmware:
                known.trial = before.trial
            self._known[station_id] = known
            self._tell(state, station_id, known, may_set_up=False)

    async def refresh(self, state: GroupState, station_id: StationId) -> None:
        """Read anew what a station told, and what it runs."""
        if station_id not in state.stations:
            return
        found = await self._records.write(
            lambda conn: rows.load(conn, (station_id,), TOLD_BY)
        )
        if found is None:
            return  # what is known goes on to count
        row = found[station_id]
        known = self._known.get(station_id)
        was = None if known is None else known.row.firmware
        if known is None or was != row.firmware:
            known = _Known(row=row, learnt=learnt_of(row))
            self._known[station_id] = known
            if row.learnt.firmware not in {None, known.learnt.firmware}:
                await self._begin_anew(state, station_id)
        known.row = row
        self._tell(state, station_id, known)

    async def answered(self, state: GroupState, item: LimitAnswered) -> bool:
        """Learn from an answer.

        Returns:
            Whether the next limit need not wait as after other failures.
        """
        station_id = item.outgoing.station_id
        known = self._known.get(station_id)
        if known is None or station_id not in state.stations:
            return False
        used = _used(state, item)
        if item.answer is Answer.ACCEPTED:
            if item.outgoing.session_id is None:
                used -= frozenset(WAYS)  # what it takes for a floor says little
            learnt, trial = ladder.after_acceptance(known.learnt, known.trial, used)
            await self._learn(state, station_id, known, learnt, trial)
            return False
        if item.answer is not Answer.REFUSED or _is_over(state, item):
            return False
        await self.refresh(state, station_id)
        known = self._known[station_id]
        step = ladder.after_refusal(known.capability, known.trial, used, item.reason)
        learnt = replace(
            known.learnt,
            refused=known.learnt.refused | step.learnt,
            accepted=known.learnt.accepted - step.learnt,
        )
        await self._learn(state, station_id, known, learnt, step.trial)
        return step.is_at_once

    async def seen_at_zero(
        self, state: GroupState, station_id: StationId, at_zero: AtZero
    ) -> None:
        """A session ended at 0 A, or went on after it."""
        known = self._known.get(station_id)
        if known is None or known.learnt.at_zero in {at_zero, AtZero.PAUSES}:
            return
        learnt = replace(known.learnt, at_zero=at_zero)
        await self._learn(state, station_id, known, learnt, known.trial)

    async def note(
        self, state: GroupState, station_id: StationId, feature: Feature, *, takes: bool
    ) -> None:
        """A station showed apart from limits whether it has a feature."""
        known = self._known.get(station_id)
        if known is None:
            return
        one = frozenset({feature})
        refused, accepted = known.learnt.refused - one, known.learnt.accepted - one
        learnt = replace(
            known.learnt,
            refused=refused if takes else refused | one,
            accepted=accepted | one if takes else accepted,
        )
        await self._learn(state, station_id, known, learnt, known.trial)

    async def _learn(
        self,
        state: GroupState,
        station_id: StationId,
        known: _Known,
        learnt: Learnt,
        trial: Trial,
    ) -> None:
        before = known.learnt
        known.learnt, known.trial = replace(learnt, firmware=known.row.firmware), trial
        if known.learnt != before:
            await self._records.capability(station_id, known.learnt)
            for feature in sorted(known.learnt.refused - before.refused):
                _log.warning(
                    "station.refuses", station_id=station_id, feature=feature.value
                )
        self._tell(state, station_id, known)
        await self._doubt(state, station_id)

    def _tell(
        self,
        state: GroupState,
        station_id: StationId,
        known: _Known,
        *,
        may_set_up: bool = True,
    ) -> None:
        capability = known.capability.without(known.trial.varied)
        station = state.stations[station_id]
        if not state.set_capability(station_id, capability) or not may_set_up:
            return
        if station.trust.doubt != UNCONTROLLED:
            self._setup.restart(station_id)
            station.needs_setup = True

    async def _doubt(self, state: GroupState, station_id: StationId) -> None:
        """A station that takes nothing counts at its rating, and is left alone.

        As does one without a safe default: whatever else it takes, it may draw its
        rating as soon as that is over.
        """
        station = state.stations[station_id]
        n_evse, known = len(station.station.evses), station.capability
        has_way = None not in {known.way(n_evse), known.default_way(n_evse)}
        if has_way or station.trust.doubt == UNCONTROLLED:
            return
        trust = state.distrust(station_id, UNCONTROLLED)
        _log.critical("station.uncontrolled", station_id=station_id)
        if trust is not None:
            await self._records.trust(trust)

    async def _begin_anew(self, state: GroupState, station_id: StationId) -> None:
        """With another firmware a station may take what it refused."""
        station = state.stations[station_id]
        if station.trust.doubt != UNCONTROLLED:
            return
        trust = replace(station.trust, doubt=FIRMWARE_CHANGED)
        state.set_trust(trust)
        station.needs_setup = True
        await self._records.trust(trust)


def _used(state: GroupState, item: LimitAnswered) -> frozenset[Feature]:
    """Features of a limit; the unit of DC is no choice."""
    used = ladder.features_of(item.outgoing.command)
    concerned = state.concerned(item.outgoing)
    if any(one.evse.current_type is CurrentType.DC for one in concerned):
        used -= {Feature.WATT, Feature.AMPERE}
    return used


def _is_over(state: GroupState, item: LimitAnswered) -> bool:
    """Whether a limit was refused because its session had ended."""
    session_id = item.outgoing.session_id
    return session_id is not None and not any(
        one.session is not None and one.session.session_id == session_id
        for one in state.concerned(item.outgoing)
    )
