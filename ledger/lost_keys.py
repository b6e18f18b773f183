"""Work that a key signed which is not here any more: when it is safe to do it anew.

The bytes of such a row may still be mined, and nobody can replace them at higher fees.
Once the role of that key is revoked, and that is final, they can only revert: the row
is given up, and a key that is here does its work. Before that nothing is given up: two
transactions could do the same work. A nonce that another transaction took for good is
noticed elsewhere (`ledger.runner`), for any key.

What the admin's key signed is treated alike, where it gives or takes a right. Creating
a contract takes none, so a deployment has no such moment: it is given up once it is due
for higher fees, which nobody can sign. Should it be mined after all, there is a
contract that nobody knows of, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from ledger.contracts import artifact, role
from ledger.grants import ADMIN_ID, Contracts
from ledger.outbox import OutboxTx, Purpose, State
from ledger.runner import Report, Runner

_ROLES: Final[Mapping[Purpose, tuple[str, str]]] = {
    Purpose.ANCHOR: ("StatusAnchor", "ANCHORER_ROLE"),
    Purpose.SETTLE: ("Settlement", "SETTLER_ROLE"),
    Purpose.CREDIT: ("Settlement", "SETTLER_ROLE"),
    Purpose.REGISTER: ("AssetRegistry", "REGISTRAR_ROLE"),
    Purpose.PUBLISH: ("AlgorithmRegistry", "PUBLISHER_ROLE"),
}
"""Which role on which contract the work of a purpose needs."""
_RIGHTS: Final = frozenset({Purpose.GRANT, Purpose.REVOKE})
"""What the admin of a contract does on it."""


class LostKeys:
    """Gives up what keys signed that have lost their role."""

    def __init__(self, runner: Runner, here: Collection[str]) -> None:
        """Remember the parts; nothing is asked yet.

        Args:
            runner: Knows chain and outbox.
            here: Addresses of the keys that are not lost.
        """
        self._runner = runner
        self._here = frozenset(here)
        self._powerless: dict[int, int] = {}

    def see(self, contracts: Contracts, report: Report) -> None:
        """Look at what waits for a key that is not here, the admin's left out.

        Args:
            contracts: Where they are.
            report: Hears of each row that is given up, as a failure and an alarm.
        """
        for tx in self._waiting(_ROLES):
            name, role_name = _ROLES[tx.draft.purpose]
            # Work for a contract that is none of these is left alone.
            is_ours = tx.draft.to == contracts.by_name()[name]
            self._judge(tx, not is_ours or self._has(tx, name, role(role_name)), report)

    def see_admin(self, now: datetime, report: Report) -> None:
        """Look at deployments, and at rights, that wait for a key that is not here.

        Args:
            now: Site time.
            report: See `see`.
        """
        for tx in self._waiting({Purpose.DEPLOY}):
            if self._runner.is_overdue(tx, now):
                why = f"the key of {tx.draft.sender} is not here"
                self._runner.give_up_lost(tx, why, report)
        for tx in self._waiting(_RIGHTS):
            name = str(tx.draft.facts["contract"])
            self._judge(tx, self._has(tx, name, ADMIN_ID), report)

    def _waiting(self, purposes: Collection[Purpose]) -> list[OutboxTx]:
        """Return what is signed, not in a block, and by a key that is not here."""
        key = self._runner.chain.identity().key
        opened = self._runner.write(lambda store: store.open_txs(key))
        for tx_id in self._powerless.keys() - {tx.tx_id for tx in opened}:
            del self._powerless[tx_id]
        return [
            tx
            for tx in opened
            if tx.state in {State.SIGNED, State.SENT}
            and tx.draft.sender not in self._here
            and tx.draft.purpose in purposes
        ]

    def _judge(self, tx: OutboxTx, may_do_it: bool, report: Report) -> None:
        """Give a row up once its key is without power, and that is final."""
        if may_do_it:
            self._powerless.pop(tx.tx_id, None)
            return
        chain = self._runner.chain
        since = self._powerless.setdefault(tx.tx_id, chain.latest_block())
        if chain.final_block() >= since:
            why = f"the key of {tx.draft.sender} has lost its role"
            self._runner.give_up_lost(tx, why, report)

    def _has(self, tx: OutboxTx, name: str, role_id: bytes) -> bool:
        """Ask a contract; one that left its block knows nobody, and is waited for."""
        chain, address = self._runner.chain, tx.draft.to
        assert address is not None, "it calls a contract"
        if not chain.code(address):
            return True
        asked = artifact(name)
        call = asked.calldata("hasRole", role_id, tx.draft.sender)
        (answer,) = asked.result("hasRole", chain.call(address, call))
        return bool(answer)
