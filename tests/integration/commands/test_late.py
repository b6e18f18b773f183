"""An answer that comes after its call was given up still counts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from tests.integration.commands.steps import named, until
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
SETTER = {"1.6": "ChangeConfiguration", "2.0.1": "SetVariables"}
SECRET = "0123456789abcdef0123"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def unanswered(
    site: ApiSite, station: RawStation, action: str, payload: Any
) -> dict[str, Any]:
    """A call that times out; the command it made."""
    station.handlers[action] = lambda _: None
    response = await site.send(
        "POST",
        f"/stations/{station.station_id}/calls",
        {"action": action, "payload": payload, "timeout_s": 0.1},
    )
    assert response.json() == {"outcome": "timeout"}
    command_id = response.headers["X-Command-Id"]
    command: dict[str, Any] = await site.call("GET", f"/commands/{command_id}")
    assert (command["state"], command["reason"]) == ("failed", "timeout")
    return command


async def is_let_in(site: ApiSite, name: str, password: str, version: str) -> bool:
    try:
        async with site.station(name, version, password):
            return True
    except InvalidStatus:
        return False


def set_password(version: str, secret: str) -> dict[str, Any]:
    if version == "1.6":
        return {"key": "AuthorizationKey", "value": secret}
    item = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
    }
    return {"setVariableData": [item | {"attributeValue": secret}]}


def answered(version: str, status: str) -> dict[str, Any]:
    if version == "1.6":
        return {"status": status}
    (item,) = set_password(version, "")["setVariableData"]
    kept = {name: item[name] for name in ("component", "variable")}
    return {"setVariableResult": [kept | {"attributeStatus": status}]}


@pytest.mark.quirk(12)
@VERSIONS
async def test_a_late_acceptance_updates_its_command(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        command = await unanswered(site, station, "ClearCache", {})
        await station.answer_last({"status": "Accepted"})
        late = await until(site, command, "effected")
        assert (late["late"], late["reason"]) == (True, None)
        assert late["answer"] == {"status": "Accepted"}
        refused = await unanswered(site, station, "ClearCache", {})
        await station.answer_last({"status": "Rejected"})
        await site.until(lambda: is_refused(site, refused))


async def is_refused(site: ApiSite, command: dict[str, Any]) -> bool:
    found = await site.call("GET", f"/commands/{command['command_id']}")
    return bool(found["reason"] == "refused" and found["state"] == "failed")


@pytest.mark.quirk(12)
@VERSIONS
async def test_a_password_that_was_accepted_late_is_the_stored_one(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        payload = set_password(version, SECRET)
        command = await unanswered(site, station, SETTER[version], payload)
        assert SECRET not in str(command)
        assert await is_let_in(site, name, PASSWORD, version)
    async with site.station(name, version) as station:
        command = await unanswered(site, station, SETTER[version], payload)
        await station.answer_last(answered(version, "Accepted"))
        late = await until(site, command, "effected")
        assert late["late"]
        assert SECRET not in str(late)
    assert await is_let_in(site, name, SECRET, version)
    assert not await is_let_in(site, name, PASSWORD, version)


@VERSIONS
async def test_a_password_that_was_refused_late_opens_nothing(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        payload = set_password(version, SECRET)
        command = await unanswered(site, station, SETTER[version], payload)
        await station.answer_last(answered(version, "Rejected"))
        await site.until(lambda: is_refused(site, command))
    assert not await is_let_in(site, name, SECRET, version)
    assert await is_let_in(site, name, PASSWORD, version)


async def test_a_rotation_accepted_late_leaves_a_newer_one_pending(
    site: ApiSite,
) -> None:
    name = await named(site)
    async with site.station(name) as station:
        station.handlers["ChangeConfiguration"] = lambda _: None
        path = f"/stations/{name}/password-rotation"
        assert (await site.call("POST", path))["outcome"] == "timeout"
        first = station.heard[-1]
        assert (await site.call("POST", path))["outcome"] == "timeout"
        second = station.heard[-1]
        station.heard.append(first)
        await station.answer_last({"status": "Accepted"})

        async def is_taken() -> bool:
            found = await site.call("GET", f"/commands?station_id={name}")
            return bool(found[-1]["late"])

        await site.until(is_taken)
    assert await is_let_in(site, name, first[1]["value"], "1.6")
    assert not await is_let_in(site, name, PASSWORD, "1.6")
    assert await is_let_in(site, name, second[1]["value"], "1.6")
    assert not await is_let_in(site, name, first[1]["value"], "1.6")


@pytest.mark.quirk(12)
@VERSIONS
async def test_a_reservation_accepted_late_is_one(site: ApiSite, version: str) -> None:
    name = await named(site)
    payload: dict[str, Any] = {
        "connectorId": 1,
        "expiryDate": "2099-01-01T00:00:00Z",
        "idTag": "TAG",
        "reservationId": 31,
    }
    if version == "2.0.1":
        payload = {
            "id": 31,
            "evseId": 1,
            "expiryDateTime": "2099-01-01T00:00:00Z",
            "idToken": {"idToken": "TAG", "type": "ISO14443"},
        }
    async with site.station(name, version) as station:
        await station.boot()
        await unanswered(site, station, "ReserveNow", payload)
        path = f"/reservations?station_id={name}"
        assert await site.call("GET", path) == []
        await station.answer_last({"status": "Accepted"})

        async def is_reserved() -> bool:
            found = await site.call("GET", path)
            return [one["status"] for one in found] == ["Reserved"]

        await site.until(is_reserved)
