"""On which phases the car of a session surely draws, so that others may have the rest.

A limit in A holds on every phase of an EVSE, and a car with one or two phases leaves
what it is allowed on the others to nobody. Once it has been seen for a while to draw on
its phases and nothing on the others, it is counted on its own only: what is *counted*,
never what its station is told.

Nothing keeps such a car from drawing on a freed phase after all: the first sample that
shows it ends this for the session. `gateway.domain.spare` says what is kept free for
the time until then.

What is known belongs to one car: it ends with the session, with a restart of the
station, when the cable may have been out, and when samples stay away. What was seen
against it stays for the session: where current ever flowed is never taken for unused.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.phases import PerPhase, Rotation

QUIET_DA: Final = 3
"""Up to 0.3 A on a terminal is the meter's noise; so much is counted there."""

CLEAR_DA: Final = 50
"""From 5 A on a car charges on a terminal: none charges with less than 6 A."""

LEARN_SAMPLES: Final = 3
LEARN_FOR: Final = timedelta(seconds=110)
"""So many samples in a row that agree, over so long, tell the phases of a car."""

STALE_AFTER: Final = timedelta(seconds=180)
"""Site time without a sample after which nothing is known any more."""

ALL_TOLD: Final = frozenset({0, 1, 2})

UNEXPLAINED_SHARE: Final = 0.2
"""Power and currents of one sample agree this well, or the sample tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSample:
    """One sample of a session.

    Attributes:
        at: By the station's clock.
        heard_at: By ours.
        terminals_da: Currents of terminals L1..L3, 0.1 A; 0 where none was reported.
        told: Terminals whose current was reported.
        power_w: Power of the same instant, of all wired terminals, or ``None``.
        phase_v: Effective V per phase.
        n_wired: Terminals that are wired.
    """

    at: datetime
    heard_at: datetime
    terminals_da: PerPhase
    power_w: float | None
    phase_v: float
    n_wired: int
    told: frozenset[int] = ALL_TOLD

    @property
    def is_whole(self) -> bool:
        """Whether it says of each wired terminal what flows there."""
        return self.told >= set(range(self.n_wired))

    @property
    def loud(self) -> frozenset[int]:
        """Terminals with more than noise; also one that is not wired."""
        return frozenset(
            index for index, da in enumerate(self.terminals_da) if da > QUIET_DA
        )

    @property
    def is_clear(self) -> bool:
        """Whether it charges on every terminal that is not quiet, and power agrees."""
        loud = self.loud
        return (
            bool(loud)
            and all(self.terminals_da[index] >= CLEAR_DA for index in loud)
            and self.power_w is not None
            and abs(self.power_w - self._explained_w)
            <= UNEXPLAINED_SHARE * self._explained_w
        )

    @property
    def is_more_than_shown(self) -> bool:
        """Whether power flows that the currents do not explain."""
        one_w = self.phase_v * CLEAR_DA / 10
        return self.power_w is not None and (
            self.power_w > (1 + UNEXPLAINED_SHARE) * self._explained_w + one_w
        )

    @property
    def _explained_w(self) -> float:
        return sum(self.terminals_da) / 10 * self.phase_v


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseUse:
    """What the samples of one session show.

    Attributes:
        used: Terminals on which more than noise was ever seen in this session.
        since: First of the samples in a row that agree, by the station's clock.
        heard_since: When that reached us.
        n_agree: How many they are.
        at: The newest whole sample, by the station's clock; older ones teach nothing.
        heard_at: When it reached us.
        is_known: It draws on ``used`` and nowhere else.
        is_barred: It drew elsewhere after that: never known again in this session.
    """

    used: frozenset[int] = frozenset()
    since: datetime | None = None
    heard_since: datetime | None = None
    n_agree: int = 0
    at: datetime | None = None
    heard_at: datetime | None = None
    is_known: bool = False
    is_barred: bool = False

    def is_fresh(self, now: datetime) -> bool:
        """Whether samples have not stayed away; never one that is heard later on."""
        return self.heard_at is not None and (
            timedelta(0) <= now - self.heard_at < STALE_AFTER
        )

    def phases(self, wired: Rotation, now: datetime) -> Rotation | None:
        """Supply phases that the car is counted on; ``None``: on all of them."""
        if not self.is_known or not self.is_fresh(now) or len(self.used) >= len(wired):
            return None
        return tuple(phase for index, phase in enumerate(wired) if index in self.used)

    @property
    def against(self) -> tuple[frozenset[int], bool]:
        """What speaks against fewer phases, whatever else is forgotten."""
        return self.used, self.is_barred


NOTHING_SEEN: Final = PhaseUse()


def restarted(use: PhaseUse, at: datetime | None = None) -> PhaseUse:
    """Look anew: its station restarted, its cable was out or samples stayed away.

    Args:
        use: What was known; what speaks against fewer phases stays.
        at: No sample of before this teaches anything, by the station's clock.
    """
    known = [moment for moment in (use.at, at) if moment is not None]
    return PhaseUse(used=use.used, is_barred=use.is_barred, at=max(known, default=None))


def witness(use: PhaseUse, sample: PhaseSample) -> PhaseUse:
    """Take what speaks against fewer phases from a sample, however old it is."""
    if use.is_barred:
        return use
    loud = sample.loud
    used = use.used | loud
    is_elsewhere = used != use.used or (
        sample.told >= use.used and sample.is_more_than_shown
    )
    is_unwired = max(loud, default=0) >= sample.n_wired
    if is_unwired or (use.is_known and is_elsewhere):
        return PhaseUse(used=used, at=use.at, is_barred=True)
    if used != use.used:
        return replace(use, used=used, since=None, heard_since=None, n_agree=0)
    return use


def observe(use: PhaseUse, sample: PhaseSample) -> PhaseUse:
    """Fold one sample in.

    One that is not newer than the last, or leaves out a wired terminal, speaks against
    fewer phases at most: it neither teaches them nor keeps them known.
    """
    use = witness(use, sample)
    if use.is_barred or not sample.is_whole:
        return use
    if use.at is not None and sample.at <= use.at:
        return use
    if use.heard_at is not None and not use.is_fresh(sample.heard_at):
        use = restarted(use)
    use = replace(use, at=sample.at, heard_at=sample.heard_at)
    if use.is_known:
        return use
    if not sample.is_clear or sample.loud != use.used:
        return replace(use, since=None, heard_since=None, n_agree=0)
    if use.since is None or use.heard_since is None:
        return replace(use, since=sample.at, heard_since=sample.heard_at, n_agree=1)
    is_known = (
        use.n_agree + 1 >= LEARN_SAMPLES
        and sample.at - use.since >= LEARN_FOR
        and sample.heard_at - use.heard_since >= LEARN_FOR
    )
    return replace(use, n_agree=use.n_agree + 1, is_known=is_known)
