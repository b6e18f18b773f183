"""Work that a key signed which is not here any more: when it is safe to do it anew.

The bytes of such a row may still be mined, and nobody can replace them at higher fees.
Once the role of that key is revoked, and that is final, they can only revert: the row
is given up, and a key that is here does its work. Before that nothing is given up: two
transactions could do the same work. A nonce that another transaction took for good is
noticed elsewhere (`ledger.runner`), for any key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.contracts import artifact, role
from ledger.grants import Contracts
from ledger.outbox import OutboxTx, Purpose, State
from ledger.ports import Signers
from ledger.runner import Report, Runner

_ROLES: Final[Mapping[Purpose, tuple[str, str]]] = {
    Purpose.ANCHOR: ("StatusAnchor", "ANCHORER_ROLE"),
    Purpose.SETTLE: ("Settlement", "SETTLER_ROLE"),
    Purpose.CREDIT: ("Settlement", "SETTLER_ROLE"),
    Purpose.REGISTER: ("AssetRegistry", "REGISTRAR_ROLE"),
    Purpose.PUBLISH: ("AlgorithmRegistry", "PUBLISHER_ROLE"),
}
"""Which role on which contract the work of a purpose needs."""


class LostKeys:
    """Gives up what keys signed that have lost their role."""

    def __init__(self, runner: Runner, signers: Signers) -> None:
        """Remember the parts; nothing is asked yet."""
        self._runner = runner
        self._here = frozenset(one.address for one in signers.all())
        self._powerless: dict[int, int] = {}

    def see(self, contracts: Contracts, report: Report) -> None:
        """Look at what waits for a key that is not here.

        Args:
            contracts: Where they are.
            report: Hears of each row that is given up, as a failure.
        """
        key = self._runner.chain.identity().key
        opened = self._runner.write(lambda store: store.open_txs(key))
        waiting = [
            tx
            for tx in opened
            if tx.state in {State.SIGNED, State.SENT}
            and tx.draft.sender not in self._here
            and tx.draft.purpose in _ROLES
        ]
        for tx in waiting:
            if self._has_role(tx, contracts):
                self._powerless.pop(tx.tx_id, None)
                continue
            since = self._powerless.setdefault(
                tx.tx_id, self._runner.chain.latest_block()
            )
            if self._runner.chain.final_block() >= since:
                self._runner.give_up_lost(tx, report)
        opened_ids = {tx.tx_id for tx in waiting}
        for tx_id in self._powerless.keys() - opened_ids:
            del self._powerless[tx_id]

    def _has_role(self, tx: OutboxTx, contracts: Contracts) -> bool:
        name, role_name = _ROLES[tx.draft.purpose]
        asked = artifact(name)
        call = asked.calldata("hasRole", role(role_name), tx.draft.sender)
        address = contracts.by_name()[name]
        if tx.draft.to != address:
            return True  # work for a contract that is none of these is left alone
        (answer,) = asked.result("hasRole", self._runner.chain.call(address, call))
        return bool(answer)
