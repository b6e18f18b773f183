"""Plug and charge: contract certificates are checked (2.0.1, C07).

A chain that the station could not check itself must lead to a configured root, and no
certificate that hashes or the chain name may be revoked. Whatever cannot be verified
lets nobody charge.
"""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

from gateway.clock import Clock
from gateway.domain.certificates import plain_serial
from gateway.domain.ids import StationId
from gateway.errors import ConfigError
from gateway.ocpp.inquiries import (
    CertificateStatusAsked,
    ContractAnswered,
    ContractPresented,
    ContractStatus,
)
from gateway.services.certificate_intake import UNREADABLE
from gateway.services.inquiries import Found
from gateway.services.ocsp import (
    OcspAnswer,
    OcspClient,
    OcspFailed,
    Revocation,
)
from gateway.services.x509 import (
    ALGORITHMS,
    CertificateError,
    check_issued,
    common_name,
    is_self_signed,
    key_of,
    name_hash,
    parse_chain,
    serial_of,
    subject_of,
)

MAX_ROOTS_CHARS: Final = 1_000_000
MAX_DEPTH: Final = 6
"""Certificates from the leaf to the root; ISO 15118-2 knows four."""
EMAID_CHARS: Final = 14
"""Without the optional check digit (ISO 15118-2, annex H)."""

_log = structlog.get_logger()


