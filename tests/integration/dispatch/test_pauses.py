"""Cars that are paused: how long they stay so, how they wake, what they do at 0 A."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec

from gateway.bus import FactCommitted
from gateway.domain.capability import AtZero
from gateway.domain.dwell import WAKE_AFTER_S, Dwell
from gateway.domain.events import SessionEnded
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.session import SessionPhase
from gateway.services.evse_state import EvseState
from tests.integration.dispatch.yard import (
    Yard,
    sampled_until,
    site_of,
    until,
    yard,
)

CP1 = StationId("CP1")


def evse(place: Yard) -> EvseState:
    runner = place.dispatch.runner(CP1)
    assert runner is not None
    return runner.state.evses[EvseRef(station_id=CP1, evse_id=1)]


def at_zero(place: Yard) -> AtZero:
    runner = place.dispatch.runner(CP1)
    assert runner is not None
    return runner.state.stations[CP1].capability.at_zero


async def paused(place: Yard) -> None:
    place.boot(1)
    await until(lambda: place.station(1).default is not None)
    place.report(1)
    await until(lambda: place.limit_da(1) == 320)
    place.report(1, current_a=32)
    await place.dispatch.set_manual_limit(CP1, 1, 0)
    await until(lambda: place.limit_da(1) == 0)
    await until(lambda: evse(place).rhythm.is_on is False)


async def test_a_paused_car_stays_off_for_the_least_time(tmp_path: Path) -> None:
    site = replace(site_of(1), dwell=Dwell(min_off_s=60))
    async with yard(tmp_path, site) as place:
        await paused(place)
        place.report(1, current_a=0)
        since_s = evse(place).rhythm.since_s
        await place.dispatch.set_manual_limit(CP1, 1, None)
        await until(lambda: place.limit_da(1) == 320)
        assert place.clock.now().timestamp() - since_s >= 60


async def test_a_car_that_sleeps_after_a_pause_is_woken_by_another(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), speed=120) as place:
        await paused(place)
        place.report(1, current_a=0)
        await place.dispatch.set_manual_limit(CP1, 1, None)
        await until(lambda: place.limit_da(1) == 320)
        n_sent = len(place.station(1).limits)
        await asyncio.sleep(WAKE_AFTER_S / 120 + 0.3)
        await sampled_until(place, 1, 0, lambda: place.limit_da(1) == 0)
        await until(lambda: place.limit_da(1) == 320)
        await sampled_until(place, 1, 16, lambda: at_zero(place) is not AtZero.ENDS)
        assert len(place.station(1).limits) - n_sent >= 2


async def test_a_session_that_ends_at_0_a_is_remembered_and_not_paused_again(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await paused(place)
        now = place.clock.now()
        ended = msgspec.structs.replace(
            place.report(1, current_a=0),
            phase=SessionPhase.ENDED,
            stop_reason="StoppedByEV",
        )
        place.sessions.open.clear()
        event = SessionEnded(
            station_id=CP1,
            stop_reason="StoppedByEV",
            evse=EvseRef(station_id=CP1, evse_id=1),
            occurred_at=now,
            received_at=now,
            transaction_id="1",
            register_milliwh=0,
        )
        place.bus.publish(FactCommitted(offset=3, event=event, session=ended))
        await until(lambda: at_zero(place) is AtZero.ENDS)
        await place.dispatch.set_manual_limit(CP1, 1, None)
        place.report(1, current_a=0)
        await until(lambda: place.limit_da(1) == 320)
        await until(lambda: any(p.sessions for p in place.solver.problems))
        last = [p for p in place.solver.problems if p.sessions][-1]
        assert last.sessions[0].floor_a == last.sessions[0].min_a
