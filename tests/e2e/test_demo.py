"""The demo as its users meet it: a process, its summary, its receipts, its Ctrl-C."""

import asyncio
import json
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.clock import SystemClock
from ledger.embedded import EmbeddedChain
from ledger.wheel import build_wheel
from tests.support.gateway_process import environment, run_cli
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e

READY_TIMEOUT_S = 120.0
DURATION_S = 75
SLOWER = ("--speed", "20")
"""What a restart shows needs no hour a minute, which a loaded machine cannot follow."""


@dataclass(slots=True)
class Demo:
    """A running demo."""

    data: Path
    api_port: int
    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    async def until_said(self, words: str) -> str:
        """The first line of stdout with these words, now or later."""
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                for line in list(self.out):
                    if words in line:
                        return line
                if self.process.returncode is not None:
                    pytest.fail("\n".join([*self.out, *self.err]))
                await asyncio.sleep(0.1)


@asynccontextmanager
async def demo(data: Path, *more: str) -> AsyncIterator[Demo]:
    api_port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", "--seed", "1", "--data", str(data)),
        *("--ocpp-port", str(free_port()), "--api-port", str(api_port), *more),
        cwd=data.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    running = Demo(data, api_port, process)
    async with asyncio.TaskGroup() as group:
        for stream, lines in (
            (process.stdout, running.out),
            (process.stderr, running.err),
        ):
            group.create_task(collect(stream, lines))
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def collect(stream: asyncio.StreamReader | None, lines: list[str]) -> None:
    assert stream is not None
    while line := await stream.readline():
        lines.append(line.decode(errors="replace").rstrip())


@pytest.mark.timeout(300)
async def test_the_demo_ends_by_itself_with_a_summary_and_its_receipts_verify(
    tmp_path: Path,
) -> None:
    data = tmp_path / "demo"
    async with demo(data, "--duration", str(DURATION_S)) as running:
        async with asyncio.timeout(DURATION_S + 60):
            assert await running.process.wait() == 0, running.err
    summary = json.loads(running.out[-1])
    assert set(summary) >= {
        "sessions",
        "energy_milliwh",
        "bills",
        "settlements_on_chain",
        "anchored_head",
        "limit_violations",
    }
    assert summary["sessions"] >= 1
    assert summary["energy_milliwh"] > 0
    assert summary["bills"] >= 1
    assert summary["settlements_on_chain"] == summary["bills"]
    assert summary["limit_violations"] == 0
    assert not [line for line in running.err if "Traceback" in line]
    with closing(sqlite3.connect(data / "wattproof.db")) as conn:
        (leaves,) = conn.execute("SELECT count(*) FROM leaf").fetchone()
    assert summary["anchored_head"]["size"] == leaves, "everything is anchored"
    receipt = await check_restart(data)
    # The chain file outlives its gateway, and a receipt needs nothing else.
    (tmp_path / "receipt.json").write_bytes(receipt)
    code, out, _ = await verify(tmp_path, "receipt.json", data / "chain.db")
    assert code == 0, out


async def check_restart(data: Path) -> bytes:
    """A second run goes on where the first stopped, on the same contracts.

    Returns:
        The receipt of a session that the first run settled.
    """
    before = stored(data)
    async with demo(data, *SLOWER) as again:
        line = await again.until_said("site clock")
        found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC", line)
        assert found is not None
        clock = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        last = datetime.fromisoformat(before["last_received_at"])
        assert clock == last.replace(second=0, microsecond=0)
        token = await admin_token(again)
        receipt = await first_receipt(again, token)
        await check_receipt(data.parent, data, receipt)
        await check_plan(again, token, before["plan_id"])
        again.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            assert await again.process.wait() == 0, again.err
        summary = json.loads(again.out[-1])
    after = stored(data)
    assert after["contracts"] == before["contracts"]
    check_cut_short(data, before["running"])
    assert summary["bills"] >= before["bills"]
    assert summary["settlements_on_chain"] == summary["bills"]
    assert not [line for line in again.err if "Traceback" in line]
    return receipt


