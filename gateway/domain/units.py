"""Physical quantities, one base unit each.

Inside the system power is W, current A, voltage V; recorded energy is integer mWh,
spelled out as ``milliwh`` so that nobody reads megawatt-hours. The adapters in
``gateway.ocpp`` convert on the way in and out; nothing else multiplies by 1000.
"""

from decimal import ROUND_FLOOR, Decimal
from typing import Final, NewType

EnergyMilliWh = NewType("EnergyMilliWh", int)
PowerW = NewType("PowerW", float)
CurrentA = NewType("CurrentA", float)

MILLIWH_PER_WH: Final = 1000
MAX_REGISTER_WH: Final = 10**12


def floor_milliwh(register_wh: Decimal) -> EnergyMilliWh:
    """Floor an exact register reading to whole milliwatt-hours.

    Registers are floored, differences never are, so the parts of a session add up to
    the whole, whatever the sampling.

    Args:
        register_wh: Reading of the import register in Wh, from 0 to MAX_REGISTER_WH.
            The upper bound also keeps ``1E+999999999`` from becoming an int.

    Raises:
        ValueError: The reading is out of range, or not a number.
    """
    if not (register_wh.is_finite() and 0 <= register_wh <= MAX_REGISTER_WH):
        raise ValueError(f"not a meter register: {register_wh} Wh")
    scaled = register_wh * MILLIWH_PER_WH
    return EnergyMilliWh(int(scaled.to_integral_value(rounding=ROUND_FLOOR)))
