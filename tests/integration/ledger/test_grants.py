"""Rights on the contracts are asked of the chain, and granted where missing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import deploy
from ledger.contracts import Artifact, artifact, role
from ledger.deploy import ORDER
from ledger.grants import Contracts
from ledger.ports import Signer
from ledger.sqlite_store import SqliteStore
from ledger.worker import WorkerState
from tests.support.ledger_site import ADMIN, PAUSER, Site, fixed_signers, make_site

OTHER = fixed_signers().registrar


@pytest.fixture(params=[1, 2])
def handed_over(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A deployment without grants of a pauser in its database, its admin elsewhere.

    The first release granted none on the chain either.
    """

    def of_release(name: str, release: int = 2) -> Artifact:
        return artifact(name, request.param if name == "FlexToken" else release)

    with monkeypatch.context() as patch:
        patch.setattr(deploy, "artifact", of_release)
        site = make_site(tmp_path)
        contracts = site.worker.step(site.clock.at).contracts
    assert contracts is not None
    for name, address in contracts.by_name().items():
        calls = [("grantRole", bytes(32), OTHER.address)]
        if request.param == 1:
            calls.append(("revokeRole", role("PAUSER_ROLE"), PAUSER.address))
        calls.append(("renounceRole", bytes(32), ADMIN.address))
        for call in calls:
            send(site, address, artifact(name).calldata(*call))
    site.conn.execute("PRAGMA foreign_keys = OFF")
    site.conn.execute("DELETE FROM outbox_attempt")
    site.conn.execute("DELETE FROM outbox_tx WHERE purpose = 'grant'")
    yield site
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def send(site: Site, to: str, calldata: bytes, admin: Signer = ADMIN) -> None:
    raw, tx_hash = admin.sign(
        chain_id=site.chain.identity().chain_id,
        nonce=site.chain.nonce(admin.address),
        to=to,
        calldata=calldata,
        gas_limit=site.chain.gas_limit(admin.address, to, calldata),
        fees=site.chain.fees(),
    )
    site.chain.send_raw(raw)
    receipt = site.chain.receipt(tx_hash)
    assert receipt is not None
    assert receipt.succeeded


def may_pause(site: Site, contracts: Contracts) -> set[str]:
    found = set()
    for name, address in contracts.by_name().items():
        asked = artifact(name)
        call = asked.calldata("hasRole", role("PAUSER_ROLE"), PAUSER.address)
        (answer,) = asked.result("hasRole", site.chain.call(address, call))
        found |= {name} if answer else set()
    return found


def test_a_deployment_whose_admin_left_goes_on_settling(
    handed_over: Site, tmp_path: Path
) -> None:
    sent = handed_over.chain.nonce(ADMIN.address)
    site = make_site(tmp_path, chain=handed_over.chain, clock=handed_over.clock)
    site.add_session("s-1")
    for _ in range(2):
        summary = site.worker.step(site.clock.advance(10))
        assert summary.contracts is not None
        stops = may_pause(site, summary.contracts)
        alarms = [one for one in summary.alarms if "PAUSER_ROLE" in one]
        assert len(alarms) == len(summary.alarms) == len(ORDER) - len(stops)
    summary = site.worker.step(site.clock.advance(10))
    assert (summary.settlements_mined, summary.backlog) == (1, 0)
    assert site.chain.nonce(ADMIN.address) == sent
    rows = site.conn.execute("SELECT 1 FROM outbox_tx WHERE purpose = 'grant'")
    assert rows.fetchall() == [], "nothing is sealed that stands or cannot be made"
    site.conn.close()


def test_the_alarm_of_a_pauser_ends_once_the_new_admin_granted_it(
    handed_over: Site, tmp_path: Path
) -> None:
    site = make_site(tmp_path, chain=handed_over.chain, clock=handed_over.clock)
    contracts = site.worker.step(site.clock.advance(10)).contracts
    assert contracts is not None
    for name, address in contracts.by_name().items():
        call = ("grantRole", role("PAUSER_ROLE"), PAUSER.address)
        send(site, address, artifact(name).calldata(*call), OTHER)
    summary = site.worker.step(site.clock.advance(301))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    site.conn.close()


def test_a_new_anchorer_whom_nobody_here_can_appoint_is_an_alarm_and_waits(
    handed_over: Site, tmp_path: Path
) -> None:
    site = make_site(tmp_path, chain=handed_over.chain, clock=handed_over.clock)
    site.worker._signers = replace(site.signers, anchorer=OTHER)
    summary = site.worker.step(site.clock.advance(10))
    assert (summary.state, summary.contracts) == (WorkerState.ALARM, None)
    assert any("ANCHORER_ROLE" in alarm for alarm in summary.alarms)
    assert SqliteStore(site.conn).open_txs(site.chain.identity().key) == []
    site.conn.close()
