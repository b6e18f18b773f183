"""What a main meter proves about the sessions below it, and what it never does."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.assets import Battery, Cabinet, Evse, Station
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.main_meter import (
    Fit,
    Register,
    fit,
    least_milliwh,
    main_meters,
    span_of,
)
from gateway.domain.topology import Site
from tests.support.journal import at

KWH = 1_000_000


def test_only_more_than_the_main_meter_counted_says_anything() -> None:
    span = span_of([(at(0), 0), (at(60), 10 * KWH)])
    assert span is not None
    assert fit(span, 0) is Fit.FITS
    assert fit(span, round(11.2 * KWH)) is Fit.FITS, "within what meters may be off"
    assert fit(span, 12 * KWH) is Fit.EXCEEDED
    assert fit(None, 12 * KWH) is Fit.UNKNOWN


@pytest.mark.parametrize(
    "registers", [[], [(at(0), 5)], [(at(0), 5), (at(5), 9), (at(9), 7)]]
)
def test_a_main_meter_that_falls_or_says_too_little_says_nothing(
    registers: list[Register],
) -> None:
    assert span_of(registers) is None


def test_a_session_counts_only_where_it_is_surely_within() -> None:
    span = span_of([(at(0), 0), (at(60), 10 * KWH)])
    assert span is not None
    told = [(at(minutes), minutes * KWH) for minutes in (0, 2, 30, 53, 58, 90)]
    assert least_milliwh(told, span) == 51 * KWH
    assert least_milliwh([(at(5), 9), (at(9), 2)], span) == 0
    assert least_milliwh([], span) == 0


MOMENTS = st.integers(0, 24 * 60)


@given(
    st.lists(st.tuples(MOMENTS, MOMENTS, st.integers(0, 22_000)), max_size=8),
    st.integers(0, 5_000),
    st.lists(MOMENTS, min_size=2, max_size=30, unique=True),
    st.floats(0.98, 1.02),
    st.integers(-60, 60),
    st.integers(0, 300),
)
def test_no_honest_site_is_ever_doubted(  # noqa: PLR0917 - what hypothesis draws
    drawn: list[tuple[int, int, int]],
    other_w: int,
    asked: list[int],
    error: float,
    clock_s: int,
    late_s: int,
) -> None:
    """Errors of both meters, clocks off by a minute, a register five minutes late."""

    def energy(one: tuple[int, int, int], minutes: float) -> float:
        begin, end = sorted(one[:2])
        inside = max(0.0, min(minutes, end) - begin)
        return one[2] * inside / 60 * 1000

    def main(minutes: float) -> int:
        seen = max(0.0, minutes - late_s / 60)
        total = sum(energy(one, seen) for one in drawn) + other_w * seen / 60 * 1000
        return round(total * (2 - error))

    span = span_of([(at(minutes), main(minutes)) for minutes in asked])
    assert span is not None
    skew = timedelta(seconds=clock_s)
    sessions = [
        [
            (at(minutes) + skew, round(energy(one, minutes) * error))
            for minutes in range(0, 24 * 60, 7)
        ]
        for one in drawn
    ]
    total = sum(least_milliwh(one, span) for one in sessions)
    assert fit(span, total) is not Fit.EXCEEDED


CABINET = Cabinet(id=CabinetId("A"), feeder_meter="feed", limit_w=50_000)
BELOW = Cabinet(id=CabinetId("B"), parent=CabinetId("A"), limit_w=20_000)


def site(**changes: object) -> Site:
    evse = Evse(
        ref=EvseRef(station_id=StationId("S"), evse_id=1),
        cabinet_id=BELOW.id,
        max_da=320,
    )
    stations = (
        Station(id=StationId("S"), cabinet_id=BELOW.id, evses=(evse,)),
        Station(id=StationId("M"), main_meter="feed"),
    )
    return replace(Site(cabinets=(CABINET, BELOW), stations=stations), **changes)  # type: ignore[arg-type]  # members of a site


def test_the_main_meters_above_an_evse_are_found() -> None:
    assert main_meters(site(), StationId("S"), 1) == (StationId("M"),)
    assert main_meters(site(), StationId("S"), 2) == ()
    assert main_meters(site(stations=()), StationId("S"), 1) == ()


def test_a_battery_below_a_main_meter_makes_it_say_nothing() -> None:
    battery = Battery(
        id="bat",
        cabinet_id=BELOW.id,
        capacity_wh=10_000,
        max_charge_w=5000,
        max_discharge_w=5000,
    )
    assert main_meters(site(batteries=(battery,)), StationId("S"), 1) == ()
