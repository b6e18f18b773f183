"""``python -m sim_chargers``: simulated chargers against any central system.

stdout carries JSON lines, stderr the log. Exit 0: ended as asked; 1: no station was
ever accepted, a flow did not pass, or, with --check-limits, a limit was exceeded;
2: bad usage or scenario.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sim_chargers import faults, meter_spec, scenario
from sim_chargers.clock import SiteClock, from_wire
from sim_chargers.events import Events
from sim_chargers.fleet import Fleet, Options
from sim_chargers.flows import catalogue
from sim_chargers.flows.stage import Verdict
from sim_chargers.memory import Memory
from sim_chargers.scenario_table import ScenarioError
from sim_chargers.tls import TlsFiles

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

EPILOG: Final = """\
JSON lines on stdout: ready, session_started, session_ended, violation, and at the end
summary. SIGTERM or Ctrl-C ends the run; running sessions are left open, or, with
--memory, end with the next run as after a power cut.

A flow is a story with a verdict: some begin by themselves, others wait for the calls
named in [brackets]. Lines: flow_started, flow_step, flow_ended with "verdict": passed,
failed or unfinished, and what a display shows. The run ends with its last flow.

examples:
  wattproof sim --url ws://127.0.0.1:9000/ocpp --stations 10 --ocpp mixed
  wattproof sim --url ws://127.0.0.1:9000/ocpp --scenario depot.toml \\
      --speed 60 --api http://127.0.0.1:8080 --api-token-file token.txt --duration 240
  wattproof sim --url ws://127.0.0.1:9000/ocpp --ocpp 2.0.1 --stations 1 \\
      --flow charging-needs --flow firmware --speed 10
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog="wattproof sim",
        description="Physically simulated chargers and cars over OCPP 1.6J and 2.0.1.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--url", help="WebSocket URL without the station id, ws://host:port/ocpp")
    add("--scenario", type=Path, help="TOML or JSON file with site, stations, drivers")
    add("--stations", type=int, default=4, help="without a scenario: how many (4)")
    add("--ocpp", choices=("1.6", "2.0.1", "mixed"), default="mixed", help="(mixed)")
    add("--password", help="without a scenario: the same for all; absent: no header")
    add("--token", action="append", default=[], help="id token of drivers (repeatable)")
    add("--seed", type=int, default=0, help="seed of everything random (0)")
    add("--speed", type=float, default=1.0, help="site seconds per real second (1)")
    add("--epoch", help="site time at --epoch-unix, ISO 8601 with offset (now)")
    add("--epoch-unix", type=float, help="real Unix time of the epoch (now)")
    add("--duration", type=float, help="real seconds after which to stop")
    add("--api", help="base URL of the HTTP API for meters and drivers' requests")
    add("--api-token-file", type=Path, help="file with the bearer token")
    add(
        "--reading-interval",
        type=float,
        default=10.0,
        help="site seconds between readings of one meter (10; at most 4 requests/s)",
    )
    add("--call-timeout", type=float, default=30.0, help="real seconds (30)")
    add("--boot-on-reconnect", action="store_true", help="boot after each reconnect")
    add("--no-drivers", action="store_true", help="stations only, no cars")
    add(
        "--drivers-wait",
        action="store_true",
        help="no cars before a line on stdin, or its end (a pipe or a terminal)",
    )
    add(
        "--meter",
        action="append",
        default=[],
        metavar="CARRIER[:CURVE[:FORMAT]][@STATION]",
        help="meters that sign (OCMF); all stations, or one (repeatable)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@STATION]",
        help="misbehave; all stations, or one (repeatable)",
    )
    add(
        "--faults",
        action="store_true",
        help="list the faults, with rows of docs/conformance.md",
    )
    add(
        "--flow",
        action="append",
        default=[],
        metavar="NAME[@STATION]",
        help="play a story instead of drivers (repeatable; one after the other)",
    )
    add("--flows", action="store_true", help="list the flows with their versions")
    add(
        "--flow-timeout",
        type=float,
        default=catalogue.TIMEOUT_S,
        help=f"real seconds for each flow ({catalogue.TIMEOUT_S:g})",
    )
    add("--memory", type=Path, help="file in which stations keep what a stop cuts off")
    add("--ca", type=Path, help="roots to trust for wss://, PEM (the system's)")
    add("--cert", type=Path, help="client certificate chain for wss://, PEM")
    add("--key", type=Path, help="its private key, PEM")
    add("--check-limits", action="store_true", help="exit 1 if a limit was exceeded")
    add("--exit-with-parent", action="store_true", help="stop when the parent is gone")
    add("--log-level", default="WARNING", help="of the log on stderr (WARNING)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    made = parser()
    given = made.parse_args(arguments)
    if given.faults:
        for name, line in faults.FAULTS.items():
            row = faults.ROWS[name]
            sys.stdout.write(f"{name:20} {line} (row {row})\n")
        return EXIT_OK
    if given.flows:
        for flow in catalogue.FLOWS.values():
            sys.stdout.write(f"{catalogue.describe(flow)}\n")
        return EXIT_OK
    logging.basicConfig(
        stream=sys.stderr,
        level=given.log_level.upper(),
        format="%(levelname)s %(name)s: %(message)s",
    )
    if given.url is None:
        made.error("--url is needed")
    try:
        plan = _scenario(given)
        options = _options(given, plan)
        epoch = None if given.epoch is None else from_wire(given.epoch)
        clock = SiteClock(epoch=epoch, epoch_unix_s=given.epoch_unix, speed=given.speed)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"sim_chargers: {error}\n")
        return EXIT_USAGE
    fleet = asyncio.run(_run(plan, options, clock))
    fleet.summarise()
    exceeded = any(fleet.site.violation_s.values())
    has_failed = fleet.verdicts.count(Verdict.PASSED) < fleet.n_asked
    if fleet.n_accepted == 0 or has_failed or (given.check_limits and exceeded):
        return EXIT_FAILED
    return EXIT_OK


