"""On which phases the car of a session surely draws, so that others may have the rest.

A limit in A holds on every phase of an EVSE, and a car with one or two phases leaves
what it is allowed on the others to nobody. Once it has been seen for a while to draw on
its phases and nothing on the others, it is counted on its own only: what is *counted*,
never what its station is told.

Nothing keeps such a car from drawing on a freed phase after all: the first sample that
shows it ends this for the session. `gateway.domain.spare` says what is kept free for
the time until then.

What is known belongs to one car: it ends with the session, with a restart of the
station, when the cable was out, and when samples stay away.
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

UNEXPLAINED_SHARE: Final = 0.2
"""Power and currents of one sample agree this well, or the sample tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSample:
    """One sample of a session.

    Attributes:
        at: By the station's clock.
        heard_at: By ours.
        terminals_da: Currents of terminals L1..L3, 0.1 A.
        power_w: Power of the same instant, or ``None``.
        phase_v: Effective V per phase.
        n_wired: Terminals that are wired.
    """

    at: datetime
    heard_at: datetime
    terminals_da: PerPhase
    power_w: float | None
    phase_v: float
    n_wired: int

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
        used: Terminals on which more than noise was ever seen.
        since: First of the samples in a row that agree, by the station's clock.
        n_agree: How many they are.
        at: The newest sample, by the station's clock.
        heard_at: When it reached us.
        is_known: It draws on ``used`` and nowhere else.
        is_barred: It drew elsewhere after that: never known again in this session.
    """

    used: frozenset[int] = frozenset()
    since: datetime | None = None
    n_agree: int = 0
    at: datetime | None = None
    heard_at: datetime | None = None
    is_known: bool = False
    is_barred: bool = False

    def is_fresh(self, now: datetime) -> bool:
        """Whether samples have not stayed away."""
        return self.heard_at is not None and now - self.heard_at < STALE_AFTER

    def phases(self, wired: Rotation, now: datetime) -> Rotation | None:
        """Supply phases that the car is counted on; ``None``: on all of them."""
        if not self.is_known or not self.is_fresh(now) or len(self.used) >= len(wired):
            return None
        return tuple(phase for index, phase in enumerate(wired) if index in self.used)


NOTHING_SEEN: Final = PhaseUse()


def restarted(use: PhaseUse) -> PhaseUse:
    """Its station restarted, its cable was out or samples stayed away: look anew."""
    return PhaseUse(is_barred=use.is_barred)


def observe(use: PhaseUse, sample: PhaseSample) -> PhaseUse:
    """Fold one sample in; one that is not newer than the last says nothing."""
    if use.is_barred or (use.at is not None and sample.at <= use.at):
        return use
    if use.heard_at is not None and sample.heard_at - use.heard_at >= STALE_AFTER:
        use = restarted(use)
    loud = sample.loud
    is_elsewhere = not loud <= use.used or sample.is_more_than_shown
    if use.is_known and is_elsewhere:
        return PhaseUse(is_barred=True)
    use = replace(use, at=sample.at, heard_at=sample.heard_at)
    if use.is_known:
        return use
    if max(loud, default=0) >= sample.n_wired:
        return PhaseUse(is_barred=True)
    is_same = bool(use.used) and loud == use.used and use.n_agree > 0
    use = replace(use, used=use.used | loud)
    if not sample.is_clear or loud != use.used:
        return replace(use, since=None, n_agree=0)
    since = use.since if is_same and use.since is not None else sample.at
    n_agree = use.n_agree + 1 if is_same else 1
    is_known = n_agree >= LEARN_SAMPLES and sample.at - since >= LEARN_FOR
    return replace(use, since=since, n_agree=n_agree, is_known=is_known)
