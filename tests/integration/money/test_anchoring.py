"""Bills reach the chain, receipts verify, and trouble with the chain stops nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.bus import HeadAnchored, SessionSettled
from gateway.config import Config, LedgerBackend, LedgerConfig, StoreConfig
from gateway.domain.ids import SessionId
from gateway.domain.topology import Site
from gateway.errors import RequestError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from gateway.services.asset_register import register_assets
from gateway.services.receipts import Receipts
from ledger.settle import AssetKind
from ledger.verify import Verdict, verify
from ledger.verify_cabinet import check_history
from tests.support.money import Till, open_till

DOCUMENT = {
    "cabinet": [{"id": "A", "limit_a": [63, 63, 63]}],
    "pv": [{"id": "roof", "cabinet": "A", "peak_w": 5000}],
    "station": [
        {
            "id": "CP1",
            "cabinet": "A",
            "latitude_deg": 52.5,
            "longitude_deg": 13.4,
            "evse": [{"id": 1, "max_a": 32, "public": True}],
        }
    ],
}


def site() -> Site:
    return Config.from_dict(DOCUMENT, Path()).site


@asynccontextmanager
async def anchoring_of(
    till: Till, path: Path, backend: LedgerBackend = LedgerBackend.EMBEDDED
) -> AsyncIterator[Anchoring]:
    anchoring = Anchoring(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        settings=AnchoringSettings(
            ledger=LedgerConfig(backend=backend), store=StoreConfig(path=path)
        ),
        site=site,
    )
    try:
        yield anchoring
    finally:
        await anchoring.close()


async def test_a_settled_session_reaches_the_chain_and_its_receipt_verifies(
    tmp_path: Path,
) -> None:
    async with (
        open_till(tmp_path) as till,
        anchoring_of(till, tmp_path) as anchoring,
    ):
        session_id = await till.session()
        await till.settlement.settle(session_id)
        with till.bus.subscribe("test") as heard:
            state = await anchoring.flush()
            notices = heard.drain()
        assert state.state == "working", state
        assert (state.backlog, state.settlements_on_chain) == (0, 1)
        (head,) = [n for n in notices if isinstance(n, HeadAnchored)]
        assert head.size == state.anchored_size
        settled = [n for n in notices if isinstance(n, SessionSettled)]
        assert [(n.session_id, n.status) for n in settled] == [(session_id, "on_chain")]
        receipts = Receipts(database=till.store.writer.path, anchoring=anchoring)
        document = json.dumps(await receipts.receipt(session_id)).encode()
        report = verify(document, chain_path=tmp_path / "chain.db")
        assert report.verdict is Verdict.SELF_WITNESSED, report.to_json()
        forged = document.replace(b'"amount_minor": 426', b'"amount_minor": 425')
        assert forged != document
        assert verify(forged).verdict is Verdict.FALSE
        leaf = await receipts.leaf(0)
        assert leaf["kind"] == "session_start"
        history = check_history(await receipts.cabinet("A", first=0))
        assert history.root.hex() == state.anchored_root
        assert (history.steps, history.erased) == (1, 0)
        counted = [leaf["kind"] for leaf in json.loads(document)["leaves"]]
        assert history.members == counted.count("meter")
        with pytest.raises(RequestError) as caught:
            await receipts.leaf(10**6)
        assert caught.value.status == 404


async def test_assets_are_registered_once_and_status_only_when_it_changed(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        for _restart in range(2):
            async with anchoring_of(till, tmp_path) as anchoring:
                await anchoring.flush()
        queued = await till.store.writer.run(
            lambda conn: conn.execute(
                "SELECT count(*), count(tx_id), count(refused) FROM asset_queue"
            ).fetchone()
        )
        assert queued == (3, 3, 0)


async def test_a_public_asset_that_was_taken_without_a_position_is_never_shown(
    tmp_path: Path,
) -> None:
    stated = replace(site(), pvs=tuple(replace(pv, public=True) for pv in site().pvs))
    async with open_till(tmp_path) as till:
        await till.store.writer.run(
            lambda conn: register_assets(
                conn, site=stated, tariff_of=lambda _name: None, now=till.clock.now()
            )
        )
        queued = await till.store.writer.run(
            lambda conn: conn.execute("SELECT asset FROM asset_queue").fetchall()
        )
    places = {
        (one["kind"], one["is_public"], one["latitude_e7"], one["longitude_e7"])
        for one in (json.loads(row[0]) for row in queued)
    }
    assert places == {
        (AssetKind.CABINET, False, None, None),
        (AssetKind.PV_INVERTER, False, None, None),
        (AssetKind.CHARGE_POINT, True, 525_000_000, 134_000_000),
    }


async def test_receipts_of_unsettled_sessions_say_why(tmp_path: Path) -> None:
    async with (
        open_till(tmp_path, has_tariff=False) as till,
        anchoring_of(till, tmp_path, LedgerBackend.NONE) as anchoring,
    ):
        receipts = Receipts(database=till.store.writer.path, anchoring=anchoring)
        session_id = await till.session()
        with pytest.raises(RequestError) as unjudged:
            await receipts.receipt(session_id)
        await till.settlement.settle(session_id)
        with pytest.raises(RequestError) as held:
            await receipts.receipt(session_id)
        with pytest.raises(RequestError) as unknown:
            await receipts.receipt(SessionId("sunknown"))
        assert (unjudged.value.status, unknown.value.status) == (409, 404)
        assert "no_tariff" in held.value.message


async def test_without_a_backend_receipts_verify_offline_and_name_no_chain(
    tmp_path: Path,
) -> None:
    async with (
        open_till(tmp_path) as till,
        anchoring_of(till, tmp_path, LedgerBackend.NONE) as anchoring,
    ):
        session_id = await till.session()
        await till.settlement.settle(session_id)
        assert (await anchoring.flush()).state == "off"
        receipts = Receipts(database=till.store.writer.path, anchoring=anchoring)
        document = json.dumps(await receipts.receipt(session_id)).encode()
        assert verify(document).verdict is Verdict.UNCHECKED
        assert not (tmp_path / "chain.db").exists()


async def test_a_broken_chain_file_is_told_once_and_stops_no_settlement(
    tmp_path: Path,
) -> None:
    (tmp_path / "chain.db").write_bytes(b"not a database, certainly not" * 99)
    async with (
        open_till(tmp_path) as till,
        anchoring_of(till, tmp_path) as anchoring,
    ):
        with capture_logs() as logs:
            for _ in range(3):
                await anchoring._step_safely()
            bill = await till.settlement.settle(await till.session())
        assert bill is not None
        assert bill.status == "settled"
        assert anchoring.state.state == "alarm"
        told = [line for line in logs if line["event"] == "anchor.troubled"]
        assert len(told) == 1


async def test_the_task_anchors_soon_after_a_settlement(tmp_path: Path) -> None:
    async with (
        open_till(tmp_path) as till,
        anchoring_of(till, tmp_path) as anchoring,
    ):
        session_id = await till.session()
        with till.bus.subscribe("test") as heard:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                task = group.create_task(anchoring.run(), name="anchoring")
                async for notice in heard:
                    if isinstance(notice, HeadAnchored):
                        await till.settlement.settle(session_id)
                    if isinstance(notice, SessionSettled) and (
                        notice.status == "on_chain"
                    ):
                        break
                task.cancel()
        assert anchoring.state.settlements_on_chain == 1
