"""What a wallet signs for the escrow, by an EIP-712 of its own, is what it checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, Web3

from ledger.contracts import artifact

if TYPE_CHECKING:
    from web3.contract import Contract

USER: Final = "0x" + "a1" * 20
CPO: Final = "0x" + "b2" * 20
SESSION: Final = bytes(range(32))
LOCK: Final = (
    ("sessionId", "bytes32", SESSION),
    ("user", "address", USER),
    ("cpo", "address", CPO),
    ("maxAmount", "uint128", 25_000_000),
    ("expiry", "uint64", 1_800_086_400),
)
RECEIPT: Final = (
    ("sessionId", "bytes32", SESSION),
    ("user", "address", USER),
    ("cpo", "address", CPO),
    ("energyWh", "uint256", 22_000),
    ("maxAmount", "uint128", 25_000_000),
    ("deadline", "uint64", 1_800_086_400),
)


@pytest.fixture(scope="module")
def escrow() -> Contract:
    web3 = Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend())))
    compiled = artifact("Escrow")
    admin = web3.eth.accounts[0]
    factory = web3.eth.contract(abi=compiled.abi, bytecode=compiled.creation_code)
    sent = factory.constructor(admin, admin, admin, b"EUR", 10_000).transact(
        {"from": admin}
    )
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    return factory(receipt["contractAddress"])


def typed(
    escrow: Contract, name: str, fields: tuple[tuple[str, str, Any], ...]
) -> dict[str, Any]:
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: [{"name": field, "type": kind} for field, kind, _ in fields],
        },
        "primaryType": name,
        "domain": {
            "name": "Wattproof Escrow",
            "version": "1",
            "chainId": escrow.w3.eth.chain_id,
            "verifyingContract": escrow.address,
        },
        "message": {field: value for field, _, value in fields},
    }


@pytest.mark.parametrize(
    ("name", "function", "fields"),
    [
        ("SessionLock", "lockDigest", LOCK),
        ("DriverReceipt", "receiptDigest", RECEIPT),
    ],
)
def test_the_digest_of_the_contract_is_that_of_a_wallet(
    escrow: Contract, name: str, function: str, fields: tuple[tuple[str, str, Any], ...]
) -> None:
    values = tuple(
        Web3.to_checksum_address(value) if kind == "address" else value
        for _, kind, value in fields
    )
    digest = escrow.functions[function](values).call()
    message = encode_typed_data(full_message=typed(escrow, name, fields))
    assert digest == _hash_eip191_message(message)
