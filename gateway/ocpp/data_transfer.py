"""DataTransfer of stations: the same in both versions but for the type of ``data``."""

from typing import Final

import msgspec

from gateway.ocpp.adapter import Answer
from gateway.ocpp.inbound import Message, Payload
from gateway.ocpp.inquiries import DataAnswered, DataOffered, DataStatus

NOBODY: Final = DataAnswered(status=DataStatus.UNKNOWN_VENDOR)
"""The answer where no service knows vendors."""


def data_offered(message: Message) -> DataOffered:
    """What a station offers (1.6, 4.3; 2.0.1, P02)."""
    body = message.body()
    message_id = body.get("messageId")
    return DataOffered(
        vendor_id=str(body.get("vendorId")),
        message_id=None if message_id is None else str(message_id),
        data=body.get("data"),
    )


def text_reply(answer: Answer) -> Payload:
    """1.6: data is text; anything else goes as JSON."""
    finding = _finding(answer)
    payload: Payload = {"status": finding.status.value}
    if finding.data is not None:
        data = finding.data
        payload["data"] = data if isinstance(data, str) else _json(data)
    return payload


def json_reply(answer: Answer) -> Payload:
    """2.0.1: data is any JSON."""
    finding = _finding(answer)
    payload: Payload = {"status": finding.status.value}
    if finding.data is not None:
        payload["data"] = finding.data
    return payload


def _finding(answer: Answer) -> DataAnswered:
    return answer.finding if isinstance(answer.finding, DataAnswered) else NOBODY


def _json(data: object) -> str:
    return msgspec.json.encode(data).decode()
