"""Sessions netted per user on the embedded chain: one sum for each, and a proof."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.contracts import artifact
from ledger.credits import seal_credit
from ledger.flex_queue import settle_flex
from ledger.netted_queue import FORGOTTEN_WINDOW
from ledger.outbox import Purpose
from ledger.settle import SettlementWay
from ledger.sqlite_store import SqliteStore, transaction
from ledger.verify import Check, Verdict, verify
from ledger.worker import StepSummary, WorkerSettings, WorkerState
from tests.support.ledger_site import Site, make_site, open_database, utc_text

ANNA, BERT = "0x" + "a1" * 20, "0x" + "b2" * 20
COST = 713
"""Minor units of a session of the site."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = make_site(tmp_path, way=SettlementWay.NETTED)
    yield site
    close(site)


def close(site: Site) -> None:
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def drive(site: Site, name: str, user: str | None = None, flex: int = 0) -> None:
    """A session that is over, and whose flexibility is known."""
    site.begin(name)
    site.settle(name, flex_to=user)
    if user is not None:
        (key,) = site.conn.execute("SELECT session_key FROM flex_wait").fetchone()
        with transaction(site.conn):
            settle_flex(site.conn, key, flex)


def step(site: Site) -> StepSummary:
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    return summary


def rows(site: Site) -> dict[str, tuple[int, int, int]]:
    """Energy, amount and flexibility of the newest window, by user."""
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    (tx_hash,) = site.conn.execute(
        "SELECT tx_hash FROM outbox_tx WHERE purpose = 'settle'"
        " ORDER BY tx_id DESC LIMIT 1"
    ).fetchone()
    receipt = site.chain.receipt(tx_hash)
    assert receipt is not None
    events = artifact("Settlement").events(
        "UserNetted", contracts.settlement, receipt.logs
    )
    return {
        one["user"]: (one["energyMilliWh"], one["amountMinor"], one["flexMilliWh"])
        for one in events
    }


def checks(receipt: dict[str, Any], chain: Path | None = None) -> dict[str, Check]:
    found = verify(json.dumps(receipt).encode(), chain_path=chain).checks
    return {check.name: check for check in found}


def verdict(site: Site, session_id: str) -> Verdict:
    receipt = json.dumps(site.receipt(session_id)).encode()
    return verify(receipt, chain_path=site.folder / "chain.db").verdict


def sent(site: Site, purpose: str) -> int:
    (count,) = site.conn.execute(
        "SELECT count(*) FROM outbox_tx WHERE purpose = ? AND state = 'final'",
        (purpose,),
    ).fetchone()
    return int(count)


def test_one_sum_for_each_user_and_each_receipt_proves_its_part(site: Site) -> None:
    drive(site, "s-1", BERT, flex=2_500_000)
    drive(site, "s-2", ANNA)
    drive(site, "s-3")
    drive(site, "s-4", BERT)
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 4)
    energy = site.bills["s-1"]["energy_milliwh"]
    settler = site.signers.settler.address
    assert rows(site) == {
        ANNA: (energy, COST, 0),
        BERT: (2 * energy, 2 * COST, 2_500_000),
        settler: (energy, COST, 0),
    }
    assert sent(site, "settle") == 1
    for name in ("s-1", "s-2", "s-3", "s-4"):
        assert verdict(site, name) is Verdict.SELF_WITNESSED
    found = checks(site.receipt("s-4"), site.folder / "chain.db")
    assert "invoice 2 of 2" in found["invoice"].reason
    assert f"netted for {BERT}" in found["invoice"].reason
    told = found["settlement-on-chain"].reason
    assert f"a row of {2 * COST} minor units for {BERT}" in told
    assert f"with 2500000 mWh of flexibility to {BERT}" in told
    assert site.receipt("s-3")["settlement_tx"]["invoice"]["user"] == settler
    assert checks(site.receipt("s-4"))["invoice"].verdict is Verdict.TRUE


