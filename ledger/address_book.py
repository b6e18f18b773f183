"""The file that says where the contracts are: written once by who deploys.

It holds no secret. A gateway that is given it needs no admin key, and an old backup of
its database can never bring a second set of contracts about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ledger.contracts import RELEASE, code_sha256, recognized
from ledger.errors import AddressBookError, ArtifactError
from ledger.outbox import Deployed
from ledger.ports import ChainIdentity
from ledger.runner import Runner
from ledger.sqlite_store import SqliteStore

FORMAT: Final = "wattproof-contracts/1"
MAX_FILE_BYTES: Final = 65_536
_HASH_DIGITS: Final = 64
_ADDRESS_DIGITS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressBook:
    """Which contracts stand where, and who was given which role.

    Attributes:
        contracts: By name.
        roles: Address by role (``admin``, ``anchorer``, ...), as last granted; what
            counts is what the chain says.
        release: Of the contracts that this was written with.
    """

    chain: ChainIdentity
    contracts: Mapping[str, Deployed]
    roles: Mapping[str, str]
    release: int = RELEASE

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {
            "format": FORMAT,
            "release": self.release,
            "chain_id": self.chain.chain_id,
            "genesis_hash": "0x" + self.chain.genesis_hash.hex(),
            "contracts": {
                name: {
                    "address": one.address,
                    "code_sha256": one.code_sha256.hex(),
                    "tx_hash": "0x" + one.tx_hash.hex(),
                }
                for name, one in self.contracts.items()
            },
            "roles": dict(self.roles),
        }

    def write(self, path: Path) -> None:
        """Write the file whole or not at all.

        Raises:
            AddressBookError: It cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2) + "\n"
        new = path.with_name(path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise AddressBookError(
                f"{path}: cannot be written: {error.strerror}"
            ) from None


def read_book(path: Path) -> AddressBook:
    """Read an address file.

    Raises:
        AddressBookError: It cannot be read, or is not one; says where.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise AddressBookError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise AddressBookError(f"{path}: larger than an address file")
    try:
        return _parsed(json.loads(data))
    except AddressBookError as error:
        raise AddressBookError(f"{path}: {error}") from None
    except (ValueError, RecursionError):
        raise AddressBookError(f"{path}: not JSON") from None


def adopt(runner: Runner, book: AddressBook) -> None:
    """Make the contracts of an address file those of a database.

    Raises:
        ArtifactError: The file is of another chain, the chain does not hold those
            contracts, or the database has worked with others: what is settled there
            would be settled again.
    """
    identity = runner.chain.identity()
    if identity != book.chain:
        raise ArtifactError(
            f"the address file is of chain {book.chain.key}, the node serves"
            f" {identity.key}"
        )
    known = runner.write(lambda store: store.deployed(identity.key))
    for name, given in book.contracts.items():
        own = known.get(name)
        if own is not None and own.address == given.address:
            continue
        if own is not None:
            raise ArtifactError(
                f"{name}: this database works with {own.address}, the address file"
                f" names {given.address}"
            )
        code = runner.chain.code(given.address)
        if code_sha256(code) != given.code_sha256 or recognized(name, code) is None:
            raise ArtifactError(
                f"{name} is not at {given.address} on chain {identity.key}"
            )
        runner.write(partial(_put, key=identity.key, deployed=given))


def _put(store: SqliteStore, key: str, deployed: Deployed) -> None:
    store.put_deployed(key, deployed)


def _parsed(document: object) -> AddressBook:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise AddressBookError(f"not of the format {FORMAT}")
    chain_id, release = document.get("chain_id"), document.get("release")
    if type(chain_id) is not int or type(release) is not int:
        raise AddressBookError("chain_id and release must be numbers")
    contracts, roles = document.get("contracts"), document.get("roles")
    if not isinstance(contracts, dict) or not isinstance(roles, dict):
        raise AddressBookError("contracts and roles must be objects")
    return AddressBook(
        chain=ChainIdentity(
            chain_id=chain_id,
            genesis_hash=_bytes(document.get("genesis_hash"), "genesis_hash"),
        ),
        contracts={name: _deployed(name, one) for name, one in contracts.items()},
        roles={name: _address(one, f"roles.{name}") for name, one in roles.items()},
        release=release,
    )


def _deployed(name: str, one: object) -> Deployed:
    if not isinstance(one, dict):
        raise AddressBookError(f"contracts.{name} must be an object")
    return Deployed(
        name=name,
        address=_address(one.get("address"), f"contracts.{name}.address"),
        code_sha256=_bytes(one.get("code_sha256"), f"contracts.{name}.code_sha256"),
        tx_hash=_bytes(one.get("tx_hash"), f"contracts.{name}.tx_hash"),
    )


def _address(value: object, where: str) -> str:
    return "0x" + _digits(value, _ADDRESS_DIGITS, where)


def _bytes(value: object, where: str) -> bytes:
    return bytes.fromhex(_digits(value, _HASH_DIGITS, where))


def _digits(value: object, count: int, where: str) -> str:
    if isinstance(value, str):
        digits = value.removeprefix("0x").lower()
        if len(digits) == count and set(digits) <= set("0123456789abcdef"):
            return digits
    raise AddressBookError(f"{where}: not {count} hexadecimal digits")
