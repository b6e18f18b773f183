"""What the benchmarks share: starting servers, driving the load, telling the machine.

Everything stays on 127.0.0.1, every run is bounded, and only processes that were
started here are ended. Figures come from `ocpp_load.py`, which knows nothing of the
gateway, and from ``/proc``.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
READY_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 40.0
LOAD_SLACK_S: Final = 200.0
PER_CABINET: Final = 25
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = "1", "0"
PACKAGES: Final = ("ocpp", "websockets", "uvloop", "msgspec", "picows")

_HEAD: Final = """\
[server]
ocpp_host = "127.0.0.1"
ocpp_port = {ocpp_port}

[api]
host = "127.0.0.1"
port = {api_port}

[store]
path = "data"

[ledger]
backend = "none"

[security]
allow_unauthenticated = true

[billing]
currency = "EUR"
default_tariff = "standard"

[[tariff]]
id = "standard"
currency = "EUR"
elements = [{{ price_components = [{{ type = "ENERGY", price = "0.40" }}] }}]

[site]
name = "Benchmark"
timezone = "Europe/Berlin"
"""
_CABINET: Final = """
[[cabinet]]
id = "C{number}"
limit_a = [400, 400, 400]
"""
_EVSE: Final = """\
cabinet = "C{number}"

[[station.evse]]
id = 1
current_type = "AC"
phases = "L1L2L3"
max_a = 16
min_a = 6
floor_a = 6
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server under test.

    Attributes:
        url: WebSocket address, ``{id}`` to be replaced.
        api_url: Root of its HTTP server; ``None`` without one.
    """

    pid: int
    url: str
    api_url: str | None = None

    def pss_kib(self) -> int:
        """Resident memory of the process tree, shared pages counted once, KiB."""
        return sum(_pss_kib(pid) for pid in _tree(self.pid))

    def cpu_s(self) -> float:
        """User and system time of the process tree so far, s."""
        return sum(_cpu_ticks(pid) for pid in _tree(self.pid)) / TICKS_PER_S

    def metric(self, name: str) -> float:
        """One value of ``/metrics``, without the prefix ``wattproof_``."""
        with urllib.request.urlopen(f"{self.api_url}/metrics", timeout=10) as answer:  # noqa: S310 - our own server on loopback
            text = answer.read().decode()
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            if key == f"wattproof_{name}":
                return float(value)
        raise KeyError(name)


class LoadFailed(RuntimeError):
    """The generator ended without a result, or saw an error."""


def say(text: str) -> None:
    """A progress line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(core: str) -> tuple[str, ...]:
    """A prefix that keeps a command on one core, where that is possible."""
    can = shutil.which("taskset") is not None and (os.cpu_count() or 1) > 1
    return ("taskset", "-c", core) if can else ()


@contextmanager
def gateway(
    n_station: int,
    *,
    wired: bool,
    commit_delay_s: float = 0.0,
    is_stored: bool = True,
    core: str | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Server]:
    """The real gateway on a fresh database; stopped and removed with the block.

    Args:
        n_station: Registered stations, named as the generator names them.
        wired: Every station has an EVSE in a cabinet of 25 and is managed, so that
            plans are made and sent; else messages are stored and billed only.
        commit_delay_s: Added to every commit, to measure as on a slow disk.
        core: The gateway's setting ``server.core``.
        is_stored: False answers readings without storing them (`unstored.py`).
        prefix: Goes before the command, e.g. `pinned`.
    """
    launcher: tuple[str, ...] = ("-m", "gateway", "run", "--log-level", "warning")
    if not is_stored:
        launcher = (str(HERE / "unstored.py"),)
    elif commit_delay_s:
        launcher = (str(HERE / "slow_disk.py"), str(commit_delay_s))
    else:
        launcher = (*launcher, "--config")
    with tempfile.TemporaryDirectory(prefix="wattproof-bench-") as name:
        folder = Path(name)
        ocpp_port, api_port = free_port(), free_port()
        text = _HEAD.format(ocpp_port=ocpp_port, api_port=api_port)
        if core is not None:
            text = text.replace("[server]\n", f"[server]\ncore = {core}\n")
        text += _site(n_station, wired=wired)
        (folder / "config.toml").write_text(text, "utf-8")
        command = [*prefix, sys.executable, *launcher, "config.toml"]
        api_url = f"http://127.0.0.1:{api_port}"
        url = f"ws://127.0.0.1:{ocpp_port}/ocpp/{{id}}"
        with _process(command, folder) as process:
            _until_ready(process, f"{api_url}/readyz", folder)
            yield Server(pid=process.pid, url=url, api_url=api_url)


