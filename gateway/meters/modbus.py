"""Meters, inverters and batteries by Modbus TCP: SunSpec, or a table of registers."""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.config.meters import (
    CURRENTS,
    ChargeSign,
    ModbusTable,
    NumberType,
    Quantity,
    RegisterMap,
    RegisterTable,
    SetpointTable,
    WordOrder,
)
from gateway.errors import DeviceError
from gateway.meters import sunspec
from gateway.meters.line import Line, RefusedError
from gateway.meters.port import Device, Measured

_FORMATS: Final = {
    NumberType.INT16: ">h",
    NumberType.UINT16: ">H",
    NumberType.INT32: ">i",
    NumberType.UINT32: ">I",
    NumberType.INT64: ">q",
    NumberType.UINT64: ">Q",
    NumberType.FLOAT32: ">f",
    NumberType.FLOAT64: ">d",
}
_FLOATS: Final = frozenset({NumberType.FLOAT32, NumberType.FLOAT64})

REVERT_S: Final = 120
"""A battery that is told nothing for so long goes idle by itself, where it can."""


def device(
    table: ModbusTable, line: Line, *, is_inverter: bool, max_w: int = 0
) -> Device:
    """The device that a table describes.

    Args:
        table: Checked configuration.
        line: Its connection.
        is_inverter: It is PV or a battery: models of inverters are preferred.
        max_w: Most that a battery charges or discharges with, W.
    """
    if table.map is RegisterMap.REGISTERS:
        return RegisterDevice(table, line)
    return SunSpecDevice(table, line, is_inverter=is_inverter, max_w=max_w)


class RegisterDevice:
    """A device whose registers the configuration lists."""

    def __init__(self, table: ModbusTable, line: Line) -> None:
        self._table = table
        self._line = line

    async def read(self) -> Measured:
        """One request per listed register; see `Device`."""
        found: dict[Quantity, float] = {}
        for one in self._table.register:
            words = await self._line.read(
                one.address,
                one.type.n_register,
                unit_id=self._table.unit_id,
                timeout_s=self._table.timeout_s,
                kind=one.kind,
            )
            found[one.quantity] = number(words, one)
        return self._measured(found)

    async def set_power_w(self, power_w: int) -> None:
        """Write the setpoint; see `Device`."""
        setpoint = self._table.setpoint
        if setpoint is None:
            raise DeviceError(f"{self._line.name}: it has no setpoint")
        await self._line.write(
            setpoint.address,
            words_of(power_w, setpoint),
            unit_id=self._table.unit_id,
            timeout_s=self._table.timeout_s,
        )

    def _measured(self, found: Mapping[Quantity, float]) -> Measured:
        sign = -1.0 if self._table.invert else 1.0
        amps = [found[one] for one in CURRENTS if one in found]
        power_w = found.get(Quantity.POWER_W)
        return Measured(
            current_a=tuple(sign * a for a in amps),
            power_w=None if power_w is None else sign * power_w,
            energy_wh=found.get(Quantity.ENERGY_WH),
            soc_percent=found.get(Quantity.SOC_PERCENT),
        )


