"""What the registry and the anchor on a chain say of the site, on the embedded EVM."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, LedgerBackend, LedgerConfig, StoreConfig
from gateway.domain.events import POWER, SOC, Reading
from gateway.domain.ids import StationId
from gateway.domain.topology import Site
from gateway.errors import ConfigError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from gateway.services.asset_register import evse_asset_id, register_assets
from gateway.services.battery_levels import Heard
from gateway.services.public_status import RECORD, StatusCode
from gateway.store import money, settings, stations
from gateway.store.settings import ReadingRow
from ledger import record
from ledger.contracts import artifact
from ledger.public_leaves import PUBLIC_SUBJECT
from ledger.settle import AssetKind, AssetStatus, asset_id
from ledger.sqlite_store import SqliteStore
from tests.support.journal import at, entry, started, updated
from tests.support.money import Till, day_night, open_till

OWNER = "0x" + "Aa" * 20
OTHER = "0x" + "bb" * 20
DOCUMENT: dict[str, Any] = {
    "site": {
        "name": "Yard",
        "latitude_deg": 52.5361,
        "longitude_deg": 13.3652,
        "owner": OWNER,
    },
    "cabinet": [
        {"id": "A", "limit_a": [63, 63, 63], "limit_w": 40_000, "public": True},
        {"id": "B", "parent": "A", "limit_a": [32, 32, 32]},
    ],
    "pv": [
        {
            "id": "roof",
            "cabinet": "B",
            "peak_w": 9000,
            "public": True,
            "owner": OTHER,
            "latitude_deg": -33.5,
            "longitude_deg": -70.25,
        }
    ],
    "battery": [
        {
            "id": "cellar",
            "cabinet": "A",
            "capacity_wh": 10_000,
            "max_charge_w": 3000,
            "max_discharge_w": 5000,
            "public": True,
        }
    ],
    "station": [
        {
            "id": "CP1",
            "cabinet": "A",
            "service_status": "planned",
            "evse": [{"id": 1, "max_a": 32, "public": True}, {"id": 2, "max_a": 16}],
        }
    ],
}


def built(document: dict[str, Any]) -> Site:
    return Config.from_dict(document, Path()).site


class Yard:
    """A gateway's anchoring whose site tests change."""

    def __init__(self, till: Till, path: Path, backend: LedgerBackend) -> None:
        self.till = till
        self.document = deepcopy(DOCUMENT)
        self.site = built(self.document)
        self.battery: Heard | None = None
        self.anchoring = Anchoring(
            writer=till.store.writer,
            bus=till.bus,
            clock=till.clock,
            settings=AnchoringSettings(
                ledger=LedgerConfig(backend=backend), store=StoreConfig(path=path)
            ),
            site=lambda: self.site,
            heard=lambda _battery: self.battery,
            tariff_id_of=lambda _station: "T",
        )

    async def step(self, seconds: float = 900) -> None:
        """A timestep passes, and the anchoring does what is due."""
        self.till.clock.at += timedelta(seconds=seconds)
        await self.anchoring._step(flush=False)
        assert self.anchoring.state.alarms == ()

    def change(self, **parts: Any) -> None:
        self.document.update(parts)
        self.site = built(self.document)

    async def reads(self, name: str, power_w: float) -> None:
        row = ReadingRow(
            load_id=name,
            measured_at=self.till.clock.at + timedelta(seconds=900),
            current_da=None,
            power_w=power_w,
        )
        await self.write(lambda conn: settings.put_reading(conn, row))

    async def write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self.till.store.writer.run(job)

    def asset(self, kind: AssetKind, name: str) -> dict[str, Any]:
        """The record on the chain."""
        worker = self.anchoring._worker
        assert worker is not None
        assert worker._contracts is not None
        binding = artifact("AssetRegistry")
        data = worker._chain.call(
            worker._contracts.asset_registry,
            binding.calldata("asset", asset_id("Yard", kind, name)),
        )
        (values,) = binding.result("asset", data)
        entry = next(one for one in binding.abi if one.get("name") == "asset")
        names = [one["name"] for one in entry["outputs"][0]["components"]]
        return dict(zip(names, values, strict=True))

    async def queued(self) -> tuple[int, int, int]:
        """Rows of the queue, those that a final transaction carries, transactions."""
        found: tuple[int, int, int] = await self.write(
            lambda conn: conn.execute(
                "SELECT (SELECT count(*) FROM asset_queue),"
                " (SELECT count(*) FROM asset_queue JOIN outbox_tx USING (tx_id)"
                "  WHERE state = 'final'),"
                " (SELECT count(*) FROM outbox_tx WHERE purpose = 'register')"
            ).fetchone()
        )
        return found

    async def leaves(self, kind: AssetKind, name: str) -> list[tuple[str, Any]]:
        """Commitment and body of all leaves of an asset."""
        subject = asset_id("Yard", kind, name).hex()
        found = await self.write(lambda conn: SqliteStore(conn).leaves_of(subject))
        return [
            (leaf.commitment, record.parse(leaf.record).body)
            for leaf in found
            if leaf.record is not None
        ]

    async def sealed_status(self) -> list[bytes]:
        found = await self.write(
            lambda conn: SqliteStore(conn).leaves_of(PUBLIC_SUBJECT)
        )
        bodies = [record.parse(leaf.record or b"").body for leaf in found]
        return [bytes.fromhex(str(body["packed"])) for body in bodies]

    async def told_status(self) -> list[tuple[bytes, bytes]]:
        """Hash and status of every anchor on the chain that carried any."""
        worker = self.anchoring._worker
        assert worker is not None
        assert worker._contracts is not None
        binding, address = artifact("StatusAnchor"), worker._contracts.status_anchor
        hashes = await self.write(
            lambda conn: conn.execute(
                "SELECT tx_hash FROM anchored_head ORDER BY size"
            ).fetchall()
        )
        found = []
        for (tx_hash,) in hashes:
            receipt = worker._chain.receipt(tx_hash)
            assert receipt is not None
            for head, told in zip(
                binding.events("HeadAnchored", address, receipt.logs),
                binding.events("StatusPublished", address, receipt.logs),
                strict=False,
            ):
                found.append((head["statusHash"], told["packedStatus"]))
        return found


