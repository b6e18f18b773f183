"""What counts in the totals of a site."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.services.site_totals import (
    charging,
    produced_w,
    supply_limit_w,
    supply_w,
)

NOW = datetime(2026, 1, 15, 20, 10, tzinfo=UTC)


def station(
    power_w: float | None,
    *,
    limit_w: float | None = 8_000.0,
    age_s: float = 10.0,
    online: bool = True,
    is_open: bool = True,
) -> dict[str, Any]:
    measured_at = (NOW - timedelta(seconds=age_s)).isoformat()
    evse = {
        "session_id": "s" if is_open else None,
        "power_w": power_w,
        "limit_w": limit_w,
        "measured_at": measured_at if is_open else None,
    }
    return {"online": online, "evses": [evse]}


def cabinet(**members: Any) -> dict[str, Any]:
    root = {"parent": None, "load_w": 20_000, "limit_a": None, "limit_w": None}
    return root | members


def test_the_power_of_an_offline_station_is_left_out_and_counted() -> None:
    totals = charging([station(7_000.0), station(11_000.0, online=False)], NOW)
    assert (totals.power_w, totals.allowed_w) == (7_000.0, 8_000.0)
    assert (totals.n_session, totals.n_left_out) == (2, 1)


def test_a_silent_meter_is_left_out_though_its_station_is_online() -> None:
    totals = charging([station(7_000.0), station(9_000.0, age_s=301)], NOW)
    assert (totals.power_w, totals.n_left_out) == (7_000.0, 1)


def test_a_free_evse_has_neither_power_nor_a_place_in_what_is_allowed() -> None:
    totals = charging([station(0.0, is_open=False)], NOW)
    assert (totals.power_w, totals.allowed_w) == (0.0, 0.0)
    assert (totals.n_session, totals.n_left_out) == (0, 0)


def test_what_is_allowed_is_unknown_while_one_session_has_no_limit() -> None:
    totals = charging([station(7_000.0), station(7_000.0, limit_w=None)], NOW)
    assert totals.allowed_w is None


@given(
    st.lists(st.tuples(st.floats(0, 22_000), st.floats(0, 900), st.booleans())),
)
def test_no_sum_holds_more_than_the_live_figures(
    found: list[tuple[float, float, bool]],
) -> None:
    totals = charging(
        [station(power, age_s=age, online=on) for power, age, on in found], NOW
    )
    live = [power for power, age, on in found if on and age < 299]
    most = [power for power, age, on in found if on and age < 301]
    assert sum(live) - 0.1 <= totals.power_w <= sum(most) + 0.1
    assert totals.n_session == len(found)


def test_the_supply_is_that_of_the_root_cabinets_alone() -> None:
    cabinets = [
        cabinet(limit_a=[125.0, 125.0, 125.0]),
        cabinet(parent="main", load_w=9_000, limit_a=[63.0, 63.0, 63.0]),
        cabinet(load_w=5_000, limit_w=10_000, limit_a=[63.0, 63.0, 63.0]),
    ]
    assert supply_w(cabinets) == 25_000
    assert supply_limit_w(cabinets, 230.0) == 125 * 3 * 230 + 10_000


def test_one_root_without_a_limit_leaves_the_supply_without_one() -> None:
    limited = cabinet(limit_w=10_000)
    assert supply_limit_w([limited, cabinet()], 230.0) is None
    assert supply_limit_w([], 230.0) is None
    assert supply_w([]) is None


def test_an_old_reading_of_the_sun_counts_no_more() -> None:
    fresh = {"at": (NOW - timedelta(minutes=4)).isoformat(), "power_w": 3_000.0}
    old = {"at": (NOW - timedelta(minutes=6)).isoformat(), "power_w": 9_000.0}
    five = timedelta(minutes=5)
    assert produced_w([(fresh, five), (old, five), (None, five)], NOW) == 3_000.0
    assert produced_w([(old, five)], NOW) is None
