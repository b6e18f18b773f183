"""Status of public assets: what is told of each kind, and when it is told again."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.config import Config
from gateway.domain.ids import CabinetId
from gateway.domain.topology import ServiceStatus, Site
from gateway.services.asset_register import evse_asset_id
from gateway.services.battery_levels import BatteryLevels
from gateway.services.public_status import (
    NOT_KNOWN,
    RECORD,
    FlowCode,
    PublicStatus,
    StatusCode,
    StatusLeaves,
)
from gateway.store import schema, settings
from gateway.store.settings import ReadingRow
from ledger import record
from ledger.public_leaves import PUBLIC_SUBJECT
from ledger.settle import AssetKind, asset_id
from ledger.sqlite_store import DDL, SqliteStore, transaction

T = TypeVar("T")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "site": {"name": "Yard", "latitude_deg": 52.5, "longitude_deg": 13.4},
    "cabinet": [
        {"id": "A", "limit_a": [63, 63, 63], "feeder_meter": "F", "public": True},
        {"id": "B", "parent": "A", "limit_a": [32, 32, 32]},
    ],
    "pv": [
        {"id": "roof", "cabinet": "A", "peak_w": 9000, "public": True},
        {"id": "shed", "cabinet": "A", "peak_w": 3000},
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
            "evse": [{"id": 1, "max_a": 32, "public": True}, {"id": 2, "max_a": 16}],
        }
    ],
}


class Yard:
    """A site, its database, and the status of what is public there."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.site: Site = Config.from_dict(DOCUMENT, Path()).site
        self.levels = BatteryLevels(self.site)
        status = PublicStatus(
            site=lambda: self.site, limit_w=lambda _evse: None, heard=self.levels.of
        )
        self.leaves = StatusLeaves(status=status, step_s=900)

    def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with transaction(self.conn):
            return job(self.conn)

    def step(self, now: datetime) -> None:
        self.leaves.step(self.write, now)

    def reads(self, name: str, power_w: float, at: datetime = NOW) -> None:
        row = ReadingRow(load_id=name, measured_at=at, current_da=None, power_w=power_w)
        self.write(lambda conn: settings.put_reading(conn, row))

    def sealed(self) -> list[dict[bytes, tuple[int, int, int]]]:
        """State, power and last member by reference, of every leaf."""
        leaves = SqliteStore(self.conn).leaves_of(PUBLIC_SUBJECT)
        pieces = [
            bytes.fromhex(str(record.parse(leaf.record or b"").body["packed"]))
            for leaf in leaves
        ]
        return [
            {one[0]: (one[1], one[2], one[3]) for one in RECORD.iter_unpack(piece)}
            for piece in pieces
        ]

    def ref(self, kind: AssetKind, name: str) -> bytes:
        return asset_id("Yard", kind, name)[:4]

    @property
    def battery(self) -> bytes:
        return self.ref(AssetKind.BATTERY, "cellar")

    @property
    def evse(self) -> bytes:
        return evse_asset_id(self.site, self.site.evses[0])[:4]


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    conn = schema.open_database(tmp_path / "gateway.db")
    conn.executescript(DDL)
    yield Yard(conn)
    conn.close()


def test_every_public_asset_is_told_and_no_private_one(yard: Yard) -> None:
    yard.reads("roof", 4200.4)
    yard.reads("F", 1500)
    yard.step(NOW)
    (told,) = yard.sealed()
    rated_w = int(3 * 63 * yard.site.phase_v)
    assert told == {
        yard.evse: (StatusCode.UNKNOWN, 0, yard.site.evses[0].rating_w),
        yard.ref(AssetKind.PV_INVERTER, "roof"): (FlowCode.FEEDING, -4200, 9000),
        yard.battery: (FlowCode.UNKNOWN, 0, NOT_KNOWN),
        yard.ref(AssetKind.CABINET, "A"): (FlowCode.DRAWING, 1500, rated_w),
    }