@asynccontextmanager
async def open_yard(
    path: Path, backend: LedgerBackend = LedgerBackend.EMBEDDED
) -> AsyncIterator[Yard]:
    async with open_till(path) as till:
        yard = Yard(till, path, backend)
        try:
            yield yard
        finally:
            await yard.anchoring.close()


async def test_the_registry_has_what_the_site_knows_of_each_asset(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        cabinet = yard.asset(AssetKind.CABINET, "A")
        point = yard.asset(AssetKind.CHARGE_POINT, "CP1/1")
        roof = yard.asset(AssetKind.PV_INVERTER, "roof")
        cellar = yard.asset(AssetKind.BATTERY, "cellar")
        assert await yard.queued() == (6, 6, 1), "one batch"
        main, branch = (asset_id("Yard", AssetKind.CABINET, name) for name in "AB")
        assert (point["latitudeE7"], point["longitudeE7"]) == (525361000, 133652000)
        assert point["priceMicroPerKwh"] == 420_000, "the most that a kWh costs"
        assert point["ratedPowerW"] == yard.site.evses[0].rating_w
        assert (point["status"], point["owner"]) == (AssetStatus.PLANNED, OWNER.lower())
        assert (point["parentId"], point["isPublic"]) == (main, True)
        assert (roof["latitudeE7"], roof["longitudeE7"]) == (-335000000, -702500000)
        assert (roof["owner"], roof["parentId"]) == (OTHER, branch)
        assert (roof["ratedPowerW"], roof["priceMicroPerKwh"]) == (9000, 0)
        assert (cellar["ratedPowerW"], cellar["capacityMilliWh"]) == (5000, 10**7)
        assert cellar["status"] == AssetStatus.IN_SERVICE
        assert (cabinet["isPublic"], cabinet["ratedPowerW"]) == (True, 40_000)
        assert cabinet["parentId"] == bytes(32)


async def test_a_private_asset_shows_a_commitment_to_its_leaf_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        shown = yard.asset(AssetKind.CHARGE_POINT, "CP1/2")
        ((commitment, body),) = await yard.leaves(AssetKind.CHARGE_POINT, "CP1/2")
        assert shown["commitment"] == commitment
        hidden = ("latitudeE7", "longitudeE7", "ratedPowerW", "priceMicroPerKwh")
        assert [shown[name] for name in (*hidden, "capacityMilliWh")] == [0] * 5
        assert shown["owner"] == "0x" + "0" * 40
        assert shown["status"] == AssetStatus.IN_SERVICE, "whether it is used is hidden"
        assert body["service_status"] == "planned"
        assert (body["owner"], body["price_micro_per_kwh"]) == (OWNER.lower(), 420_000)


async def test_each_change_is_one_leaf_and_one_update(tmp_path: Path) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        await yard.step()
        assert await yard.queued() == (6, 6, 1), "nothing changed"
        dearer = day_night(day="0.55")
        await yard.write(
            lambda conn: money.put_tariff(
                conn, dearer, source="api", now=yard.till.clock.at
            )
        )
        await yard.step()
        assert await yard.queued() == (8, 8, 2), "two points have a price"
        point = yard.asset(AssetKind.CHARGE_POINT, "CP1/1")
        assert point["priceMicroPerKwh"] == 550_000
        yard.change(pv=[{**DOCUMENT["pv"][0], "owner": OWNER}])
        await yard.step()
        assert yard.asset(AssetKind.PV_INVERTER, "roof")["owner"] == OWNER.lower()
        bodies = [body for _, body in await yard.leaves(AssetKind.PV_INVERTER, "roof")]
        assert [body["owner"] for body in bodies] == [OTHER, OWNER.lower()]


async def test_what_is_retired_or_leaves_the_site_is_retired_once(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        battery = {**DOCUMENT["battery"][0], "service_status": "retired"}
        yard.change(battery=[battery], station=[])
        await yard.step()
        await yard.step()
        assert await yard.queued() == (9, 9, 2)
        state = yard.anchoring.state
        assert (state.assets_pending, state.assets_on_chain) == (0, 9)
        for kind, name in (
            (AssetKind.BATTERY, "cellar"),
            (AssetKind.CHARGE_POINT, "CP1/1"),
            (AssetKind.CHARGE_POINT, "CP1/2"),
        ):
            assert yard.asset(kind, name)["status"] == AssetStatus.RETIRED
            newest = (await yard.leaves(kind, name))[-1][1]
            assert newest["service_status"] == "retired"
        gone = yard.asset(AssetKind.CHARGE_POINT, "CP1/1")
        assert (gone["latitudeE7"], gone["isPublic"]) == (525361000, True)
        private = yard.asset(AssetKind.CHARGE_POINT, "CP1/2")
        kept = await yard.leaves(AssetKind.CHARGE_POINT, "CP1/2")
        assert private["commitment"] == kept[-1][0]
        yard.change(station=DOCUMENT["station"])
        await yard.step()
        back = yard.asset(AssetKind.CHARGE_POINT, "CP1/1")
        assert back["status"] == AssetStatus.PLANNED


async def test_a_station_that_does_not_fit_the_site_for_now_is_not_retired(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        await yard.write(
            lambda conn: stations.upsert(
                conn,
                StationId("CP1"),
                source="api",
                definition={},
                cabinet_id=None,
                managed=True,
            )
        )
        yard.change(station=[])
        await yard.step()
        assert await yard.queued() == (6, 6, 1)
        await yard.write(lambda conn: stations.delete(conn, StationId("CP1")))
        yard.change(pv=[{**DOCUMENT["pv"][0], "owner": OWNER}])
        await yard.step()
        assert await yard.queued() == (9, 9, 2), "the owner, and two EVSEs are gone"


async def test_a_crash_between_leaf_and_commit_leaves_neither(tmp_path: Path) -> None:
    async with open_yard(tmp_path) as yard:
        now = yard.till.clock.at

        def crash(conn: sqlite3.Connection) -> None:
            register_assets(conn, site=yard.site, tariff_of=_no_tariff, now=now)
            raise KeyError("killed")

        with pytest.raises(KeyError):
            await yard.write(crash)
        assert await yard.queued() == (0, 0, 0)
        await yard.step()
        for _restart in range(2):  # a new process knows nothing of what was done
            yard.anchoring._assets._done = None
            await yard.step()
        assert await yard.queued() == (6, 6, 1)
        assert len(await yard.leaves(AssetKind.CABINET, "A")) == 1


async def test_status_on_the_chain_is_what_was_sealed_in_each_timestep(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        for power_w in (1000.0, 2000.0, 2000.0):
            await yard.reads("roof", power_w)
            yard.battery = Heard(
                at=yard.till.clock.at + timedelta(seconds=900),
                power_w=-power_w,
                energy_wh=5000 - power_w,
            )
            await yard.step()
        sealed = await yard.sealed_status()
        assert [len(one) // 13 for one in sealed] == [4, 2], "no change, no leaf"
        assert await yard.told_status() == [
            (hashlib.sha256(one).digest(), one) for one in sealed
        ]


async def test_a_cars_state_of_charge_changes_nothing_that_is_public(
    tmp_path: Path,
) -> None:
    async with open_yard(tmp_path) as yard:
        append = yard.till.store.append_and_wait
        await append(entry(started(0, wire_id="tx", wh=1000), ours=False))
        for minutes, soc in ((10, 40), (20, 80)):
            readings = (
                Reading(sampled_at=at(minutes), measurand=POWER, value=Decimal(7000)),
                Reading(sampled_at=at(minutes), measurand=SOC, value=Decimal(soc)),
            )
            told = updated(minutes, wire_id="tx", readings=readings)
            await append(entry(told, ours=False))
            known = await yard.write(
                lambda conn: conn.execute(
                    "SELECT soc_percent, power_w FROM session"
                ).fetchone()
            )
            assert known == (soc, 7000)
            await yard.step()
        (only,) = await yard.sealed_status()
        records = [RECORD.unpack(only[i : i + 13]) for i in range(0, len(only), 13)]
        point = evse_asset_id(yard.site, yard.site.evses[0])[:4]
        rating_w = yard.site.evses[0].rating_w
        assert (point, StatusCode.SUSPENDED, 7000, rating_w) in records


async def test_after_an_outage_all_timesteps_go_to_the_chain_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_yard(tmp_path) as yard:
        await yard.step()
        worker = yard.anchoring._worker
        assert worker is not None
        with monkeypatch.context() as away:
            away.setattr(worker, "step", lambda *_args, **_more: _nothing())
            for number in range(1, 13):
                await yard.reads("roof", 100.0 * number)
                yard.till.clock.at += timedelta(seconds=900)
                with pytest.raises(TimeoutError):
                    await yard.anchoring._step(flush=False)
        sealed = await yard.sealed_status()
        assert len(sealed) == 13
        assert len(await yard.told_status()) == 1
        await yard.step(0)
        whole = b"".join(sealed[1:])
        assert (await yard.told_status())[1:] == [
            (hashlib.sha256(whole).digest(), whole)
        ]


async def test_without_a_chain_assets_and_status_are_in_the_log(tmp_path: Path) -> None:
    async with open_yard(tmp_path, LedgerBackend.NONE) as yard:
        await asyncio.to_thread(yard.anchoring._keep_log_in_thread)
        assert len(await yard.leaves(AssetKind.PV_INVERTER, "roof")) == 1
        assert len(await yard.sealed_status()) == 1


@pytest.mark.parametrize("part", ["cabinet", "pv", "battery", "station"])
def test_a_public_asset_without_a_place_is_refused(part: str) -> None:
    document = deepcopy(DOCUMENT)
    del document["site"]["latitude_deg"], document["site"]["longitude_deg"]
    for name in ("cabinet", "pv", "battery"):
        document[name][0]["public"] = name == part
    document["station"][0]["evse"][0]["public"] = part == "station"
    document["pv"][0] = {
        key: value for key, value in document["pv"][0].items() if "_deg" not in key
    }
    with pytest.raises(ConfigError) as refused:
        built(document)
    key = "station[0].evse[0].public" if part == "station" else f"{part}[0].public"
    assert refused.value.key == key
    assert "latitude_deg" in refused.value.problem
    owner = document[part][0]
    owner["latitude_deg"] = owner["longitude_deg"] = 0
    with pytest.raises(ConfigError, match="0/0 is in the sea"):
        built(document)
    owner["latitude_deg"] = 0.5
    built(document)


def test_a_place_is_that_of_the_cabinet_where_an_asset_has_none() -> None:
    document = deepcopy(DOCUMENT)
    del document["site"]["latitude_deg"], document["site"]["longitude_deg"]
    document["cabinet"][0] |= {"latitude_deg": 1.5, "longitude_deg": 2.5}
    built(document)


@pytest.mark.parametrize(
    ("member", "value"),
    [("owner", "me"), ("owner", "0x" + "0" * 40), ("latitude_deg", 5)],
)
def test_half_a_place_and_no_account_are_refused(member: str, value: object) -> None:
    document = deepcopy(DOCUMENT)
    document["battery"][0][member] = value
    with pytest.raises(ConfigError) as refused:
        built(document)
    missing = "longitude_deg" if member == "latitude_deg" else member
    assert refused.value.key == f"battery[0].{missing}"


def _no_tariff(_station: StationId) -> None:
    return None


def _nothing() -> None:
    raise TimeoutError("the chain is away")
