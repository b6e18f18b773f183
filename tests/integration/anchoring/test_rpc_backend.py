"""The gateway's anchoring on a real node that others can ask: anvil, over JSON-RPC."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config import (
    Config,
    LedgerBackend,
    LedgerConfig,
    SettlementMode,
    StoreConfig,
)
from gateway.domain.ids import SessionId
from gateway.services.anchoring import Anchoring, AnchoringSettings, AnchorState
from gateway.services.receipts import Receipts
from ledger.chain import JsonRpcChain
from ledger.keys import load_key
from ledger.ports import Holders
from ledger.verify import Verdict, VerificationReport, verify
from tests.support.anvil import Node, running_node
from tests.support.deployed import deployed, holders_in
from tests.support.ledger_site import fixed_signers
from tests.support.money import Till, open_till
from tests.support.ports import free_port
from tests.support.signer_service import running_signer

pytestmark = pytest.mark.chain

ANVIL_ID = 31_337
SITE = {
    "cabinet": [{"id": "A", "limit_a": [63, 63, 63]}],
    "station": [{"id": "CP1", "cabinet": "A", "evse": [{"id": 1, "max_a": 32}]}],
}


@asynccontextmanager
async def anchoring_at(
    till: Till,
    path: Path,
    port: int,
    *,
    chain_id: int | None = ANVIL_ID,
    key_file: Path | None = None,
    confirmations: int | None = None,
    signer_url: str | None = None,
    holders: Holders | None = None,
) -> AsyncIterator[Anchoring]:
    # A window of invoices waits for a final block, and anvil makes none by itself.
    way = SettlementMode.BATCH if confirmations is None else SettlementMode.INVOICES
    ledger = LedgerConfig(
        backend=LedgerBackend.RPC,
        settlement=way,
        rpc_url=f"http://127.0.0.1:{port}",
        chain_id=chain_id,
        key_file=key_file,
        confirmations=confirmations,
        contracts_file=path / "contracts.json",
        signer_url=signer_url,
        anchorer_key=None if holders is None else f"remote:{holders.anchorer}",
        settler_key=None if holders is None else f"remote:{holders.settler}",
        registrar_key=None if holders is None else f"remote:{holders.registrar}",
    )
    site = Config.from_dict(SITE, Path()).site
    anchoring = Anchoring(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        settings=AnchoringSettings(ledger=ledger, store=StoreConfig(path=path)),
        site=lambda: site,
    )
    try:
        yield anchoring
    finally:
        await anchoring.close()


def fund(node: Node, holders: Holders) -> None:
    for address in {holders.anchorer, holders.settler, holders.registrar}:
        node.fund(address)


def deploy_at(node: Node, path: Path, holders: Holders | None = None) -> None:
    """What an operator does before the start; the admin's key is nowhere near."""
    holders = holders or holders_in(path / "keys")
    fund(node, holders)
    node.fund(load_key(path / "admin.key").address)
    chain = JsonRpcChain(node.url, confirmations=0)
    deployed(chain, path / "contracts.json", holders)
    chain.close()


async def settle_down(anchoring: Anchoring) -> AnchorState:
    """Steps until nothing waits; anvil mines each transaction when it hears of it."""
    state = await anchoring.flush()
    for _ in range(20):
        if state.state == "working" and not state.backlog + state.settlements_pending:
            return state
        state = await anchoring.flush()
    pytest.fail(f"anchoring does not settle down: {state}")


async def judged(
    till: Till, anchoring: Anchoring, session_id: SessionId, rpc_url: str
) -> VerificationReport:
    receipts = Receipts(database=till.store.writer.path, anchoring=anchoring)
    document = json.dumps(await receipts.receipt(session_id))
    return verify(document.encode(), rpc_url=rpc_url)


def verdict_of(report: VerificationReport, name: str) -> Verdict:
    return next(check.verdict for check in report.checks if check.name == name)


