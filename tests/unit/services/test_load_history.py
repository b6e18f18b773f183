import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.bus import Bus, LoadMeasured
from gateway.clock import SystemClock
from gateway.domain.ids import CabinetId
from gateway.domain.load_hours import HourMean, expected, hour_of, learned
from gateway.domain.topology import Cabinet, Load, LoadSource, Site
from gateway.services import group_problem
from gateway.services.group_state import GroupState
from gateway.services.load_history import LoadHistory
from gateway.services.loads import LoadReading
from gateway.store.writer import Writer

MONDAY = datetime(2026, 1, 5, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROOT = CabinetId("A")
SITE = Site(
    cabinets=(Cabinet(id=ROOT, limit_da=(1000,) * 3),),
    loads=(
        Load(id="pump", cabinet_id=ROOT, worst_case_da=500, stale_after_s=600),
        Load(
            id="light",
            cabinet_id=ROOT,
            worst_case_da=100,
            source=LoadSource.PROFILE,
            profile_da=(50,) * 24,
        ),
    ),
)


def measured(at: datetime, current_a: float, load_id: str = "pump") -> LoadMeasured:
    return LoadMeasured(
        load_id=load_id, at=at, current_a=(current_a,) * 3, power_w=None
    )


def history(writer: Writer) -> LoadHistory:
    return LoadHistory(bus=Bus(), writer=writer, clock=SystemClock(), site=lambda: SITE)


def day(one: LoadHistory, begin: datetime) -> None:
    """A pump that runs from ten to twelve only."""
    for minute in range(0, 8 * 60, 5):
        at = begin + minute * MINUTE
        one.take(measured(at, 40.0 if 10 <= at.hour < 12 else 5.0))


def test_an_hour_follows_its_last_days_and_forgets_older_ones() -> None:
    known = None
    for _ in range(100):
        known = learned(known, (100, 100, 100), 360.0)
    for _ in range(60):
        known = learned(known, (300, 300, 300), 900.0)
    assert known is not None
    assert known.mean_da[0] > 290


def test_a_long_silence_counts_for_no_more_than_a_quarter_of_an_hour() -> None:
    known = learned(HourMean((100.0,) * 3, 3_600), (500, 500, 500), 80_000.0)
    assert known.mean_da[0] == 100 + 400 * 900 / 4_500


def test_what_is_measured_counts_first_and_what_is_usual_later() -> None:
    hours = {
        hour_of(MONDAY + timedelta(hours=n)): HourMean((400.0,) * 3, 7_200)
        for n in range(9)
    }
    found = [
        expected(
            hours,
            (100, 100, 100),
            ahead=n * 15 * MINUTE,
            local=MONDAY + n * 15 * MINUTE,
        )[0]
        for n in range(12)
    ]
    assert found[:3] == [100, 100, 100]
    assert found == sorted(found)
    assert found[8:] == [400] * 4


def test_an_hour_that_was_hardly_seen_says_nothing() -> None:
    hours = {hour_of(MONDAY): HourMean((400.0,) * 3, 900)}
    late = expected(hours, (100,) * 3, ahead=timedelta(hours=3), local=MONDAY)
    assert late == (100, 100, 100)


def test_saturdays_are_other_days() -> None:
    assert hour_of(MONDAY) == 8
    assert hour_of(MONDAY + timedelta(days=5)) == 32


async def test_a_pump_that_runs_before_noon_is_expected_then_and_known_after_a_restart(
    tmp_path: Path,
) -> None:
    writer = Writer(tmp_path / "store.db")
    writer.start(asyncio.get_running_loop())
    try:
        first = history(writer)
        day(first, MONDAY)
        first.take(measured(MONDAY, 99.0, load_id="light"))
        assert first.of("light") == {}, "it has a profile"
        await first.keep()
        second = history(writer)
        task = asyncio.get_running_loop().create_task(second.run())
        async with asyncio.timeout(5):
            while not second.of("pump"):  # noqa: ASYNC110 - it reads its rows
                await asyncio.sleep(0.01)
        task.cancel()
        assert second.of("pump").keys() == first.of("pump").keys()
    finally:
        writer.close()
    tuesday = MONDAY + timedelta(days=1)
    state = GroupState(SITE.group(ROOT), site=SITE, trusts={})
    state.readings["pump"] = LoadReading(
        load_id="pump", measured_at=tuesday, current_da=(50, 50, 50), power_w=None
    )
    asked = group_problem.build(
        state, tuesday, step_s=900, n_step=24, usual_load=second.of
    )
    taken = asked.problem.cabinets[0].reserved_a[0]
    light_a = 5.0
    assert taken[0] >= 50.0, "the first step counts the worst case of a stale reading"
    assert taken[10] - light_a > 35, "half past ten: the pump runs"
    assert taken[20] - light_a < 15, "one o'clock: it rests"
