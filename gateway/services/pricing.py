"""Tells drivers prices and costs at stations that can show them.

All of it is on top: nothing waits for it, what there is no time for is left out, and a
station that does not know such messages gets none any more until its firmware changes.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import structlog

from gateway.bus import Bus, FactCommitted, Notice
from gateway.clock import Clock
from gateway.domain.events import SessionEnded, SessionStarted, SessionUpdated
from gateway.domain.ids import IdToken, SessionId, StationId
from gateway.domain.rates import major_units, next_rates, rates_at
from gateway.domain.running_cost import RunningCost, only_price
from gateway.domain.session import Session, SessionPhase
from gateway.domain.tariff import Tariff, TariffError
from gateway.domain.tariff_text import knows_language, tariff_text
from gateway.domain.zone_offset import next_change, offset_text
from gateway.errors import CallFailed, CallRefused, StoreError
from gateway.ocpp.adapter import Adapter, CallOutcome, Command, TokenStatus
from gateway.ocpp.prices import CostSoFar, DefaultPrice
from gateway.services.features import Feature, Features
from gateway.services.line import Line
from gateway.services.running_costs import RunningCosts
from gateway.services.station_port import Stations
from gateway.store import group_tariffs, money
from gateway.store.device_model import KEY_ROWS, key_row
from gateway.store.queries import Queries

MAX_AT_ONCE: Final = 20
MAX_WAITING: Final = 1_000
"""Messages in line; more are left out."""
MIN_INTERVAL_S: Final = 30.0
"""Real seconds between two running costs of a session where nothing else is set."""
MAX_TOLD: Final = 20_000
UNSUPPORTED_CODES: Final = frozenset({"NotImplemented", "NotSupported"})
MILLIWH_PER_WH: Final = 1_000
MILLIWH_PER_KWH: Final = 1_000_000
TAKEN: Final = frozenset({"Accepted", "RebootRequired"})

Job: TypeAlias = Callable[[], Awaitable[None]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingPorts:
    """What telling prices needs from the rest of the system.

    Attributes:
        tariff_id_of: Which tariff a station charges by.
        final_cost: Of an ended session; run on a reading connection.
        timezone: Of the site.
        language: Of texts for everybody.
        cost_interval_s: Real seconds between two running costs; ``None`` as is.
    """

    stations: Stations
    features: Features
    queries: Queries
    bus: Bus
    clock: Clock
    costs: RunningCosts
    tariff_id_of: Callable[[StationId], str | None]
    final_cost: Callable[[sqlite3.Connection, Session], str | None]
    timezone: str
    language: str
    cost_interval_s: float | None
    call_timeout_s: float


class Pricing:
    """Run it as a task. Loop thread only."""

    def __init__(self, ports: PricingPorts) -> None:
        self._ports = ports
        self._line: asyncio.Queue[tuple[StationId, Job]] = asyncio.Queue(MAX_WAITING)
        self._defaults = Line(
            self._tell_default_patiently, name="price", at_once=MAX_AT_ONCE
        )
        self._told_at: dict[SessionId, float] = {}

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted: its default price may be an old one."""
        if self._is_wanted(station_id, Feature.DEFAULT_PRICE):
            self._defaults.put(station_id)

    def tariff_changed(self, tariff_id: str) -> None:
        """Tell the stations that charge by it; sessions keep their own terms."""
        for station_id in self._ports.features.stations():
            if self._ports.tariff_id_of(
                station_id
            ) == tariff_id and self._ports.stations.is_online(station_id):
                self.booted(station_id)

    def presented(self, station_id: StationId, token: IdToken, status: str) -> None:
        """A card was held to a reader, and this was answered."""
        if status == TokenStatus.ACCEPTED.value and self._is_wanted(
            station_id, Feature.COST_MESSAGES
        ):
            self._queue(station_id, partial(self._tell_user, station_id, token))

    async def text_of(
        self, station_id: StationId, token: IdToken | None = None
    ) -> str | None:
        """What drivers, or the one with a token, read of the price at a station now."""
        tariff = await self._tariff(station_id, token)
        if tariff is None:
            return None
        return tariff_text(tariff, self._ports.clock.now(), self._ports.language)

    async def run(self) -> None:
        """Tell prices and costs as they come up, for ever."""
        places = asyncio.Semaphore(MAX_AT_ONCE)
        await self._ports.features.until_in_use(Feature.PRICING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_sessions(), name="pricing.sessions")
            tasks.create_task(self._defaults.run(), name="pricing.defaults")
            while True:
                station_id, job = await self._line.get()
                await places.acquire()
                task = tasks.create_task(
                    self._patiently(station_id, job), name=f"pricing.{station_id}"
                )
                task.add_done_callback(lambda _task: places.release())

    async def _follow_sessions(self) -> None:
        with self._ports.bus.subscribe(
            "pricing", wants=_is_news, of=(FactCommitted,)
        ) as subscription:
            while True:
                for notice in await subscription.batch():
                    if isinstance(notice, FactCommitted):
                        self._take(notice)

    def _take(self, fact: FactCommitted) -> None:
        session = fact.session
        if session is None:
            return
        station_id = session.station_id
        if not self._is_wanted(station_id, Feature.COST_MESSAGES):
            return
        match fact.event:
            case SessionStarted() if session.phase is SessionPhase.RUNNING:
                self._tell_soon(session, is_due=True)
            case SessionUpdated() if session.phase is SessionPhase.RUNNING:
                self._tell_soon(session, is_due=False)
            case SessionEnded():
                self._told_at.pop(session.session_id, None)
                self._queue(station_id, partial(self._tell_final, session))
            case _:
                pass

    def _tell_soon(self, session: Session, *, is_due: bool) -> None:
        """Tell a running cost, unless one was told a moment ago."""
        if not session.has_terms:
            return  # there is no price yet; the first cost is told as soon as there is
        adapter = self._ports.stations.adapter(session.station_id)
        interval_s = self._ports.cost_interval_s
        if adapter is None or (adapter.prices.answers_tell_costs and not interval_s):
            return
        now_s = asyncio.get_running_loop().time()
        told_s = self._told_at.get(session.session_id)
        wait_s = interval_s or MIN_INTERVAL_S
        if not is_due and told_s is not None and now_s - told_s < wait_s:
            return
        while len(self._told_at) >= MAX_TOLD:
            self._told_at.pop(next(iter(self._told_at)))
        self._told_at[session.session_id] = now_s
        self._queue(session.station_id, partial(self._tell_running, session))

    async def _tell_default(self, station_id: StationId) -> None:
        adapter = self._ports.stations.adapter(station_id)
        tariff = await self._tariff(station_id)
        if adapter is None or tariff is None:
            return
        commands = adapter.prices.default_price(self._default(tariff))
        for index, command in enumerate(commands):
            try:
                answer = await self._call(station_id, command)
            except CallRefused as error:
                is_taken, why = False, f"{error.code}: {error.description}"
            else:
                is_taken = (
                    adapter.outcome(command.action, answer) is CallOutcome.ACCEPTED
                    or str(answer.get("status")) in TAKEN
                )
                why = "the station does not take a default price"
            if index == 0 and not is_taken:
                await self._ports.features.refused(
                    station_id, Feature.DEFAULT_PRICE, why
                )
                _log.info("price.refused", station_id=station_id, why=why)
                return

        await self._tell_texts(station_id, adapter, tariff)

    async def _tell_texts(
        self, station_id: StationId, adapter: Adapter, tariff: Tariff
    ) -> None:
        """Tell the default price in the languages that a station says it shows.

        Nothing is written that it did not name when its settings were last read.
        """
        rows = map(key_row, await self._ports.queries.rows(KEY_ROWS, (station_id,)))
        settings = {row.key: row.value or "" for row in rows}
        for language in adapter.prices.languages(settings):
            text = tariff_text(tariff, None, language)
            if text is None or not knows_language(language):
                continue
            command = adapter.prices.default_text(language, text)
            if command is None:
                return
            try:
                await self._call(station_id, command)
            except CallRefused as error:
                _log.info("price.refused", station_id=station_id, why=str(error))
                return

    async def _tell_user(self, station_id: StationId, token: IdToken) -> None:
        adapter = self._ports.stations.adapter(station_id)
        text = await self.text_of(station_id, token)
        if adapter is not None and text is not None:
            await self._tell(
                station_id, adapter, adapter.prices.user_price(token, text)
            )

    async def _tell_running(self, session: Session) -> None:
        adapter = self._ports.stations.adapter(session.station_id)
        cost = await self._ports.costs.load(session)
        if adapter is None or cost is None or session.transaction_id is None:
            return
        told = _so_far(session.transaction_id, cost, self._ports.clock.now())
        if told is not None:
            command = adapter.prices.running_cost(told)
            await self._tell(session.station_id, adapter, command)

    async def _tell_final(self, session: Session) -> None:
        adapter = self._ports.stations.adapter(session.station_id)
        wire_id = session.transaction_id
        if adapter is None or wire_id is None or adapter.prices.answers_tell_costs:
            return

        def work(conn: sqlite3.Connection) -> tuple[str | None, Tariff | None]:
            cost = self._ports.final_cost(conn, session)
            return cost, money.promised_tariff(conn, session.session_id)

        cost, tariff = await asyncio.to_thread(self._ports.queries.read_now, work)
        if cost is None or tariff is None:
            return
        energy_kwh = Decimal(session.energy_milliwh) / MILLIWH_PER_KWH
        text = f"{cost} {tariff.currency}, {energy_kwh:.3f} kWh"
        command = adapter.prices.final_cost(wire_id, Decimal(cost), text)
        await self._tell(session.station_id, adapter, command)

    async def _tell(
        self, station_id: StationId, adapter: Adapter, command: Command | None
    ) -> None:
        if command is None:
            return
        try:
            answer = await self._call(station_id, command)
        except CallRefused as error:
            is_known, why = error.code not in UNSUPPORTED_CODES, str(error)
        else:
            is_known = adapter.prices.is_understood(answer)
            why = f"the station answered {answer.get('status')}"
        if not is_known:
            await self._ports.features.refused(station_id, Feature.COST_MESSAGES, why)
            _log.info("cost.refused", station_id=station_id, why=why)

    async def _tell_default_patiently(self, station_id: StationId) -> None:
        await self._patiently(station_id, partial(self._tell_default, station_id))

    async def _patiently(self, station_id: StationId, job: Job) -> None:
        try:
            await job()
        except (CallFailed, StoreError) as error:
            _log.info("price.not_told", station_id=station_id, why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge of one message: told, and its alone
            _log.exception("price.failed", station_id=station_id)

    def _queue(self, station_id: StationId, job: Job) -> None:
        try:
            self._line.put_nowait((station_id, job))
        except asyncio.QueueFull:
            _log.warning("price.left_out", station_id=station_id)

    def _is_wanted(self, station_id: StationId, part: Feature) -> bool:
        features = self._ports.features
        return (
            features.is_wanted(station_id, Feature.PRICING)
            and features.refusal(station_id, part) is None
        )

    def _default(self, tariff: Tariff) -> DefaultPrice:
        zone, now = ZoneInfo(self._ports.timezone), self._ports.clock.now()
        only, changes_at = only_price(tariff), next_change(zone, now)
        return DefaultPrice(
            text=tariff_text(tariff, None, self._ports.language) or "",
            currency=tariff.currency,
            minor_digits=tariff.minor_digits,
            price_per_kwh=None if only is None else major_units(only),
            offset=offset_text(zone, now),
            offset_changes_at=changes_at,
            next_offset=None if changes_at is None else offset_text(zone, changes_at),
        )

    async def _tariff(
        self, station_id: StationId, token: IdToken | None = None
    ) -> Tariff | None:
        station_tariff = self._ports.tariff_id_of(station_id)

        def work(conn: sqlite3.Connection) -> Tariff | None:
            tariff_id = group_tariffs.of_token(conn, token) or station_tariff
            found = None if tariff_id is None else money.find_tariff(conn, tariff_id)
            return None if found is None else found.tariff

        return await asyncio.to_thread(self._ports.queries.read_now, work)

    async def _call(
        self, station_id: StationId, command: Command
    ) -> Mapping[str, object]:
        return await self._ports.stations.call(
            station_id, command, timeout_s=self._ports.call_timeout_s
        )


def _is_news(notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and notice.session is not None
        and notice.is_new
        and not notice.is_backlog
    )


def _so_far(transaction_id: str, cost: RunningCost, now: datetime) -> CostSoFar | None:
    try:
        rates = rates_at(cost.tariff, now, cost.use)
    except TariffError:
        return None
    return CostSoFar(
        transaction_id=transaction_id,
        at=cost.upto.at,
        register_wh=cost.upto.register_milliwh // MILLIWH_PER_WH,
        cost=Decimal(cost.text),
        rates=rates,
        later=next_rates(cost.tariff, now, cost.use),
        is_idle=cost.is_parked,
    )
