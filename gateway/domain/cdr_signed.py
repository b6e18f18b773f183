"""Signed meter records of a session as OCPI passes them on (10.4.6, 10.4.7)."""

import base64
from collections.abc import Iterable
from typing import Final

from gateway.domain.ocmf import BEGIN, ENDS, OcmfRecord, parse
from gateway.domain.signed_json import SignedDataError

OCMF: Final = "OCMF"
MAX_PLAIN: Final = 512
MAX_SIGNED: Final = 5_000


def signed_data(
    texts: Iterable[str], public_key: bytes | None
) -> dict[str, object] | None:
    """A ``SignedData``.

    Args:
        texts: Records as the station sent them; what is no OCMF is left out.
        public_key: SubjectPublicKeyInfo of the meter, where it is pinned.

    Returns:
        ``None`` without a record, or if one of a begin or an end is too long for OCPI:
        half a proof would pass for a whole one.
    """
    values: list[dict[str, object]] = []
    for text in texts:
        try:
            record = parse(text)
        except SignedDataError:
            continue
        signed = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        if len(signed) <= MAX_SIGNED:
            values.append(
                {
                    "nature": _nature(record),
                    "plain_data": _plain(record),
                    "signed_data": signed,
                }
            )
        elif record.has_edge:
            return None
    if not values:
        return None
    document: dict[str, object] = {
        "encoding_method": OCMF,
        "encoding_method_version": 1,
    }
    if public_key is not None:
        document["public_key"] = base64.b64encode(public_key).decode()
    return document | {"signed_values": values}


def _nature(record: OcmfRecord) -> str:
    """The event that a record belongs to; one of a whole transaction: its end."""
    kinds = {one.kind for one in record.readings}
    if kinds & ENDS:
        return "End"
    return "Start" if BEGIN in kinds else "Intermediate"


def _plain(record: OcmfRecord) -> str:
    """What was signed; where OCPI has no room for it, its readings in words."""
    if len(record.signed_text) <= MAX_PLAIN:
        return record.signed_text
    words = "; ".join(
        f"{one.kind} {one.taken_at} {one.register} {one.energy_milliwh} mWh"
        for one in record.readings
    )
    return words if len(words) <= MAX_PLAIN else f"{words[: MAX_PLAIN - 3]}..."
