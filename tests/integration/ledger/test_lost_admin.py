"""What the admin's key signed, and then was lost: given up, and done by another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.contracts import artifact
from ledger.grants import ADMIN_ID, Contracts
from ledger.keys import LocalSigner
from ledger.ports import Chain, Signer, Signers
from ledger.runner import RunnerSettings
from ledger.sqlite_store import Transactor
from ledger.worker import AnchorWorker, StepSummary, WorkerSettings, WorkerState
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import Site, make_site
from tests.support.moody_chain import MoodyChain

SETTINGS = WorkerSettings(anchor_interval_s=60, runner=RunnerSettings(bump_after_s=30))
NEW_PAUSER = LocalSigner(bytes([6]) * 32).address


@pytest.fixture
def chain(tmp_path: Path, backend: Backend) -> Iterator[MoodyChain]:
    with backend.apart():
        yield MoodyChain(backend.open(tmp_path))


@pytest.fixture
def site(tmp_path: Path, chain: MoodyChain) -> Iterator[Site]:
    made: Chain = chain
    site = make_site(tmp_path, chain=made, settings=SETTINGS)
    yield site
    site.conn.close()


def restarted(site: Site, **changes: object) -> None:
    """The gateway begins again with other keys."""
    signers: Signers = replace(site.signers, **changes)  # type: ignore[arg-type]  # its fields
    site.worker = AnchorWorker(
        chain=site.chain,
        transact=Transactor(site.conn),
        signers=signers,
        settings=SETTINGS,
    )


def rows(site: Site, purpose: str) -> list[tuple[str, str]]:
    found = site.conn.execute(
        "SELECT sender, state FROM outbox_tx WHERE purpose = ? ORDER BY tx_id",
        (purpose,),
    )
    return found.fetchall()


def stepped(site: Site, seconds: float = 1) -> StepSummary:
    return site.worker.step(site.clock.advance(seconds))


def test_a_deployment_of_a_lost_key_is_given_up_and_made_by_the_next(
    site: Site, chain: MoodyChain
) -> None:
    lost, heir = site.signers.admin, site.signers.registrar
    assert lost is not None
    chain.holding = True
    stepped(site)
    (held,) = chain.pool
    restarted(site, admin=heir)
    assert not any("given up" in alarm for alarm in stepped(site).alarms)
    assert rows(site, "deploy") == [(lost.address, "sent")], "it may yet be mined"
    chain.pool.clear()
    chain.holding = False
    chain.hears_nothing = True
    summary = stepped(site, 31)
    assert summary.state is WorkerState.ALARM
    assert any(
        "deploy FlexToken is given up: the key of" in alarm for alarm in summary.alarms
    )
    chain.hears_nothing = False
    site.add_session("s-1")
    done = stepped(site, 61)
    assert (done.state, done.alarms, done.backlog) == (WorkerState.WORKING, (), 0)
    states = rows(site, "deploy")
    assert states[0] == (lost.address, "failed")
    assert states[1:] == [(heir.address, "final")] * 5
    chain.chain.send_raw(held)  # mined after all: a contract that nobody knows of
    after = stepped(site, 61)
    assert (after.state, after.alarms) == (WorkerState.WORKING, ())
    assert after.contracts == done.contracts


def test_without_any_admin_a_lost_deployment_names_the_command(
    site: Site, chain: MoodyChain
) -> None:
    chain.holding = True
    stepped(site)
    restarted(site, admin=None)
    stepped(site)
    summary = stepped(site, 31)
    assert any("is given up" in alarm for alarm in summary.alarms)
    assert any("`wattproof ledger deploy`" in alarm for alarm in summary.alarms)
    assert [state for _, state in rows(site, "deploy")] == ["failed"]


def test_a_grant_of_a_lost_key_is_given_up_once_it_is_no_admin_any_more(
    site: Site, chain: MoodyChain
) -> None:
    lost, heir, third = site.signers.admin, site.signers.registrar, site.signers.settler
    assert lost is not None
    contracts = stepped(site).contracts
    assert contracts is not None
    for other in (heir, third):
        change_admin(chain, contracts, lost, "grantRole", other)
    chain.holding = True
    restarted(site, pauser=NEW_PAUSER)
    stepped(site)
    n_done = [state for _, state in rows(site, "grant")].count("final")
    assert rows(site, "grant")[n_done] == (lost.address, "sent")
    chain.pool.clear()

    restarted(site, pauser=NEW_PAUSER, admin=heir)
    chain.hears_nothing = True
    for _ in range(3):
        summary = stepped(site, 31)
        assert any("is stuck: the key of" in alarm for alarm in summary.alarms)
    assert (lost.address, "sent") in rows(site, "grant"), "its bytes may still do it"

    chain.final_depth = chain.latest_block()
    change_admin(chain, contracts, third, "revokeRole", lost)
    stepped(site)
    assert (lost.address, "sent") in rows(site, "grant"), "that is not final yet"
    chain.final_depth = None
    summary = stepped(site)
    assert any(
        "is given up" in alarm and "has lost its role" in alarm
        for alarm in summary.alarms
    )
    chain.hears_nothing = chain.holding = False
    stepped(site, 301)
    assert stepped(site, 301).alarms == ()
    made = set(rows(site, "grant")[n_done:])
    assert made == {(lost.address, "failed"), (heir.address, "final")}
    for name, address in contracts.by_name().items():
        binding = artifact(name)
        (pauser_role,) = binding.result(
            "PAUSER_ROLE", chain.call(address, binding.calldata("PAUSER_ROLE"))
        )
        asked = binding.calldata("hasRole", pauser_role, NEW_PAUSER)
        assert binding.result("hasRole", chain.call(address, asked)) == (True,)


def change_admin(
    chain: MoodyChain, contracts: Contracts, by: Signer, function: str, of: Signer
) -> None:
    """Give or take the admin's right on every contract."""
    for name, address in contracts.by_name().items():
        raw, _hash = by.sign(
            chain_id=chain.identity().chain_id,
            nonce=chain.chain.nonce(by.address),
            to=address,
            calldata=artifact(name).calldata(function, ADMIN_ID, of.address),
            gas_limit=200_000,
            fees=chain.fees(),
        )
        chain.chain.send_raw(raw)
