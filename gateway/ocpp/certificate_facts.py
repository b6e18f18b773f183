"""What an answered certificate CALL of ours made true, the same for every version."""

from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.certificates import (
    CertificateHash,
    CertificateKind,
    CertificateUse,
    ListedCertificate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainAnswered:
    """CertificateSigned: the station took its new chain (PEM, leaf first) or not."""

    chain: str
    use: CertificateUse
    is_accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallAnswered:
    """InstallCertificate: a root (PEM) is in the station's store or not."""

    kind: CertificateKind
    certificate: str
    is_accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAnswered:
    """DeleteCertificate.

    Attributes:
        is_gone: Deleted, or not there in the first place.
    """

    hash: CertificateHash
    is_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnswered:
    """GetInstalledCertificateIds.

    Attributes:
        kinds: What was asked for; the list is complete for these.
    """

    kinds: tuple[CertificateKind, ...]
    entries: tuple[ListedCertificate, ...]


CertificateFact: TypeAlias = (
    ChainAnswered | InstallAnswered | DeleteAnswered | ListAnswered
)
