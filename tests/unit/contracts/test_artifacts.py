"""The committed contract artifacts are complete, fit a chain and keep their word."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3

from ledger import contracts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.contract import Contract

ARTIFACTS: Final = Path(__file__).parents[3] / "contracts" / "artifacts"
NAMES: Final = (
    "AlgorithmRegistry",
    "AssetRegistry",
    "Escrow",
    "FlexToken",
    "Settlement",
    "StatusAnchor",
)
FIELDS: Final = {
    "abi",
    "bytecode",
    "contractName",
    "deployedBytecode",
    "evmVersion",
    "optimizerRuns",
    "solcVersion",
    "sourceSha256",
}
EIP_170_LIMIT_BYTES: Final = 24_576
EIP_3860_LIMIT_BYTES: Final = 49_152


def test_every_contract_has_an_artifact_and_no_other_file_lies_there() -> None:
    assert sorted(path.name for path in ARTIFACTS.iterdir()) == [
        *(f"{name}.json" for name in NAMES),
        "releases",
    ]
    earlier = [path for path in (ARTIFACTS / "releases").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(ARTIFACTS)) for path in earlier) == [
        f"releases/{number}/{name}.json"
        for name, numbers in sorted(contracts.EARLIER.items())
        for number in numbers
    ]
    assert set(contracts.NAMES) == set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "settleBatch",
        "recordCredit",
        "settledContent",
        "settledAmounts",
        "isStartLeafSettled",
        "SessionSettled",
        "SettlementRepeated",
        "CreditRecorded",
        "CreditRepeated",
        "SettlementConflict",
        "SettlementRowIncomplete",
        "SettlementCreditTooLarge",
    ],
)
def test_what_the_gateway_says_to_settlement_reads_the_same_in_every_release(
    name: str,
) -> None:
    found = [
        entry
        for release in (contracts.RELEASE, *contracts.EARLIER["Settlement"])
        for entry in contracts.artifact("Settlement", release).abi
        if entry.get("name") == name
    ]
    assert found == [found[0], found[0]]


def test_a_release_is_recognized_by_its_code_whatever_values_it_was_given() -> None:
    for release in (1, 2):
        code = contracts.artifact("Settlement", release).runtime_code
        address = bytes(12) + b"\xab" * 20
        given = code.replace(b"\x7f" + bytes(32), b"\x7f" + address)
        assert given != code
        found = contracts.recognized("Settlement", given)
        assert found is not None
        assert found.release == release
        assert contracts.recognized("FlexToken", given) is None
        assert contracts.recognized("Settlement", given[:-1] + b"\xff") is None


@pytest.mark.parametrize("name", NAMES)
def test_artifact_is_complete_and_in_canonical_order(name: str) -> None:
    text = (ARTIFACTS / f"{name}.json").read_text(encoding="utf-8")
    artifact = json.loads(text)
    assert set(artifact) == FIELDS
    assert artifact["contractName"] == name
    assert artifact["evmVersion"] == "prague"
    assert artifact["solcVersion"].startswith("0.8.37+")
    assert re.fullmatch("[0-9a-f]{64}", artifact["sourceSha256"])
    canonical = json.dumps(artifact, indent=2, sort_keys=True, ensure_ascii=False)
    assert text == f"{canonical}\n"


@pytest.mark.parametrize("name", NAMES)
def test_bytecode_is_linked_and_fits_the_limits_of_the_chain(name: str) -> None:
    artifact = _artifact(name)
    # A library that still has to be linked leaves a placeholder that is not hex.
    deployed = bytes.fromhex(artifact["deployedBytecode"].removeprefix("0x"))
    creation = bytes.fromhex(artifact["bytecode"].removeprefix("0x"))
    assert 0 < len(deployed) <= EIP_170_LIMIT_BYTES
    assert len(deployed) < len(creation) <= EIP_3860_LIMIT_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_every_contract_can_be_stopped_and_takes_its_admin_first(name: str) -> None:
    artifact = _artifact(name)
    functions = {item["name"] for item in artifact["abi"] if item["type"] == "function"}
    assert {"pause", "unpause", "paused", "PAUSER_ROLE", "grantRole"} <= functions
    constructor = next(i for i in artifact["abi"] if i["type"] == "constructor")
    assert constructor["inputs"][0]["name"] == "admin"


def test_anchoring_accepts_a_proven_head_and_refuses_a_forged_one() -> None:
    web3 = Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend())))
    anchor = _deploy_anchor(web3)
    leaves = [sha256(b"\x00leaf %d" % number).digest() for number in range(13)]
    _send(web3, anchor, 6, _root(leaves[:6]), [])
    assert anchor.functions.head().call()[:2] == [6, _root(leaves[:6])]

    forged = [sha256(b"\x00another first leaf").digest(), *leaves[1:]]
    selector = bytes(Web3.keccak(text="AnchorInconsistent(uint64,uint64)")[:4])
    reason = selector + (6).to_bytes(32) + (13).to_bytes(32)
    with pytest.raises(TransactionFailed, match=re.escape(repr(reason))):
        _send(web3, anchor, 13, _root(forged), _consistency(forged, 6))
    assert anchor.functions.head().call()[:2] == [6, _root(leaves[:6])]

    _send(web3, anchor, 13, _root(leaves), _consistency(leaves, 6))
    assert anchor.functions.head().call()[:2] == [13, _root(leaves)]


def _artifact(name: str) -> dict[str, Any]:
    text = (ARTIFACTS / f"{name}.json").read_text(encoding="utf-8")
    artifact: dict[str, Any] = json.loads(text)
    return artifact


def _deploy_anchor(web3: Web3) -> Contract:
    artifact = _artifact("StatusAnchor")
    admin = web3.eth.accounts[0]
    factory = web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    sent = factory.constructor(admin).transact({"from": admin})
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    anchor = factory(receipt["contractAddress"])
    role = anchor.functions.ANCHORER_ROLE().call()
    anchor.functions.grantRole(role, admin).transact({"from": admin})
    return anchor


def _send(
    web3: Web3, anchor: Contract, size: int, root: bytes, proof: list[bytes]
) -> None:
    call = anchor.functions.anchor(size, root, proof, b"")
    call.transact({"from": web3.eth.accounts[0]})


def _split(size: int) -> int:
    """Return the largest power of two below a size (RFC 9162, 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes (RFC 9162, 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    middle = _split(len(leaves))
    return sha256(b"\x01" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def _consistency(
    leaves: Sequence[bytes], old_size: int, *, whole: bool = True
) -> list[bytes]:
    """Return the proof from an old size to all leaves (RFC 9162, 2.1.4.1)."""
    if old_size == len(leaves):
        return [] if whole else [_root(leaves)]
    middle = _split(len(leaves))
    left, right = leaves[:middle], leaves[middle:]
    if old_size <= middle:
        return [*_consistency(left, old_size, whole=whole), _root(right)]
    return [*_consistency(right, old_size - middle, whole=False), _root(left)]
