"""What 2.0.1 stations are told a session costs is what its bill says."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from gateway.clock import SystemClock
from gateway.store import money
from tests.support.api_site import DAY, ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOUR = timedelta(hours=1)


def wire(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def by_the_minute() -> dict[str, Any]:
    """Another price for the last minute than before."""
    now = SystemClock().now()
    clock = now.strftime("%H:%M")
    before = (now - HOUR).strftime("%H:%M")

    def element(price: str, **restrictions: str) -> dict[str, Any]:
        component = {"type": "ENERGY", "price": price}
        return {"price_components": [component], "restrictions": restrictions}

    return {
        "id": "windows",
        "elements": [
            element("0.1111", start_time=before, end_time=clock),
            element("0.7777"),
        ],
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    free = {
        "id": "free",
        "elements": [{"price_components": [{"type": "ENERGY", "price": "0"}]}],
    }
    async with api_site(
        tmp_path_factory.mktemp("site"), tariff=[DAY, by_the_minute(), free]
    ) as running:
        await running.call("PUT", "/id-tokens/DRIVER", {})
        yield running


async def tell(
    station: RawStation,
    kind: str,
    seq_no: int,
    register_wh: int,
    at: datetime,
    **members: Any,
) -> dict[str, Any]:
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind)
    sample = {"value": register_wh, "context": context or "Sample.Periodic"}
    return await station.ask(
        "TransactionEvent",
        {
            "eventType": kind,
            "timestamp": wire(at),
            "triggerReason": "MeterValuePeriodic",
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": f"{station.station_id}-tx"},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": wire(at), "sampledValue": [sample]}],
            **members,
        },
    )


async def until_told(
    station: RawStation, register_wh: int, at: datetime, seq_no: int
) -> Any:
    """The cost of an update; what is not at hand yet is told the next time."""
    for attempt in range(50):
        said = await tell(station, "Updated", seq_no + attempt, register_wh, at)
        if "totalCost" in said:
            return said["totalCost"]
    raise AssertionError("no cost was told")


@pytest.mark.use_case("I02", "I03")
@pytest.mark.parametrize("tariff_id", ["day", "windows", "free"])
async def test_the_final_cost_is_the_bill_and_the_running_cost_leads_to_it(
    site: ApiSite, tariff_id: str
) -> None:
    name = f"COST-{tariff_id}"
    await site.register(name, tariff_id=tariff_id)
    now = SystemClock().now()
    async with site.station(name, "2.0.1") as station:
        await station.boot()
        token = {"idToken": {"idToken": "DRIVER", "type": "ISO14443"}}
        said = await tell(station, "Started", 0, 1_000, now - 2 * HOUR / 60, **token)
        assert "totalCost" not in said
        running = await until_told(station, 6_000, now - HOUR / 60, 1)
        before_end = await until_told(station, 11_335, now, 100)
        said = await tell(station, "Ended", 200, 11_335, now)
        final = said["totalCost"]
    (session,) = await site.call("GET", f"/sessions?station_id={name}")

    async def billed() -> bool:
        response = await site.send("GET", f"/sessions/{session['session_id']}/bill")
        return response.is_success

    await site.until(billed)
    bill = await site.call("GET", f"/sessions/{session['session_id']}/bill")
    amount = Decimal(bill["amount_minor"]).scaleb(-2)
    assert Decimal(str(final)) == amount
    assert Decimal(str(before_end)) == amount
    assert Decimal(str(running)) <= amount
    if tariff_id == "day":
        assert amount == Decimal("4.34")
        assert Decimal(str(running)) == Decimal("2.10")
    if tariff_id == "free":
        assert final == 0


@pytest.mark.use_case("I02", "I03")
async def test_without_a_tariff_no_cost_is_told(site: ApiSite) -> None:
    """Its tariff is gone all the same: the API would not delete it."""
    prices = [{"price_components": [{"type": "ENERGY", "price": "1"}]}]
    await site.call("PUT", "/tariffs/gone", {"elements": prices})
    await site.register("COST-none", tariff_id="gone")
    await site.gateway.writer.run(partial(money.delete_tariff, tariff_id="gone"))
    now = SystemClock().now()
    async with site.station("COST-none", "2.0.1") as station:
        await station.boot()
        for seq_no, kind in enumerate(("Started", "Updated", "Updated", "Ended")):
            said = await tell(station, kind, seq_no, 1_000 * (seq_no + 1), now)
            assert "totalCost" not in said


async def test_a_cost_is_an_exact_number_on_the_wire(site: ApiSite) -> None:
    await site.register("COST-exact")
    now = SystemClock().now()
    async with site.station("COST-exact", "2.0.1") as station:
        await station.boot()
        await tell(station, "Started", 0, 0, now - HOUR / 60)
        said = await tell(station, "Ended", 1, 262, now)
        assert said == {"totalCost": 0.11}


@pytest.mark.use_case("I03")
async def test_a_cost_that_is_not_final_is_not_told(site: ApiSite) -> None:
    """No station delivers 100 kWh in a second: a person will look at the bill."""
    await site.register("COST-held")
    now = SystemClock().now()
    async with site.station("COST-held", "2.0.1") as station:
        await station.boot()
        token = {"idToken": {"idToken": "DRIVER", "type": "ISO14443"}}
        await tell(station, "Started", 0, 1_000, now - HOUR / 3_600, **token)
        said = await tell(station, "Ended", 1, 101_000, now)
        assert "totalCost" not in said
    (session,) = await site.call("GET", "/sessions?station_id=COST-held")

    async def billed() -> bool:
        path = f"/sessions/{session['session_id']}/bill"
        return (await site.send("GET", path)).is_success

    await site.until(billed)
    bill = await site.call("GET", f"/sessions/{session['session_id']}/bill")
    assert bill["state"] != "settled"
    assert bill["amount_minor"] == 4_200
