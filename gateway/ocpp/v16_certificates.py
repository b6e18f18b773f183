"""OCPP 1.6J security whitepaper: the CALLs about certificates."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.domain.certificates import (
    CENTRAL_ROOT,
    CertificateHash,
    CertificateKind,
    CertificateUse,
    ListedCertificate,
    kind_of,
)
from gateway.ocpp.adapter import Command
from gateway.ocpp.certificate_facts import CertificateFact, ListAnswered
from gateway.ocpp.certificate_wire import (
    DELETE,
    INSTALL,
    LIST,
    SIGNED,
    common_fact,
    hash_data,
    read_hash,
)

_WORDS: Final = {
    CertificateKind.CSMS_ROOT: CENTRAL_ROOT,
    CertificateKind.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
}


class V16Certificates:
    """Certificate commands in 1.6 spelling; a part of the adapter."""

    @property
    def certificate_kinds(self) -> tuple[CertificateKind, ...]:
        """``CertificateUseEnumType``: no ISO 15118 in 1.6."""
        return tuple(_WORDS)

    def encode_sign_trigger(
        self, use: CertificateUse, evse_id: int | None = None
    ) -> Command:
        """ExtendedTriggerMessage (whitepaper, A02).

        Raises:
            ValueError: 1.6 knows no V2G certificate, and none of an EVSE.
        """
        if use is not CertificateUse.STATION:
            raise ValueError(f"OCPP 1.6 knows no {use.value}")
        if evse_id is not None:
            raise ValueError("a station of OCPP 1.6 has one certificate")
        return Command(
            action="ExtendedTriggerMessage",
            payload={"requestedMessage": "SignChargePointCertificate"},
        )

    def encode_signed(
        self,
        chain: str,
        use: CertificateUse,  # noqa: ARG002 - 1.6 has no room for it
    ) -> Command:
        """CertificateSigned (whitepaper, 5.1); it has no type."""
        return Command(action=SIGNED, payload={"certificateChain": chain})

    def encode_install(self, kind: CertificateKind, certificate: str) -> Command:
        """InstallCertificate (whitepaper, M05).

        Raises:
            ValueError: A kind that 1.6 has no word for.
        """
        return Command(
            action=INSTALL,
            payload={"certificateType": _word(kind), "certificate": certificate},
        )

    def encode_delete(self, hashed: CertificateHash) -> Command:
        """DeleteCertificate (whitepaper, M04)."""
        return Command(
            action=DELETE, payload={"certificateHashData": hash_data(hashed)}
        )

    def encode_list(self, kinds: Collection[CertificateKind]) -> tuple[Command, ...]:
        """GetInstalledCertificateIds (whitepaper, M03): one kind per message.

        Raises:
            ValueError: A kind that 1.6 has no word for.
        """
        return tuple(
            Command(action=LIST, payload={"certificateType": _word(kind)})
            for kind in kinds or self.certificate_kinds
        )

    def certificate_fact(
        self, command: Command, answer: Mapping[str, object]
    ) -> CertificateFact | None:
        """See ``Adapter.certificate_fact``."""
        try:
            if command.action == LIST:
                return _listed(command, answer)
            return common_fact(command, answer)
        except (KeyError, TypeError, ValueError):  # not valid by the schema
            return None


def _word(kind: CertificateKind) -> str:
    word = _WORDS.get(kind)
    if word is None:
        raise ValueError(f"OCPP 1.6 knows no {kind.value}")
    return word


def _listed(command: Command, answer: Mapping[str, Any]) -> ListAnswered | None:
    if answer.get("status") not in {"Accepted", "NotFound"}:
        return None
    kind = kind_of(str(command.payload["certificateType"]))
    entries = answer.get("certificateHashData") or ()
    return ListAnswered(
        kinds=(kind,),
        entries=tuple(
            ListedCertificate(kind=kind, hash=read_hash(entry)) for entry in entries
        ),
    )
