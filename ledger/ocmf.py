"""What meters sign, read by someone who does not trust the gateway.

A record of the Open Charge Metering Format is ``OCMF|payload|signature``, both JSON.
What was signed is the payload's own text, from the first bar to the second. Written
apart from the gateway's reader; property tests hold the two equal. What is wrong is a
`BundleError` that says so in one line.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final, NoReturn

from ledger.errors import BundleError

MAX_DEPTH: Final = 8
MAX_DIGITS: Final = 40
MAX_WORD: Final = 1_000
"""Characters of a member: bounds what a hostile file can make the reader do."""
MAX_REGISTER_MILLIWH: Final = 10**15

_PREFIX: Final = "OCMF|"
_ENDS: Final = frozenset("ELRAP")
_MILLIWH: Final = {"wh": 3, "kwh": 6}
"""Powers of ten from a unit of energy to mWh."""
_IMPORTS: Final = ("1.8", "98.8", "B1.8", "B0.8", "B3.8", "B2.8")
"""Value groups C and D of registers of import; the first one counts before others."""
_OBIS: Final = re.compile(r"(?:.*:)?([0-9A-Fa-f]{1,3})\.([0-9A-Fa-f]{1,2})(?:[.*].*)?")
_PAGE: Final = re.compile(r"\s*([TF])([0-9]{1,18})\s*")
_STEP: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a record.

    Attributes:
        kind: ``B`` for a begin, one of ``ELRAP`` for an end, or another word.
        at: The meter's time, as written.
        milliwh: ``None`` where it is no energy.
    """

    kind: str
    at: str
    register: str
    milliwh: int | None
    flags: str
    status: str

    @property
    def rank(self) -> int | None:
        """Which import register this is, 0 before others; ``None``: none at all."""
        code = self.register.strip()
        if self.milliwh is None or not code:
            return None if self.milliwh is None else 0
        match = _OBIS.fullmatch(code)
        if match is None:
            return None
        group_c, group_d = (part.lstrip("0").upper() or "0" for part in match.groups())
        name = f"{group_c}.{group_d}"
        return _IMPORTS.index(name) if name in _IMPORTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRecord:
    """A record taken apart; nothing of it is checked yet.

    Attributes:
        signed: The bytes that were signed.
        curve: Name of the curve, as OCMF spells it.
        is_of_transaction: Whether its page counts transactions.
    """

    signed: bytes
    signature: bytes
    curve: str
    is_of_transaction: bool
    page: int
    meter_serial: str
    gateway_serial: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the records of one transaction say: its register at begin and end."""

    register: str
    begin: Reading
    end: Reading


def read_record(text: str) -> SignedRecord:
    """Take a record apart.

    Raises:
        BundleError: It is none, or ambiguous.
    """
    if not text.startswith(_PREFIX):
        raise BundleError("it does not begin with 'OCMF|'")
    start = len(_PREFIX)
    payload, end = _json(text, start)
    bar = text.find("|", end)
    if bar < 0 or text[end:bar].strip():
        raise BundleError("no signature follows the payload")
    proof, over = _json(text, bar + 1)
    if text[over:].strip(" \t\r\n\0|"):
        raise BundleError("something follows the signature")
    page = _PAGE.fullmatch(_text(payload, "PG"))
    if page is None:
        raise BundleError("it has no page number")
    gateway_serial = _text(payload, "GS")
    return SignedRecord(
        signed=text[start:bar].encode(),
        signature=_signature(proof),
        curve=_curve(proof),
        is_of_transaction=page[1] == "T",
        page=int(page[2]),
        meter_serial=_text(payload, "MS") or gateway_serial,
        gateway_serial=gateway_serial,
        readings=tuple(_readings(payload.get("RD"))),
    )


def course(records: Sequence[SignedRecord]) -> Course:
    """Follow the register that counts from the begin to the end of a transaction.

    Raises:
        BundleError: Something is missing, or one record speaks against another.
    """
    pages = sorted((one for one in records if one.is_of_transaction), key=_page)
    if len({(one.meter_serial, one.gateway_serial) for one in pages}) > 1:
        raise BundleError("the records are of different meters")
    for before, after in pairwise(pages):
        if after.page != before.page + 1:
            raise BundleError(f"page T{after.page} follows page T{before.page}")
    readings = [reading for record in pages for reading in record.readings]
    begun = {(one.rank, one.register) for one in readings if one.kind == "B"}
    ended = {(one.rank, one.register) for one in readings if one.kind in _ENDS}
    if not begun or not ended:
        raise BundleError(f"no record has the {'end' if begun else 'begin'}")
    both = sorted(
        (rank, register) for rank, register in begun & ended if rank is not None
    )
    if not both:
        raise BundleError("no import register is at both begin and end")
    register = both[0][1]
    mine = dict.fromkeys(
        one for one in readings if one.register == register and one.rank is not None
    )
    return _checked(register, list(mine))


def _checked(register: str, mine: Sequence[Reading]) -> Course:
    if sum(one.kind == "B" for one in mine) != 1:
        raise BundleError("the transaction begins more than once")
    if sum(one.kind in _ENDS for one in mine) != 1:
        raise BundleError("the transaction ends more than once")
    for one in mine:
        if "E" in one.flags or one.status != "G":
            raise BundleError(f"the meter marks its reading of {one.at} as faulty")
    if mine[0].kind != "B" or mine[-1].kind not in _ENDS:
        raise BundleError("begin and end do not stand first and last")
    for before, after in pairwise(mine):
        if (after.milliwh or 0) < (before.milliwh or 0):
            raise BundleError(f"the register falls at {after.at}")
    return Course(register=register, begin=mine[0], end=mine[-1])


def _page(record: SignedRecord) -> int:
    return record.page


def _json(text: str, start: int) -> tuple[Mapping[str, object], int]:
    """Read one JSON object, and where it ends."""
    while text[start : start + 1].isspace():
        start += 1
    depth = 0
    for step in _STEP.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(step[0], 0)
        if depth > MAX_DEPTH:
            raise BundleError(f"nested deeper than {MAX_DEPTH}")
    try:
        value, end = _decoder.raw_decode(text, start)
    except ValueError:
        raise BundleError("its JSON cannot be read") from None
    if not isinstance(value, dict):
        raise BundleError("its JSON is no object")
    return value, end


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if value is None or isinstance(value, Decimal):
        return "" if value is None else str(value)
    if not isinstance(value, str) or len(value) > MAX_WORD:
        raise BundleError(f"{name} is no text, or too long")
    return value


def _curve(proof: Mapping[str, object]) -> str:
    is_given = proof.get("SA") is not None
    name = _text(proof, "SA") if is_given else "ECDSA-secp256r1-SHA256"
    method, _, rest = name.partition("-")
    curve, _, digest = rest.partition("-")
    if method != "ECDSA" or digest != "SHA256":
        raise BundleError(f"signed with {name[:40]}, which is not checked here")
    return curve.casefold().replace("brainpoolp", "brainpool")


def _signature(proof: Mapping[str, object]) -> bytes:
    text, encoding = _text(proof, "SD"), proof.get("SE", "hex")
    try:
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
        if encoding == "hex":
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise BundleError("its signature cannot be read")


def _readings(found: object) -> Iterator[Reading]:
    if not isinstance(found, list) or not found:
        raise BundleError("it has no readings")
    known: dict[str, object] = {}
    for one in found:
        if not isinstance(one, dict):
            raise BundleError("a reading is no object")
        known |= one  # what a reading leaves out is that of the one before
        yield Reading(
            kind=_text(known, "TX"),
            at=_text(known, "TM"),
            register=_text(known, "RI"),
            milliwh=_milliwh(known),
            flags=_text(known, "EF"),
            status=_text(known, "ST"),
        )


def _milliwh(reading: Mapping[str, object]) -> int | None:
    """The register in whole mWh, digits below cut off; ``None``: no energy."""
    power = _MILLIWH.get(_text(reading, "RU").strip().casefold())
    if power is None:
        return None
    value = reading.get("RV")
    try:
        number = _number(value.strip()) if isinstance(value, str) else value
    except ValueError:
        raise BundleError("a register is no number") from None
    if not isinstance(number, Decimal):
        raise BundleError("a register is no number")
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or (sign and any(digits)):
        raise BundleError("a register is no number from zero on")
    if not any(digits):
        return 0
    if number.adjusted() > MAX_DIGITS:
        raise BundleError("a register is of absurd size")
    whole, shift = int("".join(map(str, digits))), exponent + power
    scale = int(10 ** min(abs(shift), 2 * MAX_DIGITS))
    found = whole * scale if shift >= 0 else whole // scale
    if found > MAX_REGISTER_MILLIWH:
        raise BundleError("a register is of absurd size")
    return found


def _number(text: str) -> Decimal:
    if not 0 < len(text) <= MAX_DIGITS or not text.isascii() or "_" in text:
        raise ValueError("absurd")
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise ValueError("no number") from error


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_once,
    parse_float=_number,
    parse_int=_number,
    parse_constant=_no_number,
)
