"""Stations that do not take every limit, and stations that misreport theirs."""

from typing import Final

from sim_chargers.faults import Faults
from sim_chargers.profile_store import ProfileError
from sim_chargers.profiles import Kind, Profile, Purpose

THREE: Final = 3


def check(faults: Faults, profile: Profile) -> None:
    """Refuse what this firmware does not take.

    Raises:
        ProfileError: That is so.
    """
    if "no-session-limits" in faults and profile.purpose is Purpose.TX:
        raise ProfileError("limits of transactions are not supported")
    if "no-zero-limit" in faults and any(p.limit == 0 for p in profile.periods):
        raise ProfileError("a limit of 0 is not supported")
    if "watts-only" in faults and profile.unit == "A":
        raise ProfileError("limits in A are not supported")
    if "three-periods" in faults and len(profile.periods) > THREE:
        raise ProfileError("there are too many periods")
    if "relative-only" in faults and profile.kind is not Kind.RELATIVE:
        raise ProfileError("only relative schedules are supported")


def reported(
    faults: Faults, steps: list[tuple[int, float]], maximum: float
) -> list[tuple[int, float]]:
    """What a station says of its composite schedule: this, or always its rating."""
    return [(0, maximum)] if "false-schedules" in faults else steps
