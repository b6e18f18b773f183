import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.dispatch_parts import Request
from gateway.domain.ids import StationId
from tests.integration.dispatch.yard import EPOCH, Yard, site_of, until, yard

TRIGGER = "TriggerMessage"


async def crowded(place: Yard) -> None:
    """The first car has all; the second leaves sooner and needs the most of it."""
    for number in (1, 2):
        place.boot(number)
    await until(lambda: all(place.station(n).default is not None for n in (1, 2)))
    place.report(1, current_a=0.0)
    await until(lambda: place.limit_da(1) == 320)
    place.report(1, current_a=32.0)
    place.sessions.requests["s2"] = Request(
        energy_wh=50_000, departure_at=EPOCH + timedelta(hours=2)
    )
    place.report(2, current_a=0.0)
    await until(lambda: place.limit_da(1) == 200)


async def test_a_station_with_a_lower_limit_is_asked_what_it_draws_if_another_waits(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(2)) as place:
        await crowded(place)
        assert place.limit_da(2) == 200  # its share, as long as the first may draw 32 A
        await until(lambda: TRIGGER in place.station(1).log)
        place.report(1, current_a=20.0)
        await until(lambda: place.limit_da(2) == 320)
        assert TRIGGER not in place.station(2).log


@pytest.mark.parametrize("mood", ["dumb", "ok"])
async def test_a_station_is_not_asked_again_soon_and_less_if_it_does_not_answer(
    tmp_path: Path, mood: str
) -> None:
    async with yard(tmp_path, site_of(2), speed=300) as place:
        await crowded(place)
        place.station(1).mood = mood
        await until(lambda: TRIGGER in place.station(1).log)
        await asyncio.sleep(1.0)
        assert place.station(1).log.count(TRIGGER) == 1


async def test_nobody_is_asked_where_nobody_waits_for_room(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.boot(1)
        await until(lambda: place.station(1).default is not None)
        place.report(1, current_a=0.0)
        await until(lambda: place.limit_da(1) == 320)
        place.report(1, current_a=32.0)
        await place.dispatch.set_manual_limit(StationId("CP1"), 1, 100)
        await until(lambda: place.limit_da(1) == 100)
        await asyncio.sleep(0.7)
        assert TRIGGER not in place.station(1).log
