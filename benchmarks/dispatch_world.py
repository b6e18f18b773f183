"""A site with physical stations behind the real dispatch, in virtual time.

The gateway's part is the real one: `Dispatch` with its runners, the adapters that
encode the calls, the store's tables (in memory). Stations are `SimStation`: cars,
pilots, meters, clocks and profiles; what happens to them is a list of `Trouble`. Time
is virtual (`benchmarks.virtual_time`), so a day takes as long as its work.

What is measured is what flows: the seconds that the sum of all currents was above a
limit, and the energy that each car got before it left.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, cast

import structlog
from msgspec.structs import replace

from benchmarks import virtual_time
from benchmarks.dispatch_parts import MemoryStore, Request, RuleOrOptimum
from benchmarks.dispatch_setting import Setting, Trouble
from benchmarks.dispatch_station import EVSE_ID, SimStation, samples_of
from benchmarks.dispatch_tally import Drop, Judge, Tally
from gateway.bus import Bus, FactCommitted, LinkChanged, LoadMeasured
from gateway.domain.events import SessionUpdated, StationBooted
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.session import Session
from gateway.errors import CallTimedOut, NotConnected
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority
from gateway.services import group_store
from gateway.services.dispatch import Dispatch
from gateway.services.dispatch_ports import Ports, SessionRequest, Solver
from gateway.services.evse_state import Trust
from gateway.services.station_port import OnLate
from gateway.store import device_model
from gateway.store.writer import Writer
from gateway.wiring.port import adapters
from optimizer.solve import Engine
from sim_chargers.evse import Evse as SimEvse
from sim_chargers.evse import EvseSpec

FIRMWARE: Final = "1"
QUARTER_S: Final = 900.0
KEYS: Final = [
    {"key": "StopTransactionOnEVSideDisconnect", "value": "true", "readonly": True}
]
"""Settings that every station tells: its sessions end when the car is unplugged."""


class World:
    """Stations, cars and other equipment of one setting; see the module."""

    def __init__(self, setting: Setting, *, engine: Engine = "edf") -> None:
        self.setting = setting
        self.tally = Tally()
        self.engine: Engine = engine
        self.random = Random(setting.seed)
        known = adapters()
        self.stations = [
            self._station(i, known[setting.versions[i % len(setting.versions)]])
            for i in range(len(setting.site.stations))
        ]
        self.by_id = {one.station_id: one for one in self.stations}
        self.load_a = 0.0
        self.dispatch: Dispatch | None = None
        self._site = setting.site
        self._judge = Judge(setting.site, self.tally)
        self._visits = sorted(enumerate(setting.visits), key=lambda v: v[1].arrival_s)
        self._running: dict[StationId, int] = {}
        self._troubles = sorted(setting.troubles, key=lambda one: one.at_s)
        self._number = 0
        self._offset = 0
        self._load_due_s = 0.0
        self._loads_a: dict[str, float] = {}
        self._bus = Bus()
        self._late: list[Session] = []
        self._orders: list[asyncio.Task[dict[str, object]]] = []

    def _station(self, index: int, adapter: Adapter) -> SimStation:
        setting = self.setting
        station = setting.site.stations[index]
        evse = station.evses[0]
        return SimStation(
            station_id=station.id,
            adapter=adapter,
            evse=SimEvse(
                spec=EvseSpec(
                    evse_id=EVSE_ID, phases=evse.phases, max_a=evse.max_da / 10
                ),
                register_milliwh=1_000_000 * index,
                reaction_s=_of(setting.reactions_s, index, 2.0),
            ),
            random=Random(f"{setting.seed}/{index}"),
            skew_s=_of(setting.skews_s, index, 0.0),
            forgets=index < setting.n_forgetful,
        )

    # Running

    def run(self) -> Tally:
        """Play it to its end."""
        with structlog.testing.capture_logs() as lines:
            virtual_time.run(self._run())
        self.tally.lines = [
            line for line in lines if line["log_level"] in {"critical", "error"}
        ]
        self.tally.events.update(line["event"] for line in lines)
        if self.tally.events["group.failed"]:
            raise RuntimeError("the group's runner failed: see `group.failed`")
        self.tally.hours = self.setting.hours
        return self.tally

    async def _run(self) -> None:
        setting, loop = self.setting, asyncio.get_running_loop()
        self.clock = virtual_time.VirtualClock(setting.start, loop)
        store = MemoryStore(self.tally)
        self.dispatch = Dispatch(
            Ports(
                site=lambda: self._site,
                stations=self,
                sessions=self,
                writer=cast("Writer", store),  # only `run` is used, and thread-free
                bus=self._bus,
                clock=self.clock,
                solver=self.solver(),
                prices=setting.prices,
                feed_in=setting.feed_in,
                need_defaults=setting.need_defaults,
                arrivals=setting.arrivals,
                step_s=setting.plan_step_s,
                mode=setting.mode,
            )
        )
        await self._prove(store)
        task = loop.create_task(self.dispatch.run())
        await self.dispatch.ready()
        for station in self.stations:
            self._link(station)
            self._boot(station)
        began_s = time.thread_time()
        physics_s = 0.0
        n_step = round(setting.hours * 3600 / setting.step_s)
        for number in range(1, n_step + 1):
            await asyncio.sleep(number * setting.step_s - loop.time())
            if task.done():
                task.result()
            step_began_s = time.thread_time()
            self._step(number * setting.step_s)
            physics_s += time.thread_time() - step_began_s
        spent_s = time.thread_time() - began_s - physics_s
        tally = self.tally
        tally.gateway_cpu_s = spent_s - tally.solver_cpu_s - tally.store_cpu_s
        for station in self.stations:
            self._leave(station)
        task.cancel()
        await asyncio.wait([task])
        store.conn.close()

    async def _prove(self, store: MemoryStore) -> None:
        """All stations obey; what they hold from before us may not be known."""
        now = self.clock.now()
        leftover_a = self.setting.leftover_a
        for station in self.stations:
            trust = Trust(
                station_id=station.station_id,
                is_proven=True,
                leftovers_known=leftover_a is None,
            )
            group_store.put_trust(
                store.conn, trust, now, {"shipped": not station.forgets}
            )
            device_model.put_keys(
                store.conn,
                station.station_id,
                {"configurationKey": KEYS},
                now,
                is_whole=False,
            )
            if leftover_a is not None:
                station.leave_behind(leftover_a, now)

    def solver(self) -> Solver:
        """Who plans."""
        return RuleOrOptimum(self.engine, self.setting.solve_s, self.tally)

    # One step of the physics

    def _step(self, elapsed_s: float) -> None:
        now, dt_s = self.clock.now(), self.setting.step_s
        while self._troubles and self._troubles[0].at_s <= elapsed_s:
            self._happens(self._troubles.pop(0), elapsed_s)
        self._come_and_go(elapsed_s)
        for station in self.stations:
            if station.session is None:
                if station.evse.vehicle is None and station.evse.energised:
                    station.step(now, elapsed_s, dt_s)
                continue
            station.step(now, elapsed_s, dt_s)
            self.tally.charging_s += dt_s
            is_changed = station.evse.charging is not station.told
            if self.is_online(station.station_id) and (
                is_changed or elapsed_s >= station.sample_due_s
            ):
                if elapsed_s >= station.sample_due_s:
                    station.sample_due_s = elapsed_s + self.setting.sample_s
                self._tell(station.sample(now))
        drawn_w = sum(one.evse.draw.power_w for one in self.stations)
        self.tally.drawn_wh[int((elapsed_s - dt_s) // QUARTER_S)] += (
            drawn_w * dt_s / 3600
        )
        self._loads_a = {
            load.id: self._load_now_a(load.id, elapsed_s) for load in self._site.loads
        }
        if elapsed_s >= self._load_due_s:
            self._load_due_s = elapsed_s + self.setting.load_every_s
            self._measure(now, elapsed_s)
        drawn = ((one.station_id, one.evse.site_a) for one in self.stations)
        self._judge.look(drawn, self._loads_a, elapsed_s, dt_s)

    def _come_and_go(self, elapsed_s: float) -> None:
        for station in self.stations:
            if station.visit is not None and station.visit.departure_s <= elapsed_s:
                self._leave(station)
            if 0 < station.away_until_s <= elapsed_s:
                station.away_until_s = 0.0
                self._link(station)
                station.sample_due_s = elapsed_s
            if 0 < station.down_until_s <= elapsed_s:
                station.down_until_s = 0.0
                self._link(station)
                self._boot(station)
        while self._visits and self._visits[0][1].arrival_s <= elapsed_s:
            index, visit = self._visits.pop(0)
            station = self.stations[visit.station]
            self._leave(station)
            self._number += 1
            self._running[station.station_id] = index
            session = station.begin(visit, self._number, self.clock.now())
            station.sample_due_s = elapsed_s + self.random.uniform(
                5, self.setting.sample_s
            )
            self._tell(session)

    def _leave(self, station: SimStation) -> None:
        if station.session is None:
            return
        index = self._running.pop(station.station_id)
        ended = station.end(self.clock.now())
        station.evse.energised = True  # its next step opens the contactor
        self.tally.delivered_wh[index] = ended.energy_milliwh / 1000
        self._tell(ended)

    def _tell(self, session: Session) -> None:
        """A fact is committed; an offline station's comes when it is back."""
        if not self.is_online(session.station_id):
            self._late.append(session)
            return
        self._publish(session, is_backlog=False)

    def _publish(self, session: Session, *, is_backlog: bool) -> None:
        now = self.clock.now()
        self._offset += 1
        evse = EvseRef(station_id=session.station_id, evse_id=EVSE_ID)
        event = SessionUpdated(
            station_id=session.station_id,
            evse=evse,
            occurred_at=now,
            received_at=now,
            transaction_id=session.transaction_id,
            samples=samples_of(session),
        )
        told = replace(session, received_at=now)
        self._bus.publish(
            FactCommitted(
                offset=self._offset, event=event, session=told, is_backlog=is_backlog
            )
        )

    def _link(self, station: SimStation) -> None:
        self._bus.publish(
            LinkChanged(
                station_id=station.station_id,
                is_online=self.is_online(station.station_id),
                ocpp_version=station.adapter.version,
                at=self.clock.now(),
            )
        )
        if self.is_online(station.station_id):
            waiting, self._late = self._late, []
            for session in waiting:
                if session.station_id == station.station_id:
                    self._publish(session, is_backlog=True)
                else:
                    self._late.append(session)

    def _boot(self, station: SimStation) -> None:
        now = self.clock.now()
        self._offset += 1
        event = StationBooted(
            station_id=station.station_id,
            occurred_at=now,
            received_at=now,
            vendor="V",
            model="M",
            firmware=FIRMWARE,
        )
        self._bus.publish(FactCommitted(offset=self._offset, event=event))

    def _happens(self, trouble: Trouble, elapsed_s: float) -> None:
        station = self.stations[trouble.station]
        until_s = elapsed_s + trouble.value
        match trouble.kind:
            case "cut":
                station.away_until_s = until_s
                self._link(station)
            case "restart":
                station.down_until_s = until_s
                station.restart()
                self._link(station)
            case "mute":
                station.mute_until_s = until_s
            case "deaf":
                station.deaf_until_s = until_s
            case "slow":
                station.delay_s = (1.0, trouble.value)
            case "skew":
                station.skew_s = trouble.value
                station.changed()
            case "load":
                self.load_a = trouble.value
            case "limit":
                self._set_limit(trouble.value, elapsed_s)
            case "lie" | "obey" | "phases":
                station.misbehave(trouble.kind, trouble.value)

    def _set_limit(self, limit_a: float, elapsed_s: float) -> None:
        """The operator lowers the first cabinet's limit: soon, and for a while."""
        cabinet = self._site.cabinets[0]
        begins_s = elapsed_s + self.setting.notice_s
        ends_s = begins_s + self.setting.drop_s
        self._judge.drops.append(
            Drop(
                cabinet_id=cabinet.id, from_s=begins_s, until_s=ends_s, limit_a=limit_a
            )
        )
        assert self.dispatch is not None
        start = self.setting.start
        limit_da = round(limit_a * 10)
        self._orders.append(
            asyncio.get_running_loop().create_task(
                self.dispatch.set_threshold(
                    cabinet.id,
                    limit_da=(limit_da,) * 3,
                    limit_w=None,
                    from_at=start + timedelta(seconds=begins_s),
                    until_at=start + timedelta(seconds=ends_s),
                )
            )
        )

    def _load_now_a(self, load_id: str, elapsed_s: float) -> float:
        series = self.setting.loads_a.get(load_id)
        if series is None:
            return self.load_a / len(self._site.loads)
        return _between(series, elapsed_s)

    def _measure(self, now: datetime, elapsed_s: float) -> None:
        """Other equipment is read: all of it draws the same on its phases."""
        for pv in self._site.pvs:
            power_w = _between(self.setting.sun_w, elapsed_s) / len(self._site.pvs)
            self._bus.publish(
                LoadMeasured(load_id=pv.id, at=now, current_a=None, power_w=power_w)
            )
        for load in self._site.loads:
            each_a = self._loads_a[load.id]
            one, two, three = (each_a if p in load.phases else 0.0 for p in range(3))
            self._bus.publish(
                LoadMeasured(
                    load_id=load.id, at=now, current_a=(one, two, three), power_w=None
                )
            )

    # What the gateway asks (Stations, SessionQueries)

    def adapter(self, station_id: StationId) -> Adapter | None:
        """See `Stations`."""
        return self.by_id[station_id].adapter if self.is_online(station_id) else None

    def is_online(self, station_id: StationId) -> bool:
        """See `Stations`."""
        station = self.by_id[station_id]
        return not station.away_until_s and not station.down_until_s

    def epoch_of(self, station_id: StationId) -> int | None:
        """See `Stations`."""
        return 1 if self.is_online(station_id) else None

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: OnLate | None = None,
        epoch: int | None = None,
    ) -> Mapping[str, object]:
        """See `Stations`: the call travels, is acted upon, its answer travels."""
        del priority, epoch  # one call at a time, on the one connection there is
        station, loop = self.by_id[station_id], asyncio.get_running_loop()
        if not self.is_online(station_id):
            raise NotConnected(station_id)
        self.tally.sent[command.action] += 1
        delay_s = station.random.uniform(*station.delay_s)
        await asyncio.sleep(delay_s / 2)
        if not self.is_online(station_id):
            raise NotConnected(station_id, was_sent=True)
        if loop.time() < station.deaf_until_s:
            await asyncio.sleep(timeout_s)
            raise CallTimedOut(station_id)
        payload = station.answer(command, self.clock.now())
        if loop.time() < station.mute_until_s:
            await asyncio.sleep(timeout_s)
            raise CallTimedOut(station_id)
        if delay_s > timeout_s:
            if on_late is not None:
                loop.call_later(delay_s / 2, on_late, payload)
            await asyncio.sleep(timeout_s - delay_s / 2)
            raise CallTimedOut(station_id)
        await asyncio.sleep(delay_s / 2)
        if not self.is_online(station_id):
            raise NotConnected(station_id, was_sent=True)
        return payload

    async def open_sessions(self, station_id: str | None = None) -> list[Session]:
        """See `SessionQueries`."""
        return [
            one.session
            for one in self.stations
            if one.session is not None and station_id in {None, one.station_id}
        ]

    async def session_request(self, session_id: str) -> SessionRequest | None:
        """See `SessionQueries`: what the driver of a visit said."""
        for one in self.stations:
            if one.session is not None and one.session.session_id == session_id:
                visit = one.visit
                assert visit is not None
                if visit.stated_wh is None:
                    return None
                leaves_s = visit.stated_departure_s
                return Request(
                    energy_wh=visit.stated_wh,
                    departure_at=None
                    if leaves_s is None
                    else self.setting.start + timedelta(seconds=leaves_s),
                )
        return None


def _between(series: Sequence[float], elapsed_s: float) -> float:
    """On the straight line between quarters of an hour."""
    at = elapsed_s / QUARTER_S
    here = min(int(at), len(series) - 1)
    after = min(here + 1, len(series) - 1)
    return series[here] + (series[after] - series[here]) * (at - int(at))


def _of(values: Sequence[float], index: int, default: float) -> float:
    return values[index % len(values)] if values else default
