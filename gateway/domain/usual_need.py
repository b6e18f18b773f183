"""What drivers who state no need are assumed to need, and where that comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

WORKING_DAYS: Final = 5

BUILT_IN_ENERGY_WH: Final = 15_000
BUILT_IN_STAY_S: Final = 14_400
"""Where neither configuration nor history says anything."""

LEAST_VISITS: Final = 12
"""Fewer visits say nothing: a wider part of the week is looked at."""

ENERGY_QUANTILE: Final = 0.75
STAY_QUANTILE: Final = 0.25
"""Rather too much energy than too little, rather an early departure than a late one."""


class NeedSource(StrEnum):
    """Whose word an energy or a departure is."""

    DRIVER = "driver"
    TOKEN_GROUP = "token_group"  # noqa: S105 - a word, no password
    STATION = "station"
    SITE = "site"
    HISTORY = "history"
    BUILT_IN = "built_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """Somebody's assumption; a part may be missing.

    Attributes:
        energy_wh: From the start of the session on, Wh.
        stay_s: From its start to the departure, s.
        may_pause: False: plans do not pause it once it charges.
    """

    energy_wh: int | None = None
    stay_s: int | None = None
    may_pause: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is assumed in the end, and by whose word."""

    energy_wh: int
    energy_from: NeedSource
    stay_s: int
    stay_from: NeedSource


@dataclass(frozen=True, slots=True)
class Visit:
    """A session of the past.

    Attributes:
        started_at: In local time of the site.
        energy_wh: What was charged.
        stay_s: How long it lasted.
    """

    started_at: datetime
    energy_wh: int
    stay_s: int


def assumed(
    *, token_group: Default, station: Default, site: Default, history: Default
) -> Assumed:
    """The first that says something counts, for energy and stay on their own."""
    order = (
        (NeedSource.TOKEN_GROUP, token_group),
        (NeedSource.STATION, station),
        (NeedSource.SITE, site),
        (NeedSource.HISTORY, history),
        (
            NeedSource.BUILT_IN,
            Default(energy_wh=BUILT_IN_ENERGY_WH, stay_s=BUILT_IN_STAY_S),
        ),
    )
    energy_wh, energy_from = next(
        (one.energy_wh, source) for source, one in order if one.energy_wh is not None
    )
    stay_s, stay_from = next(
        (one.stay_s, source) for source, one in order if one.stay_s is not None
    )
    return Assumed(
        energy_wh=energy_wh,
        energy_from=energy_from,
        stay_s=stay_s,
        stay_from=stay_from,
    )


def usual(visits: Sequence[Visit], at: datetime) -> Default:
    """What visits that began at this time of the week were like.

    Args:
        visits: Of the last weeks.
        at: A start, in local time of the site.

    Returns:
        Quantiles over the same hour of the same weekday, one hour more or less, or the
        same hours of all working days or weekends, or of every day: the first with
        enough visits. Empty where even that has too few.
    """
    found = alike(visits, at)
    if not found:
        return Default()
    return Default(
        energy_wh=_quantile([v.energy_wh for v in found], ENERGY_QUANTILE),
        stay_s=_quantile([v.stay_s for v in found], STAY_QUANTILE),
    )


def alike(visits: Sequence[Visit], at: datetime) -> list[Visit]:
    """The visits that `usual` looks at; none where there are too few."""
    for like in (_same_hour, _near_hour, _same_kind_of_day, _any_day, _any_time):
        found = [visit for visit in visits if like(visit.started_at, at)]
        if len(found) >= LEAST_VISITS:
            return found
    return []


def _same_hour(one: datetime, at: datetime) -> bool:
    return one.weekday() == at.weekday() and one.hour == at.hour


def _near_hour(one: datetime, at: datetime) -> bool:
    return one.weekday() == at.weekday() and abs(one.hour - at.hour) <= 1


def _same_kind_of_day(one: datetime, at: datetime) -> bool:
    is_alike = (one.weekday() < WORKING_DAYS) == (at.weekday() < WORKING_DAYS)
    return is_alike and abs(one.hour - at.hour) <= 1


def _any_day(one: datetime, at: datetime) -> bool:
    return abs(one.hour - at.hour) <= 1


def _any_time(_one: datetime, _at: datetime) -> bool:
    return True


def _quantile(values: list[int], share: float) -> int:
    """The nearest of the values themselves: half-way numbers would be made up."""
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]
