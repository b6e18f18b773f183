"""The charging profiles a station holds, and how they are read from the wire."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sim_chargers.clock import from_wire
from sim_chargers.frames import Payload
from sim_chargers.profiles import (
    DAY_S,
    STATION,
    WEEK_S,
    Kind,
    Period,
    Profile,
    Purpose,
)

MAX_STACK_LEVEL: Final = 10
MAX_PERIODS: Final = 200
MAX_PROFILES: Final = 50

_PURPOSES: Final = {
    "ChargePointMaxProfile": Purpose.STATION_MAX,
    "ChargingStationMaxProfile": Purpose.STATION_MAX,
    "ChargingStationExternalConstraints": Purpose.EXTERNAL,
    "TxDefaultProfile": Purpose.TX_DEFAULT,
    "TxProfile": Purpose.TX,
}
_RECURRENCES: Final = {"Daily": DAY_S, "Weekly": WEEK_S}


class ProfileError(ValueError):
    """The profile cannot be used; answer Rejected with this reason."""


@dataclass(slots=True)
class ProfileStore:
    """All profiles of a station; they survive a reboot (OCPP 1.6 errata 3.37)."""

    _profiles: list[Profile] = field(default_factory=list)

    def __iter__(self) -> Iterator[Profile]:
        """Go through the profiles in the order of their arrival."""
        return iter(self._profiles)

    def __len__(self) -> int:
        """Count the profiles."""
        return len(self._profiles)

    def install(self, profile: Profile) -> None:
        """Add a profile; it takes the place of its equal.

        Equal means the same id, or the same purpose, stack level and target
        (OCPP 1.6, 3.13.2), for transaction profiles also the same transaction.
        """
        kept = [p for p in self._profiles if not _replaces(profile, p)]
        if len(kept) >= MAX_PROFILES:
            raise ProfileError("no room for another profile")
        self._profiles = [*kept, profile]

    def clear(
        self,
        *,
        profile_id: int | None = None,
        target: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> int:
        """Remove what matches all given criteria, and count it."""
        kept = [
            p
            for p in self._profiles
            if not (
                profile_id in (None, p.profile_id)
                and target in (None, p.target)
                and purpose in (None, p.purpose)
                and stack_level in (None, p.stack_level)
            )
        ]
        removed = len(self._profiles) - len(kept)
        self._profiles = kept
        return removed

    def end_transaction(self, target: int) -> None:
        """Forget the transaction profiles of a connector."""
        self.clear(target=target, purpose=Purpose.TX)

    def bind_transaction(self, target: int, transaction_id: str) -> None:
        """Give profiles of a remote start the id of the transaction they began."""
        self._profiles = [
            replace(p, transaction_id=transaction_id)
            if p.target == target
            and p.purpose is Purpose.TX
            and p.transaction_id is None
            else p
            for p in self._profiles
        ]


def _replaces(new: Profile, old: Profile) -> bool:
    if new.profile_id == old.profile_id:
        return True
    return (
        new.purpose is old.purpose
        and new.stack_level == old.stack_level
        and new.target == old.target
    )


def purpose_of(word: object) -> Purpose | None:
    """Translate a wire word; None for None."""
    return None if word is None else _PURPOSES[str(word)]


def read_profile(wire: Payload, *, target: int, received_at: datetime) -> Profile:
    """Read a profile of either version; of several schedules the first counts.

    Raises:
        ProfileError: It is malformed, or breaks a rule both versions share.
    """
    try:
        profile = _read(wire, target, received_at)
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"malformed profile: {error!r}") from error
    if not 0 <= profile.stack_level <= MAX_STACK_LEVEL:
        raise ProfileError("stack level out of range")
    if not 0 < len(profile.periods) <= MAX_PERIODS:
        raise ProfileError("too many periods, or none")
    starts = [p.start_s for p in profile.periods]
    if starts[0] != 0 or starts != sorted(set(starts)):
        raise ProfileError("periods must begin at 0 and rise")
    if any(p.limit < 0 for p in profile.periods):
        raise ProfileError("negative limit")
    if profile.kind is Kind.RECURRING and None in (profile.start, profile.recurrency_s):
        raise ProfileError("a recurring profile needs a start and a recurrence")
    if profile.purpose is Purpose.STATION_MAX and target != STATION:
        raise ProfileError("the station's maximum belongs to the whole station")
    if profile.purpose is Purpose.TX and target == STATION:
        raise ProfileError("a transaction profile belongs to one connector")
    return profile


def _read(wire: Payload, target: int, received_at: datetime) -> Profile:
    schedules: Any = wire["chargingSchedule"]
    schedule: Mapping[str, Any] = (
        schedules[0] if isinstance(schedules, list) else schedules
    )
    transaction_id = wire.get("transactionId")
    profile_id = wire["id"] if "id" in wire else wire["chargingProfileId"]
    return Profile(
        profile_id=int(profile_id),
        target=target,
        stack_level=int(wire["stackLevel"]),
        purpose=_PURPOSES[wire["chargingProfilePurpose"]],
        kind=Kind(wire["chargingProfileKind"]),
        unit={"A": "A", "W": "W"}[schedule["chargingRateUnit"]],
        periods=tuple(
            Period(
                start_s=int(period["startPeriod"]),
                limit=float(period["limit"]),
                phases=period.get("numberPhases"),
            )
            for period in schedule["chargingSchedulePeriod"]
        ),
        received_at=received_at,
        recurrency_s=(
            _RECURRENCES[wire["recurrencyKind"]] if "recurrencyKind" in wire else None
        ),
        valid_from=_instant(wire.get("validFrom")),
        valid_to=_instant(wire.get("validTo")),
        transaction_id=None if transaction_id is None else str(transaction_id),
        start=_instant(schedule.get("startSchedule")),
        duration_s=schedule.get("duration"),
        wire=dict(wire),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else from_wire(text)