def test_a_battery_tells_what_it_does_and_holds_not_what_is_reserved_for_it(
    yard: Yard,
) -> None:
    yard.reads("cellar", 3000)  # what a controlled one counts: what it may charge
    yard.levels.heard("cellar", power_w=-1200, energy_wh=None, soc_percent=62.5, at=NOW)
    yard.step(NOW)
    (told,) = yard.sealed()
    assert told[yard.battery] == (FlowCode.FEEDING, -1200, 6250)


def test_stale_readings_are_not_told_as_if_they_were_of_now(yard: Yard) -> None:
    yard.reads("roof", 4000)
    yard.levels.heard("cellar", power_w=0, energy_wh=500, soc_percent=None, at=NOW)
    yard.step(NOW)
    yard.step(NOW + timedelta(hours=1))
    fresh, stale = yard.sealed()
    assert fresh[yard.battery] == (FlowCode.IDLE, 0, 500)
    assert stale[yard.battery] == (FlowCode.UNKNOWN, 0, NOT_KNOWN)
    assert stale[yard.ref(AssetKind.PV_INVERTER, "roof")][0] == FlowCode.UNKNOWN


def test_what_is_not_in_service_says_so_unless_it_does_something(yard: Yard) -> None:
    roof = yard.ref(AssetKind.PV_INVERTER, "roof")
    out = replace(yard.site.pvs[0], service_status=ServiceStatus.PLANNED)
    station = replace(yard.site.stations[0], service_status=ServiceStatus.RETIRED)
    yard.site = replace(yard.site, pvs=(out,), stations=(station,))
    yard.step(NOW)
    yard.reads("roof", 700, NOW + timedelta(seconds=900))
    yard.step(NOW + timedelta(seconds=900))
    first, second = yard.sealed()
    assert first[roof] == (FlowCode.OUT_OF_SERVICE, 0, 9000)
    assert first[yard.evse][0] == StatusCode.OUT_OF_SERVICE
    assert second == {roof: (FlowCode.FEEDING, -700, 9000)}


def test_only_what_changed_is_sealed_and_once_in_a_timestep(yard: Yard) -> None:
    yard.step(NOW)
    yard.reads("roof", 1000, NOW + timedelta(seconds=1))
    yard.step(NOW + timedelta(seconds=899))
    assert len(yard.sealed()) == 1, "the timestep is not over"
    yard.reads("roof", 2000, NOW + timedelta(seconds=899))
    yard.step(NOW + timedelta(seconds=900))
    yard.reads("roof", 2000, NOW + timedelta(seconds=1799))
    yard.step(NOW + timedelta(seconds=1800))
    roof = yard.ref(AssetKind.PV_INVERTER, "roof")
    assert yard.sealed()[1:] == [{roof: (FlowCode.FEEDING, -2000, 9000)}]


def test_what_was_not_committed_is_sealed_again(yard: Yard) -> None:
    def fails(job: Callable[[sqlite3.Connection], T]) -> T:
        with transaction(yard.conn):
            job(yard.conn)
            raise sqlite3.OperationalError("disk full")

    with pytest.raises(sqlite3.OperationalError):
        yard.leaves.step(fails, NOW)
    assert yard.sealed() == []
    yard.step(NOW)
    assert len(yard.sealed()[0]) == 4


def test_a_threshold_is_the_limit_in_force_of_a_cabinet(yard: Yard) -> None:
    yard.write(
        lambda conn: settings.insert_threshold(
            conn,
            cabinet_id=CabinetId("A"),
            limit_da=None,
            limit_w=11_000,
            from_at=None,
            until_at=None,
            set_at=NOW,
        )
    )
    yard.step(NOW)
    limit_w = yard.sealed()[0][yard.ref(AssetKind.CABINET, "A")][2]
    assert 11_000 - yard.site.phase_v / 10 <= limit_w <= 11_000
