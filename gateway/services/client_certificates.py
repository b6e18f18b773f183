"""Client certificates after their handshake: whose they are, and whether revoked.

The TLS handshake has checked chain and dates. What it cannot know: that our authority
made a certificate for another station, and what an OCSP responder says (2.0.1,
A00.FR.702 and FR.705).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import StoreError
from gateway.services.certificate_intake import UNREADABLE, load_pem
from gateway.services.certificates import CertificateRecords
from gateway.services.ocsp import OcspClient, OcspFailed, Revocation, responder_of
from gateway.services.x509 import (
    CertificateError,
    check_issued,
    fingerprint_of,
    is_within,
    parse_der,
)

PAUSE_S: Final = 60.0
"""Real seconds for which a responder that failed is not asked again: a storm of
reconnecting stations must not wait for it one by one."""

_log = structlog.get_logger()


class ClientCertificates:
    """Judges the certificate that a station presented. Loop thread only.

    Args:
        authorities: Who may have issued it.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self,
        *,
        records: CertificateRecords,
        ocsp: OcspClient,
        authorities: Sequence[x509.Certificate],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._records = records
        self._ocsp = ocsp
        self._authorities = tuple(authorities)
        self._silent_until_s: dict[str, float] = {}

    async def problem(self, station_id: StationId, der: bytes) -> str | None:
        """Why a certificate does not let its station in; ``None``: nothing known.

        A responder that cannot be asked keeps nobody out: it is logged.
        """
        try:
            certificate = parse_der(der)
            issued = await self._records.issued(fingerprint_of(certificate))
        except CertificateError as error:
            return f"its certificate {error}"
        except StoreError as error:
            _log.warning("certificate.unchecked", station_id=station_id, why=str(error))
            return None
        if issued is not None and issued.station_id != station_id:
            return f"its certificate was issued to {issued.station_id}"
        if not is_within(certificate, self._clock.now()):
            return "its certificate is not valid now"  # a resumed session checks none
        return await self._revoked(station_id, certificate)

    async def _revoked(
        self, station_id: StationId, certificate: x509.Certificate
    ) -> str | None:
        issuer = self._issuer_of(certificate)
        responder = responder_of(certificate)
        if issuer is None or responder is None:
            return None
        now_s = asyncio.get_running_loop().time()
        if now_s < self._silent_until_s.get(responder, 0.0):
            return None
        try:
            found = await self._ocsp.status_of(certificate, issuer)
        except (OcspFailed, CertificateError) as error:
            self._silent_until_s = {
                url: until_s
                for url, until_s in self._silent_until_s.items()
                if until_s > now_s
            }
            self._silent_until_s[responder] = now_s + PAUSE_S
            _log.warning("certificate.unchecked", station_id=station_id, why=str(error))
            return None
        if found is not None and found.status is Revocation.REVOKED:
            return "its certificate is revoked"
        return None

    def _issuer_of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        for authority in self._authorities:
            if certificate.issuer != authority.subject:
                continue
            try:
                check_issued(certificate, authority)
            except CertificateError:
                continue
            return authority
        return None


def authorities_of(path: Path | None) -> tuple[x509.Certificate, ...]:
    """The certificates of ``ocpp.tls.client_ca``; none if it cannot be read yet.

    Whether it can serve is checked, and told, where the port is opened.
    """
    if path is None:
        return ()
    try:
        return tuple(load_pem(path.read_bytes()))
    except (OSError, *UNREADABLE):
        return ()
