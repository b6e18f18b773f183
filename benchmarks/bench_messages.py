"""CPU time per message: the gateway against the ``ocpp`` package's own server.

100 stations, each with one CALL in flight, MeterValues of 8 samples (OCPP 1.6) and
TransactionEvent Updated of 8 samples (2.0.1). The servers take turns, round by round,
so that a busy machine disturbs both alike. What counts is CPU time of the server's
process tree per answered message; wall-clock rates are printed beside it.

The comparison favours the yardstick: the gateway validates, decodes, folds, seals and
syncs every message to disk before it answers; the yardstick only validates. A third
server is the gateway with all of that but the disk (`unstored.py`).
"""

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Server

CASES: Final = {
    "MeterValues 1.6": ("--protocol", "1.6", "--mix", "MeterValues=1"),
    "TransactionEvent 2.0.1": ("--protocol", "2.0.1", "--mix", "TxUpdated=1"),
}
GATEWAY, UNSTORED = "gateway", "gateway, nothing stored"
REFERENCE = "ocpp package"


def main() -> None:
    """Parse the options, measure, print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of each run")
    parser.add_argument(
        "--wired", action="store_true", help="stations have EVSEs and get plans"
    )
    options = parser.parse_args()
    if options.quick:
        options.stations, options.rounds, options.seconds = 20, 1, 2.0
    prefix = harness.pinned(harness.SERVER_CORE)
    servers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        GATEWAY: partial(
            harness.gateway, options.stations, wired=options.wired, prefix=prefix
        ),
        UNSTORED: partial(
            harness.gateway,
            options.stations,
            wired=options.wired,
            is_stored=False,
            prefix=prefix,
        ),
        REFERENCE: partial(harness.reference, prefix),
    }
    before = harness.machine()
    result: dict[str, Any] = {"machine": before, "cases": {}}
    for case, arguments in CASES.items():
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
        for number in range(options.rounds):
            for name, start in servers.items():
                run = _run(start, arguments, options.stations, options.seconds)
                runs[name].append(run)
                harness.say(
                    f"[{number + 1}/{options.rounds}] {case}, {name}: "
                    f"{run['us_per_msg']} us CPU, {run['msgs_per_s']} msgs/s"
                )
        result["cases"][case] = _summary(runs)
    result["load_average_after"] = harness.machine()["load_average"]
    harness.finish(result, options.json)


def _run(
    start: Callable[[], AbstractContextManager[Server]],
    arguments: tuple[str, ...],
    n_station: int,
    seconds: float,
) -> dict[str, Any]:
    with start() as server:
        found = harness.load(
            server,
            *arguments,
            *("--mode", "flood", "--stations", str(n_station)),
            *("--duration", str(seconds)),
            prefix=harness.pinned(harness.CLIENT_CORE),
            limit_s=seconds,
        )
    return {
        "us_per_msg": found["server_us_per_msg"],
        "msgs_per_s": found["msgs_per_s"],
        "p50_ms": found["latency"]["p50_ms"],
        "p99_ms": found["latency"]["p99_ms"],
    }


def _summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        name: {
            "us_per_msg_median": statistics.median(r["us_per_msg"] for r in found),
            "us_per_msg_min": min(r["us_per_msg"] for r in found),
            "runs": found,
        }
        for name, found in runs.items()
    }
    yardstick = summary[REFERENCE]["us_per_msg_median"]
    for name in (GATEWAY, UNSTORED):
        ratio = yardstick / summary[name]["us_per_msg_median"]
        summary[name]["times_cheaper"] = round(ratio, 1)
    return summary


if __name__ == "__main__":
    main()
