"""Everything about certificates, wired together from the configuration."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography import x509

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import Config
from gateway.domain.ids import StationId
from gateway.errors import StoreError
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.inquiries import (
    CertificateStatusAsked,
    ContractPresented,
    EvCertificateAsked,
    SigningAsked,
)
from gateway.services.authority import Authority, EmbeddedAuthority
from gateway.services.authority_files import open_authority
from gateway.services.certificate_desk import CertificateDesk
from gateway.services.certificates import CertificateRecords, ExpiryWatch
from gateway.services.client_certificates import ClientCertificates, authorities_of
from gateway.services.contracts15118 import Contracts, load_roots
from gateway.services.ev_certificates import EvCertificates
from gateway.services.inquiries import Inquiries
from gateway.services.ocsp import OcspClient
from gateway.services.security_events import SecurityWatch
from gateway.services.signing import Signing
from gateway.services.station_calls import StationCalls
from gateway.services.stations import StationDirectory
from gateway.store.queries import Queries
from gateway.store.writer import Writer

LOOK_EVERY_S: Final = 3_600.0
"""Real seconds between two looks at what ends soon, while nothing changes."""
WARNING_DAYS: Final = 30
"""Without a section ``[ca]``; see ``ca.expiry_warning_days``."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePorts:
    """What the certificate parts need of the others.

    Attributes:
        adapter_of: The dialect of a connected station.
        clock: Site time, of records.
        wall_clock: The time that X.509 counts in.
    """

    directory: StationDirectory
    queries: Queries
    writer: Writer
    bus: Bus
    calls: StationCalls
    inquiries: Inquiries
    adapter_of: Callable[[StationId], Adapter | None]
    clock: Clock
    wall_clock: Clock


class Certificates:
    """Builds and runs the parts.

    Raises:
        ConfigError: A file that the configuration names is not what it should be.
        StartupError: The authority's files cannot be made.
    """

    def __init__(self, config: Config, ports: CertificatePorts) -> None:
        ca, timeout_s = config.ca, config.server.call_timeout_s
        authority = None
        if ca is not None:
            authority = open_authority(
                ca, folder=config.store.ca_path, clock=ports.wall_clock
            )
        self._queries = ports.queries
        self.records = CertificateRecords(writer=ports.writer, queries=ports.queries)
        self.watch = ExpiryWatch(
            queries=ports.queries,
            clock=ports.wall_clock,
            warning_days=WARNING_DAYS if ca is None else ca.expiry_warning_days,
        )
        self.signing = Signing(
            authority=authority,
            organization=None if ca is None else ca.cpo_name,
            directory=ports.directory,
            queries=ports.queries,
            writer=ports.writer,
            bus=ports.bus,
            send=ports.calls.call,
            adapter_of=ports.adapter_of,
            site_clock=ports.clock,
            call_timeout_s=timeout_s,
        )
        self.desk = CertificateDesk(
            records=self.records,
            watch=self.watch,
            call=ports.calls.call,
            adapter_of=ports.adapter_of,
            has_authority=self.signing.has_authority,
            clock=ports.wall_clock,
            call_timeout_s=timeout_s,
        )
        self.security = SecurityWatch(
            queries=ports.queries, bus=ports.bus, clock=ports.clock
        )
        roots = load_roots(config.iso15118.roots)
        self.ocsp = OcspClient(
            config.ocsp, issuers=(*roots, *_own(authority)), clock=ports.wall_clock
        )
        tls = config.ocpp.tls
        self.clients = ClientCertificates(
            records=self.records,
            ocsp=self.ocsp,
            authorities=(
                *_own(authority),
                *authorities_of(None if tls is None else tls.client_ca),
            ),
            clock=ports.wall_clock,
        )
        contracts = Contracts(roots=roots, ocsp=self.ocsp, clock=ports.wall_clock)
        ports.calls.observe(self.records.observe)
        ports.inquiries.answer_with(SigningAsked, self.signing.answer)
        ports.inquiries.answer_with(CertificateStatusAsked, self.ocsp.answer)
        ports.inquiries.answer_with(ContractPresented, contracts.answer)
        provider_url = config.iso15118.provider_url
        if provider_url is not None:
            provider = EvCertificates(
                provider_url, timeout_s=config.iso15118.provider_timeout_s
            )
            ports.inquiries.answer_with(EvCertificateAsked, provider.answer)

    async def run(self) -> None:
        """Sign, watch ends and alarms, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.signing.run(), name="certificates.signing")
            tasks.create_task(self.security.run(), name="certificates.security")
            tasks.create_task(self._watch_ends(), name="certificates.ends")

    async def _watch_ends(self) -> None:
        while True:
            self.records.changed.clear()
            try:
                await self.watch.look()
            except StoreError as error:
                _log.warning("certificate.unwatched", why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.records.changed.wait()


def _own(authority: Authority | None) -> tuple[x509.Certificate, ...]:
    return (authority.certificate,) if isinstance(authority, EmbeddedAuthority) else ()
