"""Where a session took place and who was charged, as a CDR says it (10.4.2, 10.4.3)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.domain.assets import CurrentType, Evse, Position
from gateway.domain.connectors import ConnectorFormat, ConnectorStandard, PowerType
from gateway.domain.ids import EvseRef, IdToken, SessionId

MAX_ID: Final = 36
MAX_NAME: Final = 255
MAX_EVSE_ID: Final = 48
_HASH_CHARS: Final = 8
_CONTRACT: Final = re.compile(
    r"([A-Z]{2})([*-]?)([A-Z0-9]{3})\2[A-Z0-9]{8,9}(?:\2[A-Z0-9])?", re.IGNORECASE
)
"""Contract ids of ISO 15118 and DIN 91286: country, provider, the rest."""
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"ISO14443": "RFID", "ISO15693": "RFID", "Central": "AD_HOC_USER"}
)
EMAID: Final = "eMAID"
_BY_PHASES: Final = {
    1: PowerType.AC_1_PHASE,
    2: PowerType.AC_2_PHASE,
    3: PowerType.AC_3_PHASE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """An operator or a provider."""

    country_code: str
    party_id: str

    def to_json(self) -> dict[str, object]:
        """As OCPI has it in every object."""
        return {"country_code": self.country_code, "party_id": self.party_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The site as OCPI's location.

    Attributes:
        country: ISO 3166-1 alpha-3.
    """

    id: str
    name: str
    address: str
    city: str
    postal_code: str | None
    state: str | None
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """The connector that was used."""

    standard: ConnectorStandard
    format: ConnectorFormat
    power_type: PowerType


def location(
    address: Address, position: Position, *, operator: Party, ref: EvseRef, plug: Plug
) -> dict[str, object]:
    """A ``CdrLocation``; members without a value are left out."""
    document: dict[str, object] = {
        "id": address.id,
        "name": address.name[:MAX_NAME],
        "address": address.address,
        "city": address.city,
    }
    if address.postal_code is not None:
        document["postal_code"] = address.postal_code
    if address.state is not None:
        document["state"] = address.state
    return document | {
        "country": address.country,
        "coordinates": {
            "latitude": f"{position.latitude_deg:.6f}",
            "longitude": f"{position.longitude_deg:.6f}",
        },
        "evse_uid": short(f"{ref.station_id}-{ref.evse_id}"),
        "evse_id": evse_id(operator, ref),
        "connector_id": str(ref.connector_id),
        "connector_standard": plug.standard.value,
        "connector_format": plug.format.value,
        "connector_power_type": plug.power_type.value,
    }


def evse_id(operator: Party, ref: EvseRef) -> str:
    """The EVSE id of eMI3: ``DE*ABC*E`` and the station's id with the EVSE's number.

    A station whose id is one already (``DE*ABC*E...`` with any separator) keeps it.
    """
    words = re.sub(r"[^A-Z0-9]+", "*", ref.station_id.upper()).strip("*")
    prefix = f"{operator.country_code}*{operator.party_id}*E"
    own = words if words.startswith(prefix) else f"{prefix}{words}"
    return short(f"{own}*{ref.evse_id}", MAX_EVSE_ID)


def plug_of(
    evse: Evse,
    reported: tuple[ConnectorStandard, ConnectorFormat] | None,
    usual: tuple[ConnectorStandard, ConnectorFormat],
) -> Plug:
    """The connector of an EVSE: as wired, as its station reports it, or as usual."""
    standard, form = reported or usual
    is_dc = evse.current_type is CurrentType.DC
    return Plug(
        standard=evse.connector or standard,
        format=evse.connector_format or form,
        power_type=PowerType.DC if is_dc else _BY_PHASES[len(evse.phases)],
    )


def token(
    presented: IdToken | None,
    *,
    session_id: SessionId,
    contract_id: str | None,
    operator: Party,
) -> dict[str, object]:
    """A ``CdrToken``.

    Args:
        presented: By the driver; ``None``: a session without, whose one-time token is
            its own id.
        session_id: The session.
        contract_id: Of the token, where it is known; else the token stands for it.
        operator: Issues every token that no contract says otherwise of.
    """
    kind = None if presented is None else presented.kind
    value = session_id if presented is None or not presented.value else presented.value
    if contract_id is None and kind == EMAID:
        contract_id = value
    issuer = provider(contract_id) or operator
    if value == session_id:
        word = "AD_HOC_USER"
    else:
        word = "RFID" if kind is None else _KINDS.get(kind, "OTHER")
    return issuer.to_json() | {
        "uid": short(value),
        "type": word,
        "contract_id": short(contract_id or value),
    }


def provider(contract_id: str | None) -> Party | None:
    """Who issued a contract, from its id; ``None``: it does not say."""
    found = None if contract_id is None else _CONTRACT.fullmatch(contract_id)
    if found is None:
        return None
    return Party(country_code=found[1].upper(), party_id=found[3].upper())


def short(text: str, most: int = MAX_ID) -> str:
    """An id that OCPI takes: printable ASCII, not too long.

    What is something else is made so, and ends in a digest of all of it.
    """
    plain = re.sub(r"[^ -~]", "_", text)
    if plain == text and len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[: most - _HASH_CHARS - 1]}-{digest[:_HASH_CHARS]}"
