"""Drivers are told prices and costs where stations can show them, and nothing waits."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.clock import SystemClock
from tests.support.api_site import ApiSite, api_site
from tests.support.queue_station import accept, stamp
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")
VENDOR = "org.openchargealliance.costmsg"
TEXT = "0.42 EUR per kWh incl. VAT"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    billing = {
        "currency": "EUR",
        "default_tariff": "day",
        "pricing_messages": True,
        "cost_interval_s": 5,
    }
    async with api_site(
        tmp_path_factory.mktemp("site"),
        billing=billing,
        ocpp={"clear_cache_on_revoke": True},
    ) as running:
        await running.call("PUT", "/id-tokens/DRIVER", {})
        yield running


def tariff(price: str) -> dict[str, Any]:
    """A tariff with one price."""
    component = {"type": "ENERGY", "price": price}
    return {"currency": "EUR", "elements": [{"price_components": [component]}]}


def messages(station: RawStation, message_id: str) -> list[dict[str, Any]]:
    """Data of the cost messages of one kind so far."""
    return [
        json.loads(one["data"])
        for one in station.calls("DataTransfer")
        if one["vendorId"] == VENDOR and one["messageId"] == message_id
    ]


async def until_told(
    site: ApiSite, station: RawStation, message_id: str, count: int = 1
) -> dict[str, Any]:
    async def told() -> bool:
        return len(messages(station, message_id)) >= count

    await site.until(told)
    return messages(station, message_id)[-1]


async def refused(site: ApiSite, name: str) -> dict[str, Any]:
    shown = await site.call("GET", f"/stations/{name}/pricing")
    found: dict[str, Any] = shown["refused"]
    return found


@pytest.mark.action16(
    "DataTransfer to the station", "ChangeConfiguration to the station"
)
async def test_a_1_6_driver_sees_the_price_the_running_and_the_final_cost(
    site: ApiSite,
) -> None:
    await site.register("P16", managed=True)
    async with site.station("P16") as station:
        await station.boot()
        await station.heard_so_far("ChangeConfiguration", 6)
        settings = {
            one["key"]: one["value"] for one in station.calls("ChangeConfiguration")
        }
        assert json.loads(settings["DefaultPrice"]) == {
            "priceText": TEXT,
            "priceTextOffline": TEXT,
            "chargingPrice": {"kWhPrice": 0.42},
        }
        assert settings["NumberOfDecimalsForCostValues"] == "2"
        assert settings["TimeOffset"] == "+00:00"
        await station.ask("Authorize", {"idTag": "driver"})
        said = await until_told(site, station, "SetUserPrice")
        assert said == {"idToken": "driver", "priceText": TEXT}
        start = {"connectorId": 1, "idTag": "DRIVER", "meterStart": 1_000}
        number = (
            await station.ask("StartTransaction", start | {"timestamp": stamp(240)})
        )["transactionId"]
        said = await until_told(site, station, "RunningCost")
        said.pop("timestamp")
        assert said == {
            "transactionId": number,
            "meterValue": 1_000,
            "cost": 0.0,
            "state": "Charging",
            "chargingPrice": {"kWhPrice": 0.42},
        }
        sample = {"timestamp": stamp(), "sampledValue": [{"value": "6000"}]}
        metered = {"connectorId": 1, "transactionId": number, "meterValue": [sample]}
        await station.ask("MeterValues", metered)
        stop = {"transactionId": number, "meterStop": 11_000, "timestamp": stamp()}
        await station.ask("StopTransaction", stop)
        said = await until_told(site, station, "FinalCost")
        assert said == {
            "transactionId": number,
            "cost": 4.2,
            "priceText": "4.20 EUR, 10.000 kWh",
        }
        assert len(messages(station, "RunningCost")) == 1, "one within the interval"


async def test_who_may_not_charge_is_told_no_price(site: ApiSite) -> None:
    await site.register("P16-NO", managed=True)
    async with site.station("P16-NO") as station:
        await station.boot()
        await station.heard_so_far("ChangeConfiguration", 6)
        await station.ask("Authorize", {"idTag": "stranger"})
        await station.ask("Authorize", {"idTag": "DRIVER"})
        await until_told(site, station, "SetUserPrice")
        assert len(messages(station, "SetUserPrice")) == 1


async def test_a_1_6_station_that_knows_no_prices_is_asked_once(site: ApiSite) -> None:
    await site.register("P16-OLD", managed=True)
    for is_first in (True, False):
        async with site.station("P16-OLD") as station:
            station.handlers["DataTransfer"] = lambda _: {"status": "UnknownVendorId"}
            station.handlers["ChangeConfiguration"] = lambda asked: {
                "status": "NotSupported"
                if asked["key"] == "DefaultPrice"
                else "Accepted"
            }
            await station.boot()
            await station.ask("Authorize", {"idTag": "DRIVER"})
            if is_first:
                await until_told(site, station, "SetUserPrice")

            async def both() -> bool:
                found = await refused(site, "P16-OLD")
                return found.keys() == {"default_price", "cost_messages"}

            await site.until(both)
            await station.heard_so_far("ChangeConfiguration", 2)
            asked = [one["key"] for one in station.calls("ChangeConfiguration")]
            assert ("DefaultPrice" in asked) is is_first
            assert "TimeOffset" not in asked
            assert bool(station.calls("DataTransfer")) is is_first
    shown = await site.call("PUT", "/stations/P16-OLD/pricing", {"enabled": True})
    assert shown["refused"] == {}
    assert shown["text"] == TEXT


@pytest.mark.use_case("I01", "I04", "I05")
async def test_a_2_0_1_driver_reads_the_price_in_the_answer(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/DEUTSCH", {"language": "de"})
    await site.register("P201", managed=True)
    now = SystemClock().now()
    async with site.station("P201", "2.0.1") as station:
        station.handlers["SetVariables"] = lambda asked: accept("SetVariables", asked)
        station.handlers["CostUpdated"] = lambda _: {}
        await station.boot()
        token = {"idToken": "deutsch", "type": "ISO14443"}
        said = await station.ask("Authorize", {"idToken": token})
        assert said["idTokenInfo"]["personalMessage"] == {
            "format": "UTF8",
            "language": "de",
            "content": "0,42 EUR pro kWh inkl. MwSt.",
        }

        def told(name: str) -> list[str]:
            return [
                one["setVariableData"][0]["attributeValue"]
                for one in station.calls("SetVariables")
                if one["setVariableData"][0]["variable"]["name"] == name
            ]

        async def all_told() -> bool:
            return bool(told("Currency"))

        await site.until(all_told)
        assert told("TariffFallbackMessage") == [TEXT]
        assert told("Currency") == ["EUR"]
        for seq_no, kind in enumerate(("Started", "Updated")):
            sample = {
                "timestamp": stamp(),
                "sampledValue": [{"value": 1_000 * (seq_no + 1)}],
            }
            event = {
                "eventType": kind,
                "timestamp": (now + seq_no * timedelta(seconds=1)).isoformat(),
                "triggerReason": "MeterValuePeriodic",
                "seqNo": seq_no,
                "transactionInfo": {"transactionId": "p201"},
                "evse": {"id": 1, "connectorId": 1},
                "meterValue": [sample],
            }
            await station.ask("TransactionEvent", event)
        await station.heard_so_far("CostUpdated", 1)
        said = station.calls("CostUpdated")[0]
        assert said["transactionId"] == "p201"


@pytest.mark.use_case("I01", "I04")
async def test_a_2_0_1_station_without_the_component_is_asked_once(
    site: ApiSite,
) -> None:
    await site.register("P201-OLD", managed=True)

    def refuse(asked: dict[str, Any]) -> dict[str, Any]:
        answer = accept("SetVariables", asked)
        for result in answer["setVariableResult"]:
            if result["component"]["name"] == "TariffCostCtrlr":
                result["attributeStatus"] = "UnknownComponent"
        return answer

    async with site.station("P201-OLD", "2.0.1") as station:
        station.handlers["SetVariables"] = refuse
        await station.boot()

        async def is_known() -> bool:
            return "default_price" in await refused(site, "P201-OLD")

        await site.until(is_known)
        about_prices = [
            one
            for one in station.calls("SetVariables")
            if one["setVariableData"][0]["component"]["name"] == "TariffCostCtrlr"
        ]
        assert len(about_prices) == 1


@pytest.mark.use_case("I04")
async def test_a_changed_tariff_reaches_stations_that_are_connected(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/tariffs/own", tariff("0.10"))
    await site.register("P16-NEW", managed=True, tariff_id="own")
    async with site.station("P16-NEW") as station:
        await station.boot()
        await station.heard_so_far("ChangeConfiguration", 6)
        await site.call("PUT", "/tariffs/own", tariff("0.20"))

        async def told() -> bool:
            return any(
                one["key"] == "DefaultPrice" and "0.20 EUR" in one["value"]
                for one in station.calls("ChangeConfiguration")
            )

        await site.until(told)


def multilingual(_payload: dict[str, Any]) -> dict[str, Any]:
    """GetConfiguration: messages in three languages, two of them known here."""
    settings = {
        "CustomMultiLanguageMessages": "true",
        "SupportedLanguages": "de-DE, fr,eo",
    }
    rows = [
        {"key": key, "readonly": True, "value": value}
        for key, value in settings.items()
    ]
    return {"configurationKey": rows, "unknownKey": []}


@pytest.mark.action16("ChangeConfiguration to the station")
async def test_a_1_6_station_gets_its_default_price_in_the_languages_it_names(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/tariffs/words", tariff("0.30"))
    await site.register("P16-LANG", managed=True, tariff_id="words")
    async with site.station("P16-LANG") as station:
        station.handlers["GetConfiguration"] = multilingual
        await station.boot()
        await site.call("POST", "/stations/P16-LANG/variables/read", {"items": []})
        await site.call("PUT", "/tariffs/words", tariff("0.20"))

        def texts() -> dict[str, Any]:
            return {
                one["key"]: json.loads(one["value"])
                for one in station.calls("ChangeConfiguration")
                if one["key"].startswith("DefaultPriceText")
            }

        async def told() -> bool:
            return "0,20 EUR" in str(texts().get("DefaultPriceText,fr"))

        await site.until(told)
    german = "0,20 EUR pro kWh inkl. MwSt."
    assert set(texts()) == {"DefaultPriceText,de-DE", "DefaultPriceText,fr"}
    assert texts()["DefaultPriceText,de-DE"] == {
        "priceText": german,
        "priceTextOffline": german,
    }


async def test_a_place_given_up_after_the_session_is_noted(site: ApiSite) -> None:
    await site.register("P16-PLUG", managed=True)
    async with site.station("P16-PLUG") as station:
        await station.boot()
        unplugged = {"vendorId": VENDOR, "messageId": "ConnectorUnplugged"}
        said = await station.ask("DataTransfer", unplugged | {"data": "{}"})
        assert said == {"status": "Accepted"}
        said = await station.ask("DataTransfer", unplugged | {"messageId": "Other"})
        assert said == {"status": "UnknownMessageId"}


async def test_a_station_switched_off_hears_no_prices(site: ApiSite) -> None:
    await site.register("P16-OFF", managed=True)
    shown = await site.call("PUT", "/stations/P16-OFF/pricing", {"enabled": False})
    assert (shown["enabled"], shown["switch"]) == (False, False)
    async with site.station("P16-OFF") as station:
        await station.boot()
        await station.ask("Authorize", {"idTag": "DRIVER"})
        await station.heard_so_far("ChangeConfiguration", 2)
        keys = {one["key"] for one in station.calls("ChangeConfiguration")}
        assert "DefaultPrice" not in keys
        assert station.calls("DataTransfer") == []


@pytest.mark.use_case("C11")
@pytest.mark.action16("ClearCache to the station")
async def test_caches_are_cleared_once_for_tokens_that_are_revoked(
    site: ApiSite,
) -> None:
    for name in ("C-A", "C-B"):
        await site.call("PUT", f"/id-tokens/{name}", {})
    await site.register("CACHE", managed=True)
    await site.register("ALONE")
    async with site.station("CACHE") as station, site.station("ALONE") as alone:
        for one in (station, alone):
            await one.boot()
        await site.call("PUT", "/id-tokens/C-A", {"status": "Blocked"})
        await site.call("DELETE", "/id-tokens/C-B")
        await station.heard_so_far("ClearCache", 1)
        await site.call("PUT", "/id-tokens/C-NEW", {})
        await site.call("PUT", "/id-tokens/C-A", {"status": "Blocked"})
        await site.call("PUT", "/id-tokens/C-NEW", {"stations": ["CACHE"]})
        await station.heard_so_far("ClearCache", 2)
        assert len(station.calls("ClearCache")) == 2
        assert alone.calls("ClearCache") == []