def no_user(receipt: dict[str, Any]) -> None:
    del receipt["settlement_tx"]["invoice"]["user"]


def other_user(receipt: dict[str, Any]) -> None:
    receipt["settlement_tx"]["invoice"]["user"] = BERT


def no_invoice(receipt: dict[str, Any]) -> None:
    del receipt["settlement_tx"]["invoice"]


@pytest.mark.parametrize(
    ("forge", "check", "reason"),
    [
        (no_user, "settlement-on-chain", "recorded other invoices"),
        (other_user, "invoice", "another address than its driver's"),
        (other_user, "settlement-on-chain", "netted other sessions"),
        (no_invoice, "settlement-on-chain", "did not settle this session"),
    ],
)
def test_a_forged_row_is_false_with_its_reason(
    netted: Site, forge: Callable[[dict[str, Any]], None], check: str, reason: str
) -> None:
    receipt = netted.receipt("s-1")
    forge(receipt)
    found = checks(receipt, netted.folder / "chain.db")[check]
    assert found.verdict is Verdict.FALSE
    assert reason in found.reason


@pytest.fixture(scope="module")
def netted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one session of a user; nobody changes it."""
    site = make_site(tmp_path_factory.mktemp("netted"), way=SettlementWay.NETTED)
    drive(site, "s-1", ANNA)
    step(site)
    yield site
    close(site)


def test_a_row_that_charges_more_than_its_one_session_is_false(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operator could do: another sum over the same leaves."""
    user_of = SqliteStore.user_of

    def dearer(store: SqliteStore, row: Any) -> str | None:
        object.__setattr__(row, "amount_minor", row.amount_minor + 1)
        return user_of(store, row)

    monkeypatch.setattr(SqliteStore, "user_of", dearer)
    drive(site, "s-1", ANNA)
    step(site)
    found = checks(site.receipt("s-1"), site.folder / "chain.db")
    assert found["settlement-on-chain"].verdict is Verdict.FALSE
    assert "another amount" in found["settlement-on-chain"].reason


def test_a_session_that_ran_on_is_listed_in_a_later_window(site: Site) -> None:
    site.begin("s-1")
    drive(site, "s-2", ANNA)
    step(site)
    assert list(rows(site)) == [ANNA]
    site.settle("s-1")
    step(site)
    assert list(rows(site)) == [site.signers.settler.address]
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED
    assert verdict(site, "s-2") is Verdict.SELF_WITNESSED


def test_a_credit_lowers_the_row_of_its_window_and_costs_nothing(site: Site) -> None:
    drive(site, "s-1", ANNA)
    site.add_credit("s-1", 13)
    summary = step(site)
    assert (summary.credits_pending, summary.credits_mined) == (0, 1)
    assert rows(site)[ANNA][1] == COST - 13
    assert sent(site, "credit") == 0
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED


def test_a_later_credit_is_recorded_against_the_row_that_it_corrects(
    site: Site,
) -> None:
    drive(site, "s-1", ANNA, flex=3_000_000)
    drive(site, "s-2", BERT)
    step(site)
    with transaction(site.conn):
        seal_credit(
            site.conn,
            session_id="s-1",
            amount_minor=10,
            reason="a wrong register",
            sealed_at=utc_text(site.clock.at),
            flex_milliwh=1_000_000,
        )
    site.add_credit("s-1", 20)
    summary = step(site)
    assert (summary.credits_pending, summary.credits_mined) == (0, 2)
    assert sent(site, "credit") == 2
    found = checks(site.receipt("s-1"), site.folder / "chain.db")
    assert found["credits-on-chain"].verdict is Verdict.SELF_WITNESSED
    assert "credits of 30 minor units" in found["credits-on-chain"].reason
    forged = site.receipt("s-1")
    one, other = forged["credits"]
    one["tx"], other["tx"] = other["tx"], one["tx"]
    swapped = checks(forged, site.folder / "chain.db")["credits-on-chain"]
    assert swapped.verdict is Verdict.FALSE
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    token = artifact("FlexToken")
    data = site.chain.call(contracts.flex_token, token.calldata("balanceOf", ANNA))
    assert token.result("balanceOf", data) == (2_000,)


