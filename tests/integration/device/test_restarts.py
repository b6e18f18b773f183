"""Stations that must restart before a setting counts: marked, restarted on order."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import StationId
from gateway.web import attention
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def needed(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to a write, of either version."""
    if "key" in asked:
        return {"status": "RebootRequired"}
    return {
        "setVariableResult": [
            {
                "attributeStatus": "RebootRequired",
                "component": one["component"],
                "variable": one["variable"],
            }
            for one in asked["setVariableData"]
        ]
    }


def setting(version: str) -> dict[str, Any]:
    """A call that writes one."""
    if version == "1.6":
        payload: dict[str, Any] = {"key": "Light", "value": "1"}
        return {"action": "ChangeConfiguration", "payload": payload}
    item = {
        "attributeValue": "1",
        "component": {"name": "Light"},
        "variable": {"name": "Level"},
    }
    return {"action": "SetVariables", "payload": {"setVariableData": [item]}}


@pytest.mark.quirk(16)
@VERSIONS
async def test_a_station_that_must_restart_is_marked_and_restarted_on_order(
    site: ApiSite, version: str
) -> None:
    name = f"RESTART-{version}"
    await site.register(name)
    async with site.station(name, version) as station:
        station.handlers["ChangeConfiguration"] = needed
        station.handlers["SetVariables"] = needed
        await station.boot()
        before = await site.call("GET", f"/stations/{name}")
        assert before["restart_needed_at"] is None
        await site.call("POST", f"/stations/{name}/calls", setting(version))
        marked = await site.call("GET", f"/stations/{name}")
        assert marked["restart_needed_at"] is not None
        shown = "".join(attention._station_troubles([marked], site.parts.clock.now()))
        assert f"{name} must be restarted" in shown
        assert station.calls("Reset") == []
        await site.parts.directory.reload()  # it is stored, too
        again = await site.call("GET", f"/stations/{name}")
        assert again["restart_needed_at"] == marked["restart_needed_at"]
        await site.call("POST", f"/stations/{name}/restart", status=202)
        await station.heard_so_far("Reset", 1)
        kind = {"1.6": "Soft", "2.0.1": "OnIdle"}[version]
        assert station.calls("Reset") == [{"type": kind}]
        await station.boot()
        after = await site.call("GET", f"/stations/{name}")
        assert after["restart_needed_at"] is None
        await site.parts.directory.reload()
        entry = site.parts.directory.require(StationId(name))
        assert entry.restart_needed_at is None


@pytest.mark.quirk(16)
async def test_no_station_is_restarted_while_somebody_charges(site: ApiSite) -> None:
    await site.register("BUSY")
    async with site.station("BUSY") as station:
        await station.boot()
        start = {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1,
            "timestamp": site.parts.clock.now().isoformat(),
        }
        await station.call("StartTransaction", start)
        refused = await site.call("POST", "/stations/BUSY/restart", status=409)
        assert refused["error"] == "not_idle"
        assert station.calls("Reset") == []


async def test_a_station_that_never_connected_cannot_be_restarted(
    site: ApiSite,
) -> None:
    await site.register("NEVER")
    refused = await site.call("POST", "/stations/NEVER/restart", status=409)
    assert refused["error"] == "unknown_version"
