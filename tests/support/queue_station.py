"""Sockets for end-to-end tests, and a station that keeps its queue as OCPP says.

Transaction messages stay in the queue until they are answered, over any number of
connections; a message that was sent but not answered goes out again with the same
content (OCPP 1.6, 3.7.1 and 4; 2.0.1, E04 and E07).
"""

import asyncio
import base64
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import websockets
from websockets.asyncio.client import ClientConnection

from gateway.clock import SystemClock
from tests.support.ocmf import Meter

Payload: TypeAlias = dict[str, Any]
Acknowledged: TypeAlias = tuple[str, Payload, Payload]
"""Action, payload as it went out, answer."""
PASSWORD = "correct-horse-battery"
ANSWER_TIMEOUT_S = 30.0
RESEND_S = 5.0
"""A message without an answer for so long is sent again over a new connection."""
RETRY_S = 0.05

_clock = SystemClock()


def stamp(ago_s: float = 0.0) -> str:
    """Wire time, now or a while ago."""
    return _wire(_clock.now() - timedelta(seconds=ago_s))


def _wire(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def basic(station_id: str, password: str = PASSWORD) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    encoded = base64.b64encode(f"{station_id}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@asynccontextmanager
async def connected(
    url: str, station_id: str, subprotocol: str, *, password: str = PASSWORD
) -> AsyncIterator[ClientConnection]:
    """An authenticated socket; ``url`` is without the station id."""
    async with websockets.connect(
        f"{url}/{station_id}",
        subprotocols=[websockets.Subprotocol(subprotocol)],
        additional_headers=basic(station_id, password),
        ping_interval=None,
        open_timeout=ANSWER_TIMEOUT_S,
        close_timeout=2,
    ) as opened:
        yield opened


async def receive(
    opened: ClientConnection, timeout_s: float = ANSWER_TIMEOUT_S
) -> list[Any]:
    """The next frame that is no CALL of the central system; those are accepted."""
    async with asyncio.timeout(timeout_s):
        while True:
            frame: list[Any] = json.loads(await opened.recv())
            if frame[0] != 2:
                return frame
            await opened.send(json.dumps([3, frame[1], accept(frame[2], frame[3])]))


async def ask(
    opened: ClientConnection, message_id: str, action: str, payload: Payload
) -> list[Any]:
    """Send one CALL and return the answer to it."""
    await opened.send(json.dumps([2, message_id, action, payload]))
    while True:
        frame = await receive(opened)
        if frame[1] == message_id:
            return frame


def accept(action: str, payload: Payload) -> Payload:
    """What a station without surprises answers."""
    if action == "SetVariables":
        return {
            "setVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "component": item["component"],
                    "variable": item["variable"],
                }
                for item in payload["setVariableData"]
            ]
        }
    if action == "GetConfiguration":
        return {"configurationKey": [], "unknownKey": []}
    return {"status": "Accepted"}


@dataclass(slots=True)
class Queued:
    """One transaction message; the payload is made when it is sent."""

    action: str
    build: Callable[[], Payload]
    told: Callable[[Payload], None] = lambda _answer: None


