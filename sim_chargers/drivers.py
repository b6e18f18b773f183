"""Drivers: they arrive, plug in, show a card, say what they need, and leave."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from sim_chargers.api import Api, tell_need
from sim_chargers.charger import Charger
from sim_chargers.clock import Clock
from sim_chargers.connector import Connector, Transaction
from sim_chargers.evse import Charging
from sim_chargers.scenario import DriversSpec
from sim_chargers.vehicle import Vehicle

MINUTE_S: Final = 60.0
LOOK_S: Final = 15.0  # site seconds between a driver's looks at the display
FIRST_ARRIVALS_REAL_S: Final = (0.8, 4.0)  # the safe profile comes first
RETRY_TOKEN_S: Final = 45.0
TOKEN_TRIES: Final = 5
CAPACITIES_WH: Final = (42_000, 52_000, 58_000, 77_000, 82_000)
DEFAULT_TOKENS: Final = tuple(f"SIMTOKEN{number:02d}" for number in range(1, 21))

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Crowd:
    """Who is at the site: somebody always is, where there is more than one bay."""

    present: int = 0
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: list[str] = field(default_factory=list)
    all_tokens: tuple[str, ...] = DEFAULT_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one driver has in mind; durations in site seconds."""

    token: str
    vehicle: Vehicle
    energy_wh: int
    stay_s: float
    actual_stay_s: float
    states_need: bool
    just_unplugs: bool


