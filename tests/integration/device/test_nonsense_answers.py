"""What a station answers, however odd, costs nobody else anything."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    billing = {"currency": "EUR", "default_tariff": "day", "pricing_messages": True}
    async with api_site(
        tmp_path_factory.mktemp("site"), billing=billing, ocpp={"local_list": True}
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("number", [7]),
        ("object", [{"key": {"a": 1}}]),
        ("list", [{"key": "A", "value": ["b"]}]),
        ("none", 5),
    ],
)
async def test_a_nonsense_configuration_does_not_end_the_set_up_of_others(
    site: ApiSite, name: str, keys: object
) -> None:
    slow_id, odd_id = f"SLOW-{name}", f"ODD-{name}"
    await site.register(slow_id, managed=True)
    await site.register(odd_id, managed=True)
    async with site.station(slow_id) as slow, site.station(odd_id) as odd:
        slow.handlers["GetConfiguration"] = lambda _: None
        odd.handlers["GetConfiguration"] = lambda _: {"configurationKey": keys}
        await slow.boot()
        await slow.heard_so_far("GetConfiguration", 1)
        await odd.boot()
        await odd.heard_so_far("GetConfiguration", 1)

        async def is_set_up() -> bool:
            written = slow.calls("ChangeConfiguration")
            return "MeterValueSampleInterval" in [one["key"] for one in written]

        await site.until(is_set_up)


@pytest.mark.use_case("B02")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("word", ["Pending", "Rejected"])
async def test_lists_and_prices_wait_for_an_accepted_boot(
    site: ApiSite, version: str, word: str
) -> None:
    name = f"{word}-{version}"
    await site.register(name, managed=True, registration=word)
    async with site.station(name, version) as station:
        assert (await station.boot())["status"] == word
        await site.call("PUT", "/id-tokens/NEW", {})
        await asyncio.sleep(0.5)
        assert [one[0] for one in station.heard] == []


async def test_a_station_that_boots_without_end_is_set_up_one_boot_at_a_time(
    site: ApiSite,
) -> None:
    await site.register("RESTLESS", managed=True)
    async with site.station("RESTLESS", "2.0.1") as station:
        station.handlers["SetVariables"] = lambda _: None
        for _ in range(20):
            await station.boot()
        await station.heard_so_far("SetVariables", 1)
        busy = [
            one for one in asyncio.all_tasks() if one.get_name() == "setup.RESTLESS"
        ]
        assert len(busy) == 1
        assert len(station.calls("SetVariables")) == 1
