"""The loop clock of the optimizer: real seconds that never run backwards."""

import time
from collections.abc import Callable

Monotonic = Callable[[], float]


def monotonic_s() -> float:
    """Return seconds since an arbitrary instant."""
    return time.monotonic()
