"""One connection to an MQTT broker, shared by the devices that publish there."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiomqtt
import structlog

from gateway.errors import DeviceError

RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 60.0
"""Real seconds between two attempts to connect; they double up to the latter."""
TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 30
MAX_QUEUED: Final = 1_000
"""Messages that wait to be read; what is more is dropped: only the newest counts."""

logging.getLogger("mqtt").setLevel(logging.CRITICAL)
# what it would say at every attempt is said once, here

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a broker is reached; devices with the same share one connection."""

    host: str
    port: int
    is_tls: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        """For people: without the password."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The newest message of a topic.

    Attributes:
        heard_s: When it came, by the loop's clock.
    """

    payload: bytes
    is_retained: bool
    heard_s: float


class Topic:
    """Keeps the newest message of a topic until it is taken."""

    def __init__(self) -> None:
        self._newest: Message | None = None
        self._is_there = asyncio.Event()

    def put(self, message: Message) -> None:
        """A newer one replaces one that was not taken."""
        self._newest = message
        self._is_there.set()

    async def take(self) -> Message:
        """The newest one that was not taken yet; waits for it."""
        await self._is_there.wait()
        self._is_there.clear()
        message = self._newest
        assert message is not None
        return message


class Broker:
    """A connection that is kept up. Run it as a task. Loop thread only."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._topics: dict[str, list[Topic]] = {}
        self._client: aiomqtt.Client | None = None
        self._trouble = "it is not connected yet"
        self._is_up = asyncio.Event()

    @property
    def trouble(self) -> str:
        """Why there is no connection, or empty."""
        return "" if self._client is not None else self._trouble

    async def up(self) -> None:
        """Wait until there is a connection."""
        await self._is_up.wait()

    def topic(self, name: str) -> Topic:
        """Subscribe to a topic; before `run` only."""
        found = Topic()
        self._topics.setdefault(name, []).append(found)
        return found

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and wait until the broker has it (quality of service 1).

        Raises:
            DeviceError: There is no connection, or the broker did not take it.
        """
        client = self._client
        if client is None:
            raise DeviceError(f"broker {self.login.name}: {self._trouble}")
        try:
            await client.publish(topic, payload, qos=1, timeout=TIMEOUT_S)
        except aiomqtt.MqttError as error:
            raise DeviceError(f"broker {self.login.name}: {error}") from error

    async def run(self) -> None:
        """Stay connected and hand messages on, for ever."""
        retry_s, was_told = RETRY_S, False
        while True:
            try:
                async with self._connection() as client:
                    for name in self._topics:
                        await client.subscribe(name, qos=0)
                    self._client = client
                    self._is_up.set()
                    if was_told:
                        _log.info("broker.back", broker=self.login.name)
                    retry_s, was_told = RETRY_S, False
                    async for message in client.messages:
                        self._take(message)
            except (aiomqtt.MqttError, OSError, ValueError) as error:
                self._trouble = str(error) or type(error).__name__
                if not was_told:
                    _log.warning(
                        "broker.lost", broker=self.login.name, why=self._trouble
                    )
                was_told = True
            finally:
                self._client = None
                self._is_up.clear()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, MAX_RETRY_S)

    def _connection(self) -> aiomqtt.Client:
        login = self.login
        return aiomqtt.Client(
            login.host,
            login.port,
            username=login.username,
            password=login.password,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            max_queued_incoming_messages=MAX_QUEUED,
            tls_context=(
                ssl.create_default_context(cafile=login.ca_file)
                if login.is_tls
                else None
            ),
        )

    def _take(self, message: aiomqtt.Message) -> None:
        payload = message.payload
        if isinstance(payload, bytes | bytearray):
            newest = Message(
                payload=bytes(payload),
                is_retained=message.retain,
                heard_s=asyncio.get_running_loop().time(),
            )
            for topic in self._topics.get(str(message.topic), ()):
                topic.put(newest)


class Brokers:
    """All connections of the site; one per login."""

    def __init__(self) -> None:
        self._brokers: dict[Login, Broker] = {}

    def to(self, login: Login) -> Broker:
        """The connection with a login."""
        if login not in self._brokers:
            self._brokers[login] = Broker(login)
        return self._brokers[login]

    @property
    def all(self) -> Mapping[Login, Broker]:
        """Every one."""
        return self._brokers