async def _run(plan: scenario.Scenario, options: Options, clock: SiteClock) -> Fleet:
    fleet = Fleet(plan, options, clock=clock, events=Events())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, fleet.stopped.set)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_open_at_line(fleet), name="opening")
        await fleet.run()
        waiting.cancel()
    return fleet


async def _open_at_line(fleet: Fleet) -> None:
    """Let drivers come at a line on stdin, where they wait for it."""
    if fleet.opened.is_set():
        return
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.readline()
        fleet.opened.set()
    finally:
        transport.close()


def _scenario(given: argparse.Namespace) -> scenario.Scenario:
    if given.scenario is not None:
        plan = scenario.load(given.scenario)
    else:
        if given.stations < 1:
            raise ScenarioError("--stations: at least 1 is needed")
        versions = ("1.6", "2.0.1") if given.ocpp == "mixed" else (given.ocpp,)
        plan = scenario.simple(
            n_station=given.stations, versions=versions, password=given.password
        )
    meters = meter_spec.assign(given.meter, [one.id for one in plan.stations])
    return scenario.adjust(
        scenario.with_meters(plan, meters),
        tokens=tuple(given.token),
        has_drivers=not given.no_drivers,
    )


def _options(given: argparse.Namespace, plan: scenario.Scenario) -> Options:
    token: str | None = None
    if given.api_token_file is not None:
        token = given.api_token_file.read_text(encoding="utf-8").strip()
    station_ids = [station.id for station in plan.stations]
    return Options(
        url=given.url,
        seed=given.seed,
        duration_s=given.duration,
        api_url=given.api,
        api_token=token,
        reading_interval_s=given.reading_interval,
        call_timeout_s=given.call_timeout,
        boot_on_reconnect=given.boot_on_reconnect,
        faults=faults.assign(given.fault, station_ids),
        exits_with_parent=given.exit_with_parent,
        tls=TlsFiles(ca=given.ca, cert=given.cert, key=given.key),
        flows=catalogue.assign(given.flow, {s.id: s.ocpp for s in plan.stations}),
        flow_timeout_s=given.flow_timeout,
        memory=None if given.memory is None else Memory.load(given.memory),
        drivers_wait=given.drivers_wait,
    )


if __name__ == "__main__":
    sys.exit(main())
