"""Everything about drivers and what stations tell them, built and wired as one part."""

import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import Config
from gateway.domain.ids import StationId
from gateway.domain.tariff_text import tariff_text
from gateway.ocpp.inquiries import DataOffered
from gateway.ocpp.prices import COST_VENDOR, UNPLUGGED
from gateway.services.authorization import Admission, Authorizer, TokenRules
from gateway.services.cache_clearing import CacheClearing
from gateway.services.data_transfer import DataTransfers, accept
from gateway.services.features import Feature, Features
from gateway.services.final_costs import FinalCosts
from gateway.services.inquiries import Inquiries
from gateway.services.judging import Terms, final_cost
from gateway.services.local_lists import ListPorts, LocalLists
from gateway.services.pricing import Pricing, PricingPorts
from gateway.services.running_costs import RunningCosts
from gateway.services.station_port import Stations
from gateway.services.stations import StationDirectory
from gateway.services.token_book import TokenBook
from gateway.store import group_tariffs, money
from gateway.store.entry import TokenQuestion
from gateway.store.queries import Queries
from gateway.store.writer import Writer

Start: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]], str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPorts:
    """What these parts need from the rest of the system.

    Attributes:
        stations: Their calls are not kept: messages about prices are many.
        system: Their calls are kept as commands.
    """

    stations: Stations
    system: Stations
    directory: StationDirectory
    queries: Queries
    writer: Writer
    bus: Bus
    clock: Clock
    inquiries: Inquiries
    admission: Admission
    terms: Terms


class DriverParts:
    """Tokens, lists, caches, costs, prices and vendors' messages.

    Attributes:
        authorizer: Decides about tokens.
        final_costs: Of ended sessions, for answers to their ends.
    """

    def __init__(self, config: Config, ports: DriverPorts) -> None:
        self._config = config
        self._terms = ports.terms
        timeout_s = config.server.call_timeout_s
        self.final_costs = FinalCosts(queries=ports.queries, terms=ports.terms)
        self.authorizer = Authorizer(
            admission=ports.admission,
            rules=TokenRules(
                max_sessions=config.ocpp.max_sessions_per_token,
                authorize_counts=config.ocpp.authorize_counts,
                master_pass_group=config.ocpp.master_pass_group,
            ),
            price_text=self._driver_text,
            evse_types=partial(_evse_types, ports.directory),
            timezone=ZoneInfo(config.site.timezone),
        )
        self.tokens = TokenBook(writer=ports.writer, clock=ports.clock)
        self.features = Features(
            directory=ports.directory,
            writer=ports.writer,
            clock=ports.clock,
            defaults={
                Feature.LOCAL_LIST: config.ocpp.local_list,
                Feature.PRICING: config.billing.pricing_messages,
            },
        )
        self.local_lists = LocalLists(
            ListPorts(
                stations=ports.system,
                features=self.features,
                queries=ports.queries,
                writer=ports.writer,
                bus=ports.bus,
                clock=ports.clock,
                call_timeout_s=timeout_s,
            )
        )
        self.tokens.listen(self.local_lists.tokens_changed)
        self.caches = CacheClearing(
            stations=ports.system,
            directory=ports.directory,
            call_timeout_s=timeout_s,
        )
        if config.ocpp.clear_cache_on_revoke:
            self.tokens.listen(self.caches.tokens_changed)
        self.costs = RunningCosts(ports.queries)
        self.pricing = Pricing(
            PricingPorts(
                stations=ports.stations,
                features=self.features,
                queries=ports.queries,
                bus=ports.bus,
                clock=ports.clock,
                costs=self.costs,
                tariff_id_of=ports.terms.tariff_id_of,
                final_cost=partial(final_cost, terms=ports.terms),
                timezone=config.site.timezone,
                language=config.billing.language,
                cost_interval_s=config.billing.cost_interval_s,
                call_timeout_s=timeout_s,
            )
        )
        self.data_transfers = DataTransfers(
            writer=ports.writer,
            queries=ports.queries,
            clock=ports.clock,
            vendors=config.ocpp.data_vendors,
        )
        self.data_transfers.register(COST_VENDOR, {UNPLUGGED: accept})
        ports.inquiries.answer_with(DataOffered, self.data_transfers.answer)

    def start(self, start: Start) -> None:
        """Start what runs for ever."""
        start(self.local_lists.run, "part.lists")
        start(self.caches.run, "part.caches")
        start(self.costs.run, "part.costs")
        start(self.final_costs.run, "part.final_costs")
        start(self.pricing.run, "part.pricing")

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted."""
        self.local_lists.booted(station_id)
        self.pricing.booted(station_id)

    def _driver_text(
        self,
        conn: sqlite3.Connection,
        question: TokenQuestion,
        language: str | None,
    ) -> str | None:
        """The price for a driver's display, where prices are shown."""
        station_id = question.station_id
        tariff_id = group_tariffs.of_token(
            conn, question.token
        ) or self._terms.tariff_id_of(station_id)
        if tariff_id is None or not self.features.is_on(station_id, Feature.PRICING):
            return None
        found = money.find_tariff(conn, tariff_id)
        if found is None:
            return None
        return tariff_text(
            found.tariff, question.at, language or self._config.billing.language
        )


def _evse_types(
    directory: StationDirectory, station_id: StationId, evse_id: int
) -> frozenset[str]:
    """``AC`` and ``DC``, as far as an EVSE, or any of a station, is known to be."""
    station = directory.site.station(station_id)
    evses = () if station is None else station.evses
    return frozenset(
        one.current_type.value for one in evses if evse_id in {0, one.ref.evse_id}
    )
