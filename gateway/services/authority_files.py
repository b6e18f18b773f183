"""Files of the embedded authority: read and checked, or made at the first start."""

import os
import stat
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from gateway.clock import Clock
from gateway.config import CaConfig
from gateway.errors import ConfigError, StartupError
from gateway.services.authority import (
    BACKDATED,
    MAX_OUTPUT_BYTES,
    Authority,
    CommandAuthority,
    EmbeddedAuthority,
    key_info,
    key_usage,
)
from gateway.services.x509 import CertificateError, is_ca, parse_chain

ROOT_LIFE: Final = timedelta(days=3_650)


def open_authority(config: CaConfig, *, folder: Path, clock: Clock) -> Authority:
    """The authority of the configuration; made on the first start where it may be.

    Args:
        config: The section ``[ca]``.
        folder: For certificate and key, where the section names no files.
        clock: The time that X.509 counts in.

    Raises:
        ConfigError: A file is missing, unreadable, or not an authority.
        StartupError: The files cannot be made.
    """
    if config.command:
        return CommandAuthority(
            config.command, timeout_s=config.command_timeout_s, clock=clock
        )
    cert_path, key_path = paths_of(config, folder)
    if not cert_path.exists() and not key_path.exists():
        _make(cert_path, key_path, config.cpo_name or "Wattproof", clock.now())
    chain, key = load(cert_path, key_path)
    return EmbeddedAuthority(
        chain, key, clock=clock, validity=timedelta(days=config.validity_days)
    )


def paths_of(config: CaConfig, folder: Path) -> tuple[Path, Path]:
    """Certificate and key of the embedded authority."""
    return config.cert or folder / "ca.pem", config.key or folder / "ca.key"


def load(
    cert_path: Path, key_path: Path
) -> tuple[list[x509.Certificate], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    """An authority's chain and key.

    Raises:
        ConfigError: A file cannot be read, or they are no authority.
    """
    try:
        chain = parse_chain(cert_path.read_text("ascii"), max_chars=MAX_OUTPUT_BYTES)
    except (OSError, UnicodeDecodeError, CertificateError) as error:
        raise ConfigError("ca.cert", f"{cert_path}: {error}") from None
    try:
        if key_path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError("ca.key", f"{key_path} is open to others: chmod 600 it")
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("ca.key", f"{key_path}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigError("ca.key", f"{key_path}: must be an RSA or ECDSA key")
    if key_info(key.public_key()) != key_info(chain[0].public_key()):
        raise ConfigError("ca.key", f"{key_path} does not belong to {cert_path}")
    if not is_ca(chain[0]):
        raise ConfigError("ca.cert", f"{cert_path} may not sign certificates")
    return chain, key


def _make(cert_path: Path, key_path: Path, owner: str, now: datetime) -> None:
    """A root of our own: ECDSA P-256, for stations only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, owner),
            x509.NameAttribute(NameOID.COMMON_NAME, "Wattproof station root"),
        ]
    )
    usage = key_usage(key_cert_sign=True, crl_sign=True)
    root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        for path in (cert_path, key_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(key_path, secret)
        _write_whole(cert_path, root.public_bytes(serialization.Encoding.PEM))
        cert_path.chmod(0o644)
    except OSError as error:
        raise StartupError(f"cannot make the certificate authority: {error}") from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for its owner only."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=path.name, suffix=".new"
    ) as file:  # created 0600
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)
