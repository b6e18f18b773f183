"""Firmware and logs: secrets of addresses, hurried stations, one file per place."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.errors import RequestError
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIVATE = "ftp://user:geheim@files.example/x?sig=geheim"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def newest(site: ApiSite, name: str) -> dict[str, Any]:
    found = await site.call("GET", f"/stations/{name}/transfers", role="viewer")
    first: dict[str, Any] = found[0]
    return first


async def test_addresses_are_kept_and_shown_without_their_secrets(
    site: ApiSite,
) -> None:
    await site.register("SECRETS")
    async with site.station("SECRETS", "2.0.1") as station:
        await station.boot()
        path = "/stations/SECRETS"
        told = await site.call(
            "POST", f"{path}/firmware-updates", {"location": PRIVATE}
        )
        assert "geheim" not in str(told)
        here = await site.call("POST", f"{path}/logs", {})
        place = station.calls("GetLog")[0]["log"]["remoteLocation"]
        assert place.rsplit("/", 1)[1] not in str(here)
        assert station.calls("UpdateFirmware")[0]["firmware"]["location"] == PRIVATE
        assert "geheim" not in str(await newest(site, "SECRETS"))
        kept = await site.gateway.queries.rows("SELECT location FROM transfer")
        assert "geheim" not in str(kept)
        assert place.rsplit("/", 1)[1] not in str(kept)
        assert "geheim" not in str(await site.call("GET", "/audit", role="auditor"))


async def test_a_word_that_comes_before_the_answer_is_not_lost(
    site: ApiSite,
) -> None:
    """A small log may be there before GetLog is answered."""
    await site.register("HURRY")
    path = "/stations/HURRY/logs"
    async with site.station("HURRY", "2.0.1") as station:
        await station.boot()

        station.handlers["GetLog"] = lambda _: None
        async with asyncio.TaskGroup() as group:
            asking = site.call("POST", path, {"location": "ftp://files.example/x"})
            group.create_task(asking)
            await station.heard_so_far("GetLog", 1)
            _, message_id, _, payload = json.loads(station.heard[-1][2])
            for status in ("Uploading", "Uploaded"):
                notice = {"status": status, "requestId": payload["requestId"]}
                await station.ask("LogStatusNotification", notice)
            answer = {"status": "Accepted", "filename": "x"}
            assert station._socket is not None
            await station._socket.send(json.dumps([3, message_id, answer]))
        entry = await newest(site, "HURRY")
        assert (entry["state"], entry["word"]) == ("done", "Uploaded")
        said = [one["word"] for one in entry["words"]]
        assert said == ["Uploading", "Uploaded", "Accepted"]
        times = [one["at"] for one in entry["words"]]
        assert times == sorted(times)
        assert entry["asked_at"] <= times[0]
        assert entry["changed_at"] == times[-1]


async def test_an_absurd_request_id_is_nobodys_and_stops_nothing(
    site: ApiSite,
) -> None:
    await site.register("ABSURD")
    async with site.station("ABSURD", "2.0.1") as station:
        await station.boot()
        told = await site.call(
            "POST", "/stations/ABSURD/logs", {"location": "ftp://files.example/x"}
        )
        number = told["transfer"]["request_id"]
        for request_id in (10**30, number):
            notice = {"status": "Uploaded", "requestId": request_id}
            await station.ask("LogStatusNotification", notice)

        async def is_done() -> bool:
            return bool((await newest(site, "ABSURD"))["state"] == "done")

        await site.until(is_done)


async def test_of_two_files_for_one_place_the_first_is_kept(site: ApiSite) -> None:
    await site.register("TWICE")
    uploads, found = site.parts.uploads, []
    secret = await uploads.open(site.parts.directory.require("TWICE").station_id)

    async def slowly(text: bytes) -> AsyncIterator[bytes]:
        yield text
        await asyncio.sleep(0.2)
        yield text

    async def put(text: bytes) -> None:
        try:
            found.append(await uploads.receive(secret, "log", slowly(text)))
        except RequestError as error:
            found.append(error.status)

    async with asyncio.TaskGroup() as group:
        group.create_task(put(b"first"))
        group.create_task(put(b"second"))
    assert found == [409, 10]
    path = "/stations/TWICE/files"
    (one,) = await site.call("GET", path)
    body = await site.send("GET", f"{path}/{one['file_id']}")
    assert (one["n_bytes"], body.content) == (10, b"firstfirst")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_file_and_its_transfer_name_each_other(
    site: ApiSite, version: str
) -> None:
    name = f"LINK-{version}"
    await site.register(name)
    async with site.station(name, version) as station:
        await station.boot()
        if version == "1.6":
            station.handlers["GetLog"] = lambda _: ("NotImplemented", "")
            station.handlers["GetDiagnostics"] = lambda _: {"fileName": "x.zip"}
        told = await site.call("POST", f"/stations/{name}/logs", {})
        assert (told["transfer"]["file_id"], told["transfer"]["n_bytes"]) == (
            None,
            None,
        )
        place = (
            station.calls("GetDiagnostics")[0]["location"]
            if version == "1.6"
            else station.calls("GetLog")[0]["log"]["remoteLocation"]
        )
    put = await site.client.put(f"{place}/x.zip", content=b"12345")
    assert put.status_code == 201, put.text
    (file,) = await site.call("GET", f"/stations/{name}/files")
    entry = await newest(site, name)
    assert (
        file["transfer_id"] == entry["transfer_id"] == told["transfer"]["transfer_id"]
    )
    assert (entry["file_id"], entry["n_bytes"]) == (file["file_id"], 5)


async def test_words_that_were_dropped_on_the_way_are_read_again(
    site: ApiSite,
) -> None:
    """A subscriber that lags behind hears that it does, and reads the store."""
    await site.register("LAGS")
    async with site.station("LAGS", "2.0.1") as station:
        await station.boot()
        body = {"location": "ftp://files.example/x"}
        told = await site.call("POST", "/stations/LAGS/logs", body)
        number = told["transfer"]["request_id"]
        (hearing,) = (
            one for one in site.parts.bus.subscriptions if one.name == "transfers"
        )
        wants, hearing.wants = hearing.wants, lambda _: False
        for status in ("Uploading", "Uploaded"):
            notice = {"status": status, "requestId": number}
            await station.ask("LogStatusNotification", notice)
        hearing.wants = wants
        assert (await newest(site, "LAGS"))["state"] == "running"
        hearing._dropped += 2
        hearing._wake.set()

        async def is_done() -> bool:
            return bool((await newest(site, "LAGS"))["state"] == "done")

        await site.until(is_done)
        entry = await newest(site, "LAGS")
        said = [one["word"] for one in entry["words"]]
        assert said == ["Accepted", "Uploading", "Uploaded"]
