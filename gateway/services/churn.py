"""How often stations are told limits: flash wears out, and cars dislike it."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.ids import StationId

HOUR_S: Final = 3600.0
SLOT_S: Final = 60.0

GAUGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "limits_sent": "Limits sent to stations since the start",
        "limits_refused": "Of those, how many were refused",
        "limits_per_evse_hour": (
            "Limits sent in the last hour, by each EVSE behind a cabinet"
        ),
        "limits_per_evse_hour_max": (
            "The same at the station that was sent most by its EVSEs"
        ),
    }
)
"""What ``/metrics`` shows of it."""


class Churn:
    """Counts limits by minute and station; real time. Loop thread only.

    Args:
        evses: How many EVSEs of each station are behind a cabinet.
    """

    def __init__(self, evses: Callable[[], Mapping[StationId, int]]) -> None:
        self._evses = evses
        self._slots: deque[tuple[int, dict[StationId, int]]] = deque()
        self._sent = 0
        self._refused = 0

    def sent(self, station_id: StationId) -> None:
        """A limit is on its way."""
        now_s = asyncio.get_running_loop().time()
        self._sent += 1
        slot = int(now_s / SLOT_S)
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, {}))
        counts = self._slots[-1][1]
        counts[station_id] = counts.get(station_id, 0) + 1
        self._forget(slot)

    def refused(self) -> None:
        """A limit was refused."""
        self._refused += 1

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Text and value by name, for ``/metrics``."""
        now_s = asyncio.get_running_loop().time()
        self._forget(int(now_s / SLOT_S))
        totals: dict[StationId, int] = {}
        for _, counts in self._slots:
            for station_id, count in counts.items():
                totals[station_id] = totals.get(station_id, 0) + count
        evses = self._evses()
        n_evse = sum(evses.values())
        each = [
            count / evses[station_id]
            for station_id, count in totals.items()
            if evses.get(station_id)
        ]
        values = {
            "limits_sent": self._sent,
            "limits_refused": self._refused,
            "limits_per_evse_hour": sum(totals.values()) / n_evse if n_evse else 0,
            "limits_per_evse_hour_max": max(each, default=0),
        }
        return {name: (GAUGES[name], float(values[name])) for name in GAUGES}

    def _forget(self, slot: int) -> None:
        oldest = slot - int(HOUR_S / SLOT_S)
        while self._slots and self._slots[0][0] <= oldest:
            self._slots.popleft()
