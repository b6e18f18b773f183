"""OCPP 2.0.1, blocks A and M: messages about certificates."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.domain.certificates import (
    CertificateHash,
    CertificateKind,
    CertificateUse,
    ListedCertificate,
)
from gateway.domain.ids import IdToken
from gateway.ocpp.adapter import Answer, Authorization, Command, TokenStatus
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
from gateway.ocpp.inbound import Message, Payload
from gateway.ocpp.inquiries import (
    CertificateStatusAnswered,
    CertificateStatusAsked,
    ContractAnswered,
    ContractPresented,
    ContractStatus,
    EvCertificateAnswered,
    EvCertificateAsked,
)

_TRIGGERS: Final = {
    CertificateUse.STATION: "SignChargingStationCertificate",
    CertificateUse.V2G: "SignV2GCertificate",
}
_CANCELS: Final = frozenset(
    {TokenStatus.BLOCKED, TokenStatus.EXPIRED, TokenStatus.INVALID}
)
"""Judgements on an eMAID that mean its contract has ended (C07.FR.13)."""


class V201Certificates:
    """Certificate commands in 2.0.1 spelling; a part of the adapter."""

    @property
    def certificate_kinds(self) -> tuple[CertificateKind, ...]:
        """``GetCertificateIdUseEnumType``."""
        return tuple(CertificateKind)

    def encode_sign_trigger(
        self, use: CertificateUse, evse_id: int | None = None
    ) -> Command:
        """TriggerMessage (2.0.1, A02, F06).

        Raises:
            ValueError: A station's certificate is no EVSE's.
        """
        payload: dict[str, object] = {"requestedMessage": _TRIGGERS[use]}
        if evse_id is not None:
            if use is not CertificateUse.V2G:
                raise ValueError("only V2G certificates are of an EVSE")
            payload["evse"] = {"id": evse_id}
        return Command(action="TriggerMessage", payload=payload)

    def encode_signed(self, chain: str, use: CertificateUse) -> Command:
        """CertificateSigned (2.0.1, A02)."""
        return Command(
            action=SIGNED,
            payload={"certificateChain": chain, "certificateType": use.value},
        )

    def encode_install(self, kind: CertificateKind, certificate: str) -> Command:
        """InstallCertificate (2.0.1, M05).

        Raises:
            ValueError: Only roots are installed so (M05, remarks).
        """
        if kind is CertificateKind.V2G_CHAIN:
            raise ValueError(f"a {kind.value} comes with CertificateSigned only")
        return Command(
            action=INSTALL,
            payload={"certificateType": kind.value, "certificate": certificate},
        )

    def encode_delete(self, hashed: CertificateHash) -> Command:
        """DeleteCertificate (2.0.1, M04)."""
        return Command(
            action=DELETE, payload={"certificateHashData": hash_data(hashed)}
        )

    def encode_list(self, kinds: Collection[CertificateKind]) -> tuple[Command, ...]:
        """GetInstalledCertificateIds (2.0.1, M03); no kinds mean all of them."""
        payload: dict[str, object] = {}
        if kinds:
            payload["certificateType"] = [kind.value for kind in kinds]
        return (Command(action=LIST, payload=payload),)

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


def _listed(command: Command, answer: Mapping[str, Any]) -> ListAnswered | None:
    if answer.get("status") not in {"Accepted", "NotFound"}:
        return None
    payload: Mapping[str, Any] = command.payload
    asked = payload.get("certificateType")
    chains = answer.get("certificateHashDataChain") or ()
    return ListAnswered(
        kinds=tuple(CertificateKind(word) for word in asked or CertificateKind),
        entries=tuple(
            ListedCertificate(
                kind=CertificateKind(chain["certificateType"]),
                hash=read_hash(chain["certificateHashData"]),
                children=tuple(
                    read_hash(child)
                    for child in chain.get("childCertificateHashData") or ()
                ),
            )
            for chain in chains
        ),
    )


def status_asked(message: Message) -> CertificateStatusAsked:
    """The question of a GetCertificateStatus (2.0.1, M06)."""
    return _status_asked(message.request.ocsp_request_data)


def status_reply(answer: Answer) -> Payload:
    """GetCertificateStatus: whether we have a status, not which (M06, remarks)."""
    found = answer.finding
    if not isinstance(found, CertificateStatusAnswered) or found.ocsp_result is None:
        return {"status": "Failed"}
    return {"status": "Accepted", "ocspResult": found.ocsp_result}


def ev_asked(message: Message) -> EvCertificateAsked:
    """The question of a Get15118EVCertificate (2.0.1, M01, M02)."""
    request = message.request
    return EvCertificateAsked(
        schema_version=request.iso15118_schema_version,
        is_update=request.action == "Update",
        exi_request=request.exi_request,
    )


def ev_reply(answer: Answer) -> Payload:
    """Get15118EVCertificate; without a provider there is nothing to hand over."""
    found = answer.finding
    if not isinstance(found, EvCertificateAnswered):
        return {"status": "Failed", "exiResponse": ""}
    return {
        "status": "Accepted" if found.is_accepted else "Failed",
        "exiResponse": found.exi_response,
    }


def contract_presented(message: Message) -> ContractPresented | None:
    """The question of an Authorize that carries a certificate or its hashes (C07)."""
    request = message.request
    hashes = request.iso15118_certificate_hash_data
    if request.certificate is None and hashes is None:
        return None
    token = request.id_token
    return ContractPresented(
        token=IdToken(value=token.id_token, kind=token.type),
        chain=request.certificate,
        hash_data=tuple(_status_asked(entry) for entry in hashes or ()),
    )


def contract_status(
    answer: Answer,
) -> tuple[ContractStatus, Authorization | None]:
    """Certificate status and token judgement, consistent with each other.

    C07.FR.13 to FR.17: a certificate that does not hold lets nobody charge, and a
    token that may not charge cancels the contract.
    """
    token, found = answer.authorization, answer.finding
    if not isinstance(found, ContractAnswered):
        return ContractStatus.NONE_AVAILABLE, None
    if found.status is ContractStatus.ACCEPTED:
        if token is None or token.status in _CANCELS:
            return ContractStatus.CONTRACT_CANCELLED, token
        return ContractStatus.ACCEPTED, token
    if found.status is ContractStatus.CONTRACT_CANCELLED and (
        token is not None and token.status in _CANCELS
    ):
        return found.status, token
    expired = found.status is ContractStatus.EXPIRED
    status = TokenStatus.EXPIRED if expired else TokenStatus.INVALID
    return found.status, Authorization(status=status)


def _status_asked(data: Any) -> CertificateStatusAsked:  # noqa: ANN401 - a compiled Struct
    return CertificateStatusAsked(
        hash_algorithm=data.hash_algorithm,
        issuer_name_hash=data.issuer_name_hash,
        issuer_key_hash=data.issuer_key_hash,
        serial_number=data.serial_number,
        responder_url=data.responder_url,
    )
