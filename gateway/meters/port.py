"""What a meter, inverter or battery is to the rest: it is read, and may be told power.

Currents and powers are import positive: what is drawn from the site's supply counts
above zero, what feeds into it below.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from gateway.errors import DeviceError

MAX_A: Final = 10_000.0
MAX_W: Final = 100_000_000.0
MAX_WH: Final = 1e9
FULL_PERCENT: Final = 100.0

APPARENT_SHARE: Final = 1.25
APPARENT_EXTRA_W: Final = 250.0
"""Power above 1.25 times volts times amperes, and this, cannot be: a scale is wrong."""

Amps: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One reading of a device.

    Attributes:
        at: When it was measured by the device's own clock; ``None``: it says no time.
        age_s: Real seconds since it was heard; ``None``: it was asked for.
        current_a: On its own terminals L1.., import positive; empty: not measured.
        power_w: Import positive; ``None``: not measured.
        energy_wh: What a battery holds.
        soc_percent: State of charge of a battery.
        volts: On its terminals; empty: not measured.
    """

    at: datetime | None = None
    age_s: float | None = None
    current_a: Amps = ()
    power_w: float | None = None
    energy_wh: float | None = None
    soc_percent: float | None = None
    volts: Amps = ()


class Device(Protocol):
    """Something that is read, and perhaps controlled."""

    async def read(self) -> Measured:
        """The newest values; waits for them.

        Raises:
            DeviceError: There is no answer, or none that can be used.
        """
        ...

    async def set_power_w(self, power_w: int) -> None:
        """Tell a battery its power, W: charging positive, 0 idle.

        Raises:
            DeviceError: It cannot be told, or did not accept it.
        """
        ...


def checked(measured: Measured, *, nominal_v: float) -> Measured:
    """Refuse what cannot be: not a number, beyond any site, or wrongly scaled.

    Args:
        measured: As decoded.
        nominal_v: To neutral; taken where the device tells no voltage.

    Raises:
        DeviceError: Says which value, and why.
    """
    for name, value, most in (
        *((f"current L{i + 1}", a, MAX_A) for i, a in enumerate(measured.current_a)),
        ("power", measured.power_w, MAX_W),
        ("energy", measured.energy_wh, MAX_WH),
    ):
        if value is None:
            continue
        if not math.isfinite(value):
            raise DeviceError(f"its {name} is no number")
        if abs(value) > most:
            raise DeviceError(f"its {name} of {value:.6g} cannot be: above {most:.0e}")
    soc = measured.soc_percent
    if soc is not None and not 0 <= soc <= FULL_PERCENT:
        raise DeviceError(f"its state of charge of {soc:.6g} % cannot be")
    if measured.energy_wh is not None and measured.energy_wh < 0:
        raise DeviceError(f"its energy of {measured.energy_wh:.6g} Wh cannot be")
    if measured.power_w is None and not measured.current_a:
        raise DeviceError("it tells neither power nor current")
    _check_scale(measured, nominal_v)
    return measured


def _check_scale(measured: Measured, nominal_v: float) -> None:
    """Hold power against currents: real power is never above apparent power."""
    if measured.power_w is None or not measured.current_a:
        return
    volts = [v for v in measured.volts if math.isfinite(v) and v > 0]
    highest_v = max(volts, default=nominal_v)
    apparent_w = sum(abs(a) for a in measured.current_a) * highest_v
    most_w = apparent_w * APPARENT_SHARE + APPARENT_EXTRA_W
    if abs(measured.power_w) > most_w:
        raise DeviceError(
            f"its power of {measured.power_w:.0f} W does not go with its currents "
            f"({apparent_w:.0f} VA): a scale is wrong"
        )
