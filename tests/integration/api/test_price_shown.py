"""Cockpit, driver and station read the same price, wherever it was written."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import SessionId
from gateway.services import live
from gateway.services.live import View
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


async def test_a_page_that_nobody_looks_at_any_more_is_not_read_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every driver's link would otherwise cost for as long as one page is open."""
    async with api_site(tmp_path) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        await site.register("CP")
        async with site.station("CP") as station:
            await station.boot()
            for connector in (1, 2):
                start = {"connectorId": connector, "idTag": "DRIVER", "meterStart": 0}
                await station.ask("StartTransaction", start | {"timestamp": stamp()})
            sessions = await site.call("GET", "/sessions?station_id=CP")
        left, stays = (SessionId(one["session_id"]) for one in sessions)
        monkeypatch.setattr(live, "IDLE_S", 1.0)
        views = site.parts.live
        read: list[SessionId] = []
        token_of = site.parts.needs.driver_token
        assert views.driver(token_of(left)) is not None
        of_session = views._driver_of

        def noted(conn: sqlite3.Connection, one: SessionId) -> View | None:
            read.append(one)
            return of_session(conn, one)

        monkeypatch.setattr(views, "_driver_of", noted)

        async def is_only_one_read() -> bool:
            assert views.driver(token_of(stays)) is not None
            return read[-4:] == [stays] * 4

        await site.until(is_only_one_read)
        assert left in read
        assert views.driver(token_of(left)) is not None
