"""SecurityEventNotification: every one is stored; a critical one is an alarm.

1.6 security whitepaper, A04 and section 8; 2.0.1, A04 and appendix 1.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

import structlog

from gateway.bus import Bus, FactCommitted, Notice, SecurityEventReported
from gateway.clock import Clock
from gateway.domain.events import StationNotified
from gateway.domain.ids import StationId
from gateway.errors import StoreError
from gateway.store.queries import Queries
from gateway.store.records import Notification, read
from gateway.store.times import to_text

View: TypeAlias = dict[str, Any]

TOPIC: Final = "SecurityEventNotification"
CRITICAL: Final = frozenset(
    name.casefold()
    for name in (
        "FirmwareUpdated",
        "InvalidCentralSystemCertificate",
        "InvalidChargePointCertificate",
        "InvalidChargingStationCertificate",
        "InvalidCsmsCertificate",
        "InvalidTLSCipherSuite",
        "InvalidTLSVersion",
        "MaintenanceLoginAccepted",
        "MaintenanceLoginFailed",
        "MemoryExhaustion",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "TamperDetectionActivated",
    )
)
"""Events that one of the documents calls critical, in the words of either version."""
ROUTINE: Final = frozenset({"startupofthedevice", "resetorreboot"})
"""Critical by the documents, but every restart sends them: no person needs to look."""
SHOWN_FOR: Final = timedelta(hours=24)
MAX_SHOWN: Final = 50
LOOK_BACK: Final = 20_000
"""Notices of any kind that are looked through at the start."""
BATCH: Final = 500
NEWEST: Final = "SELECT coalesce(max(notification_id), 0) FROM notification"
NEWER: Final = (
    f"{Notification.SELECT} WHERE notification_id > ? AND topic = ?"
    " ORDER BY notification_id LIMIT ?"
)

_log = structlog.get_logger()


def is_critical(kind: str) -> bool:
    """Whether the documents mark an event critical."""
    return kind.casefold() in CRITICAL


class SecurityWatch:
    """Raises the alarm for critical events. Loop thread only; run it as a task."""

    def __init__(self, *, queries: Queries, bus: Bus, clock: Clock) -> None:
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._last_id: int | None = None
        self._alarms: dict[tuple[str, str], View] = {}

    def alarms(self) -> Sequence[View]:
        """What a person should look at, latest first: one entry per station and event.

        Members: ``station_id``, ``type``, ``count``, ``last_at`` (site time, text).
        """
        since = to_text(self._clock.now() - SHOWN_FOR)
        found = [view for view in self._alarms.values() if view["last_at"] >= since]
        return sorted(found, key=lambda view: view["last_at"], reverse=True)

    async def run(self) -> None:
        """Follow the committed events, for ever; the store says which are new."""
        with self._bus.subscribe(
            "security", wants=_concerns, of=(StationNotified,)
        ) as subscription:
            await self._catch_up()
            while True:
                await subscription.batch()
                await self._catch_up()

    async def _catch_up(self) -> None:
        is_first = self._last_id is None
        try:
            if self._last_id is None:
                newest = (await self._queries.rows(NEWEST))[0][0]
                self._last_id = max(0, newest - LOOK_BACK)
            while found := await self._queries.rows(
                NEWER, (self._last_id, TOPIC, BATCH)
            ):
                for values in found:
                    row = read(Notification, values)
                    self._last_id = row.notification_id
                    self._take(row, is_told=not is_first)
        except StoreError as error:  # the next event makes up for it
            _log.warning("security.unread", why=str(error))

    def _take(self, row: Notification, *, is_told: bool) -> None:
        kind = str(row.body.get("type"))
        critical = is_critical(kind)
        if is_told:
            self._bus.publish(
                SecurityEventReported(
                    station_id=StationId(row.station_id),
                    kind=kind,
                    is_critical=critical,
                    at=row.occurred_at,
                )
            )
        if not critical:
            return
        if is_told:
            _log.error(
                "security.alarm",
                station_id=row.station_id,
                kind=kind,
                tech_info=row.body.get("techInfo"),
                occurred_at=row.occurred_at.isoformat(),
            )
        if kind.casefold() in ROUTINE:
            return
        key = (row.station_id, kind)
        count = self._alarms[key]["count"] if key in self._alarms else 0
        self._alarms[key] = {
            "station_id": row.station_id,
            "type": kind,
            "count": count + 1,
            "last_at": to_text(row.received_at),
        }
        while len(self._alarms) > MAX_SHOWN:
            oldest = min(self._alarms, key=lambda key: self._alarms[key]["last_at"])
            del self._alarms[oldest]


def _concerns(notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and isinstance(notice.event, StationNotified)
        and notice.event.topic == TOPIC
    )
