"""A network that harms 30 % of all frames changes no bill, not by one unit.

The same planned sessions run twice against a real gateway: over a clean network, and
with frames and answers dropped, duplicated, delayed and reordered, connections reset or
gone silent, and the gateway restarted by SIGTERM in the middle of it.
``make soak-chaos`` does it with 10 000 sessions; ``WATTPROOF_CHAOS_SESSIONS`` and
``WATTPROOF_CHAOS_SEED`` choose others.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.store.times import to_text
from tests.e2e.test_kill9 import database
from tests.support.chaos_wire import HARMS, Chaos, chaotic
from tests.support.cut_wire import CUTS
from tests.support.gateway_process import (
    GatewayProcess,
    gateway,
    new_token,
    write_config,
)
from tests.support.planned_station import TAG, PlannedStation, plan
from tests.support.queue_station import PASSWORD

pytestmark = pytest.mark.e2e

N_SESSION = int(os.environ.get("WATTPROOF_CHAOS_SESSIONS", "300"))
SEED = int(os.environ.get("WATTPROOF_CHAOS_SEED", "1"))
SHARE = 0.3
CUT_SHARE = 0.01
"""Of frames: with them the connection is cut."""
SESSIONS_PER_RESTART = 500
AT_ONCE = 100
"""Stations; fewer where there are few sessions."""
SESSIONS_AT_LEAST = 6
SAY_EVERY_S = 5.0

STATION = """
[[station]]
id = "{station_id}"
password_file = "{station_id}.password"

