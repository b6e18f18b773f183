"""Invoices on the embedded chain: one root for all, and a proof for each driver."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle, record, settle
from ledger.contracts import artifact
from ledger.credit_queue import RECORDED_ELSEWHERE
from ledger.outbox import Purpose
from ledger.settle import SettlementWay
from ledger.sqlite_store import LATER_DDL, SqliteStore
from ledger.verify import Check, Verdict, verify
from ledger.worker import WorkerState
from tests.support.ledger_site import Site, make_site, open_database

Receipt = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = make_site(tmp_path, way=SettlementWay.INVOICES)
    yield site
    close(site)


def close(site: Site) -> None:
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def step(site: Site) -> Any:
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    return summary


def checks(receipt: Receipt, chain: Path | None = None) -> dict[str, Check]:
    found = verify(json.dumps(receipt).encode(), chain_path=chain).checks
    return {check.name: check for check in found}


def verdict(site: Site, session_id: str) -> Verdict:
    receipt = json.dumps(site.receipt(session_id)).encode()
    return verify(receipt, chain_path=site.folder / "chain.db").verdict


def asked(site: Site, function: str, *arguments: object) -> Any:
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    binding = artifact("Settlement")
    data = site.chain.call(contracts.settlement, binding.calldata(function, *arguments))
    return binding.result(function, data)[0]


def windows(site: Site) -> list[tuple[str, dict[str, Any], bytes]]:
    rows = site.conn.execute(
        "SELECT state, facts, calldata FROM outbox_tx WHERE purpose = 'settle'"
        " ORDER BY tx_id"
    )
    return [(state, json.loads(facts), calldata) for state, facts, calldata in rows]


def test_sessions_are_recorded_under_one_root_and_each_receipt_proves_its_amount(
    site: Site,
) -> None:
    for name in ("s-1", "s-2", "s-3"):
        site.add_session(name)
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 3)
    ((state, facts, calldata),) = windows(site)
    assert (state, facts["sessions"], facts["open"]) == ("final", 3, 0)
    for name in ("s-1", "s-2", "s-3"):
        assert verdict(site, name) is Verdict.SELF_WITNESSED
        bill = site.bills[name]
        for number in (bill["amount_minor"], bill["energy_milliwh"]):
            assert number.to_bytes(32, "big") not in calldata, "nothing of it is public"
    found = checks(site.receipt("s-2"), site.folder / "chain.db")
    assert "invoice 2 of 3" in found["invoice"].reason
    assert "invoice 2 of 3" in found["settlement-on-chain"].reason
    offline = checks(site.receipt("s-2"))
    assert offline["invoice"].verdict is Verdict.TRUE
    assert offline["settlement-on-chain"].verdict is Verdict.UNCHECKED
    assert asked(site, "settledCount") == 0
    assert asked(site, "isStartLeafClosed", 0) is True


def move(receipt: Receipt) -> None:
    receipt["settlement_tx"]["invoice"]["index"] = 0


def shorten(receipt: Receipt) -> None:
    receipt["settlement_tx"]["invoice"]["inclusion"].pop()


def other_root(receipt: Receipt) -> None:
    """A root of one's own: the leaf alone, which no transaction recorded."""
    leaf = receipt["leaves"][-1]
    salt, data = bytes.fromhex(leaf["salt"]), leaf["record"].encode()
    root = merkle.leaf_hash(record.commitment(salt, data)).hex()
    invoice = {"root": root, "index": 0, "size": 1, "inclusion": []}
    receipt["settlement_tx"]["invoice"] = invoice


def no_invoice(receipt: Receipt) -> None:
    del receipt["settlement_tx"]["invoice"]


