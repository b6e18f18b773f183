"""``[ocpp.tls]``: stations over TLS, security profiles 2 and 3."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config.reader import Range
from gateway.errors import ConfigError

MAX_PORT: Final = 65_535
MAX_ORGANIZATION_CHARS: Final = 64
"""X.520, ub-organization-name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A server certificate.

    Attributes:
        cert: PEM: the certificate, then its issuers up to below the root.
        key: PEM, without a passphrase.
    """

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """A second port for stations, with TLS 1.2 or later.

    Attributes:
        port: Its number; the address is ``server.ocpp_host``.
        certificates: One per kind of key: RSA and ECDSA serve side by side.
        client_ca: PEM: who signs station certificates (profile 3); without it there is
            no profile 3.
        organization: O that a station certificate must carry; ``None``: any.
        static_rsa: Also take TLS_RSA_WITH_AES_128/256_GCM from stations that offer
            nothing better: a central system must (A00.FR.317). No forward secrecy.
        legacy_port: A port more for OCPP 1.6 stations that know TLS 1.0 or 1.1 only,
            with suites as old, static RSA among them; security profile 2, never 3.
            None: there is none, as it should be.
    """

    port: Annotated[int, Range(low=0, high=MAX_PORT)] = 9443
    certificates: tuple[CertificateFiles, ...]
    client_ca: Path | None = None
    organization: str | None = None
    static_rsa: bool = True
    legacy_port: Annotated[int | None, Range(low=0, high=MAX_PORT)] = None

    def __post_init__(self) -> None:
        if not self.certificates:
            raise ConfigError("certificates", "needs at least one {cert, key}")
        if self.organization is not None and not (
            0 < len(self.organization) <= MAX_ORGANIZATION_CHARS
        ):
            raise ConfigError(
                "organization", f"has 1 to {MAX_ORGANIZATION_CHARS} characters"
            )
