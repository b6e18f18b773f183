"""What a car shows of itself while it charges: phases, its largest and least current.

Learned per session from samples taken under a limit that has been steady for a while.

What is planned and what is reserved. A fact changes what is *planned* only: how much
energy an ampere brings (``n_phase``), the largest current worth offering
(``ceiling_da``) and the least one that charges (``least_da``). The envelope of an EVSE
never reads any of this: it follows from the limits its station holds. So a car that
takes 16 A of 32 A frees 16 A only because its station is *told* 17 A. On which phases a
car is counted is another rule, which is far harder to satisfy, with room for its being
wrong: `gateway.domain.phase_use`.

Every fact can be refuted by the car itself. It is planned with what it takes, and where
the plan leaves room offered an ampere more: whoever uses that is offered everything
again.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.phases import PerPhase

STANDBY_DA: Final = 10
"""Below 1 A a car does not charge."""

TELLING_DA: Final = 50
"""From 5 A on, currents and power tell the number of phases."""

SMALL_SHARE: Final = 0.2
"""A terminal with less than this share of the largest current is not in use."""

WHOLE_WITHIN: Final = 0.25
"""How far power may be from that of a whole number of phases."""

GAP_DA: Final = 20
GAP_SHARE: Final = 1 / 8
"""A car takes clearly less than offered: by 2 A and by an eighth."""

HEADROOM_DA: Final = 10
REFUTED_DA: Final = 6
"""A ceiling is 1 A above what the car takes; using 0.6 A of that refutes it."""

VALID: Final = timedelta(hours=2)
"""So long a ceiling holds: a cold battery warms up."""

IDLE: Final = timedelta(minutes=3)
"""A car that is offered a current for so long and takes nothing will not start."""

CLIMB_DA: Final = 20
HIGHEST_MIN_DA: Final = 130
"""No car needs more than 13 A to charge; then it is full, or asleep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One sample and what the car was offered then.

    Attributes:
        at: When.
        terminals_da: Currents of terminals L1..L3, 0.1 A; DC: of the grid side.
        power_w: Power at the same instant, or ``None``.
        phase_v: Effective V per phase.
        n_wired: Phases of the EVSE.
        offered_da: Least that it was allowed for a while before the sample, per phase;
            ``None``: it changed just now, or is not known.
        tells_phases: Currents are per phase and AC.
        tells_ceiling: What it draws can be compared with what was offered.
    """

    at: datetime
    terminals_da: PerPhase
    power_w: float | None = None
    phase_v: float = 230.0
    n_wired: int = 3
    offered_da: int | None = None
    tells_phases: bool = True
    tells_ceiling: bool = True

    @property
    def drawn_da(self) -> int:
        """The largest current of any terminal."""
        return max(self.terminals_da)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarFacts:
    """What is known about the car of a session.

    Attributes:
        n_phase: How many phases it uses; ``None``: not known yet.
        taken_da: What it takes though clearly more was offered, or ``None``.
        taken_at: When that was seen.
        peak_da: Largest current seen.
        lowest_da: Least steady current it charged with, or ``None``.
        min_da: Least current to offer, found because it takes nothing at less.
        is_idle_by_choice: It stopped at a current that it had charged with.
        idle_at: Since when it takes nothing at ``idle_offer_da``.
        idle_offer_da: What it was offered then.
        hint_phase: Number of phases by the newest sample: learned when told twice.
        hint_taken_da: Likewise what it takes.
    """

    n_phase: int | None = None
    taken_da: int | None = None
    taken_at: datetime | None = None
    peak_da: int = 0
    lowest_da: int | None = None
    min_da: int | None = None
    is_idle_by_choice: bool = False
    idle_at: datetime | None = None
    idle_offer_da: int = 0
    hint_phase: int | None = None
    hint_taken_da: int | None = None

    @property
    def ceiling_da(self) -> int | None:
        """The largest current worth offering, whole ampere; ``None``: its rating."""
        if self.taken_da is None:
            return None
        return math.ceil((self.taken_da + HEADROOM_DA) / 10) * 10

    @property
    def reach_da(self) -> int | None:
        """What it takes, whole ampere: the largest current worth planning."""
        return None if self.taken_da is None else math.ceil(self.taken_da / 10) * 10

    @property
    def is_tapering(self) -> bool:
        """It takes clearly less than it took before, though more is offered."""
        return self.taken_da is not None and self.peak_da - self.taken_da >= GAP_DA

    def least_da(self, evse_min_da: int) -> int:
        """The least current that charges it at an EVSE."""
        return max(evse_min_da, self.min_da or 0)

    def kept(self) -> tuple[int | None, int | None, int | None, bool]:
        """What is worth storing: a change of it is stored, with all the rest."""
        return (*self.planned(), self.is_idle_by_choice)

    def at(self, now: datetime) -> "CarFacts":
        """What of it still holds at a time."""
        if self.taken_at is not None and now - self.taken_at > VALID:
            return replace(self, taken_da=None, taken_at=None, hint_taken_da=None)
        return self

    def planned(self) -> tuple[int | None, int | None, int | None]:
        """All that a plan reads; a change of it is worth a new plan."""
        return (self.n_phase, self.ceiling_da, self.min_da)


NOTHING_KNOWN: Final = CarFacts()


def learn(facts: CarFacts, seen: Seen) -> CarFacts:
    """Fold one sample in; samples come in the order of time."""
    facts = facts.at(seen.at)
    if seen.drawn_da < STANDBY_DA:
        return _idle(facts, seen)
    offered = seen.offered_da
    lowest = facts.lowest_da
    if offered is not None:
        lowest = min(seen.drawn_da, lowest or seen.drawn_da)
    facts = replace(
        facts,
        peak_da=max(facts.peak_da, seen.drawn_da),
        lowest_da=lowest,
        min_da=None if _took_less(facts, seen) else facts.min_da,
        is_idle_by_choice=False,
        idle_at=None,
    )
    return _ceiling(_phases(facts, seen), seen)


def _took_less(facts: CarFacts, seen: Seen) -> bool:
    """It charges although less than its supposed least current is offered."""
    return seen.offered_da is not None and seen.offered_da < (facts.min_da or 0)


def _idle(facts: CarFacts, seen: Seen) -> CarFacts:
    """It takes nothing: by its own choice, or because too little is offered."""
    facts = replace(facts, hint_phase=None, hint_taken_da=None)
    offered = seen.offered_da
    if offered is None or offered < STANDBY_DA:
        return replace(facts, idle_at=None)
    if facts.idle_at is None or facts.idle_offer_da != offered:
        is_enough = facts.lowest_da is not None and offered >= facts.lowest_da
        return replace(
            facts,
            idle_at=seen.at,
            idle_offer_da=offered,
            is_idle_by_choice=facts.is_idle_by_choice or is_enough,
        )
    if facts.is_idle_by_choice or seen.at - facts.idle_at < IDLE:
        return facts
    wanted = offered + CLIMB_DA
    if wanted > HIGHEST_MIN_DA:
        return replace(facts, min_da=None, is_idle_by_choice=True)
    return replace(facts, min_da=max(wanted, facts.min_da or 0))


def _phases(facts: CarFacts, seen: Seen) -> CarFacts:
    """Learn the number of phases when two samples in a row agree."""
    if not seen.tells_phases or seen.drawn_da < TELLING_DA:
        return facts
    found = _phases_of(seen)
    if found is None:
        return replace(facts, hint_phase=None)
    if found != facts.hint_phase:
        return replace(facts, hint_phase=found)
    return replace(facts, n_phase=found)


def _phases_of(seen: Seen) -> int | None:
    """Phases in use by one sample; ``None`` where currents and power disagree.

    A station that has one current for all terminals tells the number by its power. One
    that reports a single terminal of three is not believed against its power.
    """
    wired = seen.terminals_da[: seen.n_wired]
    by_current = sum(1 for da in wired if da >= SMALL_SHARE * seen.drawn_da)
    if seen.power_w is None:
        return by_current
    exact = seen.power_w / (seen.phase_v * seen.drawn_da / 10)
    by_power = round(exact)
    if by_power == by_current:
        return by_current
    is_alike = by_current == seen.n_wired and max(wired) - min(wired) <= 1
    is_whole = 1 <= by_power <= seen.n_wired and abs(exact - by_power) <= WHOLE_WITHIN
    return by_power if is_alike and is_whole else None


def _ceiling(facts: CarFacts, seen: Seen) -> CarFacts:
    """Learn what it takes when two samples in a row are clearly below the offer."""
    if not seen.tells_ceiling:
        return facts
    drawn, taken = seen.drawn_da, facts.taken_da
    if taken is not None and drawn >= taken + REFUTED_DA:
        return replace(facts, taken_da=None, taken_at=None, hint_taken_da=None)
    offered = seen.offered_da
    if offered is None:
        return facts
    if offered - drawn < max(GAP_DA, offered * GAP_SHARE):
        return replace(facts, hint_taken_da=None)
    if facts.hint_taken_da is None:
        return replace(facts, hint_taken_da=drawn)
    return replace(
        facts,
        taken_da=max(drawn, facts.hint_taken_da),
        taken_at=seen.at,
        hint_taken_da=drawn,
    )
