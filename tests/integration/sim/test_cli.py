"""The command as its parent sees it: arguments in, JSON lines and exit codes out."""

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sim_chargers
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms

ROOT = Path(sim_chargers.__file__).parents[1]
DEPOT = ROOT / "sim_chargers" / "scenarios" / "depot.toml"


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sim_chargers",
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(
    process: asyncio.subprocess.Process,
) -> tuple[int | None, list[dict[str, Any]], str]:
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    lines = [json.loads(line) for line in out.decode().splitlines()]
    return process.returncode, lines, err.decode()


@pytest.mark.parametrize("is_told", [True, False])
async def test_drivers_wait_until_they_are_told_to_come(*, is_told: bool) -> None:
    async with tiny_csms(TinyCsms()) as csms:
        process = await start(
            *("--url", csms.url, "--stations", "2", "--speed", "60"),
            *("--duration", "60" if is_told else "6", "--drivers-wait"),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        await csms.until(lambda: csms.actions().count("BootNotification") == 2)
        if is_told:
            process.stdin.write(b"\n")
        seen: list[str] = []
        async with asyncio.timeout(90):
            while "session_started" not in seen and (
                line := await process.stdout.readline()
            ):
                seen.append(json.loads(line)["event"])
        if is_told:
            process.send_signal(signal.SIGTERM)
        code, _, err = await finish(process)
    assert code == 0, err
    assert ("session_started" in seen) is is_told


async def test_a_depot_runs_sessions_and_sums_them_up() -> None:
    async with tiny_csms(TinyCsms()) as csms:
        epoch = "2026-06-01T09:00:00Z"
        unix_s = datetime.now(UTC).timestamp()  # noqa: TID251 - the parent's real clock
        process = await start(
            *("--url", csms.url, "--scenario", str(DEPOT), "--speed", "600"),
            *("--epoch", epoch, "--epoch-unix", str(unix_s), "--duration", "20"),
        )
        code, lines, err = await finish(process)
        ended_s = datetime.now(UTC).timestamp()  # noqa: TID251 - the parent's real clock
    assert code == 0, err
    assert lines[0]["event"] == "ready"
    begun = datetime.fromisoformat(lines[0]["site_time"])
    since_s = (begun - datetime.fromisoformat(epoch)).total_seconds()
    assert 0 <= since_s < 600 * (ended_s - unix_s)
    summary = lines[-1]
    assert summary["event"] == "summary"
    ended = [line for line in lines if line["event"] == "session_ended"]
    assert summary["sessions"] == len(ended) >= 1
    assert summary["energy_milliwh"] == sum(line["energy_milliwh"] for line in ended)
    assert summary["stations_accepted"] == summary["stations"] == 6
    # Nobody limits anybody here, so the yard's fuse must have been overrun.
    violations = [line for line in lines if line["event"] == "violation"]
    assert summary["limit_violation_s"]["yard"] > 0
    assert {v["cabinet"] for v in violations} <= {"main", "yard"}
    assert sum(v["seconds"] for v in violations) == pytest.approx(
        sum(summary["limit_violation_s"].values()), abs=0.1
    )


async def test_a_termination_leaves_sessions_open_and_still_sums_up() -> None:
    async with tiny_csms() as csms:
        process = await start("--url", csms.url, "--stations", "3", "--speed", "60")
        await csms.until(
            lambda: csms.of("StartTransaction") or csms.of("TransactionEvent")
        )
        process.send_signal(signal.SIGTERM)
        code, lines, err = await finish(process)
    assert code == 0, err
    assert lines[-1]["event"] == "summary"
    assert lines[-1]["sessions_open"] >= 1
    assert "StopTransaction" not in csms.actions()


async def test_a_fleet_that_nobody_accepts_exits_with_1() -> None:
    process = await start(
        "--url", "ws://127.0.0.1:9/ocpp", "--stations", "1", "--duration", "1"
    )
    code, lines, err = await finish(process)
    assert code == 1
    assert lines[-1]["stations_accepted"] == 0
    assert "no connection" in err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "--url"),
        (["--url", "ws://x/ocpp", "--scenario", "nowhere.toml"], "nowhere.toml"),
        (["--url", "ws://x/ocpp", "--fault", "sulk"], "sulk"),
        (["--url", "ws://x/ocpp", "--epoch", "yesterday"], "yesterday"),
        (["--url", "ws://x/ocpp", "--flow", "sulk"], "sulk"),
        (
            ["--url", "ws://x/ocpp", "--ocpp", "1.6", "--flow", "charging-needs"],
            "2.0.1 station",
        ),
        (["--url", "wss://x/ocpp", "--cert", "cert.pem"], "--key"),
        (["--url", "ws://x/ocpp", "--speed", "0"], "speed"),
    ],
)
async def test_bad_usage_exits_with_2_and_says_why(
    arguments: list[str], hint: str
) -> None:
    code, lines, err = await finish(await start(*arguments))
    assert code == 2
    assert lines == []
    assert hint in err


async def test_faults_are_listed_with_a_line_each() -> None:
    process = await start("--faults")
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    names = [line.split()[0] for line in out.decode().splitlines()]
    assert {"lie", "offline", "duplicate-frames", "reboot"} <= set(names)
    assert process.returncode == 0


async def test_flows_are_listed_with_versions_and_a_line_each() -> None:
    process = await start("--flows")
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    rows = [line.split(maxsplit=2) for line in out.decode().splitlines()]
    versions = {name: version for name, version, _ in rows}
    assert versions["firmware"] == "1.6+2.0.1"
    assert versions["california-pricing"] == "1.6"
    assert versions["monitoring-alert"] == "2.0.1"
    assert process.returncode == 0


async def test_flows_end_the_run_with_their_verdicts() -> None:
    async with tiny_csms() as csms:
        process = await start(
            *("--url", csms.url, "--stations", "2", "--speed", "100"),
            *("--flow", "charge", "--flow", "security-events@SIM-0002"),
        )
        code, lines, err = await finish(process)
    assert code == 0, err
    ended = {
        (line["station"], line["flow"]): line["verdict"]
        for line in lines
        if line["event"] == "flow_ended"
    }
    assert ended == {
        ("SIM-0001", "charge"): "passed",
        ("SIM-0002", "charge"): "passed",
        ("SIM-0002", "security-events"): "passed",
    }
    assert (lines[-1]["flows_passed"], lines[-1]["flows"]) == (3, 3)


async def test_a_flow_that_nobody_plays_along_with_exits_with_1() -> None:
    async with tiny_csms() as csms:
        process = await start(
            *("--url", csms.url, "--stations", "1", "--speed", "100"),
            *("--flow", "firmware", "--flow-timeout", "0.5"),
        )
        code, lines, err = await finish(process)
    assert code == 1, err
    (ended,) = [line for line in lines if line["event"] == "flow_ended"]
    assert ended["verdict"] == "unfinished"
    assert "UpdateFirmware" in ended["reason"]


async def test_a_run_that_is_over_first_ends_its_flow_without_a_pass() -> None:
    async with tiny_csms() as csms:
        process = await start(
            *("--url", csms.url, "--stations", "1", "--speed", "100"),
            *("--flow", "charge", "--flow", "firmware", "--duration", "3"),
        )
        code, lines, err = await finish(process)
    assert code == 1, err
    ended = [line["verdict"] for line in lines if line["event"] == "flow_ended"]
    assert ended == ["passed", "unfinished"]
    assert (lines[-1]["flows_passed"], lines[-1]["flows"]) == (1, 2)
