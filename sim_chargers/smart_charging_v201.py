"""Smart charging calls that an OCPP 2.0.1 station serves."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Final

from sim_chargers.answers import ACCEPTED, rejected
from sim_chargers.clock import to_wire
from sim_chargers.outcomes import Reply
from sim_chargers.picky import check, reported
from sim_chargers.profile_store import ProfileError, purpose_of, read_profile
from sim_chargers.profiles import STATION, Context, Kind, Profile, Purpose, composite

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload


_SOURCES: Final = {True: "EMS", False: "CSO"}
"""Who limits: the building, or the central system (K09.FR.05)."""


def set_charging_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Install a profile (K01)."""
    refusal = _install(station, int(payload["evseId"]), payload["chargingProfile"])
    return Reply(payload=ACCEPTED) if refusal is None else rejected(refusal)


def clear_charging_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Remove profiles by id, or by criteria (K10)."""
    criteria = payload.get("chargingProfileCriteria", {})
    removed = station.profiles.clear(
        profile_id=payload.get("chargingProfileId"),
        target=criteria.get("evseId"),
        purpose=purpose_of(criteria.get("chargingProfilePurpose")),
        stack_level=criteria.get("stackLevel"),
    )
    return Reply(payload={"status": "Accepted" if removed else "Unknown"})


def get_composite_schedule(station: ChargerV201, payload: Payload) -> Reply:
    """Compose the schedule of an EVSE, or of the whole station (K08)."""
    number, duration_s = int(payload["evseId"]), int(payload["duration"])
    now = station.now()
    first = next(iter(station.connectors.values()))
    unit = payload.get("chargingRateUnit", "W" if first.evse.spec.is_dc else "A")
    if number == STATION:
        context = Context(target=STATION, scale=station.scale(first))
        maximum = sum(c.evse.spec.native_max for c in station.connectors.values())
    elif number in station.connectors:
        context = station.context(station.connectors[number])
        maximum = station.connectors[number].evse.spec.native_max
    else:
        return rejected("UnknownEvse")
    steps = composite(station.profiles, context, now, duration_s, maximum)
    steps = reported(station.faults, steps, maximum)
    schedule = {
        "evseId": number,
        "duration": duration_s,
        "scheduleStart": to_wire(now),
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": s, "limit": round(context.scale.from_native(v, unit), 1)}
            for s, v in steps
        ],
    }
    return Reply(payload={"status": "Accepted", "schedule": schedule})


def _install(station: ChargerV201, target: int, wire: Payload) -> str | None:
    """Install a profile, or return the reason code of the refusal."""
    if target != STATION and target not in station.connectors:
        return "UnknownEvse"
    try:
        profile = read_profile(wire, target=target, received_at=station.now())
        check(station.faults, profile)
    except ProfileError:
        return "InvalidSchedule"
    refusal = _profile_refusal(station, profile)
    if refusal is not None:
        return refusal
    try:
        station.profiles.install(profile)
    except ProfileError:
        return "TooManyElements"
    return None


def _profile_refusal(station: ChargerV201, profile: Profile) -> str | None:
    if profile.purpose is Purpose.EXTERNAL:
        return "InvalidProfile"  # K01.FR.22: not for the central system to set
    if profile.kind is Kind.ABSOLUTE and profile.start is None:
        return "InvalidSchedule"
    if any(_collides(profile, old) for old in station.profiles):
        return "DuplicateProfile"
    return _transaction_refusal(station, profile)


def _transaction_refusal(station: ChargerV201, profile: Profile) -> str | None:
    if profile.purpose is not Purpose.TX:
        return None
    transaction = station.connectors[profile.target].transaction
    if profile.transaction_id is None:
        return "MissingParam"
    if transaction is None or transaction.wire_id != profile.transaction_id:
        return "TxNotFound"
    return None


def _collides(new: Profile, old: Profile) -> bool:
    """Same purpose, level and EVSE under another id, valid at the same time."""
    if new.profile_id == old.profile_id:
        return False
    same = (new.purpose, new.stack_level, new.target) == (
        old.purpose,
        old.stack_level,
        old.target,
    )
    before = new.valid_to and old.valid_from and new.valid_to <= old.valid_from
    after = new.valid_from and old.valid_to and new.valid_from >= old.valid_to
    return same and not before and not after


def get_charging_profiles(station: ChargerV201, payload: Payload) -> Reply:
    """Report installed profiles, one message per EVSE and source (K09)."""
    wanted = payload["chargingProfile"]
    ids = wanted.get("chargingProfileId")
    purpose = purpose_of(wanted.get("chargingProfilePurpose"))
    sources = wanted.get("chargingLimitSource", list(_SOURCES.values()))
    found = [
        p
        for p in station.profiles
        if _source(p) in sources
        and (ids is None or p.profile_id in ids)
        and purpose in (None, p.purpose)
        and wanted.get("stackLevel") in (None, p.stack_level)
        and payload.get("evseId") in (None, p.target)
    ]
    if not found:
        return Reply(payload={"status": "NoProfiles"})

    def report() -> None:
        groups = sorted({(p.target, _source(p)) for p in found})
        for group in groups:
            message = {
                "requestId": payload["requestId"],
                "chargingLimitSource": group[1],
                "evseId": group[0],
                "chargingProfile": [
                    p.wire for p in found if (p.target, _source(p)) == group
                ],
                "tbc": group != groups[-1],
            }
            station.enqueue("ReportChargingProfiles", partial(dict, message))

    return Reply(payload=ACCEPTED, after=report)


def _source(profile: Profile) -> str:
    return _SOURCES[profile.purpose is Purpose.EXTERNAL]
