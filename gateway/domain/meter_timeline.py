"""What a meter's register counts, as far as its sessions show it.

A register should count the life of its meter and never go back (OCPP 1.6 errata 3.78).
Stations differ: theirs count from the start of each transaction, or from the last
restart, run over, or hold a 0 where the value was not known; and meters are exchanged.
What was seen gets a name; no number is invented, and no bill rests on a name.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.ids import SessionId
from gateway.domain.neighbours import (
    REGISTER_TOLERANCE_MILLIWH,
    idle_milliwh,
    rolls_over,
)
from gateway.domain.session import Session, SessionPhase
from gateway.domain.verdict import Judgement, judge

_NO_SERIALS: Final[Mapping[SessionId, str]] = {}
MIN_SUCCESSIONS: Final = 2
"""Sessions after another one that must have been seen before a register has a name."""
BOOT_SLACK: Final = timedelta(minutes=1)
"""A boot counts as between two sessions although the clocks differ by so much."""


class Semantics(StrEnum):
    """What a register counts from session to session."""

    UNKNOWN = "unknown"
    """Too few sessions."""
    LIFETIME = "lifetime"
    """It goes on where the session before ended, or above."""
    PER_TRANSACTION = "per_transaction"
    """Each session begins at 0."""
    RESETS_AT_BOOT = "resets_at_boot"
    """It went back, each time after the station had restarted."""
    RESETS = "resets"
    """It went back without a restart: another meter, or an overflow."""


class Oddity(StrEnum):
    """What was seen in single sessions."""

    PLACEHOLDER_START = "placeholder_start"
    """A start of 0 on a register that counts a lifetime."""
    PLACEHOLDER_END = "placeholder_end"
    """An end of 0 on such a register."""
    RELATIVE_SAMPLES = "relative_samples"
    """Samples count from the start of the session, start and end do not."""
    DROPOUTS = "dropouts"
    """Samples went back on their way, as to 0."""
    SAMPLE_ABOVE_END = "sample_above_end"
    """A sample is above the end: it came late, or the end was read too early."""
    END_BELOW_START = "end_below_start"
    """The end is below the start."""
    ROLLOVER = "rollover"
    """The end is below the start as of a counter that ran over its last digit."""


class Opening(StrEnum):
    """Why a segment of a meter's life begins."""

    FIRST = "first"
    BOOT = "boot"
    RESET = "reset"
    WITHIN_SESSION = "within_session"
    ROLLOVER = "rollover"
    """The counter ran over its last digit."""
    METER_CHANGED = "meter_changed"
    """The meter has another serial number."""


