"""The log's public export as a folder, out of the database, without a running gateway.

Any web server can serve the folder; run it again to bring it up to date.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from gateway.config.sections import StoreConfig
from gateway.errors import StartupError, StoreError
from gateway.services.anchoring import AnchorState
from gateway.services.public_log import PRIVATE_KINDS, chain_of, load_key
from gateway.services.receipts import Receipts
from gateway.store.schema import tables_of
from gateway.store.times import to_text
from ledger.checkpoint import Checkpoint
from ledger.errors import LedgerError
from ledger.export import PUBLIC_KINDS, write_folder
from ledger.receipt import BundleChain
from ledger.sqlite_store import SqliteStore

_CHAIN: Final = "SELECT chain FROM anchored_head ORDER BY anchored_at DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChain:
    """What the database knows of the chain it was anchored on last."""

    bundle_chain: BundleChain | None
    state: AnchorState = AnchorState(state="off")  # noqa: RUF009 - it is frozen


def publish(
    store: StoreConfig, folder: Path, *, now: datetime, discloses_private: bool = False
) -> str:
    """Write the export, or bring it up to date; what it is, in a line for people.

    Args:
        store: Where the database is; a gateway may be running on it.
        folder: Where the export goes.
        now: Wall-clock time.
        discloses_private: Plans and settlements, too: for a folder that only auditors
            can read.

    Raises:
        StartupError: There is no database or no key, or it cannot be written.
    """
    if not store.database_path.is_file():
        raise StartupError(f"there is no database {store.database_path}")
    key = load_key(store.log_key_path)
    kinds = PUBLIC_KINDS | (PRIVATE_KINDS if discloses_private else frozenset())

    def work(conn: sqlite3.Connection) -> Checkpoint:
        if "leaf" not in tables_of(conn):
            raise StartupError("nothing was ever sealed here")
        chain = StoredChain(bundle_chain=_stored_chain(conn))
        receipts = Receipts(database=store.database_path, anchoring=chain)
        return write_folder(
            SqliteStore(conn),
            folder,
            key,
            at=to_text(now),
            chain=chain_of(chain),
            kinds=kinds,
            document=partial(receipts.document, conn),
        )

    reader = Receipts(
        database=store.database_path, anchoring=StoredChain(bundle_chain=None)
    )
    try:
        made = reader.read(work)
    except (StoreError, LedgerError, OSError) as error:
        raise StartupError(f"cannot publish to {folder}: {error}") from error
    return f"{made.size} leaves, {made.root.hex()}; key {key.verifier.text}"


def _stored_chain(conn: sqlite3.Connection) -> BundleChain | None:
    row = conn.execute(_CHAIN).fetchone()
    if row is None:
        return None
    found = SqliteStore(conn).deployed(row[0])
    anchor, settlement = found.get("StatusAnchor"), found.get("Settlement")
    if anchor is None or settlement is None:
        return None
    chain_id, _, genesis = str(row[0]).partition(":0x")
    return BundleChain(
        chain_id=int(chain_id),
        genesis_hash=bytes.fromhex(genesis),
        anchor_contract=anchor.address,
        settlement_contract=settlement.address,
    )