[[station.evse]]
id = 1
current_type = "AC"
phases = "L1L2L3"
max_a = 32
min_a = 6
floor_a = 0
"""
ENERGY = '{ type = "ENERGY", price = "0.40" }'
PRICES = """{ type = "ENERGY", price = "0.4137" }, { type = "FLAT", price = "0.35" },
  { type = "TIME", price = "1.234" }"""
"""Hardly any bill is a whole number of cents before it is rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left behind.

    Attributes:
        bills: By station and start: everything that makes a bill.
        readings: Registers that were kept, by station and moment.
        n_repeated: Messages that had been stored before.
        n_restart: Times the gateway was stopped and started while stations sent.
        took_s: Real seconds.
    """

    bills: dict[tuple[str, str], tuple[Any, ...]]
    readings: list[tuple[Any, ...]]
    n_repeated: int
    n_restart: int
    took_s: float


@pytest.mark.timeout(300 + N_SESSION // 5)
async def test_a_network_that_harms_every_third_frame_changes_no_bill(
    tmp_path: Path,
) -> None:
    begin = (SystemClock().now() - timedelta(days=2)).replace(microsecond=0)
    n_station = max(2, min(AT_ONCE, N_SESSION // SESSIONS_AT_LEAST))
    shares = [
        N_SESSION // n_station + (n < N_SESSION % n_station) for n in range(n_station)
    ]
    plans = {
        f"PLAN-{number:03}": plan(SEED, f"PLAN-{number:03}", n_session, begin)
        for number, n_session in enumerate(shares)
    }
    calm = Chaos(seed=SEED, share=0.0)
    chaos = Chaos(seed=SEED, share=SHARE, cut_share=CUT_SHARE)
    n_restart = max(2, N_SESSION // SESSIONS_PER_RESTART)
    (tmp_path / "clean").mkdir()
    clean = await run(tmp_path / "clean", plans, calm, "clean", n_restart=0)
    (tmp_path / "chaos").mkdir()
    harmed = await run(tmp_path / "chaos", plans, chaos, "chaos", n_restart=n_restart)

    planned = {
        (station_id, to_text(session.samples[0][0])): session.energy_wh * 1000
        for station_id, sessions in plans.items()
        for session in sessions
    }
    assert {key: bill[0] for key, bill in clean.bills.items()} == planned
    assert {bill[3] for bill in clean.bills.values()} == {"ok-unsigned"}
    assert harmed.bills == clean.bills
    assert harmed.readings == clean.readings
    n_harmed = sum(chaos.done[harm] for harm in HARMS)
    assert abs(n_harmed / chaos.n_frame - SHARE) < 0.05
    assert all(chaos.done[harm] for harm in (*HARMS, *CUTS))
    assert harmed.n_restart == n_restart
    assert harmed.n_repeated > clean.n_repeated
    print(  # noqa: T201 - the figures of `make soak-chaos`
        f"chaos: {len(harmed.bills)} sessions, all bills equal to the unit"
        f" ({sum(bill[1] for bill in harmed.bills.values())} minor units,"
        f" {sum(bill[0] for bill in harmed.bills.values())} mWh); {chaos.told()};"
        f" {harmed.n_restart} restarts;"
        f" {harmed.n_repeated} messages came again; clean {clean.took_s:.0f} s,"
        f" chaos {harmed.took_s:.0f} s, seed {SEED}"
    )


async def run(
    folder: Path, plans: dict[str, Any], chaos: Chaos, name: str, *, n_restart: int
) -> Outcome:
    """Let every station send its plan, and wait for the bills."""
    begun_s = time.monotonic()
    ports = configured(folder, plans)
    token = await new_token(folder)
    upstream = f"ws://127.0.0.1:{ports[0]}/ocpp"
    n_repeated = n_restarted = 0
    async with chaotic(upstream, chaos) as url, asyncio.TaskGroup() as group:
        stations = [
            PlannedStation(
                station_id,
                "ocpp1.6" if number % 2 else "ocpp2.0.1",
                url,
                sessions,
                SEED,
            )
            for number, (station_id, sessions) in enumerate(plans.items())
        ]
        n_message = sum(len(station.outbox) for station in stations)
        telling = group.create_task(tell(folder, stations, chaos, name))
        for life in range(n_restart + 1):
            async with gateway(folder, ports, admin_token=token) as running:
                if life == 0:
                    await put_tag(running)
                    for station in stations:
                        group.create_task(station.run())
                keep = n_message * (n_restart - life) // (n_restart + 1)
                await sent(stations, keep)
                if life == n_restart:
                    telling.cancel()
                    await settled(folder, sum(map(len, plans.values())))
                else:
                    n_restarted += 1
                assert not [line for line in running.log if "Traceback" in line]
                n_repeated += await repeated(running)
                stopped_s = time.monotonic()
                assert await running.stop(signal.SIGTERM) == 0
                print(  # noqa: T201 - progress
                    f"{name}: life {life} stopped in"
                    f" {time.monotonic() - stopped_s:.1f} s",
                    flush=True,
                )
    assert not [refusal for station in stations for refusal in station.refused]
    return read(folder, n_repeated, n_restarted, time.monotonic() - begun_s)


def configured(folder: Path, station_ids: Iterable[str]) -> tuple[int, int]:
    """Write the configuration; the ports."""
    ports = write_config(folder, {})
    text = (folder / "config.toml").read_text().replace(ENERGY, PRICES)
    assert PRICES in text
    for station_id in station_ids:
        text += STATION.format(station_id=station_id)
        secret = folder / f"{station_id}.password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
    (folder / "config.toml").write_text(text)
    return ports


async def put_tag(running: GatewayProcess) -> None:
    async with running.client() as api:
        answer = await api.put(f"/id-tokens/{TAG}", json={"status": "Accepted"})
        assert answer.is_success, answer.text


async def sent(stations: Sequence[PlannedStation], keep: int) -> None:
    """Wait until no more messages are unanswered than these."""
    while sum(len(station.outbox) for station in stations) > keep:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.05)


async def tell(
    folder: Path, stations: Sequence[PlannedStation], chaos: Chaos, name: str
) -> None:
    n_message = sum(len(station.outbox) for station in stations)
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        left = sum(len(station.outbox) for station in stations)
        print(  # noqa: T201 - progress
            f"{name}: {n_message - left} of {n_message} messages answered,"
            f" {count_settled(folder)} bills; {chaos.told()}",
            flush=True,
        )


async def settled(folder: Path, n_session: int) -> None:
    """Wait for the last bill."""
    async with asyncio.timeout(60 + n_session / 20):
        while count_settled(folder) < n_session:  # noqa: ASYNC110 - it asks the database
            await asyncio.sleep(0.2)


def count_settled(folder: Path) -> int:
    with database(folder) as conn:
        (number,) = conn.execute(
            "SELECT count(*) FROM bill WHERE status = 'settled'"
        ).fetchone()
    return int(number)


async def repeated(running: GatewayProcess) -> int:
    async with running.client() as api:
        text = (await api.get(f"{running.api_url}/metrics")).text
    (line,) = (
        one
        for one in text.splitlines()
        if one.startswith("wattproof_messages_repeated_total ")
    )
    return int(float(line.split()[1]))


def read(folder: Path, n_repeated: int, n_restart: int, took_s: float) -> Outcome:
    with database(folder) as conn:
        rows = conn.execute(
            "SELECT station_id, started_at, bill.energy_milliwh, amount_minor,"
            " currency, bill.verdict, bill.reasons, bill.status,"
            " register_start_milliwh, register_end_milliwh, ended_at, stop_reason"
            " FROM session LEFT JOIN bill USING (session_id)"
        ).fetchall()
        readings = conn.execute(
            "SELECT s.station_id, r.sampled_at, r.register_milliwh FROM reading r"
            " JOIN session s USING (session_id) ORDER BY 1, 2, 3"
        ).fetchall()
        twice = conn.execute(
            "SELECT kind, subject FROM leaf WHERE kind IN ('session_start',"
            " 'settlement') GROUP BY 1, 2 HAVING count(*) > 1"
        ).fetchall()
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert twice == []
    bills = {(row[0], row[1]): tuple(row[2:]) for row in rows}
    assert len(bills) == len(rows), "two sessions of one start"
    return Outcome(
        bills=bills,
        readings=readings,
        n_repeated=n_repeated,
        n_restart=n_restart,
        took_s=took_s,
    )
