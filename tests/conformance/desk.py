"""A running central system, and stations that play the official test cases on it.

The tests speak to it as strangers do: frames over sockets, and HTTP with a token.
"""

import asyncio
import itertools
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.clock import SystemClock
from tests.support import pki
from tests.support.certificates import Authority, client_context
from tests.support.gateway_process import (
    READY_TIMEOUT_S,
    STOP_TIMEOUT_S,
    WATTPROOF,
    environment,
    write_config,
)
from tests.support.ports import free_port
from tests.support.raw_station import RawStation

PASSWORD = "a-password-of-twenty"
OCCUPIED, AVAILABLE = "Occupied", "Available"
SIGNED = {
    "signedMeterData": "T0NNRnx7fXx7fQ==",
    "signingMethod": "ECDSA-secp256r1-SHA256",
    "encodingMethod": "OCMF",
    "publicKey": "",
}
"""A signed meter value in form; nobody verifies it here."""
DATA_VENDOR = "com.example.meters"
"""Its messages are accepted and kept."""
COST_INTERVAL_S = 5
"""Least time between two running costs at stations that show prices."""
_numbers = itertools.count(1)
_clock = SystemClock()


def stamp(ago_s: float = 0.0) -> str:
    """Now, or a while ago, as the wire has it."""
    return wire(_clock.now() - timedelta(seconds=ago_s))


def wire(moment: datetime) -> str:
    """A moment, as the wire has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where stations connect, and where operators ask."""

    ocpp_url: str
    tls_url: str
    api_url: str
    admin_token: str
    folder: Path
    root: Authority
    contract_root: pki.Holder


