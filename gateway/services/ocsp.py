"""Revocation: asks OCSP responders that the configuration allows (RFC 6960).

URLs come from stations and certificates; only hosts of ``ocsp.allowed_responders`` are
ever fetched, without redirects. Answers are kept until their ``nextUpdate``.
"""

import base64
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from gateway.clock import Clock
from gateway.config import OcspConfig
from gateway.domain.certificates import plain_serial
from gateway.domain.ids import StationId
from gateway.errors import WattproofError
from gateway.ocpp.inquiries import CertificateStatusAnswered, CertificateStatusAsked
from gateway.services.certificate_intake import (
    UNREADABLE,
    flaw_of,
    quiet,
    settled,
)
from gateway.services.fetch import FetchFailed, post
from gateway.services.inquiries import Found
from gateway.services.x509 import (
    ALGORITHMS,
    UNPROVEN,
    CertificateError,
    check_signature,
    hash_of,
    is_within,
    key_hash,
    name_hash,
)

MAX_CACHED: Final = 5_000
MAX_ANSWER_BYTES: Final = 65_536
MAX_WIRE_CHARS: Final = 5_500
"""``ocspResult`` (2.0.1, GetCertificateStatusResponse)."""
CLOCK_SKEW: Final = timedelta(minutes=5)
UNDATED_LIFE: Final = timedelta(days=1)
"""How old an answer without ``nextUpdate`` may be."""
_PLAIN_URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!-~]*)?"
)
"""No user name, no blanks, nothing that two parsers could read as two hosts."""
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,40}")
HEADERS: Final = {"Content-Type": "application/ocsp-request"}

_log = structlog.get_logger()

Key: TypeAlias = tuple[str, str, str, str, str]


class OcspFailed(WattproofError):
    """The status could not be had; the text says why."""


class Revocation(StrEnum):
    """What a responder says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """A checked answer.

    Attributes:
        der: The OCSPResponse as it came.
        fresh_until: Its ``nextUpdate``; ``None``: it must not be kept.
        is_proven: Its signature leads to the certificate's issuer. If not, the issuer
            is unknown here, and only the transport speaks for it.
    """

    der: bytes
    status: Revocation
    fresh_until: datetime | None
    is_proven: bool


class OcspClient:
    """Asks and remembers. Loop thread only.

    Args:
        config: Whom it may ask.
        issuers: Certificates that answers may be checked with.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self, config: OcspConfig, *, issuers: Iterable[x509.Certificate], clock: Clock
    ) -> None:
        self._config = config
        self._issuers = tuple(issuers)
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[bytes, datetime]] = OrderedDict()

    async def answer(
        self, station_id: StationId, asked: CertificateStatusAsked
    ) -> Found | None:
        """GetCertificateStatus (2.0.1, M06): hand over what the responder says."""
        try:
            found = await self.ask(asked)
        except OcspFailed as error:
            _log.warning("ocsp.failed", station_id=station_id, why=str(error))
            return None
        result = base64.b64encode(found.der).decode("ascii")
        if len(result) > MAX_WIRE_CHARS:
            why = f"an answer of more than {MAX_WIRE_CHARS} characters"
            _log.warning("ocsp.failed", station_id=station_id, why=why)
            return None
        return Found(finding=CertificateStatusAnswered(ocsp_result=result))

    async def ask(
        self,
        asked: CertificateStatusAsked,
        *,
        issuers: Sequence[x509.Certificate] = (),
    ) -> OcspAnswer:
        """The status of one certificate, now or as kept.

        Args:
            asked: Its hashes, and where to ask.
            issuers: Further certificates that may be its issuer.

        Raises:
            OcspFailed: The host is not allowed, it did not answer well, or its answer
                is stale, about something else, or not rightly signed.
        """
        url = self._allowed(asked.responder_url)
        if _HEX.fullmatch(asked.serial_number) is None:
            raise OcspFailed("the serial number is not hexadecimal")
        serial = plain_serial(asked.serial_number)
        name, key = asked.issuer_name_hash.lower(), asked.issuer_key_hash.lower()
        cached_as = (url, asked.hash_algorithm, name, key, serial)
        der = self._kept_for(cached_as)
        is_kept = der is not None
        if der is None:
            request = _request(asked.hash_algorithm, name, key, serial)
            try:
                der = await post(
                    url,
                    request,
                    headers=HEADERS,
                    timeout_s=self._config.timeout_s,
                    max_bytes=MAX_ANSWER_BYTES,
                )
            except FetchFailed as error:
                raise OcspFailed(f"{url}: {error}") from error
        try:  # a kept answer too: this time its issuer may be known
            answer = self._read(der, asked, (*issuers, *self._issuers))
        except (*UNREADABLE, CertificateError) as error:
            raise OcspFailed(f"{url}: {error}") from error
        if not is_kept and answer.fresh_until is not None:
            self._keep(cached_as, der, answer.fresh_until)
        return answer

    async def status_of(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> OcspAnswer | None:
        """The status of a certificate that we hold; ``None`` if it names no responder.

        Raises:
            OcspFailed: See `ask`.
        """
        url = responder_of(certificate)
        if url is None:
            return None
        hashed = hash_of(certificate, issuer)
        asked = CertificateStatusAsked(
            hash_algorithm=hashed.algorithm,
            issuer_name_hash=hashed.issuer_name_hash,
            issuer_key_hash=hashed.issuer_key_hash,
            serial_number=hashed.serial_number,
            responder_url=url,
        )
        return await self.ask(asked, issuers=(issuer,))

    def _allowed(self, url: str) -> str:
        if _PLAIN_URL.fullmatch(url) is None:
            raise OcspFailed("the responder's URL is not a plain http or https URL")
        try:
            is_allowed = self._config.allows(urlsplit(url))
        except ValueError as error:  # a port or address out of range
            raise OcspFailed(f"the responder's URL: {error}") from error
        if not is_allowed:
            host = urlsplit(url).hostname
            raise OcspFailed(f"{host} is not in ocsp.allowed_responders: not asked")
        return url

    def _read(
        self,
        der: bytes,
        asked: CertificateStatusAsked,
        issuers: Sequence[x509.Certificate],
    ) -> OcspAnswer:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError(f"it answered {response.response_status.name}")
        single = _about(response, asked)
        now = self._clock.now()
        fresh_until = single.next_update_utc
        if single.this_update_utc > now + CLOCK_SKEW:
            raise ValueError("its answer is from the future")
        if (fresh_until or single.this_update_utc + UNDATED_LIFE) < now - CLOCK_SKEW:
            raise ValueError("its answer is stale")
        enclosed = _enclosed(response)
        issuer = _issuer_of(asked, (*issuers, *enclosed))
        if issuer is not None:
            _check_signed(response, issuer, enclosed, now)
        return OcspAnswer(
            der=der,
            status=Revocation(single.certificate_status.name.lower()),
            fresh_until=fresh_until,
            is_proven=issuer is not None,
        )

    def _kept_for(self, key: Key) -> bytes | None:
        kept = self._kept.get(key)
        return kept[0] if kept is not None and self._clock.now() < kept[1] else None

    def _keep(self, key: Key, der: bytes, until: datetime) -> None:
        self._kept[key] = (der, until)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_CACHED:
            self._kept.popitem(last=False)


def responder_of(certificate: x509.Certificate) -> str | None:
    """Where a certificate says its status can be asked."""
    try:
        access = certificate.extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        ).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None
    for entry in access:
        location = entry.access_location
        if entry.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


