r"""Records as bytes that anyone can rebuild, and the commitments that hide them.

A record is a JSON object ``{"k": kind, "v": 1, ...body}`` in one canonical form: keys
sorted by code point, no spaces, UTF-8, no escapes but those JSON demands. Numbers are
integers within +-2**53, the range that every JSON reader keeps exactly; larger ones are
written as strings, fractions do not occur (choose a smaller unit).

The log holds ``sha256(b"wattproof/leaf/1\0" + salt + record)`` only. The 32-byte salt
keeps a guessable record from being guessed, and deleting salt and record erases them.

Fields by kind (more are allowed, these are required):

=============  ======================================================================
session_start  session_id, station_id, evse_id, started_at; optional
               register_start_milliwh, tariff_sha256, id_token_sha256
meter          session_id or null, station_id, evse_id, occurred_at, received_at,
               register_milliwh or null
settlement     session_id, session_key, start_leaf_index, readings_count,
               readings_root, register_start_milliwh, register_end_milliwh,
               energy_milliwh, amount_minor, currency, tariff_sha256, bill_sha256,
               started_at, ended_at
plan           plan_id, cabinet_id, made_at, algorithm_id, algorithm_version,
               inputs_sha256, outputs_sha256, certificate_sha256 or null, outcome
dispatch       station_id, evse_id, sent_at, plan_id or null, limit_sha256, outcome
status         subject, occurred_at
cabinet        cabinet_id, timestep, leaves_root, leaves_count: what of the log belongs
               to one cabinet
asset          asset_id, asset_kind
signed_meter   session_id, station_id, evse_id, format, text: what a meter signed
meter_key      station_id, evse_id, occurred_at, curve or null, public_key or null,
               meter_serial or null: the key that is trusted from then on, or none
correction     corrects_leaf_index, reason
decision       session_id, decision, reason, decided_at, decided_by: what an operator
               made of a held bill, with what it was before and after
credit         session_id, session_key, credit_key, ordinal, corrects_leaf_index (of
               the settlement), amount_minor, currency, reason, credited_at
=============  ======================================================================

Times are RFC 3339 in UTC, hashes and keys lower-case hex without prefix.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import RecordError

VERSION: Final = 1
SALT_BYTES: Final = 32
MAX_SAFE_INT: Final = 2**53
MAX_DEPTH: Final = 32
MAX_RECORD_BYTES: Final = 4 * 2**20
LEAF_DOMAIN: Final = b"wattproof/leaf/1\0"
SESSION_DOMAIN: Final = b"wattproof/session/1\0"
CREDIT_DOMAIN: Final = b"wattproof/credit/1\0"

_TEXT: Final = "text"
_INT: Final = "integer"
_COUNT: Final = "integer >= 0"
_TEXT_OR_NULL: Final = "text or null"
_COUNT_OR_NULL: Final = "integer >= 0 or null"
_HASH: Final = "64 hex digits"
_HASH_OR_NULL: Final = "64 hex digits or null"
_HEX_HASH: Final = re.compile(r"[0-9a-f]{64}")

REQUIRED_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "session_start": {
        "session_id": _TEXT,
        "station_id": _TEXT,
        "evse_id": _COUNT,
        "started_at": _TEXT,
    },
    "meter": {
        "session_id": _TEXT_OR_NULL,
        "station_id": _TEXT,
        "evse_id": _COUNT,
        "occurred_at": _TEXT,
        "received_at": _TEXT,
        "register_milliwh": _COUNT_OR_NULL,
    },
    "settlement": {
        "session_id": _TEXT,
        "session_key": _HASH,
        "start_leaf_index": _COUNT,
        "readings_count": _COUNT,
        "readings_root": _HASH,
        "register_start_milliwh": _COUNT,
        "register_end_milliwh": _COUNT,
        "energy_milliwh": _COUNT,
        "amount_minor": _INT,
        "currency": _TEXT,
        "tariff_sha256": _HASH,
        "bill_sha256": _HASH,
        "started_at": _TEXT,
        "ended_at": _TEXT,
    },
    "plan": {
        "plan_id": _TEXT,
        "cabinet_id": _TEXT,
        "made_at": _TEXT,
        "algorithm_id": _TEXT,
        "algorithm_version": _TEXT,
        "inputs_sha256": _HASH,
        "outputs_sha256": _HASH,
        "certificate_sha256": _HASH_OR_NULL,
        "outcome": _TEXT,
    },
    "dispatch": {
        "station_id": _TEXT,
        "evse_id": _COUNT,
        "sent_at": _TEXT,
        "plan_id": _TEXT_OR_NULL,
        "limit_sha256": _HASH,
        "outcome": _TEXT,
    },
    "signed_meter": {
        "session_id": _TEXT,
        "station_id": _TEXT,
        "evse_id": _COUNT,
        "format": _TEXT,
        "text": _TEXT,
    },
    "meter_key": {
        "station_id": _TEXT,
        "evse_id": _COUNT,
        "occurred_at": _TEXT,
        "curve": _TEXT_OR_NULL,
        "public_key": _TEXT_OR_NULL,
        "meter_serial": _TEXT_OR_NULL,
    },
    "status": {"subject": _TEXT, "occurred_at": _TEXT},
    "cabinet": {
        "cabinet_id": _TEXT,
        "timestep": _TEXT,
        "leaves_root": _HASH,
        "leaves_count": _COUNT,
    },
    "asset": {"asset_id": _TEXT, "asset_kind": _TEXT},
    "correction": {"corrects_leaf_index": _COUNT, "reason": _TEXT},
    "decision": {
        "session_id": _TEXT,
        "decision": _TEXT,
        "reason": _TEXT,
        "decided_at": _TEXT,
        "decided_by": _TEXT,
    },
    "credit": {
        "session_id": _TEXT,
        "session_key": _HASH,
        "credit_key": _HASH,
        "ordinal": _COUNT,
        "corrects_leaf_index": _COUNT,
        "amount_minor": _COUNT,
        "currency": _TEXT,
        "reason": _TEXT,
        "credited_at": _TEXT,
    },
}
KINDS: Final = frozenset(REQUIRED_FIELDS)

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]')

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record read back: what kind it is, and its body without ``k`` and ``v``."""

    kind: str
    body: Mapping[str, object]


