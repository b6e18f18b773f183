"""DC stations have a least power of their own: what is left is worth having."""

from dataclasses import replace
from pathlib import Path

from gateway.domain.topology import CurrentType, Site
from tests.integration.dispatch.yard import EPOCH, Yard, site_of, until, yard


def fast(limit_a: int, min_w: int | None = None) -> Site:
    """An AC station and a DC one of 20 kW behind so much, a margin of 1 A in it."""
    site = site_of(2, limit_a=limit_a)
    first, second = site.stations
    dc = replace(
        second.evses[0],
        current_type=CurrentType.DC,
        max_w=20_000,
        auxiliary_w=300,
        efficiency=0.94,
        min_da=0,
        min_w=min_w,
    )
    return replace(site, loads=(), stations=(first, replace(second, evses=(dc,))))


async def planned(place: Yard) -> None:
    for number in (1, 2):
        place.boot(number)
    await until(
        lambda: all(s.default is not None for s in place.links.stations.values()),
        within_s=20,
    )
    for number in (1, 2):
        place.report(number, current_a=0.0)


async def test_what_is_too_little_for_ac_charges_at_dc(tmp_path: Path) -> None:
    site = fast(5)
    async with yard(tmp_path, site) as place:
        await planned(place)
        await until(lambda: (place.limit_da(2) or 0) > 0, within_s=20)
        sent_w = (place.limit_da(2) or 0) * 69
        assert sent_w > 1_000
        evse = site.stations[1].evses[0]
        assert evse.input_da(sent_w) <= 40, "5 A without the margin"
        assert place.limit_da(1) == 0
        assert place.clock.now() > EPOCH


async def test_less_than_its_least_power_is_not_told(tmp_path: Path) -> None:
    async with yard(tmp_path, fast(5, min_w=5_000)) as place:
        await planned(place)
        await until(lambda: len(place.solver.problems[-1].sessions) == 2, within_s=20)
        told = [s.schedule.steps for s in place.station(2).limits]
        assert all(step.limit_da == 0 for steps in told for step in steps)
