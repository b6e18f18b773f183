"""The obedience test of a station: what it was seen to do, not what it says it can.

Tested are: that the safe default rules while no session runs (the station's own
composite schedule), that a running session follows a lower limit (its meter), and that
the default still rules after we dropped the connection. A restart, and a network that
stays away for long, are not tested: the result names them as untested, and it is for
the operator to weigh them.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from gateway.clock import Clock
from gateway.domain.envelope import Progress
from gateway.domain.ids import EvseRef, StationId
from gateway.errors import CallFailed, RequestError
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch import Dispatch
from gateway.services.group_state import GroupState
from gateway.services.safe_limits import safe_default

STEP_WITHIN_S: Final = 60.0
"""Real seconds for a session to follow a lower limit and be seen by its meter."""

RETURN_WITHIN_S: Final = 120.0
"""Real seconds for a station to come back after its connection was dropped."""

POLL_S: Final = 0.2
COMPOSITE_S: Final = 600
TOLERANCE_A: Final = 0.1
UNTESTED: Final = ("restart", "long_outage")

_log = structlog.get_logger()


class TestedStations(Protocol):
    """How stations are reached, and dropped."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        ...

    def is_online(self, station_id: StationId) -> bool:
        """Whether it is connected."""
        ...

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close its connection."""
        ...

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step of the test; ``passed`` ``None``: it could not be tested."""

    step: str
    passed: bool | None
    detail: str


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

    async def run(self, station_id: StationId) -> dict[str, object]:
        """Test a station and store the result; takes up to a few minutes.

        Proven is a station of which something was measured or reported as it should
        be, and nothing otherwise.

        Raises:
            RequestError: 404 it belongs to no cabinet; 409 it is not connected, or not
                managed.
        """
        state = self._state(station_id)
        if not state.stations[station_id].station.managed:
            raise RequestError(409, "not_managed", "nothing is sent to it unasked")
        if not self._stations.is_online(station_id):
            raise RequestError(409, "not_connected", f"{station_id} is not connected")
        findings = [await self._default_rules("default", station_id)]
        findings.append(await self._follows(station_id))
        findings.append(await self._survives_drop(station_id))
        is_proven = any(f.passed for f in findings) and all(
            f.passed is not False for f in findings
        )
        firmware = self._firmware_of(station_id)
        untested = [f.step for f in findings if f.passed is None] + list(UNTESTED)
        evidence: dict[str, object] = {
            "steps": [
                {"step": f.step, "passed": f.passed, "detail": f.detail}
                for f in findings
            ],
            "untested": untested,
        }
        await self._dispatch.set_proof(
            station_id,
            is_proven=is_proven,
            firmware=firmware,
            doubt=None if is_proven else "failed_test",
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
            limit_a = await self._composite_a(station_id, one.evse.ref.evse_id)
            if limit_a is None:
                continue
            default = safe_default(station, one.evse, self._clock.now())
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
            return Finding(step="step", passed=None, detail="no session is running")
        evse = running[0].evse
        before_da = running[0].manual_da
        low_da = max(evse.floor_da, evse.min_da)
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
            step="step", passed=followed, detail=f"{low_da / 10:g} A set, {what}"
        )

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
                step="drop",
                passed=False,
                detail=f"not back within {self._return_within_s:g} s",
            )
        found = await self._default_rules("drop", station_id)
        if found.passed is None:
            return Finding(step="drop", passed=None, detail=f"back; {found.detail}")
        return found

    async def _composite_a(self, station_id: StationId, evse_id: int) -> float | None:
        """The largest limit an EVSE reports, A; ``None`` if it does not say so."""
        adapter = self._stations.adapter(station_id)
        if adapter is None:
            return None
        try:
            payload = await self._stations.call(
                station_id,
                adapter.encode_composite(evse_id, COMPOSITE_S),
                timeout_s=self._call_timeout_s,
                priority=CallPriority.CONFIG,
            )
        except CallFailed:
            return None
        return composite_a(payload)

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


def composite_a(payload: Mapping[str, object]) -> float | None:
    """The largest limit in a GetCompositeSchedule answer of either version, A.

    ``None`` where it holds no schedule in ampere.
    """
    for name in ("chargingSchedule", "schedule"):
        schedule = payload.get(name)
        if not isinstance(schedule, Mapping):
            continue
        periods = schedule.get("chargingSchedulePeriod")
        if schedule.get("chargingRateUnit") != "A" or not isinstance(periods, list):
            continue
        limits = [p.get("limit") for p in periods if isinstance(p, Mapping)]
        numbers = [float(v) for v in limits if isinstance(v, int | float)]
        if numbers:
            return max(numbers)
    return None
