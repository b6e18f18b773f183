"""Credits from the log to the chain, and what the verifier says of them."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import record
from ledger.contracts import artifact
from ledger.credit_queue import CreditRow, queue_credit
from ledger.embedded import EmbeddedChain
from ledger.errors import RecordError
from ledger.outbox import Purpose
from ledger.settle import SettlementWay
from ledger.sqlite_store import SqliteStore, transaction
from ledger.verify import Check, Verdict, verify
from ledger.worker import WorkerState
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import Site, make_site
from tests.support.receipt_cases import repeated_site, settled_twice_site

Receipt = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path, backend: Backend) -> Iterator[Site]:
    with backend.apart():
        site = make_site(tmp_path, chain=backend.open(tmp_path))
        site.add_session("s-1")
        yield site
        site.conn.close()


def settled_minor(site: Site) -> int:
    return int(site.bills["s-1"]["amount_minor"])


def checks(receipt: Receipt, **how: Any) -> dict[str, Check]:
    report = verify(json.dumps(receipt).encode(), **how)
    return {check.name: check for check in report.checks}


def credited_on_chain(site: Site, key: bytes) -> tuple[int, int]:
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    binding = artifact("Settlement")
    data = site.chain.call(
        contracts.settlement, binding.calldata("settledAmounts", key)
    )
    amount, credited = binding.result("settledAmounts", data)
    return amount, credited


def session_key(site: Site) -> bytes:
    (key,) = site.conn.execute("SELECT session_key FROM settlement_queue").fetchone()
    return bytes(key)


def test_credits_follow_their_settlement_onto_the_chain_in_one_step(
    site: Site,
) -> None:
    site.add_credit("s-1", 100)
    site.add_credit("s-1", 20)
    summary = site.worker.step(site.clock.at)
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    assert (summary.credits_pending, summary.credits_mined) == (0, 2)
    assert credited_on_chain(site, session_key(site)) == (settled_minor(site), 120)


def test_a_credit_that_comes_later_is_recorded_once(site: Site) -> None:
    site.worker.step(site.clock.at)
    site.add_credit("s-1", 7)
    site.worker.step(site.clock.advance(1000))
    site.worker.step(site.clock.advance(1000))
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.credits_pending, summary.credits_mined) == (0, 1)
    sent = site.conn.execute(
        "SELECT state FROM outbox_tx WHERE purpose = 'credit'"
    ).fetchall()
    assert sent == [("final",)]


def test_a_credit_waits_for_the_settlement_of_its_session(site: Site) -> None:
    site.add_credit("s-1", 100)
    site.worker._held[Purpose.SETTLE] = site.clock.at + timedelta(hours=1)
    summary = site.worker.step(site.clock.at)
    assert (summary.settlements_pending, summary.credits_pending) == (1, 1)
    assert summary.alarms == (), "it was not even tried"
    summary = site.worker.step(site.clock.advance(3600))
    assert (summary.settlements_pending, summary.credits_mined) == (0, 1)


def test_credits_never_exceed_what_was_settled(site: Site) -> None:
    amount = settled_minor(site)
    site.add_credit("s-1", amount - 1)
    with pytest.raises(RecordError, match="exceeds the 1 left"):
        site.add_credit("s-1", 2)
    site.add_credit("s-1", 1)
    with pytest.raises(RecordError, match="exceeds the 0 left"):
        site.add_credit("s-1", 1)
    leaves = SqliteStore(site.conn).leaves_of("s-1")
    assert sum(leaf.kind == "credit" for leaf in leaves) == 2, "refused ones left none"


@pytest.mark.parametrize("amount_minor", [0, -1, 2**63])
def test_an_amount_that_is_none_is_refused(site: Site, amount_minor: int) -> None:
    with pytest.raises(RecordError):
        site.add_credit("s-1", amount_minor)


def test_a_session_that_is_not_settled_has_no_credits(site: Site) -> None:
    with pytest.raises(RecordError, match="not settled"):
        site.add_credit("s-2", 1)
    row = CreditRow(
        session_key=bytes(32), credit_key=bytes(32), leaf_hash=bytes(32), amount_minor=1
    )
    with pytest.raises(RecordError, match="not settled"):
        queue_credit(site.conn, row)


def test_a_row_that_is_queued_again_changes_nothing_and_another_is_refused(
    site: Site,
) -> None:
    sealed = site.add_credit("s-1", 5)
    (leaf_hash,) = site.conn.execute("SELECT leaf_hash FROM credit_queue").fetchone()
    row = CreditRow(
        session_key=session_key(site),
        credit_key=sealed.credit_key,
        leaf_hash=leaf_hash,
        amount_minor=5,
    )
    assert queue_credit(site.conn, row) is False
    other = CreditRow(
        session_key=row.session_key,
        credit_key=row.credit_key,
        leaf_hash=leaf_hash,
        amount_minor=6,
    )
    with pytest.raises(RecordError, match="other content"):
        queue_credit(site.conn, other)


def test_what_the_contract_refuses_is_taken_out_and_told(site: Site) -> None:
    site.worker.step(site.clock.at)
    sealed = site.add_credit("s-1", 5)
    too_much = settled_minor(site) + 1
    site.conn.execute("UPDATE credit_queue SET amount_minor = ?", (too_much,))
    summary = site.worker.step(site.clock.advance(1))
    assert summary.state is WorkerState.ALARM
    assert "SettlementCreditTooLarge" in summary.alarms[0]
    assert (summary.credits_pending, summary.credits_refused) == (0, 1)
    again = site.worker.step(site.clock.advance(1000))
    assert again.alarms == (), "it is not sent again"
    with transaction(site.conn) as store:
        assert store.credit_tx(sealed.credit_key) is None


def test_a_receipt_proves_its_credits(
    site: Site, tmp_path: Path, backend: Backend
) -> None:
    site.worker.step(site.clock.at)
    site.add_credit("s-1", 100)
    site.worker.step(site.clock.advance(1000))
    site.add_credit("s-1", 20)
    found = checks(site.receipt("s-1"), **backend.ask(tmp_path))
    assert found["credits"].verdict is Verdict.TRUE
    left = settled_minor(site) - 120
    assert (
        f"minor units of EUR: {left} of {settled_minor(site)} stay"
        in found["credits"].reason
    )
    assert found["credits-on-chain"].verdict is Verdict.UNCHECKED
    site.worker.step(site.clock.advance(1000))
    found = checks(site.receipt("s-1"), **backend.ask(tmp_path))
    assert {one.verdict for one in found.values() if one.is_claimed} == {
        Verdict.TRUE,
        backend.good,
    }
    assert found["credits-on-chain"].verdict is backend.good
    assert checks(site.receipt("s-1"))["credits-on-chain"].verdict is Verdict.UNCHECKED


def test_a_receipt_from_before_a_credit_stays_good(
    site: Site, tmp_path: Path, backend: Backend
) -> None:
    site.add_credit("s-1", 100)
    site.worker.step(site.clock.at)
    before = site.receipt("s-1")
    site.add_credit("s-1", 20)
    site.worker.step(site.clock.advance(1000))
    found = checks(before, **backend.ask(tmp_path))
    assert found["credits-on-chain"].verdict is backend.good
    assert "20 more were credited since" in found["credits-on-chain"].reason


@pytest.mark.parametrize("way", [SettlementWay.BATCH, SettlementWay.PROVEN])
def test_a_settlement_sent_again_after_an_old_backup_is_held_against_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: SettlementWay
) -> None:
    site = settled_twice_site(tmp_path, way)
    receipt = site.receipt("s-1")
    path = tmp_path / "chain.db"
    found = checks(receipt, chain_path=path)["settlement-on-chain"]
    assert found.verdict is Verdict.SELF_WITNESSED
    assert "sent again" in found.reason
    other = site.receipt("s-0")
    other["settlement_tx"] = receipt["settlement_tx"]
    found = checks(other, chain_path=path)["settlement-on-chain"]
    assert found.verdict is Verdict.FALSE, "that transaction is of another session"
    call, asked = EmbeddedChain.call, artifact("Settlement").calldata
    known = asked("settledContent", bytes(32))[:4]

    def other_content(chain: EmbeddedChain, to: str, calldata: bytes) -> bytes:
        return bytes(32) if calldata[:4] == known else call(chain, to, calldata)

    monkeypatch.setattr(EmbeddedChain, "call", other_content)
    found = checks(receipt, chain_path=path)["settlement-on-chain"]
    assert found.verdict is Verdict.UNCHECKED
    site.conn.close()


def test_a_credit_sent_again_after_an_old_backup_is_held_against_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = repeated_site(tmp_path, SettlementWay.BATCH)
    receipt = site.receipt("s-1")
    path = tmp_path / "chain.db"
    found = checks(receipt, chain_path=path)["credits-on-chain"]
    assert found.verdict is Verdict.SELF_WITNESSED
    call, asked = EmbeddedChain.call, artifact("Settlement").calldata
    known = asked("creditContent", bytes(32))[:4]

    def other_content(chain: EmbeddedChain, to: str, calldata: bytes) -> bytes:
        return bytes(32) if calldata[:4] == known else call(chain, to, calldata)

    monkeypatch.setattr(EmbeddedChain, "call", other_content)
    found = checks(receipt, chain_path=path)["credits-on-chain"]
    assert found.verdict is Verdict.FALSE
    assert "recorded another" in found.reason
    site.conn.close()


def test_a_receipt_without_credits_says_nothing_of_them(site: Site) -> None:
    site.worker.step(site.clock.at)
    receipt = site.receipt("s-1")
    assert "credits" not in receipt
    assert "credits" not in checks(receipt)


def credit_leaf(receipt: Receipt) -> dict[str, Any]:
    leaf: dict[str, Any] = receipt["leaves"][-1]
    assert leaf["kind"] == "credit"
    return leaf


def rewrite(receipt: Receipt, **changes: Any) -> None:
    """Give the credit's record other members, in canonical form."""
    leaf = credit_leaf(receipt)
    body = json.loads(leaf["record"])
    del body["k"], body["v"]
    leaf["record"] = record.canonical("credit", {**body, **changes}).decode()


