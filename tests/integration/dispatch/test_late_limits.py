"""Limits that stations answer after their call was given up."""

from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.limits import Purpose
from tests.integration.dispatch.test_dispatch import settled, trust_rows
from tests.integration.dispatch.yard import (
    Yard,
    sampled_until,
    site_of,
    until,
    yard,
)

CP1 = StationId("CP1")


def bound_da(place: Yard) -> int:
    """What the first station's EVSE may draw at most."""
    evse = place.dispatch.evse(CP1, 1)
    assert evse is not None
    return evse.bound_da


def outcomes(place: Yard) -> list[object]:
    rows = place.rows("SELECT outcome FROM limit_command ORDER BY command_id")
    return [outcome for (outcome,) in rows]


async def unanswered(place: Yard, mood: str) -> None:
    """A car at 32 A whose station does not answer the reduction to 6 A in time."""
    await settled(place, n_station=1)
    place.report(1)
    await until(lambda: place.limit_da(1) == 320)
    place.report(1, current_a=6.0)
    place.station(1).mood = mood
    await place.dispatch.set_manual_limit(CP1, 1, 60)
    await until(lambda: place.station(1).late)
    await until(lambda: outcomes(place)[-1] == "unknown")
    assert bound_da(place) == 320


@pytest.mark.quirk(12)
async def test_a_limit_accepted_late_is_the_stations_limit(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await unanswered(place, "late")
        place.station(1).mood = "deaf"  # nothing but the late answer can settle it
        place.station(1).late.pop()()
        await until(lambda: outcomes(place)[-1] == "accepted")
        await sampled_until(place, 1, 6.0, lambda: bound_da(place) == 60)


@pytest.mark.quirk(12)
async def test_a_limit_refused_late_leaves_the_old_one_alone(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await settled(place, n_station=1)
        place.station(1).mood = "late_no"
        place.report(1)
        await until(lambda: place.station(1).late)
        await until(lambda: bound_da(place) > 0)  # it may have taken it
        place.station(1).mood = "deaf"
        place.station(1).late.pop()()
        await until(lambda: bound_da(place) == 0)
        await until(lambda: outcomes(place)[-1] == "refused")


@pytest.mark.quirk(12)
async def test_an_answer_to_a_limit_that_has_a_successor_frees_nothing(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), speed=300.0) as place:
        await unanswered(place, "late")
        place.station(1).mood = "ok"
        place.drop(1)  # it comes back: what it was sent is sent again
        place.links._set_online(CP1, online=True)
        await place.dispatch.set_manual_limit(CP1, 1, 100)
        await until(lambda: place.limit_da(1) == 100, within_s=40)
        await sampled_until(place, 1, 6.0, lambda: bound_da(place) == 100)
        sent = place.station(1).log.count("SetChargingProfile")
        place.station(1).late.pop()()
        await until(lambda: place.station(1).log.count("SetChargingProfile") > sent)
        assert place.limit_da(1) == 100


@pytest.mark.quirk(12)
async def test_a_station_that_accepts_its_floor_late_is_set_up(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        station = place.station(1)
        station.mood = "late"
        place.boot(1)
        await until(lambda: station.late)
        await until(lambda: outcomes(place) == ["unknown"])
        station.mood = "ok"
        station.late.pop()()
        await until(lambda: outcomes(place) == ["accepted"])
        await until(lambda: trust_rows(place) == [(1, 1)])
        assert [one.purpose for one in station.limits] == [Purpose.DEFAULT]
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)


@pytest.mark.quirk(12)
async def test_a_floor_that_a_slow_clearing_took_along_is_set_again(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        station = place.station(1)
        station.mood = "slow_clear"
        station.leftovers = True
        place.boot(1)
        await until(lambda: station.late)
        await until(lambda: station.log.count("SetChargingProfile") == 2)
        await settled_calls(place)
        assert trust_rows(place) in ([], [(0, 0)])  # what it holds is not known
        station.late.pop()()
        assert (station.default, station.leftovers) == (None, False)
        await until(lambda: trust_rows(place) == [(0, 1)])
        assert station.log.count("SetChargingProfile") == 3
        assert station.log.count("ClearChargingProfile") == 2  # and not once more
        assert station.limits[-1].purpose is Purpose.DEFAULT


async def settled_calls(place: Yard) -> None:
    """Until no limit waits for its answer."""
    open_rows = "SELECT count(*) FROM limit_command WHERE outcome = 'sent'"
    await until(lambda: place.rows(open_rows) == [(0,)])
