"""Which stations still come in by the legacy TLS port: when none does, it can go."""

from collections.abc import Mapping
from datetime import datetime

from gateway.domain.connection import ConnectionSecurity
from gateway.domain.ids import StationId


class LegacyUse:
    """Remembers, from the start of the process, who came in by that port last.

    Who comes in by another port since does not need it any more and is forgotten.
    """

    def __init__(self) -> None:
        self._last: dict[StationId, tuple[ConnectionSecurity, datetime]] = {}

    def note(
        self, station_id: StationId, used: ConnectionSecurity, at: datetime
    ) -> None:
        """Take note of a connection that was let in, ``at`` site time."""
        if used.is_legacy:
            self._last[station_id] = (used, at)
        else:
            self._last.pop(station_id, None)

    def rows(self) -> list[Mapping[str, object]]:
        """One per station, by id.

        ``needs_it``: its TLS was older than 1.2; else another URL is all it takes.
        """
        return [
            {
                "station_id": station_id,
                "tls_version": used.tls_version,
                "cipher": used.cipher,
                "port": used.port,
                "needs_it": used.is_old_tls,
                "connected_at": at.isoformat(),
            }
            for station_id, (used, at) in sorted(self._last.items())
        ]
