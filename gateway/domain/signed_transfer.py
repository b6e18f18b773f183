"""Signed data in a vendor's own message: which transaction it is of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gateway.domain.signed_carrier import MAX_CHARS, has_record
from gateway.domain.signed_json import SignedDataError, load

_ID: Final = re.compile(r"[A-Za-z0-9*+=:|@._-]{1,36}")
"""A transaction's in 2.0.1: ``identifierString`` of at most 36 characters."""
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
"""A transaction's in 1.6: we give them."""
_ATTRIBUTE: Final = re.compile(
    r"""<value\b[^<>]{0,400}?\btransactionId\s*=\s*["']([^"'<>]{1,36})["']"""
)
_MEMBERS: Final = ("transactionId", "transaction_id", "transactionID")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferredRecord:
    """Signed data, as it came, and the id of its transaction as text."""

    transaction_id: str
    raw: str


def find_record(data: object, *, numbers_only: bool = True) -> TransferredRecord | None:
    """Signed data of a transaction, or ``None`` where there is none.

    Args:
        data: Of the message: a JSON object with ``transactionId`` and a record, or XML
            whose ``value`` has that attribute. Nothing else names a transaction.
        numbers_only: Transactions have numbers, as in 1.6.
    """
    if not isinstance(data, str) or len(data) > MAX_CHARS:
        return None
    is_id = _NUMBER.fullmatch if numbers_only else _ID.fullmatch
    text = data.strip()
    if text.startswith("<"):
        found = _ATTRIBUTE.search(text)
        if found is None or "signedData" not in text or not is_id(found[1]):
            return None
        return TransferredRecord(transaction_id=found[1], raw=data)
    if not text.startswith("{"):
        return None
    try:
        body = load(text)
    except SignedDataError:
        return None  # it is some other message, kept as such
    if not isinstance(body, Mapping) or not has_record(body):
        return None
    for name in _MEMBERS:
        number = body.get(name)
        if isinstance(number, Decimal | str) and is_id(str(number)):
            return TransferredRecord(transaction_id=str(number), raw=data)
    return None
