"""A network between stations and a gateway that harms a share of all frames.

Each direction of each station is a lane with a dice of its own: what happens to its
n-th frame depends on the seed only, not on what other lanes do. With some frames the
whole connection is cut (`tests.support.cut_wire`).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from tests.support.cut_wire import CUTS, Wire

Frame: TypeAlias = str | bytes

HARMS: Final = ("dropped", "duplicated", "delayed", "reordered")
LATEST_S: Final = 0.9
"""Longest delay: above the time-out of the stations, so that answers come too late."""
MAX_OVERTAKING: Final = 3
"""Frames that pass one which is reordered; after ``LATEST_S`` it goes on anyway."""


@dataclass(slots=True)
class Chaos:
    """What happens to frames, and what has happened.

    Attributes:
        seed: Same seed, same harm.
        share: Of the frames that are harmed, 0 to 1; each harm equally often.
        cut_share: Of the frames with which the connection is cut, 0 to 1.
        done: Frames by what happened to them; ``passed`` for no harm.
    """

    seed: int
    share: float
    cut_share: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    _dice: dict[str, Random] = field(default_factory=dict)

    def fate(self, lane: str) -> tuple[str, Random]:
        """What happens to the next frame of a lane."""
        dice = self._dice.get(lane)
        if dice is None:
            dice = self._dice[lane] = Random(f"{self.seed}/{lane}")  # noqa: S311 - no secret
        if dice.random() < self.cut_share:
            harm = dice.choice(CUTS)
        else:
            harm = dice.choice(HARMS) if dice.random() < self.share else "passed"
        self.done[harm] += 1
        return harm, dice

    @property
    def n_frame(self) -> int:
        """Frames so far, in both directions."""
        return self.done.total()

    def told(self) -> str:
        """Figures for people."""
        harmed = ", ".join(f"{self.done[harm]} {harm}" for harm in HARMS)
        resets, silences = (self.done[cut] for cut in CUTS)
        return (
            f"{self.n_frame} frames: {harmed};"
            f" connections: {resets} reset, {silences} gone silent"
        )


class Lane:
    """One direction of one connection."""

    def __init__(
        self,
        chaos: Chaos,
        name: str,
        send: Callable[[Frame], Awaitable[None]],
        wire: Wire,
        group: asyncio.TaskGroup,
    ) -> None:
        self._chaos = chaos
        self._name = name
        self._send = send
        self._wire = wire
        self._group = group
        self._overtaken: list[tuple[int, asyncio.Event]] = []

    async def carry(self, frame: Frame) -> None:
        """Take one frame to the other end, or not, or later, or twice."""
        if self._wire.is_silent:
            return
        harm, dice = self._chaos.fate(self._name)
        match harm:
            case "dropped":
                return
            case "duplicated":
                self._later(frame, dice.uniform(0.0, LATEST_S / 2))
                await self._send(frame)
            case "delayed":
                self._later(frame, dice.uniform(0.01, LATEST_S))
                return
            case "reordered":
                passed = asyncio.Event()
                self._overtaken.append((dice.randint(1, MAX_OVERTAKING), passed))
                self._later(frame, LATEST_S, passed)
                return
            case "reset" | "silent":
                self._wire.cut(harm)
                return
            case _:
                await self._send(frame)
        self._let_pass()

    def _let_pass(self) -> None:
        left = []
        for number, passed in self._overtaken:
            if number <= 1:
                passed.set()
            else:
                left.append((number - 1, passed))
        self._overtaken = left

    def _later(
        self, frame: Frame, at_most_s: float, ready: asyncio.Event | None = None
    ) -> None:
        async def deliver() -> None:
            try:
                async with asyncio.timeout(at_most_s):
                    await (ready or asyncio.Event()).wait()
            except TimeoutError:
                pass
            if self._wire.is_silent:
                return
            try:
                await self._send(frame)
            except ConnectionClosed:
                return  # as lost as a frame can be

        self._group.create_task(deliver())


@asynccontextmanager
async def chaotic(upstream: str, chaos: Chaos) -> AsyncIterator[str]:
    """A port whose connections lead to ``upstream`` through the chaos.

    Args:
        upstream: Root of the gateway's OCPP URLs.
        chaos: What happens on the way.

    Yields:
        The root to use instead.
    """

    async def through(station: ServerConnection) -> None:
        request = station.request
        assert request is not None, "the handshake is over"
        assert station.subprotocol is not None, "stations offer one"
        station_id = request.path.rsplit("/", 1)[-1]
        try:
            async with (
                connect(
                    f"{upstream}/{station_id}",
                    subprotocols=[Subprotocol(station.subprotocol)],
                    additional_headers={
                        "Authorization": request.headers["Authorization"]
                    },
                    compression=None,
                    ping_interval=None,
                    close_timeout=1,
                    proxy=None,
                ) as gateway,
                asyncio.TaskGroup() as group,
            ):
                wire = Wire(station, gateway)
                up = Lane(chaos, f"{station_id}/up", gateway.send, wire, group)
                down = Lane(chaos, f"{station_id}/down", station.send, wire, group)
                back = group.create_task(_back(wire, down))
                await _pump(station, up)
                await wire.over()
                await back
        except (OSError, InvalidHandshake):
            return  # the gateway is away: so are we

    async with serve(
        through,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")],
        compression=None,
        ping_interval=None,
        close_timeout=1,
    ) as server:
        for socket in server.sockets:
            yield f"ws://127.0.0.1:{socket.getsockname()[1]}/ocpp"
            break


async def _back(wire: Wire, down: Lane) -> None:
    await _pump(wire.gateway, down)
    if not wire.is_silent:
        await wire.station.close(wire.gateway.close_code or CloseCode.GOING_AWAY)


async def _pump(source: ServerConnection | ClientConnection, lane: Lane) -> None:
    try:
        async for frame in source:
            await lane.carry(frame)
    except ConnectionClosed:
        return
