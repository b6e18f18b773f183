"""What stations say about the limits that they take, in the words of either version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.limits import LimitUnit

KEYS: Final = (
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
)
"""Settings of 1.6 (9.4)."""

VARIABLES: Final = ("ProfileStackLevel", "RateUnit", "PeriodsPerSchedule")
"""Variables of 2.0.1 (part 2, 2.9), in the order of ``KEYS``."""

ENDS_UNPLUGGED: Final = (
    "StopTransactionOnEVSideDisconnect",
    "StopTxOnEVSideDisconnect",
)
"""Whether a session ends when the cable is out of the car, in 1.6 and 2.0.1."""

COMPONENTS: Final = ("SmartChargingCtrlr", "TxCtrlr")

MAX_TOLD: Final = 10_000
MAX_START_S: Final = 604_800
MAX_LIMIT: Final = 1e9
"""Beyond these nothing that a station says is meant."""

_UNITS: Final = {
    "current": LimitUnit.A,
    "a": LimitUnit.A,
    "power": LimitUnit.W,
    "w": LimitUnit.W,
}
"""Words for units in the field; the specification of 1.6 has the long ones."""

_TRUTHS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldLimits:
    """What a station says that it takes; ``None``: it does not say.

    Attributes:
        units: Not empty.
        ends_unplugged: A session ends when the cable is out of the car.
    """

    units: frozenset[LimitUnit] | None = None
    max_level: int | None = None
    max_periods: int | None = None
    ends_unplugged: bool | None = None


def told_limits(settings: Mapping[str, str]) -> ToldLimits:
    """Read a station's settings, by name without case; what makes no sense is unsaid.

    A station that says it takes no period at all does not mean it.
    """
    level, unit, periods = (
        _first(settings, names) for names in zip(KEYS, VARIABLES, strict=True)
    )
    ends = _first(settings, ENDS_UNPLUGGED)
    words = [] if unit is None else unit.replace(";", ",").split(",")
    units = frozenset(
        _UNITS[word.strip().casefold()]
        for word in words
        if word.strip().casefold() in _UNITS
    )
    return ToldLimits(
        units=units or None,
        max_level=_number(level, least=0),
        max_periods=_number(periods, least=1),
        ends_unplugged=_TRUTHS.get("" if ends is None else ends.strip().casefold()),
    )


def _first(settings: Mapping[str, str], names: tuple[str, str]) -> str | None:
    found = (settings.get(name.casefold()) for name in reversed(names))
    return next((value for value in found if value is not None), None)


def _number(text: str | None, *, least: int) -> int | None:
    if text is None or not text.strip().isascii() or not text.strip().isdigit():
        return None
    number = int(text.strip()[:9])
    return number if least <= number <= MAX_TOLD else None


def composite_periods(
    payload: Mapping[str, object],
) -> tuple[LimitUnit, tuple[tuple[int, float], ...]] | None:
    """The schedule in a GetCompositeSchedule answer of either version.

    Returns:
        Its unit, and (seconds from its start, limit); ``None`` where there is none that
        can be read.
    """
    for name in ("chargingSchedule", "schedule"):
        schedule = payload.get(name)
        if not isinstance(schedule, Mapping):
            continue
        unit = _UNITS.get(str(schedule.get("chargingRateUnit")).casefold())
        periods = schedule.get("chargingSchedulePeriod")
        if unit is None or not isinstance(periods, list):
            continue
        found = tuple(
            (int(start_s), float(limit))
            for period in periods
            if isinstance(period, Mapping)
            and isinstance(start_s := period.get("startPeriod", 0), int)
            and 0 <= start_s <= MAX_START_S
            and isinstance(limit := period.get("limit"), int | float)
            and abs(limit) < MAX_LIMIT
        )
        if found:
            return unit, found
    return None
