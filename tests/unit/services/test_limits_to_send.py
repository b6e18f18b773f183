from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.envelope import HeldLimit, Progress, UnixS, unix_s
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.limits import LimitSchedule, LimitStep, LimitUnit, Purpose
from gateway.domain.topology import Cabinet, CurrentType, Evse, Group, Load, Station
from gateway.services import loads
from gateway.services.commissioning import composite_a
from gateway.services.loads import LoadReading, Threshold
from gateway.services.operator_calls import may_change_draw
from gateway.services.wishes import (
    Wish,
    holds_until,
    is_worth_sending,
    quantised,
    safe_default,
)

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
NOW_S = unix_s(NOW)
A = CabinetId("A")


def evse(**changes: object) -> Evse:
    given: dict[str, object] = {
        "ref": EvseRef(station_id=StationId("CP1"), evse_id=1),
        "cabinet_id": A,
        "max_da": 320,
        **changes,
    }
    return Evse(**given)  # type: ignore[arg-type]  # keywords of one dataclass


def wish(one: Evse, unit: LimitUnit = LimitUnit.A) -> Wish:
    return Wish(
        evse=one, unit=unit, levels=((0, 320),), hold_until_s=NOW_S + 1800, skew_s=0
    )


@pytest.mark.parametrize(
    ("room_da", "limit_da"), [(59, 0), (60, 60), (69, 60), (165, 160), (400, 320)]
)
def test_alternating_current_is_set_in_whole_ampere_from_six_up(
    room_da: int, limit_da: int
) -> None:
    assert quantised(wish(evse()), (room_da,) * 3 + (3 * room_da,)) == limit_da


def test_the_tightest_phase_and_the_total_decide() -> None:
    assert quantised(wish(evse()), (200, 90, 200, 600)) == 90
    assert quantised(wish(evse()), (200, 200, 200, 300)) == 100


def test_watts_leave_room_for_a_car_on_one_phase() -> None:
    limit_da = quantised(wish(evse(), LimitUnit.W), (150, 150, 150, 450))
    assert limit_da == 50  # times three phases on one of them: 15 A
    assert quantised(wish(evse(), LimitUnit.W), (320, 320, 320, 960)) == 320


def test_direct_current_is_limited_by_what_it_takes_from_the_grid() -> None:
    one = evse(
        current_type=CurrentType.DC,
        max_da=1000,
        max_w=50_000,
        efficiency=0.94,
        auxiliary_w=300,
    )
    limit_da = quantised(wish(one, LimitUnit.W), (400, 400, 400, 1200))
    sent_w = limit_da / 10 * 230 * 3
    assert one.input_da(sent_w) <= 400
    assert one.input_da(sent_w + 69) > 390  # and little is wasted


@pytest.mark.parametrize(
    ("room_da", "is_allowed"), [(20, False), (70, False), (85, True), (400, True)]
)
def test_direct_current_below_the_least_power_of_its_station_is_none(
    room_da: int, *, is_allowed: bool
) -> None:
    rated = evse(current_type=CurrentType.DC, max_da=1000, max_w=50_000)
    room = (room_da,) * 3 + (3 * room_da,)
    least = replace(rated, min_w=4_500, min_da=73)
    limit_da = quantised(wish(least, LimitUnit.W), room)
    assert (limit_da * 69 >= 4_500) == is_allowed == (limit_da > 0)
    same_at_the_grid = replace(rated, min_da=73)
    assert (quantised(wish(same_at_the_grid, LimitUnit.W), room) > 0) == is_allowed
    anything = replace(rated, min_da=0)
    assert quantised(wish(anything, LimitUnit.W), room) > 0


def test_a_safe_default_is_one_step_that_started_long_ago() -> None:
    station = Station(id=StationId("CP1"))
    schedule = safe_default(station, evse(floor_da=60), NOW)
    assert [(s.offset_s, s.limit_da) for s in schedule.steps] == [(0, 60)]
    assert schedule.start < NOW - timedelta(days=300)


def test_only_changes_retries_and_due_refreshes_are_worth_sending() -> None:
    def schedule(start: datetime, level_da: int = 160) -> LimitSchedule:
        return LimitSchedule(
            start=start,
            steps=(
                LimitStep(offset_s=0, limit_da=level_da),
                LimitStep(offset_s=1800, limit_da=0),
            ),
        )

    def last(progress: Progress) -> HeldLimit:
        return HeldLimit(
            sequence=1,
            purpose=Purpose.SESSION,
            schedule=schedule(NOW),
            progress=progress,
        )

    def worth(progress: Progress, after_s: int, level_da: int = 160) -> bool:
        now = NOW + timedelta(seconds=after_s)
        return is_worth_sending(
            last(progress), schedule(now, level_da), now, must_shed=False
        )

    assert not worth(Progress.ACCEPTED, 60)
    assert worth(Progress.SENT, 60)
    assert worth(Progress.ACCEPTED, 60, level_da=150)
    assert worth(Progress.ACCEPTED, 60, level_da=170)
    assert not worth(Progress.SEEN, 899)
    assert worth(Progress.SEEN, 901)
    assert holds_until(schedule(NOW), NOW) == NOW + timedelta(seconds=1800)