@contextmanager
def reference(prefix: Sequence[str] = ()) -> Iterator[Server]:
    """The server of the ``ocpp`` package (`ocpp_reference.py`), default settings."""
    port = free_port()
    command = [*prefix, sys.executable, str(HERE / "ocpp_reference.py"), str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="wattproof-bench-") as name,
        _process(command, Path(name)) as process,
    ):
        _until_listening(process, port, Path(name))
        yield Server(pid=process.pid, url=f"ws://127.0.0.1:{port}/{{id}}")


def load(
    server: Server, *arguments: str, prefix: Sequence[str] = (), limit_s: float = 60
) -> dict[str, Any]:
    """Run the generator against a server and return its JSON.

    Args:
        server: Where to; its process tree's CPU and memory are reported.
        arguments: Options of ``ocpp_load.py``.
        prefix: Goes before the command, e.g. `pinned`.
        limit_s: How long the measured part may take, s.

    Raises:
        LoadFailed: It did not end in time, gave no result, or saw an error: a figure
            of a run with errors is none.
    """
    with tempfile.TemporaryDirectory(prefix="wattproof-load-") as name:
        result = Path(name) / "result.json"
        command = [
            *prefix,
            sys.executable,
            str(HERE / "ocpp_load.py"),
            server.url,
            *arguments,
            "--server-pid",
            str(server.pid),
            "--json",
            str(result),
            "--brief",
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=limit_s + LOAD_SLACK_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadFailed(
                f"the generator took more than {error.timeout} s"
            ) from error
        if not result.exists():
            raise LoadFailed(done.stderr.strip() or "the generator gave no result")
        found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    if done.returncode != 0:
        raise LoadFailed(f"errors: {found.get('errors')}")
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "commit": commit or "unknown",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    name = Path(sys.argv[0]).stem.removeprefix("bench_")
    made = argparse.ArgumentParser(
        prog=f"wattproof bench {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help="small and short: a check")
    made.add_argument("--json", type=Path, help="also write the result here")
    return made


def finish(result: Mapping[str, Any], path: Path | None) -> None:
    """Print the result as JSON and write it where asked."""
    text = json.dumps(result, indent=1)
    if path is not None:
        path.write_text(text + "\n", "utf-8")
    print(text)


def _site(n_station: int, *, wired: bool) -> str:
    lines = []
    for index in range(n_station):
        number = index // PER_CABINET
        if wired and index % PER_CABINET == 0:
            lines.append(_CABINET.format(number=number))
        lines.append(f'\n[[station]]\nid = "LG{index:06d}"\n')
        lines.append(_EVSE.format(number=number) if wired else "managed = false\n")
    return "".join(lines)


@contextmanager
def _process(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=environment
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def _until_ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    for _ in _attempts(process, folder):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server on loopback
                if answer.status == 200:  # noqa: PLR2004 - OK
                    return
        except (urllib.error.URLError, OSError):
            continue


def _until_listening(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    for _ in _attempts(process, folder):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


def _attempts(process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """Ten tries a second until the server ended or took too long.

    Raises:
        LoadFailed: Either; with the end of its log.
    """
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        yield
        time.sleep(0.1)
    log = (folder / "server.log").read_text("utf-8", "replace")
    raise LoadFailed(f"the server did not start:\n{log[-3000:]}")


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("utf-8")
            except OSError:  # it ended meanwhile
                continue
            parent = int(stat[stat.rindex(")") + 2 :].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for known in found:
        found.extend(parents.get(known, []))
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:  # it ended meanwhile
        return 0
    user, system = stat[stat.rindex(")") + 2 :].split()[11:13]
    return int(user) + int(system)


def _pss_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    except OSError:  # it ended meanwhile
        return 0
    return sum(
        int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")
    )


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
