"""What readings mean, and whether a session's energy may be billed.

Billable energy is a difference of two registers of one physical meter. Whatever looks
wrong becomes a named reason and a verdict; nothing is dropped, nothing made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.domain.events import CURRENT, POWER, REGISTER, SOC, SessionUpdated
from gateway.domain.signed_session import UNSIGNED, SignedFinding, SignedVerdict
from gateway.domain.units import MAX_REGISTER_WH, floor_milliwh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from gateway.domain.events import Reading
    from gateway.domain.session import Session, SessionEvent

BEGIN: Final = "Transaction.Begin"
END: Final = "Transaction.End"

RATING_TOLERANCE: Final = 1.05
REGISTER_TOLERANCE_MILLIWH: Final = 10_000
"""10 Wh: what a register may advance beyond the rated power (resolution, latency)."""
SAMPLE_TOLERANCE: Final = timedelta(seconds=60)
LARGEST_STATION_W: Final = 1_000_000.0
"""No EVSE draws more; bounds a session whose rating is unknown."""
MAX_PLAUSIBLE: Final = 10**9
"""Larger values of power, current or charge are kept as text only."""
FIRST_TRUSTED_YEAR: Final = 2000

OUTLET: Final = "Outlet"
INLET: Final = "Inlet"


class Verdict(StrEnum):
    """May the energy be billed? Only the first two settle by themselves."""

    OK = "ok"
    OK_UNSIGNED = "ok-unsigned"
    RECONSTRUCTED = "reconstructed"
    SUSPICIOUS = "suspicious"
    UNBILLABLE = "unbillable"


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All readings of one instant, the usual ones sorted out.

    Attributes:
        register_milliwh: Total import register, floored; ``None`` when not given.
        power_w: Total active power, W.
        current_a: L1..L3, A. A value without a phase counts on all three: that is
            the safe side for a limit.
        others: The remaining readings as ``measurand[/phase][@location] -> value``,
            exact text.
    """

    sampled_at: datetime
    context: str
    register_milliwh: int | None = None
    power_w: float | None = None
    current_a: tuple[float, float, float] | None = None
    soc_percent: float | None = None
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one ended session.

    Attributes:
        reasons: Words, ascending; empty when all is well.
        register_start_milliwh: The start that counts, maybe reconstructed.
        register_end_milliwh: The end that counts, maybe reconstructed.
        energy_milliwh: Their difference; 0 for ``UNBILLABLE``.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    register_start_milliwh: int | None
    register_end_milliwh: int | None
    energy_milliwh: int


def samples_in(event: SessionEvent) -> tuple[Sample, ...]:
    """The samples of an event, sorted by the adapter or here."""
    if isinstance(event, SessionUpdated) and event.samples:
        return event.samples
    return samples_of(event.readings)


def samples_of(readings: Sequence[Reading]) -> tuple[Sample, ...]:
    """Group readings by their instant, in time order."""
    if not readings:
        return ()
    first_at = readings[0].sampled_at
    for reading in readings:
        if reading.sampled_at != first_at:
            break
    else:
        return (_sample(first_at, readings),)
    groups: dict[datetime, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.sampled_at, []).append(reading)
    return tuple(_sample(at, groups[at]) for at in sorted(groups))


def judge(
    session: Session,
    *,
    rated_w: float | None = None,
    signed: SignedFinding = UNSIGNED,
    previous_end_milliwh: int | None = None,
) -> Judgement:
    """Judge the energy of an ended session.

    Args:
        session: An ended session; its ``verdicts`` are taken into account.
        rated_w: What the EVSE can deliver at most, W; ``None`` if unknown.
        signed: What its signed records prove. Where that suffices their registers
            are the ones that count, checked against the others.
        previous_end_milliwh: Register at which the session before ended on the same
            EVSE: the candidate for a start that was never received.

    Raises:
        ValueError: The session is still running.
    """
    if session.ended_by is None:
        raise ValueError(f"session {session.session_id} is still running")
    held = {word: _WEIGHT.get(word, Verdict.OK) for word in session.verdicts}
    if session.has_gap:
        held["incomplete"] = Verdict.OK
    start, end = _registers(session, rated_w, held, previous_end_milliwh)
    energy_milliwh = 0
    if start is None or end is None:
        held["no_register"] = Verdict.UNBILLABLE
    elif end < start:
        held["end_below_start"] = Verdict.SUSPICIOUS
    else:
        energy_milliwh = end - start
        _check_power(session, energy_milliwh, rated_w, held)
        _check_samples(session, start, end, held)
        _check_continuity(session, start, previous_end_milliwh, held)
    _check_clock(session, held)
    good = Verdict.OK_UNSIGNED
    match signed.verdict:
        case SignedVerdict.OK:
            good = Verdict.OK
            start, end, energy_milliwh = _signed(signed, energy_milliwh, held)
        case SignedVerdict.FAILED:
            held |= dict.fromkeys(signed.reasons, Verdict.SUSPICIOUS)
        case SignedVerdict.UNVERIFIED:
            held |= dict.fromkeys(signed.reasons, Verdict.OK)
        case SignedVerdict.UNSIGNED:
            pass
    worst = max(held.values(), key=_ORDER.index, default=Verdict.OK)
    verdict = good if worst is Verdict.OK else worst
    return Judgement(
        verdict=verdict,
        reasons=tuple(sorted(held)),
        register_start_milliwh=start,
        register_end_milliwh=end,
        energy_milliwh=0 if verdict is Verdict.UNBILLABLE else energy_milliwh,
    )