def group(load: Load, **limits: object) -> Group:
    cabinet = Cabinet(id=A, **limits)  # type: ignore[arg-type]  # keywords of one dataclass
    return Group(
        root=cabinet,
        cabinets=(cabinet,),
        stations=(),
        loads=(load,),
        pvs=(),
        batteries=(),
    )


PUMP = Load(id="pump", cabinet_id=A, worst_case_da=200, stale_after_s=300)


def room_at(reading: LoadReading | None, after_s: int, *extra: Threshold) -> int:
    found = loads.rooms(
        group(PUMP, limit_da=(630, 630, 630), margin_da=20),
        thresholds=extra,
        readings={} if reading is None else {"pump": reading},
        now=NOW,
        phase_v=230.0,
    )[A]
    value = found[0].draw
    for rung in found:
        if rung.at_s <= UnixS(NOW_S + after_s):
            value = rung.draw
    return value[0]


def test_a_fresh_reading_counts_with_margin_and_a_stale_one_at_its_worst() -> None:
    reading = LoadReading(
        load_id="pump",
        measured_at=NOW - timedelta(seconds=100),
        current_da=(100, 100, 100),
    )
    assert room_at(None, 0) == 630 - 20 - 200
    assert room_at(reading, 0) == 630 - 20 - 115
    assert room_at(reading, 199) == 630 - 20 - 115
    assert room_at(reading, 200) == 630 - 20 - 200


def test_equipment_on_one_phase_counts_nothing_on_the_others() -> None:
    lamp = Load(id="lamp", cabinet_id=A, phases=(1,), worst_case_da=50)

    def counted(current_da: tuple[int, int, int]) -> tuple[int, ...]:
        reading = LoadReading(load_id="lamp", measured_at=NOW, current_da=current_da)
        consumer = loads.Consumer.of(lamp)
        stairs = loads.load_staircase(consumer, reading, now=NOW, phase_v=230.0)
        return stairs[0].draw

    assert counted((0, 40, 0)) == (0, 52, 0, 52)
    assert counted((0, 0, 0)) == (0, 10, 0, 10)
    assert counted((20, 40, 0)) == (31, 52, 0, 83)  # whatever a meter shows counts


def test_generation_never_makes_room() -> None:
    reading = LoadReading(
        load_id="pump", measured_at=NOW, current_da=(-300, -300, -300)
    )
    assert room_at(reading, 0) == 630 - 20 - 10


def test_a_threshold_holds_for_its_time_and_never_exceeds_the_fuse() -> None:
    lower = Threshold(
        cabinet_id=A,
        set_at=NOW,
        limit_da=(400, 400, 400),
        from_at=NOW + timedelta(seconds=60),
        until_at=NOW + timedelta(seconds=120),
    )
    higher = Threshold(
        cabinet_id=A,
        set_at=NOW + timedelta(seconds=1),
        limit_da=(900, 900, 900),
        from_at=NOW + timedelta(seconds=300),
    )
    rooms = [room_at(None, s, lower, higher) for s in (0, 60, 119, 120, 300)]
    assert rooms == [410, 180, 180, 410, 410]


@pytest.mark.parametrize(
    ("action", "payload", "may"),
    [
        ("SetChargingProfile", {}, True),
        ("Reset", {"type": "Soft"}, True),
        ("RemoteStartTransaction", {"idTag": "x"}, False),
        ("RemoteStartTransaction", {"idTag": "x", "chargingProfile": {}}, True),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "5"}, False),
        ("ChangeConfiguration", {"key": "MaxCurrent", "value": "32"}, True),
        ("SetVariables", {"setVariableData": []}, True),
        (
            "SetVariables",
            {"setVariableData": [{"variable": {"name": "TxUpdatedInterval"}}]},
            False,
        ),
        ("TriggerMessage", {}, False),
        ("UnlockConnector", {}, False),
    ],
)
def test_calls_that_may_move_current_are_known(
    action: str, payload: dict[str, object], may: bool
) -> None:
    assert may_change_draw(action, payload) is may


def test_composite_schedules_of_both_versions_are_read() -> None:
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"limit": 6.0}, {"limit": 0}],
    }
    assert composite_a({"chargingSchedule": schedule}) == 6.0
    assert composite_a({"schedule": schedule}) == 6.0
    assert composite_a({"schedule": {**schedule, "chargingRateUnit": "W"}}) is None
    assert composite_a({}) is None
