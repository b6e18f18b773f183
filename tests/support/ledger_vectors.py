"""The inputs of ``docs/vectors/ledger.json``; ``python -m`` writes the file anew.

The file is for strangers who write a verifier of their own, in any language. What
stands in it once must not change: a difference means that old receipts break.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger import merkle, record

FORMAT: Final = "wattproof-vectors/1"
PATH: Final = Path(__file__).parents[2] / "docs" / "vectors" / "ledger.json"
N_LEAF: Final = 13
Json = dict[str, Any]

_HASHES: Final = [bytes([byte]) * 32 for byte in range(1, 9)]
_KEY: Final = record.session_key(bytes(range(32)), 7)
_TIME: Final = "2026-11-22T10:00:00.000000Z"

BODIES: Final[Mapping[str, tuple[Json, ...]]] = {
    "session_start": (
        {
            "session_id": "s-1",
            "station_id": "CP-1",
            "evse_id": 1,
            "started_at": _TIME,
        },
        {
            "session_id": "s-2",
            "station_id": "Säule 7 ⚡",
            "evse_id": 0,
            "started_at": _TIME,
            "register_start_milliwh": 2**53,
            "tariff_sha256": _HASHES[0].hex(),
            "id_token_sha256": _HASHES[1].hex(),
        },
    ),
    "meter": (
        {
            "session_id": "s-1",
            "station_id": "CP-1",
            "evse_id": 1,
            "occurred_at": "2026-11-22T10:00:00Z",
            "received_at": "2026-11-22T10:00:01Z",
            "register_milliwh": 1_234_567,
        },
        {
            "session_id": None,
            "station_id": 'quote " backslash \\ tab \t nul \0 delete \x7f 𝄞',
            "evse_id": 2,
            "occurred_at": _TIME,
            "received_at": _TIME,
            "register_milliwh": None,
            "context": "Sample.Clock",
        },
    ),
    "settlement": (
        {
            "session_id": "s-1",
            "session_key": _KEY.hex(),
            "start_leaf_index": 7,
            "readings_count": 2,
            "readings_root": _HASHES[2].hex(),
            "register_start_milliwh": 1_000_000,
            "register_end_milliwh": 8_000_000,
            "energy_milliwh": 7_000_000,
            "amount_minor": -5,
            "currency": "EUR",
            "tariff_sha256": _HASHES[0].hex(),
            "bill_sha256": _HASHES[3].hex(),
            "started_at": _TIME,
            "ended_at": "2026-11-22T12:00:00.000000Z",
            "signed_verdict": "ok",
            "signed_root": _HASHES[4].hex(),
            "signed_count": 2,
            "meter_key_leaf_index": 3,
        },
    ),
    "plan": (
        {
            "plan_id": "12",
            "cabinet_id": "C1",
            "made_at": _TIME,
            "algorithm_id": "wattproof-optimizer",
            "algorithm_version": "3",
            "inputs_sha256": _HASHES[0].hex(),
            "outputs_sha256": _HASHES[1].hex(),
            "certificate_sha256": None,
            "outcome": "optimal",
        },
    ),
    "dispatch": (
        {
            "station_id": "CP-1",
            "evse_id": 1,
            "sent_at": _TIME,
            "plan_id": "12",
            "limit_sha256": _HASHES[5].hex(),
            "outcome": "accepted",
        },
    ),
    "signed_meter": (
        {
            "session_id": "s-1",
            "station_id": "CP-1",
            "evse_id": 1,
            "format": "OCMF",
            "text": 'OCMF|{"FV":"1.0"}|{"SD":"00"}',
        },
    ),
    "meter_key": (
        {
            "station_id": "CP-1",
            "evse_id": 1,
            "occurred_at": _TIME,
            "curve": "secp256r1",
            "public_key": "04" * 64,
            "meter_serial": "M-1",
        },
        {
            "station_id": "CP-1",
            "evse_id": 1,
            "occurred_at": _TIME,
            "curve": None,
            "public_key": None,
            "meter_serial": None,
        },
    ),
    "status": (
        {"subject": "CP-1/1", "occurred_at": _TIME, "Z": None, "ä": True},
        # By code point the ligature comes first, by UTF-16 unit the clef.
        {"subject": "CP-1/1", "occurred_at": _TIME, "𝄞": [], "ﬀ": {"b": 1, "a": -1}},
    ),
    "asset": ({"asset_id": "CP-1/1", "asset_kind": "evse"},),
    "correction": ({"corrects_leaf_index": 4, "reason": "read twice"},),
    "decision": (
        {
            "session_id": "s-1",
            "decision": "corrected",
            "reason": "the display shows another register",
            "decided_at": _TIME,
            "decided_by": "token 3",
            "verdict": "held",
            "before": {"energy_milliwh": 9_000_000, "amount_minor": 360},
            "after": {"energy_milliwh": 7_000_000, "amount_minor": 280},
            "balance_minor": -80,
        },
    ),
    "credit": (
        {
            "session_id": "s-1",
            "session_key": _KEY.hex(),
            "credit_key": record.credit_key(_KEY, 1).hex(),
            "ordinal": 1,
            "corrects_leaf_index": 9,
            "amount_minor": 150,
            "currency": "EUR",
            "reason": "goodwill",
            "credited_at": _TIME,
        },
    ),
    "cabinet": (
        {
            "cabinet_id": "C1",
            "timestep": _TIME,
            "leaves_root": _HASHES[6].hex(),
            "leaves_count": 2,
            "leaf_indexes": [3, 5],
            "previous_leaf_index": None,
        },
    ),
}
"""At least one body of every kind."""

_METER_TEXT: Final = record.canonical("meter", BODIES["meter"][0])
REFUSED: Final[tuple[tuple[str, bytes], ...]] = (
    ("a space after the end", _METER_TEXT + b" "),
    ("a space inside", _METER_TEXT.replace(b":1,", b": 1,", 1)),
    ("an escape that JSON does not demand", _METER_TEXT.replace(b"CP", b"\\u0043P")),
    ("a key twice", _METER_TEXT.replace(b'"v":1', b'"v":1,"v":1')),
    ("keys out of order", b'{"k":"asset","asset_id":"a","asset_kind":"b","v":1}'),
    ("a version that is true", _METER_TEXT.replace(b'"v":1', b'"v":true')),
    ("another version", _METER_TEXT.replace(b'"v":1', b'"v":2')),
    ("a fraction", _METER_TEXT.replace(b"1234567", b"1234567.0")),
    ("an exponent", _METER_TEXT.replace(b"1234567", b"1e6")),
    ("a signed zero", _METER_TEXT.replace(b"1234567", b"-0")),
    ("a leading zero", _METER_TEXT.replace(b"1234567", b"01234567")),
    ("beyond 2^53", _METER_TEXT.replace(b"1234567", b"9007199254740993")),
    ("a number that is none", _METER_TEXT.replace(b"1234567", b"NaN")),
    ("a negative register", _METER_TEXT.replace(b"1234567", b"-1")),
    ("a register as text", _METER_TEXT.replace(b"1234567", b'"1234567"')),
    ("a required member missing", _METER_TEXT.replace(b'"evse_id":1,', b"")),
    ("an unknown kind", _METER_TEXT.replace(b'"meter"', b'"reading"')),
    (
        "hexadecimal digits in capitals",
        record.canonical("credit", BODIES["credit"][0]).replace(
            _KEY.hex().encode(), _KEY.hex().upper().encode()
        ),
    ),
    ("a lone surrogate", _METER_TEXT.replace(b"CP-1", b"\\ud800")),
    ("bytes that are not UTF-8", _METER_TEXT.replace(b"CP-1", b"\xff")),
    ("a mark of byte order", b"\xef\xbb\xbf" + _METER_TEXT),
    ("nested too deep", b'{"a":' * 33 + b"1" + b"}" * 33),
    ("a list", b"[]"),
    ("nothing", b""),
)
"""Why, and bytes that no reader of records may accept."""


def vectors() -> Json:
    """Return what the file holds."""
    return {
        "format": FORMAT,
        "about": "see docs/evidence.md; hashes, salts and keys are lower-case hex",
        "records": [
            _record(kind, body, number)
            for number, (kind, body) in enumerate(
                (kind, body) for kind, bodies in BODIES.items() for body in bodies
            )
        ],
        "refused": [{"why": why, "record_hex": data.hex()} for why, data in REFUSED],
        "session_keys": [
            {
                "salt": salt.hex(),
                "index": index,
                "session_key": record.session_key(salt, index).hex(),
            }
            for salt, index in (
                (bytes(range(32)), 0),
                (bytes(range(32)), 7),
                (_HASHES[0], 256),
                (_HASHES[1], 2**40 + 1),
                (_HASHES[1], 2**53),
            )
        ],
        "credit_keys": [
            {
                "session_key": _KEY.hex(),
                "ordinal": ordinal,
                "credit_key": record.credit_key(_KEY, ordinal).hex(),
            }
            for ordinal in (1, 2, 256, 2**53)
        ],
        **_tree(),
        "bills": _bills(),
    }


def _record(kind: str, body: Mapping[str, object], number: int) -> Json:
    text = record.canonical(kind, body)
    salt = bytes((31 * number + at) % 256 for at in range(32))
    commitment = record.commitment(salt, text)
    return {
        "kind": kind,
        "body": body,
        "record": text.decode(),
        "record_hex": text.hex(),
        "salt": salt.hex(),
        "commitment": commitment.hex(),
        "leaf_hash": merkle.leaf_hash(commitment).hex(),
    }


def _tree() -> Json:
    commitments = [bytes([0x40 + at]) * 32 for at in range(N_LEAF)]
    hashes = [merkle.leaf_hash(one) for one in commitments]

    def node(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : (index + 1) << level])

    heads = [merkle.root(hashes[:size]) for size in range(N_LEAF + 1)]
    inclusion = [
        {
            "index": index,
            "size": size,
            "leaf_hash": hashes[index].hex(),
            "root": heads[size].hex(),
            "proof": [one.hex() for one in merkle.inclusion_proof(index, size, node)],
            "holds": True,
        }
        for size in range(1, N_LEAF + 1)
        for index in range(size)
    ]
    consistency = [
        {
            "old_size": old,
            "new_size": new,
            "old_root": heads[old].hex(),
            "new_root": heads[new].hex(),
            "proof": [one.hex() for one in merkle.consistency_proof(old, new, node)],
            "holds": True,
        }
        for new in range(N_LEAF + 1)
        for old in range(new + 1)
    ]
    return {
        "heads": {
            "commitments": [one.hex() for one in commitments],
            "leaf_hashes": [one.hex() for one in hashes],
            "roots": [head.hex() for head in heads],
        },
        "inclusion": inclusion + _wrong(inclusion, "index", "leaf_hash"),
        "consistency": consistency + _wrong(consistency, "old_size", "old_root"),
    }


def _wrong(good: list[Json], place: str, start: str) -> list[Json]:
    """Return proofs that must not hold, each from a good one by one change."""
    found = []
    for one in good[5::17]:
        if not one["proof"]:
            continue
        changes: tuple[Json, ...] = (
            {"proof": one["proof"][:-1]},
            {"proof": [*one["proof"], "00" * 32]},
            {"proof": ["11" * 32, *one["proof"][1:]]},
            {place: one[place] + 1},
            {start: "22" * 32},
        )
        found += [one | change | {"holds": False} for change in changes]
    return found


def _bills() -> list[Json]:
    tariff = {
        "tariff_id": "t-1",
        "currency": "EUR",
        "minor_digits": 2,
        "timezone": "UTC",
        "elements": [{"price_micro_per_kwh": 395_000}],
    }

    def bill(energy: int, amount: int, **changes: object) -> Json:
        return {
            "currency": "EUR",
            "minor_digits": 2,
            "tariff_id": "t-1",
            "tariff_sha256": record.sha256_json(tariff),
            "parts": [
                {
                    "from": _TIME,
                    "to": "2026-11-22T12:00:00.000000Z",
                    "energy_milliwh": energy,
                    "price_micro_per_kwh": 395_000,
                }
            ],
            "energy_milliwh": energy,
            "amount_minor": amount,
            "register_start_milliwh": 1_000_000,
            "register_end_milliwh": 1_000_000 + energy,
            **changes,
        }

    # 1 kWh costs 39.5 cents: a half is rounded to the even neighbour.
    cases = (
        ("a half rounds down to even", bill(3_000_000, 118), True),
        ("a half rounds up to even", bill(1_000_000, 40), True),
        ("above a half rounds up", bill(1_000_001, 40), True),
        ("below a half rounds down", bill(999_999, 39), True),
        ("nothing drawn", bill(0, 0), True),
        ("rounded the other way", bill(3_000_000, 119), False),
        ("another amount", bill(1_000_000, 41), False),
        ("another currency", bill(1_000_000, 40, currency="CHF"), False),
        (
            "registers that say less",
            bill(1_000_000, 40, register_end_milliwh=1_999_999),
            False,
        ),
    )
    return [
        {
            "why": why,
            "tariff": tariff,
            "bill": one,
            "tariff_sha256": record.sha256_json(tariff),
            "bill_sha256": record.sha256_json(one),
            "holds": holds,
        }
        for why, one, holds in cases
    ]


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
