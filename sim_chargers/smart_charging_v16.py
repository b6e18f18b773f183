"""Smart charging calls that an OCPP 1.6 station serves."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.clock import to_wire
from sim_chargers.outcomes import Reply
from sim_chargers.picky import check, reported
from sim_chargers.profile_store import ProfileError, purpose_of, read_profile
from sim_chargers.profiles import STATION, Context, Profile, Purpose, composite

if TYPE_CHECKING:
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.frames import Payload


def set_charging_profile(station: ChargerV16, payload: Payload) -> Reply:
    """Install a profile (5.16)."""
    target = int(payload["connectorId"])
    if target != STATION and target not in station.connectors:
        return Reply(payload=REJECTED)
    try:
        profile = read_profile(
            payload["csChargingProfiles"], target=target, received_at=station.now()
        )
        _check_transaction(station, profile)
        check(station.faults, profile)
        station.profiles.install(profile)
    except ProfileError:
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED)


def clear_charging_profile(station: ChargerV16, payload: Payload) -> Reply:
    """Remove profiles: by id, or by any mix of the other criteria (5.5)."""
    if "id" in payload:
        removed = station.profiles.clear(profile_id=int(payload["id"]))
    else:
        removed = station.profiles.clear(
            target=payload.get("connectorId"),
            purpose=purpose_of(payload.get("chargingProfilePurpose")),
            stack_level=payload.get("stackLevel"),
        )
    return Reply(payload={"status": "Accepted" if removed else "Unknown"})


def get_composite_schedule(station: ChargerV16, payload: Payload) -> Reply:
    """Compose the schedule of a connector, or of the whole station (5.7)."""
    number, duration_s = int(payload["connectorId"]), int(payload["duration"])
    now = station.now()
    first = next(iter(station.connectors.values()))
    unit = payload.get("chargingRateUnit", "W" if first.evse.spec.is_dc else "A")
    if number == STATION:
        context = Context(target=STATION, scale=station.scale(first))
        maximum = sum(c.evse.spec.native_max for c in station.connectors.values())
    elif number in station.connectors:
        connector = station.connectors[number]
        context = station.context(connector)
        maximum = connector.evse.spec.native_max
    else:
        return Reply(payload=REJECTED)
    steps = composite(station.profiles, context, now, duration_s, maximum)
    steps = reported(station.faults, steps, maximum)
    return Reply(
        payload={
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": to_wire(now),
            "chargingSchedule": {
                "duration": duration_s,
                "startSchedule": to_wire(now),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [
                    {
                        "startPeriod": start_s,
                        "limit": round(context.scale.from_native(limit, unit), 1),
                    }
                    for start_s, limit in steps
                ],
            },
        }
    )


def _check_transaction(station: ChargerV16, profile: Profile) -> None:
    if profile.purpose is not Purpose.TX:
        return
    transaction = station.connectors[profile.target].transaction
    if transaction is None:
        raise ProfileError("no transaction on this connector")
    if profile.transaction_id not in (None, transaction.wire_id):
        raise ProfileError("another transaction is running")
