"""Cockpit, driver and station read the same price, wherever it was written."""

import json
from pathlib import Path
from typing import Any

from gateway.domain.ids import SessionId
from tests.support.api_site import ApiSite, api_site
from tests.support.queue_station import stamp

VENDOR = "org.openchargealliance.costmsg"


def tariff(price: str) -> dict[str, Any]:
    return {
        "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": price}]}],
    }


async def header_says(site: ApiSite, price: str) -> None:
    async def shown() -> bool:
        return bool(site.parts.live.site()["price"] == price)

    await site.until(shown)


async def test_one_price_is_told_everywhere(tmp_path: Path) -> None:
    billing = {"currency": "EUR", "default_tariff": "day", "pricing_messages": True}
    async with api_site(tmp_path, billing=billing) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        await site.register("CP", managed=True)
        await header_says(site, "0.42 EUR/kWh")
        await site.call("PUT", "/tariffs/day", tariff("0.355"))
        await header_says(site, "0.355 EUR/kWh")
        text = "0.355 EUR per kWh incl. VAT"
        async with site.station("CP") as station:
            await station.boot()

            async def told() -> bool:
                return any(
                    json.loads(one["value"])["priceText"] == text
                    for one in station.calls("ChangeConfiguration")
                    if one["key"] == "DefaultPrice"
                )

            await site.until(told)
            start = {"connectorId": 1, "idTag": "DRIVER", "meterStart": 1_000}
            await station.ask("StartTransaction", start | {"timestamp": stamp()})
            (session,) = await site.call("GET", "/sessions?station_id=CP")
            link = site.parts.needs.driver_token(SessionId(session["session_id"]))
            view = site.parts.live.driver(link)
            assert view is not None
            assert view["price"] == text
            assert view["cost"] == "0.00 EUR"


async def test_stations_with_other_tariffs_make_a_range(tmp_path: Path) -> None:
    billing = {"currency": "EUR", "default_tariff": "day"}
    async with api_site(tmp_path, billing=billing) as site:
        await site.call("PUT", "/tariffs/quick", tariff("0.59"))
        await site.register("SLOW")
        await site.register("QUICK", tariff_id="quick")
        await header_says(site, "0.42–0.59 EUR/kWh")