class Refused(Exception):
    """A contract certificate does not hold; ``status`` says how."""

    def __init__(self, status: ContractStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def load_roots(paths: Sequence[Path]) -> tuple[x509.Certificate, ...]:
    """The certificates of ``iso15118.roots``: roots, and sub-CAs below them.

    Raises:
        ConfigError: A file cannot be read or holds something else.
    """
    found: list[x509.Certificate] = []
    for index, path in enumerate(paths):
        try:
            text = path.read_text("ascii")
            for block in _blocks(text):
                found += parse_chain(block)
        except (OSError, UnicodeDecodeError, CertificateError) as error:
            raise ConfigError(f"iso15118.roots[{index}]", f"{path}: {error}") from None
    return tuple(found)


class Contracts:
    """Checks contract certificates. Loop thread only.

    Args:
        roots: As `load_roots` gives them.
        ocsp: Knows what is revoked.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self, *, roots: Sequence[x509.Certificate], ocsp: OcspClient, clock: Clock
    ) -> None:
        self._roots = tuple(one for one in roots if is_self_signed(one))
        self._below = tuple(one for one in roots if one not in self._roots)
        self._ocsp = ocsp
        self._clock = clock

    async def answer(
        self, station_id: StationId, presented: ContractPresented
    ) -> Found | None:
        """Authorize with a certificate: the status of the certificate, always."""
        status = ContractStatus.ACCEPTED
        try:
            path = [] if presented.chain is None else self._path(presented)
            await self._check_revocation(presented.hash_data, path)
        except Refused as refused:
            status = refused.status
            _log.warning(
                "contract.refused",
                station_id=station_id,
                status=status.value,
                why=str(refused),
            )
        return Found(finding=ContractAnswered(status=status))

    def _path(self, presented: ContractPresented) -> list[x509.Certificate]:
        """The chain from the contract certificate to one of our roots, checked."""
        try:
            sent = parse_chain(presented.chain or "")
            return self._checked_path(sent, presented.token.value)
        except CertificateError as error:
            raise Refused(ContractStatus.CHAIN_ERROR, f"the chain {error}") from error
        except UNREADABLE as error:  # parts are read only when they are looked at
            raise Refused(ContractStatus.CHAIN_ERROR, "unreadable parts") from error

    def _checked_path(
        self, sent: list[x509.Certificate], token: str
    ) -> list[x509.Certificate]:
        leaf = sent[0]
        path = self._to_root(leaf, [*sent[1:], *self._below])
        if path is None:
            raise Refused(
                ContractStatus.CHAIN_ERROR,
                f"{subject_of(leaf)} does not lead to a root of iso15118.roots",
            )
        _check_keys(path)
        _check_constraints(path)
        _check_dates(path, self._clock.now())
        name = common_name(leaf.subject)
        if name is None or _emaid(name) != _emaid(token):
            raise Refused(
                ContractStatus.CHAIN_ERROR, "the certificate is for another contract"
            )
        return path

    def _to_root(
        self, leaf: x509.Certificate, others: Sequence[x509.Certificate]
    ) -> list[x509.Certificate] | None:
        """The shortest way up; every certificate is tried once, however they cross."""
        ways, left = [[leaf]], list(others)
        for _ in range(MAX_DEPTH):
            longer: list[list[x509.Certificate]] = []
            for way in ways:
                for root in self._roots:
                    if _is_issued(way[-1], root):
                        return [*way, root]
                above = [one for one in left if _is_issued(way[-1], one)]
                left = [one for one in left if one not in above]
                longer += [[*way, one] for one in above]
            ways = longer
        return None

    async def _check_revocation(
        self,
        hash_data: Sequence[CertificateStatusAsked],
        path: Sequence[x509.Certificate],
    ) -> None:
        """Ask for what the station named, and for what the chain names besides.

        All at once: the car waits for seconds only.
        """
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(self._by_hash(one, path), name="contract.hash")
                for one in hash_data
            ]
            asked += [
                tasks.create_task(self._by_name(one, issuer), name="contract.chain")
                for one, issuer in itertools.pairwise(path)
                if not any(_names(other, one) for other in hash_data)
            ]
        refusals = [task.result() for task in asked]
        worst = max(filter(None, refusals), key=_is_revoked, default=None)
        if worst is not None:
            raise worst

    async def _by_hash(
        self, asked: CertificateStatusAsked, path: Sequence[x509.Certificate]
    ) -> Refused | None:
        try:
            answer = await self._ocsp.ask(asked, issuers=path[1:])
        except OcspFailed as error:
            return Refused(ContractStatus.CHAIN_ERROR, str(error))
        return _refusal(answer, is_https=asked.responder_url.startswith("https:"))

    async def _by_name(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> Refused | None:
        try:
            answer = await self._ocsp.status_of(certificate, issuer)
        except OcspFailed as error:
            return Refused(ContractStatus.CHAIN_ERROR, str(error))
        return None if answer is None else _refusal(answer, is_https=False)


def _blocks(text: str) -> list[str]:
    """The certificates of a file one by one, so that a long list is no long chain."""
    if len(text) > MAX_ROOTS_CHARS:
        raise CertificateError(f"has more than {MAX_ROOTS_CHARS} characters")
    end = "-----END CERTIFICATE-----"
    parts = [part + end for part in text.split(end)[:-1]]
    if not parts:
        raise CertificateError("holds no certificate in PEM")
    return parts


def _is_issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    if one.issuer != issuer.subject:
        return False
    try:
        check_issued(one, issuer)
    except CertificateError:
        return False
    return True


def _check_keys(path: Sequence[x509.Certificate]) -> None:
    try:
        for one in path:
            key_of(one.public_key())
    except (*UNREADABLE, CertificateError) as error:
        raise Refused(ContractStatus.CHAIN_ERROR, str(error)) from error


def _check_constraints(path: Sequence[x509.Certificate]) -> None:
    """Path lengths, and nothing critical that we do not understand (RFC 5280, 6.1)."""
    for n_below, one in enumerate(path[1:]):
        try:
            basic = one.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (*UNREADABLE, x509.ExtensionNotFound) as error:  # checked: it is a CA
            raise Refused(ContractStatus.CHAIN_ERROR, "a broken CA") from error
        if basic.path_length is not None and n_below > basic.path_length:
            raise Refused(
                ContractStatus.CHAIN_ERROR, f"too many CAs below {subject_of(one)}"
            )
    for one in path:
        try:
            unknown = [
                extension.oid.dotted_string
                for extension in one.extensions
                if extension.critical
                and isinstance(extension.value, x509.UnrecognizedExtension)
            ]
        except UNREADABLE as error:
            raise Refused(ContractStatus.CHAIN_ERROR, "broken extensions") from error
        if unknown:
            raise Refused(
                ContractStatus.CHAIN_ERROR, f"unknown critical part {unknown[0]}"
            )


def _check_dates(path: Sequence[x509.Certificate], now: datetime) -> None:
    for one in path:
        if now > one.not_valid_after_utc:
            raise Refused(ContractStatus.EXPIRED, f"{subject_of(one)} has expired")
        if now < one.not_valid_before_utc:
            raise Refused(
                ContractStatus.CHAIN_ERROR, f"{subject_of(one)} is not valid yet"
            )


def _refusal(answer: OcspAnswer, *, is_https: bool) -> Refused | None:
    """Only a proven "good", or one over an authenticated connection, is one."""
    if answer.status is Revocation.REVOKED:
        return Refused(ContractStatus.REVOKED, "a certificate is revoked")
    if answer.status is not Revocation.GOOD:
        return Refused(ContractStatus.CHAIN_ERROR, "the responder does not know it")
    if not answer.is_proven and not is_https:
        return Refused(
            ContractStatus.CHAIN_ERROR,
            "an answer over http whose issuer is not in iso15118.roots",
        )
    return None


def _is_revoked(refused: Refused) -> bool:
    return refused.status is ContractStatus.REVOKED


def _names(asked: CertificateStatusAsked, one: x509.Certificate) -> bool:
    if asked.hash_algorithm not in ALGORITHMS:
        return False
    return plain_serial(asked.serial_number) == serial_of(one) and (
        name_hash(one.issuer, asked.hash_algorithm) == asked.issuer_name_hash.lower()
    )


def _emaid(text: str) -> str:
    """An eMAID without separators and check digit."""
    plain = text.replace("-", "").casefold()
    return plain[:-1] if len(plain) == EMAID_CHARS + 1 else plain
