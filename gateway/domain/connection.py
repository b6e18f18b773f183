"""How a station's connection is secured, and who its certificate says it is."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

BASIC: Final = 1
TLS_BASIC: Final = 2
TLS_CERTIFICATE: Final = 3
OLD_TLS: Final = frozenset({"TLSv1", "TLSv1.1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSecurity:
    """What a connection used (security profiles: 1.6 whitepaper 3, 2.0.1 A00).

    Attributes:
        profile: 1 without TLS, 2 with TLS, 3 with TLS and a client certificate.
        tls_version: As ``TLSv1.3``; ``None`` without TLS.
        cipher: OpenSSL's name of the suite.
        port: TCP port of ours that it came in by.
        is_legacy: Whether that is the port for old TLS.
        client_name: Common name of the client certificate: the station's serial number.
        client_organization: O of the client certificate: the operator's name.
        client_serial: Serial number of the certificate, hexadecimal.
        client_not_after: When the certificate expires.
        client_certificate: All of it, DER.
        client_flaw: Why the certificate cannot be taken, to follow its name; nothing of
            it is known then.
    """

    profile: int
    tls_version: str | None = None
    cipher: str | None = None
    port: int | None = None
    is_legacy: bool = False
    client_name: str | None = None
    client_organization: str | None = None
    client_serial: str | None = None
    client_not_after: datetime | None = None
    client_certificate: bytes | None = field(default=None, repr=False)
    client_flaw: str | None = None

    @property
    def is_old_tls(self) -> bool:
        """Whether the TLS is older than 1.2 (forbidden by A00.FR.312)."""
        return self.tls_version in OLD_TLS


PLAIN: Final = ConnectionSecurity(profile=BASIC)
