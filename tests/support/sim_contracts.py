"""Models of the contracts, for a simulated chain: what their Solidity does, no more."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from ledger import merkle
from ledger.contracts import NAMES, artifact
from ledger.earlier import created_address
from ledger.errors import ContractRevertedError

Slots = dict[tuple[str, ...], Any]


@dataclass(frozen=True, kw_only=True)
class SimTx:
    """A transaction as nodes see it."""

    sender: str
    nonce: int
    to: str | None
    calldata: bytes
    gas_limit: int
    max_fee_wei: int
    tip_wei: int

    @cached_property
    def raw(self) -> bytes:
        fields = {
            "sender": self.sender,
            "nonce": self.nonce,
            "to": self.to,
            "calldata": self.calldata.hex(),
            "gas_limit": self.gas_limit,
            "max_fee_wei": self.max_fee_wei,
            "tip_wei": self.tip_wei,
        }
        return json.dumps(fields, sort_keys=True).encode()

    @cached_property
    def tx_hash(self) -> bytes:
        return hashlib.sha256(self.raw).digest()


def tx_from(sender: str, to: str | None, calldata: bytes) -> SimTx:
    """Return a transaction that is only tried."""
    return SimTx(
        sender=sender,
        nonce=0,
        to=to,
        calldata=calldata,
        gas_limit=0,
        max_fee_wei=0,
        tip_wei=0,
    )


def execute(slots: Slots, tx: SimTx) -> None:
    """Change the state as a transaction does.

    Raises:
        ContractRevertedError: It reverts; the state is to be thrown away.
    """
    to = tx.to
    if to is None:
        slots["code", created(tx)] = _creates(tx.calldata)
        return
    if ("code", to) not in slots:
        return  # as on any EVM: a call of nothing does nothing and succeeds
    name, function, arguments = called(slots, to, tx.calldata)
    match function:
        case "anchor":
            _anchor(slots, to, arguments)
        case "settleBatch":
            for row in arguments[0]:
                _settle(slots, to, row)
        case _ if function in _BOOKED:
            _BOOKED[function](slots, to, arguments)
        case "registerBatch":
            for row in arguments[0]:
                slots["asset", to, row["assetId"].hex()] = row
        case "grantRole" | "bindMinter":
            _grant(slots, to, arguments)
        case _:
            slots["did", to, f"{name}.{function}", tx.calldata.hex(), tx.sender] = True


def called(slots: Slots, to: str, calldata: bytes) -> tuple[str, str, list[Any]]:
    """Return contract, function and arguments of a call."""
    name: str = slots["code", to]
    for entry in artifact(name).abi:
        if entry["type"] != "function":
            continue
        types = [_type(item) for item in entry["inputs"]]
        signature = f"{entry['name']}({','.join(types)})"
        if keccak(text=signature)[:4] == calldata[:4]:
            values = abi_decode(types, calldata[4:])
            pairs = zip(entry["inputs"], values, strict=True)
            return name, entry["name"], [_named(i, value) for i, value in pairs]
    raise AssertionError(f"{name} has no function {calldata[:4].hex()}")


def _anchor(slots: Slots, to: str, arguments: list[Any]) -> None:
    size, root, proof, packed = arguments
    old_size, old_root = slots.get(("head", to), (0, bytes(32)))
    if size <= old_size:
        raise _refusal("StatusAnchor", "AnchorSizeNotGrowing", old_size, size)
    if old_size and not merkle.verify_consistency(
        old_size=old_size,
        new_size=size,
        old_head=old_root,
        new_head=root,
        proof=list(proof),
    ):
        raise _refusal("StatusAnchor", "AnchorInconsistent", old_size, size)
    slots["head", to] = (size, root)
    slots["status", to] = slots.get(("status", to), b"") + packed


def _settle(slots: Slots, to: str, row: Mapping[str, Any]) -> None:
    key, start = row["sessionKey"], row["startLeafIndex"]
    known = slots.get(("session", to, key.hex()))
    if known == row:
        return
    if known is not None or ("start", to, str(start)) in slots:
        raise _refusal("Settlement", "SettlementConflict", key, start)
    if is_closed(slots, to, start):
        raise _refusal("Settlement", "SettlementLeafClosed", key, start)
    slots["session", to, key.hex()] = row
    slots["start", to, str(start)] = True


def _settle_proven(slots: Slots, to: str, arguments: list[Any]) -> None:
    row, leaf_index, proof = arguments
    if slots.get(("session", to, row["sessionKey"].hex())) == row:
        return
    _settle(slots, to, row)
    size, root = next((v for k, v in slots.items() if k[0] == "head"), (0, bytes(32)))
    if leaf_index <= row["startLeafIndex"] or not merkle.verify_inclusion(
        leaf=row["leafHash"],
        index=leaf_index,
        size=size,
        proof=list(proof),
        head=root,
    ):
        key = row["sessionKey"]
        raise _refusal("Settlement", "SettlementNotIncluded", key, leaf_index)


def _record(slots: Slots, to: str, arguments: list[Any]) -> None:
    first, end, root, count, listed, left = arguments
    assert len(listed) <= count, "a window counts what it lists"
    del root
    _close(slots, to, (first, end, listed, left), frozen(arguments))


def _net(slots: Slots, to: str, arguments: list[Any]) -> None:
    window, rows = arguments
    first = window["fromLeaf"]
    users = [int(row["user"], 16) for row in rows]
    if any(one >= other for one, other in itertools.pairwise([0, *users])):
        raise _refusal("Settlement", "SettlementWindowMisshapen", first)
    span = (first, window["toLeaf"], window["listed"], window["open"])
    _close(slots, to, span, frozen(arguments))


def _credit_netted(slots: Slots, to: str, arguments: list[Any]) -> None:
    window, rows, credit = arguments
    key, first = credit["creditKey"], credit["fromLeaf"]
    known = slots.get(("credit", to, key.hex()))
    if known == credit:
        return
    if known is not None:
        raise _refusal("Settlement", "SettlementCreditConflict", key)
    if slots.get(("window", to, str(first))) != frozen([window, rows]):
        raise _refusal("Settlement", "SettlementWindowDiffers", first)
    row = next((one for one in rows if one["user"] == credit["user"]), None)
    if row is None:
        raise _refusal("Settlement", "SettlementUserNotNetted", first, credit["user"])
    book = ("netted", to, str(first), credit["user"])
    left = row["amountMinor"] - slots.get(book, 0)
    if credit["amountMinor"] > left:
        raise _refusal(
            "Settlement",
            "SettlementNettedCreditTooLarge",
            first,
            credit["user"],
            left,
            0,
        )
    slots[book] = slots.get(book, 0) + credit["amountMinor"]
    slots["credit", to, key.hex()] = credit


def frozen(value: Any) -> Any:
    """Return arguments as something that can be compared and kept."""
    if isinstance(value, dict):
        return tuple((key, frozen(one)) for key, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    return value


def _close(
    slots: Slots, to: str, span: tuple[int, int, Any, Any], content: object
) -> None:
    first, end, listed, left = span
    size = max((v[0] for key, v in slots.items() if key[0] == "head"), default=0)
    if end > size:
        raise _refusal("Settlement", "SettlementWindowBeyondHead", size, end)
    if slots.get(("window", to, str(first))) == content:
        return
    closed = closed_before(slots, to)
    if first != closed or end <= first:
        raise _refusal("Settlement", "WindowNotNext", closed, first, end)
    slots["window", to, str(first)] = content
    slots["closed", to] = end
    for leaf in listed:
        if ("start", to, str(leaf)) in slots:
            raise _refusal("Settlement", "WindowLeafSettled", leaf)
        if leaf < first and slots.pop(("open", to, str(leaf)), None) is None:
            raise _refusal("Settlement", "WindowLeafSettled", leaf)
    for leaf in left:
        if not first <= leaf < end or leaf in listed:
            raise _refusal("Settlement", "WindowLeafMisplaced", leaf)
        slots["open", to, str(leaf)] = True


def closed_before(slots: Slots, to: str) -> int:
    """Return where the next window begins."""
    return int(slots.get(("closed", to), 0))


def is_closed(slots: Slots, to: str, leaf: int) -> bool:
    """Say whether a window closed a start leaf."""
    return leaf < closed_before(slots, to) and ("open", to, str(leaf)) not in slots


def is_settled(slots: Slots, to: str, leaf: int) -> bool:
    """Say whether a session was settled alone."""
    return ("start", to, str(leaf)) in slots


def _credit(slots: Slots, to: str, arguments: list[Any]) -> None:
    (row,) = arguments
    key, session = row["creditKey"], row["sessionKey"]
    known = slots.get(("credit", to, key.hex()))
    if known == row:
        return
    if known is not None:
        raise _refusal("Settlement", "SettlementCreditConflict", key)
    if ("session", to, session.hex()) not in slots:
        raise _refusal("Settlement", "SettlementSessionUnknown", session)
    slots["credit", to, key.hex()] = row


def _grant(slots: Slots, to: str, arguments: list[Any]) -> None:
    match arguments:
        case [role, account]:
            slots["role", to, role.hex(), account] = True
        case _:
            slots["minter", to] = arguments[0]


_BOOKED = {
    "settleProven": _settle_proven,
    "recordInvoices": _record,
    "recordCredit": _credit,
    "settleNetted": _net,
    "recordNettedCredit": _credit_netted,
}


def has_role(slots: Slots, to: str, role: bytes, account: str) -> bool:
    """Say whether a role was granted; everybody is an admin here."""
    if role == bytes(32):
        return True
    return ("role", to, role.hex(), account) in slots


def minter(slots: Slots, to: str) -> str:
    """Return who was bound, the zero address for nobody."""
    return str(slots.get(("minter", to), "0x" + "00" * 20))


def _refusal(name: str, error: str, *arguments: object) -> ContractRevertedError:
    for entry in artifact(name).abi:
        if entry["type"] == "error" and entry["name"] == error:
            types = [item["type"] for item in entry["inputs"]]
            selector = keccak(text=f"{error}({','.join(types)})")[:4]
            return ContractRevertedError(selector + abi_encode(types, arguments))
    raise AssertionError(f"{name} has no error {error}")


def _creates(calldata: bytes) -> str:
    for name in NAMES:
        if calldata.startswith(artifact(name).creation_code):
            return name
    raise AssertionError("code of none of the contracts")


def created(tx: SimTx) -> str:
    """Return the address of the contract that a transaction creates."""
    return created_address(tx.sender, tx.nonce)


def _type(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_type(part) for part in item["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _named(item: Mapping[str, Any], value: Any) -> Any:
    """Give the members of tuples their names."""
    if item["type"] == "tuple":
        names = [part["name"] for part in item["components"]]
        return dict(zip(names, value, strict=True))
    if item["type"] == "tuple[]":
        inner = {**item, "type": "tuple"}
        return [_named(inner, one) for one in value]
    return value
