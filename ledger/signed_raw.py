"""Compares a signed transaction with what was asked, field by field, byte by byte.

Everything but the signature is known beforehand, so the raw bytes must be exactly the
encoding of what was asked with some signature in it, and the signature must be of the
expected key. EIP-1559 for chains with a base fee, EIP-155 for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import rlp
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from ledger.errors import SignerNonsenseError
from ledger.outbox import Fees

DYNAMIC_FEES: Final = b"\x02"
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of the order of secp256k1: nodes refuse an ``s`` above it (EIP-2)."""
_EIP155: Final = 35
_WORD_BYTES: Final = 32
_Item: TypeAlias = bytes | list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A transaction as it shall be signed; it never carries coins.

    Attributes:
        sender: Whose signature it must be, lower-case hex with prefix.
        to: Address called, ``None`` to create a contract.
    """

    sender: str
    chain_id: int
    nonce: int
    to: str | None
    calldata: bytes
    gas_limit: int
    fees: Fees


def check_signed(raw: bytes, asked: Asked) -> bytes:
    """Return the hash of a signed transaction that is exactly what was asked.

    Raises:
        SignerNonsenseError: It is not; names the first field that differs.
    """
    is_legacy = asked.fees.is_legacy
    prefix = b"" if is_legacy else DYNAMIC_FEES
    if raw[:1] != prefix and not is_legacy:
        raise SignerNonsenseError("signed as another type of transaction")
    expected = _legacy(asked) if is_legacy else _dynamic(asked)
    found = _items(raw.removeprefix(prefix) if prefix else raw, len(expected) + 3)
    for (name, value), got in zip(expected, found, strict=False):
        if got != value:
            raise SignerNonsenseError(f"the {name} was changed")
    v, r, s = (_number(item) for item in found[-3:])
    parity = v - (2 * asked.chain_id + _EIP155) if is_legacy else v
    if parity not in {0, 1}:
        raise SignerNonsenseError(
            f"signed for another chain than {asked.chain_id}"
            if is_legacy
            else "not a signature of secp256k1"
        )
    values = [value for _, value in expected]
    if raw != prefix + rlp.encode([*values, _bytes(v), _bytes(r), _bytes(s)]):
        raise SignerNonsenseError("not encoded as nodes demand it")
    if is_legacy:  # EIP-155: the chain id stands where the signature will
        values += [_bytes(asked.chain_id), b"", b""]
    signer = _signer(keccak(prefix + rlp.encode(values)), parity, r, s)
    if signer != asked.sender:
        raise SignerNonsenseError(f"signed with the key of {signer}")
    return keccak(raw)


def _signer(digest: bytes, parity: int, r: int, s: int) -> str:
    if not 0 < s <= _HALF_ORDER:
        raise SignerNonsenseError("not a signature that nodes take: s is out of range")
    try:
        signature = Signature(vrs=(parity, r, s))
        return signature.recover_public_key_from_msg_hash(digest).to_address()
    except (BadSignature, ValidationError):
        raise SignerNonsenseError("not a signature of secp256k1") from None


def _dynamic(asked: Asked) -> list[tuple[str, _Item]]:
    return [
        ("chain id", _bytes(asked.chain_id)),
        ("nonce", _bytes(asked.nonce)),
        ("priority fee", _bytes(asked.fees.priority_fee_wei)),
        ("highest fee", _bytes(asked.fees.max_fee_wei)),
        *_common(asked),
        ("access list", []),
    ]


def _legacy(asked: Asked) -> list[tuple[str, _Item]]:
    price = ("gas price", _bytes(asked.fees.max_fee_wei))
    return [("nonce", _bytes(asked.nonce)), price, *_common(asked)]


def _common(asked: Asked) -> list[tuple[str, _Item]]:
    to = "" if asked.to is None else asked.to.removeprefix("0x")
    return [
        ("gas limit", _bytes(asked.gas_limit)),
        ("receiver", bytes.fromhex(to)),
        ("value", b""),
        ("data", asked.calldata),
    ]


def _items(encoded: bytes, count: int) -> list[_Item]:
    try:
        items = rlp.decode(encoded)
    except (rlp.exceptions.RLPException, RecursionError):
        raise SignerNonsenseError("not a transaction") from None
    if not isinstance(items, list) or len(items) != count:
        raise SignerNonsenseError("not a transaction of this type")
    return items


def _number(item: _Item) -> int:
    if not isinstance(item, bytes) or len(item) > _WORD_BYTES:
        raise SignerNonsenseError("not a signature of secp256k1")
    return int.from_bytes(item, "big")


def _bytes(number: int) -> bytes:
    """Return a number as RLP has it: big endian, without leading zeros."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
