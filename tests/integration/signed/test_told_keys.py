"""Keys that stations tell among their settings, over the real wire."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.bus import AlarmRaised
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.meter_spec import MeterSpec
from tests.integration.sim.test_flow import station
from tests.integration.sim.tiny_csms import TinyCsms
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter

VERSIONS = ["1.6", "2.0.1"]
NAMES = {"1.6": "MeterPublicKey{}", "2.0.1": "evse{}/FiscalMetering.PublicKey"}
PATH = "/stations/SIGN/meter-keys"
TELL: dict[str, tuple[str, dict[str, Any]]] = {
    "1.6": ("GetConfiguration", {"key": ["MeterPublicKey1"]}),
    "2.0.1": (
        "GetVariables",
        {
            "getVariableData": [
                {
                    "component": {"name": "FiscalMetering", "evse": {"id": 1}},
                    "variable": {"name": "PublicKey"},
                }
            ]
        },
    ),
}
"""The call that makes a station tell its key again."""


def where(site: ApiSite) -> TinyCsms:
    return TinyCsms(port=urlsplit(site.gateway.ocpp_url).port or 0)


async def proposed(site: ApiSite, count: int) -> list[dict[str, Any]]:
    """So many proposals, by EVSE."""

    async def are_there() -> bool:
        keys = await site.call("GET", PATH)
        return len(keys["proposed"]) >= count

    await site.until(are_there)
    found = (await site.call("GET", PATH))["proposed"]
    return sorted(found, key=lambda one: one["evse_id"])


@pytest.mark.parametrize("version", VERSIONS)
async def test_keys_are_proposed_before_anybody_has_charged(
    tmp_path: Path, version: str
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("SIGN", managed=True)
        async with station(
            where(site),
            version,
            station_id="SIGN",
            password=PASSWORD,
            n_evse=2,
            meter=MeterSpec(),
        ) as cp:
            found = await proposed(site, 2)
        for evse_id, one in enumerate(found, 1):
            own = cp.connectors[evse_id].meter
            assert own is not None
            assert own.label.endswith(one["public_key"])
            assert one["told_as"] == [NAMES[version].format(evse_id)]
            assert one["meter_serial"] == (None if version == "1.6" else own.serial)
        assert (await site.call("GET", PATH))["pinned"] == []
        rows = await site.parts.live.station("SIGN")
        assert rows is not None
        assert [one["state"] for one in rows["meter_keys"]] == ["proposed", "proposed"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_told_key_that_is_not_the_pinned_one_is_one_alarm(
    tmp_path: Path, version: str
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("SIGN", managed=True)
        body = {"public_key": Meter().public_key}
        await site.call("PUT", f"{PATH}/1", body)
        with site.parts.bus.subscribe("test", of=(AlarmRaised,)) as alarms:
            async with station(
                where(site),
                version,
                station_id="SIGN",
                password=PASSWORD,
                meter=MeterSpec(),
            ) as cp:
                (alarm,) = await alarms.batch()
                assert isinstance(alarm, AlarmRaised)
                assert alarm.value.startswith("EVSE 1 signs with ")
                action, payload = TELL[version]
                await _told_again(site, action, payload)
                assert alarms.drain() == []
                _exchange_meter(cp)
                await _told_again(site, action, payload)
                (second,) = await alarms.batch()
                assert isinstance(second, AlarmRaised)
                assert second.value != alarm.value
        states = [one["is_pinned"] for one in await proposed(site, 2)]
        assert states == [False, False]


async def _told_again(site: ApiSite, action: str, payload: dict[str, Any]) -> None:
    """Make the station tell its key, and have everything looked at."""
    body = {"action": action, "payload": payload}
    await site.call("POST", "/stations/SIGN/calls", body)
    await site.parts._money.told_keys.look()


def _exchange_meter(cp: Any) -> None:
    """Another key at EVSE 1, as after an exchange of the meter."""
    other = Meter(secret=7).public_key
    match cp:
        case ChargerV16():
            cp.keys["MeterPublicKey1"] = other
        case ChargerV201():
            variable = cp.model.find("FiscalMetering", "PublicKey", evse_id=1)
            assert variable is not None
            variable.value = other
        case _:
            raise AssertionError(cp)
