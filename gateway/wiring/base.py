"""What all other parts are built on: store, stations, wires, and the site's facts."""

from datetime import timedelta

from gateway.bus import Bus
from gateway.clock import Clock, SystemClock
from gateway.config import Config
from gateway.domain.ids import StationId
from gateway.domain.main_meter import main_meters
from gateway.domain.topology import Site
from gateway.server.registry import Links
from gateway.services.command_log import CommandLog
from gateway.services.credentials import Pepper
from gateway.services.inquiries import Inquiries
from gateway.services.judging import Terms
from gateway.services.reach import Reach
from gateway.services.stations import StationDirectory
from gateway.store.queries import Queries
from gateway.store.writer import Writer


class Base:
    """The parts that need no other, and what the configuration says of the site.

    Attributes:
        clock: Site time.
        wall_clock: The time that certificates and API tokens count in.
    """

    def __init__(
        self, config: Config, clock: Clock, pepper: Pepper, writer: Writer
    ) -> None:
        self.config = config
        self.clock = clock
        self.wall_clock = SystemClock()
        self.pepper = pepper
        self.writer = writer
        self.call_timeout_s = config.server.call_timeout_s
        self.bus = Bus()
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
        self.inquiries = Inquiries()

    def site(self) -> Site:
        """The site as it is wired now."""
        return self.directory.site

    def evse_ids(self, station_id: StationId) -> frozenset[int]:
        """Of a station; empty if unknown."""
        station = self.directory.site.station(station_id)
        evses = () if station is None else station.evses
        return frozenset(evse.ref.evse_id for evse in evses)

    def rating_w(self, station_id: StationId, evse_id: int) -> float | None:
        """Rated power of an EVSE; ``None`` if unknown."""
        evse = self.directory.site.evse(station_id, evse_id)
        return None if evse is None else float(evse.rating_w)

    def firmware_of(self, station_id: StationId) -> str | None:
        """As a station told at its boot."""
        entry = self.directory.find(station_id)
        return None if entry is None else entry.firmware

    def is_managed(self, station_id: StationId) -> bool:
        """Whether plans reach a station."""
        entry = self.directory.find(station_id)
        return entry is not None and entry.managed

    def tariff_id_of(self, station_id: StationId) -> str | None:
        """Which tariff a station charges by."""
        station = self.directory.site.station(station_id)
        own = None if station is None else station.tariff_id
        return own or self.config.billing.default_tariff

    def tariff_ids(self) -> frozenset[str]:
        """The tariffs of all stations; the default one while there are none."""
        found = {self.tariff_id_of(one.id) for one in self.directory.site.stations}
        default = self.config.billing.default_tariff
        return frozenset(one for one in found or {default} if one is not None)

    def terms(self) -> Terms:
        """What settling depends on besides the session."""
        return Terms(
            regime=self.config.billing.regime,
            tariff_id_of=self.tariff_id_of,
            rating=self.rating_w,
            mains=lambda *evse: main_meters(self.directory.site, *evse),
        )