class Strangers:
    """The chain of a site, as one of others where gas costs something."""

    self_witnessed = False

    def __init__(self, chain: Any) -> None:
        self._chain = chain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


def shared_site(folder: Path) -> Site:
    """A site on a chain of others: windows wait for a day, credits for a window."""
    own = make_site(folder)
    own.conn.close()
    settings = WorkerSettings(way=SettlementWay.NETTED, patience_s=86_400)
    chain: Any = Strangers(own.chain)
    return make_site(folder, chain=chain, clock=own.clock, settings=settings)


def test_where_gas_costs_a_window_waits_a_day_and_later_credits_lower_its_rows(
    tmp_path: Path,
) -> None:
    site = shared_site(tmp_path)
    drive(site, "s-1", ANNA)
    for _ in range(3):
        assert step(site).settlements_mined == 0
    site.clock.advance(86_400)
    assert step(site).settlements_mined == 1
    site.add_credit("s-1", 13)
    drive(site, "s-2", ANNA)
    drive(site, "s-3", BERT)
    assert step(site).credits_mined == 0
    site.clock.advance(86_000)
    step(site)
    summary = step(site)
    assert (summary.settlements_mined, summary.credits_mined) == (3, 1)
    assert sent(site, "credit") == 0
    assert rows(site)[ANNA][1] == COST - 13
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED
    site.add_credit("s-1", COST - 13)
    step(site)
    assert sent(site, "credit") == 0
    site.clock.advance(86_400)
    assert step(site).credits_mined == 2
    assert sent(site, "credit") == 1
    close(site)


def test_after_an_old_backup_no_credit_counts_twice(tmp_path: Path) -> None:
    site = shared_site(tmp_path)
    drive(site, "s-1", ANNA)
    site.clock.advance(86_400)
    step(site)
    step(site)
    site.add_credit("s-1", 13)
    drive(site, "s-2", ANNA)
    site.clock.advance(86_400)
    site.worker._held[Purpose.SETTLE] = site.clock.at + timedelta(seconds=900)
    site.worker._held[Purpose.CREDIT] = site.clock.at + timedelta(seconds=900)
    site.worker.step(site.clock.at)
    copy = tmp_path / "copy.db"
    backup = open_database(copy)
    site.conn.backup(backup)
    backup.close()
    step(site)
    assert (sent(site, "settle"), rows(site)[ANNA][1]) == (2, COST - 13)
    close(site)
    (tmp_path / "gateway.db").unlink()
    copy.rename(tmp_path / "gateway.db")
    restored = shared_site(tmp_path)
    restored.clock.advance(4 * 86_400)
    summary = restored.worker.step(restored.clock.advance(1000))
    assert (summary.settlements_refused, summary.credits_refused) == (1, 1)
    refused = restored.conn.execute("SELECT refused FROM credit_queue").fetchall()
    assert refused == [(FORGOTTEN_WINDOW,)]
    assert sent(restored, "credit") == 0
    close(restored)


def test_a_credit_that_a_lost_database_recorded_lowers_no_later_row(
    tmp_path: Path,
) -> None:
    site = make_site(tmp_path, way=SettlementWay.NETTED)
    drive(site, "s-1", ANNA)
    step(site)
    copy = tmp_path / "copy.db"
    backup = open_database(copy)
    site.add_credit("s-1", 13)
    site.conn.backup(backup)
    backup.close()
    assert step(site).credits_mined == 1
    close(site)
    (tmp_path / "gateway.db").unlink()
    copy.rename(tmp_path / "gateway.db")
    restored = shared_site(tmp_path)
    restored.clock.advance(4 * 86_400)
    drive(restored, "s-2", ANNA)
    restored.clock.advance(86_400)
    step(restored)
    summary = step(restored)
    assert (summary.settlements_mined, summary.credits_mined) == (2, 1)
    assert rows(restored)[ANNA][1] == COST
    close(restored)


