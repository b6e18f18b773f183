"""Sessions settled one by one, each with the proof that its settlement is in the log.

A proof holds for the head in force only: it is made for that head, and while it is
under way no further head is anchored (for one interval at most; what a head overtook
all the same is refused by the contract, and gets a new proof).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger import log
from ledger.contracts import artifact
from ledger.grants import Contracts
from ledger.outbox import WAITING, Purpose, TxDraft
from ledger.runner import Runner
from ledger.settle import proven_calldata
from ledger.sqlite_store import SqliteStore

MAX_AT_ONCE: Final = 25
"""Sessions sealed in one round, each in a transaction of its own."""
NOT_INCLUDED: Final = "SettlementNotIncluded"
"""What the contract says of a proof for another head."""


class Proofs:
    """Seals proven settlements.

    Args:
        runner: Of the outbox.
        sender: Address of the settler.
    """

    def __init__(self, runner: Runner, *, sender: str) -> None:
        self._runner = runner
        self._sender = sender

    def are_under_way(self) -> bool:
        """Say whether proofs wait for their block."""
        key = self._runner.chain.identity().key
        opened = self._runner.write(lambda store: store.open_txs(key))
        return any(tx.state in WAITING and "proven" in tx.draft.facts for tx in opened)

    def seal(self, contracts: Contracts, now: datetime) -> bool:
        """Seal a transaction for each session that the head in force covers.

        Args:
            contracts: The contracts.
            now: Site time.

        Returns:
            Whether there was one.
        """
        chain, anchor = self._runner.chain, artifact("StatusAnchor")
        key = chain.identity().key
        data = chain.call(contracts.status_anchor, anchor.calldata("head"))
        size, root, _anchored_at = anchor.result("head", data)

        def work(store: SqliteStore) -> bool:
            if not 0 < size <= store.leaf_count() or log.head(store, size).root != root:
                return False  # the anchoring tells of a head that is not ours
            found = store.waiting_proven(size, MAX_AT_ONCE)
            for row, leaf_index in found:
                proof = log.inclusion_proof(store, leaf_index, size)
                draft = TxDraft(
                    chain=key,
                    purpose=Purpose.SETTLE,
                    purpose_key=row.session_key.hex(),
                    sender=self._sender,
                    to=contracts.settlement,
                    calldata=proven_calldata(row, leaf_index, proof),
                    facts={"proven": leaf_index, "size": size},
                )
                store.assign_settlements([row], store.seal(draft, now))
            return bool(found)

        return self._runner.write(work)
