"""All parts in the order of their needs: built, opened, started and finished."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from fastapi import FastAPI

from gateway.api.context import ApiContext
from gateway.clock import Clock
from gateway.config import Config
from gateway.domain.ids import StationId
from gateway.errors import StartupError
from gateway.process import Start
from gateway.server.listener import Listener
from gateway.services.alarms import Alarms
from gateway.services.commands import Commands
from gateway.services.credentials import Pepper
from gateway.services.residual_watch import ResidualWatch
from gateway.services.root_watch import RootWatch
from gateway.services.sealing import install_ledger
from gateway.store import money as money_rows
from gateway.store.folder_lock import held
from gateway.store.writer import Writer
from gateway.web.pages import mount
from gateway.wiring.access import TokenAccess
from gateway.wiring.base import Base
from gateway.wiring.exchange import Exchange
from gateway.wiring.house import House
from gateway.wiring.meters import Meters
from gateway.wiring.money import Money
from gateway.wiring.plans import Plans
from gateway.wiring.port import Port
from gateway.wiring.stations import Stations
from gateway.wiring.views import Views


class Parts:
    """Every part, built once and wired to the others.

    Attributes:
        is_listening: Set once stations can connect.
        api_url: Set once the API's port is known.
    """

    def __init__(
        self, config: Config, clock: Clock, pepper: Pepper, writer: Writer
    ) -> None:
        self.is_listening = False
        self.api_url = ""
        self.config = config
        self.clock = clock
        self.writer = writer
        self._base = base = Base(config, clock, pepper, writer)
        self.wall_clock = base.wall_clock
        self.bus = base.bus
        self.queries = base.queries
        self.directory = base.directory
        self._plans = plans = Plans(base)
        self.solver = plans.solver
        self.dispatch = plans.dispatch
        self.needs = plans.needs
        self.meters = Meters(base, plans)
        self._money = money = Money(base, plans, self.meters)
        self.anchoring = money.anchoring
        self.settlement = money.settlement
        self.meter_keys = money.meter_keys
        self._stations = stations = Stations(base, plans)
        self.device = stations.device
        self.command_queue = stations.queue
        exchange = Exchange(base, plans, stations)
        self.drivers = exchange.drivers
        self.certificates = exchange.certificates
        self.transfers = exchange.transfers
        self.uploads = exchange.uploads
        port = Port(base, stations, exchange)
        self._port = port
        self._views = views = Views(
            base, plans, money, exchange, port, meters=self.meters
        )
        self.overview = views.overview
        self.live = views.live
        self._access = TokenAccess(base)
        self.admin_link = self._access.admin_link
        self._house = House(base, stations.device)

    def start(self, start: Start) -> None:
        """Start everything that runs for ever."""
        base, stations = self._base, self._stations
        start(self._port.store_watch.run, "part.store_watch")
        start(self.settlement.run, "part.settlement")
        start(self.anchoring.run, "part.anchoring")
        start(self._money.told_keys.run, "part.told_keys")
        start(self._money.late_data.run, "part.late_data")
        start(self.dispatch.run, "part.dispatch")
        start(stations.setup.run, "part.setup")
        start(stations.registration.run, "part.registration")
        start(stations.device.networks.run, "part.networks")
        start(Alarms(queries=base.queries, bus=base.bus).run, "part.alarms")
        start(base.inquiries.run, "part.inquiries")
        self.drivers.start(start)
        start(stations.gaps.run, "part.gaps")
        if self.config.ocpp.tls is not None:
            watch = RootWatch(
                tls=self.config.ocpp.tls,
                bus=base.bus,
                connection=base.links.connection,
                writer=base.writer,
                clock=base.clock,
            )
            start(watch.run, "part.roots")
        start(self._plans.main_meters.run, "part.main_meters")
        if self.config.optimizer.retest_firmware:
            start(self._plans.retesting.run, "part.retesting")
        start(self._plans.obedience.run, "part.obedience_tests")
        start(self._plans.fast_loop.run, "part.fast_loop")
        start(self._plans.load_history.run, "part.load_history")
        self.meters.start(start)
        residual = ResidualWatch(
            queries=base.queries, bus=base.bus, clock=base.clock, site=base.site
        )
        start(residual.run, "part.residual")
        start(self._money.flexibility.run, "part.flexibility")
        start(self.transfers.run, "part.transfers")
        start(stations.calls.run, "part.calls")
        start(stations.effects.run, "part.command_effects")
        start(stations.queue.run, "part.command_queue")
        start(self._house.keep, "part.house")
        start(self._house.mirror_boots, "part.boots")
        start(self.live.run, "part.live")
        start(self.certificates.run, "part.certificates")

    async def finish(self) -> None:
        """Settle and anchor what is left, and note who was heard when."""
        await self.meters.close()
        await self._money.finish()
        await self._house.note_seen()

    def listener(self) -> Listener:
        """The OCPP port, not opened yet."""
        return self._port.listener()

    def api_context(self) -> ApiContext:
        """What the HTTP routes are given."""
        return ApiContext(
            clock=self.clock,
            wall_clock=self.wall_clock,
            bus=self.bus,
            writer=self.writer,
            queries=self.queries,
            directory=self.directory,
            links=self._base.links,
            overview=self.overview,
            dispatch=self.dispatch,
            needs=self.needs,
            settlement=self.settlement,
            receipts=self._money.receipts,
            public_log=self._money.public_log,
            erasure=self._money.erasure,
            bills=self._money.bills,
            cdrs=self._money.cdrs,
            corrections=self._money.corrections,
            drivers=self.drivers,
            certificates=self.certificates.desk,
            meter_keys=self._money.meter_keys,
            transfers=self.transfers,
            uploads=self.uploads,
            public_url=lambda: self.config.api.public_url or self.api_url,
            call=self._stations.calls.call,
            commands=Commands(self.queries),
            queue=self.command_queue,
            device=self.device,
            operator_guard=self.dispatch.operator_guard,
            obedience=self._plans.obedience,
            batteries=self.meters.batteries,
            batteries_by_hand=self.meters.by_hand,
            call_timeout_s=self._base.call_timeout_s,
            billing=self.config.billing,
            rating=self._base.rating_w,
            readiness=self._readiness,
            metrics=self._views.metrics.render,
            find_token=self._access.find_token,
            audit=self._access.audit,
        )

    def mount_pages(self, app: FastAPI) -> None:
        """Add cockpit and driver page."""
        keys, bills = self._money.meter_keys, self._money.bills
        forms = self._money.correction_forms
        mount(
            app,
            self.live,
            self._access,
            keys,
            bills,
            corrections=forms,
            clock=self.clock,
        )

    def _readiness(self) -> dict[str, bool]:
        return {
            "store": not (
                self.writer.counters.is_failing or self._port.store_watch.is_shut
            ),
            "ocpp": self.is_listening,
        }


async def open_parts(
    config: Config,
    clock: Clock,
    passwords: Mapping[StationId, bytes],
    stack: AsyncExitStack,
) -> Parts:
    """Open store and registry; closed again by ``stack``, the writer last.

    Raises:
        StartupError: The store's folder cannot be used, or another gateway runs on it.
    """
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
    await writer.run(lambda conn: money_rows.load_config_tariffs(conn, tariffs, now))
    await parts.queries.open()
    stack.push_async_callback(parts.queries.close)
    await parts.directory.start(config, passwords)
    await parts.drivers.features.start()
    stack.push_async_callback(parts.anchoring.close)
    await stack.enter_async_context(parts.solver)
    return parts
