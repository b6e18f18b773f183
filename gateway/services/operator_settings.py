"""What operators and meters set: limits by hand, thresholds, modes, readings."""

from datetime import datetime, timedelta
from typing import Final

from gateway.bus import LoadMeasured, SettingChanged
from gateway.domain import envelope as env
from gateway.domain.envelope import unix_s
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.phases import PerPhase
from gateway.domain.topology import Mode
from gateway.errors import RequestError
from gateway.services.dispatch_ports import Ports
from gateway.services.group_index import Groups
from gateway.services.group_runner import GroupRunner
from gateway.services.loads import LoadReading, Threshold
from gateway.services.thresholds import effective
from gateway.store import settings

_FUTURE: Final = timedelta(minutes=1)


class OperatorSettings:
    """The part of dispatch that checks and keeps settings. Loop thread only."""

    def __init__(self, ports: Ports, groups: Groups) -> None:
        self._ports = ports
        self._groups = groups

    async def set_manual_limit(
        self, station_id: StationId, evse_id: int, limit_da: int | None
    ) -> None:
        """Set the manual limit of an EVSE, 0.1 A per phase; ``None`` lifts it.

        Raises:
            RequestError: 404 unknown EVSE; 422 below its floor, which is reserved.
        """
        ref = EvseRef(station_id=station_id, evse_id=evse_id)
        runner = self._groups.of_station(station_id)
        if runner is None or ref not in runner.state.evses:
            raise RequestError(404, "unknown_evse", f"no EVSE {station_id}/{evse_id}")
        floor_da = runner.state.evses[ref].evse.floor_da
        if limit_da is not None and limit_da < floor_da:
            raise RequestError(
                422, "below_floor", f"its floor of {floor_da / 10} A is reserved"
            )
        now = self._now()
        await self._ports.writer.run(
            lambda conn: settings.put_manual_limit(conn, ref, limit_da, now)
        )
        self._changed(f"evse/{station_id}/{evse_id}/limit")

    async def set_threshold(
        self,
        cabinet_id: CabinetId,
        *,
        limit_da: PerPhase | None,
        limit_w: int | None,
        from_at: datetime | None = None,
        until_at: datetime | None = None,
    ) -> dict[str, object]:
        """Set the CPO's threshold of a cabinet, now or for a time.

        Returns:
            What counts while it holds; see `thresholds.effective`.

        Raises:
            RequestError: 404 unknown cabinet; 422 nothing given or an empty time; 409
                the floors behind it would not fit.
        """
        runner = self._groups.required(cabinet_id)
        now = self._now()
        if limit_da is None and limit_w is None:
            raise RequestError(422, "no_limit", "limit_a or limit_w is required")
        if from_at is not None and until_at is not None and until_at <= from_at:
            raise RequestError(422, "empty_time", "until must be after from")
        threshold = Threshold(
            cabinet_id=cabinet_id,
            set_at=now,
            limit_da=limit_da,
            limit_w=limit_w,
            from_at=from_at,
            until_at=until_at,
        )
        self._check_floors(runner, threshold)
        await self._ports.writer.run(
            lambda conn: settings.insert_threshold(
                conn,
                cabinet_id=cabinet_id,
                limit_da=limit_da,
                limit_w=limit_w,
                from_at=from_at,
                until_at=until_at,
                set_at=now,
            )
        )
        self._changed(f"cabinet/{cabinet_id}/limit")
        state = runner.state
        cabinet = next(one for one in state.group.cabinets if one.id == cabinet_id)
        return effective(cabinet, threshold, phase_v=state.site.phase_v)

    async def clear_thresholds(self, cabinet_id: CabinetId) -> None:
        """Back to the configured limit.

        Raises:
            RequestError: 404 unknown cabinet.
        """
        self._groups.required(cabinet_id)
        await self._ports.writer.run(
            lambda conn: settings.delete_thresholds(conn, cabinet_id)
        )
        self._changed(f"cabinet/{cabinet_id}/limit")

    async def set_mode(self, cabinet_id: CabinetId, mode: Mode) -> None:
        """Carry plans out, or only show them.

        Raises:
            RequestError: 404 unknown cabinet.
        """
        self._groups.required(cabinet_id)
        now = self._now()
        await self._ports.writer.run(
            lambda conn: settings.put_mode(conn, cabinet_id, mode.value, now)
        )
        self._changed(f"cabinet/{cabinet_id}/mode")

    async def put_reading(self, reading: LoadReading) -> bool:
        """Take a measurement of other equipment; False if a newer one is known.

        Raises:
            RequestError: 404 no such load, feeder, PV inverter or battery; 422 neither
                current nor power, or a time in the future.
        """
        if reading.load_id not in self._groups.loads:
            raise RequestError(404, "unknown_load", f"no load {reading.load_id!r}")
        if reading.current_da is None and reading.power_w is None:
            raise RequestError(422, "empty_reading", "current_a or power_w is required")
        now = self._now()
        if reading.measured_at > now + _FUTURE:
            raise RequestError(422, "future", "the reading's time is in the future")
        is_new = await self._ports.writer.run(
            lambda conn: settings.put_reading(
                conn,
                settings.ReadingRow(
                    load_id=reading.load_id,
                    measured_at=reading.measured_at,
                    current_da=reading.current_da,
                    power_w=reading.power_w,
                ),
            )
        )
        if is_new:
            current_a = None
            if reading.current_da is not None:
                one, two, three = reading.current_da
                current_a = (one / 10, two / 10, three / 10)
            self._ports.bus.publish(
                LoadMeasured(
                    load_id=reading.load_id,
                    at=reading.measured_at,
                    current_a=current_a,
                    power_w=reading.power_w,
                )
            )
        return is_new

    def _check_floors(self, runner: GroupRunner, threshold: Threshold) -> None:
        state, now = runner.state, self._now()
        rooms = state.rooms_with(threshold, now)
        floors = {
            ref: (env.Rung(unix_s(now), env.draw_of(one.evse, one.evse.floor_da)),)
            for ref, one in state.evses.items()
        }
        found = env.violations(floors, state.paths, rooms, from_s=unix_s(now))
        mine = [v for v in found if v.cabinet_id == threshold.cabinet_id]
        if mine:
            short_a = (mine[0].draw_da - mine[0].room_da) / 10
            raise RequestError(
                409,
                "floors_do_not_fit",
                f"floors and other loads behind it need {short_a} A more",
            )

    def _changed(self, subject: str) -> None:
        self._ports.bus.publish(SettingChanged(subject=subject, at=self._now()))

    def _now(self) -> datetime:
        return self._ports.clock.now()
