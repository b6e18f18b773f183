"""The fleet: stations, site, drivers and meters of one scenario, run together."""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx

from sim_chargers.api import REQUEST_TIMEOUT_S, Api, Meters
from sim_chargers.charger import Charger
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.clock import Clock, to_wire
from sim_chargers.connector import Reason
from sim_chargers.drivers import make_bays
from sim_chargers.events import Events
from sim_chargers.evse import Evse
from sim_chargers.faults import OFFLINE_EVERY_S, OFFLINE_FOR_S, REBOOT_EVERY_S
from sim_chargers.flows import catalogue
from sim_chargers.flows.stage import Verdict
from sim_chargers.life import Surroundings
from sim_chargers.memory import Memory, lose_power
from sim_chargers.scenario import Scenario, StationSpec
from sim_chargers.site import Site, Violation
from sim_chargers.tls import TlsFiles

MAX_STEP_S: Final = 1.0  # site seconds of one physical step
MAX_STEPS: Final = 200  # per turn; beyond that the steps get longer
TURN_MIN_S: Final = 0.05  # real seconds between two turns of the physics
TURN_MAX_S: Final = 0.5
BOOT_SPREAD_S: Final = 0.02  # real seconds between the first boots of two stations

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run a scenario; durations are real seconds unless named otherwise.

    Attributes:
        memory: What stations kept from an earlier run, and keep for a later one.
        drivers_wait: Drivers come once :attr:`Fleet.opened` is set.
    """

    url: str
    seed: int = 0
    duration_s: float | None = None
    api_url: str | None = None
    api_token: str | None = None
    reading_interval_s: float = 10.0
    call_timeout_s: float = 30.0
    boot_on_reconnect: bool = False
    faults: dict[str, frozenset[str]] | None = None
    exits_with_parent: bool = False
    tls: TlsFiles = field(default_factory=TlsFiles)
    flows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flow_timeout_s: float = catalogue.TIMEOUT_S
    memory: Memory | None = None
    drivers_wait: bool = False


class Fleet:
    """Everything that is simulated, in one event loop."""

    def __init__(
        self, scenario: Scenario, options: Options, *, clock: Clock, events: Events
    ) -> None:
        """Build the stations and the site; nothing runs yet."""
        self.scenario = scenario
        self.options = options
        self.clock = clock
        self.events = events
        self.stopped = asyncio.Event()
        self.opened = asyncio.Event()
        if not options.drivers_wait:
            self.opened.set()
        self.verdicts: list[Verdict] = []
        memory = options.memory
        self.seed = options.seed if memory is None else memory.seed(options.seed)
        around = Surroundings(
            url=options.url,
            clock=clock,
            events=events,
            seed=self.seed,
            nominal_v=scenario.nominal_v,
            call_timeout_s=options.call_timeout_s,
            boot_on_reconnect=options.boot_on_reconnect,
            tls=options.tls,
        )
        self.chargers = [
            make_charger(spec, around, (options.faults or {}).get(spec.id, frozenset()))
            for spec in scenario.stations
        ]
        if memory is not None:
            memory.recall(self.chargers)
        by_cabinet: dict[str, list[Evse]] = {}
        for charger in self.chargers:
            if charger.spec.cabinet is not None and scenario.cabinets:
                evses = by_cabinet.setdefault(charger.spec.cabinet, [])
                evses.extend(c.evse for c in charger.connectors.values())
        self.site = Site(scenario, by_cabinet, options.seed)

    async def run(self) -> None:
        """Run until :attr:`stopped` is set or the duration is over.

        Sessions that are running then are left open; where stations have a memory, it
        is a power cut to them, and they end with the next start.
        """
        headers = {}
        if self.options.api_token is not None:
            headers["Authorization"] = f"Bearer {self.options.api_token}"
        async with httpx.AsyncClient(
            base_url=self.options.api_url or "",
            headers=headers,
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,
        ) as client:
            api = None if self.options.api_url is None else Api(client)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._live(charger, index))
                    for index, charger in enumerate(self.chargers)
                ]
                tasks.append(group.create_task(self._physics(), name="physics"))
                if self.scenario.drivers.enabled:
                    playing = self.options.flows
                    bays = make_bays(
                        [c for c in self.chargers if c.spec.id not in playing],
                        spec=self.scenario.drivers,
                        tokens=self.scenario.tokens,
                        clock=self.clock,
                        api=api,
                        seed=self.seed,
                        opened=self.opened,
                    )
                    tasks.extend(group.create_task(bay.run()) for bay in bays)
                if self.options.flows:
                    tasks.append(group.create_task(self._play(), name="flows"))
                if api is not None:
                    meters = Meters(
                        api=api,
                        site=self.site,
                        clock=self.clock,
                        interval_s=self.options.reading_interval_s,
                    )
                    tasks.append(group.create_task(meters.run(), name="meters"))
                await self._wait()
                if self.options.memory is not None:
                    for charger in self.chargers:
                        lose_power(charger)
                for task in tasks:
                    task.cancel()
        for violation in self.site.flush(self.clock.now()):
            self._report(violation)
        if self.options.memory is not None:
            await asyncio.to_thread(self.options.memory.save, self.chargers)

    async def _play(self) -> None:
        """Play the flows, those of different stations at once; then it is over."""
        options = self.options
        async with asyncio.TaskGroup() as group:
            for charger in self.chargers:
                if charger.spec.id not in options.flows:
                    continue
                group.create_task(
                    catalogue.play_all(
                        charger,
                        options.flows[charger.spec.id],
                        verdicts=self.verdicts,
                        tokens=self.scenario.tokens,
                        timeout_s=options.flow_timeout_s,
                    )
                )
        self.stopped.set()

    @property
    def n_asked(self) -> int:
        """Flows that were to be played."""
        return sum(len(names) for names in self.options.flows.values())

    @property
    def n_accepted(self) -> int:
        """Stations that were accepted at least once."""
        return sum(charger.has_booted.is_set() for charger in self.chargers)

    def summarise(self) -> None:
        """Write the final line."""
        events = self.events
        traffic = [charger.link.traffic for charger in self.chargers]
        events.emit(
            "summary",
            sessions=events.counts["session_ended"],
            sessions_started=events.counts["session_started"],
            sessions_open=sum(
                connector.transaction is not None
                for charger in self.chargers
                for connector in charger.connectors.values()
            ),
            energy_milliwh=events.energy_milliwh,
            limit_violation_s={
                cabinet: round(seconds, 3)
                for cabinet, seconds in self.site.violation_s.items()
            },
            stations=len(self.chargers),
            stations_accepted=self.n_accepted,
            messages_waiting=sum(len(charger.outbox) for charger in self.chargers),
            frames_in=sum(t.frames_in for t in traffic),
            frames_out=sum(t.frames_out for t in traffic),
            calls_refused=sum(t.refused for t in traffic),
            calls_timed_out=sum(t.timeouts for t in traffic),
            flows_passed=self.verdicts.count(Verdict.PASSED),
            flows=self.n_asked,
            site_time=to_wire(self.clock.now()),
        )

    async def _wait(self) -> None:
        parent = os.getppid()
        loop = asyncio.get_running_loop()
        duration_s = self.options.duration_s
        until_s = None if duration_s is None else loop.time() + duration_s
        while not self.stopped.is_set():
            left_s = 1.0 if until_s is None else min(1.0, until_s - loop.time())
            if left_s <= 0:
                return
            if self.options.exits_with_parent and os.getppid() != parent:
                _log.warning("the parent process is gone")
                return
            try:
                async with asyncio.timeout(left_s):
                    await self.stopped.wait()
            except TimeoutError:
                continue

    async def _live(self, charger: Charger, index: int) -> None:
        await asyncio.sleep(index * BOOT_SPREAD_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(charger.run())
            if "offline" in charger.faults:
                group.create_task(_lose_network(charger))
            if "reboot" in charger.faults:
                group.create_task(_lose_power(charger))

    async def _physics(self) -> None:
        """Advance cars and site in steps of a site second."""
        turn_s = min(TURN_MAX_S, max(TURN_MIN_S, 0.5 / self.clock.speed))
        last = self.clock.now()
        self.events.emit(
            "ready",
            stations=[charger.spec.id for charger in self.chargers],
            site_time=to_wire(last),
            speed=self.clock.speed,
        )
        self._show_labels()
        while True:
            await asyncio.sleep(turn_s)
            now = self.clock.now()
            elapsed_s = (now - last).total_seconds()
            n_step = max(1, min(MAX_STEPS, round(elapsed_s / MAX_STEP_S)))
            step = (now - last) / n_step
            dt_s = step.total_seconds()
            for number in range(n_step):
                at = last + step * (number + 1)
                for charger in self.chargers:
                    charger.step(at, dt_s)
                for violation in self.site.step(at, dt_s):
                    self._report(violation)
            last = now
            for charger in self.chargers:
                charger.observe()

    def _show_labels(self) -> None:
        """Tell what is printed on the meters that sign."""
        for charger in self.chargers:
            for number, connector in charger.connectors.items():
                if connector.meter is not None:
                    self.events.emit(
                        "meter_label",
                        station=charger.spec.id,
                        evse=number,
                        serial=connector.meter.serial,
                        curve=connector.meter.spec.curve,
                        public_key=connector.meter.label,
                    )

    def _report(self, violation: Violation) -> None:
        self.events.emit(
            "violation",
            cabinet=violation.cabinet,
            phase=violation.phase,
            amps=violation.amps,
            limit=violation.limit,
            seconds=violation.seconds,
            ended_at=to_wire(violation.ended_at),
        )


def make_charger(
    spec: StationSpec, around: Surroundings, faults: frozenset[str]
) -> Charger:
    """Make a station of the version its specification names."""
    kind = ChargerV16 if spec.ocpp == "1.6" else ChargerV201
    return kind(spec, around, faults)


async def _lose_network(charger: Charger) -> None:
    rng = Random(charger.rng.random())  # noqa: S311 - not a secret
    while True:
        await charger.clock.sleep(rng.uniform(0.5, 1.5) * OFFLINE_EVERY_S)
        charger.link.unplug_cable()
        await charger.clock.sleep(rng.uniform(0.5, 1.5) * OFFLINE_FOR_S)
        charger.link.plug_cable()


async def _lose_power(charger: Charger) -> None:
    rng = Random(charger.rng.random())  # noqa: S311 - not a secret
    while True:
        await charger.clock.sleep(rng.uniform(0.5, 1.5) * REBOOT_EVERY_S)
        await charger.restart(Reason.POWER_LOSS, "PowerUp")
