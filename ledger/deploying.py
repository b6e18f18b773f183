"""Brings the contracts onto a chain and gives the roles to who works with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from ledger.address_book import AddressBook, adopt, read_book
from ledger.contracts import artifact, currency_bytes, recognized
from ledger.deploy import ORDER, carry, ensure_deployed, remember
from ledger.errors import OperationFailedError
from ledger.grants import PAUSER_ROLE, Grant, grants_needed, grants_on_all, missing
from ledger.operating import Operation
from ledger.outbox import Deployed, Purpose, TxDraft
from ledger.ports import Holders
from ledger.runner import Report
from ledger.sqlite_store import SqliteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowTerms:
    """How an escrow is deployed.

    Attributes:
        token: Address of a plain ERC-20.
        currency: ISO 4217 code of the sessions that it pays.
        units_per_minor: Units of the token for one minor unit.
        payee: Whom drivers pay.
    """

    token: str
    currency: str
    units_per_minor: int
    payee: str


def deploy(
    operation: Operation,
    holders: Holders,
    path: Path,
    escrow: EscrowTerms | None = None,
) -> AddressBook:
    """Deploy what is missing, grant what is missing, and write the address file.

    Where the file exists, its contracts are the ones: nothing is deployed again, and
    roles are granted to the holders that have none yet. Nobody's role is taken away.

    Args:
        operation: Signs with the admin's key.
        holders: Who shall have the roles.
        path: The address file.
        escrow: Deploys it as well, if none is there.

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
        if escrow is not None and "Escrow" not in known:
            _deploy_escrow(operation, escrow, known, now, report)
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
    if escrow is not None:
        named["payee"] = escrow.payee
    roles = {role: address for role, address in named.items() if address is not None}
    made = AddressBook(
        chain=operation.chain.identity(),
        contracts={name: found[name] for name in (*ORDER, "Escrow") if name in found},
        roles={**(book.roles if book is not None else {}), **roles},
    )
    made.write(path)
    return made


def _deploy_escrow(
    operation: Operation,
    terms: EscrowTerms,
    known: Mapping[str, Deployed],
    now: datetime,
    report: Report,
) -> None:
    """Carry the deployment of the escrow one step further.

    Raises:
        OperationFailedError: There is no token, or Settlement is of an older release.
    """
    runner, admin = operation.runner, operation.admin.address
    settlement = known["Settlement"].address
    if not runner.chain.code(terms.token):
        raise OperationFailedError(f"there is no token at {terms.token}")
    of = recognized("Settlement", runner.chain.code(settlement))
    if of is None or of.release == 1:
        raise OperationFailedError("an escrow needs contracts of release 2 or later")
    key = runner.chain.identity().key
    draft = TxDraft(
        chain=key,
        purpose=Purpose.DEPLOY,
        purpose_key="Escrow",
        sender=admin,
        to=None,
        calldata=artifact("Escrow").creation(
            admin,
            terms.token,
            settlement,
            currency_bytes(terms.currency),
            terms.units_per_minor,
        ),
        facts={"name": "Escrow"},
    )
    tx = carry(runner, draft, now, report)
    if tx is not None:
        remember(runner, key, "Escrow", tx)


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
