"""The admin's commands on a real node: killed, repeated, and a key that is replaced."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.__main__ import main
from ledger.address_book import read_book
from ledger.chain import JsonRpcChain
from ledger.deploy import ORDER
from ledger.keys import LocalSigner, load_key
from ledger.sqlite_store import Transactor
from ledger.worker import AnchorWorker, StepSummary, WorkerSettings
from tests.support.anvil import Node, running_node
from tests.support.ledger_site import Site, fixed_signers, make_site

pytestmark = pytest.mark.chain

NEW = LocalSigner(bytes([6]) * 32)
HOLDERS = fixed_signers().holders()
TRANSACTIONS = 15


@pytest.fixture
def node() -> Iterator[Node]:
    with running_node() as running:
        for signer in (*fixed_signers().all(), NEW):
            running.fund(signer.address)
        yield running


def arguments(node: Node, folder: Path, *more: str) -> list[str]:
    fixed = ["--rpc", node.url, "--chain-id", "31337", "--confirmations", "0"]
    return [*more, *fixed, "--admin-key", str(folder / "admin.key")]


def deploying(node: Node, folder: Path) -> list[str]:
    roles = ("anchorer", "settler", "registrar", "pauser")
    named = [f"--{role}={getattr(HOLDERS, role)}" for role in roles]
    out = f"--out={folder / 'contracts.json'}"
    return arguments(node, folder, "deploy", *named, out)


def kill_while_it_waits(node: Node, folder: Path) -> None:
    """Start the command on a node that mines nothing; SIGKILL once it has sent."""
    node.ask("evm_setAutomine", False)
    command = [sys.executable, "-m", "ledger", *deploying(node, folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("deploy FlexToken: sent"):
                break
        process.kill()
    node.ask("evm_setAutomine", True)
    node.ask("evm_mine")


def step_until_idle(worker: AnchorWorker, site: Site) -> StepSummary:
    summary = worker.step(site.clock.advance(2), flush=True)
    for _ in range(40):
        summary = worker.step(site.clock.advance(2), flush=True)
        if summary.contracts is not None and not (
            summary.backlog + summary.settlements_pending
        ):
            return summary
    pytest.fail(f"the worker did not settle down: {summary}")


def worker_of(site: Site, settler: LocalSigner | None = None) -> AnchorWorker:
    signers = replace(fixed_signers(), admin=None)
    return AnchorWorker(
        chain=site.chain,
        transact=Transactor(site.conn),
        signers=signers if settler is None else replace(signers, settler=settler),
        settings=WorkerSettings(anchor_interval_s=0),
        book=read_book(site.folder / "contracts.json"),
    )


def test_a_killed_deployment_goes_on_and_a_key_is_replaced_while_work_goes_on(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = load_key(tmp_path / "admin.key").address
    node.fund(admin)
    kill_while_it_waits(node, tmp_path)
    assert not (tmp_path / "contracts.json").exists()
    assert main(deploying(node, tmp_path)) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == list(ORDER)
    chain = JsonRpcChain(node.url, confirmations=0)
    assert chain.nonce(admin) == TRANSACTIONS
    out = f"--out={tmp_path / 'contracts.json'}"
    assert main(arguments(node, tmp_path, "deploy", out)) == 0
    assert chain.nonce(admin) == TRANSACTIONS

    site = make_site(tmp_path, chain=chain)
    site.add_session("s-1")
    summary = step_until_idle(worker_of(site), site)
    assert (summary.alarms, summary.settlements_mined) == ((), 1)

    book = f"--contracts={tmp_path / 'contracts.json'}"
    give = arguments(node, tmp_path, "rotate-key", "settler", book)
    assert main([*give, f"--to={NEW.address}"]) == 0
    site.add_session("s-2")
    summary = step_until_idle(worker_of(site, NEW), site)
    assert (summary.alarms, summary.settlements_mined) == ((), 2)
    revoke = [*give, f"--revoke={HOLDERS.settler}"]
    assert main(revoke) == 1, "it wants to know whether work is under way"
    node.ask("anvil_mine", "0x2")
    step_until_idle(worker_of(site, NEW), site)
    assert main([*revoke, f"--database={tmp_path / 'gateway.db'}"]) == 0
    capsys.readouterr()

    asked = ["roles", "--rpc", node.url, book]
    assert main(asked) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"Settlement.SETTLER_ROLE: {NEW.address} (settler)" in said
    assert f"StatusAnchor.ANCHORER_ROLE: {HOLDERS.anchorer} (anchorer)" in said
    assert f"Settlement.DEFAULT_ADMIN_ROLE: {admin} (admin, publisher)" in said
    site.add_session("s-3")
    summary = step_until_idle(worker_of(site, NEW), site)
    assert (summary.alarms, summary.settlements_mined) == ((), 3)
    site.conn.close()


def test_nothing_is_revoked_while_the_pool_holds_work_of_the_old_key(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.fund(load_key(tmp_path / "admin.key").address)
    assert main(deploying(node, tmp_path)) == 0
    book = f"--contracts={tmp_path / 'contracts.json'}"
    rotate = arguments(node, tmp_path, "rotate-key", "settler", book)
    assert main([*rotate, f"--to={NEW.address}"]) == 0
    node.ask("evm_setAutomine", False)
    chain = JsonRpcChain(node.url, confirmations=0)
    old = fixed_signers().settler
    raw, _ = old.sign(
        chain_id=31_337,
        nonce=0,
        to=old.address,
        calldata=b"",
        gas_limit=21_000,
        fees=chain.fees(),
    )
    chain.send_raw(raw)
    revoke = [*rotate, f"--revoke={old.address}", "--without-database"]
    assert main([*revoke, "--patience-s=0.1"]) == 1
    assert "1 transactions of" in capsys.readouterr().err
    node.ask("evm_setAutomine", True)
    node.ask("evm_mine")
    assert main(revoke) == 0


def test_a_stranger_with_a_role_is_listed(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.fund(load_key(tmp_path / "admin.key").address)
    assert main(deploying(node, tmp_path)) == 0
    book = tmp_path / "contracts.json"
    kept = book.read_text(encoding="utf-8")
    give = arguments(node, tmp_path, "rotate-key", "pauser", f"--contracts={book}")
    assert main([*give, f"--to={NEW.address}"]) == 0
    book.write_text(kept, encoding="utf-8")
    capsys.readouterr()
    assert main(["roles", "--rpc", node.url, f"--contracts={book}"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"{NEW.address} (not in the file)") == len(ORDER)
