"""The worker dies at every boundary, starts again, loses nothing, doubles nothing.

Its database is copied for each death. So is the file of an embedded chain; a node is
taken back to where it was.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ledger import log
from ledger.contracts import artifact
from ledger.grants import Contracts
from ledger.ports import Chain
from ledger.settle import Asset, AssetKind, AssetStatus, asset_id, asset_json
from ledger.sqlite_queues import queue_asset
from ledger.sqlite_store import SqliteStore, Transactor
from ledger.worker import StepSummary, WorkerState
from tests.support.ledger_backends import EMBEDDED, Backend
from tests.support.ledger_site import (
    Site,
    SteppedClock,
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

    def __init__(self, chain: Chain, fuse: Fuse) -> None:
        self._chain = chain
        self._fuse = fuse

    def send_raw(self, raw: bytes) -> None:
        self._fuse.run(lambda: self._chain.send_raw(raw))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)


def fused_site(folder: Path, clock: SteppedClock, fuse: Fuse, backend: Backend) -> Site:
    conn = open_database(folder / "gateway.db")
    plain = Transactor(conn)

    def transact(work: Callable[[SqliteStore], T]) -> T:
        return fuse.run(lambda: plain(work))

    chain: Chain = FusedChain(backend.open(folder, clock), fuse)
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
    site.chain.close()  # type: ignore[attr-defined]  # both kinds can be closed


@dataclass(frozen=True)
class Prepared:
    """A site that nobody changes: each death gets a copy of its own."""

    folder: Path
    backend: Backend

    def boundaries(self, folder: Path) -> int:
        """How many there are in the next step."""
        shutil.copytree(self.folder, folder)
        fuse = Fuse(None, after=False)
        clock = SteppedClock()
        clock.advance(3600)
        with self.backend.apart():
            site = fused_site(folder, clock, fuse, self.backend)
            site.worker.step(clock.at)
            close(site)
        return fuse.count

    def crash_then_recover(self, folder: Path, blow_at: int, *, after: bool) -> None:
        """Die at a boundary, begin again, and look at everything."""
        shutil.copytree(self.folder, folder)
        with self.backend.apart():
            crash_once_then_recover(folder, blow_at, self.backend, after=after)


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, backend: Backend
) -> Iterator[Prepared]:
    """A site with contracts and work waiting: leaves, sessions, credits, an asset."""
    folder = tmp_path_factory.mktemp("prepared")
    with backend.apart():
        site = make_site(folder, chain=backend.open(folder))
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
        yield Prepared(folder, backend)


def crash_once_then_recover(
    folder: Path, blow_at: int, backend: Backend, *, after: bool
) -> None:
    clock = SteppedClock()
    clock.advance(3600)
    site = fused_site(folder, clock, Fuse(blow_at, after=after), backend)
    with pytest.raises(CrashError):
        site.worker.step(clock.at)
    close(site)
    again = make_site(folder, chain=backend.open(folder, clock), clock=clock)
    again.worker.step(clock.advance(1))
    summary = again.worker.step(clock.advance(1000))
    assert_nothing_lost_nothing_doubled(again, summary)
    close(again)


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


def test_a_crash_during_the_first_deployment_is_healed_too(
    backend: Backend, tmp_path: Path
) -> None:
    """The first of these tests: later ones find a node with contracts of this key."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    site = make_site(fresh, chain=backend.open(fresh))
    site.add_noise(3)
    close(site)
    begun = Prepared(fresh, backend)
    count = begun.boundaries(tmp_path / "dry")
    assert count > 60
    every = 11 if backend.name == EMBEDDED else 37
    for blow_at in range(3, count + 1, every):
        folder = tmp_path / f"crash-{blow_at}"
        begun.crash_then_recover(folder, blow_at, after=blow_at % 2 == 0)


@pytest.mark.parametrize(
    ("after", "every"), [(False, 7), (True, 1)], ids=["before", "after"]
)
def test_a_crash_at_any_boundary_of_a_step_is_healed_by_the_next(
    prepared: Prepared, tmp_path: Path, after: bool, every: int
) -> None:
    """Before a boundary is after the one before it, unless something else is kept.

    The boundaries are those of the worker, not of a chain: on a node it dies at every
    fifth of them.
    """
    count = prepared.boundaries(tmp_path / "dry")
    assert count > 20
    step = every if prepared.backend.name == EMBEDDED else 5 * every
    for blow_at in range(1, count + 1, step):
        folder = tmp_path / f"crash-{blow_at}"
        prepared.crash_then_recover(folder, blow_at, after=after)
