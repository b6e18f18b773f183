"""Configuration of 1.6 stations: read, compared, applied with proof."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def configured(station: RawStation, values: dict[str, str], **statuses: str) -> None:
    """Let the station hold settings; ``statuses`` are answers to writes by key."""

    def read(asked: dict[str, Any]) -> dict[str, Any]:
        keys = asked.get("key") or list(values)
        return {
            "configurationKey": [
                {"key": key, "value": values[key], "readonly": key == "Fixed"}
                for key in keys
                if key in values
            ],
            "unknownKey": [key for key in keys if key not in values],
        }

    def write(asked: dict[str, Any]) -> dict[str, Any]:
        status = statuses.get(asked["key"], "Accepted")
        if status == "Accepted":
            values[asked["key"]] = asked["value"]
        return {"status": "Accepted" if status == "Ignored" else status}

    station.handlers["GetConfiguration"] = read
    station.handlers["ChangeConfiguration"] = write


@pytest.mark.action16(
    "GetConfiguration to the station", "ChangeConfiguration to the station"
)
async def test_settings_are_applied_where_they_differ_and_read_back(
    site: ApiSite,
) -> None:
    await site.register("APPLY")
    path = "/stations/APPLY/configuration"
    wanted = {
        "HeartbeatInterval": "300",
        "Same": "TRUE",
        "Liar": "1",
        "Reboots": "1",
        "Fixed": "2",
    }
    values = {
        "HeartbeatInterval": "60",
        "Same": "true",
        "Liar": "0",
        "Reboots": "0",
        "Fixed": "1",
    }
    async with site.station("APPLY") as station:
        configured(
            station,
            values,
            Liar="Ignored",
            Reboots="RebootRequired",
            Fixed="Rejected",
        )
        await station.boot()
        missing = await site.call("GET", path, status=404)
        assert missing["error"] == "not_read"
        said = await site.call("POST", f"{path}/apply", {"wanted": wanted})
        assert {one["key"]: one["result"] for one in said["items"]} == {
            "HeartbeatInterval": "verified",
            "Same": "unchanged",
            "Liar": "not_verified",
            "Reboots": "reboot_required",
            "Fixed": "refused",
        }
        written = [one["key"] for one in station.calls("ChangeConfiguration")]
        assert sorted(written) == ["Fixed", "HeartbeatInterval", "Liar", "Reboots"]
        assert station.calls("Reset") == []
        known = await site.call("GET", path)
        assert known["read_at"] is None
        assert {one["key"]: one["value"] for one in known["keys"]} == values


async def test_wanted_values_are_compared_without_a_word_to_the_station(
    site: ApiSite,
) -> None:
    await site.register("DIFF")
    path = "/stations/DIFF/configuration"
    held = {"A": "1", "B": "2", "Fixed": "3", "AuthorizationKey": "secret-of-it"}
    async with site.station("DIFF") as station:
        configured(station, held)
        await station.boot()
        await site.call("POST", "/stations/DIFF/calls", {"action": "GetConfiguration"})
    known = await site.call("GET", path)
    assert known["read_at"] is not None
    assert "secret-of-it" not in str(known)
    wanted = {"a": "1", "B": "5", "Fixed": "4", "Other": "6"}
    said = await site.call("POST", f"{path}/diff", {"wanted": wanted})
    assert {name: [one["key"] for one in found] for name, found in said.items()} == {
        "same": ["a"],
        "differs": ["B"],
        "read_only": ["Fixed"],
        "unknown": ["Other"],
    }


@pytest.mark.action16(
    "GetConfiguration to the station", "ChangeConfiguration to the station"
)
async def test_a_managed_station_is_read_once_and_written_only_what_differs(
    site: ApiSite,
) -> None:
    await site.register("AUTO", managed=True)
    held = {"MeterValueSampleInterval": "7", "Other": "x"}
    async with site.station("AUTO") as station:
        configured(station, held)
        await station.boot()
        await station.heard_so_far("GetConfiguration", 2)
        assert station.calls("GetConfiguration")[0] == {}
        known = await site.call("GET", "/stations/AUTO/configuration")
        assert known["read_at"] is not None
        assert len(station.calls("ChangeConfiguration")) == 2


async def test_2_0_1_and_bad_wishes_are_refused_with_a_reason(site: ApiSite) -> None:
    await site.register("WRONG")
    path = "/stations/WRONG/configuration/apply"
    body = {"wanted": {"A": "1"}}
    await site.call("POST", path, body, status=409)
    bad: list[dict[str, Any]] = [{"wanted": {}}, {"wanted": {"A": 1}}, {}]
    for wrong in bad:
        await site.call("POST", path, wrong, status=422)
    async with site.station("WRONG", "2.0.1") as station:
        refused = await site.call("POST", path, body, status=422)
        assert refused["error"] == "NotImplemented"
        assert station.heard == []
