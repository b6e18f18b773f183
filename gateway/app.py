"""The composition root: the only file that knows every part.

Parts start in the order of their needs and stop in the reverse: the OCPP port closes
first, then plans and bills, then the evidence, and the store last of all.
"""

import asyncio
import os
import sqlite3
import sys
import time
import uuid
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Final

import structlog
from fastapi import FastAPI

from gateway.api.app import create_app
from gateway.api.context import ApiContext, Who
from gateway.api.serving import serving
from gateway.bus import Bus, FactCommitted, Lagged, Notice
from gateway.clock import Clock, SystemClock
from gateway.config import Config, passwords
from gateway.domain.events import StationBooted
from gateway.domain.ids import EvseRef, IdToken, StationId
from gateway.domain.topology import Site
from gateway.errors import StartupError, StoreError, WattproofError
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.inquiries import ChargingNeedsTold, EvScheduleTold
from gateway.ocpp.rpc import Endpoint
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.ports import API, OCPP, OCPP_LEGACY_TLS, OCPP_TLS, bind
from gateway.process import (
    Start,
    calm_collector,
    on_hangup,
    run_to_end,
    share_interpreter,
    stop_on_signals,
    tasks,
)
from gateway.server.link import FrameSink
from gateway.server.listener import Listener, ListenerOptions
from gateway.server.registry import Links
from gateway.server.tls import check as check_tls
from gateway.services.admission import Admission, AdmissionRules
from gateway.services.alarms import Alarms
from gateway.services.anchoring import Anchoring, AnchoringSettings
from gateway.services.authority_files import open_authority
from gateway.services.certificate_parts import CertificatePorts, Certificates
from gateway.services.charging_needs import ChargingNeeds
from gateway.services.command_effects import CommandEffects
from gateway.services.command_log import CommandLog
from gateway.services.command_queue import CommandQueue
from gateway.services.command_troubles import CommandTroubles
from gateway.services.commands import Commands
from gateway.services.commissioning import Commissioning
from gateway.services.credentials import Pepper
from gateway.services.device import make_device
from gateway.services.device_records import DeviceRecords
from gateway.services.dispatch import Dispatch
from gateway.services.dispatch_ports import Ports
from gateway.services.driver_parts import DriverParts, DriverPorts
from gateway.services.gap_watch import GapWatch
from gateway.services.group_problem import Prices
from gateway.services.ingest import Ingest, StationContext
from gateway.services.inquiries import Inquiries
from gateway.services.live import Live
from gateway.services.main_meters import MainMeters
from gateway.services.metrics import Metrics
from gateway.services.needs import Needs
from gateway.services.overview import Overview
from gateway.services.reach import Reach, likely_answer
from gateway.services.receipts import Receipts
from gateway.services.registration import Registration
from gateway.services.restarts import Restarts
from gateway.services.root_watch import RootWatch
from gateway.services.sealing import LogSealer, install_ledger, seal_record
from gateway.services.settlement import Settlement, Terms
from gateway.services.setup import SetupParts, StationSetup
from gateway.services.solver_pool import SolverPool
from gateway.services.station_calls import StationCalls, expire_reservations
from gateway.services.station_facts import StationFacts
from gateway.services.stations import StationDirectory
from gateway.services.system_calls import ObservedStations, SystemCalls
from gateway.services.transfers import Transfers
from gateway.services.uploads import Uploads
from gateway.store import api_tokens, money
from gateway.store import stations as station_rows
from gateway.store.api_tokens import ApiToken, Role
from gateway.store.entry import TokenDecision
from gateway.store.folder_lock import held, refuse_if_held
from gateway.store.queries import Queries
from gateway.store.sqlite import Hooks, Store
from gateway.store.writer import Writer
from gateway.web.pages import mount

HOUSEKEEPING_S: Final = 10.0
"""Real seconds between two rounds of housekeeping."""
FLUSH_S: Final = 20.0
MICRO: Final = 1_000_000

_log = structlog.get_logger()


