"""Flexibility on the chain: minted with a settlement alone, taken back by credits."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.contracts import artifact
from ledger.credits import seal_credit
from ledger.flex_queue import flex_left, settle_flex
from ledger.settle import SettlementWay
from ledger.sqlite_store import transaction
from ledger.verify import Verdict, verify
from ledger.worker import StepSummary, WorkerSettings, WorkerState
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import Site, make_site, utc_text

DRIVER = "0x" + "d7" * 20
WAYS = list(SettlementWay)


@pytest.fixture(params=WAYS, ids=[way.value for way in WAYS])
def site(
    tmp_path: Path, request: pytest.FixtureRequest, backend: Backend
) -> Iterator[Site]:
    with backend.apart():
        # On a node, where gas has its price, windows would wait for a day.
        settings = WorkerSettings(way=request.param, patience_s=0.0)
        site = make_site(tmp_path, chain=backend.open(tmp_path), settings=settings)
        site.begin("s-1")
        site.settle("s-1", flex_to=DRIVER)
        yield site
        site.conn.close()


def step(site: Site) -> StepSummary:
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    return summary


def balance_wh(site: Site) -> int:
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    token = artifact("FlexToken")
    data = site.chain.call(contracts.flex_token, token.calldata("balanceOf", DRIVER))
    return int(token.result("balanceOf", data)[0])


def key_of(site: Site) -> bytes:
    rows = site.conn.execute(
        "SELECT session_key FROM settlement_queue ORDER BY start_leaf_index"
    )
    return bytes(rows.fetchone()[0])


def told(site: Site, backend: Backend) -> tuple[Verdict, str]:
    receipt = json.dumps(site.receipt("s-1")).encode()
    report = verify(receipt, **backend.ask(site.folder))
    (check,) = [c for c in report.checks if c.name == "settlement-on-chain"]
    return report.verdict, check.reason


def test_a_session_with_an_address_settles_alone_once_its_share_is_known(
    site: Site,
    backend: Backend,
) -> None:
    site.add_session("s-2")
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (1, 1)
    assert balance_wh(site) == 0
    with transaction(site.conn):
        settle_flex(site.conn, key_of(site), 5_500_999)
    summary = step(site)
    assert (summary.settlements_pending, summary.settlements_mined) == (0, 2)
    assert balance_wh(site) == 5_500
    verdict, reason = told(site, backend)
    assert verdict is backend.good
    assert f"5500999 mWh of flexibility to {DRIVER}" in reason


def test_a_session_that_gave_nothing_settles_like_the_others(
    site: Site, backend: Backend
) -> None:
    with transaction(site.conn):
        settle_flex(site.conn, key_of(site), 999)
        assert not settle_flex(site.conn, key_of(site), 10**6), "it waits no more"
    assert step(site).settlements_mined == 1
    assert balance_wh(site) == 0
    verdict, reason = told(site, backend)
    assert verdict is backend.good
    assert "without flexibility" in reason


def test_a_credit_takes_flexibility_back(site: Site, backend: Backend) -> None:
    with transaction(site.conn):
        settle_flex(site.conn, key_of(site), 5_500_000)
    step(site)
    with transaction(site.conn):
        seal_credit(
            site.conn,
            session_id="s-1",
            amount_minor=10,
            reason="a wrong register",
            sealed_at=utc_text(site.clock.at),
            flex_milliwh=2_000_000,
        )
    summary = step(site)
    assert (summary.credits_pending, summary.credits_mined) == (0, 1)
    assert balance_wh(site) == 3_500
    assert flex_left(site.conn, key_of(site)) == 3_500_000
    assert told(site, backend)[0] is backend.good
