"""Released algorithms: how a plan's algorithm is called on chain, and what is there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ledger.contracts import artifact
from ledger.errors import ChainNonsenseError, ContractRevertedError
from ledger.ports import Chain

_DOMAIN: Final = b"wattproof/algorithm/1\0"
_MAX_TIME_S: Final = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAlgorithm:
    """An entry of ``AlgorithmRegistry``; it never changes."""

    version: str
    wheel_sha256: bytes
    source_sha256: bytes
    environment_sha256: bytes
    active_from: datetime
    published_at: datetime
    uri: str


def algorithm_id(algorithm: str) -> bytes:
    """Return the identifier of an algorithm on chain.

    Args:
        algorithm: Name and version as plans carry them, ``wattproof-optimizer/3``.
    """
    return hashlib.sha256(_DOMAIN + algorithm.encode()).digest()


def published_algorithm(
    chain: Chain, registry: str, algorithm: str
) -> PublishedAlgorithm | None:
    """Ask the registry at an address for an algorithm; ``None`` if it has none.

    Raises:
        ChainError: The chain does not answer as an EVM chain with that contract.
    """
    binding = artifact("AlgorithmRegistry")
    try:
        data = chain.call(
            registry, binding.calldata("algorithm", algorithm_id(algorithm))
        )
    except ContractRevertedError as error:
        if binding.explain(error).name == "AlgorithmUnknown":
            return None
        raise
    (entry,) = binding.result("algorithm", data)
    version, wheel, source, environment, active_from, published_at, uri = entry
    if max(active_from, published_at) > _MAX_TIME_S:
        raise ChainNonsenseError("a release of the far future")
    return PublishedAlgorithm(
        version=version,
        wheel_sha256=wheel,
        source_sha256=source,
        environment_sha256=environment,
        active_from=datetime.fromtimestamp(active_from, UTC),
        published_at=datetime.fromtimestamp(published_at, UTC),
        uri=uri,
    )
