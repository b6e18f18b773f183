"""Calls in both directions with chargers that take their time or misspell.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import IdToken, StationId
from gateway.errors import CallFailed, CallRefused, CallTimedOut
from gateway.ocpp.adapter import CallOutcome, Command
from gateway.ocpp.v16 import V16
from tests.support.ocpp_port import BOOT_16, Port, RawStation, open_port
from tests.support.queue_station import accept

CP1 = StationId("CP1")
CLEAR = Command(action="ClearCache", payload={})
START = {
    "connectorId": 1,
    "idTag": "DRIVER",
    "meterStart": 1000,
    "timestamp": "2026-06-01T12:00:00Z",
}


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[tuple[Port, RawStation]]:
    """A station that has booted and been configured."""
    async with open_port(path) as port, port.station() as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        await configured(cp)
        yield port, cp


async def configured(cp: RawStation, answer: str = "Accepted") -> list[str]:
    """Answer the configuration that follows a first boot; the keys that were written.

    The station is asked for all it has; what was accepted is read back.
    """
    await take(cp, "GetConfiguration", {}, {"configurationKey": []})
    values = {}
    for _ in range(2):
        frame = await cp.receive()
        assert frame[2] == "ChangeConfiguration"
        values[frame[3]["key"]] = frame[3]["value"]
        await cp.send([3, frame[1], {"status": answer}])
    if answer == "Accepted":
        said = [
            {"key": key, "value": value, "readonly": False}
            for key, value in values.items()
        ]
        await take(
            cp, "GetConfiguration", {"key": list(values)}, {"configurationKey": said}
        )
    return list(values)


async def take(
    cp: RawStation, action: str, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    """The next call must be this one; answer it."""
    frame = await cp.receive()
    assert frame[2:] == [action, payload]
    await cp.send([3, frame[1], answer])


async def refuse_settings(cp: RawStation, told: Mapping[str, str]) -> None:
    """Boot, tell these keys, and refuse the two settings that always come first."""
    said = [{"key": k, "value": v, "readonly": False} for k, v in told.items()]
    await cp.ask("BootNotification", BOOT_16)
    await take(cp, "GetConfiguration", {}, {"configurationKey": said})
    for _ in range(2):
        frame = await cp.receive()
        await cp.send([3, frame[1], {"status": "Rejected"}])


@pytest.mark.quirk(11)
async def test_a_station_may_call_before_it_answers(tmp_path: Path) -> None:
    """Row 11: it even waits for its own answer first, and nobody deadlocks."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        ours = group.create_task(port.links.call(CP1, CLEAR, timeout_s=5))
        call = await cp.receive()
        assert call[2] == "ClearCache"
        started = await cp.ask("StartTransaction", START)
        assert started[2]["transactionId"] > 0
        assert not ours.done()
        await cp.send([3, call[1], {"status": "Accepted"}])
        assert await ours == {"status": "Accepted"}


@pytest.mark.quirk(11)
async def test_one_call_of_ours_is_outstanding_at_a_time(tmp_path: Path) -> None:
    """Row 11."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(port.links.call(CP1, CLEAR, timeout_s=5))
        for _ in range(3):
            call = await cp.receive()
            beat = await cp.ask("Heartbeat", {})  # nothing else comes before it
            assert beat[0] == 3
            await cp.send([3, call[1], {"status": "Accepted"}])


@pytest.mark.quirk(12)
async def test_a_late_answer_and_an_unasked_one_are_taken_in_silence(
    tmp_path: Path,
) -> None:
    """Row 12."""
    async with served(tmp_path) as (port, cp):
        with pytest.raises(CallTimedOut):
            await port.links.call(CP1, CLEAR, timeout_s=0.05)
        call = await cp.receive()
        await cp.send([3, "never-asked", {"status": "Accepted"}])
        await cp.send([4, "never-asked", "GenericError", "", {}])
        await cp.send([3, call[1], {"status": "Accepted"}])
        await cp.send([3, call[1], {"status": "Accepted"}])
        await cp.send("[3]")
        await cp.send([2, "after", "Heartbeat", {}])
        assert (await cp.receive())[:2] == [3, "after"]
        (link,) = port.links.all()
        assert link.counters.orphan_answers == 3


@pytest.mark.quirk(12)
async def test_after_a_timeout_the_next_call_goes_out(tmp_path: Path) -> None:
    """Row 12."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        with pytest.raises(CallTimedOut):
            await port.links.call(CP1, CLEAR, timeout_s=0.05)
        first = await cp.receive()
        ours = group.create_task(port.links.call(CP1, CLEAR, timeout_s=5))
        second = await cp.receive()
        assert second[1] != first[1]
        await cp.send([3, first[1], {"status": "Rejected"}])
        await cp.send([3, second[1], {"status": "Accepted"}])
        assert await ours == {"status": "Accepted"}


