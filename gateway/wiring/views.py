"""What people and monitoring are shown: overview, live pages, metrics."""

from dataclasses import asdict

from gateway.services.command_troubles import CommandTroubles
from gateway.services.live import Live
from gateway.services.metrics import Metrics
from gateway.services.overview import Overview
from gateway.services.station_facts import StationFacts
from gateway.wiring.base import Base
from gateway.wiring.exchange import Exchange
from gateway.wiring.meters import Meters
from gateway.wiring.money import Money
from gateway.wiring.plans import Plans
from gateway.wiring.port import Port
from gateway.wiring.prices import plan_price_unit


class Views:
    """The present of the site, put together from all other parts."""

    def __init__(
        self,
        base: Base,
        plans: Plans,
        money: Money,
        exchange: Exchange,
        port: Port,
        *,
        meters: Meters,
    ) -> None:
        certificates = exchange.certificates
        self.overview = Overview(
            directory=base.directory,
            queries=base.queries,
            links=base.links,
            dispatch=plans.dispatch,
            clock=base.clock,
            ledger=lambda: asdict(money.anchoring.state),
        )
        self.metrics = Metrics(
            ingest=port.ingest,
            writer=base.writer,
            anchoring=money.anchoring,
            n_online=lambda: len(base.links.all()),
            n_legacy_tls=lambda: len(base.links.legacy_use()),
            watch=port.store_watch,
            more=lambda: {
                **certificates.watch.gauges(),
                **plans.churn.gauges(),
                **meters.poller.gauges(),
            },
        )
        self.live = Live(
            overview=self.overview,
            queries=base.queries,
            needs=plans.needs,
            receipts=money.receipts,
            clock=base.clock,
            tariff_ids=base.tariff_ids,
            backend=base.config.ledger.backend.value,
            alarms=certificates.security.alarms,
            commands=CommandTroubles(base.command_log, base.clock).recent,
            plan_price_unit=plan_price_unit(base.config),
            facts=StationFacts(
                overview=self.overview,
                queries=base.queries,
                certificates=certificates.records,
                clock=base.clock,
            ),
        )
