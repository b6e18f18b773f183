"""The state machine of transactions: legal moves, nonces, fees, the lease."""

import sqlite3
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LeaseLostError, OutboxError, RecordError
from ledger.outbox import (
    LEGAL_MOVES,
    Attempt,
    Fees,
    Purpose,
    SettlementRow,
    State,
    TxDraft,
    bumped,
    check_move,
    next_nonce,
)
from ledger.sqlite_queues import queue_settlement
from ledger.sqlite_store import SqliteStore
from tests.support.ledger_site import START, open_database

CHAIN = "1:0xaa"
FEES = Fees(max_fee_wei=100, priority_fee_wei=10)


def draft(key: str = "1", sender: str = "0xa") -> TxDraft:
    return TxDraft(
        chain=CHAIN,
        purpose=Purpose.ANCHOR,
        purpose_key=key,
        sender=sender,
        to="0xb",
        calldata=b"\1",
        facts={"size": 1},
    )


def attempt(number: int) -> Attempt:
    return Attempt(
        raw=b"raw%d" % number, tx_hash=bytes([number]) * 32, fees=FEES, signed_at=START
    )


def signed(store: SqliteStore, key: str, nonce: int) -> int:
    tx_id = store.seal(draft(key), START)
    store.put_signed(tx_id, nonce=nonce, gas_limit=1, attempt=attempt(nonce + 1))
    return tx_id


@pytest.fixture
def store() -> SqliteStore:
    return SqliteStore(open_database())


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_only_the_moves_of_the_drawing_are_legal(old: State, new: State) -> None:
    if new in LEGAL_MOVES[old]:
        check_move(1, old, new)
    else:
        with pytest.raises(OutboxError, match=f"{old.value} to {new.value}"):
            check_move(1, old, new)


def test_a_row_walks_to_final_and_back_through_a_reorganisation(
    store: SqliteStore,
) -> None:
    tx_id = signed(store, "1", 0)
    store.move(tx_id, State.SENT)
    store.put_mined(tx_id, tx_hash=b"h" * 32, block_number=5, block_hash=b"b" * 32)
    store.move(tx_id, State.SENT)
    assert store.tx(tx_id).block_number is None
    store.put_mined(tx_id, tx_hash=b"h" * 32, block_number=6, block_hash=b"c" * 32)
    store.put_mined(tx_id, tx_hash=b"h" * 32, block_number=7, block_hash=b"d" * 32)
    store.move(tx_id, State.FINAL)
    row = store.tx(tx_id)
    assert (row.state, row.block_number, row.attempts) == (
        State.FINAL,
        7,
        (attempt(1),),
    )
    with pytest.raises(OutboxError):
        store.move(tx_id, State.SENT)


def test_nothing_is_mined_before_it_was_sent(store: SqliteStore) -> None:
    tx_id = signed(store, "1", 0)
    with pytest.raises(OutboxError, match="signed to mined"):
        store.put_mined(tx_id, tx_hash=b"", block_number=1, block_hash=b"")


def test_the_same_work_is_sealed_once_until_it_failed(store: SqliteStore) -> None:
    tx_id = store.seal(draft(), START)
    with pytest.raises(OutboxError, match="sealed already"):
        store.seal(draft(), START)
    store.move(tx_id, State.FAILED, error="why")
    assert store.seal(draft(), START) != tx_id


def test_a_nonce_is_given_once_per_sender(store: SqliteStore) -> None:
    signed(store, "1", 4)
    other = store.seal(draft("2"), START)
    with pytest.raises(OutboxError, match="nonce 4 is taken"):
        store.put_signed(other, nonce=4, gas_limit=1, attempt=attempt(9))
    foreign = store.seal(draft("3", "0xc"), START)
    store.put_signed(foreign, nonce=4, gas_limit=1, attempt=attempt(8))
    assert (store.max_nonce(CHAIN, "0xa"), store.max_nonce(CHAIN, "0xd")) == (4, None)


def test_nonces_come_from_the_table_unless_the_chain_is_ahead() -> None:
    assert next_nonce(chain_nonce=3, max_nonce=None) == 3
    assert next_nonce(chain_nonce=3, max_nonce=6) == 7
    assert next_nonce(chain_nonce=9, max_nonce=6) == 9


@given(
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
)
def test_a_bump_raises_both_fees_by_an_eighth_or_says_the_cap_is_reached(
    fee: int, tip: int, new_fee: int, new_tip: int
) -> None:
    old = Fees(max_fee_wei=max(fee, tip), priority_fee_wei=min(fee, tip))
    now = Fees(
        max_fee_wei=max(new_fee, new_tip), priority_fee_wei=min(new_fee, new_tip)
    )
    cap = 10**12
    new = bumped(old, now, cap_wei=cap)
    if new is None:
        assert max(old.max_fee_wei * 1125, now.max_fee_wei * 1000) > (cap - 1) * 1000
    else:
        assert new.max_fee_wei * 1000 >= old.max_fee_wei * 1125
        assert new.priority_fee_wei * 1000 >= old.priority_fee_wei * 1125
        assert new.priority_fee_wei <= new.max_fee_wei <= cap


def test_the_lease_fences_an_older_epoch(store: SqliteStore) -> None:
    first = store.acquire_lease("one", START, 60)
    assert first is not None
    store.check_lease(first)
    assert store.acquire_lease("two", START + timedelta(seconds=59), 60) is None
    store.check_lease(first)
    second = store.acquire_lease("two", START + timedelta(seconds=61), 60)
    assert second == first + 1
    with pytest.raises(LeaseLostError):
        store.check_lease(first)


def test_a_restarted_holder_fences_its_own_paused_process(store: SqliteStore) -> None:
    paused = store.acquire_lease("gateway", START, 60)
    restarted = store.acquire_lease("gateway", START, 60)
    assert paused is not None
    assert restarted == paused + 1
    with pytest.raises(LeaseLostError):
        store.check_lease(paused)


def settlement(**change: object) -> SettlementRow:
    fields: dict[str, object] = {
        "session_key": b"k" * 32,
        "start_leaf_index": 3,
        "leaf_hash": b"l" * 32,
        "energy_milliwh": 1,
        "amount_minor": 2,
        "currency": "EUR",
    }
    return SettlementRow(**(fields | change))  # type: ignore[arg-type]  # test data


def test_a_session_is_queued_once_and_repeating_it_changes_nothing() -> None:
    conn = open_database()
    assert queue_settlement(conn, settlement())
    assert not queue_settlement(conn, settlement())
    for change in ({"energy_milliwh": 9}, {"session_key": b"m" * 32}):
        with pytest.raises(RecordError, match="other content"):
            queue_settlement(conn, settlement(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"energy_milliwh": -1},
        {"amount_minor": -1},
        {"amount_minor": 2**63},
        {"currency": "eur"},
        {"currency": "EURO"},
    ],
)
def test_a_row_that_the_contract_cannot_hold_is_refused(
    change: dict[str, object],
) -> None:
    with pytest.raises(RecordError):
        queue_settlement(open_database(), settlement(**change))


def test_a_state_without_nonce_cannot_be_written_past_the_code() -> None:
    conn = open_database()
    tx_id = SqliteStore(conn).seal(draft(), START)
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("UPDATE outbox_tx SET state = 'sent' WHERE tx_id = ?", (tx_id,))
