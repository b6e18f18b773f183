"""The compiled contracts: artifacts, calldata, events, errors.

Artifacts are found beside this package in a wheel (``ledger/artifacts``) or in a
checkout (``contracts/artifacts``). Types are those of the ABI; addresses go in as text
and come out in lower-case hex.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from ledger.errors import ArtifactError, ChainNonsenseError, ContractRevertedError
from ledger.ports import LogEntry

NAMES: Final = (
    "FlexToken",
    "AssetRegistry",
    "StatusAnchor",
    "Settlement",
    "AlgorithmRegistry",
    "Escrow",
)
RELEASE: Final = 2
"""Of the contracts beside this package."""
EARLIER: Final[Mapping[str, tuple[int, ...]]] = {
    "AssetRegistry": (1,),
    "FlexToken": (1,),
    "Settlement": (1,),
    "StatusAnchor": (1,),
}
"""Releases whose code differs from now, newest first: deployments keep theirs."""
SELECTOR_BYTES: Final = 4
WORD_BYTES: Final = 32
_PLACEHOLDER: Final = re.compile(rb"\x7f\x00{32}")
_BUILT_IN_ERRORS: Final = {"Error": ("string",), "Panic": ("uint256",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract.

    Attributes:
        abi: Its ABI as JSON.
        creation_code: What a deployment sends, before the constructor's arguments.
        runtime_code: What stands on chain; immutable values are zero here.
        release: Of which release of the contracts it is.
    """

    name: str
    release: int
    abi: Sequence[Mapping[str, Any]]
    creation_code: bytes
    runtime_code: bytes

    def creation(self, *arguments: object) -> bytes:
        """Return the data of a deployment with these constructor arguments."""
        for entry in self.abi:
            if entry["type"] == "constructor":
                return self.creation_code + abi_encode(_types(entry), arguments)
        return self.creation_code

    def calldata(self, function: str, *arguments: object) -> bytes:
        """Return the data of a call."""
        entry = self._entry("function", function)
        return _selector(entry) + abi_encode(_types(entry), arguments)

    def result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Decode what a call returned.

        Raises:
            ChainNonsenseError: The data does not have the shape of the ABI.
        """
        entry = self._entry("function", function)
        outputs = [_type(item) for item in entry["outputs"]]
        try:
            return abi_decode(outputs, data)
        except (DecodingError, OverflowError) as error:
            raise ChainNonsenseError(
                f"{self.name}.{function} returned {len(data)} bytes of another shape"
            ) from error

    def events(
        self, name: str, address: str, logs: Iterable[LogEntry]
    ) -> list[dict[str, Any]]:
        """Decode the events of one name that one contract emitted.

        Raises:
            ChainNonsenseError: An event of that name has another shape.
        """
        entry = self._entry("event", name)
        topic = keccak(text=_signature(entry))
        found = []
        for log in logs:
            if log.address.lower() != address.lower() or log.topics[:1] != (topic,):
                continue
            indexed = [item for item in entry["inputs"] if item["indexed"]]
            plain = [item for item in entry["inputs"] if not item["indexed"]]
            try:
                values = [
                    abi_decode([_type(item)], word)[0]
                    for item, word in zip(indexed, log.topics[1:], strict=True)
                ]
                values += abi_decode([_type(item) for item in plain], log.data)
            except (DecodingError, OverflowError, ValueError) as error:
                raise ChainNonsenseError(f"malformed event {name}") from error
            names = [item["name"] for item in (*indexed, *plain)]
            found.append(dict(zip(names, values, strict=True)))
        return found

    def explain(self, error: ContractRevertedError) -> ContractRevertedError:
        """Return the same revert with name and arguments, if this ABI knows them."""
        selector, body = error.data[:SELECTOR_BYTES], error.data[SELECTOR_BYTES:]
        for name, types in self._error_types().items():
            if keccak(text=f"{name}({','.join(types)})")[:SELECTOR_BYTES] != selector:
                continue
            try:
                arguments = abi_decode(types, body)
            except (DecodingError, OverflowError):
                return error
            return ContractRevertedError(error.data, name=name, arguments=arguments)
        return error

    def matches(self, code: bytes) -> bool:
        """Say whether code on chain is this contract, immutable values aside."""
        own = bytearray(self.runtime_code)
        if len(own) != len(code):
            return False
        for hole in _PLACEHOLDER.finditer(self.runtime_code):
            own[hole.start() + 1 : hole.end()] = code[hole.start() + 1 : hole.end()]
        return bytes(own) == code

    def _error_types(self) -> dict[str, tuple[str, ...]]:
        own = {
            entry["name"]: tuple(_types(entry))
            for entry in self.abi
            if entry["type"] == "error"
        }
        return {**_BUILT_IN_ERRORS, **own}

    def _entry(self, kind: str, name: str) -> Mapping[str, Any]:
        for entry in self.abi:
            if entry["type"] == kind and entry["name"] == name:
                return entry
        raise ArtifactError(f"{self.name} has no {kind} {name}")


def artifact_folder() -> Path:
    """Return where the artifacts are.

    Raises:
        ArtifactError: They are neither in the wheel nor in a checkout.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "artifacts", here.parent / "contracts" / "artifacts"):
        if (folder / "StatusAnchor.json").is_file():
            return folder
    raise ArtifactError(f"no contract artifacts beside {here}")


@cache
def artifact(name: str, release: int = RELEASE) -> Artifact:
    """Read one artifact.

    Args:
        name: Of the contract.
        release: Of the contracts: the one of now, or one of `EARLIER`.

    Raises:
        ArtifactError: The file is missing or not an artifact.
    """
    folder = artifact_folder()
    if release != RELEASE:
        folder = folder / "releases" / str(release)
    path = folder / f"{name}.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Artifact(
            name=name,
            release=release,
            abi=raw["abi"],
            creation_code=bytes.fromhex(raw["bytecode"].removeprefix("0x")),
            runtime_code=bytes.fromhex(raw["deployedBytecode"].removeprefix("0x")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not a contract artifact") from error


def recognized(name: str, code: bytes) -> Artifact | None:
    """Return which release of a contract that code on chain is; ``None`` for none."""
    for release in (RELEASE, *EARLIER.get(name, ())):
        found = artifact(name, release)
        if found.matches(code):
            return found
    return None


def role(name: str) -> bytes:
    """Return the id of a role, as OpenZeppelin's AccessControl makes it."""
    return keccak(text=name)


def code_sha256(code: bytes) -> bytes:
    """Return the hash that deployment records keep of code on chain."""
    return hashlib.sha256(code).digest()


def currency_bytes(currency: str) -> bytes:
    """Return an ISO 4217 code as ``bytes3``."""
    return currency.encode("ascii")


def address_bytes(address: str | None) -> str:
    """Return an address argument; the zero address for none."""
    return "0x" + "00" * 20 if address is None else address


def _type(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    if kind.startswith("tuple"):
        inner = ",".join(_type(part) for part in item["components"])
        return f"({inner}){kind.removeprefix('tuple')}"
    return kind


def _types(entry: Mapping[str, Any]) -> list[str]:
    return [_type(item) for item in entry["inputs"]]


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_types(entry))})"


def _selector(entry: Mapping[str, Any]) -> bytes:
    return keccak(text=_signature(entry))[:SELECTOR_BYTES]