_NO_RESET: Final = frozenset({Opening.ROLLOVER, Opening.METER_CHANGED})
"""Such a register counts a lifetime all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """A restart of a station, and the meter that it named.

    Attributes:
        meter_serial: ``None``: it named none.
    """

    at: datetime
    meter_serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Serials:
    """The meter of a session, by each who names it; only like is compared with like."""

    signed: str | None
    booted: str | None

    def is_other(self, before: "_Serials") -> bool:
        """Whether this is another meter than before."""
        pairs = ((before.signed, self.signed), (before.booted, self.booted))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def after(self, before: "_Serials") -> "_Serials":
        """What is known from here on; silence changes nothing."""
        return _Serials(
            signed=self.signed or before.signed, booted=self.booted or before.booted
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a meter's life in which its register only grew.

    From its first to its last register it is, to the milliwatt-hour, the energy of its
    sessions and of what lies between them.

    Attributes:
        sessions_milliwh: Of its sessions, by the registers that count for them.
        idle_milliwh: Between them, no more than an idle station draws.
        missing_milliwh: Between them, and more: in no session that is known.
        meter_serial: As signed records name it, else as the station did.
    """

    opened_by: Opening
    from_session: SessionId
    to_session: SessionId
    from_at: datetime
    to_at: datetime
    from_milliwh: int
    to_milliwh: int
    n_session: int = 1
    sessions_milliwh: int = 0
    idle_milliwh: int = 0
    missing_milliwh: int = 0
    meter_serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A meter as its sessions show it.

    Attributes:
        semantics: What its register counts.
        oddities: How many sessions showed each.
        segments: In order of time.
        n_session: Ended sessions with registers that were looked at.
    """

    semantics: Semantics
    oddities: Mapping[Oddity, int]
    segments: tuple[Segment, ...]
    n_session: int


def timeline(
    sessions: Sequence[Session],
    *,
    boots: Sequence[Boot] = (),
    serials: Mapping[SessionId, str] = _NO_SERIALS,
    rated_w: float | None = None,
) -> Timeline:
    """Read the life of one meter from its sessions.

    Args:
        sessions: Of one EVSE, by their start; those that run are passed over.
        boots: When the station restarted, ascending.
        serials: Which meter signed the records of a session, where one did.
        rated_w: What the EVSE delivers at most, W; ``None`` if unknown.
    """
    segments: list[Segment] = []
    oddities: Counter[Oddity] = Counter()
    openings: Counter[Opening] = Counter()
    n_session = n_zero = 0
    known = _Serials(signed=None, booted=None)
    boot_times = [one.at for one in boots]
    for session in sessions:
        if session.phase is not SessionPhase.ENDED:
            continue
        found = judge(session, rated_w=rated_w)
        odd = _oddities(session, found)
        oddities.update(odd)
        step = _step(session, found, odd)
        if step is None:
            continue
        n_session += 1
        meter = _Serials(
            signed=serials.get(session.session_id), booted=_booted(step.to_at, boots)
        )
        is_other, known = meter.is_other(known), meter.after(known)
        step = replace(step, meter_serial=known.signed or known.booted)
        if not segments:
            segments.append(step)
            continue
        opening = _opening(segments[-1], step, boot_times, odd)
        if is_other:
            opening = Opening.METER_CHANGED
        if opening is None:
            segments[-1] = _grown(segments[-1], step)
            continue
        n_zero += step.from_milliwh <= REGISTER_TOLERANCE_MILLIWH
        openings[opening] += 1
        segments.append(replace(step, opened_by=opening))
    return Timeline(
        semantics=_semantics(n_session - 1, n_zero, openings),
        oddities=dict(oddities),
        segments=tuple(segments),
        n_session=n_session,
    )


def _semantics(
    n_succession: int, n_zero: int, openings: Mapping[Opening, int]
) -> Semantics:
    n_reset = sum(n for why, n in openings.items() if why not in _NO_RESET)
    if n_succession < MIN_SUCCESSIONS:
        return Semantics.UNKNOWN
    if n_reset == 0:
        return Semantics.LIFETIME
    if n_zero == n_succession:
        return Semantics.PER_TRANSACTION
    if openings.get(Opening.BOOT, 0) == n_reset:
        return Semantics.RESETS_AT_BOOT
    return Semantics.RESETS


def _oddities(session: Session, found: Judgement) -> set[Oddity]:
    odd: set[Oddity] = set()
    start, end = session.register_start_milliwh, session.register_end_milliwh
    low, last = session.register_low_milliwh, session.register_last_milliwh
    is_zero = start == 0 and "faster_than_rated" in found.reasons
    if "placeholder_start" in found.reasons or is_zero:
        odd.add(Oddity.PLACEHOLDER_START)
    if "placeholder_end" in found.reasons:
        odd.add(Oddity.PLACEHOLDER_END)
    elif "end_below_start" in found.reasons:
        odd.add(Oddity.END_BELOW_START)
    elif "register_rollover" in found.reasons:
        odd.add(Oddity.ROLLOVER)
    if "register_drop" in session.verdicts:
        odd.add(Oddity.DROPOUTS)
    elif (
        start is not None
        and low is not None
        and low < start - REGISTER_TOLERANCE_MILLIWH
    ):
        odd.add(Oddity.RELATIVE_SAMPLES)
    if (
        end
        and last is not None
        and last > end + REGISTER_TOLERANCE_MILLIWH
        and (start is None or last > start)
    ):
        odd.add(Oddity.SAMPLE_ABOVE_END)
    return odd


def _step(session: Session, found: Judgement, odd: set[Oddity]) -> Segment | None:
    """What one session says about its meter; ``None``: nothing that can be placed."""
    start, end = found.register_start_milliwh, found.register_end_milliwh
    starts, ends = session.started_at, session.ended_at
    if Oddity.PLACEHOLDER_START in odd and not start:
        start = end  # where it stood is not known
    if start is None or end is None or starts is None or ends is None:
        return None
    is_back = end < start
    return Segment(
        opened_by=Opening.FIRST,
        from_session=session.session_id,
        to_session=session.session_id,
        from_at=ends if is_back else starts,
        to_at=ends,
        from_milliwh=end if is_back else start,
        to_milliwh=end,
        sessions_milliwh=0 if is_back else end - start,
    )


def _booted(at: datetime, boots: Sequence[Boot]) -> str | None:
    """The meter that a station named when it last booted before a moment."""
    named = [one.meter_serial for one in boots if one.at <= at and one.meter_serial]
    return named[-1] if named else None


def _opening(
    before: Segment, step: Segment, boots: Sequence[datetime], odd: set[Oddity]
) -> Opening | None:
    """Why a session does not go on from the one before; ``None``: it does."""
    if Oddity.ROLLOVER in odd:
        return Opening.ROLLOVER
    if Oddity.END_BELOW_START in odd:
        return Opening.WITHIN_SESSION
    if step.from_milliwh >= before.to_milliwh - REGISTER_TOLERANCE_MILLIWH:
        return None
    apart = step.from_at - before.to_at
    if rolls_over(before.to_milliwh, step.from_milliwh, idle_milliwh(apart)):
        return Opening.ROLLOVER
    first = bisect_right(boots, before.to_at - BOOT_SLACK)
    is_after_boot = first < len(boots) and boots[first] <= step.from_at + BOOT_SLACK
    return Opening.BOOT if is_after_boot else Opening.RESET


def _grown(before: Segment, step: Segment) -> Segment:
    advance = step.from_milliwh - before.to_milliwh
    is_idle = advance <= idle_milliwh(step.from_at - before.to_at)
    return replace(
        before,
        to_session=step.to_session,
        to_at=max(before.to_at, step.to_at),
        to_milliwh=step.to_milliwh,
        n_session=before.n_session + 1,
        sessions_milliwh=before.sessions_milliwh + step.sessions_milliwh,
        idle_milliwh=before.idle_milliwh + (advance if is_idle else 0),
        missing_milliwh=before.missing_milliwh + (0 if is_idle else advance),
        meter_serial=step.meter_serial,
    )
