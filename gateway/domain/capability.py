"""What a station can be told to draw: learned, never assumed for longer than needed.

A limit asks several things of a station at once: a purpose, a unit, a number of
periods, a kind of schedule, sometimes 0 A. Each is a `Feature` that a station may
refuse. What is known of a station comes from its model (``gateway.ocpp.quirks``), from
its own settings, from what it took and refused, and from what its cars did at 0 A.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self, assert_never

from gateway.domain.limits import LimitUnit, Purpose

FEW_PERIODS: Final = 2
"""A level and the floor that it decays to: no schedule of ours has fewer."""


class Feature(StrEnum):
    """What a limit may ask of a station; the first four are ways to limit a session."""

    SESSION = "session"
    EVSE_DEFAULT = "evse_default"
    STATION_DEFAULT = "station_default"
    STATION_MAX = "station_max"
    AMPERE = "ampere"
    WATT = "watt"
    ZERO = "zero"
    MANY_PERIODS = "many_periods"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    COMPOSITE = "composite"


WAYS: Final = (
    Feature.SESSION,
    Feature.EVSE_DEFAULT,
    Feature.STATION_DEFAULT,
    Feature.STATION_MAX,
)
"""From the limit of a transaction down to the maximum of the whole station."""

WHOLE_STATION: Final = frozenset({Feature.STATION_DEFAULT, Feature.STATION_MAX})
"""Ways that concern every EVSE: for stations that have only one."""

DEFAULT_WAYS: Final = (
    Feature.STATION_DEFAULT,
    Feature.EVSE_DEFAULT,
    Feature.STATION_MAX,
)
"""Where the safe default goes."""


class AtZero(StrEnum):
    """What becomes of a session that is limited to 0 A."""

    UNKNOWN = "unknown"
    PAUSES = "pauses"
    REFUSED = "refused"
    ENDS = "ends"


class Source(StrEnum):
    """Where a piece of knowledge comes from; the later in this list the stronger."""

    MODEL = "model"
    SETTINGS = "settings"
    ANSWERS = "answers"
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a station showed, with one firmware; it is stored.

    Attributes:
        firmware: Of the station when it was learned; another one makes it void.
        refused: Surely refused: all else was taken in the same limit.
        accepted: Was part of a limit that it took.
        at_zero: What its sessions did at 0 A.
    """

    firmware: str | None = None
    refused: frozenset[Feature] = frozenset()
    accepted: frozenset[Feature] = frozenset()
    at_zero: AtZero = AtZero.UNKNOWN

    @property
    def is_empty(self) -> bool:
        """Nothing was learned."""
        return self == Learnt(firmware=self.firmware)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Everything known about what a station can be told.

    Attributes:
        refused: What it does not take, from whatever source.
        accepted: What it took.
        max_level: Highest stack level by its own word; ours is 0 everywhere.
        max_periods: Most periods in a schedule; ``None``: not said.
        at_zero: What its sessions do at 0 A.
        ends_unplugged: It says that it ends a session whose cable is out of the car.
        sources: Where each refusal, ``max_level``, ``max_periods`` and ``at_zero`` come
            from.
    """

    refused: frozenset[Feature] = frozenset()
    accepted: frozenset[Feature] = frozenset()
    max_level: int | None = None
    max_periods: int | None = None
    at_zero: AtZero = AtZero.UNKNOWN
    ends_unplugged: bool = False
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))

    def without(self, features: Iterable[Feature]) -> Self:
        """The same while some features are not used: tried, not yet known."""
        return replace(self, refused=self.refused | frozenset(features))

    def takes(self, feature: Feature) -> bool:
        """Whether nothing speaks against a feature."""
        return feature not in self.refused

    def way(self, n_evse: int) -> Feature | None:
        """How sessions are limited; ``None``: in no way that is known."""
        return next(iter(self._ways(WAYS, n_evse)), None)

    def default_way(self, n_evse: int) -> Feature | None:
        """Where the safe default goes, by preference; ``None``: nowhere.

        A default beneath a maximum of the station would hide it: a station whose
        sessions obey its maximum only has its floor there, too.
        """
        if self.way(n_evse) is Feature.STATION_MAX:
            return Feature.STATION_MAX
        wanted = [
            w for w in DEFAULT_WAYS if n_evse == 1 or w is not Feature.STATION_MAX
        ]
        return next((way for way in wanted if self.takes(way)), None)

    def unit(self, wanted: LimitUnit) -> LimitUnit:
        """The wanted unit, or the other one where only that is taken."""
        other = LimitUnit.W if wanted is LimitUnit.A else LimitUnit.A
        is_refused = not self.takes(unit_feature(wanted))
        return other if is_refused and self.takes(unit_feature(other)) else wanted

    @property
    def is_relative(self) -> bool:
        """Whether schedules have to count from the start of the session."""
        return not self.takes(Feature.ABSOLUTE) and self.takes(Feature.RELATIVE)

    @property
    def can_pause(self) -> bool:
        """Whether a limit of 0 A can be sent."""
        return self.takes(Feature.ZERO)

    def periods(self, most: int) -> int:
        """How many periods a schedule may have, at most ``most``."""
        least = FEW_PERIODS if not self.takes(Feature.MANY_PERIODS) else most
        told = most if self.max_periods is None else max(1, self.max_periods)
        return min(most, least, told)

    def _ways(self, wanted: Iterable[Feature], n_evse: int) -> list[Feature]:
        return [
            way
            for way in wanted
            if self.takes(way) and (n_evse == 1 or way not in WHOLE_STATION)
        ]


def unit_feature(unit: LimitUnit) -> Feature:
    """A unit as a feature."""
    return Feature.AMPERE if unit is LimitUnit.A else Feature.WATT


def way_of(purpose: Purpose, target: int) -> Feature:
    """The way that a limit takes.

    Args:
        purpose: Of the limit.
        target: The EVSE it is sent for; 0: the whole station.
    """
    match purpose:
        case Purpose.SESSION:
            return Feature.SESSION
        case Purpose.DEFAULT:
            return Feature.EVSE_DEFAULT if target else Feature.STATION_DEFAULT
        case Purpose.STATION_MAX:
            return Feature.STATION_MAX
        case _:
            assert_never(purpose)
