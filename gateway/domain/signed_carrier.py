"""What signed meter records travel in: taken off layer by layer, the text untouched.

Stations send the same record as plain text, in hexadecimal or base64 digits, in a JSON
object with its key, or in the XML of the transparency software. The record itself is
handed on as the very characters that were signed.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from gateway.domain.signed_json import SignedDataError, load

PREFIX: Final = "OCMF|"
MAX_CHARS: Final = 131_072
"""Of what arrives: an hour's record is below 2 kB, a day in quarters below 20 kB."""
MAX_LAYERS: Final = 4
MAX_RECORDS: Final = 256
"""In one text: an XML document may hold many."""
MAX_XML_DEPTH: Final = 8
MAX_KEY_CHARS: Final = 2_000

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})++")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]++={0,2}")
_RECORD_MEMBERS: Final = (
    "signedMeterValue",
    "signedMeterData",
    "signedData",
    "signed_data",
    "meterValueSignature",
    "ocmf",
    "OCMF",
    "value",
)
_KEY_MEMBERS: Final = ("publicKey", "public_key", "PublicKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One record as it was signed, and the key that came along, if any.

    The key proves nothing: who forges a record sends a key that fits it.
    """

    text: str
    public_key: str | None = None


def unwrap(raw: str, public_key: str | None = None) -> tuple[Carried, ...]:
    """Take the wrapping off signed data.

    Args:
        raw: As the station sent it.
        public_key: That came beside it.

    Returns:
        At least one record, in the order of the text.

    Raises:
        SignedDataError: It is too large, hostile, or in no format known here.
    """
    if len(raw) > MAX_CHARS:
        raise SignedDataError("signed_too_large", f"{len(raw)} characters")
    found = tuple(_layers(raw, _key(public_key), MAX_LAYERS))
    if not found:
        raise SignedDataError("signed_format", "it holds no record")
    if len(found) > MAX_RECORDS:
        raise SignedDataError("signed_too_large", f"{len(found)} records in one text")
    return found


def has_record(body: Mapping[str, object]) -> bool:
    """Whether a JSON object has signed data under a name that says so."""
    return any(
        isinstance(body.get(name), str) for name in _RECORD_MEMBERS if name != "value"
    )


def _layers(raw: str, key: str | None, n_left: int) -> Iterator[Carried]:
    text = raw.strip("\ufeff \t\r\n\0")
    if n_left == 0:
        raise SignedDataError("signed_format", "too many wrappings")
    if text.startswith(PREFIX):
        if not text.isascii():
            _check_text(text)
        yield Carried(text=text, public_key=key)
    elif text.startswith("<"):
        for found in _xml(text):
            yield from _layers(found.text, found.public_key or key, n_left - 1)
    elif text.startswith("{"):
        record, own_key = _members(load(text))
        yield from _layers(record, own_key or key, n_left - 1)
    elif _HEX.fullmatch(digits := "".join(text.split())):
        data = bytes.fromhex(digits)
        yield from _layers(_text(data), key, n_left - 1)
    elif _BASE64.fullmatch(digits):
        yield from _layers(_text(_base64(digits)), key, n_left - 1)
    else:
        raise SignedDataError("signed_format", "neither OCMF nor a wrapping of it")


def _check_text(text: str) -> None:
    """Refuse half of a surrogate pair, as JSON can escape one: it has no bytes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SignedDataError("signed_format", "characters without UTF-8") from error


def _key(text: str | None) -> str | None:
    """A key that came along; an absurd one is none."""
    tidy = (text or "").strip()
    return tidy if 0 < len(tidy) <= MAX_KEY_CHARS else None


def _members(body: object) -> tuple[str, str | None]:
    """Record and key of a JSON object."""
    if not isinstance(body, Mapping):
        raise SignedDataError("signed_format", "the JSON is no object")
    key = next(
        (_key(body[name]) for name in _KEY_MEMBERS if isinstance(body.get(name), str)),
        None,
    )
    for name in _RECORD_MEMBERS:
        record = body.get(name)
        if isinstance(record, str) and record.strip():
            return record, key
    raise SignedDataError("signed_format", "the JSON has no member with a record")


def _base64(text: str) -> bytes:
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise SignedDataError("signed_format", f"not base64: {error}") from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SignedDataError(
            "signed_format", "binary data in no format known here"
        ) from error


@dataclass(slots=True)
class _Values:
    """Listens to a parser; only text of ``signedData`` and ``publicKey`` is kept.

    Declarations of types and entities are refused, so nothing can grow and nothing is
    fetched.
    """

    found: list[Carried] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    record: str | None = None
    key: str | None = None

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.path.append(name)
        if len(self.path) > MAX_XML_DEPTH:
            raise SignedDataError("signed_hostile_xml", "elements nested too deep")
        self.parts.clear()
        if name == "value":
            self.record = self.key = None

    def text(self, text: str) -> None:
        if self.path and self.path[-1] in {"signedData", "publicKey"}:
            self.parts.append(text)

    def end(self, name: str) -> None:
        self.path.pop()
        text = "".join(self.parts)
        self.parts.clear()
        if name == "signedData":
            self.record = text
        elif name == "publicKey":
            self.key = text
        elif name == "value" and self.record is not None:
            self.found.append(Carried(text=self.record, public_key=_key(self.key)))
            if len(self.found) > MAX_RECORDS:
                raise SignedDataError("signed_too_large", "too many records")


def _refuse(*_declared: object) -> NoReturn:
    raise SignedDataError("signed_hostile_xml", "it declares a type or an entity")


def _xml(text: str) -> list[Carried]:
    values = _Values()
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.StartElementHandler = values.start
    parser.EndElementHandler = values.end
    parser.CharacterDataHandler = values.text
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise SignedDataError("signed_bad_xml", str(error)) from error
    return values.found
