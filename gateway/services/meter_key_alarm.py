"""People are told that a meter's key is not the one that somebody vouched for."""

from datetime import datetime
from typing import Final

import structlog

from gateway.bus import AlarmRaised, Bus
from gateway.services.signed_meter import KeyChanged

SEVERITY: Final = 2
"""Of a changed key: a hardware failure, or somebody tampered (2.0.1, N07, severity)."""

_log = structlog.get_logger()


def raise_alarm(bus: Bus, changed: KeyChanged, now: datetime) -> None:
    """Log it and publish it.

    Args:
        bus: Hears the alarm.
        changed: Which key came instead of which.
        now: Site time.
    """
    pinned, sent = changed.pinned.fingerprint, changed.sent.fingerprint
    evse = changed.evse
    _log.warning(
        "meter.key_changed",
        station_id=evse.station_id,
        evse_id=evse.evse_id,
        pinned=pinned,
        sent=sent,
    )
    bus.publish(
        AlarmRaised(
            station_id=evse.station_id,
            component="FiscalMetering",
            variable="PublicKey",
            value=f"EVSE {evse.evse_id} signs with {sent}, pinned is {pinned}",
            severity=SEVERITY,
            at=now,
        )
    )
