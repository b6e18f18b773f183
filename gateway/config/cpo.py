"""Who operates the site and where it stands, as charge detail records say it."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.domain.connectors import ConnectorFormat, ConnectorStandard
from gateway.errors import ConfigError

_PATTERNS: Final = (
    ("country_code", r"[A-Z]{2}", 'is an ISO 3166-1 alpha-2 code such as "DE"'),
    ("party_id", r"[A-Z0-9]{3}", "is three capital letters or digits"),
    ("location_id", r"[ -~]{1,36}", "is 1 to 36 printable ASCII characters"),
    ("address", r".{1,45}", "is 1 to 45 characters"),
    ("city", r".{1,45}", "is 1 to 45 characters"),
    ("postal_code", r".{1,10}", "is 1 to 10 characters"),
    ("state", r".{1,20}", "is 1 to 20 characters"),
    ("country", r"[A-Z]{3}", 'is an ISO 3166-1 alpha-3 code such as "DEU"'),
)
"""Lengths and forms of OCPI 2.2.1 (10.4.2, 10.4.4)."""
REQUIRED: Final = ("country_code", "party_id", "address", "city", "country")
"""Without these there is no charge detail record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpoConfig:
    """Who operates the site, and where it is, for OCPI.

    Attributes:
        country_code: ISO 3166-1 alpha-2, of the operator; CDRs need it.
        party_id: The operator's three characters, as in its EVSE ids; CDRs need it.
        location_id: Names the site in OCPI; never change it.
        address: Street and number; CDRs need it.
        city: CDRs need it.
        postal_code: Left out only where there is none.
        state: Where that matters.
        country: ISO 3166-1 alpha-3, of the site; CDRs need it.
        ac_connector: OCPI standard of AC connectors, where neither the EVSE nor the
            station says another.
        ac_format: ``SOCKET``, or ``CABLE`` where a cable hangs on the station.
        dc_connector: As ``ac_connector``, of DC ones.
        dc_format: As ``ac_format``, of DC ones.
    """

    country_code: str | None = None
    party_id: str | None = None
    location_id: str = "site"
    address: str | None = None
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None
    country: str | None = None
    ac_connector: ConnectorStandard = ConnectorStandard.IEC_62196_T2
    ac_format: ConnectorFormat = ConnectorFormat.SOCKET
    dc_connector: ConnectorStandard = ConnectorStandard.IEC_62196_T2_COMBO
    dc_format: ConnectorFormat = ConnectorFormat.CABLE

    def __post_init__(self) -> None:
        for name, pattern, problem in _PATTERNS:
            value = getattr(self, name)
            if value is not None and re.fullmatch(pattern, value) is None:
                raise ConfigError(name, f"{problem}, not {value!r}")

    def missing(self) -> tuple[str, ...]:
        """Dotted keys that charge detail records need and nobody has set."""
        return tuple(f"cpo.{name}" for name in REQUIRED if getattr(self, name) is None)
