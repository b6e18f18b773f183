"""TLS of the OCPP port: its certificates, their checks, and what a connection used.

Suites: those that a central system must support (A00.FR.317, FR.421). Two of them have
no forward secrecy; they come last in our order, so only a station that knows nothing
better gets them, and ``static_rsa = false`` takes them away. The legacy port adds older
ones; OpenSSL 3 speaks TLS 1.0 and 1.1 at security level 0 only.
"""

import os
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import (
    PrivateKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.config.tls import CertificateFiles, TlsConfig
from gateway.domain.connection import (
    PLAIN,
    TLS_BASIC,
    TLS_CERTIFICATE,
    ConnectionSecurity,
)
from gateway.errors import ConfigError
from gateway.services.certificate_intake import UNREADABLE, load_pem
from gateway.services.x509 import CertificateError, parse_der, subject_of, walk

SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
STATIC_RSA_SUITES: Final = "AES128-GCM-SHA256:AES256-GCM-SHA384"
LEGACY_SUITES: Final = (
    f"{SUITES}:ECDHE+AES:{STATIC_RSA_SUITES}:RSA+AES:!NULL:@SECLEVEL=0"
)
SOON_DAYS: Final = 30
SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH
ANY_USAGE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def check(
    config: TlsConfig, now: datetime, *, to_come: Path | None = None
) -> list[str]:
    """Check the files; what is usable but should be known, one sentence each.

    Args:
        config: The section.
        now: The time that X.509 counts in.
        to_come: A certificate that the first start will make: as ``client_ca`` it is
            nothing to be missed yet.

    Raises:
        ConfigError: A file cannot be read or used; names the dotted key.
    """
    warnings: list[str] = []
    kinds: set[str] = set()
    for index, files in enumerate(config.certificates):
        path = f"ocpp.tls.certificates[{index}]"
        chain = _check_pair(files, path)
        warnings.extend(_pair_warnings(chain, files, path, now))
        kind = type(chain[0].public_key()).__name__
        if kind in kinds:
            warnings.append(
                f"{path}.cert: replaces an earlier one of the same key type"
            )
        kinds.add(kind)
    if config.client_ca is not None and not _is_same(config.client_ca, to_come):
        path = "ocpp.tls.client_ca"
        for authority in _certificates(config.client_ca, path):
            warnings.extend(_validity(authority, path, now))
    elif config.client_ca is None and config.organization is not None:
        warnings.append("ocpp.tls.organization: means nothing without client_ca")
    is_made_later = _is_same(config.client_ca, to_come)
    context_of(replace(config, client_ca=None) if is_made_later else config)
    if config.legacy_port is not None:
        context_of(config, is_legacy=True)
    return warnings


def legacy_warnings(config: TlsConfig) -> list[str]:
    """That there is a port for old TLS, if there is; one sentence."""
    if config.legacy_port is None:
        return []
    text = (
        "ocpp.tls.legacy_port: takes TLS 1.0 and 1.1, which are broken: for stations"
        " that know nothing newer, on a network of their own; take it away when"
        " GET /api/v1/tls/legacy lists none"
    )
    return [text]


def context_of(config: TlsConfig, *, is_legacy: bool = False) -> ssl.SSLContext:
    """A context with every certificate; `check` first.

    Args:
        config: The files.
        is_legacy: For the port that takes old TLS, and no client certificates.

    Raises:
        ConfigError: OpenSSL does not take one of the files, or knows no old TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if is_legacy:
        _take_old(context)
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        suites = [SUITES, STATIC_RSA_SUITES] if config.static_rsa else [SUITES]
        context.set_ciphers(":".join(suites))
    for index, files in enumerate(config.certificates):
        try:
            context.load_cert_chain(files.cert, files.key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ConfigError(
                f"ocpp.tls.certificates[{index}]", f"cannot be used: {error}"
            ) from None
    if config.client_ca is not None and not is_legacy:
        try:
            context.load_verify_locations(config.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(
                "ocpp.tls.client_ca", f"cannot be used: {error}"
            ) from None
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def fingerprint(config: TlsConfig) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files does."""
    return tuple(
        (status.st_mtime_ns, status.st_size)
        for status in (path.stat() for path in _files(config))
    )


def security_of(
    ssl_object: object, *, port: int | None = None, is_legacy: bool = False
) -> ConnectionSecurity:
    """What a connection used, from its ``ssl_object``; ``None`` for a plain one.

    Args:
        ssl_object: Its TLS layer.
        port: The port of ours that it came in by.
        is_legacy: Whether that is the legacy port.
    """
    if not isinstance(ssl_object, ssl.SSLObject):
        return replace(PLAIN, port=port)
    cipher = ssl_object.cipher()
    security = ConnectionSecurity(
        profile=TLS_BASIC,
        tls_version=ssl_object.version(),
        cipher=None if cipher is None else cipher[0],
        port=port,
        is_legacy=is_legacy,
    )
    der = ssl_object.getpeercert(binary_form=True)
    if not der:
        return security
    security = replace(security, profile=TLS_CERTIFICATE, client_certificate=der)
    try:
        certificate = parse_der(der)
    except CertificateError as error:
        return replace(security, client_flaw=str(error))
    return replace(
        security,
        client_name=_name(certificate, NameOID.COMMON_NAME),
        client_organization=_name(certificate, NameOID.ORGANIZATION_NAME),
        client_serial=f"{certificate.serial_number:X}",
        client_not_after=certificate.not_valid_after_utc,
    )


def _take_old(context: ssl.SSLContext) -> None:
    if not ssl.HAS_TLSv1 and not ssl.HAS_TLSv1_1:
        raise ConfigError(
            "ocpp.tls.legacy_port", f"{ssl.OPENSSL_VERSION} has no TLS below 1.2"
        )
    # The least that this OpenSSL has: SSL 3 stays off by Python's OP_NO_SSLv3.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(LEGACY_SUITES)


def _files(config: TlsConfig) -> Iterator[Path]:
    for files in config.certificates:
        yield from (files.cert, files.key)
    if config.client_ca is not None:
        yield config.client_ca


def _is_same(path: Path | None, other: Path | None) -> bool:
    if path is None or other is None:
        return False
    return os.path.realpath(path) == os.path.realpath(other)


def _check_pair(files: CertificateFiles, path: str) -> list[x509.Certificate]:
    chain = _certificates(files.cert, f"{path}.cert")
    key = _key(files.key, f"{path}.key")
    try:
        public = chain[0].public_key()
    except UNREADABLE:
        raise ConfigError(
            f"{path}.cert", f"{files.cert} has a key of an unknown kind"
        ) from None
    if _spki(public) != _spki(key.public_key()):
        raise ConfigError(f"{path}.key", f"does not belong to {files.cert}")
    return chain


def _pair_warnings(
    chain: Sequence[x509.Certificate],
    files: CertificateFiles,
    path: str,
    now: datetime,
) -> Iterator[str]:
    """What is odd about a server certificate, its chain and its key.

    A group may read the key: that is how distributions hand keys to services.
    """
    for one in chain:
        yield from _validity(one, f"{path}.cert", now)
    signed = walk(chain)
    if len(signed) < len(chain):
        yield (
            f"{path}.cert: {subject_of(signed[-1])} is not signed by"
            f" {subject_of(chain[len(signed)])}, which follows it: the server's own"
            " certificate comes first, then whoever signed the one before"
        )
    try:
        usage = chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        pass  # for everything
    except UNREADABLE:
        yield f"{path}.cert: has an extension that cannot be read"
    else:
        if not {SERVER_AUTH, ANY_USAGE} & set(usage.value):
            yield f"{path}.cert: is not for servers (extended key usage)"
    if files.key.stat().st_mode & stat.S_IRWXO:
        yield f"{path}.key: {files.key} is open to others: chmod 600 it"


def _certificates(path: Path, dotted: str) -> list[x509.Certificate]:
    try:
        return load_pem(_read(path, dotted))
    except UNREADABLE:
        raise ConfigError(dotted, f"{path} holds no PEM certificate") from None


def _key(path: Path, dotted: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read(path, dotted), None)
    except TypeError:
        raise ConfigError(dotted, f"{path} has a passphrase: take it off") from None
    except UNREADABLE:
        raise ConfigError(dotted, f"{path} holds no PEM private key") from None


def _read(path: Path, dotted: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(dotted, f"{path} cannot be read: {error.strerror}") from None


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _validity(
    certificate: x509.Certificate, dotted: str, now: datetime
) -> Iterator[str]:
    until = certificate.not_valid_after_utc
    if until <= now:
        yield f"{dotted}: {subject_of(certificate)} expired at {until.isoformat()}"
    elif (until - now).days < SOON_DAYS:
        yield f"{dotted}: {subject_of(certificate)} expires at {until.isoformat()}"
    if certificate.not_valid_before_utc > now:
        since = certificate.not_valid_before_utc.isoformat()
        yield f"{dotted}: {subject_of(certificate)} is not valid before {since}"


def _name(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    """The one value of a part of the subject; several mean nothing certain."""
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else None
