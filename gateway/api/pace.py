"""How often strangers may ask: a bucket of requests for each address."""

from collections import OrderedDict
from typing import Final

MAX_ADDRESSES: Final = 4096
"""Addresses remembered; who asked longest ago is forgotten first."""


class Pace:
    """Admits so many requests per second from one address, and bursts.

    Args:
        per_s: Requests per second in the long run.
        burst: Requests at once.
    """

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, address: str, now_s: float) -> bool:
        """Whether a request is within the pace; it counts then.

        Args:
            address: Who asks.
            now_s: Monotonic time, s.
        """
        left, at_s = self._left.pop(address, (self._burst, now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_s)
        is_admitted = left >= 1
        self._left[address] = (left - 1 if is_admitted else left, now_s)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return is_admitted