@dataclass(slots=True)
class QueueStation:
    """Charges one car after the other; every message goes out until it is answered.

    Attributes:
        age_s: How long ago its first session was: a station back after an outage.
        step_s: By its own clock, between two messages.
        step_wh: Charged between two messages of a session.
        pause_s: Real seconds between two sessions.
        meter: Signs begin and end of every session (2.0.1).
        acknowledged: Every answered message.
        refused: CALLERRORs to transaction messages; there must be none.
        n_session: Sessions begun so far.
    """

    station_id: str
    subprotocol: str
    url: str
    id_tag: str
    n_samples: int = 2
    age_s: float = 0.0
    step_s: float = 0.6
    step_wh: int = 1
    pause_s: float = 2.4
    meter: Meter | None = None
    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[list[Any]] = field(default_factory=list)
    n_session: int = 0
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    _queue: deque[Queued] = field(default_factory=deque)
    _draining: asyncio.Event = field(default_factory=asyncio.Event)
    _register_wh: int = 10_000
    _message_number: int = 0
    _last_ms: int = 0

    def drain(self) -> None:
        """Begin no further session; end once everything is answered."""
        self._draining.set()

    async def run(self) -> None:
        """Connect, and connect again, until drained."""
        while not (self._draining.is_set() and not self._queue):
            try:
                async with connected(
                    self.url, self.station_id, self.subprotocol
                ) as opened:
                    await self._serve(opened)
            except (OSError, TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(RETRY_S)
        self.drained.set()

    async def _serve(self, opened: ClientConnection) -> None:
        await self._boot(opened)
        while True:
            if not self._queue:
                await self._pause()
                if self._draining.is_set():
                    return
                self._plug_in()
            head = self._queue[0]
            payload = head.build()
            answer = await self._ask(opened, head.action, payload)
            if answer[0] != 3:
                self.refused.append(answer)
                return
            self._queue.popleft()
            self.acknowledged.append((head.action, payload, answer[2]))
            head.told(answer[2])

    async def _boot(self, opened: ClientConnection) -> None:
        boot: Payload = (
            {"chargePointVendor": "Raw", "chargePointModel": "Queue"}
            if self.subprotocol == "ocpp1.6"
            else {
                "reason": "PowerUp",
                "chargingStation": {"vendorName": "Raw", "model": "Queue"},
            }
        )
        answer = await self._ask(opened, "BootNotification", boot)
        assert answer[0] == 3, answer
        assert answer[2]["status"] == "Accepted"

    async def _ask(
        self, opened: ClientConnection, action: str, payload: Payload
    ) -> list[Any]:
        self._message_number += 1
        message_id = f"{self.station_id}-{self._message_number}"
        async with asyncio.timeout(RESEND_S):
            return await ask(opened, message_id, action, payload)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pause_s):
                await self._draining.wait()

    def _plug_in(self) -> None:
        """Queue a whole session, as a station does that was offline all along."""
        self.n_session += 1
        if self.subprotocol == "ocpp1.6":
            self._session_of_1_6()
        else:
            self._session_of_2_0_1()

    def _session_of_1_6(self) -> None:
        known: dict[str, int] = {}

        def started(answer: Payload) -> None:
            known["transactionId"] = answer["transactionId"]

        start: Payload = {
            "connectorId": 1,
            "idTag": self.id_tag,
            "meterStart": self._register_wh,
            "timestamp": self._stamp(),
        }
        self._put("StartTransaction", start, told=started)
        for _ in range(self.n_samples):
            self._register_wh += self.step_wh
            sample = {
                "timestamp": self._stamp(),
                "sampledValue": [{"value": str(self._register_wh)}],
            }
            self._put("MeterValues", {"connectorId": 1, "meterValue": [sample]}, known)
        self._register_wh += self.step_wh
        stop: Payload = {
            "meterStop": self._register_wh,
            "timestamp": self._stamp(),
            "idTag": self.id_tag,
            "reason": "EVDisconnected",
        }
        self._put("StopTransaction", stop, known)

    def _session_of_2_0_1(self) -> None:
        wire_id = f"{self.station_id}-tx-{self.n_session}"
        last = self.n_samples + 1
        for seq_no in range(last + 1):
            kind, trigger, context = (
                ("Started", "Authorized", "Transaction.Begin")
                if seq_no == 0
                else ("Ended", "EVDeparted", "Transaction.End")
                if seq_no == last
                else ("Updated", "MeterValuePeriodic", "Sample.Periodic")
            )
            at = self._stamp()
            value: Payload = {
                "value": self._register_wh,
                "measurand": "Energy.Active.Import.Register",
                "context": context,
            }
            if self.meter is not None and seq_no in {0, last}:
                value["signedMeterValue"] = self._signed(self.meter, seq_no == 0)
            payload: Payload = {
                "eventType": kind,
                "timestamp": at,
                "triggerReason": trigger,
                "seqNo": seq_no,
                "transactionInfo": {"transactionId": wire_id},
                "meterValue": [{"timestamp": at, "sampledValue": [value]}],
            }
            if seq_no == 0:
                payload["evse"] = {"id": 1, "connectorId": 1}
                payload["idToken"] = {"idToken": self.id_tag, "type": "ISO14443"}
            self._put("TransactionEvent", payload)
            self._register_wh += self.step_wh

    def _signed(self, meter: Meter, is_begin: bool) -> Payload:
        make = meter.begin if is_begin else meter.end
        record = make(f"{self._register_wh / 1000:.3f}", ID=self.id_tag)
        key = bytes.fromhex(meter.public_key)
        return {
            "signedMeterData": base64.b64encode(record.encode()).decode(),
            "signingMethod": "",
            "encodingMethod": "OCMF",
            "publicKey": base64.b64encode(key).decode(),
        }

    def _stamp(self) -> str:
        """The next moment of the station's clock, which never jumps back."""
        next_ms = self._last_ms + int(self.step_s * 1000)
        if self._last_ms == 0 or self.age_s == 0:
            now_ms = int((_clock.now().timestamp() - self.age_s) * 1000)
            next_ms = max(now_ms, next_ms)
        self._last_ms = next_ms
        return _wire(datetime.fromtimestamp(next_ms / 1000, UTC))

    def _put(
        self,
        action: str,
        payload: Payload,
        late: Mapping[str, Any] | None = None,
        told: Callable[[Payload], None] = lambda _answer: None,
    ) -> None:
        members = {} if late is None else late
        self._queue.append(Queued(action, lambda: {**payload, **members}, told))
