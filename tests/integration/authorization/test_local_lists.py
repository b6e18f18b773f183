"""Lists of stations follow the tokens, over real sockets, in both versions."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.domain.ids import StationId
from tests.support.api_site import ApiSite, api_site
from tests.support.list_memory import ListMemory

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(
        tmp_path_factory.mktemp("site"), ocpp={"local_list": True}
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def no_tokens(site: ApiSite) -> None:
    for known in await site.call("GET", "/id-tokens"):
        await site.call("DELETE", f"/id-tokens/{known['token']}")


BOOT = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}


async def shown(site: ApiSite, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await site.call("GET", f"/stations/{name}/local-list")
    return found


async def until_state(site: ApiSite, name: str, state: str) -> dict[str, Any]:
    async def reached() -> bool:
        return bool((await shown(site, name))["state"] == state)

    await site.until(reached)
    return await shown(site, name)


async def until_holds(
    site: ApiSite, memory: ListMemory, statuses: dict[str, str]
) -> None:
    async def reached() -> bool:
        return memory.statuses() == statuses

    await site.until(reached)


@pytest.mark.use_case("D01")
@pytest.mark.action16(
    "SendLocalList to the station", "GetLocalListVersion to the station"
)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_list_is_sent_in_parts_and_follows_the_tokens(
    site: ApiSite, version: str
) -> None:
    name = f"LIST-{version}"
    for number in range(4):
        await site.call("PUT", f"/id-tokens/T{number}", {"group": "g"})
    await site.call("PUT", "/id-tokens/ELSEWHERE", {"stations": ["other"]})
    await site.call("PUT", "/id-tokens/HERE", {"stations": [name]})
    await site.call("PUT", "/id-tokens/NOBODY", {"status": "Invalid"})
    await site.register(name, managed=True)
    async with site.station(name, version) as station:
        memory = ListMemory(station, enabled="false").install()
        await station.boot()
        everyone = {f"T{number}": "Accepted" for number in range(4)}
        everyone["HERE"] = "Accepted"
        await until_holds(site, memory, everyone)
        assert memory.enabled == "true"
        view = await until_state(site, name, "synced")
        assert view["version"] == memory.version == 3
        assert len(view["entries"]) == 5
        sent = station.calls("SendLocalList")
        assert [one["updateType"] for one in sent] == ["Full"] + ["Differential"] * 2
        await site.call("PUT", "/id-tokens/T0", {"status": "Blocked", "group": "g"})
        await site.call("DELETE", "/id-tokens/T1")
        del everyone["T1"]
        everyone["T0"] = "Blocked"
        await until_holds(site, memory, everyone)
        await until_state(site, name, "synced")
        assert len(station.calls("SendLocalList")) == 5
        assert len(station.calls("GetLocalListVersion")) == 1


async def test_nothing_is_sent_to_a_station_whose_list_is_right(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/T0", {})
    await site.register("RIGHT", managed=True)
    async with site.station("RIGHT") as station:
        memory = ListMemory(station).install()
        await station.boot()
        await until_state(site, "RIGHT", "synced")
    async with site.station("RIGHT") as station:
        again = ListMemory(station, version=1, entries=memory.entries).install()
        await station.boot()
        await station.heard_so_far("GetLocalListVersion", 1)
        await site.call("POST", "/stations/RIGHT/local-list/sync")
        assert station.calls("SendLocalList") == []
        assert again.version == 1


async def test_a_list_that_drifted_is_sent_whole(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/T0", {})
    await site.register("DRIFT", managed=True)
    async with site.station("DRIFT") as station:
        ListMemory(station).install()
        await station.boot()
        await until_state(site, "DRIFT", "synced")
    async with site.station("DRIFT") as station:
        memory = ListMemory(station, version=7, entries={"OLD": {"status": "Accepted"}})
        memory.install()
        await station.boot()
        await until_holds(site, memory, {"T0": "Accepted"})
        await until_state(site, "DRIFT", "synced")
        assert memory.version == 8


@pytest.mark.use_case("D01", "D02")
@pytest.mark.action16(
    "SendLocalList to the station", "GetLocalListVersion to the station"
)
async def test_what_an_operator_sends_is_known_and_put_right(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/T0", {})
    await site.register("HAND", managed=True)
    async with site.station("HAND") as station:
        memory = ListMemory(station).install()
        await station.boot()
        await until_state(site, "HAND", "synced")
        entry = {"idTag": "SPARE", "idTagInfo": {"status": "Accepted"}}
        await site.call(
            "POST",
            "/stations/HAND/calls",
            {
                "action": "SendLocalList",
                "payload": {
                    "listVersion": 9,
                    "localAuthorizationList": [entry],
                    "updateType": "Differential",
                },
            },
        )
        view = await shown(site, "HAND")
        assert (view["state"], view["version"]) == ("pending", 9)
        assert {one["token"] for one in view["entries"]} == {"T0", "SPARE"}
        view = await site.call("POST", "/stations/HAND/local-list/sync")
        assert (view["state"], view["version"]) == ("synced", 10)
        assert memory.statuses() == {"T0": "Accepted"}


async def test_what_is_not_supported_is_asked_once(site: ApiSite) -> None:
    await site.register("NONE", managed=True)
    n_asked = -1
    for _ in range(2):
        async with site.station("NONE") as station:
            ListMemory(station, version=-1).install()
            await station.boot()
            view = await until_state(site, "NONE", "unsupported")
            assert view["refused_at"] is not None
            n_asked = len(station.calls("GetLocalListVersion"))
    assert n_asked == 0
    async with site.station("NONE") as station:
        ListMemory(station).install()
        await site.call("POST", "/stations/NONE/local-list/sync")
        assert (await shown(site, "NONE"))["state"] == "synced"


@pytest.mark.parametrize(
    ("code", "state"), [("NotImplemented", "unsupported"), ("InternalError", "unknown")]
)
async def test_an_error_is_for_ever_only_if_it_says_so(
    site: ApiSite, code: str, state: str
) -> None:
    name = f"ERROR-{code}"
    await site.register(name, managed=True)
    async with site.station(name) as station:
        ListMemory(station).install()
        station.handlers["GetLocalListVersion"] = lambda _: (code, "?")
        await station.boot()
        await station.heard_so_far("GetLocalListVersion", 1)
        await until_state(site, name, state)
    async with site.station(name) as station:
        ListMemory(station).install()
        await station.boot()
        if state == "unknown":
            await until_state(site, name, "synced")
        else:
            await station.heard_so_far("ChangeConfiguration", 2)
            assert station.calls("GetLocalListVersion") == []


async def test_a_station_that_refuses_its_list_is_left_alone_for_a_while(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/T0", {})
    await site.register("STUB", managed=True)
    async with site.station("STUB") as station:
        memory = ListMemory(station, status="Failed").install()
        await station.boot()
        await until_state(site, "STUB", "failed")
        n_sent = len(station.calls("SendLocalList"))
        assert n_sent == 1
        memory.status = "Accepted"
        view = await site.call("POST", "/stations/STUB/local-list/sync")
        assert view["state"] == "synced"


async def test_more_tokens_than_a_station_has_room_for_leave_out_the_blocked(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/A-BAD", {"status": "Blocked"})
    for number in range(2):
        await site.call("PUT", f"/id-tokens/T{number}", {})
    await site.register("SMALL", managed=True)
    async with site.station("SMALL") as station:
        memory = ListMemory(station, max_entries=2).install()
        await station.boot()
        view = await until_state(site, "SMALL", "synced")
        assert view["left_out"] == 1
        assert memory.statuses() == {"T0": "Accepted", "T1": "Accepted"}


async def test_a_station_switched_off_or_not_managed_is_left_alone(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/T0", {})
    await site.register("LOOSE")
    await site.register("OFF", managed=True)
    view = await site.call("PUT", "/stations/OFF/local-list", {"enabled": False})
    assert (view["enabled"], view["switch"]) == (False, False)
    async with site.station("LOOSE") as loose, site.station("OFF") as off:
        for station in (loose, off):
            ListMemory(station).install()
            await station.boot()
        await off.heard_so_far("ChangeConfiguration", 2)
        assert loose.heard == []
        assert off.calls("GetLocalListVersion") == []
        view = await site.call("PUT", "/stations/OFF/local-list", {"enabled": None})
        assert (view["enabled"], view["switch"]) == (True, None)
        await until_state(site, "OFF", "synced")
    await site.call("POST", "/stations/OFF/local-list/sync", status=409)
    await site.call("GET", "/stations/NOBODY/local-list", status=404)


async def test_a_connection_lost_on_the_way_is_made_up_for(site: ApiSite) -> None:
    for number in range(3):
        await site.call("PUT", f"/id-tokens/T{number}", {})
    await site.register("LOST", managed=True)
    async with site.station("LOST") as station:
        memory = ListMemory(station, per_message=1).install()
        taken = memory.take

        def then_silence(payload: dict[str, Any]) -> dict[str, Any] | None:
            taken(payload)
            return None if memory.version > 1 else {"status": "Accepted"}

        station.handlers["SendLocalList"] = then_silence
        await station.boot()
        await station.heard_so_far("SendLocalList", 2)
    async with site.station("LOST") as station:
        memory.station = station
        memory.install()
        await until_state(site, "LOST", "synced")
        assert sorted(memory.entries) == ["T0", "T1", "T2"]


@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
async def test_a_station_that_is_not_accepted_is_sent_no_list_unasked(
    site: ApiSite, registration: str
) -> None:
    """2.0.1, B02.FR.01 and B03.FR.03: until its boot is accepted only operators ask."""
    name = f"LIST-{registration}"
    await site.register(name, managed=True, registration=registration)
    await site.call("PUT", f"/id-tokens/{name}", {})
    async with site.station(name, "2.0.1") as station:
        memory = ListMemory(station).install()
        await asyncio.sleep(0.3)
        await station.call("BootNotification", BOOT)
        site.parts.drivers.local_lists.switched(StationId(name))
        await asyncio.sleep(0.3)
        assert station.heard == []
        await site.call("PUT", f"/stations/{name}", {"registration": "Accepted"})
        await station.boot()
        await until_holds(site, memory, {name: "Accepted"})


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_nonsense_about_a_list_costs_no_other_station_its_own(
    site: ApiSite, version: str
) -> None:
    await site.call("PUT", "/id-tokens/SENSE", {})
    bad, good = f"ODD-{version}", f"EVEN-{version}"
    for name in (bad, good):
        await site.register(name, managed=True)
    odd: list[Any] = [10**30, "9" * 5000, ["x"], {"key": 1}, [[]], [{"variable": 5}]]
    with capture_logs() as logs:
        async with site.station(bad, version) as station:
            ListMemory(station).install()
            await station.boot()
            for one in odd:
                told = {"listVersion": one, "versionNumber": one}
                station.handlers["GetLocalListVersion"] = partial(said, told)
                items = [{"key": "SendLocalListMaxLength", "value": "9" * 5000}]
                told = {"configurationKey": one, "getVariableResult": one}
                for action in ("GetConfiguration", "GetVariables"):
                    station.handlers[action] = partial(said, told)
                await site.send("POST", f"/stations/{bad}/local-list/sync")
                told = {"configurationKey": items, "getVariableResult": None}
                station.handlers["GetConfiguration"] = partial(said, told)
                answer = await site.send("POST", f"/stations/{bad}/local-list/sync")
                assert answer.status_code in {200, 409}, answer.text
            async with site.station(good, version) as other:
                memory = ListMemory(other).install()
                await other.boot()
                await until_holds(site, memory, {"SENSE": "Accepted"})
    assert [entry for entry in logs if entry["event"] == "part.failed"] == []


def said(told: dict[str, Any], _payload: dict[str, Any]) -> dict[str, Any]:
    return told
