"""Where assets are, as the registry on the chain says it; and where nobody said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import deploy
from ledger.contracts import Artifact, artifact, recognized
from ledger.embedded import EmbeddedChain
from ledger.errors import ChainUnavailableError
from ledger.settle import (
    NO_POSITION,
    Asset,
    AssetKind,
    AssetStatus,
    SettlementWay,
    asset_id,
    asset_json,
)
from ledger.sqlite_queues import queue_asset
from ledger.worker import WorkerState
from tests.support.ledger_site import Site, SteppedClock, embedded_chain, make_site

HERE = (525_361_000, 133_987_000)


@pytest.fixture(params=[1, 2])
def release(request: pytest.FixtureRequest) -> int:
    """Which release of the registry a site deploys."""
    found: int = request.param
    return found


@pytest.fixture
def site(
    tmp_path: Path, release: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    def chosen(name: str) -> Artifact:
        return artifact(name, release) if name == "AssetRegistry" else artifact(name)

    with monkeypatch.context() as patch:
        patch.setattr(deploy, "artifact", chosen)
        site = make_site(tmp_path)
        assert site.worker.step(site.clock.at).state is WorkerState.WORKING
    yield site
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def registered(site: Site, name: str) -> tuple[Any, ...]:
    registry = artifact("AssetRegistry")
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    identifier = asset_id("site", AssetKind.CHARGE_POINT, name)
    call = registry.calldata("asset", identifier)
    (found,) = registry.result("asset", site.chain.call(contracts.asset_registry, call))
    members: tuple[Any, ...] = found
    return members


def queue(
    site: Site, name: str, *, is_public: bool, place: tuple[int, int] | None
) -> None:
    latitude_e7, longitude_e7 = place or (None, None)
    asset = Asset(
        asset_id=asset_id("site", AssetKind.CHARGE_POINT, name),
        kind=AssetKind.CHARGE_POINT,
        status=AssetStatus.IN_SERVICE,
        is_public=is_public,
        latitude_e7=latitude_e7,
        longitude_e7=longitude_e7,
        commitment=None if is_public else b"\7" * 32,
    )
    queue_asset(site.conn, asset_json(asset))


def test_a_place_that_nobody_knows_is_told_from_the_gulf_of_guinea(
    site: Site, release: int
) -> None:
    queue(site, "here", is_public=True, place=HERE)
    queue(site, "somewhere", is_public=True, place=None)
    queue(site, "buoy", is_public=True, place=(0, 0))
    queue(site, "home", is_public=False, place=None)
    assert site.worker.step(site.clock.advance(1)).alarms == ()
    places = [registered(site, n)[4:6] for n in ("here", "somewhere", "buoy", "home")]
    contracts = site.worker.step(site.clock.advance(1)).contracts
    assert contracts is not None
    found = recognized("AssetRegistry", site.chain.code(contracts.asset_registry))
    assert found is not None
    assert found.release == release
    nowhere = (NO_POSITION, NO_POSITION) if release > 1 else (0, 0)
    assert places == [HERE, nowhere, (0, 0), (0, 0)]


def test_a_site_that_was_queued_before_the_mark_registers_as_it_was_queued(
    site: Site,
) -> None:
    queue(site, "old", is_public=True, place=(0, 0))
    assert site.worker.step(site.clock.advance(1)).alarms == ()
    assert registered(site, "old")[4:6] == (0, 0)


class Stuttering:
    """A chain that does not answer one of the questions for the code of a contract."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self.questions_until_silence = 0

    def code(self, address: str) -> bytes:
        self.questions_until_silence -= 1
        if self.questions_until_silence == 0:
            raise ChainUnavailableError("not now")
        return self._chain.code(address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


def test_what_contracts_can_is_asked_again_after_a_chain_did_not_answer(
    tmp_path: Path,
) -> None:
    """Else sessions would settle one by one, in public, until the next restart."""
    clock = SteppedClock()
    chain = Stuttering(embedded_chain(tmp_path, clock))
    contract = artifact("Settlement")
    silences = 0
    for question in range(9):
        site = make_site(
            tmp_path,
            chain=chain,
            clock=clock,
            way=SettlementWay.INVOICES,
        )
        site.add_session(f"s-{question}")
        chain.questions_until_silence = question
        first = site.worker.step(clock.advance(1000))
        silences += first.state is WorkerState.CHAIN_UNAVAILABLE
        summary = site.worker.step(clock.advance(1000))
        assert (summary.state, summary.settlements_pending) == (WorkerState.WORKING, 0)
        assert summary.contracts is not None
        call = contract.calldata("settledCount")
        alone = chain.call(summary.contracts.settlement, call)
        assert contract.result("settledCount", alone) == (0,), question
        site.conn.close()
    assert silences >= 2, "the silence fell where it was meant to"
    chain.close()
