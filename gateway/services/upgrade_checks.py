"""What a station must have before it is sent to a higher security profile (A05).

A station that is sent where it cannot connect is lost until somebody drives there, so
what can be known is looked at first: our settings, its roots, its own certificate.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.clock import Clock
from gateway.config.tls import CertificateFiles, TlsConfig
from gateway.domain.certificates import CertificateHash, CertificateKind, CertificateUse
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.services.asking import Said, send
from gateway.services.certificate_intake import UNREADABLE, load_pem
from gateway.services.certificates import CertificateRecords, HeldCertificate
from gateway.services.client_certificates import authorities_of
from gateway.services.reports import checked
from gateway.services.server_names import is_name_of, names_of, server_chain
from gateway.services.variables import Exchange
from gateway.services.x509 import (
    ALGORITHMS,
    MAX_SUBJECT_CHARS,
    CertificateError,
    check_issued,
    is_self_signed,
    is_within,
    key_hash,
    name_hash,
    parse_chain,
    serial_of,
    walk,
)
from gateway.store.certificates import KNOWN_BY_SUBJECT
from gateway.store.queries import Queries

NEEDS_CLIENT: Final = 3
"""The security profile with client certificates."""
CONFLICT: Final = 409
HOW_TO_INSTALL: Final = (
    'POST /stations/{station_id}/certificates {{"type": "CSMSRootCertificate",'
    ' "certificate": "-----BEGIN CERTIFICATE-----..."}}'
)


class UpgradeChecks:
    """Refuses upgrades that cannot succeed. Loop thread only.

    Args:
        tls: The TLS port, if there is one; its files are read at every check, as they
            may have been replaced.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self,
        *,
        tls: TlsConfig | None,
        records: CertificateRecords,
        queries: Queries,
        clock: Clock,
    ) -> None:
        self._tls = tls
        self._records = records
        self._queries = queries
        self._clock = clock

    async def check(
        self, exchange: Exchange, profile: int, url: str, *, is_forced: bool = False
    ) -> None:
        """Whether a station can come in with a profile, as far as we can know.

        Args:
            exchange: The station; it is asked for its roots if what it said before
                does not do.
            profile: The wanted one.
            url: Where it is sent; empty if that is set at the station.
            is_forced: Look at our own settings only.

        Raises:
            RequestError: 409 something is missing; says what, and how to get it.
        """
        tls = self._tls
        if tls is None:
            raise _refusal(
                "no_tls_port",
                "ocpp.tls is not configured: there is no TLS port to come in by",
            )
        if profile == NEEDS_CLIENT and tls.client_ca is None:
            raise _refusal(
                "no_client_ca",
                "ocpp.tls.client_ca is not configured: no client certificate would be"
                " taken. Name the file with the authority that signs stations'"
                " certificates there, and restart",
            )
        if is_forced:
            return
        if url:
            _check_name(urlsplit(url).hostname or "", tls)
        if profile == NEEDS_CLIENT:
            await self._check_client(exchange.station_id, tls)
        await self._check_roots(exchange, tls)

    async def _check_client(self, station_id: StationId, tls: TlsConfig) -> None:
        now = self._clock.now()
        found = [
            row
            for row in await self._records.issued_to(station_id)
            if row.status == "installed"
            and row.use is CertificateUse.STATION
            and row.not_after > now
        ]
        if not found:
            raise _refusal(
                "no_client_certificate",
                "no valid client certificate of it is known: have it ask for one first"
                f" (POST /stations/{station_id}/certificate-renewal)",
            )
        try:
            chain = walk(parse_chain(found[0].chain))
        except CertificateError as error:
            raise _refusal(
                "no_client_certificate", f"its client certificate {error}"
            ) from error
        anchors = authorities_of(tls.client_ca)
        if not any(_is_issued(one, anchor) for one in chain for anchor in anchors):
            raise _refusal(
                "client_certificate_not_trusted",
                f"its client certificate was issued by {_issuer(chain[-1])}, which is"
                " not in ocpp.tls.client_ca",
            )
        organizations = chain[0].subject.get_attributes_for_oid(
            NameOID.ORGANIZATION_NAME
        )
        if tls.organization not in {None, *(str(o.value) for o in organizations)}:
            raise _refusal(
                "client_certificate_not_trusted",
                "its client certificate does not carry the organization that"
                f" ocpp.tls.organization asks for, {tls.organization!r}",
            )

    async def _check_roots(self, exchange: Exchange, tls: TlsConfig) -> None:
        station_id = exchange.station_id
        problem = await self._roots_problem(station_id, tls)
        if problem is None:
            return
        said = await self._ask(exchange)
        if said.status not in {"Accepted", "NotFound"}:
            raise _refusal(
                "roots_unknown",
                "it does not say which CSMS roots it holds"
                f" (GetInstalledCertificateIds: {said.status or said.outcome}):"
                f" {problem}; or an admin may insist with force",
            )
        problem = await self._roots_problem(station_id, tls)
        if problem is not None:
            n_held = len(await self._held(station_id))
            holds = {
                0: "it holds no CSMS root",
                1: "the one CSMS root it holds did not sign our server certificate",
            }.get(
                n_held,
                f"none of the {n_held} CSMS roots it holds signed our server"
                " certificate",
            )
            raise _refusal("no_root_certificate", f"{holds}: {problem}")

    async def _ask(self, exchange: Exchange) -> Said:
        """Have the station list its roots; the records follow, if it answers."""
        said = Said(outcome="error")
        for command in exchange.adapter.encode_list((CertificateKind.CSMS_ROOT,)):
            await checked(exchange, command)
            said = await send(exchange, command)
        return said

    async def _held(self, station_id: StationId) -> list[HeldCertificate]:
        return await self._records.held_by(station_id, (CertificateKind.CSMS_ROOT,))

    async def _roots_problem(self, station_id: StationId, tls: TlsConfig) -> str | None:
        """Which root to install, and how; ``None`` if the right ones are there."""
        held = await self._held(station_id)
        for index, files in enumerate(tls.certificates):
            key = f"ocpp.tls.certificates[{index}]"
            chain = _chain_of(files, f"{key}.cert")
            roots = await self._roots_known(chain[-1])
            if not any(self._anchors(one, chain, roots) for one in held):
                return (
                    f"install the root {_issuer(chain[-1])} of {key}"
                    f" ({files.cert.name}) with "
                    + HOW_TO_INSTALL.format(station_id=station_id)
                )
        return None

    async def _roots_known(self, top: x509.Certificate) -> list[x509.Certificate]:
        """Issuers of the top of our chain that we have seen, valid now."""
        if is_self_signed(top):
            return [top]
        name = top.issuer.rfc4514_string()[:MAX_SUBJECT_CHARS]
        found = [
            certificate
            for (pem,) in await self._queries.rows(KNOWN_BY_SUBJECT, (name,))
            for certificate in load_pem(pem.encode())
        ]
        return [one for one in found if _is_issued(top, one)]

    def _anchors(
        self,
        held: HeldCertificate,
        chain: Sequence[x509.Certificate],
        roots: Sequence[x509.Certificate],
    ) -> bool:
        """Whether a certificate that a station holds is what our chain leads to.

        Only hashes are known of one that never passed through our hands. If nobody
        showed us the root of our chain either, the name has to do.
        """
        hashed = held.entry.hash
        if hashed.algorithm not in ALGORITHMS:
            return False
        ours = [one for one in (*chain[1:], *roots) if _is_named(one, hashed)]
        if ours or roots or held.known is not None:
            return any(is_within(one, self._clock.now()) for one in ours)
        return hashed.key[1] == name_hash(chain[-1].issuer, hashed.algorithm)