_ORDER: Final = tuple(Verdict)
_WEIGHT: Final = {
    "amended": Verdict.SUSPICIOUS,
    "amended_start": Verdict.SUSPICIOUS,
    "ended_by_operator": Verdict.RECONSTRUCTED,
    "matched_by_place": Verdict.RECONSTRUCTED,
    "register_drop": Verdict.SUSPICIOUS,
    "superseded": Verdict.RECONSTRUCTED,
}


_OF_REGISTERS: Final = frozenset(
    {
        "no_end_register",
        "no_register",
        "no_start_register",
        "placeholder_end",
        "placeholder_start",
        "start_from_previous",
    }
)
"""What is of no matter where begin and end are signed."""
_ALL_UNKNOWN: Final = frozenset({"end_below_start", *_OF_REGISTERS})


def _signed(
    signed: SignedFinding, energy_milliwh: int, held: dict[str, Verdict]
) -> tuple[int, int, int]:
    """Take the signed registers; say so where the others do not agree."""
    start, end = signed.register_start_milliwh, signed.register_end_milliwh
    assert start is not None, "it is signed"
    assert end is not None, "it is signed"
    signed_milliwh = end - start
    if _ALL_UNKNOWN.isdisjoint(held):
        difference = abs(signed_milliwh - energy_milliwh)
        tolerance = max(REGISTER_TOLERANCE_MILLIWH, signed_milliwh // 100)
        if difference > tolerance:
            held["signed_energy_differs"] = Verdict.SUSPICIOUS
    for word in _OF_REGISTERS & held.keys():
        held[word] = Verdict.OK
    return start, end, signed_milliwh


def _registers(
    session: Session,
    rated_w: float | None,
    held: dict[str, Verdict],
    previous: int | None,
) -> tuple[int | None, int | None]:
    """Pick the registers that count; note every one that had to be replaced."""
    start, end = session.register_start_milliwh, session.register_end_milliwh
    low, last = session.register_low_milliwh, session.register_last_milliwh
    if not session.has_start:
        held["no_start"] = Verdict.RECONSTRUCTED
    if previous is not None and _is_candidate(session, previous):
        start = previous
        held["start_from_previous"] = Verdict.RECONSTRUCTED
    elif start is None and low is not None:
        start = low
        held["no_start_register"] = Verdict.RECONSTRUCTED
    elif start == 0 and low is not None and _is_placeholder(session, low, rated_w):
        start = low
        held["placeholder_start"] = Verdict.RECONSTRUCTED
    if end is None and last is not None:
        end = last
        held["no_end_register"] = Verdict.RECONSTRUCTED
    elif end == 0 and start and last is not None and last >= start:
        end = last
        held["placeholder_end"] = Verdict.RECONSTRUCTED
    return start, end


def _is_candidate(session: Session, previous: int) -> bool:
    """Whether a session without a start can have begun where the last one ended."""
    if session.has_start or session.register_start_milliwh is not None:
        return False
    known = (session.register_low_milliwh, session.register_end_milliwh)
    seen = [register for register in known if register is not None]
    return bool(seen) and previous <= min(seen)


def _is_placeholder(session: Session, low: int, rated_w: float | None) -> bool:
    """Whether a start register of 0 cannot be true for the first sample seen."""
    if session.started_at is None or session.first_sample_at is None:
        return False
    elapsed = session.first_sample_at - session.started_at
    return low > most_milliwh(elapsed, rated_w)


def most_milliwh(duration: timedelta, rated_w: float | None) -> float:
    """The most that an EVSE may have delivered in a time; rating ``None``: unknown."""
    watts = LARGEST_STATION_W if rated_w is None else rated_w * RATING_TOLERANCE
    seconds = max(0.0, duration.total_seconds())
    return watts * seconds / 3.6 + REGISTER_TOLERANCE_MILLIWH


def _check_power(
    session: Session,
    energy_milliwh: int,
    rated_w: float | None,
    held: dict[str, Verdict],
) -> None:
    if session.started_at is None or session.ended_at is None:
        return
    if "start_from_previous" in held:
        return  # nobody knows when that was
    duration = session.ended_at - session.started_at
    if energy_milliwh > most_milliwh(duration, rated_w):
        held["faster_than_rated"] = Verdict.SUSPICIOUS


def _check_continuity(
    session: Session, start: int, previous: int | None, held: dict[str, Verdict]
) -> None:
    """Say so when energy was drawn between sessions; it is no fault of this one."""
    if (
        previous is not None
        and session.has_start
        and start - previous > REGISTER_TOLERANCE_MILLIWH
    ):
        held["missing_energy"] = Verdict.OK


def _check_samples(
    session: Session, start: int, end: int, held: dict[str, Verdict]
) -> None:
    low, last = session.register_low_milliwh, session.register_last_milliwh
    is_below = low is not None and low < start
    is_above = last is not None and last > end + REGISTER_TOLERANCE_MILLIWH
    if is_below or is_above:
        held["sample_outside_registers"] = Verdict.SUSPICIOUS
    earliest, latest = session.first_sample_at, session.last_sample_at
    starts, ends = session.started_at, session.ended_at
    if (earliest and starts and earliest < starts - SAMPLE_TOLERANCE) or (
        latest and ends and latest > ends + SAMPLE_TOLERANCE
    ):
        held["sample_outside_session"] = Verdict.SUSPICIOUS


def _check_clock(session: Session, held: dict[str, Verdict]) -> None:
    starts, ends = session.started_at, session.ended_at
    if starts is None or ends is None:
        return
    if starts.year < FIRST_TRUSTED_YEAR or ends.year < FIRST_TRUSTED_YEAR:
        held["clock_unset"] = Verdict.SUSPICIOUS
    elif ends < starts:
        held["ends_before_start"] = Verdict.SUSPICIOUS


def _sample(at: datetime, readings: Sequence[Reading]) -> Sample:
    register: int | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    currents: list[float | None] = [None, None, None]
    context = readings[0].context
    others: list[tuple[str, str]] = []
    place = _meter_place(readings)
    for reading in readings:
        value = reading.value
        role, label = _role(reading.measurand, reading.phase, reading.location, place)
        if role == _OTHER:
            others.append((label, str(value)))
        elif role == _REGISTER and register is None and _is_register(value):
            register, context = int(floor_milliwh(value)), reading.context
        elif not _is_plausible(value):
            others.append((label, str(value)))
        elif role <= _L3:
            currents[role] = float(value)
        elif role == _EACH_PHASE:
            each = float(value)
            currents = [each if known is None else known for known in currents]
        elif role == _POWER and power_w is None:
            power_w = float(value)
        elif role == _SOC and soc_percent is None:
            soc_percent = float(value)
        else:
            others.append((label, str(value)))
    has_current = currents != _NO_CURRENT
    l1, l2, l3 = (0.0 if value is None else value for value in currents)
    return Sample(
        sampled_at=at,
        context=context,
        register_milliwh=register,
        power_w=power_w,
        current_a=(l1, l2, l3) if has_current else None,
        soc_percent=soc_percent,
        others=tuple(others),
    )


_L1, _L2, _L3, _EACH_PHASE, _REGISTER, _POWER, _SOC, _OTHER = range(8)
"""What a reading is in its `Sample`; the phases are indices into its currents."""
_PHASES: Final = {
    None: _EACH_PHASE,
    "L1": _L1,
    "L2": _L2,
    "L3": _L3,
    "L1-N": _L1,
    "L2-N": _L2,
    "L3-N": _L3,
}
_NO_CURRENT: Final = [None, None, None]


@lru_cache(maxsize=1024)  # a station sends the same few again and again
def _role(
    measurand: str, phase: str | None, location: str, place: str
) -> tuple[int, str]:
    """What a reading is, where the meter sits at ``place``; and what to call it."""
    role = _OTHER
    if measurand == SOC:
        role = _SOC
    elif location == place and measurand == CURRENT:
        role = _PHASES.get(phase, _OTHER)
    elif location == place and phase is None:
        role = {REGISTER: _REGISTER, POWER: _POWER}.get(measurand, _OTHER)
    label = measurand if phase is None else f"{measurand}/{phase}"
    return role, label if location == OUTLET else f"{label}@{location}"


def _is_register(value: Decimal) -> bool:
    return value.is_finite() and 0 <= value <= MAX_REGISTER_WH


def _is_plausible(value: Decimal) -> bool:
    return value.is_finite() and -MAX_PLAUSIBLE <= value <= MAX_PLAUSIBLE


def _meter_place(readings: Sequence[Reading]) -> str:
    """Where the meter sits: the outlet, or what this station has instead."""
    for reading in readings:
        if reading.location == OUTLET:
            return OUTLET
    return INLET
