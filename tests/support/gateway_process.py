"""Starts the real gateway as a process on free ports, as an operator would."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.ports import free_port

WATTPROOF = (sys.executable, "-m", "gateway")
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0

BASE_CONFIG = """\
[server]
ocpp_host = "127.0.0.1"
ocpp_port = {ocpp_port}

[api]
host = "127.0.0.1"
port = {api_port}

[store]
path = "data"

[ledger]
backend = "{ledger}"

[billing]
currency = "EUR"
default_tariff = "standard"

[[tariff]]
id = "standard"
currency = "EUR"
elements = [{{ price_components = [{{ type = "ENERGY", price = "0.40" }}] }}]

[site]
name = "Test site"
timezone = "Europe/Berlin"

[[cabinet]]
id = "A"
limit_a = [63, 63, 63]
"""

STATION = """
[[station]]
id = "{station_id}"
cabinet = "A"
password_file = "{station_id}.password"

[[station.evse]]
id = 1
current_type = "AC"
phases = "L1L2L3"
max_a = 16
min_a = 6
floor_a = 6
"""


@dataclass(slots=True)
class GatewayProcess:
    """A running gateway and how to reach it."""

    folder: Path
    ocpp_port: int
    api_port: int
    admin_token: str
    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)

    @property
    def ocpp_url(self) -> str:
        """Where stations connect, without their id."""
        return f"ws://127.0.0.1:{self.ocpp_port}/ocpp"

    @property
    def api_url(self) -> str:
        """Root of the HTTP server."""
        return f"http://127.0.0.1:{self.api_port}"

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """An HTTP client with the admin token, or another."""
        return httpx.AsyncClient(
            base_url=f"{self.api_url}/api/v1",
            headers={"Authorization": f"Bearer {token or self.admin_token}"},
            timeout=60.0,
        )

    async def kill(self) -> None:
        """SIGKILL, as a power cut would; its children must end with it."""
        self.process.kill()
        # Resolves when the pipe closes, which every child that lives on holds open.
        await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)

    async def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or as a service manager stops it; the exit code."""
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)


def write_config(
    folder: Path,
    stations: Mapping[str, str],
    *,
    ledger: str = "none",
    extra: str = "",
) -> tuple[int, int]:
    """Write ``config.toml`` and password files; the OCPP and API ports."""
    ocpp_port, api_port = free_port(), free_port()
    text = BASE_CONFIG.format(ocpp_port=ocpp_port, api_port=api_port, ledger=ledger)
    for station_id, password in stations.items():
        text += STATION.format(station_id=station_id)
        secret = folder / f"{station_id}.password"
        secret.write_text(password)
        secret.chmod(0o600)
    (folder / "config.toml").write_text(text + extra)
    return ocpp_port, api_port


async def run_cli(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run ``wattproof`` once; exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *WATTPROOF,
        *arguments,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    out, err = await asyncio.wait_for(process.communicate(), READY_TIMEOUT_S)
    return process.returncode or 0, out.decode(), err.decode()


async def new_token(folder: Path, role: str = "admin") -> str:
    """An API token, made on the command line."""
    code, out, err = await run_cli(
        folder, "token", "new", "--role", role, "--config", "config.toml"
    )
    assert code == 0, err
    found: str = re.findall(r"\S{20,}", out)[-1]
    return found


@asynccontextmanager
async def gateway(
    folder: Path, ports: tuple[int, int], *, admin_token: str | None = None
) -> AsyncIterator[GatewayProcess]:
    """The gateway on the configuration in ``folder``; stopped with the block."""
    if admin_token is None:
        admin_token = await new_token(folder)
    process = await asyncio.create_subprocess_exec(
        *WATTPROOF,
        "run",
        "--config",
        "config.toml",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    running = GatewayProcess(folder, ports[0], ports[1], admin_token, process)
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(_collect(running))
        try:
            await _until_ready(running)
            yield running
        finally:
            if process.returncode is None:
                try:
                    await running.stop()
                finally:
                    if process.returncode is None:
                        await running.kill()
            reader.cancel()


async def _collect(running: GatewayProcess) -> None:
    stream = running.process.stdout
    assert stream is not None
    while line := await stream.readline():
        running.log.append(line.decode(errors="replace").rstrip())


async def _until_ready(running: GatewayProcess) -> None:
    async with (
        asyncio.timeout(READY_TIMEOUT_S),
        httpx.AsyncClient(base_url=running.api_url) as client,
    ):
        while True:
            if running.process.returncode is not None:
                raise AssertionError("gateway ended:\n" + "\n".join(running.log[-40:]))
            try:
                answer = await client.get("/readyz")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == httpx.codes.OK:
                return
            await asyncio.sleep(0.1)


def environment() -> dict[str, str]:
    """What a gateway process gets: this tree first, and no buffering."""
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