def drop(receipt: Receipt) -> None:
    receipt["leaves"].pop()


def forget(receipt: Receipt) -> None:
    del receipt["credits"]


def move(receipt: Receipt) -> None:
    receipt["credits"][0]["tx"] = receipt["settlement_tx"]


@pytest.mark.parametrize(
    ("forge", "check", "reason"),
    [
        (lambda r: rewrite(r, amount_minor=1), "commitment", "commit to another"),
        (lambda r: rewrite(r, amount_minor=0), "credits", "credits nothing"),
        (lambda r: rewrite(r, amount_minor=10**9), "credits", "exceed"),
        (lambda r: rewrite(r, ordinal=2), "credits", "another ordinal"),
        (lambda r: rewrite(r, currency="USD"), "credits", "another currency"),
        (lambda r: rewrite(r, credit_key="0" * 64), "credits", "another credit_key"),
        (lambda r: rewrite(r, corrects_leaf_index=0), "credits", "another corrects"),
        (drop, "credits", "other credits than it proves"),
        (forget, "credits", "other credits than it proves"),
        (move, "credits-on-chain", "recorded another"),
    ],
)
def test_a_forged_credit_is_false_with_its_reason(
    site: Site,
    backend: Backend,
    forge: Callable[[Receipt], None],
    check: str,
    reason: str,
) -> None:
    site.worker.step(site.clock.at)
    site.add_credit("s-1", 100)
    site.worker.step(site.clock.advance(1000))
    forged = copy.deepcopy(site.receipt("s-1"))
    forge(forged)
    found = checks(forged, **backend.ask(site.folder))
    assert found[check].verdict is Verdict.FALSE, found[check].reason
    assert reason in found[check].reason
