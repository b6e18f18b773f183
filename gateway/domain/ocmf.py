"""Records in the Open Charge Metering Format: what a meter signed, taken apart.

``OCMF|payload|signature``, both JSON. What is verified is the payload's own text: it is
never written anew. Clauses are those of the OCMF specification 1.0 to 1.4.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, DecimalException, InvalidOperation
from enum import StrEnum
from typing import Final

from gateway.domain.signed_carrier import PREFIX
from gateway.domain.signed_json import MAX_NUMBER_CHARS, SignedDataError, load_at
from gateway.domain.units import floor_milliwh

MAX_READINGS: Final = 500
MAX_WORD_CHARS: Final = 300
MAX_SIGNATURE_CHARS: Final = 1_000
MAX_PAGE_DIGITS: Final = 18

BEGIN: Final = "B"
ENDS: Final = frozenset("ELRAP")
"""Ended: E plainly, L by the driver, R from afar, A aborted, P by a power failure."""
GOOD: Final = "G"

_PAGE: Final = re.compile(r"([TF])(\d+)")
_OBIS: Final = re.compile(r"(?:.*:)?([0-9A-Fa-f]{1,3})\.([0-9A-Fa-f]{1,2})(?:[.*].*)?")
_UNITS_WH: Final = {"wh": 0, "kwh": 3}
"""Units of energy, and their power of ten to Wh."""
_EXACT: Final = Context(prec=2 * MAX_NUMBER_CHARS)
"""So that digits below mWh are cut off, however many there are, not rounded."""
_IMPORTS: Final = (("1", "8"), ("98", "8"), ("B1", "8"), ("B0", "8"))
_IMPORTS_OF_TRANSACTION: Final = (("B3", "8"), ("B2", "8"))


class Curve(StrEnum):
    """The curves of the format, as it spells them."""

    SECP192K1 = "secp192k1"
    SECP256K1 = "secp256k1"
    SECP192R1 = "secp192r1"
    SECP256R1 = "secp256r1"
    SECP384R1 = "secp384r1"
    BRAINPOOL256R1 = "brainpool256r1"
    BRAINPOOL384R1 = "brainpool384r1"


_CURVES: Final = frozenset(curve.value for curve in Curve)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcmfReading:
    """One reading of a record; what it leaves out is that of the one before.

    Attributes:
        kind: ``B`` begin, one of `ENDS`, another word, or empty.
        taken_at: As written, with its word on the clock (``S`` synchronised).
        register: OBIS code as written.
        energy_milliwh: ``None`` where it is no energy.
        flags: Errors of energy (``E``) and time (``t``).
        status: ``G`` is good.
    """

    kind: str
    taken_at: str
    register: str
    energy_milliwh: int | None
    flags: str
    status: str

    @property
    def is_import(self) -> bool:
        """Whether it is energy that a car took."""
        return self.energy_milliwh is not None and _rank(self.register) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class OcmfRecord:
    """One record.

    Attributes:
        signed_text: The payload as it was signed.
        page: Number within the records of transactions (``T``) or others (``F``).
        is_of_transaction: Which of them.
        meter_serial: Of the meter; of the gateway where there is none.
        curve: Of the signature.
    """

    signed_text: str
    signature: bytes
    curve: Curve
    page: int
    is_of_transaction: bool
    meter_serial: str
    gateway_serial: str
    identification: str
    readings: tuple[OcmfReading, ...]

    @property
    def has_edge(self) -> bool:
        """Whether a transaction begins or ends in it."""
        return any(one.kind == BEGIN or one.kind in ENDS for one in self.readings)


def parse(text: str) -> OcmfRecord:
    """Take a record apart.

    Raises:
        SignedDataError: It is no such record, or signed by an algorithm that is not
            supported; the reason names it.
    """
    if not text.startswith(PREFIX):
        raise SignedDataError("signed_format", "no OCMF")
    payload, end = load_at(text, len(PREFIX))
    if not isinstance(payload, Mapping):
        raise SignedDataError("ocmf_bad_payload", "the payload is no object")
    bar = text.find("|", end)
    if bar < 0 or text[end:bar].strip():
        raise SignedDataError("ocmf_no_signature", "no signature follows the payload")
    proof, over = load_at(text, bar + 1)
    if not isinstance(proof, Mapping) or text[over:].strip(" \t\r\n\0|"):
        raise SignedDataError("ocmf_no_signature", "the signature is no JSON object")
    letter, page = _page(payload.get("PG"))
    gateway_serial = _word(payload, "GS")
    return OcmfRecord(
        signed_text=text[len(PREFIX) : bar],
        signature=_signature(proof),
        curve=_curve(proof.get("SA")),
        page=page,
        is_of_transaction=letter == "T",
        meter_serial=_word(payload, "MS") or gateway_serial,
        gateway_serial=gateway_serial,
        identification=_word(payload, "ID"),
        readings=tuple(_readings(payload.get("RD"))),
    )


def preference(register: str) -> int:
    """Which import register counts first where a record has several; lower wins."""
    rank = _rank(register)
    return len(_IMPORTS) + len(_IMPORTS_OF_TRANSACTION) if rank is None else rank


def _page(value: object) -> tuple[str, int]:
    match = _PAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or len(match[2]) > MAX_PAGE_DIGITS:
        raise SignedDataError("ocmf_bad_pagination", "PG is no page number")
    return match[1], int(match[2])


def _word(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return str(value)
    if not isinstance(value, str) or len(value) > MAX_WORD_CHARS:
        raise SignedDataError("ocmf_bad_payload", f"{name} is no text of use")
    return value


def _curve(value: object) -> Curve:
    if value is None:
        return Curve.SECP256R1  # its default
    name = str(value)[:MAX_WORD_CHARS]
    parts = name.split("-")
    if len(parts) == 3 and parts[0] == "ECDSA" and parts[2] == "SHA256":  # noqa: PLR2004 - method, curve, hash
        curve = parts[1].casefold().replace("brainpoolp", "brainpool")
        if curve in _CURVES:
            return Curve(curve)
    raise SignedDataError("algorithm_unsupported", f"signed with {name}")


def _signature(proof: Mapping[str, object]) -> bytes:
    text = proof.get("SD")
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SIGNATURE_CHARS:
        raise SignedDataError("ocmf_no_signature", "SD is no signature")
    encoding = proof.get("SE", "hex")
    try:
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
        if encoding == "hex":
            return bytes.fromhex(text)
    except (ValueError, binascii.Error) as error:
        raise SignedDataError("ocmf_no_signature", f"SD is not {encoding}") from error
    raise SignedDataError("ocmf_no_signature", f"SE is {str(encoding)[:40]!r}")


def _readings(found: object) -> Iterator[OcmfReading]:
    if not isinstance(found, list) or not 0 < len(found) <= MAX_READINGS:
        raise SignedDataError("ocmf_bad_readings", "RD is no list of readings")
    before: dict[str, object] = {}
    for one in found:
        if not isinstance(one, Mapping):
            raise SignedDataError("ocmf_bad_readings", "a reading is no object")
        before |= one
        unit = _word(before, "RU")
        flags = _word(before, "EF")
        yield OcmfReading(
            kind=_word(before, "TX"),
            taken_at=_word(before, "TM"),
            register=_word(before, "RI"),
            energy_milliwh=_energy(before.get("RV"), unit),
            flags=flags,
            status=_word(before, "ST"),
        )


def _energy(value: object, unit: str) -> int | None:
    power = _UNITS_WH.get(unit.strip().casefold())
    if power is None:
        return None
    number = _decimal(value)
    try:
        milliwh = number.scaleb(power + 3, _EXACT).to_integral_value(
            ROUND_FLOOR, context=_EXACT
        )
        return int(floor_milliwh(milliwh.scaleb(-3, _EXACT)))
    except (ValueError, DecimalException) as error:
        raise SignedDataError("ocmf_bad_readings", "RV is no register") from error


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and 0 < len(value) <= MAX_NUMBER_CHARS:
        text = value.strip()
        if text.isascii() and "_" not in text:
            try:
                return Decimal(text)
            except InvalidOperation:
                pass
    raise SignedDataError("ocmf_bad_readings", "RV is no number")


def _rank(register: str) -> int | None:
    """Place of an import register among all; no code at all is the only register."""
    if not register.strip():
        return 0
    match = _OBIS.fullmatch(register.strip())
    if match is None:
        return None
    code = (match[1].lstrip("0").upper() or "0", match[2].lstrip("0") or "0")
    known = _IMPORTS + _IMPORTS_OF_TRANSACTION
    return known.index(code) if code in known else None
