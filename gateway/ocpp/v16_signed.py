"""Signed meter data that 1.6 stations send by DataTransfer, as vendors have it."""

from functools import partial
from typing import Final

from msgspec.structs import replace

from gateway.domain.events import SessionUpdated, SignedReading
from gateway.domain.signed_transfer import TransferredRecord, find_record
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.data_transfer import data_offered, text_reply
from gateway.ocpp.inbound import Message, notified
from gateway.ocpp.inquiries import DataOffered

CONTEXT: Final = "Other"
"""The message does not say; what the record says counts."""


def data_transferred(message: Message) -> Decoded:
    """DataTransfer (1.6, 4.3); with a record of a transaction a fact of its session."""
    found = find_record(message.body().get("data"))
    decoded = notified(
        message, text_reply, inquiry=partial(_offered, has_record=found is not None)
    )
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
