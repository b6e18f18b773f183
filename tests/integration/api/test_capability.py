"""What stations can be told, learned over sockets, shown by the whole application."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.web.station_parts import parts
from tests.support.api_site import api_site

SUPPORTED = {"status": "Accepted"}
UNSUPPORTED = {"status": "NotSupported"}


def default_of_connector_only(payload: dict[str, Any]) -> dict[str, Any]:
    """A station that knows defaults of single connectors only, and 16 A only in W."""
    profile = payload["csChargingProfiles"]
    is_default = profile["chargingProfilePurpose"] == "TxDefaultProfile"
    return SUPPORTED if is_default and payload["connectorId"] else UNSUPPORTED


def default_of_evse_only(payload: dict[str, Any]) -> dict[str, Any]:
    """The same in 2.0.1, where it has a reason to give for A."""
    profile = payload["chargingProfile"]
    if profile["chargingSchedule"][0]["chargingRateUnit"] == "A":
        return {
            "status": "Rejected",
            "statusInfo": {"reasonCode": "UnsupportedRateUnit"},
        }
    is_default = profile["chargingProfilePurpose"] == "TxDefaultProfile"
    return SUPPORTED if is_default and payload["evseId"] else UNSUPPORTED


@pytest.mark.quirk(25)
@pytest.mark.action16("SetChargingProfile to the station")
async def test_a_1_6_station_is_told_what_it_takes_and_the_page_says_so(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("OLD", managed=True)
        async with site.station("OLD") as station:
            station.handlers["SetChargingProfile"] = default_of_connector_only
            station.handlers["GetConfiguration"] = lambda _: {
                "configurationKey": [
                    {
                        "key": "ChargingScheduleMaxPeriods",
                        "readonly": True,
                        "value": "3",
                    }
                ]
            }
            await station.boot()

            async def is_learned() -> bool:
                found = await site.call("GET", "/stations/OLD/capability")
                return bool(found["refused"] == ["station_default"])

            await site.until(is_learned)
            found = await site.call("GET", "/stations/OLD/capability")
            assert (found["way"], found["default_way"]) == ("session", "evse_default")
            assert found["sources"]["station_default"] == "answers"
            models = await site.call("GET", "/capabilities")
            (model,) = [one for one in models if one["vendor"] == "Voltwerk"]
            assert model["stations"] == ["OLD"]
            assert model["refused"] == {"station_default": 1}
            page = await site.parts.live.station("OLD")
            assert page is not None
            html = parts(page, site.parts.clock.now(), ZoneInfo("UTC"))
            assert "it does not take defaults of the station" in html["facts"]
            await site.call("DELETE", "/stations/OLD/capability")
            last = station.calls("SetChargingProfile")[-1]
            assert last["connectorId"] == 1
        text = (await site.client.get("/metrics")).text
        assert "wattproof_limits_sent " in text
        assert "wattproof_limits_per_evse_hour " in text


@pytest.mark.quirk(25)
@pytest.mark.use_case("K01")
async def test_a_reason_of_2_0_1_names_the_unit(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        await site.register("NEW", managed=True)
        async with site.station("NEW", version="2.0.1") as station:
            station.handlers["SetChargingProfile"] = default_of_evse_only
            await station.boot()

            async def is_learned() -> bool:
                found = await site.call("GET", "/stations/NEW/capability")
                return bool(found["refused"] == ["ampere", "station_default"])

            await site.until(is_learned)
            found = await site.call("GET", "/stations/NEW/capability")
            assert found["units"] == ["W"]


async def test_stations_behind_no_cabinet_have_no_capability(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        await site.register("FREE")
        found = await site.call("GET", "/stations/FREE/capability", status=404)
        assert found["error"] == "no_cabinet"
