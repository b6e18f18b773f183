"""Whether a register is in the unit it claims, by what else the station measures.

A register that says Wh and counts kWh is a thousand times too low: no bill shows that,
but the power beside it does. What does not fit is named, and a factor is proposed to
an operator; nothing is multiplied here or anywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias

SCALE: Final = 1_000
LARGEST_GAP: Final = timedelta(minutes=30)
"""Samples further apart say too little of what was drawn between them."""
LEAST_MILLIWH: Final = 200_000
"""200 Wh by power: less says nothing about a register that counts whole kWh."""
MIN_COMPARISONS: Final = 2
"""Sessions that must agree before anything is proposed."""
NEAR: Final = 2.0
"""Within this factor of each other two measurements may well be of the same thing."""
ALIKE: Final = 1.2
"""Within this factor of their mean, sessions agree on what a unit is worth."""
CONTRADICTION: Final = 100.0
"""From this factor on, a register and the power of one session contradict."""
NOMINAL_V: Final = 230.0
HOUR_S: Final = 3600.0
MILLIWH_PER_WH: Final = 1_000


class Source(StrEnum):
    """What a register is compared with."""

    POWER = "power"
    CURRENT = "current"
    """Current times 230 V."""
    MAXIMUM = "maximum"
    """The most that the EVSE delivers in the time."""


class UnitVerdict(StrEnum):
    """What comparing shows."""

    UNKNOWN = "unknown"
    AS_SAID = "as_said"
    TOO_LOW = "thousand_times_too_low"
    TOO_HIGH = "thousand_times_too_high"
    PULSES = "counts_something_else"
    """The same odd factor every time: pulses, or a transformer's ratio."""
    UNCLEAR = "unclear"


FACTORS: Final = {UnitVerdict.TOO_LOW: "1000", UnitVerdict.TOO_HIGH: "0.001"}
"""What an operator is told that the register may have to be multiplied by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One instant at a meter; ``None`` where it says nothing."""

    at: datetime
    register_milliwh: int | None
    power_w: float | None
    current_a: float | None = None
    """The sum of all phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One session by its register and by something else, both in mWh."""

    source: Source
    register_milliwh: int
    other_milliwh: float

    @property
    def ratio(self) -> float:
        """How many times the register's energy the other one is."""
        return self.other_milliwh / max(1, self.register_milliwh)

    @property
    def is_contradiction(self) -> bool:
        """Whether no meter can be so wrong that both are in the unit they claim."""
        return not 1 / CONTRADICTION < self.ratio < CONTRADICTION


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFinding:
    """What several sessions show.

    Attributes:
        ratio: How many times the register's energy the other one was; ``None``: not
            compared.
        source: With what it was compared most.
        n_session: How many sessions could be compared.
    """

    verdict: UnitVerdict
    ratio: float | None
    source: Source | None
    n_session: int

    @property
    def factor(self) -> str | None:
        """What is proposed, as text; ``None``: nothing."""
        return FACTORS.get(self.verdict)


Pair: TypeAlias = tuple[Point, Point]


def compare(points: Sequence[Point]) -> Comparison | None:
    """Compare what a register advanced by with the power beside it.

    Args:
        points: Of one session, in time order.

    Returns:
        ``None`` where there is too little to compare.
    """
    for source in (Source.POWER, Source.CURRENT):
        register = 0
        other = 0.0
        for before, after in _pairs(points):
            first, second = _watts(before, source), _watts(after, source)
            if first is None or second is None:
                continue
            assert before.register_milliwh is not None, "see _pairs"
            assert after.register_milliwh is not None, "see _pairs"
            register += max(0, after.register_milliwh - before.register_milliwh)
            seconds = (after.at - before.at).total_seconds()
            other += (first + second) / 2 * seconds / HOUR_S * MILLIWH_PER_WH
        if other >= LEAST_MILLIWH:
            return Comparison(
                source=source, register_milliwh=register, other_milliwh=other
            )
    return None


def against_maximum(energy_milliwh: int, most_milliwh: float) -> Comparison | None:
    """Compare a session that delivered more than its EVSE can; ``None``: it can."""
    if energy_milliwh <= most_milliwh or most_milliwh <= 0:
        return None
    return Comparison(
        source=Source.MAXIMUM,
        register_milliwh=energy_milliwh,
        other_milliwh=most_milliwh,
    )


def judge_unit(comparisons: Sequence[Comparison]) -> UnitFinding:
    """What the comparisons of a station's, or a model's, sessions show together."""
    measured = [one for one in comparisons if one.source is not Source.MAXIMUM]
    used = measured or list(comparisons)
    if len(used) < MIN_COMPARISONS:
        return UnitFinding(
            verdict=UnitVerdict.UNKNOWN, ratio=None, source=None, n_session=len(used)
        )
    register = sum(one.register_milliwh for one in used)
    ratio = sum(one.other_milliwh for one in used) / max(1, register)
    source = used[0].source
    if source is Source.MAXIMUM:
        is_too_high = all(one.ratio * SCALE >= 1 for one in used)
        verdict = UnitVerdict.TOO_HIGH if is_too_high else UnitVerdict.UNCLEAR
    elif _is_near(ratio, 1.0):
        verdict = UnitVerdict.AS_SAID
    elif _is_near(ratio, SCALE):
        verdict = UnitVerdict.TOO_LOW
    elif _is_near(ratio, 1 / SCALE):
        verdict = UnitVerdict.TOO_HIGH
    elif source is Source.POWER and all(
        ratio / ALIKE <= one.ratio <= ratio * ALIKE for one in used
    ):
        verdict = UnitVerdict.PULSES
    else:
        verdict = UnitVerdict.UNCLEAR
    return UnitFinding(verdict=verdict, ratio=ratio, source=source, n_session=len(used))


def _pairs(points: Sequence[Point]) -> list[Pair]:
    """Neighbours that have a register each and are close in time."""
    known = [one for one in points if one.register_milliwh is not None]
    return [
        (before, after)
        for before, after in pairwise(known)
        if after.at - before.at <= LARGEST_GAP
    ]


def _watts(point: Point, source: Source) -> float | None:
    if source is Source.POWER:
        return point.power_w
    return None if point.current_a is None else point.current_a * NOMINAL_V


def _is_near(ratio: float, wanted: float) -> bool:
    return wanted / NEAR <= ratio <= wanted * NEAR
