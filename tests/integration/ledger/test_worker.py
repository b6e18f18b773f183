"""The worker against a chain that is away, slow, forgetful or contradicts.

On the embedded chain and on a node alike; only what is in front of them is moody.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ledger import log, record
from ledger.contracts import artifact
from ledger.errors import (
    ArtifactError,
    ChainNonsenseError,
    RecordError,
    Refusal,
)
from ledger.outbox import Purpose, SettlementRow, State
from ledger.ports import Chain
from ledger.public_leaves import seal_status
from ledger.runner import RunnerSettings
from ledger.settle import (
    AlgorithmRelease,
    Asset,
    AssetKind,
    AssetStatus,
    SettlementWay,
    asset_id,
    asset_json,
)
from ledger.sqlite_queues import queue_asset, queue_settlement
from ledger.sqlite_store import SqliteStore, Transactor
from ledger.worker import AnchorWorker, WorkerSettings, WorkerState
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import (
    START,
    Site,
    SteppedClock,
    embedded_chain,
    fixed_signers,
    make_site,
    open_database,
)
from tests.support.moody_chain import MoodyChain


@pytest.fixture
def chain(tmp_path: Path, backend: Backend) -> Iterator[MoodyChain]:
    with backend.apart():
        yield MoodyChain(backend.open(tmp_path))


@pytest.fixture
def site(tmp_path: Path, chain: MoodyChain) -> Site:
    """A site whose contracts stand and whose first anchor is made."""
    settings = WorkerSettings(
        way=SettlementWay.BATCH,
        anchor_interval_s=60,
        hold_s=10,
        runner=RunnerSettings(bump_after_s=30, fee_cap_wei=10**12),
    )
    made: Chain = chain
    site = make_site(tmp_path, chain=made, settings=settings)
    site.add_noise(3)
    assert site.worker.step(site.clock.at).backlog == 0
    return site


def states(site: Site, purpose: Purpose) -> list[str]:
    rows = site.conn.execute(
        "SELECT state FROM outbox_tx WHERE purpose = ? ORDER BY tx_id", (purpose.value,)
    )
    return [row[0] for row in rows]


def test_during_an_outage_the_backlog_grows_and_one_anchor_catches_up(
    site: Site, chain: MoodyChain
) -> None:
    chain.down = True
    for day_part in range(1, 6):
        site.add_noise(100)
        summary = site.worker.step(site.clock.advance(900))
        assert summary.state is WorkerState.CHAIN_UNAVAILABLE
        assert summary.backlog == 100 * day_part
        assert "nobody answers" in summary.alarms[0]
    chain.down = False
    summary = site.worker.step(site.clock.advance(1))
    assert (summary.state, summary.backlog, summary.sent) == (WorkerState.WORKING, 0, 1)


def test_a_site_that_starts_without_its_chain_deploys_when_it_comes(
    tmp_path: Path, chain: MoodyChain
) -> None:
    chain.down = True
    made: Chain = chain
    site = make_site(tmp_path, chain=made)
    site.add_session("s-1")
    assert site.worker.step(site.clock.at).settlements_pending == 1
    assert site.worker.bundle_chain is None
    assert site.receipt("s-1")["chain"] is None
    chain.down = False
    assert site.worker.step(site.clock.at).settlements_mined == 1


def test_a_restart_finds_the_contracts_and_sends_nothing(
    tmp_path: Path, site: Site, chain: MoodyChain
) -> None:
    first = site.worker.step(site.clock.at).contracts
    sent = len(chain.seen)
    again = make_site(tmp_path, chain=site.chain, clock=site.clock)
    assert again.worker.step(site.clock.at).contracts == first
    assert len(chain.seen) == sent


def test_another_chain_without_our_contracts_gets_its_own(
    tmp_path: Path, site: Site
) -> None:
    before = site.worker.step(site.clock.at).contracts
    other = tmp_path / "other"
    other.mkdir()
    chain = embedded_chain(other, SteppedClock(at=START.replace(year=2025)))
    worker = AnchorWorker(
        chain=chain, transact=Transactor(site.conn), signers=site.signers
    )
    summary = worker.step(site.clock.advance(60))
    assert (summary.state, summary.backlog) == (WorkerState.WORKING, 0)
    assert before is not None
    site.worker.step(site.clock.advance(60))


def test_vanished_contracts_are_an_alarm_and_not_a_second_deployment(
    tmp_path: Path, site: Site, chain: MoodyChain
) -> None:
    site.conn.execute("UPDATE deployment SET address = ?", ("0x" + "99" * 20,))
    again = make_site(tmp_path, chain=site.chain, clock=site.clock)
    sent = len(chain.seen)
    summary = again.worker.step(site.clock.advance(60))
    assert summary.state is WorkerState.ALARM
    assert "wrong chain" in summary.alarms[0]
    assert len(chain.seen) == sent


def test_a_stuck_transaction_is_replaced_at_the_same_nonce_and_mined_once(
    site: Site, chain: MoodyChain
) -> None:
    chain.holding = True
    site.add_noise(1)
    assert site.worker.step(site.clock.advance(60)).backlog == 1
    site.worker.step(site.clock.advance(10))
    for _ in range(3):
        site.worker.step(site.clock.advance(31))
    (tx,) = SqliteStore(site.conn).open_txs(chain.identity().key)
    assert tx.state is State.SENT
    assert len(tx.attempts) == 4
    for old, new in zip(tx.attempts, tx.attempts[1:], strict=False):
        assert new.fees.max_fee_wei * 1000 >= old.fees.max_fee_wei * 1125
    chain.holding = False
    chain.mine()
    summary = site.worker.step(site.clock.advance(1))
    assert (summary.backlog, states(site, Purpose.ANCHOR)) == (0, ["final", "final"])


def test_fees_stop_at_the_cap_with_an_alarm(site: Site, chain: MoodyChain) -> None:
    chain.holding = True
    chain.fee_wei = 9 * 10**11
    site.add_noise(1)
    site.worker.step(site.clock.advance(60))
    summary = site.worker.step(site.clock.advance(31))
    assert summary.state is WorkerState.ALARM
    assert "fee cap" in summary.alarms[0]
    chain.fee_wei = 2 * 10**12
    site.add_session("s-1")
    assert any("exceed the cap" in a for a in site.worker.step(site.clock.at).alarms)


def test_a_reorganised_anchor_is_sent_again_with_the_same_bytes(
    site: Site, chain: MoodyChain
) -> None:
    chain.final_depth = 3
    site.add_noise(1)
    summary = site.worker.step(site.clock.advance(60))
    assert summary.anchored is not None
    assert not summary.anchored.is_final
    chain.hidden.add(summary.anchored.tx_hash)
    sent_before = chain.seen[-1]
    chain.holding = True
    dropped = site.worker.step(site.clock.advance(1))
    assert (dropped.backlog, dropped.reorganised) == (1, 1)
    assert chain.seen[-1] == sent_before
    chain.holding = False
    healed = site.worker.step(site.clock.advance(1))
    assert healed.backlog == 0
    chain.final_depth = 0
    final = site.worker.step(site.clock.advance(1))
    assert final.anchored == replace(healed.anchored, is_final=True)  # type: ignore[type-var]  # set above


def test_a_nonce_used_elsewhere_is_noticed_and_the_work_done_again(
    site: Site, chain: MoodyChain
) -> None:
    chain.holding = True
    site.add_session("s-1")
    site.worker.step(site.clock.advance(60))
    chain.pool.clear()
    for signer in (site.signers.anchorer, site.signers.settler):
        raw, _ = signer.sign(
            chain_id=chain.identity().chain_id,
            nonce=chain.nonce(signer.address),
            to=signer.address,
            calldata=b"",
            gas_limit=30_000,
            fees=chain.fees(),
        )
        chain.chain.send_raw(raw)
    chain.holding = False
    summary = site.worker.step(site.clock.advance(1))
    assert summary.failed == 2
    assert any("used elsewhere" in alarm for alarm in summary.alarms)
    summary = site.worker.step(site.clock.advance(61))
    assert (summary.backlog, summary.settlements_mined) == (0, 1)


def test_a_refused_broadcast_is_an_alarm_and_tried_again(
    site: Site, chain: MoodyChain
) -> None:
    chain.refusal = Refusal.NO_FUNDS
    site.add_noise(1)
    summary = site.worker.step(site.clock.advance(60))
    assert any("insufficient funds" in alarm for alarm in summary.alarms)
    chain.refusal = None
    assert site.worker.step(site.clock.advance(1)).backlog == 0


def test_an_underpriced_broadcast_is_signed_again_with_more(
    site: Site, chain: MoodyChain
) -> None:
    chain.refusal = Refusal.UNDERPRICED
    site.add_noise(1)
    site.worker.step(site.clock.advance(60))
    chain.refusal = None
    assert site.worker.step(site.clock.advance(1)).backlog == 0
    assert states(site, Purpose.ANCHOR) == ["final", "final"]


def test_a_head_on_chain_that_is_not_ours_stops_anchoring(
    tmp_path: Path, site: Site
) -> None:
    """The database was replaced by one with another history."""
    site.add_noise(1)
    rewritten = open_database(tmp_path / "rewritten.db")
    for table in ("deployment", "outbox_tx", "outbox_attempt"):
        rows = site.conn.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  # test
        marks = ", ".join("?" * len(rows[0]))
        rewritten.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  # test
    forged = replace_connection(site, rewritten)
    forged.add_noise(9)
    summary = forged.worker.step(site.clock.advance(60))
    assert summary.state is WorkerState.ALARM
    assert "not a head of this log" in summary.alarms[0]


def replace_connection(site: Site, conn: Any) -> Site:
    worker = AnchorWorker(
        chain=site.chain,
        transact=Transactor(conn),
        signers=site.signers,
        settings=WorkerSettings(way=SettlementWay.BATCH),
    )
    return replace(site, conn=conn, worker=worker)


def test_an_older_backup_of_the_database_goes_on_without_settling_twice(
    tmp_path: Path, site: Site
) -> None:
    site.add_session("s-1")
    backup = open_database(tmp_path / "backup.db")
    site.conn.backup(backup)
    assert site.worker.step(site.clock.advance(60)).settlements_mined == 1
    restored = replace_connection(site, backup)
    restored.worker.step(site.clock.advance(60))
    summary = restored.worker.step(site.clock.advance(1000))
    assert (summary.backlog, summary.settlements_mined) == (
        summary.leaf_count - 3,
        1,
    )
    restored.add_noise(1)
    assert restored.worker.step(site.clock.advance(1000)).backlog == 0


def row(number: int, energy_milliwh: int = 5) -> SettlementRow:
    return SettlementRow(
        session_key=bytes([number]) * 32,
        start_leaf_index=number,
        leaf_hash=os.urandom(32),
        energy_milliwh=energy_milliwh,
        amount_minor=7,
        currency="EUR",
    )


def test_one_conflicting_session_is_set_aside_and_the_rest_settles(site: Site) -> None:
    queue_settlement(site.conn, row(1))
    assert site.worker.step(site.clock.at).settlements_mined == 1
    site.conn.execute("DELETE FROM settlement_queue")
    for number in (1, 2, 3):
        queue_settlement(site.conn, row(number, energy_milliwh=6))
    summary = site.worker.step(site.clock.at)
    assert (summary.settlements_mined, summary.settlements_refused) == (2, 1)
    assert any("SettlementConflict" in alarm for alarm in summary.alarms)
    assert site.worker.step(site.clock.advance(1)).alarms == ()


def test_one_bad_asset_is_set_aside_and_the_rest_is_registered(site: Site) -> None:
    for name, is_public in (("a", True), ("b", False), ("c", True)):
        asset = Asset(
            asset_id=asset_id("site", AssetKind.CHARGE_POINT, name),
            kind=AssetKind.CHARGE_POINT,
            status=AssetStatus.IN_SERVICE,
            is_public=is_public,
        )
        queue_asset(site.conn, asset_json(asset))
    summary = site.worker.step(site.clock.at)
    assert any("AssetPrivateLacksCommitment" in alarm for alarm in summary.alarms)
    done = site.conn.execute(
        "SELECT count(*) FROM asset_queue JOIN outbox_tx USING (tx_id)"
        " WHERE state = 'final'"
    ).fetchone()
    assert done == (2,)


def statuses_on_chain(site: Site, anchor: str) -> list[tuple[int, str, bytes]]:
    """Size, hash and status of every anchor that carried any, in order."""
    found = []
    binding = artifact("StatusAnchor")
    rows = site.conn.execute(
        "SELECT tx_hash FROM anchored_head ORDER BY size"
    ).fetchall()
    for (tx_hash,) in rows:
        receipt = site.worker._chain.receipt(tx_hash)
        assert receipt is not None
        heads = binding.events("HeadAnchored", anchor, receipt.logs)
        told = binding.events("StatusPublished", anchor, receipt.logs)
        found += [
            (head["size"], head["statusHash"].hex(), one["packedStatus"])
            for head, one in zip(heads, told, strict=bool(told))
        ]
    return found


def status_of(number: int) -> bytes:
    return number.to_bytes(4, "big") + b"\1" * 9


def test_status_travels_with_the_head_that_covers_its_leaf(
    tmp_path: Path, chain: MoodyChain
) -> None:
    site = make_site(tmp_path, chain=cast("Chain", chain))
    packed = status_of(1) + status_of(2)
    index = seal_status(site.conn, packed, site.clock.at)
    first = site.worker.step(site.clock.at)
    assert (first.alarms, first.contracts is None) == ((), False)
    assert first.contracts is not None
    anchor = first.contracts.status_anchor
    leaf = SqliteStore(site.conn).leaf(index)
    assert leaf is not None
    body = record.parse(leaf.record or b"").body
    (told,) = statuses_on_chain(site, anchor)
    assert told == (index + 1, body["status_sha256"], packed)
    site.add_noise(1)
    assert site.worker.step(site.clock.advance(900)).backlog == 0
    assert len(statuses_on_chain(site, anchor)) == 1, "no change, no status"


@pytest.mark.parametrize("outage_steps", [1, 96])
def test_after_an_outage_the_status_of_all_timesteps_goes_in_one_transaction(
    tmp_path: Path, chain: MoodyChain, outage_steps: int
) -> None:
    site = make_site(tmp_path, chain=cast("Chain", chain))
    site.add_noise(1)
    first = site.worker.step(site.clock.at)
    assert first.contracts is not None
    anchor = first.contracts.status_anchor
    chain.down = True
    pieces = []
    for number in range(outage_steps):
        pieces.append(status_of(number) + status_of(number + 1))
        seal_status(site.conn, pieces[-1], site.clock.advance(900))
        summary = site.worker.step(site.clock.at)
        assert summary.state is WorkerState.CHAIN_UNAVAILABLE
    chain.down = False
    before = chain.seen[:]
    last = site.worker.step(site.clock.advance(900))
    assert (last.backlog, last.alarms) == (0, ())
    assert len(chain.seen) == len(before) + 1
    (told,) = statuses_on_chain(site, anchor)
    whole = b"".join(pieces)
    assert told == (last.leaf_count, hashlib.sha256(whole).hexdigest(), whole)


def test_status_too_long_for_a_transaction_is_folded_to_the_newest_of_each_asset(
    tmp_path: Path, chain: MoodyChain
) -> None:
    site = make_site(tmp_path, chain=cast("Chain", chain))
    site.add_noise(1)
    first = site.worker.step(site.clock.at)
    assert first.contracts is not None
    chain.down = True
    packed = b""
    for step in range(60):
        packed = b"".join(
            number.to_bytes(4, "big") + bytes([step]) * 9 for number in range(100)
        )
        seal_status(site.conn, packed, site.clock.advance(900))
    chain.down = False
    last = site.worker.step(site.clock.at)
    assert (last.backlog, last.alarms) == (0, ())
    (told,) = statuses_on_chain(site, first.contracts.status_anchor)
    assert told[2] == packed, "as each asset was last"
    assert told[1] == hashlib.sha256(packed).hexdigest()


def test_what_is_no_packed_status_is_never_sealed(site: Site) -> None:
    for packed in (b"", b"\1" * 25):
        with pytest.raises(RecordError):
            seal_status(site.conn, packed, site.clock.at)


def test_another_process_stands_by_until_the_lease_expires(site: Site) -> None:
    site.worker.step(site.clock.at)
    other = AnchorWorker(
        chain=site.chain,
        transact=Transactor(site.conn),
        signers=fixed_signers(),
        holder="other",
    )
    assert other.step(site.clock.advance(1)).state is WorkerState.STANDBY
    assert other.step(site.clock.advance(121)).state is WorkerState.WORKING
    assert site.worker.step(site.clock.advance(1)).state is WorkerState.STANDBY


def test_a_release_is_published_once(site: Site) -> None:
    release = AlgorithmRelease(
        algorithm_id=b"a" * 32,
        version="1.0.0",
        wheel_sha256=b"w" * 32,
        source_sha256=b"s" * 32,
        environment_sha256=b"e" * 32,
        active_from=START,
        uri="https://example.invalid/wheel",
    )
    for _ in range(2):
        site.worker.publish(release, site.clock.at)
        site.worker.step(site.clock.advance(1))
    assert states(site, Purpose.PUBLISH) == ["final"]


def test_publishing_before_the_contracts_stand_is_refused(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    with pytest.raises(ArtifactError, match="not deployed"):
        site.worker.publish(None, site.clock.at)  # type: ignore[arg-type]  # never read


def test_nonsense_from_the_node_is_an_alarm(site: Site, chain: MoodyChain) -> None:
    def nonsense() -> int:
        raise ChainNonsenseError("not a quantity: 'banana'")

    chain.final_block = nonsense  # type: ignore[method-assign]  # the moody part
    summary = site.worker.step(site.clock.advance(60))
    assert (summary.state, summary.alarms) == (
        WorkerState.ALARM,
        ("not a quantity: 'banana'",),
    )


def test_a_flush_anchors_before_the_interval_is_over(site: Site) -> None:
    site.add_noise(1)
    assert site.worker.step(site.clock.advance(1)).backlog == 1
    assert site.worker.step(site.clock.advance(1), flush=True).backlog == 0
    assert log.head(SqliteStore(site.conn)).size == 4
