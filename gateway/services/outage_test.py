"""Two steps of the obedience test: a restart, and a network that stays away for long.

What a station holds is looked at when it is back and before anything is sent to it
again: while a step runs, setting it up and its sessions' limits wait.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.domain import envelope as env
from gateway.domain.envelope import Progress
from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.adapter import CallOutcome
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch import Dispatch
from gateway.services.evse_state import (
    RESTART_TEST,
    EvseState,
    StationState,
    sample_of,
)
from gateway.services.group_state import GroupState
from gateway.services.tested_stations import Finding, TestedStations

OUTAGE: Final = "long_outage"

HOLD_SHARE: Final = 0.5
"""Limits decay after this part of the outage, so that the rest shows the floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageTest:
    """The two steps for one gateway.

    Attributes:
        default_rules: Compares what idle EVSEs report with their floors.
        within: Waits so many real seconds for a condition.
        return_within_s: Real seconds for a station to go, and to come back.
        step_within_s: Real seconds for a limit to be taken, and for a sample.
    """

    dispatch: Dispatch
    stations: TestedStations
    clock: Clock
    state_of: Callable[[StationId], GroupState]
    default_rules: Callable[[str, StationId], Awaitable[Finding]]
    within: Callable[[float, Callable[[], bool]], Awaitable[bool]]
    return_within_s: float
    step_within_s: float
    call_timeout_s: float

    async def restart(self, station_id: StationId) -> Finding:
        """Restart an idle station: its floor must rule before we set it again."""
        if any(one.session is not None for one in self._station(station_id).evses):
            return Finding(
                step=RESTART_TEST, passed=None, detail="a session is running"
            )
        adapter = self.stations.adapter(station_id)
        if adapter is None:
            return Finding(step=RESTART_TEST, passed=None, detail="not connected")
        with self._untouched(station_id):
            command = adapter.encode_reset()
            try:
                answer = await self.stations.call(
                    station_id,
                    command,
                    timeout_s=self.call_timeout_s,
                    priority=CallPriority.CONFIG,
                )
            except CallFailed as error:
                return Finding(step=RESTART_TEST, passed=None, detail=str(error))
            if adapter.outcome(command.action, answer) is not CallOutcome.ACCEPTED:
                detail = "it does not restart when told to"
                return Finding(step=RESTART_TEST, passed=None, detail=detail)
            if not await self._went_and_came(station_id, self.return_within_s):
                return self._missing(RESTART_TEST)
            return await self.default_rules(RESTART_TEST, station_id)

    async def outage(self, station_id: StationId, outage_s: float) -> Finding:
        """Refuse a station's connections; what it draws when it is back is judged.

        A running session must be at its floor by then: its limit is made to decay half
        way through. Without one, what the station reports is compared.
        """
        running = next(
            (
                one
                for one in self._station(station_id).evses
                if one.session is not None and one.session.transaction_id is not None
            ),
            None,
        )
        if running is not None and not await self._shortened(running, outage_s):
            detail = "its session took no limit that decays in time"
            return Finding(step=OUTAGE, passed=None, detail=detail)
        try:
            with self._untouched(station_id):
                self.stations.keep_out(station_id, outage_s)
                back_s = outage_s + self.return_within_s
                if not await self._went_and_came(station_id, back_s):
                    return self._missing(OUTAGE)
                if running is None:
                    return await self.default_rules(OUTAGE, station_id)
                return await self._at_floor(station_id, running)
        finally:
            self._set_hold(running, None)

    async def _shortened(self, one: EvseState, outage_s: float) -> bool:
        """Send a limit that decays half way through the outage."""
        ref, session = one.evse.ref, one.session
        assert session is not None  # it is running
        self._set_hold(one, int(outage_s * HOLD_SHARE * self.clock.speed) or 1)
        self._evse(one).must_resend = True
        self.dispatch.offer_again(ref)

        def is_held() -> bool:
            now = self._evse(one)
            held = [h for h in now.limits if h.session_id == session.session_id]
            newest = max(held, key=lambda h: h.sequence, default=None)
            return (
                not now.must_resend
                and newest is not None
                and newest.progress >= Progress.ACCEPTED
            )

        return await self.within(self.step_within_s, is_held)

    async def _at_floor(self, station_id: StationId, running: EvseState) -> Finding:
        """A sample from after its return shows no more than the floor."""
        back_at = self.clock.now()
        allowed = env.draw_of(running.evse, running.evse.floor_da)

        def is_heard() -> bool:
            heard_at = self._evse(running).heard_at
            return heard_at is not None and heard_at >= back_at

        if not await self.within(self.step_within_s, is_heard):
            return Finding(step=OUTAGE, passed=None, detail="back, but no sample came")
        one = self._evse(running)
        sample = None if one.session is None else sample_of(one.session, one.evse)
        if sample is None:
            return Finding(step=OUTAGE, passed=None, detail="its session is over")
        seen = f"{max(sample) / 10:g} A measured, floor {one.evse.floor_a:g} A"
        passed = env.confirms(one.evse, allowed, sample)
        return Finding(step=OUTAGE, passed=passed, detail=f"{station_id} back: {seen}")

    async def _went_and_came(self, station_id: StationId, within_s: float) -> bool:
        gone = await self.within(
            self.return_within_s, lambda: not self.stations.is_online(station_id)
        )
        return gone and await self.within(
            within_s,
            lambda: (
                self.stations.is_online(station_id)
                and self._station(station_id).is_online
            ),
        )

    def _missing(self, step: str) -> Finding:
        detail = f"did not go and come back within {self.return_within_s:g} s"
        return Finding(step=step, passed=False, detail=detail)

    @contextmanager
    def _untouched(self, station_id: StationId) -> Iterator[None]:
        """Send nothing to a station meanwhile."""
        self._station(station_id).is_tested = True
        try:
            yield
        finally:
            self._station(station_id).is_tested = False
            for one in self._station(station_id).evses:
                self.dispatch.offer_again(one.evse.ref)

    def _set_hold(self, one: EvseState | None, hold_s: int | None) -> None:
        if one is not None:
            self._evse(one).hold_s = hold_s

    def _station(self, station_id: StationId) -> StationState:
        return self.state_of(station_id).stations[station_id]

    def _evse(self, one: EvseState) -> EvseState:
        """The present state of an EVSE: a group's is made anew by changed settings."""
        ref = one.evse.ref
        found = self._station(ref.station_id).evses
        return next((e for e in found if e.evse.ref == ref), one)
