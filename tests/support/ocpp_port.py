"""The OCPP port with all its real parts on a free port of 127.0.0.1."""

import asyncio
import base64
import itertools
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.bus import Bus, FactCommitted, LinkChanged, Subscription
from gateway.clock import SystemClock
from gateway.config.tls import TlsConfig
from gateway.domain.events import StationBooted
from gateway.domain.ids import StationId
from gateway.domain.topology import Site
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import Endpoint
from gateway.server.link import FrameSink
from gateway.server.listener import Listener, ListenerOptions
from gateway.server.registry import Links
from gateway.services.admission import Admission, AdmissionRules
from gateway.services.configuration import Configuration
from gateway.services.credentials import Pepper
from gateway.services.ingest import Ingest, StationContext
from gateway.services.reports import Reports
from gateway.services.setup import BLAMED, SetupParts, StationSetup
from gateway.services.stations import StationDirectory
from gateway.services.unfinished import SETTLE_S
from gateway.services.variables import Variables
from gateway.store.queries import Queries
from gateway.store.sqlite import Hooks, Store
from gateway.store.writer import Writer
from gateway.wiring.port import adapters
from tests.support.journal import accept
from tests.support.ready_database import place_database

PASSWORD = b"a-station-password"
BOOT_16 = {"chargePointVendor": "V", "chargePointModel": "M"}
WAIT_S = 30.0


@dataclass
class RawStation:
    """A station that a test speaks for, frame by frame."""

    socket: ClientConnection
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _aside: deque[list[Any]] = field(default_factory=deque)

    async def send(self, frame: object) -> None:
        """Send a frame; text as it is, anything else as JSON."""
        text = frame if isinstance(frame, str) else json.dumps(frame)
        await self.socket.send(text)

    async def receive(self) -> list[Any]:
        """The next frame, of those that `ask` kept first."""
        if self._aside:
            return self._aside.popleft()
        return await self._read()

    async def _read(self) -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            frame: list[Any] = json.loads(await self.socket.recv())
            return frame

    async def ask(self, action: str, payload: Mapping[str, Any]) -> list[Any]:
        """Send a CALL and wait for its answer; other frames are kept for `receive`."""
        message_id = f"s{next(self._ids)}"
        await self.send([2, message_id, action, payload])
        while True:
            frame = await self._read()
            if frame[0] in {3, 4} and frame[1] == message_id:
                return frame
            self._aside.append(frame)

    async def closed(self) -> int:
        """Wait until the central system has closed; the close code."""
        async with asyncio.timeout(WAIT_S):
            await self.socket.wait_closed()
        code = self.socket.close_code
        assert code is not None
        return code


@dataclass
class Port:
    """A listening central system."""

    number: int
    bus: Bus
    links: Links
    directory: StationDirectory
    queries: Queries
    ingest: Ingest
    writer: Writer
    listener: Listener

    async def register(self, station_id: str, password: bytes = PASSWORD) -> None:
        """Make a station known, with its password; it has never booted."""
        hashed = self.directory._pepper.hash_password(station_id, password)
        await self.directory.adopt(StationId(station_id), hashed)

    @asynccontextmanager
    async def station(
        self,
        station_id: str = "CP1",
        *,
        path: str | None = None,
        user: str | None = None,
        password: bytes | None = PASSWORD,
        subprotocols: tuple[str, ...] | None = ("ocpp1.6",),
        source: str = "127.0.0.1",
        scheme: str = "ws",
        number: int | None = None,
        **more: Any,
    ) -> AsyncIterator[RawStation]:
        """Connect as a station.

        Args:
            station_id: Last segment of the default path, and the default user.
            path: Request path, if it is an odd one.
            user: Basic user.
            password: Basic password; ``None``: no header.
            subprotocols: What to offer; ``None``: nothing.
            source: Address to come from, one of 127.0.0.0/8.
            scheme: ``wss`` for TLS.
            number: Another port than the plain one.
            more: For ``websockets.connect``.
        """
        headers = {}
        if password is not None:
            pair = (user or station_id).encode() + b":" + password
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        options: dict[str, Any] = {
            "compression": None,
            "ping_interval": None,
            "close_timeout": 1,
            "proxy": None,
            **more,
        }
        async with connect(
            f"{scheme}://127.0.0.1:{number or self.number}"
            f"{path or f'/ocpp/{station_id}'}",
            additional_headers=headers,
            subprotocols=None
            if subprotocols is None
            else [Subprotocol(name) for name in subprotocols],
            local_addr=(source, 0),
            **options,
        ) as socket:
            yield RawStation(socket)

    async def knocks(self) -> dict[str, str]:
        """Why strangers were refused, by id."""
        await self.writer.run(lambda _conn: None)
        return {one.station_id: one.reason for one in await self.queries.knocking()}


