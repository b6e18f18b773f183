"""How often stations come back: flapping, and two senders under one id.

Both are counted over a sliding minute of real time, for authenticated connections
only: who does not know the password can lock nobody out.
"""

from collections import deque
from typing import Final

from gateway.domain.ids import StationId

WINDOW_S: Final = 60.0
MAX_CONNECTS: Final = 60
"""Connections of one station per minute; further ones are asked to wait."""
MAX_TAKEOVERS: Final = 5
"""Takeovers between different addresses per minute that still pass as bad network."""
RETRY_AFTER_S: Final = 30


class Reconnects:
    """Connections per station. Loop thread only."""

    def __init__(self) -> None:
        self._connects: dict[StationId, deque[float]] = {}

    def may_connect(self, station_id: StationId, now_s: float) -> bool:
        """Count an attempt, unless the station came back too often of late."""
        times = self._connects.setdefault(station_id, deque())
        while times and times[0] <= now_s - WINDOW_S:
            times.popleft()
        if len(times) >= MAX_CONNECTS:
            return False
        times.append(now_s)
        return True

    def forget(self, now_s: float) -> None:
        """Drop stations that have been quiet for a window."""
        quiet = [
            station_id
            for station_id, times in self._connects.items()
            if not times or times[-1] <= now_s - WINDOW_S
        ]
        for station_id in quiet:
            del self._connects[station_id]


class Takeovers:
    """Connections that replaced another of the same station. Loop thread only."""

    def __init__(self) -> None:
        self._seen: dict[StationId, deque[tuple[float, str, str]]] = {}

    def note(
        self, station_id: StationId, now_s: float, old_remote: str, remote: str
    ) -> bool:
        """Remember a takeover; whether the station has just become contested."""
        was_contested = bool(self.contested(station_id, now_s))
        seen = self._seen.setdefault(station_id, deque(maxlen=4 * MAX_TAKEOVERS))
        seen.append((now_s, _host(old_remote), _host(remote)))
        return not was_contested and bool(self.contested(station_id, now_s))

    def contested(self, station_id: StationId, now_s: float) -> tuple[str, ...]:
        """The addresses that take a station from each other; empty for most."""
        seen = self._seen.get(station_id)
        if seen is None:
            return ()
        while seen and seen[0][0] <= now_s - WINDOW_S:
            seen.popleft()
        if not seen:
            del self._seen[station_id]
            return ()
        fights = [(old, new) for _, old, new in seen if old != new]
        if len(fights) <= MAX_TAKEOVERS:
            return ()
        return tuple(sorted({host for pair in fights for host in pair}))


def _host(remote: str) -> str:
    return remote.rpartition(":")[0] or remote
