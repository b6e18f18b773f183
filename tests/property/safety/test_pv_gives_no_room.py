"""A metered PV inverter behind a cabinet: whatever it delivers, cars get no more.

Physical cars and the real dispatch. The cabinet's limit is gross: what cars and other
equipment draw, whoever delivers it.
"""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from benchmarks.dispatch_days import site_of, visits
from benchmarks.dispatch_setting import Setting, Trouble
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_world import World
from gateway.domain import envelope as env
from gateway.domain.envelope import Draw
from gateway.domain.ids import CabinetId
from gateway.domain.topology import Cabinet, Pv
from gateway.services import loads
from gateway.services.loads import Threshold

HOURS = 2.0
SUN_W = 20_000.0


def sunny(sun_w: float) -> Setting:
    """Six stations of 32 A behind 50 A, other equipment, an inverter, floors of 6 A."""
    site = site_of(6, limit_a=50, load_a=8, floor_a=6)
    pv = Pv(id="roof", cabinet_id=CabinetId("A"), peak_w=30_000)
    return Setting(
        site=replace(site, pvs=(pv,)),
        visits=visits(6, hours=HOURS, seed=4),
        troubles=[
            Trouble(at_s=600.0 * n, kind="load", value=2.0 + n % 5) for n in range(12)
        ],
        hours=HOURS,
        step_s=10.0,
        sun_w=[sun_w] * 8,
    )


def run(sun_w: float) -> tuple[World, Tally]:
    world = World(sunny(sun_w))
    return world, world.run()


def test_sun_changes_no_limit_and_no_second_is_above_one() -> None:
    world, bright = run(SUN_W)
    _, dark = run(0.0)
    assert world.dispatch is not None
    (runner,) = world.dispatch.runners().values()
    reading = runner.state.readings["roof"]
    assert reading.power_w == SUN_W  # it was heard of
    assert bright.above_s == 0
    assert bright.delivered_wh == dark.delivered_wh
    assert bright.sent == dark.sent


def test_counted_as_room_it_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = loads.limit_draw
    more = env.with_total((round(SUN_W / 3 / 230 * 10),) * 3)

    def generous(
        cabinet: Cabinet, thresholds: Iterable[Threshold], *, at_s: int, phase_v: float
    ) -> Draw:
        limit = plain(cabinet, thresholds, at_s=at_s, phase_v=phase_v)
        return env.add(limit, more)

    monkeypatch.setattr(loads, "limit_draw", generous)
    _, tally = run(SUN_W)
    assert tally.above_s > 0
