"""The address file of contracts that a gateway deployed itself, from its database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ledger.address_book import AddressBook
from ledger.deploy import ORDER
from ledger.errors import AddressBookError
from ledger.ports import ChainIdentity
from ledger.sqlite_store import SqliteStore

_GRANTED = (
    "SELECT json_extract(facts, '$.role'), json_extract(facts, '$.grantee'), sender"
    " FROM outbox_tx WHERE chain = ? AND purpose = 'grant'"
    " AND state IN ('mined', 'final') ORDER BY tx_id"
)
_ROLES = {
    "ANCHORER_ROLE": "anchorer",
    "SETTLER_ROLE": "settler",
    "REGISTRAR_ROLE": "registrar",
    "PUBLISHER_ROLE": "publisher",
    "PAUSER_ROLE": "pauser",
}


def book_of(database: Path, chain_id: int | None) -> AddressBook:
    """Read the contracts that a database knows; the gateway may be running.

    Args:
        database: The gateway's database.
        chain_id: Which chain; ``None`` where it knows one only.

    Raises:
        AddressBookError: It is no such database, or knows no whole deployment.
    """
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as conn:
            return _read(conn, database, chain_id)
    except sqlite3.Error as error:
        raise AddressBookError(f"{database}: {error}") from None


def _read(
    conn: sqlite3.Connection, database: Path, chain_id: int | None
) -> AddressBook:
    keys = [
        row[0]
        for row in conn.execute("SELECT DISTINCT chain FROM deployment ORDER BY chain")
        if chain_id is None or row[0].startswith(f"{chain_id}:")
    ]
    if len(keys) != 1:
        found = ", ".join(keys) or "none"
        raise AddressBookError(
            f"{database}: contracts on one chain are needed, there are: {found}"
        )
    (key,) = keys
    known = SqliteStore(conn).deployed(key)
    if not set(known) >= set(ORDER):
        missing = ", ".join(sorted(set(ORDER) - set(known)))
        raise AddressBookError(f"{database}: not deployed yet: {missing}")
    roles = {}
    for role, grantee, admin in conn.execute(_GRANTED, (key,)):
        roles["admin"] = admin
        if role in _ROLES:
            roles[_ROLES[role]] = grantee
    number, _, genesis = key.partition(":0x")
    return AddressBook(
        chain=ChainIdentity(chain_id=int(number), genesis_hash=bytes.fromhex(genesis)),
        contracts={name: known[name] for name in ORDER},
        roles=roles,
    )
