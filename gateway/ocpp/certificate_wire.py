"""What both dialects share when they speak of certificates."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.certificates import CertificateHash, CertificateUse, kind_of
from gateway.ocpp.adapter import Answer, CallOutcome, Command
from gateway.ocpp.certificate_facts import (
    CertificateFact,
    ChainAnswered,
    DeleteAnswered,
    InstallAnswered,
)
from gateway.ocpp.inbound import Message, Payload
from gateway.ocpp.inquiries import SigningAnswered, SigningAsked
from gateway.ocpp.outbound import read_status

SIGNED: Final = "CertificateSigned"
INSTALL: Final = "InstallCertificate"
DELETE: Final = "DeleteCertificate"
LIST: Final = "GetInstalledCertificateIds"
GONE: Final = frozenset({"Accepted", "NotFound"})
"""Answers to a DeleteCertificate after which the certificate is not there."""


def hash_data(hashed: CertificateHash) -> dict[str, object]:
    """``certificateHashData``, as the station spelled it."""
    return {
        "hashAlgorithm": hashed.algorithm,
        "issuerNameHash": hashed.issuer_name_hash,
        "issuerKeyHash": hashed.issuer_key_hash,
        "serialNumber": hashed.serial_number,
    }


def read_hash(data: Mapping[str, Any]) -> CertificateHash:
    """The hash data in a station's answer, or in a CALL of ours.

    Raises:
        KeyError: A member is missing.
    """
    return CertificateHash(
        algorithm=str(data["hashAlgorithm"]),
        issuer_name_hash=str(data["issuerNameHash"]),
        issuer_key_hash=str(data["issuerKeyHash"]),
        serial_number=str(data["serialNumber"]),
    )


def common_fact(command: Command, answer: Mapping[str, Any]) -> CertificateFact | None:
    """Read an exchange whose shape is the same in both versions."""
    payload: Mapping[str, Any] = command.payload
    is_accepted = read_status(answer.get("status")) is CallOutcome.ACCEPTED
    match command.action:
        case "CertificateSigned":
            use = payload.get("certificateType", CertificateUse.STATION.value)
            return ChainAnswered(
                chain=str(payload["certificateChain"]),
                use=CertificateUse(use),
                is_accepted=is_accepted,
            )
        case "InstallCertificate":
            return InstallAnswered(
                kind=kind_of(payload["certificateType"]),
                certificate=str(payload["certificate"]),
                is_accepted=is_accepted,
            )
        case "DeleteCertificate":
            return DeleteAnswered(
                hash=read_hash(payload["certificateHashData"]),
                is_gone=answer.get("status") in GONE,
            )
        case _:
            return None


def signing_asked(message: Message) -> SigningAsked:
    """The question of a SignCertificate."""
    use = getattr(message.request, "certificate_type", None)
    return SigningAsked(
        csr=message.request.csr, use=use or CertificateUse.STATION.value
    )


def signing_reply(answer: Answer) -> Payload:
    """Accepted if a certificate will follow; without an authority it will not."""
    found = answer.finding
    is_accepted = isinstance(found, SigningAnswered) and found.is_accepted
    return {"status": "Accepted" if is_accepted else "Rejected"}