def _check_name(host: str, tls: TlsConfig) -> None:
    """Whether stations will take our certificates as those of a host (RFC 6125)."""
    for index, files in enumerate(tls.certificates):
        key = f"ocpp.tls.certificates[{index}]"
        names = names_of(_chain_of(files, f"{key}.cert")[0])
        if not any(is_name_of(name, host) for name in names):
            raise _refusal(
                "name_not_in_certificate",
                f"url: {key} ({files.cert.name}) is not for the host {host!r}, but for"
                f" {', '.join(map(repr, names)) or 'none'}: stations would refuse it",
            )


def _chain_of(files: CertificateFiles, key: str) -> list[x509.Certificate]:
    try:
        return server_chain(files)
    except (OSError, *UNREADABLE) as error:
        raise _refusal(
            "no_server_certificate", f"{key}: {files.cert} cannot be read"
        ) from error


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        check_issued(certificate, issuer)
    except CertificateError:
        return False
    return True


def _is_named(certificate: x509.Certificate, hashed: CertificateHash) -> bool:
    """Whether hash data name a certificate; a root by its key, whatever its serial."""
    _, name, key, serial = hashed.key
    if name != name_hash(certificate.issuer, hashed.algorithm):
        return False
    if not is_self_signed(certificate):
        return serial == serial_of(certificate)
    try:
        return key == key_hash(certificate, hashed.algorithm)
    except CertificateError:
        return False


def _issuer(certificate: x509.Certificate) -> str:
    return repr(certificate.issuer.rfc4514_string())


def _refusal(code: str, text: str) -> RequestError:
    return RequestError(CONFLICT, code, text)
