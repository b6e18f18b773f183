"""How real chargers connect: what is served, what is refused, and how it is said.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

import asyncio
import zlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from gateway.clock import SystemClock
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.server import listener
from gateway.server.reconnects import MAX_CONNECTS
from gateway.services import admission
from gateway.services.admission import MAX_FAILURES, Admission
from tests.support.ocpp_port import (
    BOOT_16,
    Port,
    changes_of_links,
    open_port,
    until,
)


async def refused(port: Port, **how: object) -> InvalidStatus:
    """Try to connect and fail."""
    with pytest.raises(InvalidStatus) as caught:
        async with port.station(**how):  # type: ignore[arg-type]  # passed through
            pytest.fail("connected")
    return caught.value


def compressed_frame(data: bytes) -> bytes:
    """A text frame on the wire with the first reserved bit set."""
    wire = Frame(Opcode.TEXT, data).serialize(mask=True)
    return bytes([wire[0] | 0x40]) + wire[1:]


@pytest.mark.quirk(1)
async def test_a_station_that_offers_no_version_is_told_which_and_is_seen(
    tmp_path: Path,
) -> None:
    """Row 1."""
    async with open_port(tmp_path) as port:
        error = await refused(port, subprotocols=None)
        assert error.response.status_code == 400
        assert b"ocpp1.6" in error.response.body
        assert await port.knocks() == {"CP1": "offered no subprotocol"}


@pytest.mark.quirk(1)
async def test_a_station_that_offers_unknown_versions_only_is_closed_politely(
    tmp_path: Path,
) -> None:
    """Row 1 (OCPP-J 1.6, 3.3: complete the handshake without one, then close)."""
    async with (
        open_port(tmp_path) as port,
        port.station(subprotocols=("ocpp1.5", "soap")) as cp,
    ):
        assert cp.socket.subprotocol is None
        assert await cp.closed() == 1002
        assert await port.knocks() == {"CP1": "offered no OCPP version we speak"}


@pytest.mark.quirk(1)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_version_is_assumed_where_the_operator_says_so(
    tmp_path: Path, version: str
) -> None:
    """Row 1."""
    async with open_port(tmp_path) as port:
        change = {"assume_version": version}
        await port.directory.put(StationId("CP1"), change, is_admin=False)
        async with port.station(subprotocols=None) as cp:
            assert cp.socket.subprotocol is None
            assert cp.socket.response is not None
            assert "Sec-WebSocket-Protocol" not in cp.socket.response.headers
            link = port.links.get(StationId("CP1"))
            assert link is not None
            assert link.adapter.version == version
        error = await refused(port, subprotocols=None, password=b"wrong-password")
        assert error.response.status_code == 401
        async with port.station(subprotocols=("ocpp2.0.1",)) as cp:
            assert cp.socket.subprotocol == "ocpp2.0.1"
        async with port.station(subprotocols=("soap",)) as cp:
            assert await cp.closed() == 1002
        await port.register("CP2")
        error = await refused(port, station_id="CP2", subprotocols=None)
        assert error.response.status_code == 400


@pytest.mark.quirk(1)
async def test_who_is_not_authenticated_learns_nothing_of_versions(
    tmp_path: Path,
) -> None:
    """Row 1."""
    async with open_port(tmp_path) as port:
        for station_id in ("CP1", "CP7"):
            error = await refused(
                port, station_id=station_id, subprotocols=None, password=b"wrong"
            )
            assert error.response.status_code == 401


@pytest.mark.quirk(2)
async def test_a_station_pinned_to_a_version_is_offered_no_other(
    tmp_path: Path,
) -> None:
    """Row 2."""
    async with open_port(tmp_path) as port:
        change = {"pin_version": "1.6"}
        await port.directory.put(StationId("CP1"), change, is_admin=False)
        async with port.station(subprotocols=("ocpp2.0.1", "ocpp1.6")) as cp:
            assert cp.socket.subprotocol == "ocpp1.6"
        async with port.station(subprotocols=("ocpp2.0.1",)) as cp:
            assert cp.socket.subprotocol is None
            assert await cp.closed() == 1002
        reason = (await port.knocks())["CP1"]
        assert reason == "is pinned to OCPP 1.6 and offered ocpp2.0.1"
        await port.directory.put(
            StationId("CP1"), {"pin_version": None}, is_admin=False
        )
        async with port.station(subprotocols=("ocpp2.0.1",)) as cp:
            assert cp.socket.subprotocol == "ocpp2.0.1"


@pytest.mark.quirk(2)
@pytest.mark.parametrize(
    "change",
    [
        {"pin_version": "1.5"},
        {"assume_version": 1.6},
        {"assume_version": "1.6", "pin_version": "2.0.1"},
    ],
)
async def test_versions_that_make_no_sense_are_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """Rows 1 and 2."""
    async with open_port(tmp_path) as port:
        with pytest.raises(RequestError) as caught:
            await port.directory.put(StationId("CP1"), change, is_admin=False)
        assert caught.value.status == 422


@pytest.mark.quirk(2)
async def test_the_version_is_the_one_that_was_negotiated(tmp_path: Path) -> None:
    """Row 2."""
    async with (
        open_port(tmp_path) as port,
        port.station(subprotocols=("ocpp9", "ocpp2.0.1", "ocpp1.6")) as cp,
    ):
        assert cp.socket.subprotocol == "ocpp2.0.1"
        answer = await cp.ask("BootNotification", BOOT_16)
        assert answer[2] == "OccurrenceConstraintViolation"
        assert "it has the shape of OCPP 1.6" in answer[3]
        await port.writer.run(lambda _conn: None)  # what is queued is written
        (kept,) = await port.queries.refused_frames("CP1")
        assert "OCPP 1.6" in kept.description


@pytest.mark.quirk(2)
async def test_an_action_of_the_other_version_is_named_so(tmp_path: Path) -> None:
    """Row 2."""
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        answer = await cp.ask("TransactionEvent", {})
        assert answer[2] == "NotImplemented"
        assert answer[3] == ("an action of OCPP 2.0.1; this connection agreed on 1.6")
        assert (await cp.ask("NoSuchAction", {}))[3] == "unknown action"


@pytest.mark.quirk(3)
@pytest.mark.parametrize(
    "path",
    [
        "/CP1",
        "//CP1",
        "/ocpp/CP1/",
        "/ocpp//CP1//",
        "/some/prefix/ocpp/CP1?x=1",
        "/ocpp/%43P1",
        "/ocpp/cp1",
    ],
)
async def test_odd_paths_lead_to_the_station(tmp_path: Path, path: str) -> None:
    """Row 3."""
    async with open_port(tmp_path) as port, port.station(path=path) as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        assert port.links.is_online(StationId("CP1"))


@pytest.mark.quirk(3)
async def test_an_absolute_request_line_leads_to_the_station(tmp_path: Path) -> None:
    """Row 3."""
    async with open_port(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(
            f"GET ws://127.0.0.1:{port.number}/ocpp/CP1 HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            "Authorization: Basic Q1AxOmEtc3RhdGlvbi1wYXNzd29yZA==\r\n\r\n".encode()
        )
        async with asyncio.timeout(30):
            assert b"101" in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.quirk(3)
async def test_ids_that_differ_in_case_alone_are_two_stations(tmp_path: Path) -> None:
    """Row 3."""
    async with open_port(tmp_path) as port:
        await port.register("cp1")
        async with port.station("cp1"):
            await until(lambda: port.links.is_online(StationId("cp1")))
            assert not port.links.is_online(StationId("CP1"))
        error = await refused(port, station_id="Cp1")
        assert error.response.status_code == 401


@pytest.mark.quirk(3)
async def test_an_id_in_another_case_is_logged(tmp_path: Path) -> None:
    """Row 3."""
    with capture_logs() as lines:
        async with open_port(tmp_path) as port:
            async with port.station("cp1"):
                await until(lambda: port.links.is_online(StationId("CP1")))
            async with port.station("CP1"):
                pass
    told = [one for one in lines if one["event"] == "station.other_case"]
    assert [(one["asked"], one["station_id"]) for one in told] == [("cp1", "CP1")]


@pytest.mark.quirk(3)
@pytest.mark.parametrize("path", ["/", "/ocpp/%2e%2e", "/ocpp/a%00b"])
async def test_a_path_without_an_id_is_not_found(tmp_path: Path, path: str) -> None:
    """Row 3."""
    async with open_port(tmp_path) as port:
        assert (await refused(port, path=path)).response.status_code == 404


@pytest.mark.quirk(4)
async def test_the_newest_connection_owns_the_station(tmp_path: Path) -> None:
    """Row 4."""
    async with open_port(tmp_path) as port, port.station() as old:
        await old.ask("BootNotification", BOOT_16)
        with port.bus.subscribe("test") as heard:
            async with port.station() as new:
                assert await old.closed() == 1008
                assert (await new.ask("Heartbeat", {}))[0] == 3
                await asyncio.sleep(0.05)  # the old one's close has come in
                assert port.links.is_online(StationId("CP1"))
                assert changes_of_links(heard) == [("CP1", True)]
            await until(lambda: not port.links.is_online(StationId("CP1")))
            assert changes_of_links(heard) == [("CP1", False)]


@pytest.mark.quirk(4)
async def test_an_impostor_without_the_password_disturbs_nobody(
    tmp_path: Path,
) -> None:
    """Row 4."""
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        for password in (None, b"another-password"):
            error = await refused(port, password=password)
            assert error.response.status_code == 401
        assert (await cp.ask("Heartbeat", {}))[0] == 3


@pytest.mark.quirk(4)
async def test_two_senders_that_fight_for_one_station_raise_an_alarm(
    tmp_path: Path,
) -> None:
    """Row 4."""
    async with open_port(tmp_path) as port:
        for number in range(6):
            async with port.station(source=f"127.0.0.{1 + number % 2}"):
                await until(lambda: port.links.is_online(StationId("CP1")))
                async with port.station(source=f"127.0.0.{2 - number % 2}"):
                    pass
        rivals = ("127.0.0.1", "127.0.0.2")
        assert port.links.contested(StationId("CP1")) == rivals
        async with port.station():
            await until(lambda: port.links.is_online(StationId("CP1")))
            shown = port.links.connection(StationId("CP1"))
            assert shown is not None
            assert shown["contested_by"] == list(rivals)


@pytest.mark.quirk(4)
async def test_a_station_that_reconnects_from_one_place_raises_none(
    tmp_path: Path,
) -> None:
    """Row 4."""
    async with open_port(tmp_path) as port:
        async with port.station():
            for _ in range(6):
                async with port.station():
                    pass
        assert port.links.contested(StationId("CP1")) == ()


@pytest.mark.quirk(5)
async def test_no_ping_is_sent_to_stations_that_know_no_pong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 5."""
    monkeypatch.setattr(listener, "SWEEP_S", 0.05)
    async with open_port(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(
            b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            b"Authorization: Basic Q1AxOmEtc3RhdGlvbi1wYXNzd29yZA==\r\n\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reader.readexactly(1)
        assert port.links.is_online(StationId("CP1"))
        writer.close()


@pytest.mark.quirk(5)
async def test_a_ping_is_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 5."""
    monkeypatch.setattr(listener, "SWEEP_S", 0.05)
    monkeypatch.setattr(Admission, "idle_timeout_s", lambda _self, _id: 3.0)
    async with open_port(tmp_path) as port, port.station() as cp:
        for _ in range(20):
            async with asyncio.timeout(30):
                await (await cp.socket.ping())
            await asyncio.sleep(0.2)
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        assert await cp.closed() == 1002  # silent since


@pytest.mark.quirk(5)
def test_a_station_may_miss_two_heartbeats() -> None:
    """Row 5."""
    assert admission.IDLE_HEARTBEATS >= 3
    assert admission.MIN_IDLE_S >= 60


@pytest.mark.quirk(6)
async def test_compression_is_not_agreed_by_default(tmp_path: Path) -> None:
    """Row 6."""
    async with (
        open_port(tmp_path) as port,
        port.station(compression="deflate") as cp,
    ):
        assert cp.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in cp.socket.response.headers
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3


@pytest.mark.quirk(6)
async def test_a_frame_with_reserved_bits_costs_its_sender_the_connection(
    tmp_path: Path,
) -> None:
    """Row 6."""
    async with open_port(tmp_path) as port:
        async with port.station() as cp:
            cp.socket.transport.write(compressed_frame(b'[2,"1","Heartbeat",{}]'))
            assert await cp.closed() == 1002
        async with port.station() as cp:
            assert (await cp.ask("BootNotification", BOOT_16))[0] == 3


@pytest.mark.quirk(6)
async def test_a_deflate_bomb_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    """Row 6."""
    async with (
        open_port(tmp_path, compression=True) as port,
        port.station(compression="deflate") as cp,
    ):
        squeezer = zlib.compressobj(wbits=-12)
        bomb = squeezer.compress(b" " * 50_000_000) + squeezer.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < 65_536
        cp.socket.transport.write(compressed_frame(bomb[:-4]))
        assert await cp.closed() == 1009


@pytest.mark.quirk(7)
async def test_a_station_that_flaps_is_asked_to_wait_and_nobody_else(
    tmp_path: Path,
) -> None:
    """Row 7."""
    async with open_port(tmp_path) as port:
        await port.register("CP2")
        for _ in range(MAX_CONNECTS):
            async with port.station():
                pass
        error = await refused(port)
        assert error.response.status_code == 503
        assert int(error.response.headers["Retry-After"]) > 0
        async with port.station("CP2") as other:
            assert (await other.ask("BootNotification", BOOT_16))[0] == 3


@pytest.mark.quirk(7)
async def test_guessing_passwords_is_slowed_and_locks_nobody_else_out(
    tmp_path: Path,
) -> None:
    """Row 7."""
    async with open_port(tmp_path) as port:
        for _ in range(MAX_FAILURES):
            await refused(port, password=b"wrong-password", source="127.0.0.2")
        error = await refused(port, password=b"wrong-password", source="127.0.0.2")
        assert error.response.status_code == 429
        async with port.station():
            await until(lambda: port.links.is_online(StationId("CP1")))


@pytest.mark.quirk(8)
@pytest.mark.parametrize(
    "secret",
    [b"with:colons:in:it", bytes(range(236, 256)), "pässwörd".encode(), b" blank "],
)
async def test_a_password_is_bytes(tmp_path: Path, secret: bytes) -> None:
    """Row 8."""
    async with open_port(tmp_path) as port:
        await port.register("CP9", secret)
        async with port.station("CP9", password=secret):
            await until(lambda: port.links.is_online(StationId("CP9")))
        error = await refused(port, station_id="CP9", password=secret + b"x")
        assert error.response.status_code == 401


@pytest.mark.quirk(8)
async def test_a_password_and_its_hexadecimal_form_are_one(tmp_path: Path) -> None:
    """Row 8."""
    async with open_port(tmp_path) as port:
        raw = bytes(range(200, 220))
        await port.register("RAW", raw)
        await port.register("HEX", raw.hex().encode())
        for station_id, presented, form in (
            ("RAW", raw, None),
            ("RAW", raw.hex().encode(), "other_form"),
            ("RAW", raw.hex().upper().encode(), "other_form"),
            ("RAW", raw, "as_stored"),
            ("HEX", raw, "other_form"),
        ):
            async with port.station(station_id, password=presented) as cp:
                assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
            await port.directory.reload()
            assert port.directory.require(station_id).password_form == form


@pytest.mark.quirk(8)
async def test_the_user_is_the_station(tmp_path: Path) -> None:
    """Row 8."""
    async with open_port(tmp_path) as port:
        assert (await refused(port, user="CP2")).response.status_code == 401
        async with port.station(user="cp1"):
            await until(lambda: port.links.is_online(StationId("CP1")))


@pytest.mark.use_case("B04")
@pytest.mark.quirk(10)
async def test_an_accepted_station_need_not_boot_after_a_reconnect(
    tmp_path: Path,
) -> None:
    """Row 10."""
    async with open_port(tmp_path) as port:
        async with port.station() as cp:
            refusal = await cp.ask("Heartbeat", {})
            assert refusal[:3] == [4, "s1", "SecurityError"]
            await cp.ask("BootNotification", BOOT_16)
        entry = port.directory.require("CP1")
        await until(lambda: port.directory.require("CP1").accepted_at is not None)
        assert entry.registration == "Accepted"
        async with port.station() as cp:
            start = {
                "connectorId": 1,
                "idTag": "DRIVER",
                "meterStart": 1,
                "timestamp": "2026-06-01T12:00:00Z",
            }
            answer = await cp.ask("StartTransaction", start)
            assert answer[2]["transactionId"] > 0


@pytest.mark.quirk(10)
async def test_a_boot_ends_no_session_that_its_station_may_still_end(
    tmp_path: Path,
) -> None:
    """Row 10."""
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        start = {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1000,
            "timestamp": "2026-06-01T12:00:00Z",
        }
        number = (await cp.ask("StartTransaction", start))[2]["transactionId"]
        await cp.ask("BootNotification", BOOT_16)
        stop = {
            "transactionId": number,
            "meterStop": 3000,
            "timestamp": "2026-06-01T13:00:00Z",
            "reason": "PowerLoss",
        }
        await cp.ask("StopTransaction", stop)
        (session,) = await port.queries.sessions()
        assert (session.energy_milliwh, session.verdict) == (2_000_000, "ok-unsigned")


def charging_16(number: int, power_w: str, **when: str) -> dict[str, object]:
    """A sample of a session's power, as of now if not told otherwise."""
    value = {"value": power_w, "measurand": "Power.Active.Import", "unit": "W"}
    at = when.get("at") or SystemClock().now().isoformat()
    meter = [{"timestamp": at, "sampledValue": [value]}]
    return {"connectorId": 1, "transactionId": number, "meterValue": meter}


@pytest.mark.quirk(10)
async def test_what_a_session_does_is_unknown_after_a_boot_until_it_is_said(
    tmp_path: Path,
) -> None:
    """Row 10."""
    async with open_port(tmp_path) as port, port.station() as cp:

        async def session() -> tuple[object, ...]:
            (one,) = await port.queries.open_sessions()
            is_interrupted = one.interrupted_at is not None
            return one.phase, one.charging_state, one.power_w, is_interrupted

        await cp.ask("BootNotification", BOOT_16)
        now = SystemClock().now().isoformat()
        start = {"connectorId": 1, "idTag": "D", "meterStart": 1, "timestamp": now}
        number = (await cp.ask("StartTransaction", start))[2]["transactionId"]
        state = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        await cp.ask("StatusNotification", state)
        await cp.ask("MeterValues", charging_16(number, "7000"))
        assert await session() == ("running", "charging", 7000.0, False)
        await cp.ask("BootNotification", BOOT_16)
        assert await session() == ("running", None, None, True)
        (status,) = await port.queries.evse_statuses(StationId("CP1"))
        assert status.charging_state is None
        await cp.ask("MeterValues", charging_16(number, "1", at="2026-06-01T12:00:00Z"))
        assert await session() == ("running", None, None, True)  # kept from before
        await cp.ask("MeterValues", charging_16(number, "6000"))
        assert await session() == ("running", None, 6000.0, False)
        await cp.ask("BootNotification", BOOT_16)
        await cp.ask("StatusNotification", state)
        assert await session() == ("running", "charging", None, False)


async def test_a_socket_that_closes_in_the_middle_of_a_frame_harms_nobody(
    tmp_path: Path,
) -> None:
    """Row 4."""
    async with open_port(tmp_path) as port, port.station() as cp:
        frame = Frame(Opcode.TEXT, b'[2,"1","Heartbeat",{}]').serialize(mask=True)
        cp.socket.transport.write(frame[:10])
        cp.socket.transport.abort()
        with pytest.raises(ConnectionClosed):
            await cp.socket.recv()
        await until(lambda: not port.links.is_online(StationId("CP1")))
        async with port.station() as again:
            assert (await again.ask("BootNotification", BOOT_16))[0] == 3
