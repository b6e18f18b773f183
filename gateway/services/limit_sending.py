"""Sends the limits of one group: checked, on disk, then on the wire."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog

from gateway.bus import (
    FactCommitted,
    LoadMeasured,
)
from gateway.domain.ids import StationId
from gateway.services import (
    group_limits,
)
from gateway.services.evse_state import (
    Outgoing,
)
from gateway.services.group_core import GroupCore
from gateway.services.group_items import (
    Item,
    LimitsCleared,
    Reported,
    StationFree,
)
from gateway.services.group_planning import GroupPlanning
from gateway.services.limit_calls import clear_limits, send_limits
from gateway.services.plan_basis import QUIET_S, Basis, round_basis

PASSING: Final = (FactCommitted, LoadMeasured, Reported)
"""What may change nothing that limits rest on: see `plan_basis.round_basis`."""

_log = structlog.get_logger()


class LimitSending:
    """What one group sends to its stations, one call at a time to each.

    Args:
        core: What the parts of the runner share.
        planning: Its plan is named beside what is sent.
    """

    def __init__(self, core: GroupCore, planning: GroupPlanning) -> None:
        self._core = core
        self._planning = planning
        self._looked: Basis = ()
        self._looked_s = -QUIET_S

    async def look(self, items: Sequence[Item]) -> bool:
        """Send what is worth sending; whether there was reason to look.

        Args:
            items: What was heard since the last look.
        """
        if not self._is_due(items):
            return False
        self._looked_s = asyncio.get_running_loop().time()
        now = self._core.now()
        batch = group_limits.next_limits(self._core.state, now)
        if batch:
            await self.send(batch, now)
        self._looked = round_basis(self._core.state)
        return True

    def _is_due(self, items: Sequence[Item]) -> bool:
        """Whether other limits may be worth sending: most samples change nothing."""
        waited_s = asyncio.get_running_loop().time() - self._looked_s
        return (
            waited_s >= QUIET_S
            or not all(isinstance(one, PASSING) for one in items)
            or not items
            or round_basis(self._core.state) != self._looked
        )

    async def send(self, batch: Sequence[Outgoing], now: datetime) -> None:
        """Check, record, then send; one call at a time to each station."""
        core = self._core
        broken = group_limits.check(core.state, batch, now)
        if broken:
            _log.critical(
                "limit.withheld", group_id=core.root, violation=str(broken[0])
            )
            batch = group_limits.without_increases(core.state, batch, now)
            if not batch or group_limits.check(core.state, batch, now):
                return
        meta = self._planning.meta
        plan_id = None if meta is None else meta.plan_id
        ids = await core.records.batch(batch, plan_id=plan_id, now=now)
        if ids is None:
            self._looked_s = -QUIET_S  # tried again at the next look
            return
        per_station: dict[StationId, list[tuple[int, Outgoing]]] = defaultdict(list)
        for command_id, outgoing in zip(ids, batch, strict=True):
            core.state.add_sent(outgoing, command_id)
            if core.ports.churn is not None:
                core.ports.churn.sent(outgoing.station_id)
            per_station[outgoing.station_id].append((command_id, outgoing))
        for station_id, limits in per_station.items():
            core.state.stations[station_id].is_busy = True
            core.spawn(
                self._call_all(station_id, limits),
                f"limits.{station_id}",
            )

    async def _call_all(
        self, station_id: StationId, limits: Iterable[tuple[int, Outgoing]]
    ) -> None:
        core = self._core
        async for answered in send_limits(core.ports, limits, core.offer):
            self._core.offer(answered)
        self._core.offer(StationFree(station_id=station_id))

    def start_clearing(self, station_id: StationId) -> None:
        """Ask a station to forget its limits."""
        self._core.spawn(self._clear(station_id), f"clear.{station_id}")

    async def _clear(self, station_id: StationId) -> None:
        def came_late(done: bool) -> None:
            self._core.offer(
                LimitsCleared(station_id=station_id, done=done, is_late=True)
            )

        done = await clear_limits(self._core.ports, station_id, came_late)
        self._core.offer(LimitsCleared(station_id=station_id, done=done))
