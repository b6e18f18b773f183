"""Asks stations what they make of a limit that they took (GetCompositeSchedule).

The first limit of each kind at a station is read back, later ones are sampled. One that
reports more than it was told, twice, holds something else than we think: it counts at
its rating from then on. One that reports less is held down by somebody else, and one
that reports nothing is not asked again before its next restart.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.capability import Feature
from gateway.domain.envelope import Holding, unix_s
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.topology import CurrentType, Evse
from gateway.errors import CallFailed, CallRefused
from gateway.ocpp.adapter import CallOutcome
from gateway.ocpp.limit_words import composite_periods
from gateway.ocpp.rpc import CallPriority
from gateway.services import ladder
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import EvseState, Outgoing, key_of
from gateway.services.group_items import Reported
from gateway.services.group_state import GroupState

SAMPLED: Final = 20
"""One in so many limits of a kind that was read back before."""

HORIZON_S: Final = 3600
"""Site seconds that are asked about."""

PATIENCE_S: Final = 10.0
"""Real seconds for an answer: limits wait behind it."""

AGAIN_S: Final = 2.0
"""Real seconds until a station that reports too much is asked once more."""

TOLERANCE_DA: Final = 5
"""Reports are rounded, and W turned into A at the station's voltage."""

FALSE_SCHEDULE: Final = "false_schedule"
"""Doubt about a station that reports more than it was told."""


class ReadBack:
    """Which limits of one group are read back. Loop thread only."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._counts: dict[tuple[StationId, frozenset[Feature]], int] = {}
        self._silent: set[StationId] = set()

    def restarted(self, station_id: StationId) -> None:
        """Whatever was seen of a station may be different now."""
        self._silent.discard(station_id)
        for key in [one for one in self._counts if one[0] == station_id]:
            del self._counts[key]

    def is_due(self, state: GroupState, outgoing: Outgoing) -> bool:
        """Whether a limit that was just taken is read back; counts it."""
        station = state.stations.get(outgoing.station_id)
        is_asked = (
            station is not None
            and outgoing.station_id not in self._silent
            and station.capability.takes(Feature.COMPOSITE)
        )
        if not is_asked:
            return False
        kind = ladder.features_of(outgoing.command) - {Feature.ZERO}
        key = (outgoing.station_id, kind - {Feature.MANY_PERIODS})
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        return count % SAMPLED == 0

    async def ask(self, ref: EvseRef, evse: Evse) -> Reported | None:
        """Ask about an EVSE; ``None``: it is not connected."""
        ports, station_id = self._ports, ref.station_id
        adapter = ports.stations.adapter(station_id)
        if adapter is None:
            return None
        asked_at = ports.clock.now()
        command = adapter.encode_composite(ref.evse_id, HORIZON_S)
        try:
            payload: Mapping[str, object] = await ports.stations.call(
                station_id,
                command,
                timeout_s=min(PATIENCE_S, ports.call_timeout_s),
                priority=CallPriority.OTHER,
            )
        except CallRefused:
            return Reported(ref=ref, asked_at=asked_at, periods=None, takes=False)
        except CallFailed:
            return Reported(ref=ref, asked_at=asked_at, periods=None, takes=None)
        outcome = adapter.outcome(command.action, payload)
        periods = composite_periods(payload)
        return Reported(
            ref=ref,
            asked_at=asked_at,
            periods=None if periods is None else _in_a(periods, evse),
            takes=None
            if outcome is CallOutcome.REJECTED
            else outcome is not CallOutcome.NOT_SUPPORTED,
        )

    async def ask_twice(self, state: GroupState, one: EvseState) -> Reported | None:
        """Ask about an EVSE, and once more where it reports too much."""
        ref = key_of(one.evse.ref)
        found = await self.ask(ref, one.evse)
        if found is None or excess_a(state, found) is None:
            return found
        await asyncio.sleep(AGAIN_S)
        return await self.ask(ref, one.evse)

    def heard(self, reported: Reported) -> None:
        """Remember who does not answer."""
        if reported.periods is None:
            self._silent.add(reported.ref.station_id)


def excess_a(state: GroupState, reported: Reported) -> float | None:
    """How much more a station reports than it may hold, A; ``None``: not more.

    Whatever it may hold counts: limits on their way, and what they may replace.
    """
    one = state.evses.get(reported.ref)
    if one is None or reported.periods is None:
        return None
    station = state.stations[reported.ref.station_id]
    if station.needs_setup or not station.trust.leftovers_known:
        return None  # being cleared: its rating counts
    holding = Holding(is_trusted=True, limits=one.limits)
    if not holding.has_safe_default():
        return None
    from_s = unix_s(reported.asked_at)
    stairs = env.envelope(one.evse, holding, skew_s=state.skew_s(one), from_s=from_s)
    worst = 0.0
    for start_s, limit_a in reported.periods:
        at = reported.asked_at + timedelta(seconds=start_s)
        bound = env.value_at(stairs, unix_s(at))
        allowed_da = max(bound[phase] for phase in one.evse.phases)
        worst = max(worst, limit_a * 10 - allowed_da)
    return worst / 10 if worst > TOLERANCE_DA else None


def _in_a(
    periods: tuple[LimitUnit, tuple[tuple[int, float], ...]], evse: Evse
) -> tuple[tuple[int, float], ...] | None:
    """A per phase on the AC side; of DC only W can be told."""
    unit, found = periods
    if evse.current_type is CurrentType.DC:
        if unit is LimitUnit.A:
            return None
        return tuple((at_s, evse.input_da(value) / 10) for at_s, value in found)
    divisor = 1.0 if unit is LimitUnit.A else evse.phase_v * len(evse.phases)
    return tuple((at_s, value / divisor) for at_s, value in found)
