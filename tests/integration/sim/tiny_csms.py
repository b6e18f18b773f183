"""A tiny central system for the simulator's tests: it answers, checks and remembers.

Every frame is checked against the public JSON schemas, in both directions, so that a
simulator that makes up its own dialect fails here.
"""

import asyncio
import base64
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

Payload = dict[str, Any]


@cache
def validator(version: str, action: str, answer: bool) -> Any:
    if version == "ocpp1.6":
        name = f"{action}Response.json" if answer else f"{action}.json"
        folder = "v16"
    else:
        name = f"{action}{'Response' if answer else 'Request'}.json"
        folder = "v201"
    text = (files("ocpp") / folder / "schemas" / name).read_text("utf-8-sig")
    schema = json.loads(text)
    kind = jsonschema.validators.validator_for(schema)
    return kind(schema)


@dataclass
class Seen:
    station_id: str
    action: str
    payload: Payload


@dataclass
class TinyCsms:
    password: str | None = None
    tls: ssl.SSLContext | None = None
    registration: list[str] = field(default_factory=list)
    mute: set[str] = field(default_factory=set)
    refuse: dict[str, list[str]] = field(default_factory=dict)
    token_status: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: TID251 - a real server's clock
    seen: list[Seen] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    port: int = 0
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _answers: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        if self.tls is not None:
            return f"wss://localhost:{self.port}/ocpp"
        return f"ws://127.0.0.1:{self.port}/ocpp"

    def actions(self, station_id: str | None = None) -> list[str]:
        return [s.action for s in self.seen if station_id in (None, s.station_id)]

    def of(self, action: str, station_id: str | None = None) -> list[Payload]:
        return [
            s.payload
            for s in self.seen
            if s.action == action and station_id in (None, s.station_id)
        ]

    async def until(
        self, condition: Callable[[], object], timeout_s: float = 30
    ) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def call(self, station_id: str, action: str, payload: Payload) -> Payload:
        answer = await self.call_raw(station_id, action, payload)
        assert isinstance(answer, dict), answer
        return answer

    async def call_raw(self, station_id: str, action: str, payload: Payload) -> Any:
        socket = self.sockets[station_id]
        version = str(socket.subprotocol)
        if action != "Nonsense":
            validator(version, action, answer=False).validate(payload)
        message_id = f"csms-{next(self._ids)}"
        future = asyncio.get_running_loop().create_future()
        self._answers[message_id] = future
        await socket.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(30):
            answer = await future
        if isinstance(answer, dict):
            validator(version, action, answer=True).validate(answer)
        return answer

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        station_id = socket.request.path.rsplit("/", 1)[-1]
        async with self._changed:
            self.sockets[station_id] = socket
            self._changed.notify_all()
        try:
            async for text in socket:
                await self._receive(socket, station_id, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            if self.sockets.get(station_id) is socket:
                del self.sockets[station_id]

    async def _receive(
        self, socket: ServerConnection, station_id: str, frame: list[Any]
    ) -> None:
        if frame[0] != 2:
            answer = frame[2] if frame[0] == 3 else frame
            self._answers.pop(frame[1]).set_result(answer)
            return
        _, message_id, action, payload = frame
        version = str(socket.subprotocol)
        for error in validator(version, action, answer=False).iter_errors(payload):
            self.invalid.append(f"{station_id} {action}: {error.message}")
        async with self._changed:
            self.seen.append(Seen(station_id, action, payload))
            self._changed.notify_all()
        if action in self.mute:
            return
        if self.refuse.get(action):
            code = self.refuse[action].pop(0)
            await socket.send(json.dumps([4, message_id, code, "", {}]))
            return
        answer = self.answer(action, payload)
        validator(version, action, answer=True).validate(answer)
        await socket.send(json.dumps([3, message_id, answer]))

    def answer(self, action: str, payload: Payload) -> Payload:
        now = self.now().isoformat().replace("+00:00", "Z")
        match action:
            case "BootNotification":
                status = self.registration.pop(0) if self.registration else "Accepted"
                return {"currentTime": now, "interval": 60, "status": status}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize" if "idTag" in payload:
                return {"idTagInfo": self._tag_info(payload["idTag"])}
            case "Authorize":
                return {"idTokenInfo": self._token_info(payload["idToken"]["idToken"])}
            case "StartTransaction":
                number = next(self._ids) + 1000
                self.started.append(str(number))
                info = self._tag_info(payload["idTag"])
                return {"transactionId": number, "idTagInfo": info}
            case "StopTransaction":
                self.ended.append(str(payload["transactionId"]))
                return {}
            case "TransactionEvent":
                return self._follow(payload)
            case "Get15118EVCertificate":
                return {"status": "Accepted", "exiResponse": "gA=="}
            case (
                "DataTransfer"
                | "GetCertificateStatus"
                | "NotifyEVChargingNeeds"
                | "NotifyEVChargingSchedule"
                | "SignCertificate"
            ):
                return {"status": "Accepted"}
            case _:
                return {}

    def _follow(self, payload: Payload) -> Payload:
        number = payload["transactionInfo"]["transactionId"]
        match payload["eventType"]:
            case "Started":
                self.started.append(number)
            case "Ended":
                self.ended.append(number)
            case _:
                pass
        if "idToken" not in payload:
            return {}
        return {"idTokenInfo": self._token_info(payload["idToken"]["idToken"])}

    def _tag_info(self, token: str) -> Payload:
        group = {"parentIdTag": self.groups[token]} if token in self.groups else {}
        return {"status": self._verdict(token), **group}

    def _token_info(self, token: str) -> Payload:
        info: Payload = {"status": self._verdict(token)}
        if token in self.groups:
            group = {"idToken": self.groups[token], "type": "Central"}
            info["groupIdToken"] = group
        return info

    def _verdict(self, token: str) -> str:
        return self.token_status.get(token, "Accepted")

    def _check(self, _socket: ServerConnection, request: Request) -> Response | None:
        if self.password is None:
            return None
        station_id = request.path.rsplit("/", 1)[-1]
        pair = f"{station_id}:{self.password}".encode()
        wanted = f"Basic {base64.b64encode(pair).decode()}"
        if request.headers.get("Authorization") == wanted:
            return None
        return Response(401, "Unauthorized", Headers(), b"")


@asynccontextmanager
async def tiny_csms(csms: TinyCsms | None = None) -> AsyncIterator[TinyCsms]:
    system = csms or TinyCsms()
    async with serve(
        system.serve,
        "127.0.0.1",
        system.port,
        subprotocols=[Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")],
        process_request=system._check,
        ssl=system.tls,
        close_timeout=1,
    ) as server:
        system.port = next(iter(server.sockets)).getsockname()[1]
        yield system
    assert not system.invalid, system.invalid[:5]
