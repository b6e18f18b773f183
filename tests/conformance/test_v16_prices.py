"""OCPP 1.6: drivers see prices and costs as the OCA's paper on California has it."""

import json
from typing import Any

import pytest

from tests.conformance.desk import Operator, stamp, until
from tests.conformance.states_v16 import start, stop
from tests.support.raw_station import RawStation

VENDOR = "org.openchargealliance.costmsg"
TEXT = "0.40 EUR per kWh incl. VAT"


async def priced(operator: Operator) -> str:
    station_id = await operator.register(managed=True)
    answer = await operator.http.put(
        f"/stations/{station_id}/pricing", json={"enabled": True}
    )
    assert answer.status_code == 200, answer.text
    return station_id


async def told(station: RawStation, message_id: str) -> dict[str, Any]:
    """Data of the newest cost message of a kind."""

    async def newest() -> list[dict[str, Any]]:
        return [
            json.loads(one["data"])
            for one in station.calls("DataTransfer")
            if (one["vendorId"], one["messageId"]) == (VENDOR, message_id)
        ]

    found: list[dict[str, Any]] = await until(newest)
    return found[-1]


async def written(station: RawStation, key: str) -> str:
    async def value() -> str | None:
        found = [
            one["value"]
            for one in station.calls("ChangeConfiguration")
            if one["key"] == key
        ]
        return found[-1] if found else None

    found: str = await until(value)
    return found


@pytest.mark.action16(
    "ChangeConfiguration to the station", "DataTransfer to the station"
)
async def test_the_price_the_running_and_the_final_cost_are_shown(
    operator: Operator,
) -> None:
    await operator.token("CALDRIVER")
    station_id = await priced(operator)
    async with operator.connect(station_id, version="1.6") as station:
        await station.boot()
        default = json.loads(await written(station, "DefaultPrice"))
        assert default["priceText"] == TEXT
        assert default["chargingPrice"] == {"kWhPrice": 0.4}
        await station.ask("Authorize", {"idTag": "CALDRIVER"})
        assert await told(station, "SetUserPrice") == {
            "idToken": "CALDRIVER",
            "priceText": TEXT,
        }
        number = (await start(station, "CALDRIVER", 1_000, ago_s=240))["transactionId"]
        running = await told(station, "RunningCost")
        assert (running["transactionId"], running["cost"]) == (number, 0)
        await stop(station, number, 1_500)
        final = await told(station, "FinalCost")
    assert (final["transactionId"], final["cost"]) == (number, 0.2)


@pytest.mark.action16("DataTransfer to the station")
async def test_a_station_that_knows_no_prices_is_asked_once(
    operator: Operator,
) -> None:
    await operator.token("CALOLD")
    station_id = await priced(operator)
    async with operator.connect(station_id, version="1.6") as station:
        station.handlers["DataTransfer"] = lambda _: {"status": "UnknownVendorId"}
        await station.boot()
        await station.ask("Authorize", {"idTag": "CALOLD"})
        await told(station, "SetUserPrice")

        async def is_noted() -> bool:
            shown = await operator.get(f"/stations/{station_id}/pricing")
            return "cost_messages" in shown["refused"]

        await until(is_noted)
        number = (await start(station, "CALOLD"))["transactionId"]
        await stop(station, number, 2_000)
        await station.ask("Authorize", {"idTag": "CALOLD"})
        await station.ask("Heartbeat", {})
        assert len(station.calls("DataTransfer")) == 1


@pytest.mark.action16("DataTransfer from the station")
async def test_a_driver_who_unplugs_is_noted(operator: Operator) -> None:
    station_id = await priced(operator)
    async with operator.connect(station_id, version="1.6") as station:
        await station.boot()
        notice = {"vendorId": VENDOR, "messageId": "ConnectorUnplugged"}
        data = json.dumps({"transactionId": 1, "timestamp": stamp()})
        answer = await station.ask("DataTransfer", notice | {"data": data})
        assert answer == {"status": "Accepted"}
        other = await station.ask("DataTransfer", notice | {"messageId": "Other"})
        assert other == {"status": "UnknownMessageId"}
