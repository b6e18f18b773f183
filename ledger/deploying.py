"""Brings the contracts onto a chain and gives the roles to who works with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from ledger.address_book import AddressBook, adopt, read_book
from ledger.deploy import ORDER, ensure_deployed
from ledger.errors import OperationFailedError
from ledger.grants import PAUSER_ROLE, Grant, grants_needed, grants_on_all, missing
from ledger.operating import Operation
from ledger.outbox import Deployed, TxDraft
from ledger.ports import Holders
from ledger.runner import Report
from ledger.sqlite_store import SqliteStore


def deploy(operation: Operation, holders: Holders, path: Path) -> AddressBook:
    """Deploy what is missing, grant what is missing, and write the address file.

    Where the file exists, its contracts are the ones: nothing is deployed again, and
    roles are granted to the holders that have none yet. Nobody's role is taken away.

    Args:
        operation: Signs with the admin's key.
        holders: Who shall have the roles.
        path: The address file.

    Raises:
        LedgerError: It cannot be done; says why, and is safe to try again.
    """
    book = read_book(path) if path.exists() else None
    runner, admin = operation.runner, operation.admin.address
    found: dict[str, Deployed] = {}

    def step(now: datetime, report: Report) -> bool:
        if book is not None:
            adopt(runner, book)
        known = ensure_deployed(runner, admin, now, report)
        if known is None:
            return False
        found.update(known)
        wanted = (
            *grants_needed(known, holders),
            *grants_on_all(known, PAUSER_ROLE, holders.pauser),
        )
        return make_grants(operation, wanted, now)

    operation.until_done(step)
    named = {
        "admin": admin,
        "anchorer": holders.anchorer,
        "settler": holders.settler,
        "registrar": holders.registrar,
        "publisher": holders.publisher,
        "pauser": holders.pauser,
    }
    roles = {role: address for role, address in named.items() if address is not None}
    made = AddressBook(
        chain=operation.chain.identity(),
        contracts={name: found[name] for name in ORDER},
        roles={**(book.roles if book is not None else {}), **roles},
    )
    made.write(path)
    return made


def make_grants(operation: Operation, wanted: Sequence[Grant], now: datetime) -> bool:
    """Seal the transactions of the rights that are missing; say whether all stand.

    Raises:
        OperationFailedError: The admin's key cannot make one of them.
    """
    all_stand = True
    for grant in wanted:
        asked = Report()
        draft = missing(grant, operation.runner, operation.admin.address, asked)
        if asked.alarms:
            raise OperationFailedError("; ".join(asked.alarms))
        if draft is not None:
            operation.runner.write(partial(seal_once, draft=draft, now=now))
        all_stand = all_stand and grant.stands(operation.chain)
    return all_stand


def seal_once(store: SqliteStore, draft: TxDraft, now: datetime) -> None:
    """Seal work that is not in the outbox yet."""
    if store.find(draft.chain, draft.purpose, draft.purpose_key) is None:
        store.seal(draft, now)
