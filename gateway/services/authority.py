"""Certificate authorities: one of our own, or a program that reaches another's."""

import itertools
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.clock import Clock
from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.services.csr import to_pem
from gateway.services.program import run_program
from gateway.services.x509 import (
    MAX_CHAIN_CHARS,
    CertificateError,
    check_issued,
    common_name,
    is_self_signed,
    is_within,
    parse_chain,
)
from gateway.services.x509 import to_pem as chain_pem

BACKDATED: Final = timedelta(minutes=10)
"""Clocks of stations run behind."""
KEPT: Final = ("PATH", "HOME", "LANG")
"""Of our environment; the rest is no business of the program."""
MAX_OUTPUT_BYTES: Final = 65_536
_HOST_CHARS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
)


class Authority(Protocol):
    """Signs what has been checked."""

    async def sign(
        self,
        request: x509.CertificateSigningRequest,
        *,
        station_id: StationId,
        use: CertificateUse,
    ) -> tuple[x509.Certificate, ...]:
        """The chain for a request: the new certificate first, without the root.

        Raises:
            CertificateError: It could not be signed.
        """
        ...


class EmbeddedAuthority:
    """An authority whose key lies in a file.

    Args:
        chain: Its certificate first, then what is above it.
        key: Of its certificate.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self,
        chain: Sequence[x509.Certificate],
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        *,
        clock: Clock,
        validity: timedelta,
    ) -> None:
        self._chain = tuple(chain)
        self._key = key
        self._clock = clock
        self._validity = validity

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate."""
        return self._chain[0]

    async def sign(
        self,
        request: x509.CertificateSigningRequest,
        *,
        station_id: StationId,  # noqa: ARG002 - the checked subject names it
        use: CertificateUse,
    ) -> tuple[x509.Certificate, ...]:
        """See `Authority.sign`; extensions of the request are not taken over."""
        now = self._clock.now()
        issuer = self.certificate
        if not is_within(issuer, now):
            raise CertificateError("the authority's own certificate is not valid now")
        leaf = (
            _builder(request, use)
            .issuer_name(issuer.subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - BACKDATED, issuer.not_valid_before_utc))
            .not_valid_after(min(now + self._validity, issuer.not_valid_after_utc))
            .add_extension(_authority_key_id(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return (leaf, *(one for one in self._chain if not is_self_signed(one)))


class CommandAuthority:
    """An authority behind a program: a CSR goes in, a chain comes out.

    The program hears whose request it is in ``WATTPROOF_STATION_ID`` and
    ``WATTPROOF_CERTIFICATE_USE``; what it writes to its error output is logged.
    """

    def __init__(
        self, command: Sequence[str], *, timeout_s: float, clock: Clock
    ) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._clock = clock

    async def sign(
        self,
        request: x509.CertificateSigningRequest,
        *,
        station_id: StationId,
        use: CertificateUse,
    ) -> tuple[x509.Certificate, ...]:
        """See `Authority.sign`; the program's answer is checked, not trusted."""
        environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "WATTPROOF_STATION_ID": station_id,
            "WATTPROOF_CERTIFICATE_USE": use.value,
        }
        output = await self._run(to_pem(request).encode(), environment)
        try:
            chain = parse_chain(output.decode("ascii"), max_chars=MAX_OUTPUT_BYTES)
        except (UnicodeDecodeError, CertificateError) as error:
            raise CertificateError(f"ca.command: its output {error}") from error
        self._check(chain, request)
        kept = [chain[0], *(one for one in chain[1:] if not is_self_signed(one))]
        if len(chain_pem(kept)) > MAX_CHAIN_CHARS:
            raise CertificateError(
                f"ca.command: its chain has more than {MAX_CHAIN_CHARS} characters"
            )
        return tuple(kept)

    async def _run(self, request: bytes, environment: dict[str, str]) -> bytes:
        program = self._command[0]
        try:
            finished = await run_program(
                self._command,
                request,
                environment=environment,
                timeout_s=self._timeout_s,
                max_output_bytes=MAX_OUTPUT_BYTES,
            )
        except TimeoutError as error:
            raise CertificateError(
                f"ca.command: {program} took more than {self._timeout_s:g} s"
            ) from error
        except OSError as error:
            raise CertificateError(
                f"ca.command: {program} cannot be run: {error.strerror}"
            ) from error
        if finished.code != 0:
            words = " ".join(finished.said.decode(errors="replace").split())[:200]
            raise CertificateError(
                f"ca.command: {program} ended with {finished.code}:"
                f" {words or 'no reason'}"
            )
        if len(finished.output) > MAX_OUTPUT_BYTES:
            raise CertificateError(
                f"ca.command: {program} wrote more than {MAX_OUTPUT_BYTES} bytes"
            )
        return finished.output

    def _check(
        self, chain: list[x509.Certificate], request: x509.CertificateSigningRequest
    ) -> None:
        leaf = chain[0]
        if key_info(leaf.public_key()) != key_info(request.public_key()):
            raise CertificateError(
                "ca.command: its first certificate is not for the requested key"
            )
        if common_name(leaf.subject) != common_name(request.subject):
            raise CertificateError("ca.command: it changed the common name")
        if not is_within(leaf, self._clock.now()):
            raise CertificateError("ca.command: its certificate is not valid now")
        for child, issuer in itertools.pairwise(chain):
            check_issued(child, issuer)


def _builder(
    request: x509.CertificateSigningRequest, use: CertificateUse
) -> x509.CertificateBuilder:
    """What the certificate says of its holder; its issuer's half comes later.

    A station's certificate opens connections to us (client); a V2G certificate serves
    cars (server), so neither can stand in for the other.
    """
    key = request.public_key()
    purpose = (
        ExtendedKeyUsageOID.CLIENT_AUTH
        if use is CertificateUse.STATION
        else ExtendedKeyUsageOID.SERVER_AUTH
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            key_usage(
                digital_signature=True,
                key_encipherment=isinstance(key, rsa.RSAPublicKey),
                key_agreement=isinstance(key, ec.EllipticCurvePublicKey),
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    name = common_name(request.subject) or ""
    if name and set(name) <= _HOST_CHARS:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
    return builder


def _authority_key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)


def key_usage(**wanted: bool) -> x509.KeyUsage:
    """Key usages by name; those not named are not allowed."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


def key_info(key: object) -> bytes:
    """The whole public key (SubjectPublicKeyInfo, DER), for comparing."""
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
