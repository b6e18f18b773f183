"""Vendors' own messages: known or not, kept with their answers, in both versions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import StationId
from gateway.ocpp.inquiries import DataAnswered, DataOffered, DataStatus
from gateway.store.data_transfers import MAX_KEPT
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def echo(_station_id: StationId, offer: DataOffered) -> DataAnswered:
    return DataAnswered(status=DataStatus.ACCEPTED, data={"said": offer.data})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(
        tmp_path_factory.mktemp("site"), ocpp={"data_vendors": ["com.Example"]}
    ) as running:
        running.parts.drivers.data_transfers.register("org.desk", {"Echo": echo})
        yield running


@pytest.mark.use_case("P02")
@pytest.mark.action16("DataTransfer from the station")
@pytest.mark.parametrize(
    ("version", "data", "said"),
    [
        ("1.6", "x", '{"said":"x"}'),
        ("2.0.1", {"a": [1, 0.5]}, {"said": {"a": [1, 0.5]}}),
    ],
)
async def test_each_message_is_answered_by_vendor_and_message_and_kept(
    site: ApiSite, version: str, data: Any, said: Any
) -> None:
    name = f"DATA-{version}"
    await site.register(name)
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"vendorId": "nobody", "data": data}, {"status": "UnknownVendorId"}),
        ({"vendorId": "COM.EXAMPLE"}, {"status": "Accepted"}),
        (
            {"vendorId": "com.example", "messageId": "any", "data": data},
            {"status": "Accepted"},
        ),
        ({"vendorId": "org.desk", "messageId": "?"}, {"status": "UnknownMessageId"}),
        ({"vendorId": "org.desk"}, {"status": "UnknownMessageId"}),
        (
            {"vendorId": "org.desk", "messageId": "Echo", "data": data},
            {"status": "Accepted", "data": said},
        ),
    ]
    async with site.station(name, version) as station:
        await station.boot()
        for payload, answer in asked:
            assert await station.ask("DataTransfer", payload) == answer
    kept = await site.call("GET", f"/stations/{name}/data-transfers")
    assert [one["status"] for one in reversed(kept)] == [
        answer["status"] for _, answer in asked
    ]
    assert kept[0]["data"] == data
    assert kept[0]["answer"] == {"said": data}
    assert kept[0]["message_id"] == "Echo"
    of_vendor = await site.call(
        "GET", f"/stations/{name}/data-transfers?vendor_id=com.example&limit=1"
    )
    assert [one["message_id"] for one in of_vendor] == ["any"]


async def test_a_chatty_station_fills_no_disk(site: ApiSite) -> None:
    await site.register("CHATTY")
    async with site.station("CHATTY") as station:
        await station.boot()
        for number in range(MAX_KEPT + 3):
            await station.ask(
                "DataTransfer", {"vendorId": "nobody", "data": str(number)}
            )
    kept = await site.call("GET", f"/stations/CHATTY/data-transfers?limit={MAX_KEPT}")
    assert len(kept) == MAX_KEPT
    assert kept[0]["data"] == str(MAX_KEPT + 2)
    rows = await site.parts.queries.rows(
        "SELECT count(*) FROM data_transfer WHERE station_id = 'CHATTY'"
    )
    assert rows[0][0] == MAX_KEPT
