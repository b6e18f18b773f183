"""Commands outlive the gateway: what waits is sent later, what is lost says so."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway_process import gateway, new_token, write_config
from tests.support.queue_station import PASSWORD, stamp
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.e2e
TIMEOUT_S = 60
START = {"1.6": "RemoteStartTransaction", "2.0.1": "RequestStartTransaction"}


async def until(
    client: httpx.AsyncClient, command_id: str, state: str
) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found: dict[str, Any] = (await client.get(f"/commands/{command_id}")).json()
            if found["state"] == state:
                return found
            await asyncio.sleep(0.05)


async def asked(client: httpx.AsyncClient, name: str, **body: Any) -> str:
    answer = await client.post(f"/stations/{name}/commands", json=body)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["command_id"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_commands_survive_kill_9(tmp_path: Path, version: str) -> None:
    ports = write_config(tmp_path, {"HERE": PASSWORD, "AWAY": PASSWORD})
    token = await new_token(tmp_path)
    async with (
        gateway(tmp_path, ports, admin_token=token) as first,
        first.client() as client,
    ):
        members = {"managed": False}
        for name in ("HERE", "AWAY"):
            await client.put(f"/stations/{name}", json=members)
        waiting = await asked(client, "AWAY", action="ClearCache", deadline_s=600)
        brief = await asked(client, "AWAY", action="ClearCache", deadline_s=0.5)
        station = RawStation(first.ocpp_url, "HERE", PASSWORD, version)
        async with station:
            await station.boot()
            for action in ("ClearCache", START[version]):
                station.handlers[action] = lambda _: None
            silent = await asked(client, "HERE", action="ClearCache")
            await station.heard_so_far("ClearCache", 1)
            answer = client.post(
                "/stations/HERE/calls", json={"action": "GetLocalListVersion"}
            )
            async with asyncio.TaskGroup() as group:
                calling = group.create_task(swallowed(answer))
                await until(client, silent, "sent")
                await first.kill()
                await calling
    async with (
        gateway(tmp_path, ports, admin_token=token) as second,
        second.client() as client,
    ):
        lost = await until(client, silent, "failed")
        assert lost["reason"] == "gateway_restarted"
        assert (await until(client, brief, "expired"))["reason"] == "deadline"
        assert (await until(client, waiting, "queued"))["sent_at"] is None
        station = RawStation(second.ocpp_url, "AWAY", PASSWORD, version)
        async with station:
            await station.boot()
            await until(client, waiting, "effected")
            assert len(station.calls("ClearCache")) == 1
        assert not [line for line in second.log if "Traceback" in line]


async def swallowed(answer: Any) -> None:
    """A request whose server dies."""
    with pytest.raises(httpx.TransportError):
        await answer


@pytest.mark.timeout(300)
async def test_an_effect_after_a_restart_is_still_seen(tmp_path: Path) -> None:
    ports = write_config(tmp_path, {"CP": PASSWORD})
    token = await new_token(tmp_path)
    async with (
        gateway(tmp_path, ports, admin_token=token) as first,
        first.client() as client,
    ):
        await client.put("/stations/CP", json={"managed": False})
        async with RawStation(first.ocpp_url, "CP", PASSWORD) as station:
            await station.boot()
            station.handlers[START["1.6"]] = lambda _: None
            start = await asked(
                client,
                "CP",
                action="remote_start",
                payload={"evse_id": 1, "id_token": "TAG"},
            )
            await station.heard_so_far(START["1.6"], 1)
            await first.kill()
    async with (
        gateway(tmp_path, ports, admin_token=token) as second,
        second.client() as client,
    ):
        lost = await until(client, start, "failed")
        assert lost["reason"] == "gateway_restarted"
        async with RawStation(second.ocpp_url, "CP", PASSWORD) as station:
            await station.ask(
                "StartTransaction",
                {
                    "connectorId": 1,
                    "idTag": "TAG",
                    "meterStart": 0,
                    "timestamp": stamp(),
                },
            )
            done = await until(client, start, "effected")
            assert done["answered_at"] is None
