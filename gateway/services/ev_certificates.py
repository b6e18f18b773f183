"""Requests of EVs for contract certificates go, unread, to a provider (M01, M02)."""

import base64
import binascii
from typing import Final

import msgspec
import structlog

from gateway.domain.ids import StationId
from gateway.ocpp.inquiries import EvCertificateAnswered, EvCertificateAsked
from gateway.services.fetch import FetchFailed, post
from gateway.services.inquiries import Found

MAX_EXI_CHARS: Final = 7_500
"""``exiResponse`` (2.0.1, Get15118EVCertificateResponse)."""
MAX_PROVIDER_BYTES: Final = 65_536
JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}

_log = structlog.get_logger()


class EvCertificates:
    """Forwards requests of EVs for contract certificates; never looks into them.

    The provider gets ``{"station_id", "iso15118_schema_version", "action"
    ("Install" | "Update"), "exi_request"}`` and answers 200 with ``{"status"
    ("Accepted" | "Failed"), "exi_response"}``, both EXI texts in base64.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    async def answer(
        self, station_id: StationId, asked: EvCertificateAsked
    ) -> Found | None:
        """Get15118EVCertificate (2.0.1, M01, M02); ``None`` without a good answer."""
        body = {
            "station_id": station_id,
            "iso15118_schema_version": asked.schema_version,
            "action": "Update" if asked.is_update else "Install",
            "exi_request": asked.exi_request,
        }
        try:
            raw = await post(
                self._url,
                msgspec.json.encode(body),
                headers=JSON,
                timeout_s=self._timeout_s,
                max_bytes=MAX_PROVIDER_BYTES,
            )
            answer = msgspec.json.decode(raw, type=_ProviderAnswer)
            _check_exi(answer.exi_response)
        except (FetchFailed, msgspec.MsgspecError, ValueError) as error:
            _log.warning("provider.failed", station_id=station_id, why=str(error))
            return None
        return Found(
            finding=EvCertificateAnswered(
                is_accepted=answer.status == "Accepted",
                exi_response=answer.exi_response,
            )
        )


class _ProviderAnswer(msgspec.Struct):
    status: str
    exi_response: str = ""


def _check_exi(text: str) -> None:
    if len(text) > MAX_EXI_CHARS:
        raise ValueError(f"exi_response has more than {MAX_EXI_CHARS} characters")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("exi_response is not base64") from error
