"""The whole gateway with a feeder meter and a battery behind Modbus TCP."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.services import batteries
from tests.support.api_site import ApiSite, api_site
from tests.support.modbus_server import (
    Unit,
    block,
    inverter_103,
    meter_203,
    modbus_server,
    sunspec,
    word,
)

WITHIN_S = 30.0


def feeder(amps: int, watts: int) -> list[int]:
    return sunspec(meter_203(amps=(amps,) * 3, watts=(watts,) * 3))


def battery(watts: int) -> list[int]:
    capacity = block(713, 7, {2: 1000, 3: 500, 4: 500, 5: 1000, 7: 1, 8: -1})
    inverter = inverter_103(amps=abs(watts) // 69, watts=-watts)
    return sunspec(inverter, capacity, block(704, 65, {55: 0}))


def tables(port: int) -> dict[str, Any]:
    modbus = {"host": "127.0.0.1", "port": port, "interval_s": 0.2, "timeout_s": 0.5}
    return {
        "cabinet": [
            {
                "id": "main",
                "limit_a": [63, 63, 63],
                "feeder_meter": "grid-meter",
                "feeder_source": "modbus",
                "modbus": {**modbus, "unit_id": 1},
            }
        ],
        "battery": [
            {
                "id": "cellar",
                "cabinet": "main",
                "capacity_wh": 10_000,
                "max_charge_w": 3_000,
                "max_discharge_w": 3_000,
                "control": "surplus",
                "source": "modbus",
                "stale_after_s": 2,
                "modbus": {**modbus, "unit_id": 2},
            }
        ],
    }


async def until(site: ApiSite, path: str, is_so: Any) -> Any:
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await site.call("GET", path)
            if is_so(found):
                return found
            await asyncio.sleep(0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batteries, "TICK_S", 0.3)
    monkeypatch.setattr(batteries, "SETTLES_S", 1.0)


@pytest.mark.usefixtures("quick")
async def test_a_surplus_is_stored_by_hand_overridden_and_a_lost_battery_counts_full(
    tmp_path: Path,
) -> None:
    units = {1: Unit(feeder(-870, -2000)), 2: Unit(battery(0))}
    async with modbus_server(units) as server, _site(tmp_path, server.port) as site:
        found = await until(
            site,
            "/batteries",
            lambda b: b[0]["commands"] and b[0]["commands"][0]["power_w"] == 3_000,
        )
        assert found[0]["energy_wh"] == 5_000
        assert found[0]["why"] == "stores a surplus"
        written = [words for _, words in units[2].written if len(words) == 4]
        assert [word(-3_000 >> 16), word(-3_000), 0, 0] in written
        cabinet = await site.call("GET", "/cabinets/main")
        assert cabinet["load_source"] == "feeder"

        await site.call(
            "PUT", "/batteries/cellar/power", {"power_w": -1_000}, status=200
        )
        await until(
            site, "/batteries", lambda b: b[0]["commands"][0]["power_w"] == -1_000
        )
        units[2].registers[:] = battery(-1_000)
        found = await until(site, "/batteries", lambda b: b[0]["power_w"] == -1_000)
        assert found[0]["reserved_w"] == 0
        await site.call("PUT", "/batteries/attic/power", {"power_w": 0}, status=404)
        counted_a = (await site.call("GET", "/cabinets/main"))["worst_case_a"]

        units[2].delay_s = 60.0
        await site.call("PUT", "/batteries/cellar/power", {"power_w": 500})
        lost = await until(site, "/batteries", lambda b: b[0]["is_lost"])
        assert lost[0]["reserved_w"] == 3_000
        full = await until(
            site,
            "/cabinets/main",
            lambda c: c["worst_case_a"][0] > counted_a[0] + 3.5,
        )
        assert full["worst_case_a"][0] == pytest.approx(
            counted_a[0] - 1.0 + 4.9, abs=0.3
        ), "3000 W on three phases at 0.9 U instead of what a discharge counts"
        units[2].delay_s = 0.0
    assert units[2].written[-3][1][:2] == [0, 0], "it is left idle"


def _site(folder: Path, port: int) -> AbstractAsyncContextManager[ApiSite]:
    return api_site(folder, **tables(port))
