"""The vectors for strangers: the ledger agrees, and so does code written anew."""

import hashlib
import json
from typing import Any

import pytest

from ledger import merkle, pricing, record
from ledger.errors import RecordError
from tests.support import ledger_vectors

VECTORS: dict[str, Any] = json.loads(ledger_vectors.PATH.read_text(encoding="utf-8"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def stranger_text(value: object) -> str:
    """Canonical JSON as the page says it, without a JSON library."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(value)
        case str():
            short = dict(zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True))
            chars = (
                f"\\{short[char]}"
                if char in short
                else f"\\u{ord(char):04x}"
                if ord(char) < 0x20
                else char
                for char in value
            )
            return f'"{"".join(chars)}"'
        case list():
            return f"[{','.join(map(stranger_text, value))}]"
        case dict():
            pairs = sorted(value.items())
            texts = [f"{stranger_text(k)}:{stranger_text(item)}" for k, item in pairs]
            return "{" + ",".join(texts) + "}"
        case _:
            raise TypeError(type(value))


def stranger_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, as its recursion."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = stranger_root(leaves[:split]), stranger_root(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def test_the_file_is_what_the_code_of_now_makes() -> None:
    assert ledger_vectors.vectors() == VECTORS, (
        "python -m tests.support.ledger_vectors adds what is new;"
        " nothing that stands there may change"
    )


def test_there_is_a_vector_of_every_kind() -> None:
    assert {one["kind"] for one in VECTORS["records"]} == record.KINDS


@pytest.mark.parametrize("one", VECTORS["records"], ids=lambda one: one["kind"])
def test_a_stranger_comes_to_the_same_bytes_and_commitment(one: dict[str, Any]) -> None:
    text = stranger_text({"k": one["kind"], "v": 1} | one["body"])
    assert text == one["record"]
    data = bytes.fromhex(one["record_hex"])
    assert text.encode() == data
    salt = bytes.fromhex(one["salt"])
    commitment = sha256(b"wattproof/leaf/1\0" + salt + data)
    assert commitment == one["commitment"] == record.commitment(salt, data).hex()
    assert sha256(b"\0" + bytes.fromhex(commitment)) == one["leaf_hash"]
    read = record.parse(data)
    assert (read.kind, read.body) == (one["kind"], one["body"])


@pytest.mark.parametrize("one", VECTORS["refused"], ids=lambda one: one["why"])
def test_what_must_be_refused_is(one: dict[str, str]) -> None:
    with pytest.raises(RecordError):
        record.parse(bytes.fromhex(one["record_hex"]))


def test_keys_of_sessions_and_credits_are_hashes_of_what_the_page_says() -> None:
    for one in VECTORS["session_keys"]:
        salt, index = bytes.fromhex(one["salt"]), one["index"]
        found = sha256(b"wattproof/session/1\0" + salt + index.to_bytes(8, "big"))
        assert found == one["session_key"] == record.session_key(salt, index).hex()
    for one in VECTORS["credit_keys"]:
        key, ordinal = bytes.fromhex(one["session_key"]), one["ordinal"]
        found = sha256(b"wattproof/credit/1\0" + key + ordinal.to_bytes(8, "big"))
        assert found == one["credit_key"] == record.credit_key(key, ordinal).hex()


def test_heads_are_those_of_the_recursion() -> None:
    heads = VECTORS["heads"]
    leaves = [
        hashlib.sha256(b"\0" + bytes.fromhex(one)).digest()
        for one in heads["commitments"]
    ]
    assert [leaf.hex() for leaf in leaves] == heads["leaf_hashes"]
    for size, root in enumerate(heads["roots"]):
        assert stranger_root(leaves[:size]).hex() == root
        assert merkle.root(leaves[:size]).hex() == root


def test_proofs_hold_where_the_file_says_so_and_nowhere_else() -> None:
    for one in VECTORS["inclusion"]:
        assert one["holds"] is merkle.verify_inclusion(
            leaf=bytes.fromhex(one["leaf_hash"]),
            index=one["index"],
            size=one["size"],
            proof=[bytes.fromhex(step) for step in one["proof"]],
            head=bytes.fromhex(one["root"]),
        ), one
    for one in VECTORS["consistency"]:
        assert one["holds"] is merkle.verify_consistency(
            old_size=one["old_size"],
            new_size=one["new_size"],
            old_head=bytes.fromhex(one["old_root"]),
            new_head=bytes.fromhex(one["new_root"]),
            proof=[bytes.fromhex(step) for step in one["proof"]],
        ), one


@pytest.mark.parametrize("one", VECTORS["bills"], ids=lambda one: one["why"])
def test_bills_are_right_or_wrong_as_the_file_says(one: dict[str, Any]) -> None:
    assert sha256(stranger_text(one["tariff"]).encode()) == one["tariff_sha256"]
    assert sha256(stranger_text(one["bill"]).encode()) == one["bill_sha256"]
    wrong = pricing.check_bill(one["bill"], one["tariff"])
    assert one["holds"] is (not wrong), wrong
