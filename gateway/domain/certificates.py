"""Words and keys of X.509 certificates, the same for every OCPP version."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CertificateUse(StrEnum):
    """What a station's own certificate is for (``CertificateSigningUseEnumType``)."""

    STATION = "ChargingStationCertificate"
    V2G = "V2GCertificate"


class CertificateKind(StrEnum):
    """What a station keeps a certificate for (``GetCertificateIdUseEnumType``).

    1.6 knows two of them and calls the first ``CentralSystemRootCertificate``.
    """

    CSMS_ROOT = "CSMSRootCertificate"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"
    V2G_ROOT = "V2GRootCertificate"
    MO_ROOT = "MORootCertificate"
    V2G_CHAIN = "V2GCertificateChain"


ROOT_KINDS: Final = frozenset(CertificateKind) - {CertificateKind.V2G_CHAIN}
CENTRAL_ROOT: Final = "CentralSystemRootCertificate"
"""The 1.6 word for a `CertificateKind.CSMS_ROOT`."""


def kind_of(word: str) -> CertificateKind:
    """A kind by its word of either version.

    Raises:
        ValueError: There is no such kind.
    """
    if word == CENTRAL_ROOT:
        return CertificateKind.CSMS_ROOT
    return CertificateKind(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateHash:
    """``CertificateHashDataType``: names a certificate without carrying it.

    Attributes:
        algorithm: ``SHA256``, ``SHA384`` or ``SHA512``.
        issuer_name_hash: Of the issuer's DER name, hexadecimal as the station wrote it.
        issuer_key_hash: Of the issuer's public key bits, hexadecimal.
        serial_number: Hexadecimal, no prefix, no leading zeros.
    """

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What two spellings of the same certificate have in common."""
        return (
            self.algorithm,
            self.issuer_name_hash.casefold(),
            self.issuer_key_hash.casefold(),
            plain_serial(self.serial_number),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """One entry of a station's certificate store.

    Attributes:
        children: Sub-CAs below the V2G certificate of a `CertificateKind.V2G_CHAIN`.
    """

    kind: CertificateKind
    hash: CertificateHash
    children: tuple[CertificateHash, ...] = ()


def plain_serial(text: str) -> str:
    """A hexadecimal serial number as we compare it: lower case, no leading zeros."""
    stripped = text.strip().casefold().removeprefix("0x").replace(":", "")
    return stripped.lstrip("0") or "0"