@dataclass(slots=True, kw_only=True)
class Bay:
    """One parking bay with its EVSE and the drivers who come to it."""

    charger: Charger
    evse_id: int
    spec: DriversSpec
    crowd: Crowd
    clock: Clock
    api: Api | None
    rng: Random
    is_occupied_at_start: bool
    opened: asyncio.Event
    called: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def connector(self) -> Connector:
        """The connector of this bay."""
        return self.charger.connectors[self.evse_id]

    async def run(self) -> None:
        """Bring one driver after the other, until cancelled."""
        self.charger.on_remote_start.append(self._call)
        await self.charger.has_booted.wait()
        if self.is_occupied_at_start:
            first_s = self.rng.uniform(*FIRST_ARRIVALS_REAL_S)
            await asyncio.sleep(first_s)
            if not self.opened.is_set():
                await self.opened.wait()
                await asyncio.sleep(first_s - FIRST_ARRIVALS_REAL_S[0])  # one by one
        else:
            await self._gap(self.spec.gap_min * MINUTE_S)
            await self.opened.wait()
        while True:
            await self._visit(self._plan())
            await self._gap(self.spec.gap_min * MINUTE_S)

    def _call(self, evse_id: int) -> None:
        """Bring a driver for a remote start."""
        if self.spec.plug_on_remote_start and evse_id == self.evse_id:
            self.called.set()

    async def _gap(self, mean_s: float) -> None:
        """Stay empty for a while, or until somebody is wanted."""
        self.called.clear()
        gap_s = min(self.rng.expovariate(1.0 / mean_s), 3.0 * mean_s)
        waits = [self.crowd.wanted.wait(), self.called.wait()]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(w) for w in waits]
            await asyncio.wait(
                tasks,
                timeout=gap_s / self.clock.speed,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in tasks:
                task.cancel()
        self.crowd.wanted.clear()

    def _plan(self) -> Visit:
        rng, spec = self.rng, self.spec
        capacity_wh = float(rng.choice(CAPACITIES_WH))
        stay_s = rng.uniform(*spec.stay_min) * MINUTE_S
        vehicle = Vehicle(
            capacity_wh=capacity_wh,
            stored_wh=capacity_wh * rng.uniform(0.15, 0.6),
            phases=rng.choices((1, 2, 3), weights=(3, 1, 6))[0],
            max_a=rng.choice((16.0, 16.0, 32.0)),
            max_dc_w=rng.choice((50_000.0, 120_000.0)),
            wake_s=rng.uniform(3.0, 20.0),
        )
        evse = self.connector.evse.spec
        fastest_w = (
            min(vehicle.max_dc_w, evse.native_max)
            if evse.is_dc
            else min(vehicle.max_a, evse.native_max)
            * evse.nominal_v
            * min(vehicle.phases, len(evse.phases))
        )
        room_wh = capacity_wh - vehicle.stored_wh
        reachable_wh = min(room_wh, 0.8 * fastest_w * stay_s / 3600.0)
        return Visit(
            token=self._token(),
            vehicle=vehicle,
            energy_wh=round(min(rng.uniform(*spec.need_wh), reachable_wh)),
            stay_s=stay_s,
            actual_stay_s=stay_s * self._punctuality(),
            states_need=rng.random() < spec.states_need_share,
            just_unplugs=rng.random() < spec.unplug_share,
        )

    def _token(self) -> str:
        remote = self.connector.remote_start
        if remote is not None:
            return remote.token
        return self.rng.choice(self.crowd.tokens or self.crowd.all_tokens)

    def _punctuality(self) -> float:
        draw = self.rng.random()
        if draw < self.spec.early_share:
            return self.rng.uniform(0.6, 0.9)
        if draw < self.spec.early_share + self.spec.late_share:
            return self.rng.uniform(1.1, 1.4)
        return 1.0

    async def _visit(self, visit: Visit) -> None:
        crowd = self.crowd
        is_borrowed = visit.token in crowd.tokens
        if is_borrowed:
            crowd.tokens.remove(visit.token)
        came_at = self.clock.now()
        plugged = self.connector.is_free and self.charger.plug_in(
            self.evse_id, visit.vehicle
        )
        if plugged:
            crowd.present += 1
            crowd.arrived.set()
        try:
            if plugged:
                await self._charge(visit, came_at + timedelta(seconds=visit.stay_s))
                await self._make_way()
                await self._leave(visit)
        finally:
            if plugged:
                crowd.present -= 1
            if is_borrowed:
                crowd.tokens.append(visit.token)

    async def _charge(self, visit: Visit, departure: datetime) -> None:
        """Show the card and stay; show it again if the session is gone."""
        leave_at = self.clock.now() + timedelta(seconds=visit.actual_stay_s)
        told: Transaction | None = None
        refused = 0
        await self.clock.sleep(self.rng.uniform(3.0, 10.0))
        while self.clock.now() < leave_at:
            transaction = self.connector.transaction
            if transaction is None:
                if not await self.charger.present_token(self.evse_id, visit.token):
                    refused += 1
                    if refused >= TOKEN_TRIES:
                        _log.info("%s: card refused", self.charger.spec.id)
                        return
                    await self.clock.sleep(RETRY_TOKEN_S)
                continue
            if visit.states_need and transaction is not told:
                told = transaction
                await self._tell(visit, transaction, departure)
            await self.clock.sleep(LOOK_S)

    async def _tell(
        self, visit: Visit, transaction: Transaction, departure: datetime
    ) -> None:
        if self.api is None:
            return
        while transaction.wire_id is None:
            if self.connector.transaction is not transaction:
                return
            await self.clock.sleep(LOOK_S)
        await tell_need(
            self.api,
            station_id=self.charger.spec.id,
            transaction_id=transaction.wire_id,
            energy_wh=visit.energy_wh,
            departure_at=departure,
        )

    async def _make_way(self) -> None:
        """As the last one at the site, wait until another has come."""
        if self.crowd.present > 1:
            return
        self.crowd.arrived.clear()
        self.crowd.wanted.set()
        try:
            async with asyncio.timeout(5 * MINUTE_S / self.clock.speed):
                await self.crowd.arrived.wait()
        except TimeoutError:
            _log.info("nobody else came to the site")

    async def _leave(self, visit: Visit) -> None:
        is_running = self.connector.transaction is not None
        if is_running and not visit.just_unplugs:
            await self.charger.present_token(self.evse_id, visit.token)
            await self.clock.sleep(self.rng.uniform(10.0, 30.0))
        if self.connector.evse.charging is not Charging.IDLE:
            self.charger.unplug(self.evse_id)


def make_bays(
    chargers: list[Charger],
    *,
    spec: DriversSpec,
    tokens: tuple[str, ...],
    clock: Clock,
    api: Api | None,
    seed: int,
    opened: asyncio.Event,
) -> Iterator[Bay]:
    """Make a bay per EVSE; the first ones always have a car at the start.

    Nobody comes before ``opened``.
    """
    known = tokens or DEFAULT_TOKENS
    crowd = Crowd(tokens=list(known), all_tokens=known)
    places = [(c, number) for c in chargers for number in c.connectors]
    shuffled = Random(f"{seed}/places")  # noqa: S311 - not a secret
    order = list(range(len(places)))
    shuffled.shuffle(order)
    first = set(order[: max(1, round(spec.at_start_share * len(places)))])
    for index, (charger, evse_id) in enumerate(places):
        yield Bay(
            charger=charger,
            evse_id=evse_id,
            spec=spec,
            crowd=crowd,
            clock=clock,
            api=api,
            rng=Random(f"{seed}/{charger.spec.id}/{evse_id}"),  # noqa: S311 - not a secret
            is_occupied_at_start=index in first,
            opened=opened,
        )
