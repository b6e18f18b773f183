"""The built-in site: the whole gateway on a faster clock, with simulated chargers.

The simulator is a child process that meets the gateway only on the wire: OCPP for the
stations, the HTTP API for meters and drivers. Its JSON lines on stdout carry what only
physics knows: seconds above a limit.
"""

import asyncio
import contextlib
import json
import secrets
import signal
import sqlite3
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from gateway.app import Running, running
from gateway.clock import ScaledClock, SystemClock
from gateway.config import Config, check_ports
from gateway.demo_meters import trust_label
from gateway.demo_opening import until_set_up
from gateway.demo_scenario import scenario
from gateway.domain.ids import StationId
from gateway.domain.site_text import counted
from gateway.errors import StartupError, StoreError
from gateway.process import run_to_end, stop_on_signals
from gateway.services.anchoring import AnchorState
from gateway.services.own_release import release_optimizer
from gateway.store import api_tokens, money, tokens
from gateway.store.api_tokens import Role
from gateway.store.queries import Queries

SITE_FILE: Final = Path(__file__).with_name("demo_site.toml")
TOKENS: Final = tuple(f"DEMO{number:04d}" for number in range(1, 41))
FIRST_MOMENT: Final = datetime(2026, 6, 15, 5, 0, tzinfo=UTC)
"""A fresh demo begins on a summer morning: sun, arrivals and the day tariff ahead."""
DRAIN_S: Final = 30.0
ACCESS_FILE: Final = "sim.token"
SIM_MEMORY: Final = "sim-memory.json"
"""Where the stations keep meters and messages from one run to the next."""
SIM_STOP_S: Final = 10.0
STDOUT_LIMIT: Final = 1_048_576

_log = structlog.get_logger()


@dataclass(slots=True)
class Simulation:
    """The child process and what it reported."""

    process: asyncio.subprocess.Process
    limit_violation_s: dict[str, float] = field(default_factory=dict)
    n_started: int = 0
    n_ended: int = 0
    first_session: asyncio.Event = field(default_factory=asyncio.Event)
    has_summary: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone."""
        return self.process.returncode is not None

    def let_drivers_come(self) -> None:
        """Tell the simulator: it reads a line, or the end of its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()


def run_demo(
    *,
    speed: float,
    duration_s: float | None,
    seed: int,
    data_dir: Path,
    ocpp_port: int | None,
    api_port: int | None,
) -> int:
    """Run the demo site; the exit code.

    Args:
        speed: Site seconds per real second.
        duration_s: Real seconds after which it ends by itself; ``None``: Ctrl-C.
        seed: Seed of the simulated drivers.
        data_dir: Where the demo keeps its data; a later start goes on from there.
        ocpp_port: Instead of the built-in one.
        api_port: Instead of the built-in one.

    Raises:
        StartupError: A port is in use, or stored data cannot be used.
    """
    config = demo_config(data_dir, ocpp_port=ocpp_port, api_port=api_port)
    return run_to_end(_demo(config, speed=speed, duration_s=duration_s, seed=seed))


def demo_config(
    data_dir: Path, *, ocpp_port: int | None = None, api_port: int | None = None
) -> Config:
    """The configuration of the built-in site.

    Raises:
        ConfigError: Both ports are the same.
    """
    document = tomllib.loads(SITE_FILE.read_text(), parse_float=Decimal)
    document["store"] = {"path": str(data_dir.absolute())}
    config = Config.from_dict(document, data_dir.absolute())
    server, api = config.server, config.api
    if ocpp_port is not None:
        server = replace(server, ocpp_port=ocpp_port)
    if api_port is not None:
        api = replace(api, port=api_port)
    check_ports(server, api, config.ocpp.tls)
    return replace(config, server=server, api=api)


