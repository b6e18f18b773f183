"""A chain that is away for a day: how many transactions the backlog takes.

``WATTPROOF_OUTAGE_SESSIONS`` plays another size, ``-s`` shows its figures.
"""

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle
from ledger.credit_queue import CreditRow, queue_credit
from ledger.errors import ChainUnavailableError
from ledger.invoice_queue import note_settlement_leaf
from ledger.outbox import SettlementRow
from ledger.ports import Chain
from ledger.settle import SettlementWay
from ledger.sqlite_queues import queue_settlement
from ledger.sqlite_store import SqliteStore, transaction
from ledger.worker import MAX_SETTLE_BATCH, WorkerSettings, WorkerState
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import Site, SteppedClock, make_site

SESSIONS = int(os.environ.get("WATTPROOF_OUTAGE_SESSIONS", "120"))
QUARTERS = 96
CREDIT_EVERY = 20
"""One session in so many is credited on the same day."""
SLOW = {SettlementWay.NETTED}
STATUS = {"subject": "CP-1", "occurred_at": "2026-03-02T17:00:00Z"}


class AwayChain:
    """A chain that can be away; others own it, so gas has its price."""

    self_witnessed = False

    def __init__(self, chain: Chain) -> None:
        self.is_away = False
        self._chain = chain

    def __getattr__(self, name: str) -> Any:
        if self.is_away:
            raise ChainUnavailableError("nobody answers")
        return getattr(self._chain, name)


def live_through_a_day(site: Site, n_sessions: int) -> int:
    """Sessions, readings and credits of a day; the steps of its worker change nothing.

    Returns:
        The number of its credits.
    """
    n_credit = 0
    per_quarter = -(-n_sessions // QUARTERS)
    left = n_sessions
    for _ in range(QUARTERS):
        for _ in range(min(per_quarter, left)):
            number, left = n_sessions - left, left - 1
            key = hashlib.sha256(b"session %d" % number).digest()
            with transaction(site.conn):
                start = site.leaf(
                    "session_start",
                    f"s-{number}",
                    {
                        "session_id": f"s-{number}",
                        "station_id": "CP-1",
                        "evse_id": 1,
                        "started_at": "2026-03-02T17:00:00Z",
                    },
                )
                settled = site.leaf("status", f"s-{number}", dict(STATUS))
                store = SqliteStore(site.conn)
                (committed,) = store.commitments(settled, settled + 1)
                row = SettlementRow(
                    session_key=key,
                    start_leaf_index=start,
                    leaf_hash=merkle.leaf_hash(committed),
                    energy_milliwh=5_000_000,
                    amount_minor=200,
                    currency="EUR",
                )
                queue_settlement(site.conn, row)
                note_settlement_leaf(site.conn, key, settled)
                if number % CREDIT_EVERY == 0:
                    n_credit += queue_credit(
                        site.conn,
                        CreditRow(
                            session_key=key,
                            credit_key=hashlib.sha256(key + b"credit").digest(),
                            leaf_hash=hashlib.sha256(key + b"leaf").digest(),
                            amount_minor=1,
                        ),
                    )
        site.add_noise(2)
        now = site.clock.advance(timedelta(minutes=15).total_seconds())
        assert site.worker.step(now).state is WorkerState.CHAIN_UNAVAILABLE
    return n_credit


@pytest.mark.parametrize("way", SettlementWay, ids=lambda way: str(way.value))
def test_a_day_without_a_chain_drains_with_one_head_and_few_settlements(
    tmp_path: Path, way: SettlementWay, backend: Backend
) -> None:
    with backend.apart():
        outlive_a_day(tmp_path, way, backend)


def outlive_a_day(tmp_path: Path, way: SettlementWay, backend: Backend) -> None:
    """See a day without its chain, and what comes after it."""
    clock = SteppedClock()
    chain = AwayChain(backend.open(tmp_path, clock))
    as_chain: Chain = chain
    site = make_site(
        tmp_path, chain=as_chain, clock=clock, settings=WorkerSettings(way=way)
    )
    site.add_noise(2)
    assert site.worker.step(clock.at).backlog == 0
    (before,) = site.conn.execute("SELECT max(tx_id) FROM outbox_tx").fetchone()
    chain.is_away = True
    n_credit = live_through_a_day(site, SESSIONS)
    chain.is_away = False
    begun, steps = time.perf_counter(), 0
    while True:
        steps += 1
        # A window that is netted waits for more sessions, unless it is full.
        summary = site.worker.step(clock.advance(7200 if way in SLOW else 30))
        if (summary.settlements_pending, summary.credits_pending) == (0, 0):
            break
        assert steps < 20, summary
    took_s = time.perf_counter() - begun
    sent = dict(
        site.conn.execute(
            "SELECT purpose, count(*) FROM outbox_tx WHERE tx_id > ? GROUP BY purpose",
            (before,),
        ).fetchall()
    )
    leaves = SqliteStore(site.conn).leaf_count()
    print(  # noqa: T201  # the figures of a run by hand
        f"{backend.name}, {way.value}: {SESSIONS} sessions, {n_credit} credits,"
        f" {leaves} leaves:"
        f" {sent} in {steps} steps, {took_s:.2f} s"
    )
    batches = -(-SESSIONS // MAX_SETTLE_BATCH)
    settles = {SettlementWay.INVOICES: 1, SettlementWay.PROVEN: SESSIONS}
    wanted = {"anchor": 1, "settle": settles.get(way, batches)}
    if way in (SettlementWay.BATCH, SettlementWay.PROVEN):
        wanted["credit"] = n_credit  # the contract takes one at a time
    assert sent == wanted
    assert summary.backlog == 0
    assert (summary.settlements_mined, summary.credits_mined) == (SESSIONS, n_credit)
    site.conn.close()
