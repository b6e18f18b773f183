"""How the exact cost counts: whole units of every product that occurs in it.

A unit is 1/18e15 of a millionth of the currency.
"""

from typing import Final

from optimizer.goal import CURVATURE_MICRO, STEADY_MICRO

USE: Final = 5_000
"""Units per (micro/kWh) * V * s * microampere."""

NANO: Final = 5
"""The same per nano/kWh."""

REFILL: Final = 5
"""Units per (micro/kWh) * nanojoule."""

CURVE: Final = 18 * CURVATURE_MICRO
"""Units per V * microampere^2."""

STEADY: Final = 18_000 * STEADY_MICRO
"""Units per microampere^2."""


def least(square: int, linear: int, cap: int) -> int:
    """Return the minimum of ``square*x^2 + linear*x`` over [0, cap], rounded down."""
    if linear >= 0:
        return 0
    if -linear >= 2 * square * cap:
        return (square * cap + linear) * cap
    return -(linear * linear // (4 * square)) - 1
