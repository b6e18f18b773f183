"""A yard of fake stations behind a real dispatch, a real store and a fast clock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from gateway.bus import Bus, FactCommitted, LinkChanged
from gateway.clock import ScaledClock
from gateway.domain.events import SessionStarted, StationBooted
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitSchedule, Purpose, SetLimit
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import Cabinet, Evse, Load, Site, Station
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    ErrorKind,
    NotConnected,
)
from gateway.ocpp.adapter import Adapter, CallOutcome, Command
from gateway.ocpp.rpc import CallPriority
from gateway.services.arrivals import Arrivals
from gateway.services.battery_plans import BatteryPlans
from gateway.services.dispatch import Dispatch
from gateway.services.dispatch_ports import Ports, SessionRequest
from gateway.services.group_problem import Prices
from gateway.services.solver_pool import by_rule
from gateway.services.station_port import OnLate
from gateway.store.writer import Writer
from optimizer import CabinetProblem, Outcome, solve
from optimizer.chain import Engine
from tests.support.ready_database import place_database

EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)


@dataclass(slots=True)
class FakeStation:
    """Holds limits and answers as its ``mood`` says.

    Attributes:
        mood: ``ok``, ``reject``, ``timeout`` (acts, never answers), ``deaf`` (neither),
            ``gone``, ``garbled`` and ``internal`` (a CALLERROR: who knows),
            ``incapable`` (one that says that it has no such function), or ``dumb`` (it
            does not send meter values when asked).
        keeps: The purpose of limits that it refuses to clear.
        ignores: Accepts everything and obeys nothing.
        refuses: Says which limits it does not take.
        maximum: Its maximum as a whole.
        forgets: It loses its limits when it restarts.
        reports_da: What it tells as its composite schedule instead of what it obeys.
        asked: How often it was asked for that.
        log: Actions in the order of arrival.
        late: Sends the answers that it still owes (mood ``late``: it accepts and acts;
            ``late_no``: it refuses; ``slow_clear``: it clears only then, and takes
            limits in time).
    """

    station_id: StationId
    online: bool = True
    mood: str = "ok"
    default: LimitSchedule | None = None
    session: LimitSchedule | None = None
    leftovers: bool = False
    ignores: bool = False
    refuses: Callable[[SetLimit], bool] = lambda _: False
    maximum: LimitSchedule | None = None
    own: LimitSchedule | None = None
    forgets: bool = False
    reports_da: int | None = None
    asked: int = 0
    keeps: str = ""
    log: list[str] = field(default_factory=list)
    late: list[Callable[[], None]] = field(default_factory=list)
    limits: list[SetLimit] = field(default_factory=list)

    def limit_da(self, now: datetime) -> int | None:
        """What it obeys now; ``None``: no limit."""
        if self.ignores:
            return None
        chosen = self.session or self.own or self.default
        held = [one.at(now) for one in (chosen, self.maximum) if one is not None]
        return min(held, default=None)


class FakeAdapter:
    """Carries the neutral command in the payload itself."""

    version = "1.6"

    def encode_limit(self, command: SetLimit) -> Command:
        return Command(action="SetChargingProfile", payload={"limit": command})

    def encode_clear_limits(self) -> tuple[Command, ...]:
        return (
            Command(action="ClearChargingProfile", payload={"purpose": "session"}),
            Command(action="ClearChargingProfile", payload={"purpose": "default"}),
        )

    def encode_reset(self) -> Command:
        return Command(action="Reset", payload={})

    def encode_composite(self, evse_id: int, duration_s: int) -> Command:
        return Command(
            action="GetCompositeSchedule",
            payload={"connectorId": evse_id, "duration": duration_s},
        )

    def encode_sample_trigger(self, evse_id: int) -> Command:
        return Command(action="TriggerMessage", payload={"evse": evse_id})

    def error_code(self, kind: ErrorKind) -> str:
        return kind.value

    def outcome(self, _action: str, payload: Mapping[str, object]) -> CallOutcome:
        return CallOutcome(str(payload["status"]).casefold())


class JumpyClock:
    """A scaled clock that somebody may set to another time."""

    def __init__(self, clock: ScaledClock) -> None:
        self._clock = clock
        self.speed = clock.speed
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.ahead

    def real_s(self, site_s: float) -> float:
        return self._clock.real_s(site_s)


class FakeStations:
    """The links of the yard."""

    def __init__(self, bus: Bus, clock: JumpyClock) -> None:
        self.stations: dict[StationId, FakeStation] = {}
        self._bus = bus
        self._clock = clock

    def adapter(self, station_id: StationId) -> Adapter | None:
        return cast("Adapter", FakeAdapter()) if self.is_online(station_id) else None

    def is_online(self, station_id: StationId) -> bool:
        return self.stations[station_id].online

    def epoch_of(self, station_id: StationId) -> int | None:
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
        assert timeout_s > 0
        assert epoch is None, "limits go out on whichever connection there is"
        station = self.stations[station_id]
        other = self._asked(station, command)
        if other is not None:
            return other
        assert priority is CallPriority.LIMIT
        await asyncio.sleep(0)
        station.log.append(command.action)
        if station.mood == "slow_clear" and command.payload.get("purpose") == "default":
            assert on_late is not None
            self._clear_later(station, command, on_late)
            raise CallTimedOut(station_id)
        if station.mood.startswith("late") and on_late and "limit" in command.payload:
            self._answer_later(station, command, on_late)
            raise CallTimedOut(station_id)
        failure = _failure_of(station)
        if failure is not None:
            raise failure
        if _is_refused(station, command):
            return {"status": "rejected"}
        self._act(station, command)
        if station.mood == "timeout":
            raise CallTimedOut(station_id)
        return {"status": "accepted"}

    def _asked(
        self, station: FakeStation, command: Command
    ) -> Mapping[str, object] | None:
        """What it answers to calls that set no limit."""
        match command.action:
            case "GetCompositeSchedule":
                return self._composite(station)
            case "TriggerMessage":
                station.log.append(command.action)
                return {"status": "rejected" if station.mood == "dumb" else "accepted"}
            case "Reset":
                return self._restart(station)
            case _:
                return None

    def _answer_later(
        self, station: FakeStation, command: Command, on_late: OnLate
    ) -> None:
        is_yes = station.mood == "late"
        if is_yes:
            self._act(station, command)
        answer = {"status": "accepted" if is_yes else "rejected"}
        station.late.append(lambda: on_late(answer))

    def _clear_later(
        self, station: FakeStation, command: Command, on_late: OnLate
    ) -> None:
        def clear() -> None:
            self._act(station, command)
            on_late({"status": "accepted"})

        station.late.append(clear)

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        assert reason
        self._set_online(station_id, online=False)
        loop = asyncio.get_running_loop()
        loop.call_later(0.4, lambda: self._set_online(station_id, online=True))
        return True

    def keep_out(self, station_id: StationId, seconds: float) -> None:
        self._set_online(station_id, online=False)
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, lambda: self._set_online(station_id, online=True))

    def _restart(self, station: FakeStation) -> Mapping[str, object]:
        def back() -> None:
            if station.forgets:
                station.default = station.own = station.maximum = None
            self.boot(station.station_id, "1.2")

        self._set_online(station.station_id, online=False)
        asyncio.get_running_loop().call_later(0.4, back)
        return {"status": "accepted"}

    def boot(self, station_id: StationId, firmware: str) -> None:
        now = self._clock.now()
        self._set_online(station_id, online=True)
        event = StationBooted(
            station_id=station_id,
            occurred_at=now,
            received_at=now,
            vendor="V",
            model="M",
            firmware=firmware,
        )
        self._bus.publish(FactCommitted(offset=1, event=event))

    def _set_online(self, station_id: StationId, *, online: bool) -> None:
        self.stations[station_id].online = online
        self._bus.publish(
            LinkChanged(
                station_id=station_id,
                is_online=online,
                ocpp_version="1.6",
                at=self._clock.now(),
            )
        )

    def _composite(self, station: FakeStation) -> Mapping[str, object]:
        station.asked += 1
        limit_da = station.limit_da(self._clock.now())
        if limit_da is None or station.ignores:
            limit_da = 320
        if station.reports_da is not None:
            limit_da = station.reports_da
        period = {"startPeriod": 0, "limit": limit_da / 10}
        return {
            "status": "Accepted",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [period],
            },
        }

    def _act(self, station: FakeStation, command: Command) -> None:
        if command.action == "ClearChargingProfile":
            if command.payload["purpose"] == "session":
                station.session = None
            else:
                station.leftovers, station.default = False, None
                station.own = station.maximum = None
            return
        limit = command.payload["limit"]
        assert isinstance(limit, SetLimit)
        station.limits.append(limit)
        match limit.purpose:
            case Purpose.DEFAULT if limit.evse_id:
                station.own = limit.schedule
            case Purpose.DEFAULT:
                station.default = limit.schedule
            case Purpose.STATION_MAX:
                station.maximum = limit.schedule
            case Purpose.SESSION:
                station.session = limit.schedule


def _is_refused(station: FakeStation, command: Command) -> bool:
    limit = command.payload.get("limit")
    is_kept = station.keeps and command.payload.get("purpose") == station.keeps
    is_picky = isinstance(limit, SetLimit) and station.refuses(limit)
    return station.mood == "reject" or bool(is_kept) or is_picky


def _failure_of(station: FakeStation) -> CallFailed | None:
    """How a call to a station in this mood fails."""
    match station.mood:
        case "gone":
            return NotConnected(station.station_id)
        case "deaf":
            return CallTimedOut(station.station_id)
        case "garbled":
            return CallRefused(ErrorKind.FORMAT.value, "no", {})
        case "incapable":
            return CallRefused(ErrorKind.NOT_SUPPORTED.value, "no", {})
        case "internal":
            return CallRefused(ErrorKind.INTERNAL.value, "no", {})
        case _:
            return None


class FakeSessions:
    """Open sessions and what their drivers asked for."""

    def __init__(self) -> None:
        self.open: dict[SessionId, Session] = {}
        self.requests: dict[str, SessionRequest] = {}

    async def open_sessions(self, station_id: str | None = None) -> list[Session]:
        return [s for s in self.open.values() if station_id in {None, s.station_id}]

    async def session_request(self, session_id: str) -> SessionRequest | None:
        return self.requests.get(session_id)


class RuleSolver:
    """Plans at once, by rule, or really with the engine ``auto``."""

    def __init__(self) -> None:
        self.problems: list[CabinetProblem] = []
        self.engine: Engine = "edf"
        self.urgent: list[bool] = []

    async def solve(
        self, problem: CabinetProblem, *, is_urgent: bool = True
    ) -> Outcome:
        self.problems.append(problem)
        self.urgent.append(is_urgent)
        if self.engine == "edf":
            return by_rule(problem, "test")
        return solve(problem, deadline_s=5.0, engine=self.engine)


@dataclass(slots=True)
class Yard:
    """Everything a test touches."""

    wired: list[Site]
    clock: JumpyClock
    bus: Bus
    writer: Writer
    links: FakeStations
    sessions: FakeSessions
    solver: RuleSolver
    dispatch: Dispatch
    leaves: list[tuple[str, str, Mapping[str, object]]]

    def station(self, number: int) -> FakeStation:
        return self.links.stations[StationId(f"CP{number}")]

    def boot(self, number: int, firmware: str = "1") -> None:
        """A station starts and says so."""
        self.links.boot(StationId(f"CP{number}"), firmware)

    def drop(self, number: int) -> None:
        """A station loses its connection."""
        self.links._set_online(StationId(f"CP{number}"), online=False)

    def report(
        self,
        number: int,
        *,
        current_a: float | None = None,
        phase: SessionPhase = SessionPhase.RUNNING,
        delivered_wh: int = 0,
    ) -> Session:
        """A session starts, is sampled, or ends."""
        now = self.clock.now()
        station_id = StationId(f"CP{number}")
        session_id = SessionId(f"s{number}")
        session = Session(
            session_id=session_id,
            station_id=station_id,
            evse_id=1,
            connector_id=1,
            phase=phase,
            transaction_id=str(number),
            started_at=EPOCH,
            received_at=now,
            register_start_milliwh=0,
            register_last_milliwh=delivered_wh * 1000,
            current_a=None if current_a is None else (current_a,) * 3,
            current_at=None if current_a is None else now,
            sampled_at=None if current_a is None else now,
        )
        if phase is SessionPhase.RUNNING:
            self.sessions.open[session_id] = session
        else:
            self.sessions.open.pop(session_id, None)
            self.station(number).session = None
        event = SessionStarted(
            evse=EvseRef(station_id=station_id, evse_id=1),
            occurred_at=now,
            received_at=now,
            transaction_id=str(number),
            id_token=None,
            register_milliwh=0,
        )
        self.bus.publish(FactCommitted(offset=2, event=event, session=session))
        return session

    def limit_da(self, number: int) -> int | None:
        """What a station obeys now, 0.1 A."""
        return self.station(number).limit_da(self.clock.now())

    def total_da(self) -> int:
        """What all stations together may draw by what they hold, 0.1 A per phase."""
        ids = range(1, len(self.links.stations) + 1)
        held = [self.limit_da(number) for number in ids]
        return sum(320 if da is None else da for da in held)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Read the database directly."""
        conn = sqlite3.connect(self.writer.path)
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()