async def _demo(
    config: Config, *, speed: float, duration_s: float | None, seed: int
) -> int:
    passwords = _passwords(config)
    stop = asyncio.Event()
    stop_on_signals(stop)
    clock = ScaledClock.starting_at(await _first_moment(config), speed)
    _say(f"site clock: {clock.epoch:%Y-%m-%d %H:%M} UTC, {speed:g} times real time")
    async with (
        running(
            config,
            clock=clock,
            passwords=passwords,
            on_stage=_say,
            stop=stop,
            shipped_proven=tuple(station.id for station in config.site.stations),
        ) as gateway,
        asyncio.TaskGroup() as group,
    ):
        token = await _prepare(gateway)
        release = release_optimizer(gateway.anchoring, clock.epoch)
        group.create_task(release, name="demo.release")
        stations = counted(len(config.site.stations), "simulated station")
        _say(f"starting {stations} (seed {seed})")
        async with _simulating(
            gateway, config, clock, passwords, token, seed=seed
        ) as simulation:
            await until_set_up(
                gateway.dispatch,
                say=_say,
                is_over=lambda: stop.is_set() or simulation.has_ended,
            )
            simulation.let_drivers_come()
            await _announce(gateway, simulation, stop, config.store.path / ACCESS_FILE)
            await _until_over(simulation, stop, duration_s)
        _say("settling and anchoring what is left")
        await _drain(gateway)
    # The gateway sealed and anchored once more when all of its parts were at rest.
    summary = _summary(config, gateway.anchoring.state, simulation)
    sys.stdout.write(json.dumps(summary) + "\n")
    sys.stdout.flush()
    return 0 if summary["limit_violations"] == 0 else 1


async def _until_over(
    simulation: Simulation, stop: asyncio.Event, duration_s: float | None
) -> None:
    """Wait for Ctrl-C, the end of the duration, or the end of the simulator."""
    async with asyncio.TaskGroup() as group:
        waiters: list[asyncio.Task[object]] = [
            group.create_task(stop.wait()),
            group.create_task(simulation.process.wait()),
        ]
        await asyncio.wait(
            waiters, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED
        )
        for waiter in waiters:
            waiter.cancel()
    _check_alive(simulation, stop)


def _check_alive(simulation: Simulation, stop: asyncio.Event) -> None:
    exit_code = simulation.process.returncode
    if exit_code is not None and not stop.is_set():
        raise StartupError(f"the simulator ended by itself (exit {exit_code})")


def _passwords(config: Config) -> dict[StationId, bytes]:
    """One random password per station, kept in the demo's folder."""
    path = config.store.path / "demo-passwords.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, str] = {}
    if path.exists():
        try:
            known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError) as error:
            raise StartupError(f"cannot read {path}: {error}") from error
    for station in config.site.stations:
        known.setdefault(station.id, secrets.token_urlsafe(18))
    path.touch(mode=0o600)
    path.write_text(json.dumps(known, indent=1))
    return {StationId(key): value.encode() for key, value in known.items()}


async def _first_moment(config: Config) -> datetime:
    """Where the site clock starts: where an earlier run stopped, or a fixed morning.

    It never runs back: blocks of the embedded chain carry its time.
    """
    if not config.store.database_path.exists():
        return FIRST_MOMENT
    earlier = Queries(config.store.database_path, readers=1)
    try:
        await earlier.open()
        return await earlier.latest_received_at() or FIRST_MOMENT
    except (sqlite3.Error, StoreError):
        return FIRST_MOMENT  # opening the store says what is wrong with it
    finally:
        await earlier.close()


async def _prepare(gateway: Running) -> str:
    """Tokens of drivers, and the simulator's API token."""
    now = gateway.clock.now()

    def job(conn: Any) -> str:  # noqa: ANN401 - a sqlite3 connection
        for value in TOKENS:
            tokens.put(
                conn,
                value=value,
                kind="",
                status="Accepted",
                expires_at=None,
                group_id=None,
                now=now,
            )
        secret, _ = api_tokens.create_token(
            conn,
            role=Role.OPERATOR,
            label="simulated drivers and meters",
            now=SystemClock().now(),
        )
        return secret

    return await gateway.writer.run(job)


