"""How long a circuit breaker bears a current above its rating: bounds, not a curve.

A standard only fixes points, and leaves a wide band between them. IEC 60898-1 (time-
current characteristics of miniature circuit breakers, cold, one pole, 30 °C):

* 1.13 times its rating: no trip within 1 h (2 h above 63 A);
* 1.45 times: trips within 1 h;
* 2.55 times: trips, but not within 1 s, and within 60 s (120 s above 32 A);
* type B from 3 times on: may trip at once.

`earliest_trip_s` is the fastest breaker that fulfils that: a first-order thermal
element that never reaches its threshold at 1.13 and reaches it after 1 s at 2.55. Real
ones take many times longer. What stays below it cannot trip one.
"""

import math
from typing import Final

HOLDS_RATIO: Final = 1.13
HOLDS_S: Final = 3600.0
TRIPS_RATIO: Final = 1.45
TRIPS_WITHIN_S: Final = 3600.0
FAST_RATIO: Final = 2.55
FAST_NOT_WITHIN_S: Final = 1.0
FAST_WITHIN_S: Final = 120.0
INSTANT_RATIO: Final = 3.0

_TIME_CONSTANT_S: Final = FAST_NOT_WITHIN_S / math.log(
    FAST_RATIO**2 / (FAST_RATIO**2 - HOLDS_RATIO**2)
)


def earliest_trip_s(ratio: float) -> float:
    """Seconds for which every breaker of the standard bears a current.

    Args:
        ratio: Current over the breaker's rating.

    Returns:
        ``inf`` up to its rating; 0 where it may trip at once.
    """
    if ratio <= 1.0:
        return math.inf
    if ratio <= HOLDS_RATIO:
        return HOLDS_S
    if ratio >= INSTANT_RATIO:
        return 0.0
    heated_s = _TIME_CONSTANT_S * math.log(ratio**2 / (ratio**2 - HOLDS_RATIO**2))
    return min(HOLDS_S, heated_s)


def latest_trip_s(ratio: float) -> float:
    """Seconds after which every breaker of the standard has tripped; may be ``inf``."""
    if ratio < TRIPS_RATIO:
        return math.inf
    return TRIPS_WITHIN_S if ratio < FAST_RATIO else FAST_WITHIN_S
