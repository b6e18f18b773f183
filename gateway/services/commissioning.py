"""The obedience test of a station: what it was seen to do, not what it says it can.

Tested are: that the safe default rules while no session runs (the station's own
composite schedule); that a running session follows a lower limit (its meter) or, while
nobody charges, that the composite schedule follows a step; and that the default still
rules after we dropped the connection. A restart, and a network that stays away for
long, are tested where that is asked for (`services.outage_test`), and the proof says
so: without a restart in it, a station counts at its rating after each one until its
default is set again.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.domain.envelope import Progress
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.topology import Evse
from gateway.errors import CallFailed, RequestError
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch import Dispatch
from gateway.services.evse_state import RESTART_TEST, StationState
from gateway.services.group_state import GroupState
from gateway.services.outage_test import OUTAGE, OutageTest
from gateway.services.tested_stations import Finding, TestedStations
from gateway.services.wishes import safe_default

STEP_WITHIN_S: Final = 60.0
"""Real seconds for a session to follow a lower limit and be seen by its meter."""

RETURN_WITHIN_S: Final = 120.0
"""Real seconds for a station to come back after its connection was dropped."""

POLL_S: Final = 0.2
COMPOSITE_S: Final = 600
TOLERANCE_A: Final = 0.1
DEFAULT: Final = "default"
STEP: Final = "step"
DROP: Final = "drop"
REQUIRED: Final = (DEFAULT, STEP, DROP)
"""Without each of these a station is not proven."""
ALL_STEPS: Final = (*REQUIRED, RESTART_TEST, OUTAGE)

_log = structlog.get_logger()


class Commissioning:
    """Tests stations and stores what was found."""

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        stations: TestedStations,
        clock: Clock,
        firmware_of: Callable[[StationId], str | None],
        call_timeout_s: float = 30.0,
        step_within_s: float = STEP_WITHIN_S,
        return_within_s: float = RETURN_WITHIN_S,
    ) -> None:
        self._dispatch = dispatch
        self._stations = stations
        self._clock = clock
        self._firmware_of = firmware_of
        self._call_timeout_s = call_timeout_s
        self._step_within_s = step_within_s
        self._return_within_s = return_within_s
        self._outage = OutageTest(
            dispatch=dispatch,
            stations=stations,
            clock=clock,
            state_of=self._state,
            default_rules=self._default_rules,
            within=self._within,
            return_within_s=return_within_s,
            step_within_s=step_within_s,
            call_timeout_s=call_timeout_s,
        )

    async def run(
        self, station_id: StationId, *, restart: bool = False, outage_s: float = 0
    ) -> dict[str, object]:
        """Test a station and store the result; takes up to a few minutes.

        Args:
            station_id: Which.
            restart: Restart it, too, if nobody charges.
            outage_s: Keep its network away for so many real seconds; 0: do not.

        Proven is a station that passed each of ``REQUIRED``, now or, with the same
        firmware and no doubt since, before: a station with one EVSE shows its default
        while nobody charges, and its meter while somebody does.

        Raises:
            RequestError: 404 it belongs to no cabinet; 409 it is not connected, or not
                managed.
        """
        state = self._state(station_id)
        if not state.stations[station_id].station.managed:
            raise RequestError(409, "not_managed", "nothing is sent to it unasked")
        if not self._stations.is_online(station_id):
            raise RequestError(409, "not_connected", f"{station_id} is not connected")
        findings = [await self._default_rules(DEFAULT, station_id)]
        findings.append(await self._follows(station_id))
        findings.append(await self._survives_drop(station_id))
        if restart:
            findings.append(await self._outage.restart(station_id))
        if outage_s:
            findings.append(await self._outage.outage(station_id, outage_s))
        firmware = self._firmware_of(station_id)
        has_failed = any(f.passed is False and f.step != RESTART_TEST for f in findings)
        tested = {f.step for f in findings if f.passed}
        if not has_failed:
            tested |= set(await self._dispatch.tested(station_id, firmware))
        tested -= {f.step for f in findings if f.passed is False}
        is_proven = not has_failed and tested.issuperset(REQUIRED)
        evidence: dict[str, object] = {
            "steps": [
                {"step": f.step, "passed": f.passed, "detail": f.detail}
                for f in findings
            ],
            "tested": [step for step in ALL_STEPS if step in tested],
            "untested": [step for step in ALL_STEPS if step not in tested],
        }
        await self._dispatch.set_proof(
            station_id,
            is_proven=is_proven,
            firmware=firmware,
            doubt="failed_test" if has_failed else None,
            evidence=evidence,
        )
        _log.info("station.tested", station_id=station_id, is_proven=is_proven)
        return {
            "station_id": station_id,
            "is_proven": is_proven,
            "firmware": firmware,
            **evidence,
        }

    async def _default_rules(self, step: str, station_id: StationId) -> Finding:
        """Ask each idle EVSE what it would allow: no more than its floor."""
        idle = [
            one
            for one in self._state(station_id).stations[station_id].evses
            if one.session is None
        ]
        station = self._state(station_id).stations[station_id].station
        seen: list[str] = []
        for one in idle:
            limit_a = await self._composite_a(station_id, one.evse)
            if limit_a is None:
                continue
            default = safe_default(station, one.evse, self._clock.now(), one.unit)
            floor_a = default.floor_da / 10
            seen.append(f"EVSE {one.evse.ref.evse_id}: {limit_a:g} A")
            if limit_a > floor_a + TOLERANCE_A:
                return Finding(
                    step=step,
                    passed=False,
                    detail=f"{seen[-1]} reported, {floor_a:g} A set",
                )
        if not seen:
            return Finding(
                step=step, passed=None, detail="no idle EVSE reports a schedule"
            )
        return Finding(step=step, passed=True, detail=", ".join(seen))

    async def _follows(self, station_id: StationId) -> Finding:
        """Lower a running session to its least current and watch its meter."""
        state = self._state(station_id)
        running = [
            one
            for one in state.stations[station_id].evses
            if one.session is not None and one.session.transaction_id is not None
        ]
        if not running:
            return await self._composite_follows(station_id)
        evse = running[0].evse
        before_da = running[0].manual_da
        low_da = max(evse.floor_da, evse.starting_da)
        evse_id = evse.ref.evse_id
        await self._dispatch.set_manual_limit(station_id, evse_id, low_da)
        try:
            followed = await self._within(
                self._step_within_s,
                lambda: self._is_seen_at(station_id, evse_id, low_da),
            )
        finally:
            await self._dispatch.set_manual_limit(station_id, evse_id, before_da)
        what = "seen" if followed else "not seen"
        return Finding(
            step=STEP, passed=followed, detail=f"{low_da / 10:g} A set, {what}"
        )

    async def _composite_follows(self, station_id: StationId) -> Finding:
        """Raise the defaults of an idle station by a step: it must report that."""
        state = self._state(station_id).stations[station_id]
        before = await self._reported(state)
        if not before:
            return Finding(
                step=STEP, passed=None, detail="no session, and no schedule is reported"
            )
        try:
            if not await self._dispatch.probe_step(station_id):
                return Finding(step=STEP, passed=None, detail="there is no room for it")
            deadline_s = asyncio.get_running_loop().time() + self._step_within_s
            raised: dict[int, float] = {}
            while asyncio.get_running_loop().time() < deadline_s:
                raised = await self._reported(state)
                if all(raised.get(e, 0) > before[e] + TOLERANCE_A for e in before):
                    break
                await asyncio.sleep(POLL_S)
        finally:
            self._dispatch.probe_over(station_id)
        followed = all(raised.get(e, 0) > before[e] + TOLERANCE_A for e in before)
        if followed:
            await asyncio.sleep(POLL_S)
            followed = await self._back(state, before)
        seen = ", ".join(f"EVSE {e}: {a:g} A" for e, a in raised.items())
        return Finding(step=STEP, passed=followed, detail=f"{seen} reported, and back")

    async def _back(self, state: StationState, before: Mapping[int, float]) -> bool:
        deadline_s = asyncio.get_running_loop().time() + self._step_within_s
        while asyncio.get_running_loop().time() < deadline_s:
            now = await self._reported(state)
            if all(now.get(e, math.inf) <= before[e] + TOLERANCE_A for e in before):
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def _reported(self, state: StationState) -> dict[int, float]:
        found: dict[int, float] = {}
        for one in state.evses:
            evse_id = one.evse.ref.evse_id
            limit_a = await self._composite_a(state.station.id, one.evse)
            if limit_a is not None:
                found[evse_id] = limit_a
        return found

    async def _survives_drop(self, station_id: StationId) -> Finding:
        """Drop the connection; when it is back, its default must still rule."""
        self._stations.disconnect(station_id, "obedience test")
        await self._within(
            self._return_within_s, lambda: not self._stations.is_online(station_id)
        )
        if not await self._within(
            self._return_within_s, lambda: self._stations.is_online(station_id)
        ):
            return Finding(
                step=DROP,
                passed=False,
                detail=f"not back within {self._return_within_s:g} s",
            )
        found = await self._default_rules(DROP, station_id)
        if found.passed is None:
            return Finding(step=DROP, passed=None, detail=f"back; {found.detail}")
        return found

    async def _composite_a(self, station_id: StationId, evse: Evse) -> float | None:
        """The largest limit an EVSE reports, A; ``None`` if it does not say so."""
        adapter = self._stations.adapter(station_id)
        if adapter is None:
            return None
        try:
            payload = await self._stations.call(
                station_id,
                adapter.encode_composite(evse.ref.evse_id, COMPOSITE_S),
                timeout_s=self._call_timeout_s,
                priority=CallPriority.CONFIG,
            )
        except CallFailed:
            return None
        volt = evse.phase_v * len(evse.phases)
        return composite_a(payload, volt=volt)

    def _is_seen_at(self, station_id: StationId, evse_id: int, low_da: int) -> bool:
        ref = EvseRef(station_id=station_id, evse_id=evse_id)
        one = self._state(station_id).evses.get(ref)
        if one is None or one.session is None:
            return False
        held = [h for h in one.limits if h.session_id == one.session.session_id]
        newest = max(held, key=lambda h: h.sequence, default=None)
        return (
            newest is not None
            and newest.progress is Progress.SEEN
            and newest.schedule.at(self._clock.now()) <= low_da
        )

    def _state(self, station_id: StationId) -> GroupState:
        runner = self._dispatch.runner(station_id)
        if runner is None:
            raise RequestError(
                404,
                "no_cabinet",
                f"{station_id} belongs to no cabinet: nothing to prove",
            )
        return runner.state

    async def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        deadline_s = asyncio.get_running_loop().time() + seconds
        while not condition():
            if asyncio.get_running_loop().time() >= deadline_s:
                return False
            await asyncio.sleep(POLL_S)
        return True


def composite_a(
    payload: Mapping[str, object], *, volt: float | None = None
) -> float | None:
    """The largest limit in a GetCompositeSchedule answer of either version, A.

    Args:
        payload: The answer.
        volt: What turns W into A per phase, of all phases together; ``None``: nothing.

    Returns:
        ``None`` where it holds no schedule in a unit that can be read.
    """
    for name in ("chargingSchedule", "schedule"):
        schedule = payload.get(name)
        if not isinstance(schedule, Mapping):
            continue
        periods = schedule.get("chargingSchedulePeriod")
        unit = schedule.get("chargingRateUnit")
        divisor = {"A": 1.0, "W": volt}.get(str(unit))
        if divisor is None or not isinstance(periods, list):
            continue
        limits = [p.get("limit") for p in periods if isinstance(p, Mapping)]
        numbers = [float(v) for v in limits if isinstance(v, int | float)]
        if numbers:
            return max(numbers) / divisor
    return None
