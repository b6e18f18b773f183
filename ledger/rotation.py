"""Who has which role, asked of the chain; and how a role moves to another key.

A key is replaced in three steps, so that work never stops: the new key is granted the
role, the gateway is given the new key and finishes what the old one signed, and only
then is the role taken from the old key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from ledger.address_book import AddressBook, adopt
from ledger.contracts import Artifact, artifact, recognized
from ledger.deploying import make_grants, seal_once
from ledger.errors import AddressBookError, OperationFailedError
from ledger.grants import ADMIN_ROLE, PAUSER_ROLE, Grant, grants_on_all
from ledger.operating import Operation
from ledger.outbox import Deployed, OutboxTx, State, TxDraft
from ledger.ports import Chain
from ledger.runner import Report
from ledger.sqlite_store import SqliteStore

ROLES: Final[Mapping[str, tuple[str | None, str]]] = {
    "anchorer": ("StatusAnchor", "ANCHORER_ROLE"),
    "settler": ("Settlement", "SETTLER_ROLE"),
    "registrar": ("AssetRegistry", "REGISTRAR_ROLE"),
    "publisher": ("AlgorithmRegistry", "PUBLISHER_ROLE"),
    "pauser": (None, PAUSER_ROLE),
    "admin": (None, ADMIN_ROLE),
}
"""Role to contract (``None``: all of them) and the name of its right there."""
_ROLE_END: Final = "_ROLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLine:
    """Who has one right on one contract, among the addresses that were asked about."""

    contract: str
    address: str
    role_name: str
    holders: tuple[str, ...]


def list_roles(
    chain: Chain, book: AddressBook, candidates: Iterable[str]
) -> list[RoleLine]:
    """Ask the chain which of the candidates has which right.

    Args:
        chain: Where the contracts are.
        book: Where they stand.
        candidates: Addresses that may have a role; contracts cannot list them.

    Raises:
        AddressBookError: A contract of the file is not there.
        ChainError: The chain does not answer as it should.
    """
    asked = sorted(set(candidates) | set(book.roles.values()))
    lines = []
    for name, deployed in book.contracts.items():
        known = recognized(name, chain.code(deployed.address))
        if known is None:
            raise AddressBookError(f"{name} is not at {deployed.address} on this chain")
        for role_name in _role_names(known):
            grants = [_grant(known, deployed, role_name, one) for one in asked]
            lines.append(
                RoleLine(
                    contract=name,
                    address=deployed.address,
                    role_name=role_name,
                    holders=tuple(one.grantee for one in grants if one.stands(chain)),
                )
            )
        if name == "FlexToken" and known.release != 1:
            data = chain.call(deployed.address, known.calldata("minter"))
            (minter,) = known.result("minter", data)
            lines.append(
                RoleLine(
                    contract=name,
                    address=deployed.address,
                    role_name="minter",
                    holders=(str(minter),),
                )
            )
    return lines


def give(operation: Operation, book: AddressBook, role: str, to: str) -> AddressBook:
    """Grant a role to a new address as well; return the book that names it.

    Raises:
        LedgerError: It cannot be done; nothing is taken from anybody.
    """
    wanted = _grants(book, role, to)

    def step(now: datetime, _report: Report) -> bool:
        adopt(operation.runner, book)
        return make_grants(operation, wanted, now)

    operation.until_done(step)
    return replace(book, roles={**book.roles, role: to})


def take_back(
    operation: Operation,
    book: AddressBook,
    role: str,
    of: str,
    in_flight: Callable[[], int],
) -> None:
    """Take a role from an address whose work is done, once another one has the role.

    Args:
        operation: Signs with the admin's key.
        book: Names who has the role now.
        role: One of `ROLES`.
        of: Address that loses it.
        in_flight: Says how many transactions of that address are not final yet.

    Raises:
        OperationFailedError: Nobody else has the role, or transactions stay under way.
    """
    current = book.roles.get(role)
    if current is None or current == of:
        raise OperationFailedError(
            f"{of} is the {role} of the address file: grant the role to a new key first"
        )
    for grant in _grants(book, role, current):
        if not grant.stands(operation.chain):
            raise OperationFailedError(
                f"{grant.role_name} of {grant.contract.name} is not with {current}:"
                " nobody could go on"
            )
    told = 0

    def step(now: datetime, _report: Report) -> bool:
        nonlocal told
        waiting = in_flight()
        if waiting:
            if waiting != told:
                operation.say(f"waiting: {waiting} transactions of {of} are under way")
            told = waiting
            return False
        is_done = True
        for grant in _grants(book, role, of):
            if grant.stands(operation.chain):
                _revoke(operation, grant, now)
                is_done = False
        return is_done

    operation.until_done(step)


def rows_in_flight(database: Path, chain: str, sender: str) -> int:
    """Return how many transactions of a sender a gateway has not seen final.

    Args:
        database: The gateway's database; it may be running.
        chain: `ledger.ports.ChainIdentity.key`.
        sender: The address.

    Raises:
        OperationFailedError: It is not a gateway's database.
    """
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as conn:
            row = conn.execute(
                "SELECT count(*) FROM outbox_tx WHERE chain = ? AND sender = ?"
                " AND state IN ('sealed', 'signed', 'sent', 'mined')",
                (chain, sender),
            ).fetchone()
    except sqlite3.Error as error:
        raise OperationFailedError(f"{database}: {error}") from None
    return int(row[0])


def _revoke(operation: Operation, grant: Grant, now: datetime) -> None:
    runner, sender = operation.runner, operation.admin.address
    key = operation.chain.identity().key
    if not grant.may_be_changed(operation.chain, sender):
        raise OperationFailedError(
            f"{sender} is not the admin of {grant.contract.name} at {grant.address}"
        )
    number = 1
    while True:
        draft = grant.taking_back(key, sender, number)
        known = runner.write(partial(_found, draft=draft))
        if known is None or known.state is not State.FINAL:
            runner.write(partial(seal_once, draft=draft, now=now))
            return
        number += 1  # it was taken back before, and granted again since


def _found(store: SqliteStore, draft: TxDraft) -> OutboxTx | None:
    return store.find(draft.chain, draft.purpose, draft.purpose_key)


def _grants(book: AddressBook, role: str, holder: str) -> Sequence[Grant]:
    contract, right = ROLES[role]
    if contract is None:
        return grants_on_all(book.contracts, right, holder)
    return (_grant(artifact(contract), book.contracts[contract], right, holder),)


def _grant(
    contract: Artifact, deployed: Deployed, role_name: str, grantee: str
) -> Grant:
    return Grant(
        contract=contract,
        address=deployed.address,
        role_name=role_name,
        grantee=grantee,
        is_needed=False,
    )


def _role_names(contract: Artifact) -> list[str]:
    return sorted(
        entry["name"]
        for entry in contract.abi
        if entry["type"] == "function" and entry["name"].endswith(_ROLE_END)
    )
