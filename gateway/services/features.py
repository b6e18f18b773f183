"""What is switched on for which station, and which stations do not take it."""

import asyncio
from enum import StrEnum

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.services.stations import StationDirectory
from gateway.store import features as rows
from gateway.store.features import Refusal
from gateway.store.writer import Writer


class Feature(StrEnum):
    """What stations may be sent unasked, besides what managing them needs."""

    LOCAL_LIST = "local_list"
    PRICING = "pricing"
    DEFAULT_PRICE = "default_price"
    """Part of pricing that a station may refuse: settings with texts."""
    COST_MESSAGES = "cost_messages"
    """Part of pricing that a station may refuse: messages about drivers and costs."""


class Features:
    """Switches and refusals, mirrored in memory; changes on the loop thread only.

    Args:
        directory: Knows the stations' firmware.
        writer: Keeps both.
        clock: Site time.
        defaults: What the site says; what is missing is off.
    """

    def __init__(
        self,
        *,
        directory: StationDirectory,
        writer: Writer,
        clock: Clock,
        defaults: dict[Feature, bool],
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._clock = clock
        self._defaults = defaults
        self._switches: dict[tuple[StationId, str], bool] = {}
        self._refusals: dict[tuple[StationId, str], Refusal] = {}
        self._in_use = {feature: asyncio.Event() for feature in Feature}

    async def start(self) -> None:
        """Read what is stored."""
        self._switches = await self._writer.run(rows.switches)
        known = await self._writer.run(rows.refusals)
        self._refusals = {(one.station_id, one.feature): one for one in known}
        for feature, event in self._in_use.items():
            if self._defaults.get(feature, False):
                event.set()
        for (_, name), is_on in self._switches.items():
            if is_on:
                self._in_use[Feature(name)].set()

    async def until_in_use(self, feature: Feature) -> None:
        """Wait until a feature is on anywhere: before that its part costs nothing."""
        await self._in_use[feature].wait()

    def is_on(self, station_id: StationId, feature: Feature) -> bool:
        """Whether a feature is wanted at a station; any thread may ask."""
        default = self._defaults.get(feature, False)
        return self._switches.get((station_id, feature), default)

    def stations(self) -> tuple[StationId, ...]:
        """Every registered station."""
        return tuple(entry.station_id for entry in self._directory.all())

    def switch_of(self, station_id: StationId, feature: Feature) -> bool | None:
        """The station's own switch; ``None``: as the site says."""
        return self._switches.get((station_id, feature))

    def is_wanted(self, station_id: StationId, feature: Feature) -> bool:
        """On, at a managed station that has not refused it."""
        entry = self._directory.find(station_id)
        return (
            entry is not None
            and entry.managed
            and self.is_on(station_id, feature)
            and self.refusal(station_id, feature) is None
        )

    def refusal(self, station_id: StationId, feature: Feature) -> Refusal | None:
        """Why a station does not take a feature; over with another firmware."""
        found = self._refusals.get((station_id, feature))
        if found is None or found.firmware != self._firmware(station_id):
            return None
        return found

    async def switch(
        self, station_id: StationId, feature: Feature, is_on: bool | None
    ) -> None:
        """Switch a feature for a station; ``None``: as the site says."""
        now = self._clock.now()
        await self._writer.run(
            lambda conn: rows.set_switch(conn, station_id, feature, is_on, now)
        )
        if is_on is None:
            self._switches.pop((station_id, feature), None)
        else:
            self._switches[station_id, feature] = is_on
        if is_on:
            self._in_use[feature].set()

    async def refused(
        self, station_id: StationId, feature: Feature, reason: str
    ) -> None:
        """Remember that a station does not take a feature."""
        refusal = Refusal(
            station_id=station_id,
            feature=feature,
            firmware=self._firmware(station_id),
            reason=reason,
            refused_at=self._clock.now(),
        )
        await self._writer.run(lambda conn: rows.put_refusal(conn, refusal))
        self._refusals[station_id, feature] = refusal

    async def forgive(self, station_id: StationId, feature: Feature) -> None:
        """Let a station be asked again, on an operator's word."""
        if self._refusals.pop((station_id, feature), None) is not None:
            await self._writer.run(
                lambda conn: rows.forget_refusal(conn, station_id, feature)
            )

    def _firmware(self, station_id: StationId) -> str:
        entry = self._directory.find(station_id)
        return "" if entry is None else entry.firmware or ""
