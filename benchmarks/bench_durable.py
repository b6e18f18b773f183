"""The durable path: every message is on disk before it is answered.

Measures, each on a fresh gateway and database:

* closed loop: every station has one CALL in flight (the OCPP rule);
* open loop: messages fall due at random (Poisson), one per station and second, and
  latency counts from when a message was due, so a stalled server is not flattered;
* both again with 5 ms added to every commit, as on a slow disk;
* memory per idle connection;
* a storm: all stations drop at once, come back and boot;
* invalid messages, one after the other.

Generator and gateway share the machine's cores. Prefer CPU time per message to rates.
"""

from typing import Any, Final

from benchmarks import harness, invalid
from benchmarks.harness import LoadFailed, Server

METER: Final = ("--protocol", "1.6", "--mix", "MeterValues=1")
EVENT: Final = ("--protocol", "2.0.1", "--mix", "TxUpdated=1")
RATES: Final = (500, 2_000, 5_000)
SLOW_DISK_S: Final = 0.005


def main() -> None:
    """Parse the options, measure, print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--stations", type=int, default=500, help="in the closed loop")
    parser.add_argument("--idle", type=int, default=2_000, help="idle connections")
    parser.add_argument("--storm", type=int, default=5_000, help="stations in it")
    parser.add_argument("--seconds", type=float, default=10, help="of each run")
    parser.add_argument(
        "--wired", action="store_true", help="stations have EVSEs and get plans"
    )
    parser.add_argument("--core", help="the gateway's setting server.core, for loads")
    parser.add_argument("--only", help="runs whose name contains this text")
    options = parser.parse_args()
    rates: tuple[int, ...] = RATES
    if options.quick:
        options.stations, options.idle, options.storm = 20, 50, 50
        options.seconds, rates = 2.0, (50,)
    wired, seconds = options.wired, options.seconds
    runs: dict[str, Run] = {
        "closed loop, MeterValues 1.6": Run(options.stations, METER),
        "closed loop, TransactionEvent 2.0.1": Run(options.stations, EVENT),
        **{f"open loop, {rate}/s": Run(rate, METER, rate=rate) for rate in rates},
        "closed loop, 5 ms commits": Run(options.stations, METER, SLOW_DISK_S),
        f"open loop, {rates[0]}/s, 5 ms commits": Run(
            rates[0], METER, SLOW_DISK_S, rate=rates[0]
        ),
    }
    result: dict[str, Any] = {
        "machine": harness.machine(),
        "core": options.core,
        "runs": {},
    }
    chosen = [
        *runs,
        f"idle, {options.idle} stations",
        f"storm, {options.storm} stations",
        "invalid messages",
    ]
    chosen = [name for name in chosen if (options.only or "") in name]
    for number, name in enumerate(chosen):
        try:
            if name in runs:
                found = runs[name].measure(seconds, wired=wired, core=options.core)
            elif name.startswith("idle"):
                found = _idle(options.idle, wired=wired)
            elif name.startswith("invalid"):
                found = _invalid(2 if options.quick else 10)
            else:
                found = _storm(options.storm, wired=wired)
        except LoadFailed as error:  # one run that failed is a result, too
            found = {"failed": str(error)}
        result["runs"][name] = found
        harness.say(f"[{number + 1}/{len(chosen)}] {name}: {found}")
    result["load_average_after"] = harness.machine()["load_average"]
    harness.finish(result, options.json)


class Run:
    """One run under load.

    Args:
        n_station: Connected stations.
        arguments: Protocol and mix, for the generator.
        commit_delay_s: Added to every commit.
        rate: Messages per second in all; ``None`` for the closed loop.
    """

    def __init__(
        self,
        n_station: int,
        arguments: tuple[str, ...],
        commit_delay_s: float = 0.0,
        *,
        rate: int | None = None,
    ) -> None:
        self.n_station = n_station
        self.arguments = arguments
        self.commit_delay_s = commit_delay_s
        self.rate = rate

    def measure(
        self, seconds: float, *, wired: bool, core: str | None = None
    ) -> dict[str, Any]:
        """Start a gateway, load it, and report.

        Raises:
            LoadFailed: The generator saw an error.
        """
        mode = (
            ("--mode", "flood")
            if self.rate is None
            else ("--mode", "rate", "--rate", str(self.rate))
        )
        with harness.gateway(
            self.n_station,
            wired=wired,
            commit_delay_s=self.commit_delay_s,
            core=core,
        ) as server:
            before = _commits(server)
            found = harness.load(
                server,
                *self.arguments,
                *mode,
                *("--stations", str(self.n_station)),
                *("--duration", str(seconds)),
                limit_s=seconds,
            )
            after = _commits(server)
        latency = found["latency"]
        return {
            "stations": self.n_station,
            "msgs_per_s": found["msgs_per_s"],
            "us_per_msg": found["server_us_per_msg"],
            "p50_ms": latency["p50_ms"],
            "p99_ms": latency["p99_ms"],
            "max_ms": latency["max_ms"],
            "cores_used": found["server_cpu"],
            "pss_mib": found["server_rss_mib"],
            "jobs_per_commit": round(
                (after[1] - before[1]) / max(1.0, after[0] - before[0]), 1
            ),
        }


def _commits(server: Server) -> tuple[float, float]:
    return server.metric("store_commits_total"), server.metric("store_jobs_total")


def _idle(n_station: int, *, wired: bool) -> dict[str, Any]:
    """Memory that a connected station takes before and after it has booted."""
    with harness.gateway(n_station, wired=wired) as server:
        before_kib = server.pss_kib()
        found = harness.load(
            server,
            *("--mode", "idle", "--stations", str(n_station), "--duration", "5"),
        )
    after_kib = found["server_rss_mib_after"] * 1024
    return {
        "stations": n_station,
        "pss_mib_before": round(before_kib / 1024, 1),
        "pss_mib_connected": found["server_rss_mib_after"],
        "kib_per_connection": round((after_kib - before_kib) / n_station, 1),
        "handshakes_per_s": found["connects_per_s"],
        "still_connected": found["still_connected"],
    }


def _invalid(n_station: int) -> dict[str, Any]:
    """CPU and time that messages take which break their schema."""
    with harness.gateway(n_station, wired=False) as server:
        return invalid.measure(server, n_station)


def _storm(n_station: int, *, wired: bool) -> dict[str, Any]:
    """All stations drop without a close handshake, reconnect and boot."""
    with harness.gateway(n_station, wired=wired) as server:
        found = harness.load(
            server,
            *("--mode", "storm", "--storm-abort", "--stations", str(n_station)),
            *("--connect-concurrency", "1000"),
        )
    storm = found["storms"][0]
    return {"stations": n_station, **storm}


if __name__ == "__main__":
    main()
