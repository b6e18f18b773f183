"""Every hash of a stored log is computed anew; what was changed is named."""

import sqlite3

import pytest

from ledger import log, log_check, merkle
from ledger.sqlite_store import SqliteStore, erase_leaf
from tests.integration.ledger.test_sqlite_log import T0, fill, open_db

N_LEAF = 1100


@pytest.fixture
def conn() -> sqlite3.Connection:
    """A log with nodes and two anchored heads."""
    made = open_db()
    hashes = fill(made, N_LEAF)
    while log.extend_nodes(SqliteStore(made)):
        pass
    made.execute("PRAGMA foreign_keys = OFF")
    for size in (17, N_LEAF):
        head = merkle.root(hashes[:size])
        made.execute(
            "INSERT INTO anchored_head VALUES ('1:aa', ?, ?, 1, x'00', 1, 1, ?)",
            (size, head, T0),
        )
    for name in ("leaf_is_never_changed", "leaf_is_never_deleted"):
        made.execute(f"DROP TRIGGER {name}")
    return made


def found(conn: sqlite3.Connection) -> list[str]:
    return list(log_check.untrue(conn, lambda _done, _total: None))


def test_a_log_that_is_true_has_nothing_untrue_and_tells_how_far_it_is(
    conn: sqlite3.Connection,
) -> None:
    erase_leaf(conn, 5)
    told = []
    assert not list(log_check.untrue(conn, lambda *far: told.append(far)))
    assert told == [(1000, N_LEAF)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE leaf SET record = x'00' WHERE leaf_index = 700",
            ["leaf 700 is not that of its record"],
        ),
        ("UPDATE leaf SET salt = x'00' WHERE leaf_index = 3", ["leaf 3: "]),
        (
            "UPDATE log_node SET hash=zeroblob(32) WHERE level = 4 AND node_index = 2",
            ["the node over leaves 32 to 47 is another"],
        ),
        (
            "DELETE FROM log_node WHERE level = 9 AND node_index = 1",
            ["the node over leaves 512 to 1023 is missing"],
        ),
        (
            "UPDATE anchored_head SET root = zeroblob(32) WHERE size = 17",
            ["1:aa holds another head of 17 leaves"],
        ),
        ("DELETE FROM leaf WHERE leaf_index = 40", ["leaf 40 is missing", "1:aa"]),
        (
            "DELETE FROM leaf WHERE leaf_index = 1099",
            [f"1:aa holds a head of {N_LEAF} leaves, there are 1099"],
        ),
        (
            "DELETE FROM leaf WHERE leaf_index > 1000",
            ["nodes cover 1088 leaves, there are 1001", "1:aa holds a head"],
        ),
    ],
)
def test_what_was_changed_is_named(
    conn: sqlite3.Connection, change: str, told: list[str]
) -> None:
    conn.execute(change)
    problems = found(conn)
    assert problems
    for problem, beginning in zip(problems, told, strict=False):
        assert problem.startswith(beginning)


def test_a_leaf_that_was_replaced_with_its_record_contradicts_nodes_and_heads(
    conn: sqlite3.Connection,
) -> None:
    """Whoever changes a record has to change what was anchored, too."""
    row = conn.execute(
        "SELECT commitment, salt, record FROM leaf WHERE leaf_index = 9"
    ).fetchone()
    conn.execute(
        "UPDATE leaf SET commitment = ?, salt = ?, record = ? WHERE leaf_index = 8", row
    )
    problems = found(conn)
    assert "the node over leaves 0 to 15 is another" in problems
    assert "1:aa holds another head of 17 leaves" in problems
    assert f"1:aa holds another head of {N_LEAF} leaves" in problems
