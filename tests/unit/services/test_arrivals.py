"""Past sessions become what is expected of each cabinet for the hours to come."""

from datetime import datetime, timedelta

import pytest

from gateway.domain.ids import EvseRef, StationId
from gateway.services.arrivals import Place, expected
from gateway.store.past_visits import PastVisit
from optimizer import CabinetProblem
from optimizer.parts import CabinetLimit
from tests.support.optimizer_problems import START, flat

MONDAY = datetime(2026, 5, 4, 17, 7, 30)  # noqa: DTZ001 - local time of the site
HERE = EvseRef(station_id=StationId("CP1"), evse_id=1)
PLACES = {HERE: Place(cabinets=("A", "sub"), n_phase=3)}
PROBLEM = CabinetProblem(
    group_id="A",
    start=START,
    step_s=900,
    n_step=12,
    cabinets=tuple(
        CabinetLimit(
            cabinet_id=name,
            parent=None if name == "A" else "A",
            limit_a=flat(12, 32.0),
            reserved_a=flat(12, 0.0),
        )
        for name in ("A", "sub", "other")
    ),
)


def evenings(n: int, *, ref: EvseRef = HERE) -> list[PastVisit]:
    """11.04 kWh over two hours from 18:00 on, on each of the ``n`` days before."""
    return [
        PastVisit(
            ref, MONDAY.replace(hour=18, minute=5) - timedelta(days=back), 7_200, 11_040
        )
        for back in range(1, n + 1)
    ]


def test_cars_of_past_evenings_are_expected_in_every_cabinet_above_them() -> None:
    found = expected(PROBLEM, evenings(14), PLACES, MONDAY)
    assert found is not None
    for name in ("A", "sub"):
        assert found[name][:4] == (0, 0, 0, 0)
        assert found[name][4:] == pytest.approx((8.0,) * 8)
    assert set(found["other"]) == {0}


def test_working_days_are_told_apart_from_weekends() -> None:
    weekend = [v for v in evenings(28) if v.started_at.weekday() >= 5]
    early = evenings(28)[-1:]
    found = expected(PROBLEM, weekend + early, PLACES, MONDAY)
    assert found is not None
    assert set(found["A"]) == {0}


def test_too_few_days_or_other_places_say_nothing() -> None:
    assert expected(PROBLEM, evenings(4), PLACES, MONDAY) is None
    elsewhere = EvseRef(station_id=StationId("CP9"), evse_id=1)
    assert expected(PROBLEM, evenings(28, ref=elsewhere), PLACES, MONDAY) is None
    assert expected(PROBLEM, [], PLACES, MONDAY) is None
