"""A store that fails while a command is on its way leaves none behind as sent."""

import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.errors import StoreError
from gateway.services import command_log
from gateway.store import commands as command_rows
from gateway.store import stations as station_rows
from tests.integration.commands.steps import named, until
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def broken(*_args: object, **_members: object) -> None:
    raise StoreError("the disk is full")


async def test_a_password_that_cannot_be_noted_makes_no_command(
    site: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
        monkeypatch.setattr(station_rows, "set_pending_hash", broken)
        await site.call("POST", f"/stations/{name}/password-rotation", status=503)
        assert station.calls("ChangeConfiguration") == []
        assert await site.call("GET", f"/commands?station_id={name}") == []


async def test_an_answer_that_cannot_be_stored_at_once_is_stored_later(
    site: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_log, "RETRY_S", 0.2)
    name = await named(site)
    move, failures = command_rows.move, [1, 1, 1]

    def sometimes(conn: sqlite3.Connection, *args: Any, **members: Any) -> Any:
        if failures:
            failures.pop()
            raise StoreError("the disk is full")
        return move(conn, *args, **members)

    async with site.station(name) as station:
        await station.boot()
        monkeypatch.setattr(command_rows, "move", sometimes)
        body = {"action": "ClearCache", "payload": {}}
        await site.call("POST", f"/stations/{name}/calls", body, status=503)
        (command,) = await site.call("GET", f"/commands?station_id={name}")
        assert command["state"] == "sent"
        done = await until(site, command, "effected")
        assert done["answer"] == {"status": "Accepted"}
        assert failures == []