async def test_a_receipt_of_the_gateway_verifies_as_true_over_rpc(
    tmp_path: Path,
) -> None:
    with running_node() as node:
        deploy_at(node, tmp_path)
        async with (
            open_till(tmp_path) as till,
            anchoring_at(till, tmp_path, node.port, confirmations=0) as anchoring,
        ):
            session_id = await till.session()
            await till.settlement.settle(session_id)
            state = await settle_down(anchoring)
            assert state.settlements_on_chain == 1
            report = await judged(till, anchoring, session_id, node.url)
            assert verdict_of(report, "head") is Verdict.TRUE
            assert report.verdict is Verdict.TRUE, report.to_json()
        assert not (tmp_path / "chain.db").exists()


async def test_one_key_file_may_have_every_role(tmp_path: Path) -> None:
    key_file = tmp_path / "one.key"
    with running_node() as node:
        only = load_key(key_file).address
        deploy_at(
            node,
            tmp_path,
            Holders(
                anchorer=only,
                settler=only,
                registrar=only,
                publisher=None,
                pauser=only,
            ),
        )
        async with (
            open_till(tmp_path) as till,
            anchoring_at(till, tmp_path, node.port, key_file=key_file) as anchoring,
        ):
            await till.settlement.settle(await till.session())
            state = await settle_down(anchoring)
            assert state.settlements_on_chain == 1
        assert not (tmp_path / "keys").exists()


async def test_with_its_keys_at_a_signer_service_the_gateway_holds_none(
    tmp_path: Path,
) -> None:
    signers = fixed_signers()
    holders = signers.holders()
    kept: Any = (signers.anchorer, signers.settler, signers.registrar)
    with running_node() as node, running_signer(*kept, chain_id=ANVIL_ID) as (it, _):
        deploy_at(node, tmp_path, holders)
        async with (
            open_till(tmp_path) as till,
            anchoring_at(
                till,
                tmp_path,
                node.port,
                confirmations=0,
                signer_url=it.url,
                holders=holders,
            ) as anchoring,
        ):
            it.says = 503
            session_id = await till.session()
            await till.settlement.settle(session_id)
            away = await anchoring.flush()
            assert away.state == "alarm"
            assert "does not answer: HTTP 503" in away.alarms[0]
            it.says = None
            assert (await settle_down(anchoring)).settlements_on_chain == 1
            report = await judged(till, anchoring, session_id, node.url)
            assert report.verdict is Verdict.TRUE, report.to_json()
        assert not (tmp_path / "keys").exists()
        assert {fields["chainId"] for fields in it.asked} == {hex(ANVIL_ID)}


async def test_a_node_that_is_restarted_with_its_state_is_taken_up_again(
    tmp_path: Path,
) -> None:
    saved, port = ["--state", str(tmp_path / "anvil.json")], free_port()
    async with (
        open_till(tmp_path) as till,
        anchoring_at(till, tmp_path, port) as anchoring,
    ):
        with running_node(*saved, port=port) as node:
            deploy_at(node, tmp_path)
            first = await till.session(0)
            await till.settlement.settle(first)
            before = await settle_down(anchoring)
            contracts = anchoring.bundle_chain
        with capture_logs() as logs:
            second = await till.session(1)
            bill = await till.settlement.settle(second)
            for _ in range(3):
                await anchoring._step_safely()
            away = anchoring.state
        assert bill is not None
        assert (bill.status, away.state) == ("settled", "chain-unavailable")
        assert away.backlog > before.backlog == 0
        told = [line for line in logs if line["event"] == "anchor.troubled"]
        assert len(told) == 1
        with running_node(*saved, port=port) as node, capture_logs() as logs:
            after = await settle_down(anchoring)
            assert [x["event"] for x in logs].count("anchor.recovered") == 1
            assert (after.settlements_on_chain, after.alarms) == (2, ())
            assert anchoring.bundle_chain == contracts
            for session_id in (first, second):
                report = await judged(till, anchoring, session_id, node.url)
                assert report.verdict is Verdict.TRUE, report.to_json()


