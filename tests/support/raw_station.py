"""A station made of raw frames, for both OCPP versions."""

import asyncio
import base64
import itertools
import json
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Handler = Callable[[dict[str, Any]], dict[str, Any] | tuple[str, str] | None]
"""Answer to a CALL: a payload, an error as (code, description), or None: silence."""

SUBPROTOCOL = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1"}


class RawStation:
    """Connects, answers what it is asked, and says what it is told to say."""

    def __init__(
        self,
        url: str,
        station_id: str,
        password: str | None,
        version: str = "1.6",
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._url = f"{url}/{station_id}"
        self._headers = {}
        if password is not None:
            pair = base64.b64encode(f"{station_id}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self.version = version
        self.station_id = station_id
        self.handlers: dict[str, Handler] = {}
        self.heard: list[tuple[str, dict[str, Any], str]] = []
        self._news = asyncio.Condition()
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._ids = itertools.count(1)
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            self._url,
            subprotocols=[Subprotocol(SUBPROTOCOL[self.version])],
            additional_headers=self._headers,
            ssl=self._tls,
            server_hostname=None if self._tls is None else "localhost",
        )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; twice is fine."""
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    async def exchange(self, message_id: str, raw: str) -> list[Any]:
        """Send a CALL as it is written and return the whole answer frame."""
        assert self._socket is not None
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers[message_id] = future
        await self._socket.send(raw)
        async with asyncio.timeout(30):
            return await future

    async def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send a CALL and return the whole answer frame."""
        message_id = f"m{next(self._ids)}"
        assert self._socket is not None
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers[message_id] = future
        await self._socket.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(30):
            return await future

    async def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a CALL and return the payload of its CALLRESULT."""
        answer = await self.call(action, payload)
        assert answer[0] == 3, answer
        result: dict[str, Any] = answer[2]
        return result

    async def boot(self) -> dict[str, Any]:
        """BootNotification."""
        said = {"chargePointVendor": "Voltwerk", "chargePointModel": "Duo"}
        if self.version == "2.0.1":
            said = {
                "reason": "PowerUp",
                "chargingStation": {"vendorName": "Voltwerk", "model": "Duo"},  # type: ignore[dict-item]  # the wire's shape
            }
        return await self.ask("BootNotification", said)

    def calls(self, action: str) -> list[dict[str, Any]]:
        """Payloads of an action's CALLs so far."""
        return [payload for name, payload, _ in self.heard if name == action]

    async def answer_last(self, payload: dict[str, Any]) -> None:
        """Answer the newest CALL late."""
        assert self._socket is not None
        message_id = json.loads(self.heard[-1][2])[1]
        await self._socket.send(json.dumps([3, message_id, payload]))

    async def heard_so_far(self, action: str, count: int) -> None:
        """Wait until so many CALLs of an action have come."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: len(self.calls(action)) >= count)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for raw in self._socket:
                await self._take(str(raw))
        except ConnectionClosed:
            pass
        for future in self._answers.values():
            future.cancel()

    async def _take(self, raw: str) -> None:
        frame = json.loads(raw)
        if frame[0] != 2:
            self._answers.pop(frame[1]).set_result(frame)
            return
        _, message_id, action, payload = frame
        self.heard.append((action, payload, raw))
        async with self._news:
            self._news.notify_all()
        handler = self.handlers.get(action, _accept)
        answer = handler(payload)
        assert self._socket is not None
        match answer:
            case None:
                return
            case (code, description):
                reply = [4, message_id, code, description, {}]
            case _:
                reply = [3, message_id, answer]
        await self._socket.send(json.dumps(reply))


def _accept(_payload: dict[str, Any]) -> dict[str, Any]:
    return {"status": "Accepted"}
