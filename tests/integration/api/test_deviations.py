"""What stations do against the specification, as operators see it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def boot(station: RawStation, model: str, **more: Any) -> None:
    said = {"chargePointVendor": "Oddwerk", "chargePointModel": model, **more}
    await station.ask("BootNotification", said)


async def status(station: RawStation, **more: Any) -> None:
    said = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    await station.ask("StatusNotification", said | more)


@pytest.mark.quirk(14)
async def test_deviations_are_counted_by_kind_and_place_with_an_example(
    site: ApiSite,
) -> None:
    await site.register("DEV-1")
    async with site.station("DEV-1") as station:
        await boot(station, "One", chargePointSerialNumber="S" * 33)
        for word in ("Fine", "AlsoFine"):
            await status(station, errorCode=word, shoeSize=43)
    rows = await site.call("GET", "/stations/DEV-1/deviations", role="viewer")
    told = {(row["kind"], row["action"], row["path"]): row for row in rows}
    assert {key: row["messages"] for key, row in told.items()} == {
        ("over_long", "BootNotification", "$.chargePointSerialNumber"): 1,
        ("unknown_enum", "StatusNotification", "$.errorCode"): 2,
        ("extra_member", "StatusNotification", "$"): 2,
    }
    example = told["unknown_enum", "StatusNotification", "$.errorCode"]
    assert "AlsoFine" in example["detail"]
    assert example["first_seen_at"] <= example["last_seen_at"]
    frames = await site.call("GET", "/stations/DEV-1/deviations/frames")
    assert frames[0]["offset"] == example["offset"]
    assert len(frames) == 5
    latest = await site.call("GET", "/stations/DEV-1/deviations?limit=1")
    assert len(latest) == 1


@pytest.mark.quirk(14)
async def test_deviations_of_a_model_are_those_of_all_its_stations(
    site: ApiSite,
) -> None:
    for station_id, model in (("MOD-1", "Two"), ("MOD-2", "Two"), ("MOD-3", "Three")):
        await site.register(station_id)
        async with site.station(station_id) as station:
            await boot(station, model)
            await status(station, errorCode="Odd")
    found = await site.call("GET", "/deviations?vendor=ODDWERK&model=two")
    assert [(row["model"], row["kind"], row["stations"]) for row in found] == [
        ("Two", "unknown_enum", 2)
    ]
    everything = await site.call("GET", "/deviations?vendor=Oddwerk")
    assert {row["model"] for row in everything} >= {"Two", "Three"}
    assert await site.call("GET", "/deviations?vendor=Nobody%27--") == []
    await site.call("GET", "/deviations?limit=0", status=422)
    await site.call("GET", "/deviations", role=None, status=401)


async def test_a_station_that_keeps_to_the_specification_has_no_deviations(
    site: ApiSite,
) -> None:
    await site.register("GOOD")
    async with site.station("GOOD") as station:
        await boot(station, "Good")
        await status(station)
    assert await site.call("GET", "/stations/GOOD/deviations") == []
    assert await site.call("GET", "/stations/GOOD/register-gaps") == []
    assert (await site.call("GET", "/stations/GOOD"))["clock_offset_s"] is None
    await site.call("GET", "/stations/NOBODY/deviations", status=404)
    await site.call("GET", "/stations/NOBODY/register-gaps", status=404)


@pytest.mark.quirk(24)
@pytest.mark.parametrize("minutes", [-90, 3])
async def test_how_far_a_clock_is_off_is_shown(site: ApiSite, minutes: int) -> None:
    station_id = f"CLOCK{minutes}"
    await site.register(station_id)
    async with site.station(station_id) as station:
        answer = await station.boot()
        now = datetime.fromisoformat(answer["currentTime"])
        said = (now + timedelta(minutes=minutes)).isoformat()
        await status(station, timestamp=said)
    shown = (await site.call("GET", f"/stations/{station_id}"))["clock_offset_s"]
    assert shown == pytest.approx(minutes * 60, abs=5)


@pytest.mark.quirk(21)
async def test_registers_that_do_not_go_on_are_listed_with_the_energy_between(
    site: ApiSite,
) -> None:
    await site.register("GAPS")
    async with site.station("GAPS") as station:
        answer = await station.boot()
        now = datetime.fromisoformat(answer["currentTime"]) - timedelta(hours=12)
        for hour, (begin, end) in enumerate(
            ((0, 900), (900, 1800), (2300, 2400), (10, 20))
        ):
            at = now + timedelta(hours=hour)
            begun = await station.ask(
                "StartTransaction",
                {
                    "connectorId": 1,
                    "idTag": "T",
                    "meterStart": begin,
                    "timestamp": at.isoformat(),
                },
            )
            await station.ask(
                "StopTransaction",
                {
                    "transactionId": begun["transactionId"],
                    "meterStop": end,
                    "timestamp": (at + timedelta(minutes=30)).isoformat(),
                },
            )
    gaps = await site.call("GET", "/stations/GAPS/register-gaps")
    assert [(gap["kind"], gap["gap_milliwh"]) for gap in gaps] == [
        ("register_rebased", -2_390_000),
        ("missing_energy", 500_000),
    ]
    assert gaps[1]["register_before_milliwh"] == 1_800_000
    newest = await site.call("GET", "/stations/GAPS/register-gaps?limit=2")
    assert [gap["kind"] for gap in newest] == ["register_rebased"]
