"""Samples and times: exact where they make sense, silent where they do not."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.events import Deviation, Reading
from gateway.ocpp.readings import (
    decimal_of,
    reading,
    register_among,
    register_milliwh,
    timestamp,
    wire_time,
    with_totals,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
REGISTERS = st.decimals("0", "1000000000", places=4)


def read(
    value: Decimal,
    *,
    measurand: str | None = None,
    unit: str | None = None,
    multiplier: int | None = None,
    phase: str | None = None,
    context: str | None = None,
) -> tuple[Reading | None, list[Deviation]]:
    notes: list[Deviation] = []
    one = reading(
        value, NOW, measurand, unit, multiplier, phase, context, None, "$", notes
    )
    return one, notes


@given(REGISTERS)
def test_kilowatt_hours_and_watt_hours_are_the_same_register(value: Decimal) -> None:
    in_wh, _ = read(value * 1000, unit="Wh")
    in_kwh, _ = read(value, unit="kWh")
    by_multiplier, _ = read(value, unit="Wh", multiplier=3)
    assert in_wh is not None
    assert in_wh == in_kwh == by_multiplier
    assert in_wh.value == value * 1000


@given(st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("1E+999999"))
@example(Decimal("1E-999999"))
@example(Decimal("-0.001"))
def test_no_reading_is_out_of_bounds(value: Decimal) -> None:
    one, notes = read(value)
    assert (one is None) is bool(notes)
    if one is not None:
        assert 0 <= one.value <= 10**12
        assert len(f"{one.value:f}") < 60


@given(st.text(max_size=60))
@example("1_000")
@example("٣")
@example("NaN")
@example("-Infinity")
@example("1,234")
def test_what_is_no_number_is_none(text: str) -> None:
    number = decimal_of(text)
    if number is not None:
        assert number.is_finite()
        assert number == Decimal(text.strip().replace(",", "."))


def test_a_decimal_comma_is_read_where_it_cannot_part_thousands() -> None:
    assert decimal_of("12,5") == Decimal("12.5")
    assert decimal_of("1,234") is None
    assert decimal_of(" 1.6250000000000002 ") == Decimal("1.6250000000000002")


@given(st.permutations(["L1", "L2", "L3"]), st.lists(REGISTERS, min_size=3, max_size=3))
def test_phases_add_up_exactly_in_any_order(
    phases: list[str], values: list[Decimal]
) -> None:
    found = []
    for phase, value in zip(phases, values, strict=True):
        one, _ = read(value, phase=phase)
        assert one is not None
        found.append(one)
    *_, total = with_totals(found)
    assert total.provenance == "L1+L2+L3"
    assert (total.phase, total.value) == (None, sum(values))
    assert with_totals(found[:2])[2:] == [] or {one.phase for one in found[:2]} == {
        "L1",
        "L2",
    }


def test_currents_are_never_added_up() -> None:
    one, _ = read(Decimal(16), measurand="Current.Import", phase="L1")
    assert one is not None
    assert with_totals([one]) == [one]


def test_units_in_another_case_are_understood_and_noted() -> None:
    one, notes = read(Decimal("1.5"), unit="KWH")
    assert one is not None
    assert one.value == 1500
    assert [note.kind for note in notes] == ["unit_spelling"]


def test_temperatures_are_celsius() -> None:
    kelvin, _ = read(Decimal("293.15"), measurand="Temperature", unit="K")
    fahrenheit, _ = read(Decimal(68), measurand="Temperature", unit="Fahrenheit")
    assert kelvin is not None
    assert fahrenheit is not None
    assert kelvin.value == fahrenheit.value == 20


def test_the_marked_register_wins_over_its_neighbours() -> None:
    found = []
    for number, context in ((1, None), (2, "Transaction.Begin"), (9, None)):
        one, _ = read(Decimal(number), context=context)
        assert one is not None
        found.append(one)
    assert register_among(found, "Transaction.Begin") == 2000
    assert register_among(found, "Transaction.End") == 9000
    assert register_among([], "Transaction.End") is None
    power, _ = read(Decimal(1), measurand="Power.Active.Import")
    assert power is not None
    assert register_among([power], "Transaction.End") is None


@given(st.integers(-(2**70), 2**70) | REGISTERS)
def test_a_register_is_floored_or_refused(value: Decimal | int) -> None:
    notes: list[Deviation] = []
    milliwh = register_milliwh(value, "$", notes)
    assert (milliwh is None) is bool(notes)
    if milliwh is not None:
        assert 0 <= value * 1000 - milliwh < 1


MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2026, 11, 24))  # noqa: DTZ001 - zones are drawn apart
ZONES = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


@given(MOMENTS, ZONES)
def test_a_time_with_any_offset_is_the_same_moment(
    naive: datetime, zone: timezone
) -> None:
    moment = naive.replace(tzinfo=zone)
    notes: list[Deviation] = []
    read_back = timestamp(moment.isoformat(), NOW, "$", notes)
    assert read_back == moment
    assert read_back.utcoffset() == timedelta(0)
    assert notes == []
    assert timestamp(wire_time(moment), NOW, "$", notes) == moment.replace(
        microsecond=moment.microsecond // 1000 * 1000
    )


@given(st.text(max_size=40) | st.datetimes().map(lambda one: one.isoformat()))
@example("9999-12-31T23:59:59-14:00")
@example("0001-01-01T00:00:00+14:00")
@example("222222017-01-01T00:00:00Z")
@example("2026-00-01T00:00:00Z")
@example("1700000000")
def test_any_text_gives_a_believable_time(text: str) -> None:
    notes: list[Deviation] = []
    moment = timestamp(text, NOW, "$", notes)
    assert datetime(2000, 1, 1, tzinfo=UTC) <= moment <= NOW + timedelta(hours=48)
    assert (moment == NOW) or "timestamp_unusable" not in {one.kind for one in notes}


def test_small_oddities_of_times_are_understood_and_noted() -> None:
    for text in (" 2026-11-23T09:00:00Z", "2026-11-23t09:00:00z"):
        notes: list[Deviation] = []
        moment = timestamp(text, NOW, "$", notes)
        assert moment == datetime(2026, 11, 23, 9, tzinfo=UTC)
    leap: list[Deviation] = []
    assert timestamp("2016-12-31T23:59:60Z", NOW, "$", leap).second == 59
    assert [one.kind for one in leap] == ["timestamp_format"]
