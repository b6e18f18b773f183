"""The log on SQLite: appends, lazy nodes, proofs, and what it refuses."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import log, merkle, record
from ledger.errors import ProofError, RecordError
from ledger.sqlite_store import (
    DDL,
    SqliteStore,
    append_leaf,
    append_leaves,
    erase_leaf,
    transaction,
)

T0 = "2026-11-22T10:00:00Z"


def open_db(path: Path | str = ":memory:") -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript(DDL)
    return conn


def fill(conn: sqlite3.Connection, count: int) -> list[bytes]:
    for number in range(count):
        body = {"subject": f"x{number}", "occurred_at": T0}
        data = record.canonical("status", body)
        append_leaf(conn, "status", "s", data, number.to_bytes(32, "big"), T0)
    rows = conn.execute("SELECT commitment FROM leaf ORDER BY leaf_index")
    return [merkle.leaf_hash(row[0]) for row in rows]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 64))
def test_stored_nodes_give_the_same_heads_and_proofs_as_the_plain_tree(
    pieces: list[int], chunk: int
) -> None:
    conn = open_db()
    store = SqliteStore(conn)
    sizes = [0]
    hashes: list[bytes] = []
    for piece in pieces:
        hashes = fill(conn, piece)
        sizes.append(len(hashes))
        while log.extend_nodes(store, chunk_leaves=chunk):
            pass
    size = len(hashes)
    for old in sizes:
        assert log.head(store, old).root == merkle.root(hashes[:old])
        assert merkle.verify_consistency(
            old_size=old,
            new_size=size,
            old_head=merkle.root(hashes[:old]),
            new_head=merkle.root(hashes),
            proof=log.consistency_proof(store, old),
        )
    for index in range(0, size, 7):
        assert merkle.verify_inclusion(
            leaf=hashes[index],
            index=index,
            size=size,
            proof=log.inclusion_proof(store, index),
            head=log.head(store).root,
        )


def test_proofs_do_not_need_the_nodes_to_be_extended_yet() -> None:
    conn = open_db()
    hashes = fill(conn, 100)
    assert log.head(SqliteStore(conn)).root == merkle.root(hashes)
    assert log.head(SqliteStore(conn), 33).root == merkle.root(hashes[:33])


def test_a_rolled_back_append_leaves_no_gap() -> None:
    conn = open_db()
    fill(conn, 3)

    def fail() -> None:
        with transaction(conn):
            fill(conn, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert SqliteStore(conn).leaf_count() == 3
    assert append_leaf(conn, "status", "s", b"{}", None, T0) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM leaf WHERE leaf_index = 1",
        "UPDATE leaf SET commitment = zeroblob(32) WHERE leaf_index = 1",
        "UPDATE leaf SET leaf_index = 9 WHERE leaf_index = 1",
    ],
)
def test_the_database_itself_refuses_to_rewrite_the_log(statement: str) -> None:
    conn = open_db()
    fill(conn, 3)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(statement)


def test_erasing_a_record_keeps_every_proof() -> None:
    conn = open_db()
    fill(conn, 20)
    store = SqliteStore(conn)
    before = log.head(store)
    erase_leaf(conn, 4)
    leaf = store.leaf(4)
    assert leaf is not None
    assert (leaf.salt, leaf.record, leaf.subject) == (None, None, "")
    assert log.head(store) == before


def test_sizes_and_indexes_outside_the_log_are_refused() -> None:
    conn = open_db()
    fill(conn, 5)
    store = SqliteStore(conn)
    with pytest.raises(ProofError):
        log.head(store, 6)
    with pytest.raises(ProofError):
        log.inclusion_proof(store, 5)
    with pytest.raises(ProofError):
        log.consistency_proof(store, 4, 3)
    with pytest.raises(RecordError):
        append_leaf(conn, "gossip", "s", b"{}", None, T0)


def test_leaves_of_a_subject_come_in_log_order() -> None:
    conn = open_db()
    for subject in ("a", "b", "a", "a"):
        append_leaf(conn, "meter", subject, b"{}", None, T0)
    found = SqliteStore(conn).leaves_of("a")
    assert [leaf.leaf_index for leaf in found] == [0, 2, 3]


def test_leaves_without_a_subject_are_found_by_their_numbers() -> None:
    conn = open_db()
    append_leaf(conn, "session_start", "a", b"{}", None, T0)
    first = append_leaves(conn, "meter", [("", b'{"n":1}', T0), ("", b'{"n":2}', T0)])
    append_leaf(conn, "settlement", "a", b"{}", None, T0)
    store = SqliteStore(conn)
    found = store.leaves_of("a", [first + 1, first])
    assert [leaf.leaf_index for leaf in found] == [0, 1, 2, 3]
    assert [leaf.leaf_index for leaf in store.leaves_of("a")] == [0, 3]