def site_of(n_station: int, *, limit_a: int = 63, floor_da: int = 0) -> Site:
    """One cabinet with three-phase stations of 32 A and a pump."""
    cabinet = CabinetId("A")
    return Site(
        cabinets=(Cabinet(id=cabinet, limit_da=(limit_a * 10,) * 3, margin_da=10),),
        stations=tuple(
            Station(
                id=StationId(f"CP{number}"),
                cabinet_id=cabinet,
                clock_skew_s=5,
                evses=(
                    Evse(
                        ref=EvseRef(station_id=StationId(f"CP{number}"), evse_id=1),
                        cabinet_id=cabinet,
                        max_da=320,
                        floor_da=floor_da,
                    ),
                ),
            )
            for number in range(1, n_station + 1)
        ),
        loads=(
            Load(id="pump", cabinet_id=cabinet, worst_case_da=100, stale_after_s=3600),
        ),
    )


@asynccontextmanager
async def yard(
    path: Path,
    site: Site,
    *,
    proven: bool = True,
    speed: float = 30.0,
    sessions: FakeSessions | None = None,
    stations: dict[StationId, FakeStation] | None = None,
    epoch: datetime = EPOCH,
    mode: str = "finish",
    arrivals: Arrivals | None = None,
    prices: Prices | None = None,
    batteries: BatteryPlans | None = None,
) -> AsyncIterator[Yard]:
    """A running yard; stations are online, but have not booted."""
    clock = JumpyClock(ScaledClock.starting_at(epoch, speed))
    wired = [site]
    bus = Bus()
    writer = Writer(place_database(path / "store.db"))
    writer.start(asyncio.get_running_loop())
    links = FakeStations(bus, clock)
    for station in site.stations:
        links.stations[station.id] = FakeStation(station_id=station.id)
    links.stations.update(stations or {})
    leaves: list[tuple[str, str, Mapping[str, object]]] = []
    solver = RuleSolver()
    sessions = sessions or FakeSessions()
    dispatch = Dispatch(
        Ports(
            site=lambda: wired[0],
            stations=links,
            sessions=sessions,
            writer=writer,
            bus=bus,
            clock=clock,
            solver=solver,
            seal=lambda kind, subject, body, _: leaves.append((kind, subject, body)),
            mode=mode,
            arrivals=arrivals,
            prices=prices,
            batteries=batteries,
            call_timeout_s=1.0,
            debounce_s=0.01,
        )
    )
    if proven:
        await dispatch.ship_proven([station.id for station in site.stations])
    task = asyncio.get_running_loop().create_task(dispatch.run())
    try:
        await dispatch.ready()
        yield Yard(
            wired=wired,
            clock=clock,
            bus=bus,
            writer=writer,
            links=links,
            sessions=sessions,
            solver=solver,
            dispatch=dispatch,
            leaves=leaves,
        )
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
        writer.close()


async def until(condition: object, *, within_s: float = 30.0) -> None:
    """Wait until a function says true."""
    assert callable(condition)
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - many different conditions
            await asyncio.sleep(0.01)


async def sampled_until(
    place: "Yard", number: int, current_a: float, condition: Callable[[], object]
) -> None:
    """A car is sampled all the time until a function says true; 30 s at most.

    A single sample may be of just before the answer that it shall confirm.
    """
    delivered_wh = 0
    async with asyncio.timeout(30):
        while not condition():
            delivered_wh += 1
            place.report(number, current_a=current_a, delivered_wh=delivered_wh)
            await asyncio.sleep(0.1)


def later(moment: datetime, **units: float) -> datetime:
    """``moment`` plus a duration."""
    return moment + timedelta(**units)
