"""What is refused because of the version a station speaks, and what to use instead."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"content": "Closed"}
MONITORS = {"items": [{"component": "EVSE", "variable": "Power", "value": 1}]}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        for name, version in (("CP1", "1.6"), ("CP2", "2.0.1")):
            await running.register(name)
            async with running.station(name, version) as station:
                await station.boot()
        await running.register("NEVER")
        yield running


async def refused(site: ApiSite, method: str, path: str, body: Any = None) -> str:
    answer = await site.call(method, path, body, status=422, role="admin")
    assert answer["error"] == "NotImplemented"
    return str(answer["message"])


@pytest.mark.parametrize("name", ["CP1", "CP2", "NEVER"])
async def test_an_action_that_no_version_has_is_refused_at_once(
    site: ApiSite, name: str
) -> None:
    path = f"/stations/{name}/commands"
    text = await refused(site, "POST", path, {"action": "Foo"})
    assert "'Foo'" in text
    assert "remote_start" in text
    assert ("GetConfiguration" in text) is (name != "CP2")
    assert ("GetVariables" in text) is (name != "CP1")
    close = await refused(site, "POST", path, {"action": "reset"})
    assert "did you mean Reset?" in close
    own = await refused(site, "POST", path, {"action": "BootNotification"})
    assert "sent by stations" in own
    assert await site.call("GET", f"/commands?station_id={name}&state=queued") == []


async def test_an_action_of_the_other_version_names_the_version(site: ApiSite) -> None:
    newer = {"action": "GetVariables"}
    text = await refused(site, "POST", "/stations/CP1/commands", newer)
    assert text == (
        "CP1 speaks OCPP 1.6; GetVariables exists from 2.0.1 on"
        " (1.6: GetConfiguration, the route /configuration or /variables/read)"
    )
    older = {"action": "ChangeConfiguration"}
    text = await refused(site, "POST", "/stations/CP2/commands", older)
    assert text == (
        "CP2 speaks OCPP 2.0.1; ChangeConfiguration is of 1.6 only"
        " (2.0.1: SetVariables, the route /variables/write)"
    )
    async with site.station("CP1"):
        for path in ("/stations/CP1/commands", "/stations/CP1/calls"):
            text = await refused(site, "POST", path, newer)
            assert text.startswith("CP1 speaks OCPP 1.6; GetVariables")


async def test_a_station_that_was_never_here_gets_it_checked_when_it_comes(
    site: ApiSite,
) -> None:
    body = {"action": "GetVariables", "payload": {}}
    path = "/stations/NEVER/commands"
    command = await site.call("POST", path, body, status=202)
    assert command["state"] == "queued"
    assert "OCPP version is not known" in command["detail"]
    await site.call("DELETE", f"/commands/{command['command_id']}")


@pytest.mark.parametrize(
    ("name", "asked", "body", "instead"),
    [
        ("CP1", ("POST", "/reports"), {"base": "FullInventory"}, "/configuration"),
        ("CP1", ("GET", "/device-model"), None, "/configuration"),
        ("CP1", ("POST", "/display-messages"), MESSAGE, ""),
        ("CP1", ("POST", "/display-messages/refresh"), None, ""),
        ("CP1", ("DELETE", "/display-messages/1"), None, ""),
        ("CP1", ("POST", "/monitors"), MONITORS, ""),
        ("CP1", ("POST", "/monitors/refresh"), None, ""),
        ("CP1", ("DELETE", "/monitors?id=1"), None, ""),
        ("CP1", ("PUT", "/monitoring"), {"level": 4}, ""),
        ("CP1", ("POST", "/network-profiles"), {"slot": 1, "connection": {}}, ""),
        (
            "CP1",
            ("POST", "/customer-information"),
            {"report": True, "customer_identifier": "C"},
            "",
        ),
        ("CP2", ("GET", "/configuration"), None, "/device-model"),
        (
            "CP2",
            ("POST", "/configuration/diff"),
            {"wanted": {"HeartbeatInterval": "1"}},
            "/device-model",
        ),
        (
            "CP2",
            ("POST", "/configuration/apply"),
            {"wanted": {"HeartbeatInterval": "1"}},
            "/variables/write",
        ),
    ],
)
async def test_a_route_of_the_other_version_names_the_version_and_the_route(
    site: ApiSite, name: str, asked: tuple[str, str], body: Any, instead: str
) -> None:
    method, path = asked
    text = await refused(site, method, f"/stations/{name}{path}", body)
    assert text.startswith(f"{name} speaks OCPP {'1.6' if name == 'CP1' else '2.0.1'};")
    assert instead in text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/reports", {"base": "FullInventory"}),
        ("POST", "/display-messages", MESSAGE),
        ("POST", "/configuration/apply", {"wanted": {"HeartbeatInterval": "1"}}),
    ],
)
async def test_a_route_for_a_station_that_was_never_here_is_refused_as_not_connected(
    site: ApiSite, method: str, path: str, body: Any
) -> None:
    answer = await site.call(method, f"/stations/NEVER{path}", body, status=409)
    assert answer["error"] == "not_connected"