async def test_a_node_killed_before_it_saved_gets_the_lost_transactions_again(
    tmp_path: Path,
) -> None:
    port, state = free_port(), tmp_path / "anvil.json"
    async with (
        open_till(tmp_path) as till,
        anchoring_at(till, tmp_path, port) as anchoring,
    ):
        with running_node("--state", str(state), port=port) as node:
            deploy_at(node, tmp_path)
            await settle_down(anchoring)
        with running_node("--state", str(state), port=port) as node:
            session_id = await till.session()
            await till.settlement.settle(session_id)
            assert (await settle_down(anchoring)).settlements_on_chain == 1
            node.kill()
        with running_node("--state", str(state), port=port) as node:
            await settle_down(anchoring)
            report = await judged(till, anchoring, session_id, node.url)
            assert report.verdict is Verdict.TRUE, report.to_json()


async def test_a_node_that_comes_back_empty_is_another_chain_and_waits_for_its_file(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with (
        open_till(tmp_path) as till,
        anchoring_at(till, tmp_path, port) as anchoring,
    ):
        old = await till.session(0)
        with running_node("--timestamp", "1700000000", port=port) as node:
            deploy_at(node, tmp_path)
            await till.settlement.settle(old)
            await settle_down(anchoring)
        await anchoring._step_safely()
        with running_node("--timestamp", "1700000001", port=port) as node:
            fresh = await till.session(1)
            await till.settlement.settle(fresh)
            await anchoring._step_safely()
            assert anchoring.state.state == "alarm"
            assert "the address file is of chain" in anchoring.state.alarms[0]
            assert node.ask("eth_blockNumber") == "0x0", "nothing was sent"
            (tmp_path / "contracts.json").unlink()
            deploy_at(node, tmp_path)
            await anchoring.close()  # as a restart does
            state = await settle_down(anchoring)
            assert state.alarms == ()
            report = await judged(till, anchoring, fresh, node.url)
            assert report.verdict is Verdict.TRUE, report.to_json()
            report = await judged(till, anchoring, old, node.url)
            assert verdict_of(report, "head") is Verdict.TRUE
            assert verdict_of(report, "settlement-on-chain") is Verdict.UNCHECKED


async def test_another_chain_than_configured_is_an_alarm_and_gets_no_transaction(
    tmp_path: Path,
) -> None:
    with running_node() as node:
        deploy_at(node, tmp_path)
        before = node.ask("eth_blockNumber")
        async with (
            open_till(tmp_path) as till,
            anchoring_at(till, tmp_path, node.port, chain_id=1) as anchoring,
        ):
            with capture_logs() as logs:
                for _ in range(3):
                    await anchoring._step_safely()
            assert anchoring.state.state == "alarm"
            (told,) = [x for x in logs if x["event"] == "anchor.troubled"]
            assert told["alarms"] == (
                "the node serves chain 31337, not 1 as configured",
            )
        assert node.ask("eth_blockNumber") == before


async def test_keys_without_funds_are_an_alarm_that_ends_when_they_are_funded(
    tmp_path: Path,
) -> None:
    with running_node() as node:
        holders = holders_in(tmp_path / "keys")
        deploy_at(node, tmp_path)
        for address in {holders.anchorer, holders.settler, holders.registrar}:
            node.ask("anvil_setBalance", address, "0x0")
        async with (
            open_till(tmp_path) as till,
            anchoring_at(till, tmp_path, node.port) as anchoring,
        ):
            await till.settlement.settle(await till.session())
            with capture_logs() as logs:
                for _ in range(3):
                    await anchoring._step_safely()
            assert anchoring.state.state == "alarm"
            troubled = [x for x in logs if x["event"] == "anchor.troubled"]
            assert "nsufficient funds" in troubled[0]["alarms"][0]
            fund(node, holders)
            assert (await settle_down(anchoring)).settlements_on_chain == 1
