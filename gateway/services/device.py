"""The services around a station's own model, made together and handed out as one."""

from dataclasses import dataclass
from datetime import timedelta

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import OcppConfig
from gateway.services.certificates import CertificateRecords
from gateway.services.configuration import Configuration
from gateway.services.customers import Customers
from gateway.services.displays import Displays
from gateway.services.held_profiles import HeldProfiles
from gateway.services.monitoring import Monitoring
from gateway.services.networks import Networks
from gateway.services.reach import Reach
from gateway.services.reports import Reports
from gateway.services.stations import StationDirectory
from gateway.services.upgrade_checks import UpgradeChecks
from gateway.services.variables import Variables
from gateway.store.queries import Queries
from gateway.store.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What stations say of themselves, and what they are told about it."""

    reach: Reach
    variables: Variables
    configuration: Configuration
    reports: Reports
    monitoring: Monitoring
    displays: Displays
    profiles: HeldProfiles
    customers: Customers
    networks: Networks


def make_device(
    *,
    reach: Reach,
    writer: Writer,
    queries: Queries,
    directory: StationDirectory,
    bus: Bus,
    clock: Clock,
    wall_clock: Clock,
    ocpp: OcppConfig,
) -> Device:
    """Wire the services to each other; X.509 counts in ``wall_clock``."""
    variables = Variables(directory=directory, queries=queries)
    reports = Reports(
        writer=writer, queries=queries, directory=directory, bus=bus, clock=clock
    )
    return Device(
        reach=reach,
        variables=variables,
        configuration=Configuration(variables=variables, queries=queries),
        reports=reports,
        monitoring=Monitoring(reports=reports, queries=queries),
        displays=Displays(reports=reports, queries=queries),
        profiles=HeldProfiles(reports=reports, queries=queries),
        customers=Customers(reports=reports, writer=writer),
        networks=Networks(
            directory=directory,
            queries=queries,
            writer=writer,
            bus=bus,
            clock=clock,
            checks=UpgradeChecks(
                tls=ocpp.tls,
                records=CertificateRecords(writer=writer, queries=queries),
                queries=queries,
                clock=wall_clock,
            ),
            complete_within=timedelta(seconds=ocpp.upgrade_deadline_s),
        ),
    )
