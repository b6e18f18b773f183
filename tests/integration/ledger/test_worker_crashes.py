"""The worker dies at every boundary, starts again, loses nothing, doubles nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ledger import log
from ledger.contracts import artifact
from ledger.embedded import EmbeddedChain
from ledger.grants import Contracts
from ledger.ports import Chain
from ledger.settle import Asset, AssetKind, AssetStatus, asset_id, asset_json
from ledger.sqlite_queues import queue_asset
from ledger.sqlite_store import SqliteStore, Transactor
from ledger.worker import StepSummary, WorkerState
from tests.support.ledger_site import (
    Site,
    SteppedClock,
    embedded_chain,
    make_site,
    open_database,
)

T = TypeVar("T")


class CrashError(BaseException):
    """The process is gone; no handler may catch it."""


class Fuse:
    """Counts boundaries and blows at one of them."""

    def __init__(self, blow_at: int | None, *, after: bool) -> None:
        self.count = 0
        self.blow_at = blow_at
        self.after = after

    def run(self, act: Callable[[], T]) -> T:
        self.count += 1
        is_it = self.count == self.blow_at
        if is_it and not self.after:
            raise CrashError
        result = act()
        if is_it:
            raise CrashError
        return result


class FusedChain:
    """A chain whose broadcasts are boundaries."""

    def __init__(self, chain: EmbeddedChain, fuse: Fuse) -> None:
        self._chain = chain
        self._fuse = fuse

    def send_raw(self, raw: bytes) -> None:
        self._fuse.run(lambda: self._chain.send_raw(raw))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


def fused_site(folder: Path, clock: SteppedClock, fuse: Fuse) -> Site:
    conn = open_database(folder / "gateway.db")
    plain = Transactor(conn)

    def transact(work: Callable[[SqliteStore], T]) -> T:
        return fuse.run(lambda: plain(work))

    chain: Chain = FusedChain(embedded_chain(folder, clock), fuse)
    site = make_site(folder, chain=chain, transact=transact, clock=clock)
    conn.close()
    site.conn.close()
    site.conn = open_database(folder / "gateway.db")
    rebound = Transactor(site.conn)

    def work_on_rebound(work: Callable[[SqliteStore], T]) -> T:
        return fuse.run(lambda: rebound(work))

    site.worker._transact = work_on_rebound
    site.worker._runner._transact = work_on_rebound
    return site


def close(site: Site) -> None:
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with contracts and work waiting: leaves, sessions, credits, an asset."""
    folder = tmp_path_factory.mktemp("prepared")
    site = make_site(folder)
    site.add_noise(3)
    site.worker.step(site.clock.at)
    site.add_session("s-1")
    site.add_session("s-2")
    site.add_credit("s-1", 100)
    site.add_credit("s-1", 50)
    asset = Asset(
        asset_id=asset_id("site", AssetKind.CABINET, "c-1"),
        kind=AssetKind.CABINET,
        status=AssetStatus.IN_SERVICE,
        is_public=True,
    )
    queue_asset(site.conn, asset_json(asset))
    close(site)
    return folder


def crash_once_then_recover(folder: Path, blow_at: int, *, after: bool) -> StepSummary:
    clock = SteppedClock()
    clock.advance(3600)
    site = fused_site(folder, clock, Fuse(blow_at, after=after))
    with pytest.raises(CrashError):
        site.worker.step(clock.at)
    close(site)
    again = make_site(folder, clock=clock)
    again.worker.step(clock.advance(1))
    summary = again.worker.step(clock.advance(1000))
    assert_nothing_lost_nothing_doubled(again, summary)
    close(again)
    return summary


def assert_nothing_lost_nothing_doubled(site: Site, summary: StepSummary) -> None:
    assert (summary.state, summary.alarms) == (WorkerState.WORKING, ())
    assert summary.backlog == 0
    contracts = summary.contracts
    assert contracts is not None
    assert head_of(site.chain, contracts) == (
        summary.leaf_count,
        log.head(SqliteStore(site.conn)).root,
    )
    rows = site.conn.execute(
        "SELECT sender, nonce, state FROM outbox_tx ORDER BY sender, nonce"
    ).fetchall()
    assert {row[2] for row in rows} == {"final"}
    for sender in {row[0] for row in rows}:
        nonces = [row[1] for row in rows if row[0] == sender]
        assert nonces == list(range(site.chain.nonce(sender)))
    settlement = artifact("Settlement")
    data = site.chain.call(contracts.settlement, settlement.calldata("settledCount"))
    queued = site.conn.execute("SELECT count(*) FROM settlement_queue").fetchone()[0]
    assert settlement.result("settledCount", data) == (queued,)
    assert (summary.settlements_mined, summary.settlements_pending) == (queued, 0)
    credited = {
        bytes(row[0]): row[1]
        for row in site.conn.execute(
            "SELECT session_key, sum(amount_minor) FROM credit_queue GROUP BY 1"
        )
    }
    for key, amount_minor in credited.items():
        data = site.chain.call(
            contracts.settlement, settlement.calldata("settledAmounts", key)
        )
        assert settlement.result("settledAmounts", data)[1] == amount_minor
    n_credit = site.conn.execute("SELECT count(*) FROM credit_queue").fetchone()[0]
    assert (summary.credits_mined, summary.credits_pending) == (n_credit, 0)
    registry = artifact("AssetRegistry")
    data = site.chain.call(contracts.asset_registry, registry.calldata("assetCount"))
    assets = site.conn.execute("SELECT count(*) FROM asset_queue").fetchone()[0]
    assert registry.result("assetCount", data) == (assets,)


def head_of(chain: Chain, contracts: Contracts) -> tuple[int, bytes]:
    anchor = artifact("StatusAnchor")
    data = chain.call(contracts.status_anchor, anchor.calldata("head"))
    size, root, _at = anchor.result("head", data)
    return size, root


def boundaries_of(folder: Path) -> int:
    fuse = Fuse(None, after=False)
    clock = SteppedClock()
    clock.advance(3600)
    site = fused_site(folder, clock, fuse)
    site.worker.step(clock.at)
    close(site)
    return fuse.count


@pytest.mark.parametrize(
    ("after", "every"), [(False, 7), (True, 1)], ids=["before", "after"]
)
def test_a_crash_at_any_boundary_of_a_step_is_healed_by_the_next(
    prepared: Path, tmp_path: Path, after: bool, every: int
) -> None:
    """Before a boundary is after the one before it, unless something else is kept."""
    count = boundaries_of(shutil.copytree(prepared, tmp_path / "dry"))
    assert count > 20
    for blow_at in range(1, count + 1, every):
        folder = shutil.copytree(prepared, tmp_path / f"crash-{blow_at}")
        crash_once_then_recover(folder, blow_at, after=after)


def test_a_crash_during_the_first_deployment_is_healed_too(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    site = make_site(fresh)
    site.add_noise(3)
    close(site)
    count = boundaries_of(shutil.copytree(fresh, tmp_path / "dry"))
    assert count > 60
    for blow_at in range(3, count + 1, 11):
        folder = shutil.copytree(fresh, tmp_path / f"crash-{blow_at}")
        crash_once_then_recover(folder, blow_at, after=blow_at % 2 == 0)
