"""The same worker and verifier against a real node: anvil, over JSON-RPC."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain import JsonRpcChain
from ledger.errors import Refusal, TransactionRefusedError
from ledger.outbox import Fees
from ledger.runner import RunnerSettings
from ledger.settle import SettlementWay
from ledger.verify import Verdict, verify
from ledger.worker import StepSummary, WorkerSettings, WorkerState
from tests.support.anvil import Node, running_node
from tests.support.ledger_site import Site, fixed_signers, make_site

pytestmark = pytest.mark.chain


@pytest.fixture
def node() -> Iterator[Node]:
    with running_node("--slots-in-an-epoch", "2") as running:
        for signer in fixed_signers().all():
            running.fund(signer.address)
        yield running


@pytest.fixture
def site(tmp_path: Path, node: Node) -> Site:
    settings = WorkerSettings(
        way=SettlementWay.BATCH,  # waits for no final block, of which anvil makes none
        anchor_interval_s=60,
        runner=RunnerSettings(bump_after_s=30),
    )
    chain = JsonRpcChain(node.url, timeout_s=10)
    return make_site(tmp_path, chain=chain, settings=settings)


def step_until_idle(site: Site) -> StepSummary:
    summary = site.worker.step(site.clock.advance(2), flush=True)
    for _ in range(60):
        idle = summary.backlog == summary.settlements_pending == 0
        if idle and summary.contracts is not None:
            return summary
        time.sleep(0.02)
        summary = site.worker.step(site.clock.advance(2), flush=True)
    pytest.fail(f"the worker did not settle down: {summary}")


def test_a_receipt_verifies_as_true_on_a_chain_that_others_can_ask(
    site: Site, node: Node, tmp_path: Path
) -> None:
    site.add_session("s-1")
    summary = step_until_idle(site)
    assert (summary.state, summary.settlements_mined) == (WorkerState.WORKING, 1)
    receipt = site.receipt("s-1")
    report = verify(json.dumps(receipt).encode(), rpc_url=node.url)
    assert report.verdict is Verdict.TRUE, report.to_json()
    assert report.exit_code(strict=True) == 0
    forged = json.loads(json.dumps(receipt))
    forged["head"]["size"] += 1
    forged["chain"]["chain_id"] += 1
    assert verify(json.dumps(forged).encode(), rpc_url=node.url).exit_code() == 1
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = make_site(elsewhere)
    other.worker.step(other.clock.at)
    report = verify(json.dumps(receipt).encode(), chain_path=elsewhere / "chain.db")
    assert report.verdict is Verdict.FALSE
    assert any("another chain" in check.reason for check in report.checks)


def test_a_node_that_is_gone_leaves_the_chain_unchecked(site: Site, node: Node) -> None:
    site.add_session("s-1")
    step_until_idle(site)
    data = json.dumps(site.receipt("s-1")).encode()
    report = verify(data, rpc_url="http://127.0.0.1:9")
    assert report.verdict is Verdict.UNCHECKED
    assert node.ask("eth_blockNumber") != "0x0"


def test_a_deep_reorganisation_brings_everything_back(site: Site, node: Node) -> None:
    step_until_idle(site)
    for _ in range(3):
        site.add_noise(5)
        summary = step_until_idle(site)
    site.add_session("s-1")
    summary = step_until_idle(site)
    assert summary.anchored is not None
    node.ask("anvil_reorg", 3, [])
    site.worker.step(site.clock.advance(1))
    healed = step_until_idle(site)
    assert (healed.backlog, healed.settlements_mined) == (0, 1)
    data = json.dumps(site.receipt("s-1")).encode()
    assert verify(data, rpc_url=node.url).verdict is Verdict.TRUE
    node.ask("anvil_mine", "0x10")
    final = site.worker.step(site.clock.advance(1))
    assert final.anchored is not None
    assert final.anchored.is_final


def test_a_dropped_transaction_is_sent_again(site: Site, node: Node) -> None:
    step_until_idle(site)
    node.ask("evm_setAutomine", False)
    site.add_noise(1)
    site.worker.step(site.clock.advance(60))
    node.ask("anvil_dropAllTransactions")
    assert site.worker.step(site.clock.advance(1)).backlog == 1
    node.ask("evm_mine")
    assert site.worker.step(site.clock.advance(1)).backlog == 0


def test_a_higher_base_fee_is_outbid_at_the_same_nonce(site: Site, node: Node) -> None:
    step_until_idle(site)
    node.ask("evm_setAutomine", False)
    site.add_noise(1)
    site.worker.step(site.clock.advance(60))
    node.ask("anvil_setNextBlockBaseFeePerGas", hex(30 * 10**9))
    node.ask("evm_mine")
    summary = site.worker.step(site.clock.advance(1))
    assert summary.backlog == 1
    site.worker.step(site.clock.advance(31))
    node.ask("evm_mine")
    summary = site.worker.step(site.clock.advance(1))
    assert (summary.backlog, summary.failed) == (0, 0)


def test_a_foreign_nonce_that_a_reorganisation_removes_leaves_no_gap(
    site: Site, node: Node
) -> None:
    step_until_idle(site)
    anchorer = site.signers.anchorer
    chain_id = site.chain.identity().chain_id
    raw, _ = anchorer.sign(
        chain_id=chain_id,
        nonce=site.chain.nonce(anchorer.address),
        to=anchorer.address,
        calldata=b"",
        gas_limit=21_000,
        fees=site.chain.fees(),
    )
    site.chain.send_raw(raw)
    node.ask("evm_setAutomine", False)
    site.add_noise(1)
    site.worker.step(site.clock.advance(60))
    node.ask("anvil_dropAllTransactions")
    node.ask("anvil_reorg", 1, [])
    node.ask("evm_setAutomine", True)
    assert step_until_idle(site).backlog == 0


def test_what_the_node_knows_already_is_success_and_refusals_are_told_apart(
    site: Site, node: Node
) -> None:
    chain, signer = site.chain, site.signers.settler
    node.ask("evm_setAutomine", False)

    def raw(nonce: int, fees: Fees) -> bytes:
        return signer.sign(
            chain_id=chain.identity().chain_id,
            nonce=nonce,
            to=signer.address,
            calldata=b"",
            gas_limit=21_000,
            fees=fees,
        )[0]

    fees = chain.fees()
    chain.send_raw(raw(0, fees))
    chain.send_raw(raw(0, fees))
    same_fee = Fees(
        max_fee_wei=fees.max_fee_wei, priority_fee_wei=fees.priority_fee_wei - 1
    )
    with pytest.raises(TransactionRefusedError) as caught:
        chain.send_raw(raw(0, same_fee))
    assert caught.value.reason is Refusal.UNDERPRICED
    node.ask("evm_mine")
    with pytest.raises(TransactionRefusedError) as caught:
        chain.send_raw(raw(0, fees))
    assert caught.value.reason is Refusal.NONCE_TOO_LOW
    poor = Fees(max_fee_wei=10**18, priority_fee_wei=1)
    with pytest.raises(TransactionRefusedError) as caught:
        chain.send_raw(raw(1, poor))
    assert caught.value.reason is Refusal.NO_FUNDS