def canonical(kind: str, body: Mapping[str, object]) -> bytes:
    """Write a record in its canonical form.

    Args:
        kind: One of `KINDS`.
        body: The fields; see the module's table. ``k`` and ``v`` belong to the format.

    Raises:
        RecordError: Unknown kind, a required field missing or of another type, a
            float, an integer beyond 2**53, a key that is not text, a lone surrogate,
            or more than `MAX_RECORD_BYTES`.
    """
    _check_fields(kind, body)
    if "k" in body or "v" in body:
        raise RecordError("the fields 'k' and 'v' belong to the format")
    return canonical_json({"k": kind, "v": VERSION, **body})


def canonical_json(value: object) -> bytes:
    """Write any JSON value in the canonical form, without a kind.

    Raises:
        RecordError: As `canonical`, but for the fields.
    """
    _check_value(value, 0)
    try:
        data = _encode(value).encode()
    except UnicodeEncodeError:
        raise RecordError("text with a lone surrogate has no UTF-8 form") from None
    if len(data) > MAX_RECORD_BYTES:
        raise RecordError(f"record of {len(data)} bytes, at most {MAX_RECORD_BYTES}")
    return data


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a value's canonical form, as lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def parse(data: bytes) -> Record:
    """Read a record, accepting its canonical form only.

    Two spellings of one record would have two commitments, so every byte counts.

    Raises:
        RecordError: Not JSON, not canonical, or not a record of this version.
    """
    value = parse_json(data)
    if not isinstance(value, dict):
        raise RecordError("a record is a JSON object")
    kind, version = value.pop("k", None), value.pop("v", None)
    if not isinstance(kind, str) or version != VERSION or isinstance(version, bool):
        raise RecordError("a record has a kind 'k' and the version 'v' 1")
    if canonical(kind, value) != data:
        raise RecordError("the record is not in canonical form")
    return Record(kind=kind, body=value)


def parse_json(data: bytes, *, max_bytes: int = MAX_RECORD_BYTES) -> object:
    """Read JSON without floats, duplicate keys, or surprising depth.

    Raises:
        RecordError: The text is not such a value.
    """
    if len(data) > max_bytes:
        raise RecordError(f"more than {max_bytes} bytes")
    _check_nesting(data)
    try:
        value: object = json.loads(
            data.decode(),
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_bounded_int,
            object_pairs_hook=_unique_keys,
        )
    except RecordError:
        raise
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: it breaks off at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise RecordError(f"not JSON: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {type(error).__name__}") from None
    _check_value(value, 0)
    return value