class SunSpecDevice:
    """A device that says itself where its values are."""

    def __init__(
        self, table: ModbusTable, line: Line, *, is_inverter: bool, max_w: int
    ) -> None:
        self._table = table
        self._line = line
        self._max_w = max_w
        self._wanted = (
            (*sunspec.INVERTERS, *sunspec.METERS)
            if is_inverter
            else (*sunspec.METERS, *sunspec.INVERTERS)
        )
        self._blocks: tuple[sunspec.Block, ...] = ()

    async def read(self) -> Measured:
        """Find the models once, then read values and energy; see `Device`."""
        try:
            if not self._blocks:
                self._blocks = await self._discover()
            return await self._read()
        except DeviceError:
            self._blocks = ()  # another device may be there when it is back
            raise

    async def set_power_w(self, power_w: int) -> None:
        """Tell it by model 704 (in W) or 124 (shares of its rate); see `Device`."""
        if not self._blocks:
            self._blocks = await self._discover()
        control = sunspec.find(
            self._blocks, (sunspec.POWER_CONTROL, sunspec.STORAGE_CONTROL)
        )
        if control is None:
            raise DeviceError(f"{self._line.name}: it has neither model 704 nor 124")
        if control.model == sunspec.POWER_CONTROL:
            await self._set_704(control, power_w)
        else:
            await self._set_124(control, power_w)

    async def _read(self) -> Measured:
        block = self._measuring()
        span = min(sunspec.MEASURING[block.model].span, block.length + 2)
        found = sunspec.measured(block, await self._words(block, span))
        energy_wh = soc = None
        stored = sunspec.find(
            self._blocks,
            (sunspec.STORAGE_CAPACITY, sunspec.BATTERY, sunspec.STORAGE_CONTROL),
        )
        if stored is not None:
            span = min(sunspec.STORED_SPANS[stored.model], stored.length + 2)
            words = await self._words(stored, span)
            energy_wh, soc = sunspec.stored(stored, words)
        sign = -1.0 if self._table.invert else 1.0
        return Measured(
            current_a=tuple(sign * a for a in found.current_a),
            power_w=None if found.power_w is None else sign * found.power_w,
            energy_wh=energy_wh,
            soc_percent=soc,
            volts=found.volts,
        )

    def _measuring(self) -> sunspec.Block:
        wanted = self._wanted
        if self._table.model is not None:
            if self._table.model not in sunspec.MEASURING:
                raise DeviceError(f"SunSpec model {self._table.model} is not known")
            wanted = (self._table.model,)
        block = sunspec.find(self._blocks, wanted)
        if block is None:
            has = ", ".join(str(b.model) for b in self._blocks) or "none"
            raise DeviceError(
                f"{self._line.name}: no SunSpec meter or inverter, it has: {has}"
            )
        return block

    async def _discover(self) -> tuple[sunspec.Block, ...]:
        asked = self._table.base_address
        for base in sunspec.BASES if asked is None else (asked,):
            try:
                marker = await self._read_at(base, len(sunspec.MARKER))
            except RefusedError:
                continue  # it has nothing there
            if tuple(marker) == sunspec.MARKER:
                return await self._walk(base + len(sunspec.MARKER))
        raise DeviceError(f"{self._line.name}: it does not speak SunSpec")

    async def _walk(self, address: int) -> tuple[sunspec.Block, ...]:
        found: list[sunspec.Block] = []
        for _ in range(sunspec.MAX_MODELS):
            if address + 1 > sunspec.MAX_ADDRESS:
                break
            model, length = await self._read_at(address, 2)
            if model == sunspec.END:
                return tuple(found)
            found.append(sunspec.Block(model=model, address=address, length=length))
            address += 2 + length
        raise DeviceError(f"{self._line.name}: its list of SunSpec models has no end")

    async def _set_704(self, block: sunspec.Block, power_w: int) -> None:
        """Active power in W: feeding in is positive, and 0 after a time alone."""
        words = await self._words(block, min(sunspec.POWER_SPAN, block.length + 2))
        factor = sunspec.Registers(block.model, words).factor(55)
        setpoint = _int32_words(int(-power_w / factor))
        await self._write(block, 24, (*setpoint, *_int32_words(0)))
        await self._write(block, 30, (1, *_int32_words(REVERT_S)))
        await self._write(block, 22, (1, 1))  # in force, in W

    async def _set_124(self, block: sunspec.Block, power_w: int) -> None:
        """Shares of its highest rate: charging at least, discharging at most none."""
        words = await self._words(block, min(sunspec.STORAGE_SPAN, block.length + 2))
        registers = sunspec.Registers(block.model, words)
        rate = registers.uint16(2)
        most_w = self._max_w if rate is None else rate * registers.factor(18)
        if most_w <= 0:
            raise DeviceError(
                f"{self._line.name}: it tells no highest rate (model 124)"
            )
        percent = 100 * min(1.0, abs(power_w) / most_w)
        share = int(percent / registers.factor(25))
        if not 0 <= share < 1 << 15:
            raise DeviceError(f"{self._line.name}: its scale of rates cannot be used")
        less = (-share) & 0xFFFF
        discharge, charge = (less, share) if power_w > 0 else (share, less)
        if not power_w:
            discharge = charge = 0
        await self._write(block, 12, (discharge, charge, 0, REVERT_S))
        await self._write(block, 5, (3,))  # both rates are limits

    async def _words(self, block: sunspec.Block, count: int) -> list[int]:
        words = await self._read_at(block.address, count)
        if words[:2] != [block.model, block.length]:
            raise DeviceError(
                f"{self._line.name}: SunSpec model {block.model} is not where it was"
            )
        return words

    async def _read_at(self, address: int, count: int) -> list[int]:
        return await self._line.read(
            address,
            count,
            unit_id=self._table.unit_id,
            timeout_s=self._table.timeout_s,
        )

    async def _write(
        self, block: sunspec.Block, place: int, words: Sequence[int]
    ) -> None:
        await self._line.write(
            block.address + place,
            words,
            unit_id=self._table.unit_id,
            timeout_s=self._table.timeout_s,
        )


def number(words: Sequence[int], register: RegisterTable) -> float:
    """What registers say, in the unit of their quantity.

    Raises:
        DeviceError: It is no number.
    """
    ordered = words if register.word_order is WordOrder.BIG else [*reversed(words)]
    raw = struct.pack(f">{len(ordered)}H", *ordered)
    (value,) = struct.unpack(_FORMATS[register.type], raw)
    scaled = float(value) * register.scale
    if not math.isfinite(scaled):
        raise DeviceError(f"its {register.quantity} is no number")
    return scaled


def words_of(power_w: int, setpoint: SetpointTable) -> list[int]:
    """The registers that tell a battery its power.

    Raises:
        DeviceError: The register cannot hold it.
    """
    sign = 1 if setpoint.charging is ChargeSign.POSITIVE else -1
    counts = sign * power_w / setpoint.scale
    value = counts if setpoint.type in _FLOATS else int(counts)
    try:
        raw = struct.pack(_FORMATS[setpoint.type], value)
    except struct.error:
        raise DeviceError(
            f"{power_w} W does not fit the {setpoint.type} at {setpoint.address}"
        ) from None
    words = list(struct.unpack(f">{len(raw) // 2}H", raw))
    return words if setpoint.word_order is WordOrder.BIG else words[::-1]


def _int32_words(value: int) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">i", value))
    return high, low