@contextlib.asynccontextmanager
async def _simulating(
    gateway: Running,
    config: Config,
    clock: ScaledClock,
    passwords: dict[StationId, bytes],
    token: str,
    *,
    seed: int,
) -> AsyncIterator[Simulation]:
    """The simulator as a child within the block."""
    folder = config.store.path
    scenario_path, token_path = folder / "scenario.json", folder / ACCESS_FILE
    for path, text in (
        (scenario_path, json.dumps(scenario(config.site, passwords, TOKENS))),
        (token_path, token),
    ):
        path.touch(mode=0o600)
        path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sim_chargers",
        *("--url", gateway.ocpp_url, "--api", gateway.api_url),
        *("--scenario", str(scenario_path), "--api-token-file", str(token_path)),
        *("--memory", str(folder / SIM_MEMORY)),
        *("--epoch", clock.epoch.isoformat(), "--epoch-unix", str(clock.epoch_unix_s)),
        *("--speed", str(clock.speed), "--seed", str(seed), "--exit-with-parent"),
        "--drivers-wait",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=STDOUT_LIMIT,
        start_new_session=True,
    )
    simulation = Simulation(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(_follow(simulation, gateway), name="demo.follow")
        try:
            yield simulation
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(SIM_STOP_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()


async def _follow(simulation: Simulation, gateway: Running) -> None:
    """Read the simulator's JSON lines until it closes its stdout."""
    stream = simulation.process.stdout
    assert stream is not None
    while line := await stream.readline():
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            _log.warning("sim.unreadable", line=line[:200])
            continue
        match event.get("event"):
            case "session_started":
                simulation.n_started += 1
                simulation.first_session.set()
            case "session_ended":
                simulation.n_ended += 1
            case "meter_label":
                await trust_label(gateway, event)
            case "violation":
                _log.error("limit.exceeded", **_members(event))
            case "summary":
                simulation.has_summary = True
                simulation.limit_violation_s = {
                    str(key): float(value)
                    for key, value in event["limit_violation_s"].items()
                }
            case _:
                pass


def _members(event: dict[str, Any]) -> dict[str, Any]:
    """What a line says besides what it is: the log has a name of its own for that."""
    return {name: value for name, value in event.items() if name != "event"}


async def _announce(
    gateway: Running, simulation: Simulation, stop: asyncio.Event, token_path: Path
) -> None:
    """Print where to look, with the driver's page of one running session."""
    _say("waiting for the first car")
    async with asyncio.TaskGroup() as group:
        waiters: list[asyncio.Task[object]] = [
            group.create_task(simulation.first_session.wait()),
            group.create_task(stop.wait()),
            group.create_task(simulation.process.wait()),
        ]
        await asyncio.wait(
            waiters, return_when=asyncio.FIRST_COMPLETED, timeout=DRAIN_S
        )
        for waiter in waiters:
            waiter.cancel()
    _check_alive(simulation, stop)
    driver_link = await gateway.any_driver_link()
    lines = [
        "",
        f"  Cockpit      {gateway.admin_link or gateway.api_url + '/cockpit'}",
        f"  Driver page  {driver_link or 'as soon as a car charges, see the cockpit'}",
        f"  API          {gateway.api_url}/api/docs  (a token: {token_path})",
        f"  OCPP         {gateway.ocpp_url}/{{station_id}}",
        "",
        "  The cockpit link opens once. Ctrl-C ends the demo.",
        "",
    ]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


async def _drain(gateway: Running) -> None:
    """Bill and anchor what ended, with more time than a stopping gateway takes."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await gateway.settlement.catch_up()
            await gateway.anchoring.flush()
    except TimeoutError:
        _log.warning("demo.undrained", backlog=gateway.anchoring.state.backlog)


def _summary(
    config: Config, state: AnchorState, simulation: Simulation
) -> dict[str, object]:
    """What the run came to, once everything that ended is billed and on the chain."""
    with contextlib.closing(sqlite3.connect(config.store.database_path)) as conn:
        counts = money.totals(conn)
    worst_s = max(simulation.limit_violation_s.values(), default=0.0)
    return {
        "sessions": counts.sessions,
        "energy_milliwh": counts.energy_milliwh,
        "bills": counts.bills,
        "settlements_on_chain": state.settlements_on_chain,
        "anchored_head": {"size": state.anchored_size, "root": state.anchored_root},
        "limit_violations": round(worst_s, 1),
    }


def _say(line: str) -> None:
    sys.stdout.write(f"[wattproof] {line}\n")
    sys.stdout.flush()
