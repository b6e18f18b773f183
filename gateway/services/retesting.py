"""Repeats the obedience test by itself where a station runs another firmware.

Only at a station that was proven before, once for each firmware, while nobody charges
there, and one station at a time. It is restarted if its earlier proof had that; its
network is not taken away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from gateway.domain.ids import StationId
from gateway.errors import RequestError, StoreError
from gateway.services.dispatch import Dispatch
from gateway.services.evse_state import RESTART_TEST
from gateway.services.station_learning import FIRMWARE_CHANGED
from gateway.store import limits as rows
from gateway.store.writer import Writer

LOOK_S: Final = 60.0
"""Real seconds between two looks: a station that booted has been set up by then."""

_log = structlog.get_logger()


class ObedienceTest(Protocol):
    """`Commissioning.run`."""

    def __call__(
        self, station_id: StationId, *, restart: bool = False
    ) -> Awaitable[dict[str, object]]:
        """Test a station and store the result."""
        ...


class Retesting:
    """Tests stations whose firmware changed; run it as a task.

    Args:
        dispatch: Knows whom it doubts, and why.
        writer: Has the evidence of earlier tests.
        test: Tests one station.
        stations: All that are wired.
        firmware_of: What a station runs.
        look_s: Real seconds between two looks.
    """

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        writer: Writer,
        test: ObedienceTest,
        stations: Callable[[], list[StationId]],
        firmware_of: Callable[[StationId], str | None],
        look_s: float = LOOK_S,
    ) -> None:
        self._dispatch = dispatch
        self._writer = writer
        self._test = test
        self._stations = stations
        self._firmware_of = firmware_of
        self._look_s = look_s
        self._tried: set[tuple[StationId, str | None]] = set()

    async def run(self) -> None:
        """Look for such stations, for ever."""
        while True:
            await asyncio.sleep(self._look_s)
            for station_id in self._stations():
                if self._is_due(station_id):
                    await self._repeat(station_id)

    def _is_due(self, station_id: StationId) -> bool:
        runner = self._dispatch.runner(station_id)
        state = None if runner is None else runner.state.stations.get(station_id)
        return (
            state is not None
            and state.trust.doubt == FIRMWARE_CHANGED
            and state.station.managed
            and state.is_online
            and not state.needs_setup
            and all(one.session is None for one in state.evses)
            and (station_id, self._firmware_of(station_id)) not in self._tried
        )

    async def _repeat(self, station_id: StationId) -> None:
        self._tried.add((station_id, self._firmware_of(station_id)))
        try:
            known = (await self._writer.run(rows.trusts)).get(station_id)
            tested = None if known is None else known.evidence.get("tested")
            restart = isinstance(tested, list) and RESTART_TEST in tested
            found = await self._test(station_id, restart=restart)
        except (RequestError, StoreError) as error:
            _log.warning("station.not_retested", station_id=station_id, why=str(error))
            return
        _log.info(
            "station.retested", station_id=station_id, is_proven=found["is_proven"]
        )