@pytest.mark.parametrize(
    ("forge", "check", "reason"),
    [
        (move, "invoice", "not among the invoices"),
        (shorten, "invoice", "not among the invoices"),
        (other_root, "settlement-on-chain", "recorded other invoices"),
        (no_invoice, "settlement-on-chain", "did not settle this session"),
    ],
)
def test_a_forged_invoice_is_false_with_its_reason(
    recorded: Site, forge: Callable[[Receipt], None], check: str, reason: str
) -> None:
    receipt = recorded.receipt("s-2")
    forge(receipt)
    found = checks(receipt, recorded.folder / "chain.db")[check]
    assert found.verdict is Verdict.FALSE
    assert reason in found.reason


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with two sessions under one root; nobody changes it."""
    site = make_site(tmp_path_factory.mktemp("recorded"), way=SettlementWay.INVOICES)
    site.add_session("s-1")
    site.add_session("s-2")
    step(site)
    yield site
    close(site)


def test_a_session_that_ran_on_is_listed_in_a_later_window(site: Site) -> None:
    site.begin("s-1")
    site.add_session("s-2")
    step(site)
    assert asked(site, "isStartLeafClosed", 0) is False, "it was named as open"
    site.settle("s-1")
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 2)
    assert [facts["open"] for _, facts, _ in windows(site)] == [1, 0]
    assert asked(site, "isStartLeafClosed", 0) is True
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED
    assert verdict(site, "s-2") is Verdict.SELF_WITNESSED


def test_credits_travel_in_windows_with_their_sessions_or_after_them(
    site: Site,
) -> None:
    site.add_session("s-1")
    site.add_credit("s-1", 5)
    step(site)
    site.add_credit("s-1", 7)
    summary = step(site)
    assert (summary.credits_pending, summary.credits_mined) == (0, 2)
    sent = site.conn.execute("SELECT count(*) FROM outbox_tx WHERE purpose = 'credit'")
    assert sent.fetchone() == (0,)
    receipt = site.receipt("s-1")
    found = checks(receipt, site.folder / "chain.db")
    assert found["credits-on-chain"].verdict is Verdict.SELF_WITNESSED
    assert "credits of 12 minor units" in found["credits-on-chain"].reason
    one, other = (told["tx"]["invoice"] for told in receipt["credits"])
    one["root"], other["root"] = other["root"], one["root"]
    swapped = checks(receipt, site.folder / "chain.db")
    assert swapped["invoice"].verdict is Verdict.FALSE
    assert swapped["credits-on-chain"].verdict is Verdict.FALSE


def test_a_site_that_settled_in_batches_goes_on_with_windows(tmp_path: Path) -> None:
    site = make_site(tmp_path, way=SettlementWay.BATCH)
    site.add_session("s-1")
    step(site)
    before = site.receipt("s-1")
    for table in ("invoice_leaf", "settlement_leaf", "start_leaf", "start_leaf_scan"):
        site.conn.execute(f"DROP TABLE {table}")
    site.conn.executescript(LATER_DDL)  # as a gateway of this version does
    close(site)
    site = make_site(tmp_path, way=SettlementWay.INVOICES)
    site.bills["s-1"] = before["bill"]
    site.add_session("s-2")
    step(site)
    assert site.receipt("s-1") == before
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED
    assert verdict(site, "s-2") is Verdict.SELF_WITNESSED
    assert [facts.get("sessions") for _, facts, _ in windows(site)] == [None, 1]
    close(site)


def test_an_old_backup_records_no_session_again(site: Site, tmp_path: Path) -> None:
    site.add_session("s-1")
    site.worker._held[Purpose.SETTLE] = site.clock.at + timedelta(seconds=900)
    site.worker.step(site.clock.at)
    copy = tmp_path / "copy.db"
    backup = open_database(copy)
    site.conn.backup(backup)
    backup.close()
    step(site)
    assert len(windows(site)) == 1
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded
    (tmp_path / "gateway.db").unlink()
    copy.rename(tmp_path / "gateway.db")
    restored = make_site(tmp_path, way=SettlementWay.INVOICES, clock=site.clock)
    summary = restored.worker.step(site.clock.advance(1000))
    assert (summary.settlements_pending, summary.settlements_refused) == (0, 1)
    refused = restored.conn.execute("SELECT refused FROM settlement_queue").fetchall()
    assert refused == [(RECORDED_ELSEWHERE,)]
    assert windows(restored) == []
    assert SqliteStore(restored.conn).settlement_counts() == (0, 0)
    close(restored)


def test_a_start_that_settles_alone_as_well_makes_the_receipt_false(
    site: Site,
) -> None:
    """What the operator could do: settle the session once more, before its window."""
    site.add_session("s-1")
    rows = SqliteStore(site.conn).waiting_settlements(1)
    site.worker._held[Purpose.SETTLE] = site.clock.at + timedelta(seconds=900)
    site.worker.step(site.clock.at)
    contracts = site.worker.step(site.clock.at).contracts
    assert contracts is not None
    assert site.worker._windows is not None
    site.worker._windows._known_leaves = 0  # a worker that asks nobody
    calldata = settle.settle_calldata(rows)
    settler = site.signers.settler
    raw, _hash = settler.sign(
        chain_id=site.chain.identity().chain_id,
        nonce=site.chain.nonce(settler.address),
        to=contracts.settlement,
        calldata=calldata,
        gas_limit=500_000,
        fees=site.chain.fees(),
    )
    site.chain.send_raw(raw)
    site.worker.step(site.clock.advance(1200))
    found = checks(site.receipt("s-1"), site.folder / "chain.db")
    assert found["settlement-on-chain"].verdict is Verdict.FALSE
    assert "a second time" in found["settlement-on-chain"].reason
