from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.domain.ids import CabinetId
from gateway.domain.topology import Pv
from gateway.services.loads import LoadReading
from gateway.services.plan_pace import PlanPace
from gateway.services.pv_forecast import forecast_w, surplus_w

NOON = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)  # 12:30 in Berlin
BERLIN = ZoneInfo("Europe/Berlin")
DAY = tuple([0] * 6 + [1000, 2000, 4000, 6000, 8000, 9000, 9000, 8000, 6000])
PROFILE = DAY + tuple([4000, 2000, 1000] + [0] * 6)


def roof(profile_w: tuple[int, ...] = ()) -> Pv:
    return Pv(id="roof", cabinet_id=CabinetId("A"), peak_w=10_000, profile_w=profile_w)


def reading(power_w: float, at: datetime = NOON) -> LoadReading:
    return LoadReading(load_id="roof", measured_at=at, current_da=None, power_w=power_w)


def forecast(pv: Pv, told: LoadReading | None, *, n_step: int = 96) -> list[float]:
    return forecast_w(pv, told, now=NOON, zone=BERLIN, step_s=900, n_step=n_step)


def test_without_a_profile_what_is_measured_lasts_half_an_hour() -> None:
    assert forecast(roof(), reading(5_000), n_step=5) == [5_000, 5_000, 0, 0, 0]


def test_a_stale_reading_and_no_profile_promise_nothing() -> None:
    old = reading(5_000, NOON - timedelta(hours=1))
    assert forecast(roof(), old, n_step=3) == [0, 0, 0]
    assert forecast(roof(), None, n_step=3) == [0, 0, 0]


def test_a_profile_counts_by_local_hour() -> None:
    found = forecast(roof(PROFILE), None)
    assert found[0] == 9_000, "half past twelve in Berlin"
    assert found[48] == 0, "half past midnight"
    assert max(found) <= 10_000


def test_a_cloudy_noon_fades_into_the_usual_afternoon() -> None:
    clear, cloudy = forecast(roof(PROFILE), None), forecast(roof(PROFILE), reading(900))
    assert cloudy[0] == 900
    shares = [c / u for c, u in zip(cloudy[:16], clear[:16], strict=True)]
    assert shares == sorted(shares)
    assert shares[1] < 0.2
    assert cloudy[16:] == clear[16:]


def test_a_reading_above_the_peak_counts_as_the_peak() -> None:
    assert forecast(roof(PROFILE), reading(50_000))[0] == 10_000
    assert max(forecast(roof(PROFILE), reading(50_000))) == 10_000


def test_other_equipment_uses_the_sun_first() -> None:
    assert surplus_w([5_000, 1_000], [2_000, 2_000]) == [3_000, 0]


def test_the_first_occasion_is_planned_at_once_and_the_rest_together() -> None:
    pace = PlanPace(0.5)
    assert pace.left_s(100.0) == 0
    pace.begin(100.0)
    assert 0.3 < pace.left_s(100.1) < 0.5
    assert pace.left_s(100.6) == 0
