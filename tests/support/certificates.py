"""Certificates for tests, made on the spot."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from gateway.config.tls import CertificateFiles, TlsConfig

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC)  # noqa: TID251 - OpenSSL judges by the machine's clock
YEAR = timedelta(days=365)


def ecdsa_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key() -> Key:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def subject(name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    key: Key
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str = "Test root") -> "Authority":
        key = ecdsa_key()
        return cls(key, _sign(subject(name), key, subject(name), key, is_ca=True))

    def issue(
        self,
        folder: Path,
        name: str,
        *,
        key: Key | None = None,
        organization: str | None = None,
        until: datetime = NOW + YEAR,
    ) -> CertificateFiles:
        """A certificate and its key as files; the name may be one of localhost."""
        key = key or ecdsa_key()
        certificate = _sign(
            subject(name, organization),
            key,
            self.certificate.subject,
            self.key,
            until=until,
        )
        stem = f"{name}-{certificate.serial_number}"
        files = CertificateFiles(
            cert=folder / f"{stem}.pem", key=folder / f"{stem}.key"
        )
        files.cert.write_bytes(certificate.public_bytes(Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        files.key.chmod(0o600)
        return files

    def file(self, folder: Path) -> Path:
        """The authority's certificate as a file."""
        path = folder / f"ca-{self.certificate.serial_number}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path


def _sign(
    name: x509.Name,
    key: Key,
    issuer: x509.Name,
    issuer_key: Key,
    *,
    is_ca: bool = False,
    until: datetime = NOW + YEAR,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(NOW, until) - YEAR)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )


def server_tls(folder: Path, root: Authority, clients: Authority) -> TlsConfig:
    """A TLS port with an ECDSA and an RSA certificate and client certificates."""
    return TlsConfig(
        port=0,
        certificates=(
            root.issue(folder, "server-ec"),
            root.issue(folder, "server-rsa", key=rsa_key()),
        ),
        client_ca=clients.file(folder),
    )


def client_context(
    root: Authority,
    folder: Path,
    *,
    certificate: CertificateFiles | None = None,
    suites: str | None = None,
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """A station's side of TLS."""
    context = ssl.create_default_context(cafile=root.file(folder))
    if certificate is not None:
        context.load_cert_chain(certificate.cert, certificate.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if suites is not None:
        context.set_ciphers(suites)
    return context