@contextmanager
def running_desk(folder: Path) -> Iterator[Desk]:
    """The gateway as a process of its own, stopped with the block."""
    root, tls_port = Authority.new(), free_port()
    server = root.issue(folder, "server")
    contract_root = pki.root("Contract root")
    (folder / "contract-roots.pem").write_text(contract_root.pem)
    sections = (
        "[ca]\n"
        '[iso15118]\nroots = ["contract-roots.pem"]\n'
        f'[ocpp]\ndata_vendors = ["{DATA_VENDOR}"]\n'
        f"[ocpp.tls]\nport = {tls_port}\n"
        f"certificates = [{{cert = '{server.cert}', key = '{server.key}'}}]\n"
    )
    ports = write_config(folder, {}, extra=sections)
    config = folder / "config.toml"
    costs = f"[billing]\ncost_interval_s = {COST_INTERVAL_S}"
    config.write_text(config.read_text("utf-8").replace("[billing]", costs), "utf-8")
    log = (folder / "gateway.log").open("wb")
    with log:
        made = _wattproof(folder, "token", "new", "--role", "admin")
        process = subprocess.Popen(
            [*WATTPROOF, "run", "--config", "config.toml"],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            api_url = f"http://127.0.0.1:{ports[1]}"
            _wait_ready(process, api_url, folder)
            yield Desk(
                ocpp_url=f"ws://127.0.0.1:{ports[0]}/ocpp",
                tls_url=f"wss://127.0.0.1:{tls_port}/ocpp",
                api_url=api_url,
                admin_token=made,
                folder=folder,
                root=root,
                contract_root=contract_root,
            )
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def _wattproof(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*WATTPROOF, *arguments, "--config", "config.toml"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=READY_TIMEOUT_S,
    )
    return max(done.stdout.split(), key=len)


def _wait_ready(process: "subprocess.Popen[bytes]", api_url: str, folder: Path) -> None:
    ends_at = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < ends_at:
        assert process.poll() is None, (folder / "gateway.log").read_text()[-4000:]
        try:
            if httpx.get(f"{api_url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError((folder / "gateway.log").read_text()[-4000:])


@dataclass(slots=True)
class Operator:
    """Someone with an admin token."""

    desk: Desk
    http: httpx.AsyncClient

    async def register(self, *, evses: int = 2, **members: object) -> str:
        """Register a new station of its own name; returns its id."""
        station_id = f"TC{next(_numbers)}"
        body: dict[str, object] = {
            "password": PASSWORD,
            "evses": [
                {
                    "evse_id": number + 1,
                    "current_type": "AC",
                    "phases": "L1L2L3",
                    "max_a": 16,
                    "min_a": 6,
                    "floor_a": 0,
                }
                for number in range(evses)
            ],
            "managed": False,
        } | members
        answer = await self.http.put(f"/stations/{station_id}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        return station_id

    def connect(
        self, station_id: str, *, version: str = "2.0.1", password: str = PASSWORD
    ) -> RawStation:
        """A station on the wire; use it as an async context."""
        return RawStation(self.desk.ocpp_url, station_id, password, version)

    def connect_securely(
        self, station_id: str, *, version: str = "2.0.1"
    ) -> RawStation:
        """The same over TLS, with its password (security profile 2)."""
        trusting = client_context(self.desk.root, self.desk.folder)
        return RawStation(
            self.desk.tls_url, station_id, PASSWORD, version, tls=trusting
        )

    @asynccontextmanager
    async def booted(
        self, *, version: str = "2.0.1", evses: int = 2, **members: object
    ) -> AsyncIterator[RawStation]:
        """A registered, connected and accepted station that is idle."""
        station_id = await self.register(evses=evses, **members)
        async with self.connect(station_id, version=version) as station:
            answer = await station.boot()
            assert answer["status"] == "Accepted"
            yield station

    async def call(
        self, station: RawStation, action: str, payload: Mapping[str, object]
    ) -> dict[str, Any]:
        """Send any CALL to a station; what became of it."""
        answer = await self.http.post(
            f"/stations/{station.station_id}/calls",
            json={"action": action, "payload": payload, "timeout_s": 10},
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def accepted(
        self, station: RawStation, action: str, payload: Mapping[str, object]
    ) -> dict[str, Any]:
        """Send a CALL that the station answers; the answer's payload."""
        outcome = await self.call(station, action, payload)
        assert outcome["outcome"] == "result", outcome
        result: dict[str, Any] = outcome["payload"]
        return result

    async def command(
        self,
        station: RawStation,
        action: str,
        payload: Mapping[str, object],
        *states: str,
    ) -> dict[str, Any]:
        """Have a command carried out; what it is once it is in one of the states."""
        answer = await self.http.post(
            f"/stations/{station.station_id}/commands",
            json={"action": action, "payload": payload},
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return await self.command_until(answer.json(), *states)

    async def command_until(
        self, command: Mapping[str, Any], *states: str
    ) -> dict[str, Any]:
        """Wait until a command is in one of the states; the command."""

        async def reached() -> dict[str, Any] | None:
            now = await self.get(f"/commands/{command['command_id']}")
            return now if now["state"] in states else None

        found: dict[str, Any] = await until(reached)
        return found

    async def token(self, value: str, **members: object) -> None:
        """Make a token known."""
        body = {"status": "Accepted"} | members
        answer = await self.http.put(f"/id-tokens/{value}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text

    async def get(self, path: str, **query: object) -> Any:
        """Read something of the API."""
        params = {key: str(value) for key, value in query.items()}
        answer = await self.http.get(path, params=params)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    async def sessions(self, station: RawStation) -> list[dict[str, Any]]:
        """Sessions of a station, newest first."""
        found = await self.get("/sessions", station_id=station.station_id)
        items: list[dict[str, Any]] = (
            found if isinstance(found, list) else found["items"]
        )
        return items


def connector_status(status: str, *, evse_id: int = 1) -> dict[str, Any]:
    """StatusNotification of 2.0.1."""
    return {
        "timestamp": stamp(),
        "connectorStatus": status,
        "evseId": evse_id,
        "connectorId": 1,
    }


def connector_event(status: str, *, evse_id: int = 1) -> dict[str, Any]:
    """NotifyEvent that says what a StatusNotification says (2.0.1, G01)."""
    return {
        "generatedAt": stamp(),
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": stamp(),
                "trigger": "Delta",
                "actualValue": status,
                "component": {"name": "Connector", "evse": {"id": evse_id}},
                "variable": {"name": "AvailabilityState"},
                "eventNotificationType": "HardWiredNotification",
            }
        ],
    }


def variables_set(asked: dict[str, Any], status: str = "Accepted") -> dict[str, Any]:
    """The answer to a SetVariables that meets all its items alike."""
    return {
        "setVariableResult": [
            {
                "attributeStatus": status,
                "component": one["component"],
                "variable": one["variable"],
            }
            for one in asked["setVariableData"]
        ]
    }


@dataclass(slots=True)
class Transaction:
    """One transaction of 2.0.1, event by event.

    Attributes:
        id_token: Presented with an event that says ``authorized=True``.
    """

    station: RawStation
    id_token: str
    evse_id: int = 1
    token_type: str = "ISO14443"
    transaction_id: str = ""
    register_wh: int = 1_000
    seq_no: int = -1

    def __post_init__(self) -> None:
        if not self.transaction_id:
            number = next(_numbers)
            self.transaction_id = f"{self.station.station_id}-{number}"

    async def event(
        self,
        event_type: str,
        trigger: str,
        *,
        state: str | None = None,
        authorized: bool = False,
        reason: str | None = None,
        energy: str | None = None,
        place: bool = True,
        ago_s: float = 0.0,
        **members: object,
    ) -> dict[str, Any]:
        """Tell the next event; the payload of its answer.

        Args:
            event_type: ``Started``, ``Updated`` or ``Ended``.
            trigger: ``triggerReason``.
            state: ``chargingState``.
            authorized: Whether the token is presented.
            reason: ``stoppedReason``.
            energy: Reading context, when the register is told.
            place: Whether the EVSE is told.
            ago_s: How long ago it happened.
            members: Further members of the message.
        """
        self.seq_no += 1
        info: dict[str, Any] = {"transactionId": self.transaction_id}
        if state is not None:
            info["chargingState"] = state
        if reason is not None:
            info["stoppedReason"] = reason
        at = stamp(ago_s)
        payload: dict[str, Any] = {
            "eventType": event_type,
            "timestamp": at,
            "triggerReason": trigger,
            "seqNo": self.seq_no,
            "transactionInfo": info,
        }
        if place:
            payload["evse"] = {"id": self.evse_id, "connectorId": 1}
        if authorized:
            payload["idToken"] = {"idToken": self.id_token, "type": self.token_type}
        if energy is not None:
            sample = {"value": self.register_wh, "context": energy}
            payload["meterValue"] = [{"timestamp": at, "sampledValue": [sample]}]
        return await self.station.ask("TransactionEvent", payload | members)


async def until(condition: Any, *, timeout_s: float = 30.0) -> Any:
    """Wait until an awaitable condition gives something true; that."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110 - the API has no event
            await asyncio.sleep(0.05)
        return found
