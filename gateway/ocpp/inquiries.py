"""What a station asks that only a service can answer, the same for every version.

Most CALLs are answered from their commit alone. A few ask something of the system that
takes time or another party: a certificate authority, an OCSP responder, a vendor's own
data. Their adapter describes the question as an *inquiry*; a service answers it with a
*finding*, from which the adapter makes the reply. Without a finding (nobody answers
such questions here, or not in time) the reply is the version's polite refusal.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gateway.domain.charging_needs import CarNeeds, CarSchedule
from gateway.domain.ids import EvseRef, IdToken


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOffered:
    """DataTransfer of a station (1.6, 4.3; 2.0.1, P02).

    Attributes:
        data: As the wire has it: text in 1.6, any JSON in 2.0.1.
        has_record: It brought signed meter data of a transaction, which is understood
            whoever the vendor is.
    """

    vendor_id: str
    message_id: str | None
    data: object
    has_record: bool = False


class DataStatus(StrEnum):
    """Words of ``DataTransferStatus``, the same in both versions."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_MESSAGE = "UnknownMessageId"
    UNKNOWN_VENDOR = "UnknownVendorId"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAnswered:
    """Answer to `DataOffered`."""

    status: DataStatus
    data: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAsked:
    """SignCertificate (1.6 whitepaper, A02/A03; 2.0.1, A02, A03).

    Attributes:
        csr: PKCS#10 in PEM.
        use: ``ChargingStationCertificate`` or ``V2GCertificate``.
    """

    csr: str
    use: str = "ChargingStationCertificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAnswered:
    """Answer to `SigningAsked`: whether a certificate will be sent."""

    is_accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatusAsked:
    """GetCertificateStatus (2.0.1, M06): hashes as hexadecimal text."""

    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    responder_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatusAnswered:
    """Answer to `CertificateStatusAsked`: the OCSP response, DER in base64."""

    ocsp_result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvCertificateAsked:
    """Get15118EVCertificate (2.0.1, M01, M02): EXI in base64, never looked into."""

    schema_version: str
    is_update: bool
    exi_request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvCertificateAnswered:
    """Answer to `EvCertificateAsked`."""

    is_accepted: bool
    exi_response: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPresented:
    """Authorize with a contract certificate or its hashes (2.0.1, C07).

    Attributes:
        chain: PEM certificates, leaf first; ``None`` if the station verified it.
        hash_data: One entry per certificate that needs an OCSP check.
    """

    token: IdToken
    chain: str | None
    hash_data: tuple[CertificateStatusAsked, ...] = ()


class ContractStatus(StrEnum):
    """Words of ``AuthorizeCertificateStatusEnumType``."""

    ACCEPTED = "Accepted"
    SIGNATURE_ERROR = "SignatureError"
    EXPIRED = "CertificateExpired"
    REVOKED = "CertificateRevoked"
    NONE_AVAILABLE = "NoCertificateAvailable"
    CHAIN_ERROR = "CertChainError"
    CONTRACT_CANCELLED = "ContractCancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractAnswered:
    """Answer to `ContractPresented`; anything but accepted lets nobody charge."""

    status: ContractStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingNeedsTold:
    """NotifyEVChargingNeeds (2.0.1, K15, K17)."""

    evse: EvseRef
    needs: CarNeeds


class NeedsStatus(StrEnum):
    """Words of ``NotifyEVChargingNeedsStatusEnumType``."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    PROCESSING = "Processing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingNeedsAnswered:
    """Answer to `ChargingNeedsTold`."""

    status: NeedsStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class EvScheduleTold:
    """NotifyEVChargingSchedule (2.0.1, K15, K17)."""

    evse: EvseRef
    schedule: CarSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class EvScheduleAnswered:
    """Answer to `EvScheduleTold`: rejected when it is above what was offered."""

    is_accepted: bool


Inquiry: TypeAlias = (
    DataOffered
    | SigningAsked
    | CertificateStatusAsked
    | EvCertificateAsked
    | ContractPresented
    | ChargingNeedsTold
    | EvScheduleTold
)
Finding: TypeAlias = (
    DataAnswered
    | SigningAnswered
    | CertificateStatusAnswered
    | EvCertificateAnswered
    | ContractAnswered
    | ChargingNeedsAnswered
    | EvScheduleAnswered
)
