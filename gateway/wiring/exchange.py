"""What is exchanged with stations besides energy: tokens, certificates and files."""

from gateway.services.certificate_parts import CertificatePorts, Certificates
from gateway.services.driver_parts import DriverParts, DriverPorts
from gateway.services.transfers import Transfers
from gateway.services.uploads import Uploads
from gateway.wiring.base import Base
from gateway.wiring.plans import Plans
from gateway.wiring.stations import Stations


class Exchange:
    """Drivers with their tokens and prices; certificates; firmware, logs and uploads.

    Raises:
        ConfigError: A file that the configuration names is not what it should be.
        StartupError: The files of the certificate authority cannot be made.
    """

    def __init__(self, base: Base, plans: Plans, stations: Stations) -> None:
        config = base.config
        self.drivers = DriverParts(
            config,
            DriverPorts(
                stations=base.reach,
                system=stations.system,
                directory=base.directory,
                queries=base.queries,
                writer=base.writer,
                bus=base.bus,
                clock=base.clock,
                inquiries=base.inquiries,
                admission=plans.dispatch.admission,
                terms=base.terms(),
            ),
        )
        self.certificates = Certificates(
            config,
            CertificatePorts(
                directory=base.directory,
                queries=base.queries,
                writer=base.writer,
                bus=base.bus,
                calls=stations.calls,
                inquiries=base.inquiries,
                adapter_of=base.links.adapter,
                clock=base.clock,
                wall_clock=base.wall_clock,
            ),
        )
        stations.calls.observe(self.drivers.local_lists.observe)
        self.transfers = Transfers(
            writer=base.writer,
            queries=base.queries,
            bus=base.bus,
            clock=base.clock,
            wall_clock=base.wall_clock,
            call=stations.calls.call,
            adapter_of=base.links.adapter,
            call_timeout_s=base.call_timeout_s,
        )
        stations.calls.observe(self.transfers.exchanged)
        self.uploads = Uploads(
            folder=config.store.uploads_path,
            writer=base.writer,
            queries=base.queries,
            clock=base.wall_clock,
        )
