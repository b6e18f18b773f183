"""Puts a release into ``AlgorithmRegistry``, once, with an outbox of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger.address_book import AddressBook
from ledger.algorithms import PublishedAlgorithm, published_algorithm
from ledger.contracts import artifact, code_sha256, recognized
from ledger.deploying import seal_once
from ledger.errors import ArtifactError, OperationFailedError
from ledger.operating import Operation
from ledger.outbox import Purpose, TxDraft
from ledger.ports import Chain
from ledger.runner import Report
from ledger.settle import AlgorithmRelease, publish_calldata

REGISTRY: Final = "AlgorithmRegistry"
ROLE: Final = "PUBLISHER_ROLE"


def registered(
    chain: Chain, book: AddressBook, algorithm: str
) -> PublishedAlgorithm | None:
    """Ask the registry of an address file for an algorithm.

    Raises:
        ArtifactError: The registry is not on this chain.
    """
    return published_algorithm(chain, _registry(chain, book), algorithm)


def publish(operation: Operation, book: AddressBook, entry: AlgorithmRelease) -> None:
    """Publish a release and wait until it is final; safe to repeat at any point.

    Raises:
        OperationFailedError: The key may not publish, or the transaction failed.
        LedgerError: The chain or the contracts are not what they should be.
    """
    chain, runner, sender = operation.chain, operation.runner, operation.admin.address
    registry = _registry(chain, book)
    binding = artifact(REGISTRY)
    (right,) = binding.result(ROLE, chain.call(registry, binding.calldata(ROLE)))
    held = chain.call(registry, binding.calldata("hasRole", right, sender))
    if not binding.result("hasRole", held)[0]:
        raise OperationFailedError(f"{sender} may not publish: it lacks {ROLE}")
    draft = TxDraft(
        chain=chain.identity().key,
        purpose=Purpose.PUBLISH,
        purpose_key=entry.algorithm_id.hex(),
        sender=sender,
        to=registry,
        calldata=publish_calldata(entry),
        facts={"version": entry.version},
    )

    def step(now: datetime, report: Report) -> bool:
        del report
        runner.write(lambda store: seal_once(store, draft, now))
        return registered(chain, book, entry.version) is not None

    operation.until_done(step)


def _registry(chain: Chain, book: AddressBook) -> str:
    if chain.identity() != book.chain:
        raise ArtifactError(f"the address file is of another chain: {book.chain.key}")
    known = book.contracts.get(REGISTRY)
    if known is None:
        raise ArtifactError(f"the address file names no {REGISTRY}")
    code = chain.code(known.address)
    if code_sha256(code) != known.code_sha256 or recognized(REGISTRY, code) is None:
        raise ArtifactError(f"{REGISTRY} is not at {known.address} on this chain")
    return known.address