@pytest.mark.parametrize("before", [SettlementWay.BATCH, SettlementWay.INVOICES])
def test_a_site_that_settled_otherwise_goes_on_netted(
    tmp_path: Path, before: SettlementWay
) -> None:
    site = make_site(tmp_path, way=before)
    site.add_session("s-1")
    step(site)
    bills = site.bills
    close(site)
    site = make_site(tmp_path, way=SettlementWay.NETTED, clock=site.clock)
    site.bills.update(bills)
    site.add_credit("s-1", 7)
    drive(site, "s-2", ANNA)
    summary = step(site)
    assert (summary.settlements_mined, summary.credits_mined) == (2, 1)
    assert verdict(site, "s-1") is Verdict.SELF_WITNESSED
    assert rows(site)[ANNA][1] == COST
    bills = site.bills
    close(site)
    site = make_site(tmp_path, way=before, clock=site.clock)
    site.bills.update(bills)
    site.add_credit("s-2", 9)
    assert step(site).credits_mined == 2
    assert sent(site, "credit") == (2 if before is SettlementWay.BATCH else 1)
    assert verdict(site, "s-2") is Verdict.SELF_WITNESSED
    close(site)


def test_each_session_is_settled_with_the_proof_that_it_is_in_the_log(
    tmp_path: Path,
) -> None:
    site = make_site(tmp_path, way=SettlementWay.PROVEN)
    drive(site, "s-1", ANNA, flex=1_000_000)
    site.add_noise(5)
    drive(site, "s-2")
    step(site)
    site.add_noise(7)
    drive(site, "s-3")
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 3)
    called = {
        bytes(calldata[:4])
        for (calldata,) in site.conn.execute(
            "SELECT calldata FROM outbox_tx WHERE purpose = 'settle'"
        )
    }
    row = (bytes(32), 0, bytes(32), 0, 0, b"EUR", 0, ANNA)
    proven = artifact("Settlement").calldata("settleProven", row, 0, [])[:4]
    assert called == {proven}
    for name in ("s-1", "s-2", "s-3"):
        assert verdict(site, name) is Verdict.SELF_WITNESSED
    close(site)


def test_an_anchor_waits_for_proofs_under_way_but_not_for_ever(
    tmp_path: Path,
) -> None:
    site = make_site(tmp_path, way=SettlementWay.PROVEN)
    drive(site, "s-1")
    real = site.chain.send_raw
    site.worker.step(site.clock.advance(1), flush=False)
    drive(site, "s-2")
    assert step(site).settlements_mined == 2
    drive(site, "s-3")
    stuck: list[bytes] = []

    def hold_proofs(raw: bytes) -> None:
        rows = site.conn.execute(
            "SELECT 1 FROM outbox_attempt JOIN outbox_tx USING (tx_id)"
            " WHERE raw = ? AND purpose = 'settle'",
            (raw,),
        ).fetchone()
        if rows is None:
            real(raw)
        else:
            stuck.append(raw)

    site.chain.send_raw = hold_proofs  # type: ignore[method-assign]  # a slow chain
    heads = sent(site, "anchor")
    site.worker.step(site.clock.advance(1000))
    assert stuck, "the proof is under way"
    assert sent(site, "anchor") == heads + 1
    site.add_noise(3)
    site.worker.step(site.clock.advance(1000))
    assert sent(site, "anchor") == heads + 1, "it waits for the proof"
    site.worker.step(site.clock.advance(1000))
    assert sent(site, "anchor") == heads + 2, "an interval late it waits no more"
    site.chain.send_raw = real  # type: ignore[method-assign]  # as it was
    for _ in range(3):
        site.worker.step(site.clock.advance(1000))
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 3)
    assert verdict(site, "s-3") is Verdict.SELF_WITNESSED
    close(site)
