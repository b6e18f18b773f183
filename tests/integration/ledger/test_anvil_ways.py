"""Sessions netted, and with proofs, over JSON-RPC on a real node: once, and true."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from ledger.chain import JsonRpcChain
from ledger.flex_queue import settle_flex
from ledger.settle import SettlementWay
from ledger.sqlite_store import transaction
from ledger.verify import verify
from ledger.worker import WorkerSettings
from tests.support.anvil import running_node
from tests.support.ledger_site import SteppedClock, fixed_signers, make_site

pytestmark = pytest.mark.chain

DRIVER = "0x" + "d7" * 20
FINAL_AFTER = 65
STEPS = 12


@pytest.mark.parametrize("way", [SettlementWay.NETTED, SettlementWay.PROVEN])
def test_a_node_settles_every_session_and_credit_once(
    tmp_path: Path, way: SettlementWay
) -> None:
    settings = WorkerSettings(anchor_interval_s=60, way=way, patience_s=0)
    with (
        running_node("--slots-in-an-epoch", "2") as node,
        closing(JsonRpcChain(node.url)) as chain,
    ):
        for signer in fixed_signers().all():
            node.fund(signer.address)
        clock = SteppedClock()
        site = make_site(tmp_path, chain=chain, clock=clock, settings=settings)
        site.begin("s-1")
        site.settle("s-1", flex_to=DRIVER)
        (key,) = site.conn.execute("SELECT session_key FROM flex_wait").fetchone()
        with transaction(site.conn):
            settle_flex(site.conn, key, 2_000_000)
        site.add_session("s-2")
        for round_ in range(2):
            for _ in range(STEPS):
                site.worker.step(clock.advance(61))
                node.ask("anvil_mine", hex(FINAL_AFTER))
            summary = site.worker.step(clock.advance(61))
            assert (summary.settlements_mined, summary.credits_mined) == (2, round_)
            assert summary.settlements_refused == summary.credits_refused == 0
            if not round_:
                site.add_credit("s-1", 7)
        for name in ("s-1", "s-2"):
            receipt = json.dumps(site.receipt(name)).encode()
            report = verify(receipt, rpc_url=node.url)
            assert report.verdict.value == "true", report
        site.conn.close()
