"""Deployments and receipts of an earlier release of the contracts stay good."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import deploy, record
from ledger.contracts import Artifact, artifact, recognized
from ledger.sqlite_store import SqliteStore
from ledger.verify import Verdict, verify
from ledger.worker import WorkerState
from tests.support.ledger_site import Site, make_site


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose token, and with it its Settlement, are those of release 1."""

    def earlier(name: str, release: int = 2) -> Artifact:
        return artifact(name, 1 if name == "FlexToken" else release)

    with monkeypatch.context() as patch:
        patch.setattr(deploy, "artifact", earlier)
        site = make_site(tmp_path)
        site.add_session("s-1")
        assert site.worker.step(site.clock.at).state is WorkerState.WORKING
    yield site
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def releases(site: Site) -> dict[str, int]:
    found = {}
    deployed = SqliteStore(site.conn).deployed(site.chain.identity().key)
    for name, one in deployed.items():
        known = recognized(name, site.chain.code(one.address))
        assert known is not None
        found[name] = known.release
    return found


def verdicts(site: Site, session_id: str, chain: Path) -> set[Verdict]:
    receipt = json.dumps(site.receipt(session_id)).encode()
    checks = verify(receipt, chain_path=chain).checks
    assert "settlement-on-chain" in {check.name for check in checks}
    return {check.verdict for check in checks if check.is_claimed}


GOOD = {Verdict.TRUE, Verdict.SELF_WITNESSED}


def test_receipts_of_an_earlier_release_stay_good_and_the_site_goes_on(
    old: Site, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.db"
    assert releases(old) == {
        "FlexToken": 1,
        "AssetRegistry": 2,
        "StatusAnchor": 2,
        "Settlement": 1,
        "AlgorithmRegistry": 2,
    }
    assert verdicts(old, "s-1", chain) == GOOD
    old.conn.close()
    old.chain.close()  # type: ignore[attr-defined]  # embedded
    site = make_site(tmp_path)
    site.add_session("s-2")
    site.add_credit("s-2", 5)
    summary = site.worker.step(site.clock.advance(1000))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    assert (summary.settlements_pending, summary.credits_mined) == (0, 1)
    assert releases(site)["Settlement"] == 1, "nothing is deployed anew"
    assert verdicts(site, "s-2", chain) == GOOD
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_a_deployment_that_an_earlier_release_began_is_finished_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = deploy.remember
    crashed = "after the token"

    def crash(*arguments: object) -> None:
        remember(*arguments)  # type: ignore[arg-type]  # as it was called
        raise RuntimeError(crashed)

    with monkeypatch.context() as patch:
        patch.setattr(deploy, "remember", crash)
        patch.setattr(deploy, "artifact", lambda name: artifact(name, 1))
        site = make_site(tmp_path)
        with pytest.raises(RuntimeError, match=crashed):
            site.worker.step(site.clock.at)
    assert releases(site) == {"FlexToken": 1}
    site.add_session("s-1")
    summary = site.worker.step(site.clock.advance(1))
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    assert releases(site)["Settlement"] == 1
    assert verdicts(site, "s-1", tmp_path / "chain.db") == GOOD
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_a_fresh_deployment_is_of_this_release_and_its_minter_is_bound(
    tmp_path: Path,
) -> None:
    site = make_site(tmp_path)
    site.add_session("s-1")
    site.worker.step(site.clock.at)
    assert set(releases(site).values()) == {2}
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    token, settlement = artifact("FlexToken"), artifact("Settlement")
    data = site.chain.call(contracts.flex_token, token.calldata("minter"))
    assert token.result("minter", data) == (contracts.settlement,)
    call = settlement.calldata("statusAnchor")
    data = site.chain.call(contracts.settlement, call)
    assert settlement.result("statusAnchor", data) == (contracts.status_anchor,)
    call = settlement.calldata("sessionKeyOf", b"\7" * 32, 258)
    data = site.chain.call(contracts.settlement, call)
    key = record.session_key(b"\7" * 32, 258)
    assert settlement.result("sessionKeyOf", data) == (key,)
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded
