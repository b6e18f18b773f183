"""Notices contracts that this database deployed before an old backup was put back.

A second set would settle every session again. Where a key creates contracts is known
beforehand: an address follows from sender and nonce.
"""

from __future__ import annotations

from typing import Final

from eth_utils.crypto import keccak

from ledger.contracts import recognized
from ledger.errors import ArtifactError
from ledger.outbox import TxDraft
from ledger.runner import Runner

MAX_LOOKED_AT: Final = 256
"""Nonces of the admin that are looked at: contracts are the first that it makes."""
_ONE_BYTE_NONCES: Final = 0x80


def refuse_a_second(runner: Runner, draft: TxDraft) -> None:
    """Refuse to deploy what the same key deployed and the database does not know.

    On the operator's own embedded chain nothing is looked for: who loses the database
    there begins anew.

    Raises:
        ArtifactError: The contract stands already.
    """
    chain = runner.chain
    found = runner.write(
        lambda store: store.find(draft.chain, draft.purpose, draft.purpose_key)
    )
    if found is not None or chain.self_witnessed:
        return
    for nonce in range(min(chain.nonce(draft.sender), MAX_LOOKED_AT)):
        address = created_address(draft.sender, nonce)
        if recognized(draft.purpose_key, chain.code(address)) is not None:
            raise ArtifactError(
                f"{draft.purpose_key} stands at {address}, made by {draft.sender},"
                " and this database does not know it: put a newer backup back, or begin"
                " anew with another admin key"
            )


def created_address(sender: str, nonce: int) -> str:
    """Return the address of a contract that a key creates; nonces up to 255."""
    number = nonce.to_bytes(1, "big")
    if nonce == 0:
        number = b"\x80"
    elif nonce >= _ONE_BYTE_NONCES:
        number = b"\x81" + number
    body = b"\x94" + bytes.fromhex(sender.removeprefix("0x")) + number
    return "0x" + keccak(bytes([0xC0 + len(body)]) + body)[12:].hex()
