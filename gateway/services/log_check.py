"""The hashes of the log computed anew, for whoever wants to be sure of a folder."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from gateway.config.sections import StoreConfig
from gateway.store.integrity import (
    MAX_PROBLEMS,
    Progress,
    Say,
    Verdict,
    read_only,
)
from gateway.store.schema import tables_of
from ledger import log_check

PART = "hashes"


def check_hashes(store: StoreConfig, say: Say) -> Verdict:
    """Compare every stored hash of the log with what its leaves make of it.

    Args:
        store: A folder of which `gateway.store.integrity.check_folder` found nothing
            wrong; a gateway may be running on it.
        say: Told about long work.
    """
    progress = Progress(say)

    def note(done: int, total: int) -> None:
        progress.note(lambda: f"{PART}: {done} of {total} leaves")

    try:
        with closing(read_only(store.database_path)) as conn:
            conn.execute("BEGIN")  # one moment, however long it takes
            if "anchored_head" not in tables_of(conn):
                return Verdict(part=PART, text="ok, nothing was ever anchored")
            found = _some(log_check.untrue(conn, note))
            (n_leaf,) = conn.execute("SELECT count(*) FROM leaf").fetchone()
            (n_head,) = conn.execute("SELECT count(*) FROM anchored_head").fetchone()
    except sqlite3.Error as error:
        return Verdict(part=PART, text=str(error), is_good=False)
    if found:
        return Verdict(part=PART, text=f"untrue: {'; '.join(found)}", is_good=False)
    return Verdict(
        part=PART,
        text=f"ok, {n_leaf} leaves make the nodes and {n_head} anchored heads",
    )


def _some(problems: Iterator[str]) -> list[str]:
    return list(islice(problems, MAX_PROBLEMS))