def stored(data: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(data / "wattproof.db")) as conn:
        (last,) = conn.execute("SELECT max(received_at) FROM frame").fetchone()
        (bills,) = conn.execute("SELECT count(*) FROM bill").fetchone()
        contracts = conn.execute(
            "SELECT name, address, tx_hash FROM deployment ORDER BY name"
        ).fetchall()
        running = conn.execute(
            "SELECT session_id FROM session WHERE phase = 'running'"
        ).fetchall()
        (plan,) = conn.execute(
            "SELECT record FROM leaf WHERE kind = 'plan' ORDER BY leaf_index DESC"
            " LIMIT 1"
        ).fetchone()
    assert contracts
    return {
        "plan_id": json.loads(plan)["plan_id"],
        "last_received_at": last,
        "bills": bills,
        "contracts": contracts,
        "running": running,
    }


def check_cut_short(data: Path, running: list[tuple[str]]) -> None:
    """What ran at the first stop was ended by its stations, and nothing is held."""
    assert running
    with closing(sqlite3.connect(data / "wattproof.db")) as conn:
        ends = {
            conn.execute(
                "SELECT stop_reason, bill.status FROM session JOIN bill"
                " USING (session_id) WHERE session_id = ?",
                row,
            ).fetchone()
            for row in running
        }
        held = conn.execute(
            "SELECT station_id, bill.reasons FROM bill JOIN session USING (session_id)"
            " WHERE bill.status = 'held'"
        ).fetchall()
        signed = {row[0] for row in conn.execute("SELECT verdict FROM signed_session")}
        (pinned,) = conn.execute("SELECT count(*) FROM meter_key").fetchone()
    assert (pinned, signed) == (3, {"ok"}), "their labels are trusted"
    assert ends == {("PowerLoss", "settled")}
    assert held == []


@pytest.mark.timeout(300)
async def test_the_second_ctrl_c_ends_the_demo_at_once(tmp_path: Path) -> None:
    async with demo(tmp_path / "demo") as running:
        await running.until_said("waiting for the first car")
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.05)
        while running.process.returncode is None:
            running.process.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                await running.process.wait()
        assert running.process.returncode == 130


async def admin_token(running: Demo) -> str:
    """What the printed link opens with: it works once."""
    line = await running.until_said("/login?code=")
    url = line.split()[-1]
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(url)
        assert answer.status_code in {200, 302, 303, 307}, answer.text
        token = client.cookies.get("wattproof_session")
        assert token is not None
    async with httpx.AsyncClient(timeout=60) as other:
        await other.get(url)
        assert other.cookies.get("wattproof_session") is None, "the link opens once"
    return token


async def first_receipt(running: Demo, token: str) -> bytes:
    """The receipt of the first session that is settled on the chain."""
    async with (
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{running.api_port}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        ) as api,
        asyncio.timeout(READY_TIMEOUT_S),
    ):
        while True:
            ledger = (await api.get("/ledger")).json()
            if ledger["settlements_on_chain"]:
                sessions = await api.get("/sessions", params={"open": "false"})
                found = sessions.json()
                for session in found["items"] if isinstance(found, dict) else found:
                    path = f"/sessions/{session['session_id']}"
                    bill = await api.get(f"{path}/bill")
                    if bill.status_code == 200 and bill.json()["state"] == "on_chain":
                        receipt = await api.get(f"{path}/receipt")
                        assert receipt.status_code == 200
                        return receipt.content
            await asyncio.sleep(0.5)


