"""Every named fault does on the wire what its line in ``--faults`` says."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from sim_chargers.charger import Charger
from sim_chargers.clock import from_wire
from sim_chargers.faults import FAULTS, ROWS
from sim_chargers.quirks import ABSURD_NUMBER, ABSURD_TIMES
from tests.integration.sim.test_flow import car, charging, lines, settled, station
from tests.integration.sim.tiny_csms import Payload, Seen, TinyCsms, validator

VERSIONS = ["1.6", "2.0.1"]


@dataclass
class Recorder(TinyCsms):
    """A central system that takes anything and remembers all of it."""

    requests: list[Request] = field(default_factory=list)
    frames: list[list[Any]] = field(default_factory=list)
    all_sockets: list[ServerConnection] = field(default_factory=list)

    def values(self, action: str) -> list[Payload]:
        """All sampled values of an action, in order."""
        return [
            value
            for payload in self.of(action)
            for group in payload.get("meterValue", ())
            for value in group["sampledValue"]
        ]

    def ids(self, action: str) -> list[str]:
        """Message ids of an action, in order."""
        return [frame[1] for frame in self.frames if frame[2:3] == [action]]

    @override
    async def serve(self, socket: ServerConnection) -> None:
        self.all_sockets.append(socket)
        await super().serve(socket)

    @override
    async def _receive(
        self, socket: ServerConnection, station_id: str, frame: list[Any]
    ) -> None:
        async with self._changed:
            self.frames.append(frame)
            if frame[0] == 2:
                self.seen.append(Seen(station_id, frame[2], frame[3]))
            self._changed.notify_all()
        if frame[0] != 2:
            waiting = self._answers.pop(frame[1], None)
            if waiting is not None:
                waiting.set_result(frame[2] if frame[0] == 3 else frame)
            return
        answer = self.answer(frame[2], frame[3])
        await socket.send(json.dumps([3, frame[1], answer]))

    @override
    def _check(self, socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return super()._check(socket, request)


@asynccontextmanager
async def recorder(*subprotocols: str) -> AsyncIterator[Recorder]:
    system = Recorder()
    async with serve(
        system.serve,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        process_request=system._check,
        close_timeout=1,
    ) as server:
        system.port = next(iter(server.sockets)).getsockname()[1]
        yield system


@asynccontextmanager
async def faulty(version: str, *names: str) -> AsyncIterator[tuple[Recorder, Charger]]:
    """A station with faults, and who listens to it."""
    async with (
        recorder("ocpp1.6", "ocpp2.0.1") as csms,
        station(csms, version, *names) as cp,
    ):
        yield csms, cp


async def whole_session(csms: Recorder, cp: Charger, *, samples: int = 0) -> None:
    """Charge, wait for samples, stop."""
    await charging(csms, cp)
    await csms.until(lambda: n_sample(csms) >= samples)
    await settled(cp)
    assert await cp.present_token(1, "CARD")
    await csms.until(lambda: lines(cp, "session_ended"))


def n_sample(csms: Recorder) -> int:
    updates = [p for p in csms.of("TransactionEvent") if p["eventType"] == "Updated"]
    return len(csms.of("MeterValues")) + len(updates)


def of_kind(csms: Recorder, kind: str) -> list[Payload]:
    """Starts, stops (and, of 2.0.1, updates) of either version."""
    action = {"Started": "StartTransaction", "Ended": "StopTransaction"}.get(kind, "")
    events = [p for p in csms.of("TransactionEvent") if p["eventType"] == kind]
    return csms.of(action) + events


def broken(version: str, action: str, payload: Payload) -> bool:
    return not validator(f"ocpp{version}", action, answer=False).is_valid(payload)


def test_every_fault_names_its_row() -> None:
    assert FAULTS.keys() == ROWS.keys()
    assert set(ROWS.values()) == set(range(1, 29))


async def test_no_subprotocol_offers_none() -> None:
    async with recorder() as csms, station(csms, "2.0.1", "no-subprotocol"):
        assert "Sec-WebSocket-Protocol" not in csms.requests[0].headers


@pytest.mark.parametrize("version", VERSIONS)
async def test_wrong_version_boots_in_the_other_shape_first(version: str) -> None:
    async with faulty(version, "wrong-version") as (csms, cp):
        cp.request_boot()
        await csms.until(lambda: len(csms.of("BootNotification")) == 2)
        wrong, right = csms.of("BootNotification")
        assert broken(version, "BootNotification", wrong)
        other = "2.0.1" if version == "1.6" else "1.6"
        assert not broken(other, "BootNotification", wrong)
        assert not broken(version, "BootNotification", right)


async def test_odd_url_is_odd() -> None:
    async with faulty("1.6", "odd-url") as (csms, _):
        assert csms.requests[0].path == "/ocpp//%43P1/"


async def test_double_connect_leaves_a_silent_socket_behind() -> None:
    async with faulty("1.6", "double-connect") as (csms, _):
        assert len(csms.all_sockets) == 2
        ghost, real = csms.all_sockets
        assert ghost.state == real.state
        assert csms.sockets["CP1"] is real
        async with asyncio.timeout(30):
            await (await ghost.ping())


async def test_no_pong_leaves_pings_unanswered() -> None:
    async with faulty("1.6", "no-pong") as (csms, _):
        pong = await csms.sockets["CP1"].ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pong
    async with faulty("1.6") as (csms, _):
        async with asyncio.timeout(30):
            await (await csms.sockets["CP1"].ping())


async def test_reserved_bits_cost_the_connection() -> None:
    async with faulty("1.6", "reserved-bits") as (csms, _):
        first = csms.sockets["CP1"]
        with suppress(ConnectionClosed):
            for _ in range(30):
                await first.send('[2,"x","ClearCache",{}]')
        async with asyncio.timeout(30):
            await first.wait_closed()
        assert first.protocol.close_sent is not None
        assert first.protocol.close_sent.code == 1002


async def test_flapping_hangs_up_and_comes_back_at_once() -> None:
    async with faulty("1.6", "flapping") as (csms, cp):
        await csms.until(lambda: len(csms.all_sockets) >= 3)
        assert cp.link.traffic.connects >= 2


async def test_hex_password_is_presented_in_hexadecimal() -> None:
    async with faulty("1.6", "hex-password") as (csms, _):
        header = csms.requests[0].headers["Authorization"]
        assert base64.b64decode(header.removeprefix("Basic ")) == b"CP1:7077"


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_boot_sends_none_and_charges(version: str) -> None:
    async with faulty(version, "no-boot") as (csms, cp):
        await whole_session(csms, cp)
        assert csms.of("BootNotification") == []


async def test_crossing_calls_come_before_the_answer() -> None:
    async with faulty("1.6", "crossing-calls") as (csms, _):
        await csms.call("CP1", "ClearCache", {})
        kinds = [frame[0] for frame in csms.frames]
        own = csms.frames[kinds.index(3) - 1]
        assert own[2] == "Heartbeat"


async def test_late_answers_are_late_and_come() -> None:
    async with faulty("1.6", "late-answers") as (csms, cp):
        cp.link.late_answer_s = 0.4
        loop = asyncio.get_running_loop()
        before_s = loop.time()
        await csms.call("CP1", "ClearCache", {})
        assert loop.time() - before_s >= 0.4


async def test_stray_answers_answer_nobody() -> None:
    async with faulty("1.6", "stray-answers") as (csms, _):
        await csms.call("CP1", "ClearCache", {})
        strays = [f for f in csms.frames if str(f[1]).startswith("stray-")]
        assert strays == [[3, "stray-1", {}]]


async def test_odd_errors_are_misspelt_and_short() -> None:
    async with faulty("2.0.1", "odd-errors") as (csms, _):
        await csms.call("CP1", "ClearCache", {})
        refusal = await csms.call_raw("CP1", "ClearCache", {})
        assert refusal[0] == 4
        assert refusal[2:] == ["FormationViolation"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_schema_breaks_break_the_schema(version: str) -> None:
    async with faulty(version, "schema-breaks") as (csms, cp):
        await whole_session(csms, cp)
        await settled(cp)
        for action in ("BootNotification", "StatusNotification"):
            assert all(broken(version, action, p) for p in csms.of(action))
        action = "StopTransaction" if version == "1.6" else "TransactionEvent"
        assert broken(version, action, csms.of(action)[0])


@pytest.mark.parametrize("version", VERSIONS)
async def test_absurd_values_are_absurd(version: str) -> None:
    async with faulty(version, "absurd-values") as (csms, cp):
        await whole_session(csms, cp, samples=2)
        numbers = {
            status.get("evseId", status["connectorId"])
            for status in csms.of("StatusNotification")
        }
        assert ABSURD_NUMBER in numbers
        times = {p.get("timestamp") for p in csms.of("StatusNotification")}
        assert times <= set(ABSURD_TIMES)
        if version == "1.6":
            keys = await csms.call("CP1", "GetConfiguration", {})
            found = {one["key"]: one["value"] for one in keys["configurationKey"]}
            assert found["NumberOfConnectors"] == str(ABSURD_NUMBER)


@pytest.mark.parametrize("version", VERSIONS)
async def test_fragile_restarts_when_it_is_asked(version: str) -> None:
    async with faulty(version, "fragile") as (csms, _):
        what = {"requestedMessage": "Heartbeat"}
        assert (await csms.call("CP1", "TriggerMessage", what))["status"]
        await csms.until(lambda: len(csms.of("BootNotification")) == 2)


@pytest.mark.parametrize("version", VERSIONS)
async def test_restart_to_set_takes_settings_at_the_next_restart(version: str) -> None:
    async with faulty(version, "restart-to-set") as (csms, _):
        if version == "1.6":
            payload = {"key": "HeartbeatInterval", "value": "77"}
            answer = await csms.call("CP1", "ChangeConfiguration", payload)
            assert answer["status"] == "RebootRequired"
            return
        item = {
            "attributeValue": "77",
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "HeartbeatInterval"},
        }
        answer = await csms.call("CP1", "SetVariables", {"setVariableData": [item]})
        (result,) = answer["setVariableResult"]
        assert result["attributeStatus"] == "RebootRequired"


async def test_odd_transaction_ids_of_2_0_1_are_texts() -> None:
    async with faulty("2.0.1", "odd-transaction-ids") as (csms, cp):
        await whole_session(csms, cp, samples=1)
        ids = {
            kind: {e["transactionInfo"]["transactionId"] for e in of_kind(csms, kind)}
            for kind in ("Updated", "Ended")
        }
        assert ids == {"Updated": {"0"}, "Ended": {"-1"}}


async def test_odd_transaction_ids_are_0_and_minus_1() -> None:
    async with faulty("1.6", "odd-transaction-ids") as (csms, cp):
        await whole_session(csms, cp, samples=1)
        assert {m["transactionId"] for m in csms.of("MeterValues")} == {0}
        assert [s["transactionId"] for s in csms.of("StopTransaction")] == [-1]


@pytest.mark.parametrize("version", VERSIONS)
async def test_restarted_starts_come_again_after_the_stop(version: str) -> None:
    async with faulty(version, "restarted-starts") as (csms, cp):
        await whole_session(csms, cp)
        await csms.until(lambda: len(of_kind(csms, "Started")) == 2)
        first, again = of_kind(csms, "Started")
        assert first == again


@pytest.mark.parametrize(
    ("name", "extra_wh"), [("repeated-stops", 0), ("differing-stops", 100)]
)
@pytest.mark.parametrize("version", VERSIONS)
async def test_stops_come_twice(version: str, name: str, extra_wh: int) -> None:
    async with faulty(version, name) as (csms, cp):
        await whole_session(csms, cp)
        await csms.until(lambda: len(of_kind(csms, "Ended")) == 2)
        first, again = of_kind(csms, "Ended")
        assert stop_wh(again) - stop_wh(first) == pytest.approx(extra_wh)
        action = "StopTransaction" if version == "1.6" else "TransactionEvent"
        assert len(set(csms.ids(action)[-2:])) == 2


@pytest.mark.parametrize("version", VERSIONS)
async def test_lost_starts_are_never_sent(version: str) -> None:
    async with faulty(version, "lost-starts") as (csms, cp):
        cp.plug_in(1, car())
        await settled(cp)
        assert await cp.present_token(1, "CARD")
        await settled(cp)
        assert await cp.present_token(1, "CARD")
        await csms.until(lambda: of_kind(csms, "Ended"))
        assert of_kind(csms, "Started") == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_relative_registers_count_from_the_start(version: str) -> None:
    async with faulty(version, "relative-registers") as (csms, cp):
        await whole_session(csms, cp, samples=2)
        (stop,) = of_kind(csms, "Ended")
        sampled = sampled_wh(csms)
        assert sampled
        assert max(sampled) < 10_000 < stop_wh(stop)


@pytest.mark.parametrize("version", VERSIONS)
async def test_register_drops_are_zeros_among_lifetime_registers(
    version: str,
) -> None:
    async with faulty(version, "register-drops") as (csms, cp):
        await whole_session(csms, cp, samples=4)
        sampled = sampled_wh(csms)
        assert 0 in sampled
        assert max(sampled) > 100_000


@pytest.mark.parametrize("version", VERSIONS)
async def test_odd_units_are_odd(version: str) -> None:
    async with faulty(version, "odd-units") as (csms, cp):
        await whole_session(csms, cp, samples=2)
        if version == "1.6":
            values = csms.values("MeterValues")
            assert {"value": "N/A", "measurand": "SoC"} in values
            energy = [v for v in values if v.get("unit") == "kWh"]
            assert all("," in v["value"] for v in energy)
            assert isinstance(csms.of("StopTransaction")[0]["meterStop"], float)
        else:
            values = csms.values("TransactionEvent")
            energy = [v for v in values if v.get("unitOfMeasure") == {"unit": "KWH"}]
        assert energy
        assert not any("measurand" in value for value in energy)


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_transaction_id_leaves_the_place_to_guess(version: str) -> None:
    async with faulty(version, "no-transaction-id") as (csms, cp):
        await whole_session(csms, cp, samples=2)
        if version == "1.6":
            samples = csms.of("MeterValues")
            assert not any("transactionId" in one for one in samples)
            assert {one["connectorId"] for one in samples} == {0, 1}
        else:
            later = of_kind(csms, "Updated") + of_kind(csms, "Ended")
            assert not any("evse" in one for one in later)


@pytest.mark.parametrize("version", VERSIONS)
async def test_local_time_has_no_zone_and_is_ahead(version: str) -> None:
    async with faulty(version, "local-time") as (csms, cp):
        await whole_session(csms, cp)
        (start,) = of_kind(csms, "Started")
        assert not start["timestamp"].endswith("Z")
        assert "+" not in start["timestamp"]
        ahead = from_wire(start["timestamp"]) - cp.clock.now()
        assert timedelta(hours=1, minutes=30) < ahead < timedelta(hours=2)


@pytest.mark.parametrize("version", VERSIONS)
async def test_accepts_only_accepts_and_does_nothing(version: str) -> None:
    async with faulty(version, "accepts-only") as (csms, cp):
        cp.plug_in(1, car())
        if version == "1.6":
            answer = await csms.call(
                "CP1", "RemoteStartTransaction", {"idTag": "A", "connectorId": 1}
            )
        else:
            token = {"idToken": "A", "type": "Central"}
            start = {"remoteStartId": 1, "evseId": 1, "idToken": token}
            answer = await csms.call("CP1", "RequestStartTransaction", start)
        assert answer["status"] == "Accepted"
        await settled(cp)
        assert of_kind(csms, "Started") == []


def stop_wh(payload: Payload) -> float:
    if "meterStop" in payload:
        return float(payload["meterStop"])
    return float(payload["meterValue"][0]["sampledValue"][0]["value"])


def sampled_wh(csms: Recorder) -> list[float]:
    groups = [
        group
        for payload in csms.of("MeterValues") + of_kind(csms, "Updated")
        for group in payload["meterValue"]
    ]
    return [float(group["sampledValue"][0]["value"]) for group in groups]
