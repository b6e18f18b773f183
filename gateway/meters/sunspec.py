"""SunSpec: where a device says its values are, and what their registers mean.

A device that follows the SunSpec Information Model has a marker, then one block after
the other: model number, length, values. Values of a model stand at fixed places; a
scale factor beside them is a power of ten. What a device does not measure holds a
reserved number and is nothing here.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import DeviceError
from gateway.meters.port import Measured

MARKER: Final = (0x5375, 0x6E53)
"""``SunS``."""
BASES: Final = (40_000, 0, 50_000)
"""Where the marker may be, the usual place first."""
END: Final = 0xFFFF
"""Number of the block after the last one."""
MAX_MODELS: Final = 64
MAX_ADDRESS: Final = 65_535

INT16_MISSING: Final = -0x8000
UINT16_MISSING: Final = 0xFFFF
MAX_SCALE: Final = 10
"""Scale factors are from -10 to 10."""

COMMON: Final = 1
STORAGE_CONTROL: Final = 124
POWER_CONTROL: Final = 704
STORAGE_CAPACITY: Final = 713
BATTERY: Final = 802


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A model as a device has it.

    Attributes:
        model: Its number.
        address: Of its first register, which holds the number.
        length: Registers after number and length.
    """

    model: int
    address: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the values of a model are, in registers from its number.

    Attributes:
        delivers: It counts what an inverter delivers, so import is the negative.
        is_float: Values are 32-bit floats without scale factors.
        amps: Of each phase.
        volts: To neutral, of each phase.
        phase_watts: Of each phase; their signs are those of the currents.
    """

    delivers: bool
    is_float: bool
    amps: tuple[int, ...]
    amps_scale: int = 0
    volts: tuple[int, ...]
    volts_scale: int = 0
    watts: int
    phase_watts: tuple[int, ...] = ()
    watts_scale: int = 0

    @property
    def span(self) -> int:
        """How many registers hold all of it."""
        width = 2 if self.is_float else 1
        values = (*self.amps, *self.volts, self.watts, *self.phase_watts)
        scales = (self.amps_scale, self.volts_scale, self.watts_scale)
        return max(max(values) + width, max(scales) + 1)


def _inverter(n_phase: int) -> Places:
    return Places(
        delivers=True,
        is_float=False,
        amps=(3, 4, 5)[:n_phase],
        amps_scale=6,
        volts=(10, 11, 12)[:n_phase],
        volts_scale=13,
        watts=14,
        watts_scale=15,
    )


def _float_inverter(n_phase: int) -> Places:
    return Places(
        delivers=True,
        is_float=True,
        amps=(4, 6, 8)[:n_phase],
        volts=(16, 18, 20)[:n_phase],
        watts=22,
    )


def _meter(n_phase: int) -> Places:
    return Places(
        delivers=False,
        is_float=False,
        amps=(3, 4, 5)[:n_phase],
        amps_scale=6,
        volts=(8, 9, 10)[:n_phase],
        volts_scale=15,
        watts=18,
        phase_watts=(19, 20, 21)[:n_phase],
        watts_scale=22,
    )


def _float_meter(n_phase: int) -> Places:
    return Places(
        delivers=False,
        is_float=True,
        amps=(4, 6, 8)[:n_phase],
        volts=(12, 14, 16)[:n_phase],
        watts=28,
        phase_watts=(30, 32, 34)[:n_phase],
    )


METERS: Final = {
    201: _meter(1),
    202: _meter(2),
    203: _meter(3),
    204: _meter(3),
    211: _float_meter(1),
    212: _float_meter(2),
    213: _float_meter(3),
    214: _float_meter(3),
}
INVERTERS: Final = {
    101: _inverter(1),
    102: _inverter(2),
    103: _inverter(3),
    111: _float_inverter(1),
    112: _float_inverter(2),
    113: _float_inverter(3),
    701: Places(
        delivers=True,
        is_float=False,
        amps=(45, 68, 91),
        amps_scale=113,
        volts=(47, 70, 93),
        volts_scale=114,
        watts=10,
        phase_watts=(41, 64, 87),
        watts_scale=116,
    ),
}
MEASURING: Final = METERS | INVERTERS

CAPACITY_SPAN: Final = 9
STORAGE_SPAN: Final = 26
POWER_SPAN: Final = 67
STORED_SPANS: Final = {
    STORAGE_CAPACITY: CAPACITY_SPAN,
    BATTERY: 64,
    STORAGE_CONTROL: STORAGE_SPAN,
}
"""How many registers of a model are read for what a battery holds."""


class Registers:
    """The registers of a block, from its number on; values that are missing are None.

    Args:
        model: Its number, for errors.
        words: 16-bit registers.
    """

    def __init__(self, model: int, words: Sequence[int]) -> None:
        self._model = model
        self._words = words

    def uint16(self, place: int) -> int | None:
        """Unsigned; ``None``: not implemented, or behind the end."""
        if place >= len(self._words):
            return None
        value = self._words[place]
        return None if value == UINT16_MISSING else value

    def int16(self, place: int) -> int | None:
        """Signed; ``None``: not implemented, or behind the end."""
        if place >= len(self._words):
            return None
        value = self._words[place]
        value = value - 0x1_0000 if value & 0x8000 else value
        return None if value == INT16_MISSING else value

    def float32(self, place: int) -> float | None:
        """``None``: not implemented (not a number), or behind the end."""
        if place + 1 >= len(self._words):
            return None
        raw = struct.pack(">HH", self._words[place], self._words[place + 1])
        (value,) = struct.unpack(">f", raw)
        return None if math.isnan(value) else float(value)

    def factor(self, place: int) -> float:
        """A scale factor; one that is not implemented is 1.

        Raises:
            DeviceError: It is beyond -10 to 10.
        """
        exponent = self.int16(place)
        if exponent is None:
            return 1.0
        if abs(exponent) > MAX_SCALE:
            raise DeviceError(
                f"SunSpec model {self._model}: its scale factor {exponent} at "
                f"register {place} is not from -{MAX_SCALE} to {MAX_SCALE}"
            )
        return float(10.0**exponent)


def find(blocks: Sequence[Block], models: Sequence[int]) -> Block | None:
    """The first of some models that a device has, in the order asked for."""
    return next((b for m in models for b in blocks if b.model == m), None)


def measured(block: Block, words: Sequence[int]) -> Measured:
    """What a meter or inverter says, import positive.

    Raises:
        DeviceError: A scale factor is impossible.
    """
    places, registers = MEASURING[block.model], Registers(block.model, words)

    def value(place: int, factor: float) -> float | None:
        if places.is_float:
            return registers.float32(place)
        raw = registers.int16(place)
        return None if raw is None else raw * factor

    amps_by = 1.0 if places.is_float else registers.factor(places.amps_scale)
    watts_by = 1.0 if places.is_float else registers.factor(places.watts_scale)
    volts_by = 1.0 if places.is_float else registers.factor(places.volts_scale)
    sign = -1.0 if places.delivers else 1.0
    watts = value(places.watts, watts_by)
    amps = tuple(_signed(value, places, watts, amps_by))
    known = tuple(sign * a for a in amps if a is not None)
    volts = (value(place, volts_by) for place in places.volts)
    return Measured(
        current_a=() if len(known) < len(amps) else known,
        power_w=None if watts is None else sign * watts,
        volts=tuple(v for v in volts if v is not None),
    )


def _signed(
    value: Callable[[int, float], float | None],
    places: Places,
    watts: float | None,
    amps_by: float,
) -> Iterator[float | None]:
    """Currents with the sign of the power of their phase, where it is told.

    An inverter's currents have no sign of their own: they have that of its power.
    """
    for index, place in enumerate(places.amps):
        amps = value(place, amps_by)
        by_phase = value(places.phase_watts[index], 1.0) if places.phase_watts else None
        told = watts if by_phase is None and places.delivers else by_phase
        if amps is None or not told:
            yield amps
        else:
            yield math.copysign(amps, told)


def stored(block: Block, words: Sequence[int]) -> tuple[float | None, float | None]:
    """Energy held (Wh) and state of charge (percent) of a battery's model.

    Raises:
        DeviceError: A scale factor is impossible.
    """
    registers = Registers(block.model, words)
    if block.model == STORAGE_CAPACITY:
        percent, energy = registers.uint16(4), registers.uint16(3)
        percent_by = registers.factor(8) if len(words) >= CAPACITY_SPAN else 1.0
        return (
            None if energy is None else energy * registers.factor(7),
            None if percent is None else percent * percent_by,
        )
    if block.model == BATTERY:
        percent, rated = registers.uint16(11), registers.uint16(3)
        if percent is None:
            return None, None
        soc = percent * registers.factor(56)
        if rated is None:
            return None, soc
        return rated * registers.factor(53) * soc / 100, soc
    percent = registers.uint16(8)
    return None, None if percent is None else percent * registers.factor(22)