def _request(algorithm: str, name: str, key: str, serial: str) -> bytes:
    try:
        request = (
            ocsp.OCSPRequestBuilder()
            .add_certificate_by_hash(
                bytes.fromhex(name),
                bytes.fromhex(key),
                int(serial, 16),
                ALGORITHMS[algorithm](),
            )
            .build()
        )
    except (KeyError, ValueError, TypeError) as error:
        raise OcspFailed(f"the hash data are not usable: {error}") from error
    return request.public_bytes(serialization.Encoding.DER)


def _about(
    response: ocsp.OCSPResponse, asked: CertificateStatusAsked
) -> ocsp.OCSPSingleResponse:
    """The part of an answer that is about the certificate asked for."""
    wanted = (
        int(plain_serial(asked.serial_number), 16),
        asked.hash_algorithm.lower(),
        asked.issuer_name_hash.lower(),
        asked.issuer_key_hash.lower(),
    )
    for single in response.responses:
        told = (
            single.serial_number,
            single.hash_algorithm.name,
            single.issuer_name_hash.hex(),
            single.issuer_key_hash.hex(),
        )
        if told == wanted:
            return single
    raise ValueError("its answer is about another certificate")


def _issuer_of(
    asked: CertificateStatusAsked, candidates: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    """The certificate that the hashes name as issuer, if it is here."""
    for one in candidates:
        if name_hash(one.subject, asked.hash_algorithm) != (
            asked.issuer_name_hash.lower()
        ):
            continue
        try:
            hashed = key_hash(one, asked.hash_algorithm)
        except CertificateError:  # some other kind of key: not this one
            continue
        if hashed == asked.issuer_key_hash.lower():
            return one
    return None


def _enclosed(response: ocsp.OCSPResponse) -> list[x509.Certificate]:
    """The certificates that came with an answer, those that can be worked with."""
    with quiet():
        return [one for one in map(settled, response.certificates) if not flaw_of(one)]


def _check_signed(
    response: ocsp.OCSPResponse,
    issuer: x509.Certificate,
    enclosed: Sequence[x509.Certificate],
    now: datetime,
) -> None:
    """The issuer signed the answer, or a responder that it named (RFC 6960, 4.2.2.2).

    Raises:
        CertificateError: Neither did.
    """
    signers = [issuer]
    signers += [one for one in enclosed if _may_answer(one, issuer, now)]
    for signer in signers:
        try:
            check_signature(
                signer.public_key(),
                response.signature,
                response.tbs_response_bytes,
                response.signature_hash_algorithm,
            )
        except CertificateError:
            continue
        return
    raise CertificateError("its answer is not signed by the issuer")


def _may_answer(one: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
        usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*UNPROVEN, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage and is_within(one, now)