async def check_receipt(folder: Path, data: Path, receipt: bytes) -> None:
    """While the demo runs: it verifies; whatever is changed in it does not."""
    (folder / "receipt.json").write_bytes(receipt)
    chain = data / "chain.db"
    code, out, _ = await verify(folder, "receipt.json", chain)
    assert code == 0, out
    assert re.search(r"^head +self-witnessed", out, re.MULTILINE), out
    assert "false" not in out
    assert (await verify(folder, "receipt.json", chain, "--strict"))[0] == 1
    code, out, _ = await run_cli(folder, "verify", "receipt.json")
    assert code == 0, out
    assert re.search(r"^head +unchecked", out, re.MULTILINE), out
    for name, change, why in (
        ("energy", change_energy, r"^(bill|readings|settlement|registers) +false +\S"),
        ("record", change_record, r"^commitment +false +\S"),
        ("proof", change_proof, r"^inclusion +false +\S"),
    ):
        document = json.loads(receipt)
        change(document)
        (folder / f"{name}.json").write_text(json.dumps(document))
        code, out, err = await verify(folder, f"{name}.json", chain)
        assert code == 1, (name, out, err)
        assert re.search(why, out, re.MULTILINE), out
    other = folder / "other.db"
    await asyncio.to_thread(make_other_chain, other)
    code, out, _ = await verify(folder, "receipt.json", other)
    assert code == 1, out
    assert re.search(r"^\S+ +false +\S", out, re.MULTILINE), out


async def check_plan(running: Demo, token: str, plan_id: str) -> None:
    """A plan of the demo names the release of the optimizer that made it."""
    folder = running.data.parent
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(
            f"http://127.0.0.1:{running.api_port}/api/v1/plans/{plan_id}",
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 200, answer.text
    (folder / "plan.json").write_bytes(answer.content)
    database = str(running.data / "wattproof.db")
    code, out, err = await run_cli(
        folder, "ledger", "contracts", "--database", database
    )
    assert code == 0, (out, err)
    given = ("plan.json", "--contracts", "contracts.json")
    chain = ("--chain", str(running.data / "chain.db"))
    code, out, _ = await run_cli(folder, "verify", *given, *chain)
    assert code == 0, out
    for name in ("chain", "code", "head", "algorithm"):
        assert re.search(rf"^{name} +self-witnessed", out, re.MULTILINE), out
    wheel = await asyncio.to_thread(build_wheel, "wattproof-optimizer", folder)
    code, out, _ = await run_cli(
        folder, "verify", *given, *chain, "--wheel", str(wheel)
    )
    assert code == 0, out
    assert "and the wheel is the one" in out
    with wheel.open("ab") as file:
        file.write(b"!")
    code, out, _ = await run_cli(
        folder, "verify", *given, *chain, "--wheel", str(wheel)
    )
    assert code == 1, out
    assert re.search(r"^algorithm +false", out, re.MULTILINE), out


async def verify(
    folder: Path, name: str, chain: Path, *more: str
) -> tuple[int, str, str]:
    return await run_cli(folder, "verify", name, "--chain", str(chain), *more)


def change_energy(document: dict[str, Any]) -> None:
    """One digit of the billed energy."""
    document["bill"]["energy_milliwh"] += 1000


def change_record(document: dict[str, Any]) -> None:
    """One digit of a register in a sealed record."""
    leaf = next(one for one in document["leaves"] if one["kind"] == "meter")
    changed = re.sub(r'(register_milliwh":\d*?)(\d)(?=\D)', other_digit, leaf["record"])
    assert changed != leaf["record"]
    leaf["record"] = changed


def other_digit(found: re.Match[str]) -> str:
    return found[1] + ("1" if found[2] != "1" else "2")


def change_proof(document: dict[str, Any]) -> None:
    """One byte of an audit path."""
    path = document["leaves"][0]["inclusion"]
    path[0] = ("00" if path[0][:2] != "00" else "01") + path[0][2:]


def make_other_chain(path: Path) -> None:
    """A chain of somebody else."""
    clock = SystemClock()
    chain = EmbeddedChain.create_or_open(path, clock=clock, funded=["0x" + "7" * 40])
    chain.close()
