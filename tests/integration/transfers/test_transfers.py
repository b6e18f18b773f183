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
        assert (await newest(site, "HURRY"))["state"] == "done"


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
