"""Stations that do not take every limit: what is tried next, and what is learned."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.domain.capability import Feature
from gateway.domain.ids import StationId
from gateway.domain.limits import LimitUnit, Purpose, SetLimit
from gateway.domain.session import SessionPhase
from gateway.services import limit_answers
from gateway.services.group_view import EvseView
from tests.integration.dispatch.yard import FakeSessions, Yard, site_of, until, yard

CP1 = StationId("CP1")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_answers, "RETRY_S", 0.1)


def known(place: Yard) -> frozenset[Feature]:
    """What CP1 is taken to refuse."""
    runner = place.dispatch.runner(CP1)
    assert runner is not None
    return runner.state.stations[CP1].capability.refused


def evse_of(place: Yard) -> EvseView:
    """The EVSE of CP1 as others see it."""
    found = place.dispatch.evse(CP1, 1)
    assert found is not None
    return found


async def charging(place: Yard, da: int = 320) -> None:
    place.boot(1)
    await until(
        lambda: place.station(1).default or place.station(1).maximum, within_s=20
    )
    place.report(1)
    await until(lambda: place.limit_da(1) == da, within_s=20)


@pytest.mark.quirk(25)
@pytest.mark.parametrize(
    ("refuses", "way"),
    [
        (lambda one: one.purpose is Purpose.SESSION, Feature.EVSE_DEFAULT),
        (
            lambda one: one.purpose is Purpose.SESSION or one.evse_id > 0,
            Feature.STATION_DEFAULT,
        ),
        (lambda one: one.purpose is not Purpose.STATION_MAX, Feature.STATION_MAX),
    ],
    ids=["no limit of a transaction", "no default of a connector", "a maximum only"],
)
async def test_the_next_way_down_is_taken_after_a_refusal_and_remembered(
    tmp_path: Path, refuses: Callable[[SetLimit], bool], way: Feature
) -> None:
    sessions = FakeSessions()
    async with yard(tmp_path, site_of(1), sessions=sessions) as place:
        place.station(1).refuses = refuses
        await charging(place)
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        capability = runner.state.stations[CP1].capability
        assert capability.way(1) is way
        await until(lambda: evse_of(place).bound_da == 320)
        assert evse_of(place).is_proven
        place.report(1, phase=SessionPhase.ENDED)
        await until(lambda: place.limit_da(1) == 0)  # not kept for whoever comes next
        n_sent = len(place.rows("SELECT 1 FROM limit_command"))
    async with yard(tmp_path, site_of(1), sessions=sessions) as place:
        place.station(1).refuses = refuses
        await charging(place)
        outcomes = place.rows("SELECT outcome FROM limit_command ORDER BY command_id")
        assert ("refused",) not in outcomes[n_sent:]
        assert known(place)


@pytest.mark.quirk(25)
async def test_a_station_that_takes_watts_only_is_told_watts(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).refuses = lambda one: one.unit is LimitUnit.A
        await charging(place)
        assert known(place) == {Feature.AMPERE}
        assert {one.unit for one in place.station(1).limits} == {LimitUnit.W}


@pytest.mark.quirk(25)
async def test_a_station_that_refuses_0_a_has_its_least_current_for_a_floor(
    tmp_path: Path,
) -> None:
    def refuses(one: SetLimit) -> bool:
        return any(step.limit_da == 0 for step in one.schedule.steps)

    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).refuses = refuses
        await charging(place)
        assert known(place) == {Feature.ZERO}
        floors = {one.schedule.floor_da for one in place.station(1).limits}
        assert floors == {60}
        place.report(1, phase=SessionPhase.ENDED)
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        await until(lambda: all(e.session is None for e in runner.state.evses.values()))
        evse = place.dispatch.evse(CP1, 1)
        assert evse is not None
        assert evse.bound_da >= 60  # reserved, whatever the configuration says


@pytest.mark.quirk(25)
async def test_a_station_that_wants_relative_schedules_gets_them(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).refuses = lambda one: one.relative_to is None
        await charging(place)
        assert known(place) == {Feature.ABSOLUTE}
        session = place.station(1).limits[-1]
        assert session.purpose is Purpose.SESSION
        assert session.elapsed_s == 0 or session.relative_to is not None


@pytest.mark.quirk(25)
async def test_two_troubles_at_once_are_both_found(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).refuses = lambda one: (
            one.unit is LimitUnit.A or one.purpose is Purpose.SESSION
        )
        await charging(place)
        assert known(place) == {Feature.AMPERE, Feature.SESSION}


@pytest.mark.quirk(25)
async def test_a_station_that_takes_nothing_is_left_alone_at_its_rating(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).refuses = lambda _: True
        place.boot(1)
        doubts = "SELECT doubt FROM station_trust"
        await until(lambda: place.rows(doubts) == [("refuses_limits",)], within_s=20)
        await until(lambda: evse_of(place).doubt == "refuses_limits")
        assert evse_of(place).bound_da == 320
        n_sent = len(place.station(1).log)
        place.report(1)
        place.boot(1)
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        await until(lambda: any(e.session for e in runner.state.evses.values()))
        await asyncio.sleep(0.3)
        assert place.station(1).log[n_sent:] == []


@pytest.mark.quirk(25)
async def test_a_refusal_of_the_moment_teaches_nothing(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        refused: list[SetLimit] = []

        def once(one: SetLimit) -> bool:
            if one.purpose is Purpose.SESSION and not refused:
                refused.append(one)
                return True
            return False

        place.station(1).refuses = once
        await charging(place)
        assert refused
        assert known(place) == frozenset()
