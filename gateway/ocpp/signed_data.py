"""Signed meter data that stations send by DataTransfer, as vendors have it."""

from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from gateway.domain.events import SessionUpdated, SignedReading
from gateway.domain.signed_transfer import TransferredRecord, find_record
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.data_transfer import data_offered, json_reply, text_reply
from gateway.ocpp.inbound import Message, Reply, notified
from gateway.ocpp.inquiries import DataOffered

CONTEXT: Final = "Other"
"""The message does not say; what the record says counts."""


def text_transferred(message: Message) -> Decoded:
    """DataTransfer of 1.6 (4.3); with a record of a transaction a fact of its session.

    Transactions have the numbers that we gave them.
    """
    found = find_record(message.body().get("data"))
    return _decoded(message, found, text_reply)


def json_transferred(message: Message) -> Decoded:
    """DataTransfer of 2.0.1 (P02); likewise, its data may be any JSON.

    What was signed is a text within it, so writing the JSON anew changes nothing.
    """
    data = message.body().get("data")
    if isinstance(data, dict):
        data = msgspec.json.encode(data).decode()
    found = find_record(data, numbers_only=False)
    return _decoded(message, found, json_reply)


def _decoded(
    message: Message, found: TransferredRecord | None, reply: Reply
) -> Decoded:
    inquiry = partial(_offered, has_record=found is not None)
    decoded = notified(message, reply, inquiry=inquiry)
    if found is None:
        return decoded
    return replace(decoded, events=(*decoded.events, _event(message, found)))


def _offered(message: Message, *, has_record: bool) -> DataOffered:
    offer = data_offered(message)
    return DataOffered(
        vendor_id=offer.vendor_id,
        message_id=offer.message_id,
        data=offer.data,
        has_record=has_record,
    )


def _event(message: Message, found: TransferredRecord) -> SessionUpdated:
    record = SignedReading(
        sampled_at=message.received_at, raw=found.raw, context=CONTEXT
    )
    return SessionUpdated(
        station_id=message.station_id,
        evse=None,
        occurred_at=message.received_at,
        received_at=message.received_at,
        transaction_id=found.transaction_id,
        signed=(record,),
    )