class Parts:
    """Every part, built once and wired to the others."""

    def __init__(
        self, config: Config, clock: Clock, pepper: Pepper, writer: Writer
    ) -> None:
        self.config = config
        self.clock = clock
        self.wall_clock = SystemClock()
        self.pepper = pepper
        self.writer = writer
        self.bus = Bus()
        self.is_listening = False
        self.api_url = ""
        self.queries = Queries(config.store.database_path)
        self.directory = StationDirectory(
            site=config.site, writer=writer, pepper=pepper, bus=self.bus, clock=clock
        )
        self.links = Links(self.bus, clock)
        self.reach = Reach(
            wires=self.links, directory=self.directory, writer=writer, clock=clock
        )
        self.command_log = CommandLog(
            writer=writer,
            bus=self.bus,
            clock=clock,
            start_within=timedelta(seconds=config.ocpp.connection_timeout_s),
        )
        self.restarts = Restarts(self.directory)
        self.system = SystemCalls(
            self.reach,
            log=self.command_log,
            clock=clock,
            on_answer=self.restarts.answered,
        )
        self.device = make_device(
            reach=self.reach,
            writer=writer,
            queries=self.queries,
            directory=self.directory,
            bus=self.bus,
            clock=clock,
            wall_clock=self.wall_clock,
            ocpp=config.ocpp,
        )
        self.registration = Registration(
            reach=self.reach,
            directory=self.directory,
            bus=self.bus,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.anchoring = Anchoring(
            writer=writer,
            bus=self.bus,
            clock=clock,
            settings=AnchoringSettings(
                ledger=config.ledger,
                store=config.store,
                step_s=config.optimizer.step_s,
            ),
            site=self._site,
            limit_w=self._limit_w,
        )
        self.solver = SolverPool(
            workers=config.optimizer.workers,
            deadline_s=config.optimizer.deadline_s,
            engine=config.optimizer.engine.value,
        )
        self.dispatch = Dispatch(
            Ports(
                site=self._site,
                stations=self.reach,
                sessions=self.queries,
                writer=writer,
                bus=self.bus,
                clock=clock,
                solver=self.solver,
                seal=seal_record,
                prices=self._prices(),
                step_s=config.optimizer.step_s,
                horizon_s=config.optimizer.horizon_s,
                call_timeout_s=config.server.call_timeout_s,
            )
        )
        self.settlement = Settlement(
            writer=writer,
            bus=self.bus,
            clock=clock,
            terms=self._terms(),
        )
        self.setup = StationSetup(
            SetupParts(
                stations=self.system,
                directory=self.directory,
                queries=self.queries,
                writer=writer,
                clock=clock,
                configuration=self.device.configuration,
                reports=self.device.reports,
            ),
            sample_interval_s=config.ocpp.sample_interval_s,
            ping_interval_s=config.ocpp.ping_interval_s,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.inquiries = Inquiries()
        self.main_meters = MainMeters(
            bus=self.bus,
            clock=clock,
            site=lambda: self.directory.site,
            put=self.dispatch.put_reading,
        )
        self.gaps = GapWatch(
            stations=self.system,
            sessions=self.queries,
            bus=self.bus,
            is_managed=self._is_managed,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.drivers = DriverParts(
            config,
            DriverPorts(
                stations=self.reach,
                system=self.system,
                directory=self.directory,
                queries=self.queries,
                writer=writer,
                bus=self.bus,
                clock=clock,
                inquiries=self.inquiries,
                admission=self.dispatch.admission,
                terms=self._terms(),
            ),
        )
        self.ingest = Ingest(
            log=Store(
                writer,
                Hooks(
                    judge=self.drivers.authorizer,
                    sealer=LogSealer(tariff_id_of=self._tariff_id_of),
                    rating=self._rating,
                    final_cost=self.drivers.final_cost,
                ),
            ),
            jobs=writer,
            bus=self.bus,
            clock=clock,
            loop_time=asyncio.get_running_loop().time,
            heartbeat_interval_s=config.ocpp.heartbeat_interval_s,
            pending_retry_s=config.ocpp.pending_retry_s,
            on_gap=self.gaps.noticed,
            total_cost=self.drivers.costs.total_cost,
            inquire=self.inquiries.ask,
            on_boot=self._booted,
            on_presented=self._presented,
        )
        self.calls = StationCalls(
            links=self.reach,
            directory=self.directory,
            writer=writer,
            clock=clock,
            log=self.command_log,
        )
        self.calls.observe(DeviceRecords(writer).observe)
        self.calls.observe(self.restarts.observe)
        self.calls.observe(self.device.networks.observe)
        self.command_effects = CommandEffects(
            log=self.command_log,
            queries=self.queries,
            bus=self.bus,
            evse_ids=self._evse_ids,
            clock=clock,
        )
        self.command_queue = CommandQueue(
            log=self.command_log,
            calls=self.calls,
            links=self.links,
            directory=self.directory,
            guard=self.dispatch.operator_guard,
            writer=writer,
            bus=self.bus,
            clock=clock,
        )
        self.certificates = Certificates(
            config,
            CertificatePorts(
                directory=self.directory,
                queries=self.queries,
                writer=writer,
                bus=self.bus,
                calls=self.calls,
                inquiries=self.inquiries,
                adapter_of=self.links.adapter,
                clock=clock,
                wall_clock=self.wall_clock,
            ),
        )
        self.calls.observe(self.drivers.local_lists.observe)
        self.transfers = Transfers(
            writer=writer,
            queries=self.queries,
            bus=self.bus,
            clock=clock,
            wall_clock=self.wall_clock,
            call=self.calls.call,
            adapter_of=self.links.adapter,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.calls.observe(self.transfers.exchanged)
        self.uploads = Uploads(
            folder=config.store.uploads_path,
            writer=writer,
            queries=self.queries,
            clock=self.wall_clock,
        )
        self.receipts = Receipts(
            database=config.store.database_path, anchoring=self.anchoring
        )
        self.needs = Needs(
            writer=writer,
            queries=self.queries,
            bus=self.bus,
            clock=clock,
            pepper=pepper,
        )
        self.charging_needs = ChargingNeeds(
            site=self._site,
            sessions=self.queries,
            needs=self.needs,
            offers=self.dispatch,
            stations=self.reach,
            clock=clock,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.inquiries.answer_with(ChargingNeedsTold, self.charging_needs.told)
        self.inquiries.answer_with(EvScheduleTold, self.charging_needs.scheduled)
        self.overview = Overview(
            directory=self.directory,
            queries=self.queries,
            links=self.links,
            dispatch=self.dispatch,
            clock=clock,
            ledger=lambda: asdict(self.anchoring.state),
        )
        self.metrics = Metrics(
            ingest=self.ingest,
            writer=writer,
            anchoring=self.anchoring,
            n_online=lambda: len(self.links.all()),
            n_legacy_tls=lambda: len(self.links.legacy_use()),
            more=self.certificates.watch.gauges,
        )
        self.commissioning = Commissioning(
            dispatch=self.dispatch,
            stations=ObservedStations(self.links, log=self.command_log, clock=clock),
            clock=clock,
            firmware_of=self._firmware_of,
            call_timeout_s=config.server.call_timeout_s,
        )
        self.live = Live(
            overview=self.overview,
            queries=self.queries,
            needs=self.needs,
            receipts=self.receipts,
            clock=clock,
            prices=self._price_text,
            backend=config.ledger.backend.value,
            alarms=self.certificates.security.alarms,
            commands=CommandTroubles(self.command_log, clock).recent,
            plan_price_unit=self._plan_price_unit(),
            facts=StationFacts(
                overview=self.overview,
                queries=self.queries,
                certificates=self.certificates.records,
                clock=clock,
            ),
        )

    def start(self, start: Start) -> None:
        """Start everything that runs for ever."""
        start(self.settlement.run, "part.settlement")
        start(self.anchoring.run, "part.anchoring")
        start(self.dispatch.run, "part.dispatch")
        start(self.setup.run, "part.setup")
        start(self.registration.run, "part.registration")
        start(self.device.networks.run, "part.networks")
        start(Alarms(queries=self.queries, bus=self.bus).run, "part.alarms")
        start(self.inquiries.run, "part.inquiries")
        self.drivers.start(start)
        start(self.gaps.run, "part.gaps")
        if self.config.ocpp.tls is not None:
            watch = RootWatch(
                tls=self.config.ocpp.tls,
                bus=self.bus,
                connection=self.links.connection,
                writer=self.writer,
                clock=self.clock,
            )
            start(watch.run, "part.roots")
        start(self.main_meters.run, "part.main_meters")
        start(self.transfers.run, "part.transfers")
        start(self.calls.run, "part.calls")
        start(self.command_effects.run, "part.command_effects")
        start(self.command_queue.run, "part.command_queue")
        start(self._keep_house, "part.house")
        start(self._mirror_boots, "part.boots")
        start(self.live.run, "part.live")
        start(self.certificates.run, "part.certificates")

    async def finish(self) -> None:
        """Settle and anchor what is left; bounded, since it is all found again."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.settlement.catch_up()
                await self.anchoring.flush()
        except (TimeoutError, WattproofError) as error:
            _log.warning("finish.incomplete", why=str(error) or "took too long")
        await self._note_seen()

    def listener(self) -> Listener:
        """The OCPP port, not opened yet."""
        server, tls = self.config.server, self.config.ocpp.tls
        adapters: dict[str, Adapter] = {a.subprotocol: a for a in (V16(), V201())}
        strict: dict[str, Adapter] = {
            a.subprotocol: a for a in (V16(is_strict=True), V201(is_strict=True))
        }
        return Listener(
            options=ListenerOptions(
                host=server.ocpp_host,
                port=server.ocpp_port,
                max_frame_bytes=server.max_frame_bytes,
                compression=server.compression,
                tls=tls,
            ),
            adapters=adapters,
            strict_adapters=strict,
            gate=Admission(
                rules=AdmissionRules(
                    allow_unauthenticated=self.config.security.allow_unauthenticated,
                    auto_accept_stations=self.config.security.auto_accept_stations,
                    heartbeat_interval_s=self.config.ocpp.heartbeat_interval_s,
                    strict=self.config.ocpp.strict,
                    organization=None if tls is None else tls.organization,
                ),
                directory=self.directory,
                pepper=self.pepper,
                clock=self.clock,
                monotonic=time.monotonic,
                vet=self.certificates.clients.problem,
            ),
            links=self.links,
            clock=self.clock,
            make_endpoint=lambda: Endpoint(lambda: uuid.uuid4().hex),
            make_sink=self._sink,
        )

    def api_context(self) -> ApiContext:
        """What the HTTP routes are given."""
        return ApiContext(
            clock=self.clock,
            wall_clock=self.wall_clock,
            bus=self.bus,
            writer=self.writer,
            queries=self.queries,
            directory=self.directory,
            links=self.links,
            overview=self.overview,
            dispatch=self.dispatch,
            needs=self.needs,
            settlement=self.settlement,
            receipts=self.receipts,
            drivers=self.drivers,
            certificates=self.certificates.desk,
            transfers=self.transfers,
            uploads=self.uploads,
            public_url=lambda: self.config.api.public_url or self.api_url,
            call=self.calls.call,
            commands=Commands(self.queries),
            queue=self.command_queue,
            device=self.device,
            operator_guard=self.dispatch.operator_guard,
            commission=self.commissioning.run,
            call_timeout_s=self.config.server.call_timeout_s,
            billing=self.config.billing,
            rating=self._rating,
            readiness=self._readiness,
            metrics=self.metrics.render,
            find_token=self._find_token,
            audit=self._audit,
        )

    def mount_pages(self, app: FastAPI) -> None:
        """Add cockpit and driver page."""
        mount(app, self.live, self, clock=self.clock)

    async def redeem(self, secret: str) -> str | None:
        """Exchange a one-time link for a session token; see ``web.ports.Access``."""
        now = self.wall_clock.now()
        found = await self.writer.run(
            lambda conn: api_tokens.redeem_link(conn, secret, now)
        )
        return None if found is None else found[0]

    async def role_of(self, secret: str) -> str | None:
        """The role of a valid token; see ``web.ports.Access``."""
        token = await self._find_token(secret)
        if token is None or not token.is_valid(self.wall_clock.now()):
            return None
        return token.role.value

    async def admin_link(self, api_url: str) -> str | None:
        """A link that opens once, while no lasting admin token exists."""
        now = self.wall_clock.now()

        def job(conn: sqlite3.Connection) -> str | None:
            if api_tokens.has_admin(conn):
                return None
            return api_tokens.create_link(conn, role=Role.ADMIN, now=now)

        secret = await self.writer.run(job)
        return None if secret is None else f"{api_url}/login?code={secret}"

    def _site(self) -> Site:
        return self.directory.site

    def _evse_ids(self, station_id: StationId) -> frozenset[int]:
        station = self.directory.site.station(station_id)
        evses = () if station is None else station.evses
        return frozenset(evse.ref.evse_id for evse in evses)

    def _limit_w(self, ref: EvseRef) -> int | None:
        now = self.dispatch.evse(ref.station_id, ref.evse_id)
        return None if now is None else now.limit_w

    def _tariff_id_of(self, station_id: StationId) -> str | None:
        station = self.directory.site.station(station_id)
        own = None if station is None else station.tariff_id
        return own or self.config.billing.default_tariff

    def _terms(self) -> Terms:
        return Terms(
            regime=self.config.billing.regime,
            tariff_id_of=self._tariff_id_of,
            rating=self._rating,
        )

    def _rating(self, station_id: StationId, evse_id: int) -> float | None:
        evse = self.directory.site.evse(station_id, evse_id)
        return None if evse is None else float(evse.rating_w)

    def _firmware_of(self, station_id: StationId) -> str | None:
        entry = self.directory.find(station_id)
        return None if entry is None else entry.firmware

    def _is_managed(self, station_id: StationId) -> bool:
        entry = self.directory.find(station_id)
        return entry is not None and entry.managed

    def _price_text(self, moment: datetime) -> str | None:
        """The default tariff's price at a moment, for people."""
        tariff = self.config.tariffs.get(self.config.billing.default_tariff or "")
        if tariff is None:
            return None
        price = Decimal(tariff.price_at(moment)) / MICRO
        return f"{price:.2f} {tariff.currency}/kWh"

    def _plan_price_unit(self) -> str | None:
        """Of the prices that plans reckon with; ``None``: they know none."""
        tariff = self.config.tariffs.get(self.config.optimizer.import_tariff or "")
        return None if tariff is None else f"{tariff.currency}/kWh"

    def _prices(self) -> Prices | None:
        tariff = self.config.tariffs.get(self.config.optimizer.import_tariff or "")
        if tariff is None:
            return None

        def prices(start: datetime, step_s: int, n_step: int) -> list[int]:
            step = timedelta(seconds=step_s)
            return [tariff.price_at(start + step * index) for index in range(n_step)]

        return prices

    def _sink(self, station_id: StationId, adapter: Adapter, remote: str) -> FrameSink:
        entry = self.directory.find(station_id)
        context = StationContext(
            station_id=station_id,
            adapter=adapter,
            is_accepted=(
                entry is not None
                and entry.accepted_at is not None
                and entry.registration == "Accepted"
            ),
            remote=remote,
            boot_answer=None if entry is None else likely_answer(entry),
        )
        self.reach.connected(context)
        return self.ingest.sink(context)

    def _booted(self, station: StationContext, registration: str) -> None:
        if registration == "Accepted":
            self.setup.booted(station.station_id)
            self.command_queue.booted(station.station_id)
            self.drivers.booted(station.station_id)

    def _presented(
        self, station: StationContext, token: IdToken, decision: TokenDecision
    ) -> None:
        self.drivers.pricing.presented(station.station_id, token, decision.status)

    def _readiness(self) -> dict[str, bool]:
        return {
            "store": not self.writer.counters.is_failing,
            "ocpp": self.is_listening,
        }

    async def _find_token(self, secret: str) -> ApiToken | None:
        found = await self.queries.rows(
            api_tokens.TOKEN_BY_SHA256, (api_tokens.sha256_of(secret),)
        )
        return api_tokens.token_of_row(found[0]) if found else None

    async def _audit(
        self, who: Who, action: str, subject: str, detail: Mapping[str, object]
    ) -> None:
        at = self.clock.now()
        await self.writer.run(
            lambda conn: api_tokens.audit(
                conn,
                at=at,
                actor=who.token_id,
                action=action,
                subject=subject,
                detail=detail,
            )
        )

    async def _mirror_boots(self) -> None:
        """Keep the directory in step with what stations say of themselves."""
        with self.bus.subscribe(
            "directory", wants=_is_boot, of=(StationBooted,)
        ) as subscription:
            async for notice in subscription:
                if isinstance(notice, Lagged):
                    await self.directory.reload()
                elif isinstance(notice, FactCommitted):
                    self.directory.on_boot(notice, self.clock.now())

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await expire_reservations(self.writer, self.clock.now())
                await self.device.reports.sweep()
                await self.device.networks.sweep()
                await self._note_seen()
            except StoreError as error:
                _log.warning("house.skipped", why=str(error))

    async def _note_seen(self) -> None:
        seen = self.links.seen()
        await self.writer.run(lambda conn: station_rows.set_last_seen(conn, seen))


async def _open(
    config: Config,
    clock: Clock,
    passwords: Mapping[StationId, bytes],
    stack: AsyncExitStack,
) -> Parts:
    """Open store and registry; closed again by ``stack``, the writer last."""
    try:
        config.store.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"cannot use {config.store.path} (store.path): {error.strerror}"
        ) from error
    stack.enter_context(held(config.store.path))
    pepper = Pepper.load(config.store.pepper_path)
    writer = Writer(config.store.database_path)
    writer.start(asyncio.get_running_loop())
    stack.callback(writer.close)
    parts = Parts(config, clock, pepper, writer)
    await writer.run(install_ledger)
    tariffs = config.tariffs.values()
    now = clock.now()
    await writer.run(lambda conn: money.load_config_tariffs(conn, tariffs, now))
    await parts.queries.open()
    stack.push_async_callback(parts.queries.close)
    await parts.directory.start(config, passwords)
    await parts.drivers.features.start()
    stack.push_async_callback(parts.anchoring.close)
    await stack.enter_async_context(parts.solver)
    return parts


def _is_boot(notice: Notice) -> bool:
    return isinstance(notice, FactCommitted) and isinstance(notice.event, StationBooted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started gateway, as `run_gateway` and the demo see it."""

    clock: Clock
    writer: Writer
    queries: Queries
    dispatch: Dispatch
    settlement: Settlement
    anchoring: Anchoring
    overview: Overview
    needs: Needs
    ocpp_url: str
    ocpp_tls_url: str | None
    ocpp_legacy_url: str | None
    api_url: str
    admin_link: str | None
    stop: asyncio.Event

    async def any_driver_link(self) -> str | None:
        """The driver's page of one running session, for the demo's greeting."""
        sessions = await self.queries.open_sessions()
        if not sessions:
            return None
        token = self.needs.driver_token(sessions[0].session_id)
        return f"{self.api_url}/d/{token}"


def run_gateway(config: Config) -> int:
    """Run on the system clock until SIGINT or SIGTERM; the exit code.

    Raises:
        ConfigError: A station's password, or a file of TLS or the certificate
            authority cannot be read.
        StartupError: A port is in use, or the store cannot be opened.
    """
    secrets = passwords(config.password_sources, os.environ)
    if config.ca is not None:  # made now if need be: client_ca may be its certificate
        open_authority(config.ca, folder=config.store.ca_path, clock=SystemClock())
    if config.ocpp.tls is not None:
        check_tls(config.ocpp.tls, SystemClock().now())
    run_to_end(_run(config, secrets))
    return 0


async def _run(config: Config, secrets: Mapping[StationId, bytes]) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with running(
        config, clock=SystemClock(), passwords=secrets, on_stage=_say, stop=stop
    ) as gateway:
        for url, profiles in addresses(gateway, config):
            _say(f"OCPP     {url}/{{station_id}}  ({profiles})")
        _say(f"API      {gateway.api_url}/api/docs")
        if gateway.admin_link is not None:
            _say(f"Cockpit  {gateway.admin_link}  (opens once)")
        else:
            _say(f"Cockpit  {gateway.api_url}/cockpit")
        await stop.wait()


@asynccontextmanager
async def running(
    config: Config,
    *,
    clock: Clock,
    passwords: Mapping[StationId, bytes],
    on_stage: Callable[[str], None],
    stop: asyncio.Event,
    shipped_proven: Sequence[StationId] = (),
) -> AsyncIterator[Running]:
    """The whole gateway within the block.

    Args:
        config: Checked configuration.
        clock: Site clock.
        passwords: Of the configuration's stations.
        on_stage: Told about each stage of starting and stopping, one line each.
        stop: Set when the gateway shall stop.
        shipped_proven: Stations whose obedience is known from elsewhere (the demo's).

    Raises:
        StartupError: A port is in use, another gateway runs on the folder, or the store
            cannot be opened.
    """
    for key in config.security.loosened():
        _log.warning("security.loosened", setting=key)
    for warning in config.warnings:
        _log.warning("config.warning", text=warning)
    refuse_if_held(config.store.path)
    async with AsyncExitStack() as stack:
        bound = bind(config.api.host, config.api.port, API)
        stack.callback(bound.close)
        ocpp = bind(config.server.ocpp_host, config.server.ocpp_port, OCPP)
        stack.callback(ocpp.close)
        tls, ocpp_tls, legacy = config.ocpp.tls, None, None
        if tls is not None:
            ocpp_tls = bind(config.server.ocpp_host, tls.port, OCPP_TLS)
            stack.callback(ocpp_tls.close)
        if tls is not None and tls.legacy_port is not None:
            legacy = bind(config.server.ocpp_host, tls.legacy_port, OCPP_LEGACY_TLS)
            stack.callback(legacy.close)
        on_stage("opening the store")
        parts = await _open(config, clock, passwords, stack)
        on_stage("starting plans, bills and evidence")
        await parts.anchoring.prepare()
        await parts.command_queue.prepare()
        await parts.dispatch.ship_proven(shipped_proven)
        stack.push_async_callback(parts.finish)
        parts.start(await stack.enter_async_context(tasks()))
        await parts.dispatch.ready()
        api_url = parts.api_url = _url("http", *bound.getsockname()[:2])
        app = create_app(parts.api_context(), version=version("wattproof"))
        parts.mount_pages(app)
        on_stage("starting API and cockpit")
        await stack.enter_async_context(serving(app, bound))
        on_stage("opening the OCPP port")
        listener = parts.listener()
        port = await stack.enter_async_context(
            listener.listening(ocpp, ocpp_tls, legacy)
        )
        stack.enter_context(on_hangup(listener.reload_tls))
        parts.is_listening = True
        link = await parts.admin_link(api_url)
        calm_collector()
        share_interpreter()
        yield Running(
            clock=clock,
            writer=parts.writer,
            queries=parts.queries,
            dispatch=parts.dispatch,
            settlement=parts.settlement,
            anchoring=parts.anchoring,
            overview=parts.overview,
            needs=parts.needs,
            ocpp_url=_url("ws", config.server.ocpp_host, port) + "/ocpp",
            ocpp_tls_url=None
            if listener.tls_port is None
            else _url("wss", config.server.ocpp_host, listener.tls_port) + "/ocpp",
            ocpp_legacy_url=None
            if listener.legacy_port is None
            else _url("wss", config.server.ocpp_host, listener.legacy_port) + "/ocpp",
            api_url=api_url,
            admin_link=link,
            stop=stop,
        )
        on_stage("stopping")


def addresses(gateway: Running, config: Config) -> Iterator[tuple[str, str]]:
    """Where stations connect, and the security profiles that each address serves."""
    basic = "" if config.security.allow_unauthenticated is False else ", or no password"
    yield gateway.ocpp_url, f"security profile 1{basic}"
    tls = config.ocpp.tls
    if tls is not None and gateway.ocpp_tls_url is not None:
        profiles = "profile 2" if tls.client_ca is None else "profiles 2 and 3"
        without = "; 3 needs ocpp.tls.client_ca" if tls.client_ca is None else ""
        yield gateway.ocpp_tls_url, f"security {profiles}{basic}{without}"
    if gateway.ocpp_legacy_url is not None:
        yield gateway.ocpp_legacy_url, f"TLS 1.0 and later, legacy: profile 2{basic}"


def _say(line: str) -> None:
    sys.stdout.write(f"[wattproof] {line}\n")
    sys.stdout.flush()


def _url(scheme: str, host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared
    if ":" in shown:
        shown = f"[{shown}]"
    return f"{scheme}://{shown}:{port}"
