"""Faults of stations that come and go, or live in another time, in both versions."""

import asyncio
import io
from datetime import timedelta

import pytest

from sim_chargers.clock import SiteClock, from_wire
from sim_chargers.events import Events
from sim_chargers.faults import CLOCK_SKEW_S
from sim_chargers.fleet import Fleet, Options
from sim_chargers.scenario import adjust, simple
from tests.integration.sim.test_flow import station
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms

SPEED = 6000.0
VERSIONS = ("1.6", "2.0.1")
IDS = ("SIM-0001", "SIM-0002")


async def run_until_both_are_back(
    csms: TinyCsms, fault: str, action: str, n: int = 2
) -> Fleet:
    """Run a station of each version until both sent an action often enough."""
    plan = simple(n_station=2, versions=VERSIONS, password=None)
    fleet = Fleet(
        adjust(plan, tokens=(), has_drivers=False),
        Options(url=csms.url, faults=dict.fromkeys(IDS, frozenset({fault}))),
        clock=SiteClock(speed=SPEED),
        events=Events(stream=io.StringIO()),
    )
    for charger in fleet.chargers:
        charger.link.backoff_first_s = 0.02
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.run())
        await csms.until(
            lambda: all(csms.actions(one).count(action) >= n for one in IDS)
        )
        fleet.stopped.set()
    return fleet


async def test_an_offline_station_comes_back_without_a_boot() -> None:
    async with tiny_csms() as csms:
        # 1.6 reports connector 0 besides; both report anew after a reconnect.
        fleet = await run_until_both_are_back(csms, "offline", "StatusNotification", 3)
        boots = [csms.actions(one).count("BootNotification") for one in IDS]
    assert all(c.link.traffic.connects >= 2 for c in fleet.chargers)
    assert boots == [1, 1]


async def test_a_rebooting_station_boots_again() -> None:
    async with tiny_csms() as csms:
        fleet = await run_until_both_are_back(csms, "reboot", "BootNotification")
    assert all(c.link.traffic.connects >= 2 for c in fleet.chargers)
    (reason,) = {str(p["reason"]) for p in csms.of("BootNotification") if "reason" in p}
    assert reason == "PowerUp"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_skewed_clock_is_ahead_and_stays_so(version: str) -> None:
    async with tiny_csms() as csms, station(csms, version, "clock-skew") as cp:
        await csms.until(lambda: csms.of("StatusNotification"))
        at = from_wire(csms.of("StatusNotification")[-1]["timestamp"])
        ahead = at - cp.clock.now()
    slack = timedelta(seconds=120)  # what the site clock went on meanwhile
    assert abs(ahead - timedelta(seconds=CLOCK_SKEW_S)) < slack
