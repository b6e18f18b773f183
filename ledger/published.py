"""Which contracts an operator publishes, on which chain, as a file for verifiers.

A receipt names contracts; that they are the ones everybody else is shown is the
operator's word unless the verifier brings them along. The file::

    {"format": "wattproof-contracts/1", "release": 2, "chain_id": 1337,
     "genesis_hash": "0x...",
     "contracts": {"StatusAnchor": {"address": "0x...", "code_sha256": hash}, ...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import BundleError
from ledger.receipt import BundleChain
from ledger.strict_json import (
    ADDRESS,
    HASH,
    PREFIXED_HASH,
    as_object,
    count,
    hexed,
    members,
    parse,
    read_file,
)
from ledger.verdicts import Check

FORMAT: Final = "wattproof-contracts/1"
NAME: Final = "contracts"
MAX_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedContract:
    """Address in lower-case hex with prefix, and the hash of the code there."""

    address: str
    code_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedContracts:
    """What an operator publishes; other members of the file are not read.

    Attributes:
        contracts: By name, as ``StatusAnchor``.
        release: Of the contracts.
        payee: Whom drivers pay out of the escrow, if there is one.
    """

    chain_id: int
    genesis_hash: bytes
    release: int
    contracts: Mapping[str, PublishedContract]
    payee: str | None = None

    @property
    def has_escrow(self) -> bool:
        """Say whether there is an escrow, and somebody who is paid by it."""
        return self.payee is not None and "Escrow" in self.contracts

    def address(self, name: str) -> str | None:
        """Return where a contract stands."""
        found = self.contracts.get(name)
        return None if found is None else found.address

    def to_json(self) -> dict[str, object]:
        """Return the file's content."""
        return {
            "format": FORMAT,
            "release": self.release,
            "chain_id": self.chain_id,
            "genesis_hash": f"0x{self.genesis_hash.hex()}",
            "contracts": {
                name: {"address": one.address, "code_sha256": one.code_sha256.hex()}
                for name, one in sorted(self.contracts.items())
            },
        }


def read_contracts(path: Path) -> PublishedContracts:
    """Read a file of addresses.

    Raises:
        BundleError: It cannot be read or is none.
    """
    return parse_contracts(read_file(path, MAX_BYTES))


def parse_contracts(data: bytes) -> PublishedContracts:
    """Read the bytes of a file of addresses.

    Raises:
        BundleError: They are none.
    """
    what = "a file of contracts"
    top = parse(data, what, MAX_BYTES)
    if top.get("format") != FORMAT:
        raise BundleError(f"not {what}: format must be {FORMAT!r}")
    for name in ("release", "chain_id", "genesis_hash", "contracts"):
        if name not in top:
            raise BundleError(f"{what} lacks {name!r}")
    contracts = {}
    for name, value in as_object(top["contracts"], "contracts").items():
        one = members(
            value, name[:40], ("address", "code_sha256"), ("block", "tx_hash")
        )
        contracts[name] = PublishedContract(
            address="0x" + hexed(one["address"], ADDRESS, "address").hex(),
            code_sha256=hexed(one["code_sha256"], HASH, "code_sha256"),
        )
    payee = as_object(top.get("roles", {}), "roles").get("payee")
    return PublishedContracts(
        payee=None if payee is None else "0x" + hexed(payee, ADDRESS, "payee").hex(),
        chain_id=count(top, "chain_id"),
        genesis_hash=hexed(top["genesis_hash"], PREFIXED_HASH, "genesis_hash"),
        release=count(top, "release"),
        contracts=contracts,
    )


def check_published(
    published: PublishedContracts | None, named: BundleChain | None
) -> Check:
    """Compare what a receipt names with what the operator publishes."""
    if published is None or named is None:
        reason = (
            "that these are the operator's contracts is the receipt's word:"
            " give --contracts FILE"
            if named is not None
            else "the receipt names no contracts"
        )
        return Check.open(NAME, reason, is_claimed=False)
    if (named.chain_id, named.genesis_hash) != (
        published.chain_id,
        published.genesis_hash,
    ):
        return Check.false(NAME, "the receipt names another chain than is published")
    for name, address in (
        ("StatusAnchor", named.anchor_contract),
        ("Settlement", named.settlement_contract),
    ):
        known = published.address(name)
        if known is None:
            return Check.false(NAME, f"no {name} is published")
        if known != address:
            return Check.false(NAME, f"{name} is published at {known}, not {address}")
    return Check.true(NAME, "chain and addresses are those that are published")
