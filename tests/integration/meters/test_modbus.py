"""Meters, inverters and batteries against pymodbus's own TCP server."""

import asyncio
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.constants import ExcCodes

from gateway.config.meters import (
    ChargeSign,
    ModbusTable,
    NumberType,
    Quantity,
    RegisterKind,
    RegisterMap,
    RegisterTable,
    SetpointTable,
    WordOrder,
)
from gateway.errors import DeviceError
from gateway.meters import modbus
from gateway.meters.line import Lines
from gateway.meters.port import Device, checked
from tests.support.modbus_server import (
    END,
    MARKER,
    MISSING,
    MISSING_UINT,
    Unit,
    block,
    inverter_103,
    meter_203,
    modbus_server,
    sunspec,
    word,
)

TIMEOUT_S = 0.5


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines()
    yield found
    found.close()


def made(lines: Lines, port: int, *, is_inverter: bool = False, **more: Any) -> Device:
    table = ModbusTable(host="127.0.0.1", port=port, timeout_s=TIMEOUT_S, **more)
    return modbus.device(
        table, lines.to("127.0.0.1", port), is_inverter=is_inverter, max_w=5_000
    )


def float_words(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


async def test_a_three_phase_meter_is_found_and_read_with_its_scale_factors(
    lines: Lines,
) -> None:
    meter = meter_203(amps=(1234, 800, 0), watts=(2800, -1800, 0))
    async with modbus_server({1: Unit(sunspec(meter))}) as server:
        found = await made(lines, server.port).read()
    assert [round(a, 9) for a in found.current_a] == [12.34, -8.0, 0.0]
    assert found.power_w == 1000
    assert set(found.volts) == {230.0}
    assert checked(found, nominal_v=230) == found


async def test_a_float_meter_at_another_base_address_is_read(lines: Lines) -> None:
    words = [213, 124] + [0] * 124
    for place, value in ((4, 10.5), (6, 9.25), (8, 8.0), (28, 6300.0)):
        words[place : place + 2] = float_words(value)
    words[30:32] = float_words(float("nan"))
    unit = Unit([*MARKER, *block(1, 66, {}), *words, *END], base=0)
    async with modbus_server({1: unit}) as server:
        found = await made(lines, server.port).read()
    assert found.current_a == (10.5, 9.25, 8.0)
    assert found.power_w == 6300.0


async def test_what_an_inverter_delivers_is_below_zero_as_import(lines: Lines) -> None:
    unit = Unit(sunspec(inverter_103(amps=100, watts=6900)))
    async with modbus_server({1: unit}) as server:
        found = await made(lines, server.port, is_inverter=True).read()
    assert found.power_w == -6900
    assert found.current_a == (-10.0, -10.0, -10.0)


async def test_an_inverter_is_preferred_for_pv_and_a_meter_for_a_feeder(
    lines: Lines,
) -> None:
    meter = meter_203(amps=(100, 100, 100), watts=(200, 200, 200))
    unit = Unit(sunspec(meter, inverter_103(amps=10, watts=690)))
    async with modbus_server({1: unit}) as server:
        feeder = await made(lines, server.port).read()
        pv = await made(lines, server.port, is_inverter=True).read()
        asked = await made(lines, server.port, is_inverter=True, model=203).read()
    assert (feeder.power_w, pv.power_w, asked.power_w) == (600, -690, 600)


async def test_values_that_are_not_implemented_are_nothing_and_not_a_number(
    lines: Lines,
) -> None:
    meter = meter_203(amps=(100, 100, 100), watts=(200, 200, 200))
    meter[4] = MISSING
    unit = Unit(sunspec(meter))
    async with modbus_server({1: unit}) as server:
        device = made(lines, server.port)
        found = await device.read()
        assert found.current_a == ()
        assert found.power_w == 600
        unit.registers[2 + 68 + 18] = MISSING
        with pytest.raises(DeviceError, match="neither power nor current"):
            checked(await device.read(), nominal_v=230)


async def test_an_impossible_scale_factor_is_refused_by_name(lines: Lines) -> None:
    meter = meter_203(amps=(1, 1, 1), watts=(1, 1, 1), amps_scale=77)
    async with modbus_server({1: Unit(sunspec(meter))}) as server:
        with pytest.raises(DeviceError, match="model 203: its scale factor 77"):
            await made(lines, server.port).read()


async def test_a_scale_that_is_ten_times_off_does_not_go_with_power(
    lines: Lines,
) -> None:
    meter = meter_203(amps=(1000, 1000, 1000), watts=(2300, 2300, 2300), amps_scale=-3)
    async with modbus_server({1: Unit(sunspec(meter))}) as server:
        found = await made(lines, server.port).read()
    with pytest.raises(DeviceError, match="a scale is wrong"):
        checked(found, nominal_v=230)


async def test_a_list_of_models_without_end_is_refused(lines: Lines) -> None:
    endless = [*MARKER, *([64_001, 0] * 100)]
    async with modbus_server({1: Unit(endless)}) as server:
        with pytest.raises(DeviceError, match="has no end"):
            await made(lines, server.port).read()


async def test_a_device_that_speaks_no_sunspec_says_so(lines: Lines) -> None:
    async with modbus_server({1: Unit([1, 2, 3, 4] * 10)}) as server:
        with pytest.raises(DeviceError, match="not speak SunSpec"):
            await made(lines, server.port).read()


async def test_a_slow_device_costs_its_own_reading_and_not_its_neighbours(
    lines: Lines,
) -> None:
    meter = sunspec(meter_203(amps=(100, 100, 100), watts=(200, 200, 200)))
    units = {1: Unit([*meter]), 2: Unit([*meter])}
    async with modbus_server(units) as server:
        slow = made(lines, server.port, unit_id=1)
        quick = made(lines, server.port, unit_id=2)
        await slow.read()
        await quick.read()
        assert server.connections.count(True) == 1, "they share a connection"
        units[1].delay_s = 3 * TIMEOUT_S
        async with asyncio.TaskGroup() as tasks:
            late = tasks.create_task(_trouble(slow))
            found = tasks.create_task(quick.read())
        assert "does not answer within" in late.result()
        assert found.result().power_w == 600
        units[1].delay_s = 0.0
        units[1].registers[2 + 68 + 18] = 900
        assert (await slow.read()).power_w == 900, "no late answer is taken for it"


async def _trouble(device: Device) -> str:
    with pytest.raises(DeviceError) as caught:
        await device.read()
    return str(caught.value)


async def test_a_device_that_comes_back_is_read_again(lines: Lines) -> None:
    meter = sunspec(meter_203(amps=(100, 100, 100), watts=(200, 200, 200)))
    async with modbus_server({1: Unit([*meter])}) as server:
        device = made(lines, server.port)
        await device.read()
    assert "127.0.0.1" in await _trouble(device)
    async with modbus_server({1: Unit([*meter])}, port=server.port):
        assert (await device.read()).power_w == 600


async def test_a_refusal_is_told_in_words(lines: Lines) -> None:
    unit = Unit(sunspec(meter_203(amps=(1, 1, 1), watts=(1, 1, 1))))
    async with modbus_server({1: unit}) as server:
        device = made(lines, server.port)
        await device.read()
        unit.refusal = ExcCodes.DEVICE_BUSY
        with pytest.raises(DeviceError, match="it is busy"):
            await device.read()


async def test_a_block_that_moved_is_looked_for_again(lines: Lines) -> None:
    meter = meter_203(amps=(100, 100, 100), watts=(200, 200, 200))
    unit = Unit([*sunspec(inverter_103(amps=1, watts=10), meter)])
    async with modbus_server({1: unit}) as server:
        device = made(lines, server.port)
        assert (await device.read()).power_w == 600
        unit.registers[:] = sunspec(meter, inverter_103(amps=1, watts=10))
        with pytest.raises(DeviceError, match="not where it was"):
            await device.read()
        assert (await device.read()).power_w == 600


async def test_a_list_of_registers_is_read_with_word_order_scale_and_sign(
    lines: Lines,
) -> None:
    unit = Unit([word(-125), 0x5678, 0x0001, *float_words(7.5), 500], base=100)
    registers = (
        RegisterTable(quantity=Quantity.CURRENT_L1_A, address=100, scale=0.1),
        RegisterTable(
            quantity=Quantity.ENERGY_WH,
            address=101,
            type=NumberType.UINT32,
            word_order=WordOrder.LITTLE,
        ),
        RegisterTable(
            quantity=Quantity.POWER_W,
            address=103,
            type=NumberType.FLOAT32,
            kind=RegisterKind.INPUT,
            scale=1000,
        ),
        RegisterTable(
            quantity=Quantity.SOC_PERCENT,
            address=105,
            type=NumberType.UINT16,
            scale=0.1,
        ),
    )
    async with modbus_server({1: unit}) as server:
        found = await made(
            lines,
            server.port,
            map=RegisterMap.REGISTERS,
            register=registers,
            invert=True,
        ).read()
    assert found.current_a == (12.5,)
    assert found.power_w == -7500
    assert found.energy_wh == 0x0001_5678
    assert found.soc_percent == 50


async def test_a_float_register_that_is_no_number_is_refused(lines: Lines) -> None:
    unit = Unit(float_words(float("nan")), base=0)
    register = RegisterTable(
        quantity=Quantity.POWER_W, address=0, type=NumberType.FLOAT32
    )
    async with modbus_server({1: unit}) as server:
        device = made(
            lines, server.port, map=RegisterMap.REGISTERS, register=(register,)
        )
        with pytest.raises(DeviceError, match="power_w is no number"):
            await device.read()


async def test_a_battery_is_told_its_power_by_model_704(lines: Lines) -> None:
    control = block(704, 65, {55: 1})
    capacity = block(713, 7, {2: 2000, 3: 1300, 4: 655, 5: 1000, 7: 1, 8: -1})
    unit = Unit(sunspec(inverter_103(amps=10, watts=-690), capacity, control))
    start = 40_000 + 2 + 68 + 52 + 9
    async with modbus_server({1: unit}) as server:
        device = made(lines, server.port, is_inverter=True)
        found = await device.read()
        assert (found.power_w, found.energy_wh, found.soc_percent) == (690, 13000, 65.5)
        await device.set_power_w(2_500)
    charge = struct.unpack(">HH", struct.pack(">i", -250))
    assert unit.written == [
        (start + 24, [*charge, 0, 0]),
        (start + 30, [1, 0, modbus.REVERT_S]),
        (start + 22, [1, 1]),
    ]


@pytest.mark.parametrize(
    ("power_w", "rates"),
    [(2_000, [-4000, 4000]), (-1_000, [2000, -2000]), (0, [0, 0])],
)
async def test_a_battery_is_told_its_power_by_model_124(
    lines: Lines, power_w: int, rates: list[int]
) -> None:
    control = block(124, 24, {2: 50, 8: 5000, 18: 2, 22: -2, 25: -2})
    unit = Unit(sunspec(inverter_103(amps=0, watts=0), control))
    async with modbus_server({1: unit}) as server:
        device = made(lines, server.port, is_inverter=True)
        assert (await device.read()).soc_percent == 50
        await device.set_power_w(power_w)
    start = 40_000 + 2 + 68 + 52
    assert unit.written == [
        (start + 12, [*(word(rate) for rate in rates), 0, modbus.REVERT_S]),
        (start + 5, [3]),
    ]


async def test_the_energy_of_a_battery_bank_comes_from_its_rating_and_charge(
    lines: Lines,
) -> None:
    bank = block(802, 62, {3: 100, 11: 40, 53: 2, 56: 0})
    unit = Unit(sunspec(inverter_103(amps=0, watts=0), bank))
    async with modbus_server({1: unit}) as server:
        found = await made(lines, server.port, is_inverter=True).read()
        assert (found.energy_wh, found.soc_percent) == (4000, 40)
        unit.registers[2 + 68 + 52 + 11] = MISSING_UINT
        found = await made(lines, server.port, is_inverter=True).read()
    assert (found.energy_wh, found.soc_percent) == (None, None)


async def test_a_setpoint_register_takes_the_power_with_its_sign_and_scale(
    lines: Lines,
) -> None:
    unit = Unit([0] * 10, base=0)
    setpoint = SetpointTable(
        address=4,
        type=NumberType.INT32,
        word_order=WordOrder.LITTLE,
        scale=10,
        charging=ChargeSign.NEGATIVE,
    )
    register = RegisterTable(quantity=Quantity.POWER_W, address=0)
    async with modbus_server({1: unit}) as server:
        device = made(
            lines,
            server.port,
            map=RegisterMap.REGISTERS,
            register=(register,),
            setpoint=setpoint,
        )
        await device.set_power_w(5_000)
    high, low = struct.unpack(">HH", struct.pack(">i", -500))
    assert unit.written == [(4, [low, high])]


async def test_what_is_no_battery_cannot_be_told_power(lines: Lines) -> None:
    unit = Unit(sunspec(inverter_103(amps=0, watts=0)))
    async with modbus_server({1: unit}) as server:
        with pytest.raises(DeviceError, match="neither model 704 nor 124"):
            await made(lines, server.port).set_power_w(100)