@pytest.mark.quirk(13)
@pytest.mark.parametrize(
    "refusal",
    [
        ["FormationViolation", "", {}],
        ["FormatViolation", "why", {}],
        ["OccurenceConstraintViolation", None, None],
        ["OccurrenceConstraintViolation", "", "details in words"],
        ["NotImplemented"],
        ["Not Implemented", "", {}],
        ["GenericError", ""],
    ],
)
async def test_a_refusal_in_any_spelling_is_a_refusal(
    tmp_path: Path, refusal: list[object]
) -> None:
    """Row 13."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        ours = group.create_task(outcome(port))
        call = await cp.receive()
        await cp.send([4, call[1], *refusal])
        error = await ours
        assert isinstance(error, CallRefused)
        assert error.code == refusal[0]


@pytest.mark.quirk(16)
async def test_a_first_boot_is_followed_by_two_writes_that_are_read_back(
    tmp_path: Path,
) -> None:
    """Row 16."""
    async with open_port(tmp_path) as port, port.station() as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        keys = await configured(cp)
        assert sorted(keys) == ["MeterValueSampleInterval", "MeterValuesSampledData"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await cp.receive()


@pytest.mark.quirk(5)
@pytest.mark.parametrize(("attempts", "wanted"), [("3", "60"), ("2", "59")])
async def test_a_station_that_has_the_setting_is_told_how_often_to_ping(
    tmp_path: Path, attempts: str, wanted: str
) -> None:
    """Row 5: below attempts times retry interval."""
    told = {
        "WebSocketPingInterval": "0",
        "TransactionMessageAttempts": attempts,
        "TransactionMessageRetryInterval": "30",
    }
    async with open_port(tmp_path) as port, port.station() as cp:
        await refuse_settings(cp, told)
        ping = {"key": "WebSocketPingInterval", "value": wanted}
        await take(cp, "ChangeConfiguration", ping, {"status": "Rejected"})


async def test_a_station_that_gives_up_soon_is_told_to_be_patient(
    tmp_path: Path,
) -> None:
    """A message that bills is thrown away after ten tries at the earliest."""
    told = {
        "TransactionMessageAttempts": "3",
        "TransactionMessageRetryInterval": "60",
    }
    async with open_port(tmp_path) as port, port.station() as cp:
        await refuse_settings(cp, told)
        raised = {"key": "TransactionMessageAttempts", "value": "10"}
        await take(cp, "ChangeConfiguration", raised, {"status": "Accepted"})
        read = {"key": ["TransactionMessageAttempts"]}
        said = {**raised, "readonly": False}
        await take(cp, "GetConfiguration", read, {"configurationKey": [said]})
        assert (await cp.ask("Heartbeat", {}))[0] == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await cp.receive()


async def test_a_2_0_1_station_that_reported_few_tries_is_told_more(
    tmp_path: Path,
) -> None:
    name = "MessageAttempts/TransactionEvent"
    async with open_port(tmp_path) as port:
        await port.writer.run(
            lambda conn: conn.execute(
                "INSERT INTO device_variable VALUES"
                " ('CP1', 'OCPPCommCtrlr', ?, 'Actual', '3', 'ReadWrite', '{}',"
                " '2026-06-01T12:00:00.000000Z')",
                (name,),
            )
        )
        async with port.station(subprotocols=("ocpp2.0.1",)) as cp:
            boot = {"vendorName": "V", "model": "M"}
            await cp.ask(
                "BootNotification", {"reason": "PowerUp", "chargingStation": boot}
            )
            written: list[dict[str, Any]] = []
            while len(written) < 6:
                frame = await cp.receive()
                if frame[2] == "SetVariables":
                    written += frame[3]["setVariableData"]
                await cp.send([3, frame[1], accept(frame[2], frame[3])])
    last = written[-1]
    assert last["attributeValue"] == "10"
    assert last["variable"] == {
        "name": "MessageAttempts",
        "instance": "TransactionEvent",
    }


@pytest.mark.quirk(16)
async def test_after_the_next_boot_nothing_is_written_that_is_as_wanted(
    tmp_path: Path,
) -> None:
    """Row 16: only the two keys are read, since reading has worked before."""
    async with open_port(tmp_path, blamed=timedelta(0)) as port:
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            await configured(cp)
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            frame = await cp.receive()
            assert frame[2] == "GetConfiguration"
            wanted = {
                "MeterValuesSampledData": "Energy.Active.Import.Register,"
                "Power.Active.Import,Current.Import",
                "MeterValueSampleInterval": "30",
            }
            assert frame[3] == {"key": list(wanted)}
            said = [
                {"key": key, "value": value, "readonly": False}
                for key, value in wanted.items()
            ]
            await cp.send([3, frame[1], {"configurationKey": said}])
            interval = {"key": "MeterValueSampleInterval", "value": "60"}
            await take(cp, "ChangeConfiguration", interval, {"status": "Rejected"})


@pytest.mark.quirk(16)
async def test_a_station_that_never_answers_a_question_is_not_asked_again(
    tmp_path: Path,
) -> None:
    """Row 16: nor is one that restarts over it, as long as its firmware is the same."""
    async with open_port(tmp_path) as port:
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            assert (await cp.receive())[2] == "GetConfiguration"
        for _ in range(2):
            async with port.station() as cp:
                await cp.ask("BootNotification", BOOT_16)
                for _ in range(2):
                    frame = await cp.receive()
                    assert frame[2] == "ChangeConfiguration"
                    await cp.send([3, frame[1], {"status": "Accepted"}])
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await cp.receive()
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16 | {"firmwareVersion": "2"})
            assert (await cp.receive())[2] == "GetConfiguration"


@pytest.mark.quirk(16)
async def test_a_station_that_restarts_right_after_it_was_read_is_not_read_again(
    tmp_path: Path,
) -> None:
    """Row 16: it may have restarted over the question."""
    async with open_port(tmp_path) as port:
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            await configured(cp)
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            for _ in range(2):
                frame = await cp.receive()
                assert frame[2] == "ChangeConfiguration"
                await cp.send([3, frame[1], {"status": "Accepted"}])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await cp.receive()


@pytest.mark.quirk(16)
async def test_a_model_that_restarts_when_it_is_read_is_never_read(
    tmp_path: Path,
) -> None:
    """Row 16."""
    terra = {"chargePointVendor": "ABB", "chargePointModel": "Terra AC"}
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", terra)
        for _ in range(2):
            frame = await cp.receive()
            assert frame[2] == "ChangeConfiguration"
            await cp.send([3, frame[1], {"status": "Accepted"}])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await cp.receive()


@pytest.mark.quirk(16)
@pytest.mark.parametrize("answer", ["RebootRequired", "Rejected", "NotSupported"])
async def test_a_station_is_not_restarted_nor_asked_again_for_a_setting(
    tmp_path: Path, answer: str
) -> None:
    """Row 16."""
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        await configured(cp, answer)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await cp.receive()
        assert port.links.is_online(CP1)


@pytest.mark.quirk(16)
async def test_a_station_that_reboots_on_a_setting_is_served_all_the_same(
    tmp_path: Path,
) -> None:
    """Row 16."""
    async with open_port(tmp_path, blamed=timedelta(0)) as port:
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
            await take(cp, "GetConfiguration", {}, {"configurationKey": []})
            assert (await cp.receive())[2] == "ChangeConfiguration"
        for _ in range(2):
            async with port.station() as cp:
                await cp.ask("BootNotification", BOOT_16)
                frame = await cp.receive()
                await cp.send([3, frame[1], {"configurationKey": []}])
                assert (await cp.receive())[2] == "ChangeConfiguration"
        async with port.station() as cp:
            assert (await cp.ask("StartTransaction", START))[0] == 3


@pytest.mark.quirk(27)
async def test_an_accepted_remote_start_is_no_session_until_the_station_says_so(
    tmp_path: Path,
) -> None:
    """Row 27."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        command = V16().encode_remote_start(1, IdToken(value="DRIVER"), 7)
        ours = group.create_task(port.links.call(CP1, command, timeout_s=5))
        call = await cp.receive()
        await cp.send([3, call[1], {"status": "Accepted"}])
        assert V16().outcome(command.action, await ours) is CallOutcome.ACCEPTED
        assert await port.queries.sessions() == []
        await cp.ask("StartTransaction", START)
        (session,) = await port.queries.open_sessions()
        assert (session.id_token, session.evse_id) == ("DRIVER", 1)


@pytest.mark.quirk(27)
async def test_an_accepted_remote_stop_ends_no_session_until_the_station_says_so(
    tmp_path: Path,
) -> None:
    """Row 27."""
    async with served(tmp_path) as (port, cp), asyncio.TaskGroup() as group:
        number = (await cp.ask("StartTransaction", START))[2]["transactionId"]
        command = V16().encode_remote_stop(str(number))
        ours = group.create_task(port.links.call(CP1, command, timeout_s=5))
        call = await cp.receive()
        assert call[3] == {"transactionId": number}
        await cp.send([3, call[1], {"status": "Accepted"}])
        await ours
        assert len(await port.queries.open_sessions()) == 1


async def outcome(port: Port) -> dict[str, Any] | CallFailed:
    """The answer to a call, or its failure as a value."""
    try:
        return dict(await port.links.call(CP1, CLEAR, timeout_s=5))
    except CallFailed as error:
        return error
