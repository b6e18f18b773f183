"""Alarms of stations: told to the log and to whoever listens, once they are stored."""

import structlog

from gateway.bus import AlarmRaised, Bus, FactCommitted, Lagged, Notice
from gateway.domain.events import StationNotified
from gateway.errors import StoreError
from gateway.store.monitors import ALARMS_AT
from gateway.store.queries import Queries

_log = structlog.get_logger()


class Alarms:
    """Tells alarms as they come; run it as a task."""

    def __init__(self, *, queries: Queries, bus: Bus) -> None:
        self._queries = queries
        self._bus = bus

    async def run(self) -> None:
        """Tell alarms, for ever."""
        with self._bus.subscribe(
            "alarms", wants=_tells_events, of=(StationNotified,)
        ) as subscription:
            async for notice in subscription:
                match notice:
                    case FactCommitted(event=StationNotified() as event):
                        await self._tell(notice, event)
                    case Lagged():
                        _log.warning("alarms.lagged", dropped=notice.dropped)
                    case _:
                        pass

    async def _tell(self, notice: FactCommitted, event: StationNotified) -> None:
        try:
            found = await self._queries.rows(
                ALARMS_AT, (event.station_id, notice.offset)
            )
        except StoreError as error:
            _log.warning("alarms.unread", station_id=event.station_id, why=str(error))
            return
        for component, variable, value, severity in found:
            _log.warning(
                "station.alarm",
                station_id=event.station_id,
                component=component,
                variable=variable,
                value=value,
                severity=severity,
            )
            self._bus.publish(
                AlarmRaised(
                    station_id=event.station_id,
                    component=component,
                    variable=variable,
                    value=value,
                    severity=severity,
                    at=event.received_at,
                )
            )


def _tells_events(notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and isinstance(notice.event, StationNotified)
        and notice.event.topic == "NotifyEvent"
    )
