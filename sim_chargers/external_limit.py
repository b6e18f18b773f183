"""Limits that do not come from the central system (K12, K13)."""

from typing import Any, Final

from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.clock import to_wire
from sim_chargers.profile_store import read_profile
from sim_chargers.profiles import Purpose

SOURCE: Final = "EMS"
PROFILE_ID: Final = 1_000_001
SCHEDULE_ID: Final = 1


def set_limit(station: ChargerV201, evse_id: int, limit_a: float) -> None:
    """Limit an EVSE from outside, and say so (K12)."""
    now = station.now()
    schedule: dict[str, Any] = {
        "id": SCHEDULE_ID,
        "startSchedule": to_wire(now),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
    }
    wire = {
        "id": PROFILE_ID,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargingStationExternalConstraints",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    station.profiles.install(read_profile(wire, target=evse_id, received_at=now))
    notice = {
        "evseId": evse_id,
        "chargingLimit": {"chargingLimitSource": SOURCE, "isGridCritical": False},
        "chargingSchedule": [schedule],
    }
    station.enqueue("NotifyChargingLimit", lambda: notice)


def clear_limit(station: ChargerV201, evse_id: int) -> None:
    """Take the limit away, and say so (K13)."""
    station.profiles.clear(target=evse_id, purpose=Purpose.EXTERNAL)
    notice = {"evseId": evse_id, "chargingLimitSource": SOURCE}
    station.enqueue("ClearedChargingLimit", lambda: notice)
