"""Meters and batteries against the real mosquitto."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509

from gateway.config.meters import MqttTable
from gateway.errors import DeviceError
from gateway.meters.broker import Broker, Login
from gateway.meters.mqtt import MqttDevice
from tests.support import pki
from tests.support.mosquitto import PASS, Mosquitto, mosquitto
from tests.support.ports import free_port

WITHIN_S = 30.0


def table(server: Mosquitto, topic: str, **more: Any) -> MqttTable:
    return MqttTable(host="127.0.0.1", port=server.port, topic=topic, **more)


def login(server: Mosquitto, **more: Any) -> Login:
    return Login(
        host="127.0.0.1",
        port=server.port,
        username=server.username,
        password=server.password,
        **more,
    )


@contextlib.asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[None]:
    """Keep a connection up within the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(broker.run())
        try:
            yield
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def connected(broker: Broker) -> AsyncIterator[None]:
    """The same, from when it is there."""
    async with running(broker):
        await until_up(broker)
        yield


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - the connection tells nobody
            await asyncio.sleep(0.02)


async def until_up(broker: Broker) -> None:
    await until(lambda: not broker.trouble)


async def test_two_devices_share_a_connection_and_read_their_own_topics(
    tmp_path: Path,
) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(login(server))
        hall = MqttDevice(
            table(
                server,
                "site/hall",
                current_paths=("em.a.current", "em.b.current", "em.list[1]"),
                power_path="em.total",
                power_scale=1000,
            ),
            broker,
        )
        plain = MqttDevice(table(server, "site/plain"), broker)
        async with connected(broker), asyncio.timeout(WITHIN_S):
            await server.publish("site/plain", "-321.5")
            await server.publish(
                "site/hall",
                '{"em": {"a": {"current": 4.5}, "b": {"current": "6"},'
                ' "list": [0, 7], "total": 4.02}}',
            )
            found, other = await hall.read(), await plain.read()
    assert found.current_a == (4.5, 6.0, 7.0)
    assert found.power_w == pytest.approx(4020)
    assert other.power_w == -321.5


def newest_of(device: MqttDevice) -> bytes | None:
    """What it heard last."""
    newest = device._topic._newest
    return None if newest is None else newest.payload


async def test_only_the_newest_of_many_messages_counts(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(login(server))
        device = MqttDevice(table(server, "m"), broker)
        async with connected(broker), asyncio.timeout(WITHIN_S):
            for number in range(20):
                await server.publish("m", str(number))
            await until(lambda: newest_of(device) == b"19")
            assert (await device.read()).power_w == 19
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(device.read(), 0.2)


async def test_a_kept_message_counts_only_with_its_own_time(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as server:
        text = '{"p": 5, "t": 1767225600}'
        await server.publish("kept", text, retain=True)
        broker = Broker(login(server))
        timed = MqttDevice(table(server, "kept", power_path="p", time_path="t"), broker)
        other = MqttDevice(table(server, "kept", power_path="p"), broker)
        async with connected(broker), asyncio.timeout(WITHIN_S):
            found = await timed.read()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(other.read(), 0.2)
            await server.publish("kept", '{"p": 6, "t": 1767225660}')
            assert (await other.read()).power_w == 6
    assert found.at is not None
    assert found.at.isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("{", "no JSON"),
        ("[" * 20_000, "no JSON"),
        ('{"p": NaN}', "no JSON"),
        ('{"p": "nan"}', "p is no number"),
        ('{"p": true}', "p is no number"),
        ('{"p": 1e999}', r"JSON|no number"),
        ('{"p": {"q": 1}}', "p is no number"),
        ('{"q": 1}', "has no p"),
        ('{"p": "drop table"}', "no number"),
        ("x" * 100_000, "too long"),
    ],
)
async def test_a_hostile_message_is_refused_and_the_next_one_read(
    tmp_path: Path, payload: str, why: str
) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(login(server))
        device = MqttDevice(table(server, "m", power_path="p"), broker)
        async with connected(broker), asyncio.timeout(WITHIN_S):
            await server.publish("m", payload)
            with pytest.raises(DeviceError, match=why):
                await device.read()
            await server.publish("m", '{"p": 7}')
            assert (await device.read()).power_w == 7


async def test_a_broker_that_comes_back_is_heard_again(tmp_path: Path) -> None:
    port = free_port()
    broker = Broker(Login(host="127.0.0.1", port=port, username="site", password=PASS))
    device = MqttDevice(
        MqttTable(host="127.0.0.1", port=port, topic="m", command_topic="c"), broker
    )
    async with running(broker):
        async with mosquitto(tmp_path, port=port):
            await until_up(broker)
        await until(lambda: bool(broker.trouble))
        with pytest.raises(DeviceError, match=r"broker 127\.0\.0\.1"):
            await device.set_power_w(100)
        async with mosquitto(tmp_path, port=port) as again:
            await until_up(broker)
            await again.publish("m", "42")
            async with asyncio.timeout(WITHIN_S):
                assert (await device.read()).power_w == 42


async def test_silence_is_told_with_the_brokers_trouble(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(login(server))
        device = MqttDevice(table(server, "m", silent_after_s=1.0), broker)
        async with connected(broker):
            with pytest.raises(DeviceError, match=r"nothing was heard for 1 s$"):
                await device.read()
            await server.publish("m", "5")
            await until(lambda: newest_of(device) == b"5")
            await asyncio.sleep(0.3)
            found = await device.read()
            assert found.age_s is not None
            assert found.age_s > 0.2, "it lay there for a while"
    with pytest.raises(DeviceError, match="it is not connected yet"):
        await MqttDevice(
            table(server, "n", silent_after_s=1.0), Broker(login(server))
        ).read()


async def test_a_wrong_password_is_told_and_nothing_is_heard(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(
            Login(host="127.0.0.1", port=server.port, username="site", password="no")
        )
        async with running(broker):
            await until(lambda: "authori" in broker.trouble)


@pytest.mark.parametrize(("path", "text"), [(None, "-1500"), ("w", '{"w": -1500}')])
async def test_a_battery_is_told_its_power_as_number_or_member(
    tmp_path: Path, path: str | None, text: str
) -> None:
    async with mosquitto(tmp_path) as server:
        broker = Broker(login(server))
        device = MqttDevice(
            table(server, "b", command_topic="b/set", command_path=path), broker
        )
        async with (
            connected(broker),
            aiomqtt.Client(
                "127.0.0.1",
                server.port,
                username=server.username,
                password=server.password,
            ) as battery,
            asyncio.timeout(WITHIN_S),
        ):
            await battery.subscribe("b/set", qos=1)
            await device.set_power_w(-1500)
            message = await anext(aiter(battery.messages))
    assert message.payload == text.encode()
    assert not message.retain


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # paho leaves a refused socket
)
async def test_a_broker_with_tls_is_trusted_by_its_authority_only(
    tmp_path: Path,
) -> None:
    authority = pki.root("Meters")
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    holder = pki.issue("broker", issuer=authority, extra=here)
    cert, key, ca = (tmp_path / name for name in ("c.pem", "k.pem", "ca.pem"))
    cert.write_text(holder.pem)
    key.write_text(pki.key_pem(holder.key))
    ca.write_text(authority.pem)
    async with mosquitto(tmp_path, tls=(cert, key)) as server:
        broker = Broker(login(server, is_tls=True, ca_file=ca))
        async with connected(broker):
            assert not broker.trouble
        stranger = Broker(login(server, is_tls=True))
        async with running(stranger):
            await until(lambda: "certificate" in stranger.trouble)
