"""What stations report of limits that they took."""

import asyncio
from pathlib import Path

import pytest

from gateway.domain.capability import Feature
from gateway.domain.ids import StationId
from gateway.domain.limits import LimitUnit
from gateway.ocpp.limit_words import composite_periods
from gateway.services import read_back
from gateway.services.churn import Churn
from tests.integration.dispatch.yard import site_of, until, yard

CP1 = StationId("CP1")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "AGAIN_S", 0.05)


@pytest.mark.quirk(25)
@pytest.mark.use_case("K08")
async def test_limits_are_read_back_once_for_each_kind_and_then_sampled(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.boot(1)
        await until(lambda: place.station(1).asked == 1)  # its default
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        await until(lambda: place.station(1).asked == 2)  # the first of a session
        for limit_da in range(310, 250, -10):
            await place.dispatch.set_manual_limit(CP1, 1, limit_da)
            await until(lambda da=limit_da: place.limit_da(1) == da)
        assert place.station(1).asked == 2
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        known = runner.state.stations[CP1].capability
        assert Feature.COMPOSITE in known.accepted
        evse = place.dispatch.evse(CP1, 1)
        assert evse is not None
        assert evse.is_proven


@pytest.mark.quirk(25)
async def test_a_station_that_reports_more_than_it_was_told_counts_at_its_rating(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).reports_da = 100
        place.boot(1)
        doubts = "SELECT doubt FROM station_trust"
        await until(lambda: place.rows(doubts) == [("false_schedule",)])

        def counts_full() -> bool:
            evse = place.dispatch.evse(CP1, 1)
            return evse is not None and (evse.is_proven, evse.bound_da) == (False, 320)

        await until(counts_full)


async def test_a_station_that_reports_less_is_believed(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        place.station(1).reports_da = 0
        place.boot(1)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        await until(lambda: place.station(1).asked == 2)
        await asyncio.sleep(0.1)
        evse = place.dispatch.evse(CP1, 1)
        assert evse is not None
        assert evse.is_proven


def test_composite_schedules_of_both_versions_are_read() -> None:
    periods = [{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": 6.5}, 7]
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    expected = (LimitUnit.A, ((0, 16.0), (60, 6.5)))
    assert composite_periods({"chargingSchedule": schedule}) == expected
    assert composite_periods({"schedule": schedule}) == expected
    assert composite_periods({"status": "Accepted"}) is None
    hostile = [
        {"startPeriod": 10**30, "limit": 1},
        {"startPeriod": 0, "limit": float("nan")},
        {"startPeriod": 0, "limit": "16"},
        {"startPeriod": -1, "limit": 16},
    ]
    assert (
        composite_periods({"schedule": {**schedule, "chargingSchedulePeriod": hostile}})
        is None
    )
    assert composite_periods({"schedule": {"chargingSchedulePeriod": periods}}) is None


async def test_churn_is_counted_by_evse_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    began_s, now_s = loop.time(), [0.0]
    monkeypatch.setattr(loop, "time", lambda: began_s + now_s[0])
    churn = Churn(lambda: {CP1: 2, StationId("CP2"): 2})
    for _ in range(6):
        churn.sent(CP1)
    churn.sent(StationId("CP2"))
    churn.refused()
    values = {name: value for name, (_, value) in churn.gauges().items()}
    assert values == {
        "limits_sent": 7,
        "limits_refused": 1,
        "limits_per_evse_hour": 7 / 4,
        "limits_per_evse_hour_max": 3,
    }
    now_s[0] = 3661.0
    assert churn.gauges()["limits_per_evse_hour"][1] == 0
    assert churn.gauges()["limits_sent"][1] == 7
