"""A stop is a power cut to stations with a memory; the next start reports it."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sim_chargers.memory import Memory, MemoryFileError
from tests.integration.sim.test_cli import finish, start
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms


async def cut_short(
    csms: TinyCsms, memory: Path, version: str, until: Callable[[], object]
) -> dict[str, Any]:
    """Run one station until this is so, and stop it; the summary."""
    process = await run(csms, memory, version)
    await csms.until(until)
    process.send_signal(signal.SIGTERM)
    code, lines, err = await finish(process)
    assert code == 0, err
    return lines[-1]


async def run(
    csms: TinyCsms, memory: Path, version: str, more: Sequence[str] = ()
) -> Any:
    return await start(
        *("--url", csms.url, "--stations", "1", "--ocpp", version, "--speed", "60"),
        *("--memory", str(memory), *more),
    )


async def report(
    csms: TinyCsms, memory: Path, version: str, waits_for: str
) -> list[dict[str, Any]]:
    """Start it again without drivers; what it sends until it has sent all of it."""
    csms.seen.clear()
    process = await run(csms, memory, version, ["--no-drivers"])
    await csms.until(lambda: csms.of(waits_for))
    process.send_signal(signal.SIGTERM)
    code, _, err = await finish(process)
    assert code == 0, err
    assert csms.actions()[0] == "BootNotification"
    return [
        {"action": seen.action, **seen.payload}
        for seen in csms.seen
        if seen.action in {"StartTransaction", "StopTransaction", "TransactionEvent"}
    ]


async def test_a_1_6_station_ends_by_power_loss_what_ran_at_the_stop(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "memory.json"
    async with tiny_csms() as csms:
        summary = await cut_short(csms, memory, "1.6", lambda: csms.of("MeterValues"))
        assert summary["messages_waiting"] >= 1
        (begun,) = csms.of("StartTransaction")
        assert not csms.of("StopTransaction")
        (stop,) = await report(csms, memory, "1.6", "StopTransaction")
        assert stop["reason"] == "PowerLoss"
        assert str(stop["transactionId"]) == csms.started[0]
        assert stop["meterStop"] >= begun["meterStart"]
        assert stop["timestamp"] >= begun["timestamp"]
        kept = json.loads(memory.read_text())["stations"]["SIM-0001"]
        assert kept["messages"] == []
        assert kept["registers_milliwh"]["1"] // 1000 == stop["meterStop"]


async def test_a_start_that_was_not_answered_names_its_stop_after_the_next_boot(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "memory.json"
    async with tiny_csms(TinyCsms(mute={"StartTransaction"})) as csms:
        await cut_short(csms, memory, "1.6", lambda: csms.of("StartTransaction"))
        (begun,) = csms.of("StartTransaction")
        csms.mute.clear()
        again, stop = await report(csms, memory, "1.6", "StopTransaction")
        assert again == {"action": "StartTransaction", **begun}
        assert (stop["action"], stop["reason"]) == ("StopTransaction", "PowerLoss")
        assert [str(stop["transactionId"])] == csms.started == csms.ended


async def test_a_2_0_1_station_goes_on_with_the_numbers_of_its_transaction(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "memory.json"
    async with tiny_csms() as csms:
        await cut_short(csms, memory, "2.0.1", lambda: csms.of("TransactionEvent"))
        before = csms.of("TransactionEvent")
        events = await report(csms, memory, "2.0.1", "TransactionEvent")
        assert events[-1]["eventType"] == "Ended"
        assert events[-1]["offline"] is True
        info = events[-1]["transactionInfo"]
        assert info["stoppedReason"] == "PowerLoss"
        assert info["transactionId"] == before[0]["transactionInfo"]["transactionId"]
        numbers = [event["seqNo"] for event in (*before, *events)]
        assert sorted(set(numbers)) == list(range(events[-1]["seqNo"] + 1))


async def test_no_id_of_a_transaction_comes_again_in_a_later_run(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "memory.json"
    async with tiny_csms() as csms:
        await cut_short(
            csms, memory, "2.0.1", lambda: len(csms.of("TransactionEvent")) > 1
        )
        (first,) = csms.started
        await cut_short(csms, memory, "2.0.1", lambda: len(csms.started) > 1)
        assert csms.ended == [first]
        assert csms.started[1] != first


@pytest.mark.parametrize(
    "text", ["", "[]", '{"n_start": 1}', '{"n_start": "x", "stations": {}}']
)
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "memory.json"
    path.write_text(text)
    with pytest.raises(MemoryFileError, match=r"memory\.json"):
        Memory.load(path)


async def test_a_damaged_memory_ends_the_command_with_2(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    path.write_text("{")
    process = await start("--url", "ws://127.0.0.1:9/ocpp", "--memory", str(path))
    code, lines, err = await finish(process)
    assert (code, lines) == (2, [])
    assert "memory.json does not hold what stations keep" in err
