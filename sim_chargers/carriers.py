"""What signed records travel in, as stations have it; and what hostile ones send."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final
from xml.sax.saxutils import escape

ABSURD: Final = "OCMF|" + '{"RD":[' * 300
"""Nested deeper than any record, and without an end."""


def envelope(key_digits: str) -> str:
    """A public key as the OCA's paper on signed meter values has it."""
    return _base64(f"oca:base16:asn1:{key_digits}")


def wrap(record: str, key_digits: str | None, carrier: str) -> str:
    """Put a record into what it travels in.

    Args:
        record: As it was signed.
        key_digits: Of the key that goes along, where the carrier has room for it.
        carrier: See `sim_chargers.meter_spec.CARRIERS`.
    """
    return _WRAPPINGS[carrier](record, key_digits)


def members(record: str, key_digits: str | None) -> dict[str, Any]:
    """``SignedMeterValueType``: of 2.0.1, and as JSON in the samples of 1.6."""
    return {
        "signedMeterData": _base64(record),
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": "" if key_digits is None else envelope(key_digits),
    }


def hostile_xml(record: str) -> str:
    """XML whose entity would grow a billionfold, if anybody let it."""
    rows = "".join(
        f'<!ENTITY l{depth} "{f"&l{depth - 1};" * 10}">' for depth in range(1, 10)
    )
    kinds = f'<!DOCTYPE values [<!ENTITY l0 "lol">{rows}]>'
    data = f"<signedData>&l9;{escape(record)}</signedData>"
    return f"{kinds}<values><value>{data}</value></values>"


def _plain(record: str, _key: str | None) -> str:
    return record


def _in_base64(record: str, _key: str | None) -> str:
    return _base64(record)


def _hex(record: str, _key: str | None) -> str:
    return record.encode().hex().upper()


def _json(record: str, key: str | None) -> str:
    return json.dumps(members(record, key))


def _xml(record: str, key: str | None) -> str:
    told = "" if key is None else f'<publicKey encoding="plain">{key}</publicKey>'
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><values><value>'
        f'<signedData format="OCMF" encoding="plain">{escape(record)}</signedData>'
        f"{told}</value></values>"
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_WRAPPINGS: Final[dict[str, Callable[[str, str | None], str]]] = {
    "plain": _plain,
    "base64": _in_base64,
    "hex": _hex,
    "json": _json,
    "xml": _xml,
    "transfer": _json,
}