async def until(condition: Callable[[], object]) -> None:
    """Look again and again until something is true."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def changes_of_links(heard: Subscription) -> list[tuple[str, bool]]:
    """Who came online and who went offline, since the last look."""
    return [
        (one.station_id, one.is_online)
        for one in heard.drain()
        if isinstance(one, LinkChanged)
    ]


@asynccontextmanager
async def open_port(
    path: Path,
    *,
    compression: bool = False,
    tls: TlsConfig | None = None,
    blamed: timedelta = BLAMED,
    settle_s: float = SETTLE_S,
) -> AsyncIterator[Port]:
    """The port with ``CP1`` registered."""
    clock, bus, pepper = SystemClock(), Bus(), Pepper(b"p" * 32)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        writer = Writer(place_database(path / "wattproof.sqlite3"))
        writer.start(loop)
        stack.callback(writer.close)
        queries = Queries(writer.path, readers=1)
        await queries.open()
        stack.push_async_callback(queries.close)
        directory = StationDirectory(
            site=Site(), writer=writer, pepper=pepper, bus=bus, clock=clock
        )
        links = Links(bus, clock)
        variables = Variables(directory=directory, queries=queries)
        setup = StationSetup(
            SetupParts(
                stations=links,
                directory=directory,
                queries=queries,
                writer=writer,
                clock=clock,
                configuration=Configuration(variables=variables, queries=queries),
                reports=Reports(
                    writer=writer,
                    queries=queries,
                    directory=directory,
                    bus=bus,
                    clock=clock,
                ),
            ),
            sample_interval_s=60,
            ping_interval_s=60,
            call_timeout_s=5,
            blamed=blamed,
            settle_s=settle_s,
        )

        def booted(station: StationContext, registration: str) -> None:
            if registration == "Accepted":
                setup.booted(station.station_id)

        ingest = Ingest(
            log=Store(writer, Hooks(judge=accept)),
            jobs=writer,
            bus=bus,
            clock=clock,
            loop_time=loop.time,
            on_boot=booted,
        )

        def sink(station_id: StationId, adapter: Adapter, remote: str) -> FrameSink:
            entry = directory.find(station_id)
            return ingest.sink(
                StationContext(
                    station_id=station_id,
                    adapter=adapter,
                    is_accepted=entry is not None and entry.accepted_at is not None,
                    remote=remote,
                )
            )

        listener = Listener(
            options=ListenerOptions(
                host="127.0.0.1",
                port=0,
                max_frame_bytes=65_536,
                compression=compression,
                tls=tls,
            ),
            adapters=adapters(),
            strict_adapters=adapters(is_strict=True),
            gate=Admission(
                rules=AdmissionRules(
                    allow_unauthenticated=False,
                    auto_accept_stations=False,
                    heartbeat_interval_s=300,
                    organization=None if tls is None else tls.organization,
                ),
                directory=directory,
                pepper=pepper,
                clock=clock,
                monotonic=loop.time,
            ),
            links=links,
            clock=clock,
            make_endpoint=lambda: Endpoint(lambda: uuid.uuid4().hex),
            make_sink=sink,
        )

        async def mirror_boots() -> None:
            with bus.subscribe("directory") as subscription:
                async for notice in subscription:
                    if isinstance(notice, FactCommitted) and isinstance(
                        notice.event, StationBooted
                    ):
                        directory.on_boot(notice, clock.now())

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(setup.run()), group.create_task(mirror_boots())]
            async with listener.listening() as number:
                port = Port(
                    number, bus, links, directory, queries, ingest, writer, listener
                )
                await port.register("CP1")
                yield port
            for task in tasks:
                task.cancel()
