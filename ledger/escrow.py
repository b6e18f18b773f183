"""The escrow as an option: what drivers sign, locks, collections, claims.

Nothing here is part of billing or charging: a session whose lock does not stand in time
is postpaid, like all others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from ledger import record
from ledger.contracts import artifact
from ledger.errors import OperationFailedError
from ledger.operating import Operation
from ledger.outbox import Purpose, State, TxDraft
from ledger.ports import Chain, LogEntry
from ledger.receipt import Receipt
from ledger.runner import Report
from ledger.sqlite_store import SqliteStore

LOCK_MAX_S: Final = 7 * 86_400
_NONE: Final = "0x" + "00" * 20
_TYPES: Final = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "SessionLock": [
        {"name": "sessionId", "type": "bytes32"},
        {"name": "user", "type": "address"},
        {"name": "cpo", "type": "address"},
        {"name": "maxAmount", "type": "uint128"},
        {"name": "expiry", "type": "uint64"},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a driver locks for a session.

    Attributes:
        max_amount: In the token's smallest unit.
        expiry: Unix seconds.
    """

    session_key: bytes
    user: str
    payee: str
    max_amount: int
    expiry: int

    def values(self) -> tuple[object, ...]:
        """Return the members as the contract takes them."""
        return (self.session_key, self.user, self.payee, self.max_amount, self.expiry)

    def typed_data(self, chain_id: int, escrow: str) -> dict[str, object]:
        """Return what the driver's wallet signs (``eth_signTypedData_v4``)."""
        return {
            "types": _TYPES,
            "primaryType": "SessionLock",
            "domain": {
                "name": "Wattproof Escrow",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": escrow,
            },
            "message": {
                "sessionId": "0x" + self.session_key.hex(),
                "user": self.user,
                "cpo": self.payee,
                "maxAmount": str(self.max_amount),
                "expiry": str(self.expiry),
            },
        }


def read_terms(document: object) -> Terms:
    """Read terms out of what `Terms.typed_data` made.

    Raises:
        OperationFailedError: They are none.
    """
    if not isinstance(document, Mapping):
        raise OperationFailedError("not the terms of a lock")
    try:
        message = document["message"]
        return Terms(
            session_key=bytes.fromhex(message["sessionId"].removeprefix("0x")),
            user=message["user"],
            payee=message["cpo"],
            max_amount=int(message["maxAmount"]),
            expiry=int(message["expiry"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise OperationFailedError("not the terms of a lock") from None


def session_key_of(database: Path, session_id: str) -> bytes:
    """Return the key of a session, from its start leaf in a gateway's database.

    Raises:
        OperationFailedError: It has none, or the database cannot be read.
    """
    try:
        conn = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            found = conn.execute(
                "SELECT leaf_index, salt FROM leaf"
                " WHERE subject = ? AND kind = 'session_start'",
                (session_id,),
            ).fetchone()
        finally:
            conn.close()
    except sqlite3.Error as error:
        raise OperationFailedError(f"{database}: {error}") from None
    if found is None or found[1] is None:
        raise OperationFailedError(f"{session_id} has no start leaf in {database}")
    return record.session_key(found[1], found[0])


def settled_row(receipt: Receipt, chain: Chain) -> tuple[object, ...]:
    """Return the row that a session was settled with, as its transaction told it.

    Raises:
        OperationFailedError: The session did not settle alone on that chain.
    """
    key = receipt.session.session_key
    tx, named = receipt.settlement_tx, receipt.chain
    if tx is None or named is None or tx.invoice is not None:
        raise OperationFailedError(
            f"session {key.hex()} is not settled alone: only such can be paid"
        )
    found = chain.receipt(tx.tx_hash)
    logs = () if found is None or not found.succeeded else found.logs
    settled = _event("SessionSettled", named.settlement_contract, logs, key)
    if settled is None:
        raise OperationFailedError(f"session {key.hex()} is not settled on this chain")
    flex = _event("FlexAwarded", named.settlement_contract, logs, key)
    return (
        key,
        settled["startLeafIndex"],
        settled["leafHash"],
        settled["energyMilliWh"],
        settled["amountMinor"],
        settled["currency"],
        0 if flex is None else flex["flexMilliWh"],
        _NONE if flex is None else flex["flexTo"],
    )


def lock(operation: Operation, escrow: str, terms: Terms, signature: bytes) -> None:
    """Lock what a driver signed for; whoever sends it decides nothing.

    Raises:
        LedgerError: It cannot be done; says why.
    """
    calldata = artifact("Escrow").calldata("lock", terms.values(), signature)
    key = f"lock:{terms.session_key.hex()}:{terms.user.lower()}"
    _send(operation, escrow, key, calldata)


def collect(
    operation: Operation, escrow: str, row: tuple[object, ...], user: str, payee: str
) -> None:
    """Pay a settled session out of its lock; the rest is the driver's again.

    Raises:
        LedgerError: It cannot be done; says why.
    """
    calldata = artifact("Escrow").calldata("collect", row, user, payee)
    assert isinstance(row[0], bytes), "a row begins with the key of its session"
    _send(operation, escrow, f"collect:{row[0].hex()}:{user.lower()}", calldata)


def claim(operation: Operation, escrow: str, to: str) -> None:
    """Fetch what the operator was paid; the key that signs is the operator's.

    Raises:
        LedgerError: It cannot be done; says why.
    """
    chain = operation.chain.identity().key

    def number(store: SqliteStore) -> int:
        done = store.conn.execute(
            "SELECT count(*) FROM outbox_tx WHERE chain = ? AND purpose = 'escrow'"
            " AND purpose_key LIKE 'claim:%' AND state = ?",
            (chain, State.FINAL.value),
        ).fetchone()
        return int(done[0])

    operation.until_done(lambda _now, _report: True)  # what a killed command began
    calldata = artifact("Escrow").calldata("claim", to)
    count = operation.runner.write(number)
    _send(operation, escrow, f"claim:{count}", calldata)


def claimable(chain: Chain, escrow: str, payee: str) -> int:
    """Return what an operator can fetch now, in the token's smallest unit."""
    binding = artifact("Escrow")
    data = chain.call(escrow, binding.calldata("claimableOf", payee))
    return int(binding.result("claimableOf", data)[0])


def _send(operation: Operation, escrow: str, key: str, calldata: bytes) -> None:
    draft = TxDraft(
        chain=operation.chain.identity().key,
        purpose=Purpose.ESCROW,
        purpose_key=key,
        sender=operation.admin.address,
        to=escrow,
        calldata=calldata,
        facts={},
    )

    def step(now: datetime, _report: Report) -> bool:
        return operation.runner.write(partial(_seal_once, draft=draft, now=now))

    operation.until_done(step)


def _seal_once(store: SqliteStore, draft: TxDraft, now: datetime) -> bool:
    """Seal work that is not in the outbox yet; say whether it is in a block."""
    found = store.find(draft.chain, draft.purpose, draft.purpose_key)
    if found is None:
        store.seal(draft, now)
    return found is not None and found.state in {State.MINED, State.FINAL}


def _event(
    name: str, address: str, logs: tuple[LogEntry, ...], key: bytes
) -> dict[str, Any] | None:
    events = artifact("Settlement").events(name, address, logs)
    return next((one for one in events if one["sessionKey"] == key), None)
