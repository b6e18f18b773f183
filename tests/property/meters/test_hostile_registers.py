"""Whatever registers and messages hold: a reading that can be, or one clear refusal."""

import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.meters import (
    MqttTable,
    NumberType,
    Quantity,
    RegisterTable,
    WordOrder,
)
from gateway.errors import DeviceError
from gateway.meters import messages, modbus, sunspec
from gateway.meters.port import MAX_A, MAX_W, Measured, checked

WORDS = st.lists(st.integers(0, 0xFFFF), max_size=160)
PATHS = ("p", "a.b", "a[0]", "a[0].b")


def is_sound(found: Measured) -> bool:
    values = [*found.current_a, found.power_w, found.energy_wh, found.soc_percent]
    told = [one for one in values if one is not None]
    return all(math.isfinite(one) for one in told) and (
        abs(found.power_w or 0) <= MAX_W
        and all(abs(a) <= MAX_A for a in found.current_a)
    )


@given(st.sampled_from(sorted(sunspec.MEASURING)), WORDS)
def test_any_registers_of_a_meter_are_sound_or_refused(
    model: int, words: list[int]
) -> None:
    block = sunspec.Block(model=model, address=0, length=max(0, len(words) - 2))
    try:
        found = checked(sunspec.measured(block, words), nominal_v=230)
    except DeviceError:
        return
    assert is_sound(found)


@given(st.sampled_from(sorted(sunspec.STORED_SPANS)), WORDS)
def test_any_registers_of_a_battery_are_numbers_or_refused(
    model: int, words: list[int]
) -> None:
    block = sunspec.Block(model=model, address=0, length=max(0, len(words) - 2))
    try:
        energy_wh, soc = sunspec.stored(block, words)
    except DeviceError:
        return
    for value in (energy_wh, soc):
        assert value is None or math.isfinite(value)


@given(
    st.sampled_from(NumberType),
    st.sampled_from(WordOrder),
    st.floats(-1e6, 1e6).filter(bool),
    st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
)
def test_any_listed_register_is_a_number_or_refused(
    kind: NumberType, order: WordOrder, scale: float, words: list[int]
) -> None:
    register = RegisterTable(
        quantity=Quantity.POWER_W,
        address=0,
        type=kind,
        word_order=order,
        scale=scale,
    )
    try:
        found = modbus.number(words[: kind.n_register], register)
    except DeviceError:
        is_refused = True
    else:
        is_refused = False
        assert math.isfinite(found)
    assert not is_refused or kind in {NumberType.FLOAT32, NumberType.FLOAT64}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["p", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=200), JSON.map(msgspec.json.encode)))
@example(b"1" * 400)
@example(b"-1e400")
@pytest.mark.parametrize("path", [None, *PATHS])
def test_any_message_is_a_number_or_refused(path: str | None, payload: bytes) -> None:
    table = MqttTable(host="broker", topic="m", power_path=path)
    try:
        found = messages.measured(payload, table, is_retained=False)
    except DeviceError:
        return
    assert found.power_w is not None
    assert math.isfinite(found.power_w)


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=40)))
@example("2026-01-01T00:00:00+23:59")
@example("0001-01-01T00:00:00+14:00")
@example(253402300799)
@example(32503680000000)
def test_any_time_is_one_or_refused(value: float | str) -> None:
    table = MqttTable(host="broker", topic="m", power_path="p", time_path="t")
    payload = msgspec.json.encode({"p": 1, "t": value})
    try:
        found = messages.measured(payload, table, is_retained=True)
    except DeviceError:
        return
    assert found.at is not None
    assert found.at.tzinfo is not None
