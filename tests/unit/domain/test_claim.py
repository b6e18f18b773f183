"""What a site can promise: who may disobey, how long, and what each EVSE surely has."""

from dataclasses import replace

import pytest

from gateway.domain import claim_text
from gateway.domain.claim import (
    TRIP_CURVE,
    at_once,
    bound_s,
    claim,
    disobedient,
    least_trip_s,
    shares,
)
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import (
    Battery,
    Cabinet,
    CurrentType,
    Evse,
    Load,
    Site,
    Station,
)

YARD = CabinetId("yard")


def site(
    n_station: int = 6,
    *,
    limit_a: int = 63,
    margin_a: int = 0,
    floor_a: int = 6,
    meter: str | None = "meter",
    phases: tuple[int, ...] = (0, 1, 2),
) -> Site:
    """A cabinet with stations of 32 A and a pump of 10 A."""
    return Site(
        cabinets=(
            Cabinet(
                id=YARD,
                limit_da=(limit_a * 10,) * 3,
                margin_da=margin_a * 10,
                feeder_meter=meter,
                feeder_stale_after_s=10,
            ),
        ),
        stations=tuple(
            Station(
                id=StationId(f"CP{n}"),
                cabinet_id=YARD,
                evses=(
                    Evse(
                        ref=EvseRef(station_id=StationId(f"CP{n}"), evse_id=1),
                        cabinet_id=YARD,
                        max_da=320,
                        floor_da=floor_a * 10,
                        phases=phases,
                    ),
                ),
            )
            for n in range(n_station)
        ),
        loads=(Load(id="pump", cabinet_id=YARD, worst_case_da=100),),
    )


@pytest.mark.parametrize(
    ("margin_a", "k"), [(0, 0), (25, 0), (26, 1), (51, 1), (52, 2), (156, 6)]
)
def test_the_margin_says_how_many_may_disobey_at_once(margin_a: int, k: int) -> None:
    place = site(margin_a=margin_a, limit_a=300, floor_a=6)
    assert disobedient(place.group(YARD), place.cabinets[0]) == k


def test_where_ratings_fit_everybody_may_disobey() -> None:
    place = site(2, limit_a=80)
    found = claim(place, place.cabinets[0], fast_loop_s=2)
    assert (found.k, found.needs_meter) == (2, False)


def test_a_limit_in_watts_is_covered_by_its_margin_in_total() -> None:
    place = site(6, margin_a=26)
    only_w = replace(place.cabinets[0], limit_da=None, limit_w=40_000)
    on_total = replace(place, cabinets=(only_w,))
    assert disobedient(on_total.group(YARD), only_w) == 1


def test_the_time_above_the_limit_is_bounded_by_meter_loop_and_reaction() -> None:
    yard = site().cabinets[0]
    assert bound_s(yard, fast_loop_s=2) == 2 * (10 + 2 + 30)
    assert bound_s(replace(yard, feeder_meter=None), fast_loop_s=2) is None


@pytest.mark.parametrize(
    ("overload", "hold_s"),
    [(0.5, 3600), (1.13, 3600), (1.14, 1), (1.45, 1), (2.55, 1), (2.9, 0.1), (3.1, 0)],
)
def test_a_breaker_surely_holds_as_long_as_the_standard_says(
    overload: float, hold_s: float
) -> None:
    assert least_trip_s(overload) == hold_s


def test_a_data_sheet_may_say_more_than_the_standard() -> None:
    curve = ((1.13, 3600.0), (1.45, 90.0), (2.55, 8.0))
    assert least_trip_s(1.4, curve) == 90
    assert [s for _, s in TRIP_CURVE] == sorted((s for _, s in TRIP_CURVE))[::-1]


def test_a_breaker_above_the_limit_covers_more_than_the_margin() -> None:
    place = site(6, margin_a=26)
    yard = replace(place.cabinets[0], breaker_da=800)
    found = claim(replace(place, cabinets=(yard,)), yard, fast_loop_s=2)
    # with two: 63 - 26 + 52 = 89 A are 1.11 x 80 A; with three 115 A are 1.44 x
    assert (found.k, found.covered) == (1, 2)
    assert found.overload == pytest.approx((6 * 32 + 10) / 80)


def test_everybody_has_the_floor_and_alike_of_what_is_left() -> None:
    found = shares(site(6, limit_a=63, margin_a=1))
    assert {one.floor_da for one in found} == {60}
    assert {one.share_da for one in found} == {
        80,
        90,
    }  # (63 - 1 - 10) / 6, in whole steps
    assert found[0].floor_w == 3 * 230 * 6


def test_an_unmanaged_station_keeps_its_rating() -> None:
    place = site(3, floor_a=0)
    wild = replace(place.stations[0], managed=False)
    one, two, three = shares(replace(place, stations=(wild, *place.stations[1:])))
    assert (one.share_da, one.is_managed) == (320, False)
    assert (two.share_da, three.share_da) == (110, 100)


def test_those_that_cannot_charge_at_once_take_turns() -> None:
    place = site(20, floor_a=0)
    assert at_once(place, place.cabinets[0]) == 8  # (63 - 10) / 6
    lines = "\n".join(claim_text.describe(place, fast_loop_s=2))
    assert "in turns" in lines
    texts = [one.text for one in claim_text.warnings(place, fast_loop_s=2)]
    assert any("8 of 20 EVSEs can charge at once" in text for text in texts)


def test_the_share_of_a_direct_current_station_is_what_it_delivers() -> None:
    place = site(1, limit_a=200)
    fast = replace(
        place.stations[0].evses[0],
        current_type=CurrentType.DC,
        max_da=920,
        max_w=50_000,
        efficiency=0.94,
        floor_da=0,
    )
    station = replace(place.stations[0], evses=(fast,))
    (one,) = shares(replace(place, stations=(station,)))
    assert one.share_w == int(fast.power_w(one.share_da)) <= 54_000
    assert one.floor_w == 0


def test_net_and_gross_are_said_and_generation_makes_no_room() -> None:
    place = site(6)
    yard = replace(
        place.cabinets[0], net_limit_da=(500, 500, 500), export_limit_da=(300,) * 3
    )
    battery = Battery(
        id="cell",
        cabinet_id=YARD,
        capacity_wh=1,
        max_charge_w=0,
        max_discharge_w=20_000,
    )
    net = replace(place, cabinets=(yard,), batteries=(battery,))
    assert yard.committed_da == (500, 500, 500)
    assert {one.share_da for one in shares(net)} == {60, 70}  # (50 - 10) / 6
    lines = "\n".join(claim_text.describe(net, fast_loop_s=2))
    assert "the supply gives 50/50/50 A" in lines
    assert "feeding in more than 30/30/30 A" in lines
    useless = replace(yard, net_limit_da=(630, 700, 630), feeder_meter=None)
    fields = {
        (one.field, one.text[:12])
        for one in claim_text.warnings(
            replace(place, cabinets=(useless,)), fast_loop_s=2
        )
    }
    assert ("net_limit_a", "is not below") in fields
    assert ("feeder_meter", "net and expo") in fields


def test_without_a_meter_nothing_bounds_the_time_above_the_limit() -> None:
    place = site(6, meter=None)
    lines = "\n".join(claim_text.describe(place, fast_loop_s=2))
    assert "nothing bounds the time above the limit" in lines
