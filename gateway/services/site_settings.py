"""What operators set about the site while it runs; stored, then told to the plans."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from gateway.bus import Bus, LoadMeasured, SettingChanged
from gateway.clock import Clock
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import PerPhase, Site
from gateway.errors import RequestError
from gateway.store import limits as rows
from gateway.store.limits import ReadingRow
from gateway.store.writer import Writer

DA_PER_A: Final = 10
FUTURE: Final = timedelta(minutes=5)
"""A measurement from further ahead than this has a wrong clock."""


class SiteSettings:
    """Thresholds, manual limits, modes and measurements. Loop thread only."""

    def __init__(
        self, *, site: Callable[[], Site], writer: Writer, bus: Bus, clock: Clock
    ) -> None:
        self._site = site
        self._writer = writer
        self._bus = bus
        self._clock = clock

    async def put_reading(
        self,
        load_id: str,
        *,
        at: datetime,
        current_a: tuple[float, float, float] | None,
        power_w: float | None,
    ) -> None:
        """Take a measurement of other equipment, a feeder, PV or a battery.

        Args:
            load_id: As in the configuration; a feeder meter by its id.
            at: When it was measured.
            current_a: A on L1, L2, L3, import positive.
            power_w: W, import positive; PV: what it delivers.

        Raises:
            RequestError: 404 unknown id; 422 a time in the future.
        """
        if load_id not in self._known_ids():
            raise RequestError(404, "unknown_load", f"no load or meter {load_id!r}")
        if at > self._clock.now() + FUTURE:
            raise RequestError(422, "bad_time", "at: lies in the future")
        row = ReadingRow(
            load_id=load_id,
            measured_at=at,
            current_da=None if current_a is None else _deci(current_a),
            power_w=power_w,
        )
        if await self._writer.run(lambda conn: rows.put_reading(conn, row)):
            self._bus.publish(
                LoadMeasured(
                    load_id=load_id, at=at, current_a=current_a, power_w=power_w
                )
            )

    async def set_evse_limit(
        self, station_id: StationId, evse_id: int, limit_a: float | None
    ) -> None:
        """Set or lift the manual limit of an EVSE, A per phase.

        Raises:
            RequestError: 404 unknown EVSE.
        """
        if self._site().evse(station_id, evse_id) is None:
            raise RequestError(404, "unknown_evse", f"no EVSE {evse_id} there")
        ref = EvseRef(station_id=station_id, evse_id=evse_id)
        limit_da = None if limit_a is None else int(limit_a * DA_PER_A)
        at = self._clock.now()
        await self._writer.run(
            lambda conn: rows.put_manual_limit(conn, ref, limit_da, at)
        )
        self._changed(f"evse/{station_id}/{evse_id}/limit")

    async def set_cabinet_limit(
        self,
        cabinet_id: str,
        *,
        limit_a: tuple[float, float, float] | None,
        limit_w: float | None,
        from_at: datetime | None,
        until_at: datetime | None,
    ) -> None:
        """Set the CPO's threshold of a cabinet; neither limit: lift all of them.

        Raises:
            RequestError: 404 unknown cabinet; 422 an end before the start.
        """
        key = self._require(cabinet_id)
        if from_at is not None and until_at is not None and until_at <= from_at:
            raise RequestError(422, "bad_time", "until: must be after from")
        if limit_a is None and limit_w is None:
            await self._writer.run(lambda conn: rows.delete_thresholds(conn, key))
        else:
            await self._writer.run(
                partial(
                    rows.insert_threshold,
                    cabinet_id=key,
                    limit_da=None if limit_a is None else _floor(limit_a),
                    limit_w=None if limit_w is None else int(limit_w),
                    from_at=from_at,
                    until_at=until_at,
                    set_at=self._clock.now(),
                )
            )
        self._changed(f"cabinet/{cabinet_id}/limit")

    async def set_mode(self, cabinet_id: str, mode: str) -> None:
        """Set ``control`` or ``advise``.

        Raises:
            RequestError: 404 unknown cabinet.
        """
        key = self._require(cabinet_id)
        at = self._clock.now()
        await self._writer.run(lambda conn: rows.put_mode(conn, key, mode, at))
        self._changed(f"cabinet/{cabinet_id}/mode")

    def _require(self, cabinet_id: str) -> CabinetId:
        key = CabinetId(cabinet_id)
        if self._site().cabinet(key) is None:
            raise RequestError(404, "unknown_cabinet", f"no cabinet {cabinet_id!r}")
        return key

    def _known_ids(self) -> set[str]:
        site = self._site()
        meters = {c.feeder_meter for c in site.cabinets if c.feeder_meter is not None}
        loads = {load.id for load in site.loads}
        pvs = {pv.id for pv in site.pvs}
        return meters | loads | pvs | {battery.id for battery in site.batteries}

    def _changed(self, subject: str) -> None:
        self._bus.publish(SettingChanged(subject=subject, at=self._clock.now()))


def _deci(current_a: tuple[float, float, float]) -> PerPhase:
    one, two, three = (round(value * DA_PER_A) for value in current_a)
    return (one, two, three)


def _floor(limit_a: tuple[float, float, float]) -> PerPhase:
    """Limits are only ever rounded down."""
    one, two, three = (int(value * DA_PER_A + 1e-9) for value in limit_a)
    return (one, two, three)
