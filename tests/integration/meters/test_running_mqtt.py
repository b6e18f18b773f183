"""The whole gateway with a feeder meter and a battery behind mosquitto."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from gateway.services import batteries
from tests.support.api_site import ApiSite, api_site
from tests.support.mosquitto import PASS, Mosquitto, mosquitto

WITHIN_S = 30.0


class Plant:
    """A feeder meter and a battery that publish, and obey at once."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.sun_w = 2_500
        self.power_w = 0
        self.told: list[int] = []

    async def publish(self) -> None:
        while True:
            feeder_w = self.power_w - self.sun_w
            battery = {"ac": {"w": self.power_w}, "soc": 50.0}
            await self.client.publish("site/grid", str(feeder_w))
            await self.client.publish("site/battery", json.dumps(battery))
            await asyncio.sleep(0.1)

    async def obey(self) -> None:
        await self.client.subscribe("site/battery/set", qos=1)
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            self.power_w = json.loads(message.payload)["set_w"]
            self.told.append(self.power_w)

    async def until_told(self, power_w: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while power_w not in self.told:  # noqa: ASYNC110 - MQTT tells no event
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def plant(server: Mosquitto) -> AsyncIterator[Plant]:
    async with (
        aiomqtt.Client(
            "127.0.0.1", server.port, username=server.username, password=PASS
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        found = Plant(client)
        running = [tasks.create_task(one()) for one in (found.publish, found.obey)]
        try:
            yield found
        finally:
            for task in running:
                task.cancel()


def tables(server: Mosquitto, secret: Path) -> dict[str, Any]:
    login = {
        "host": "127.0.0.1",
        "port": server.port,
        "username": server.username,
        "password_file": str(secret),
        "interval_s": 0.2,
    }
    return {
        "cabinet": [
            {
                "id": "main",
                "limit_a": [63, 63, 63],
                "feeder_meter": "grid-meter",
                "feeder_source": "mqtt",
                "mqtt": {**login, "topic": "site/grid"},
            }
        ],
        "battery": [
            {
                "id": "cellar",
                "cabinet": "main",
                "capacity_wh": 10_000,
                "max_charge_w": 3_000,
                "max_discharge_w": 3_000,
                "control": "surplus",
                "source": "mqtt",
                "mqtt": {
                    **login,
                    "topic": "site/battery",
                    "power_path": "ac.w",
                    "soc_path": "soc",
                    "command_topic": "site/battery/set",
                    "command_path": "set_w",
                },
            }
        ],
    }


async def storing(site: ApiSite, power_w: int) -> dict[str, Any]:
    """The battery, once it was told a power, is seen to draw it and counts so."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            (found,) = await site.call("GET", "/batteries")
            seen = (found["power_w"], found["reserved_w"], _told_last(found))
            if seen == (power_w, power_w, power_w):
                return dict(found)
            await asyncio.sleep(0.05)


def _told_last(found: dict[str, Any]) -> int | None:
    commands = found["commands"]
    return commands[0]["power_w"] if commands else None


async def test_a_surplus_is_stored_by_mqtt_and_the_last_word_is_to_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batteries, "TICK_S", 0.3)
    monkeypatch.setattr(batteries, "SETTLES_S", 1.0)
    secret = tmp_path / "broker.secret"
    secret.write_text(PASS)
    secret.chmod(0o600)
    async with mosquitto(tmp_path) as server, plant(server) as yard:
        async with api_site(tmp_path / "data", **tables(server, secret)) as site:
            await yard.until_told(2_375)
            found = await storing(site, 2_375)
            assert found["energy_wh"] == 5_000
            assert not found["is_lost"]
            assert found["commands"][0]["why"] == "stores a surplus"
        async with asyncio.timeout(WITHIN_S):
            while yard.told[-1] != 0:  # noqa: ASYNC110 - MQTT tells no event
                await asyncio.sleep(0.05)