def commitment(salt: bytes, record: bytes) -> bytes:
    """Return the 32 bytes that the log holds for a record.

    Args:
        salt: 32 random bytes, fresh for every record.
        record: The canonical bytes.

    Raises:
        RecordError: The salt is not 32 bytes long.
    """
    if len(salt) != SALT_BYTES:
        raise RecordError(f"salt of {len(salt)} bytes, must be {SALT_BYTES}")
    return hashlib.sha256(LEAF_DOMAIN + salt + record).digest()


def session_key(salt: bytes, leaf_index: int) -> bytes:
    """Return the 32-byte key under which a session settles, once.

    It is bound to the salt and the place of the session-start leaf, so that one session
    cannot settle twice under two salts, and says nothing about driver or station.

    Raises:
        RecordError: The salt is not 32 bytes long, or the index is negative.
    """
    if len(salt) != SALT_BYTES:
        raise RecordError(f"salt of {len(salt)} bytes, must be {SALT_BYTES}")
    if not 0 <= leaf_index < 2**63:
        raise RecordError(f"not a leaf index: {leaf_index}")
    return hashlib.sha256(
        SESSION_DOMAIN + salt + leaf_index.to_bytes(8, "big")
    ).digest()


def credit_key(key: bytes, ordinal: int) -> bytes:
    """Return the 32-byte key of a session's credit.

    It follows from the session's key and the credit's number, so that nobody can give
    one credit two keys.

    Args:
        key: `session_key` of the session.
        ordinal: 1 for its first credit.

    Raises:
        RecordError: The key is not 32 bytes long, or the ordinal is out of range.
    """
    if len(key) != hashlib.sha256().digest_size:
        raise RecordError(f"session key of {len(key)} bytes, must be 32")
    if not 0 < ordinal < 2**63:
        raise RecordError(f"not the number of a credit: {ordinal}")
    return hashlib.sha256(CREDIT_DOMAIN + key + ordinal.to_bytes(8, "big")).digest()


def _check_fields(kind: str, body: Mapping[str, object]) -> None:
    required = REQUIRED_FIELDS.get(kind)
    if required is None:
        raise RecordError(f"unknown record kind {kind!r}")
    for name, shape in required.items():
        if name not in body:
            raise RecordError(f"{kind}: field {name!r} is missing")
        if not _has_shape(body[name], shape):
            raise RecordError(f"{kind}: field {name!r} must be {shape}")


def _has_shape(value: object, shape: str) -> bool:
    if value is None:
        return shape in {_TEXT_OR_NULL, _COUNT_OR_NULL, _HASH_OR_NULL}
    if isinstance(value, str):
        if shape in {_HASH, _HASH_OR_NULL}:
            return _HEX_HASH.fullmatch(value) is not None
        return shape in {_TEXT, _TEXT_OR_NULL}
    if isinstance(value, int) and not isinstance(value, bool):
        return shape == _INT or (shape in {_COUNT, _COUNT_OR_NULL} and value >= 0)
    return False


def _check_value(value: object, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_SAFE_INT <= value <= MAX_SAFE_INT:  # type: ignore[operator]  # exactly int
            raise RecordError("integers beyond 2**53 are written as strings")
        return
    if depth >= MAX_DEPTH:
        raise RecordError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise RecordError("keys are text")
            _check_value(item, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, str)):
        for item in value:
            _check_value(item, depth + 1)
    else:
        raise RecordError(f"{kind.__name__} has no canonical form")


def _check_nesting(data: bytes) -> None:
    """Refuse depth before the parser recurses into it.

    Libraries raise the recursion limit of the process (py-evm does), and then a deep
    text would overflow the stack instead of raising.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _TOKEN.finditer(data):
        token = found[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise RecordError(f"nested deeper than {MAX_DEPTH}")
        elif token in b"]}":
            depth -= 1


def _refuse_number(text: str) -> object:
    raise RecordError(f"not an integer: {text[:32]}")


def _bounded_int(text: str) -> int:
    if len(text) > len(str(-MAX_SAFE_INT)) or abs(int(text)) > MAX_SAFE_INT:
        raise RecordError("integers beyond 2**53 are written as strings")
    if text == "-0":
        raise RecordError("zero has no sign")
    return int(text)


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RecordError("a key occurs twice")
    return result
