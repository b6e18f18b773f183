"""``wattproof check --deep``: the hashes of the log, for an operator."""

from pathlib import Path

from gateway.config.sections import StoreConfig
from gateway.services.log_check import check_hashes
from gateway.store.schema import open_database
from tests.integration.ledger.test_sqlite_log import fill, open_db


def quiet(_line: str) -> None:
    """Progress that nobody wants to hear."""


def test_a_log_of_which_nothing_was_anchored_has_no_hashes(tmp_path: Path) -> None:
    store = StoreConfig(path=tmp_path)
    open_database(store.database_path).close()
    verdict = check_hashes(store, quiet)
    assert verdict.is_good
    assert verdict.text == "ok, nothing was ever anchored"


def test_a_changed_record_is_told_by_its_leaf(tmp_path: Path) -> None:
    store = StoreConfig(path=tmp_path)
    conn = open_db(store.database_path)
    fill(conn, 20)
    assert check_hashes(store, quiet).text == (
        "ok, 20 leaves make the nodes and 0 anchored heads"
    )
    conn.execute("UPDATE leaf SET record = x'00' WHERE leaf_index > 2")
    conn.close()
    verdict = check_hashes(store, quiet)
    assert not verdict.is_good
    assert verdict.text == "untrue: " + "; ".join(
        f"leaf {number} is not that of its record" for number in (3, 4, 5)
    )


def test_what_cannot_be_read_is_no_good_log(tmp_path: Path) -> None:
    store = StoreConfig(path=tmp_path)
    store.database_path.write_bytes(b"certainly not a database " * 100)
    verdict = check_hashes(store, quiet)
    assert not verdict.is_good
    assert "not a database" in verdict.text
