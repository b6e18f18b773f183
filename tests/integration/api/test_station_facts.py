"""All that is known of one station, read from the running gateway for its page."""

from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.web.station_parts import parts
from tests.support.api_site import api_site


async def test_a_station_is_shown_with_all_that_happened_to_it(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        await site.register("CP")
        async with site.station("CP") as station:
            await station.boot()
            await station.ask(
                "StatusNotification",
                {
                    "connectorId": 1,
                    "errorCode": "NoError",
                    "status": "Available",
                    "timestamp": "222222017-01-01T00:00:00Z",
                },
            )
            assert (await station.call("MeterValues", {"connectorId": "no"}))[0] == 4
            found = await site.parts.live.station("CP")
            assert found is not None
            assert found["online"]
            assert found["connection"]["profile"] == 1
        (deviation,) = found["deviations"]
        assert deviation["kind"] == "timestamp_unusable"
        assert deviation["messages"] == 1
        assert found["refused"][0]["action"] == "MeterValues"
        html = parts(found, site.parts.clock.now(), ZoneInfo("Europe/Berlin"))
        assert "222222017" in html["deviations"]
        assert "1 · password, not encrypted" in html["security"]


async def test_an_end_that_fits_no_session_is_shown_to_those_who_look(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("CP")
        async with site.station("CP") as station:
            await station.boot()
            over = {
                "transactionId": 777,
                "meterStop": 1234,
                "timestamp": "2026-11-01T10:00:00Z",
                "idTag": "X",
            }
            for _ in range(2):  # told again, kept once
                answer = await station.call("StopTransaction", over)
                assert (answer[0], answer[2].get("error")) == (3, None)
        (orphan,) = await site.call("GET", "/orphans?station_id=CP")
        assert (orphan["kind"], orphan["transaction_id"]) == ("ended", "777")
        assert orphan["register_milliwh"] == 1_234_000
        assert orphan["reason"] == "unknown_transaction"
        assert orphan["occurred_at"] == "2026-11-01T10:00:00Z"
        assert await site.call("GET", "/orphans") == [orphan]
        assert await site.call("GET", "/orphans?station_id=OLD") == []
        assert (await site.call("GET", "/orphans?station_id=NO", status=404))["error"]
        found = await site.parts.live.station("CP")
        assert found is not None
        html = parts(found, site.parts.clock.now(), ZoneInfo("Europe/Berlin"))
        assert "777" in html["orphans"]
        assert "1.234 kWh" in html["orphans"]


async def test_a_command_that_waits_is_on_the_page_and_so_is_its_end(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site:
        asked = {"action": "ClearCache", "payload": {}}
        sent = await site.call("POST", "/stations/OLD/commands", asked)
        found = await site.parts.live.station("OLD")
        assert found is not None
        (command,) = found["commands"]
        assert (command["command_id"], command["state"]) == (
            sent["command_id"],
            "queued",
        )
        await site.call("DELETE", f"/commands/{sent['command_id']}")

        async def is_shown() -> bool:
            view = await site.parts.live.station("OLD")
            assert view is not None
            return [one["state"] for one in view["commands"]] == ["expired"]

        await site.until(is_shown)


async def test_those_who_look_at_once_cost_one_reading(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        first = await site.parts.live.station("OLD")
        assert await site.parts.live.station("OLD") is first


async def test_an_unknown_station_has_no_page(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        assert await site.parts.live.station("NOBODY") is None


async def test_the_first_look_knows_name_and_zone_already(tmp_path: Path) -> None:
    named = {"name": "Depot", "timezone": "Europe/Berlin", "nominal_v": 230}
    async with api_site(tmp_path, site=named) as site:
        view = site.parts.live.site()
        assert view["now"] is None
        assert (view["name"], view["timezone"]) == ("Depot", "Europe/Berlin")
        assert view["price"] == "0.42 EUR/kWh"
