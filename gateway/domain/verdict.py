"""Whether a session's energy may be billed, by which registers, and why not.

Billable energy is a difference of two registers of one physical meter. They are taken
from the best source there is: signed records, then what start and end say, then the
samples that bracket the session, then energies of intervals. Power is never billed.
Whatever looks wrong becomes a named reason (`gateway.domain.reasons`); nothing is
dropped, nothing made up, and a 0 that cannot be true is no number.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.metering import FIRST_TRUSTED_YEAR
from gateway.domain.neighbours import (
    REGISTER_TOLERANCE_MILLIWH,
    Before,
    Gap,
    gap,
    most_milliwh,
    rolls_over,
)
from gateway.domain.reasons import Verdict, weight, worst
from gateway.domain.register_unit import SCALE
from gateway.domain.session import Session
from gateway.domain.signed_session import UNSIGNED, SignedFinding, SignedVerdict
from gateway.domain.told_energy import ToldEnergy, tolerance_milliwh

SAMPLE_TOLERANCE: Final = timedelta(seconds=60)
SLIP_MILLIWH: Final = 1_000_000
"""1 kWh: how coarse samples may be that are a thousand times too low."""
UNKNOWN: Final = Before()


class Basis(StrEnum):
    """What the energy was taken from, the best first."""

    SIGNED = "signed"
    TRANSACTION = "transaction"
    """The registers of start and end."""
    SAMPLES = "samples"
    """A register of start or end was missing or a placeholder: another stands in."""
    INTERVALS = "intervals"
    """Energies of intervals, counted from 0: no registers of a meter."""
    POWER = "power"
    """An estimate, never billed."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one ended session.

    Attributes:
        reasons: Words, ascending; empty when all is well.
        register_start_milliwh: The start that counts, maybe reconstructed.
        register_end_milliwh: The end that counts, maybe reconstructed.
        energy_milliwh: Their difference; 0 for ``UNBILLABLE``.
        basis: What they were taken from.
        estimate_milliwh: By power, where there is nothing better.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    register_start_milliwh: int | None
    register_end_milliwh: int | None
    energy_milliwh: int
    basis: Basis = Basis.NONE
    estimate_milliwh: int | None = None


def judge(
    session: Session,
    *,
    rated_w: float | None = None,
    signed: SignedFinding = UNSIGNED,
    before: Before = UNKNOWN,
    told: ToldEnergy | None = None,
) -> Judgement:
    """Judge the energy of an ended session.

    Args:
        session: An ended session; its ``verdicts`` are taken into account.
        rated_w: What the EVSE can deliver at most, W; ``None`` if unknown.
        signed: What its signed records prove. Where that suffices their registers
            are the ones that count, checked against the others.
        before: The session before on the same EVSE. Its end is the candidate for a
            start that was never received.
        told: What its samples tell; ``None``: they are not at hand, and nothing is
            checked against them.

    Raises:
        ValueError: The session is still running.
    """
    if session.ended_by is None:
        raise ValueError(f"session {session.session_id} is still running")
    case = _Case(session, rated_w, before, told)
    case.find()
    match signed.verdict:
        case SignedVerdict.OK:
            case.take_signed(signed)
        case SignedVerdict.FAILED | SignedVerdict.UNVERIFIED:
            case.words |= dict.fromkeys(signed.reasons)
            is_failed = signed.verdict is SignedVerdict.FAILED
            case.least = Verdict.SUSPICIOUS if is_failed else Verdict.OK
        case SignedVerdict.UNSIGNED:
            pass
    return case.judgement()


def also(found: Judgement, word: str) -> Judgement:
    """The judgement with one more reason, which was found elsewhere."""
    return replace(
        found,
        verdict=worst([found.verdict, weight(word)]),
        reasons=tuple(sorted({*found.reasons, word})),
    )


_OF_REGISTERS: Final = frozenset(
    {
        "interval_missing",
        "interval_sum",
        "no_end_register",
        "no_register",
        "no_start_register",
        "placeholder_end",
        "placeholder_start",
        "power_only",
        "start_from_previous",
        "summed_phases",
    }
)
"""What is of no matter where begin and end are signed."""
_ALL_UNKNOWN: Final = frozenset({"end_below_start", "register_rollover"}) | (
    _OF_REGISTERS - {"summed_phases"}
)
"""With one of these there is no unsigned energy that a signed one could contradict."""


class _Case:
    """One session while it is judged."""

    def __init__(
        self,
        session: Session,
        rated_w: float | None,
        before: Before,
        told: ToldEnergy | None,
    ) -> None:
        self.session = session
        self.rated_w = rated_w
        self.before = before
        self.is_told = told is not None
        self.told = _of_session(session) if told is None else told
        self.words: dict[str, None] = dict.fromkeys(session.verdicts)
        self.least = Verdict.OK
        self.harmless: frozenset[str] = frozenset()
        self.start: int | None = None
        self.end: int | None = None
        self.energy_milliwh = 0
        self.estimate_milliwh: int | None = None
        self.basis = Basis.NONE
        if session.has_gap:
            self.hold("incomplete")

    def hold(self, word: str) -> None:
        """Note a reason."""
        self.words[word] = None

    def find(self) -> None:
        """Find the registers that count, and what speaks against them."""
        self.start = start = self._start()
        self.end = end = self._end()
        if start is None or end is None:
            self._without_registers()
        elif end < start:
            most = most_milliwh(self._duration(), self.rated_w)
            is_over = rolls_over(start, end, most)
            self.hold("register_rollover" if is_over else "end_below_start")
        else:
            session = self.session
            own = (session.register_start_milliwh, session.register_end_milliwh)
            is_own = (start, end) == own
            self.basis = Basis.TRANSACTION if is_own else Basis.SAMPLES
            self.energy_milliwh = end - start
            self._check_power()
            self._check_samples(start, end)
            self._check_before(start)
        self._check_times()

    def take_signed(self, signed: SignedFinding) -> None:
        """Take the signed registers; say so where the others do not agree."""
        start, end = signed.register_start_milliwh, signed.register_end_milliwh
        assert start is not None, "it is signed"
        assert end is not None, "it is signed"
        signed_milliwh = end - start
        if _ALL_UNKNOWN.isdisjoint(self.words):
            difference = abs(signed_milliwh - self.energy_milliwh)
            if difference > tolerance_milliwh(signed_milliwh):
                self.hold("signed_energy_differs")
        self.harmless = _OF_REGISTERS
        self.start, self.end, self.energy_milliwh = start, end, signed_milliwh
        self.basis, self.estimate_milliwh = Basis.SIGNED, None

    def judgement(self) -> Judgement:
        """What it comes to."""
        weights = [
            Verdict.OK if word in self.harmless else weight(word) for word in self.words
        ]
        found = worst([*weights, self.least])
        if found is Verdict.OK and self.basis is not Basis.SIGNED:
            found = Verdict.OK_UNSIGNED
        is_none = found is Verdict.UNBILLABLE
        return Judgement(
            verdict=found,
            reasons=tuple(sorted(self.words)),
            register_start_milliwh=self.start,
            register_end_milliwh=self.end,
            energy_milliwh=0 if is_none else self.energy_milliwh,
            basis=self.basis,
            estimate_milliwh=self.estimate_milliwh,
        )

    def _start(self) -> int | None:
        session, low = self.session, self.told.low_milliwh
        start = session.register_start_milliwh
        if not session.has_start:
            self.hold("no_start")
        previous = self.before.trusted_end_milliwh
        if previous is not None and self._is_candidate(previous):
            self.hold("start_from_previous")
            return previous
        if start is None and low is not None:
            self.hold("no_start_register")
            return low
        if start != 0:
            return start
        if low is not None and low > 0:
            if not self._is_placeholder(low):
                return start
            self.hold("placeholder_start")
            return low
        end = session.register_end_milliwh
        if end is None or end <= most_milliwh(self._duration(), self.rated_w):
            return start
        self.hold("placeholder_start")
        return previous if previous is not None and 0 < previous <= end else None

    def _end(self) -> int | None:
        session, last = self.session, self.told.last_milliwh
        start, end = self.start_known, session.register_end_milliwh
        if end is None and last is not None and not self._is_only_begin(last):
            self.hold("no_end_register")
            return last
        if end == 0 and (start > 0 or (last or 0) > REGISTER_TOLERANCE_MILLIWH):
            self.hold("placeholder_end")
            return last if last is not None and last >= start else None
        return end

    def _is_only_begin(self, last: int) -> bool:
        """Whether the last register is that of the begin, and intervals tell more."""
        intervals = self.told.intervals
        return (
            intervals is not None
            and last - self.start_known <= REGISTER_TOLERANCE_MILLIWH
            and intervals.milliwh > REGISTER_TOLERANCE_MILLIWH
        )

    @property
    def start_known(self) -> int:
        """The start that counts; 0 where there is none."""
        known = (
            self.session.register_start_milliwh if self.start is None else self.start
        )
        return known or 0

    def _is_candidate(self, previous: int) -> bool:
        """Whether a session without a start can have begun where the last one ended."""
        session = self.session
        if session.has_start or session.register_start_milliwh is not None:
            return False
        known = (self.told.low_milliwh, session.register_end_milliwh)
        seen = [register for register in known if register is not None]
        return bool(seen) and previous <= min(seen)

    def _is_placeholder(self, low: int) -> bool:
        """Whether a start register of 0 cannot be true for the first sample seen."""
        starts, sampled = self.session.started_at, self.session.first_sample_at
        if starts is None or sampled is None:
            return False
        return low > most_milliwh(sampled - starts, self.rated_w)

    def _duration(self) -> timedelta:
        starts, ends = self.session.started_at, self.session.ended_at
        return timedelta() if starts is None or ends is None else ends - starts

    def _without_registers(self) -> None:
        """Energies of intervals stand in; power gives an estimate."""
        intervals = self.told.intervals
        if intervals is not None:
            self.hold("interval_sum")
            if not intervals.is_whole:
                self.hold("interval_missing")
            self.start, self.end = 0, intervals.milliwh
            self.energy_milliwh, self.basis = intervals.milliwh, Basis.INTERVALS
            self._check_power()
            return
        self.hold("no_register")
        if self.told.power_milliwh is not None:
            self.hold("power_only")
            self.basis, self.estimate_milliwh = Basis.POWER, self.told.power_milliwh

    def _check_power(self) -> None:
        session = self.session
        if session.started_at is None or session.ended_at is None:
            return
        if "start_from_previous" in self.words:
            return  # nobody knows when that was
        if self.energy_milliwh > most_milliwh(self._duration(), self.rated_w):
            self.hold("faster_than_rated")

    def _check_samples(self, start: int, end: int) -> None:
        session, told = self.session, self.told
        low, last = told.low_milliwh, told.last_milliwh
        is_below = low is not None and low < start - REGISTER_TOLERANCE_MILLIWH
        is_above = last is not None and last > end + REGISTER_TOLERANCE_MILLIWH
        if is_below or is_above:
            self.hold(self._why_outside(start, end))
        earliest, latest = session.first_sample_at, session.last_sample_at
        starts, ends = session.started_at, session.ended_at
        if (earliest and starts and earliest < starts - SAMPLE_TOLERANCE) or (
            latest and ends and latest > ends + SAMPLE_TOLERANCE
        ):
            self.hold("sample_outside_session")
        slack = tolerance_milliwh(end - start)
        if told.begin_milliwh is not None and abs(told.begin_milliwh - start) > slack:
            self.hold("begin_sample_differs")
        if told.end_milliwh is not None and abs(told.end_milliwh - end) > slack:
            self.hold("end_sample_differs")
        self._check_told()

    def _check_told(self) -> None:
        told = self.told
        if told.has_jump:
            self.hold("register_jump")
        if told.do_intervals_differ:
            self.hold("intervals_differ")
        if told.does_power_differ:
            self.hold("power_integral_differs")
        if told.summed - {None}:
            is_one = len(told.summed) == 1
            self.hold("summed_phases" if is_one else "phases_differ")

    def _why_outside(self, start: int, end: int) -> str:
        """What may have become of samples outside start and end; nothing is mended."""
        low, last = self.told.low_milliwh, self.told.last_milliwh
        if not self.is_told or low is None or last is None:
            return "sample_outside_registers"
        least, most = start - SLIP_MILLIWH, end + SLIP_MILLIWH
        if least > 0 and (
            least <= low * SCALE <= last * SCALE <= most
            or least * SCALE <= low <= last <= most * SCALE
        ):
            return "unit_slip"
        energy = end - start
        if last < start and last <= energy + tolerance_milliwh(energy):
            return "relative_samples"
        return "sample_outside_registers"

    def _check_before(self, start: int) -> None:
        """How the register goes on from the session before."""
        if not self.session.has_start or "placeholder_start" in self.words:
            return
        found, _ = gap(self.before, start, self.session.started_at)
        match found:
            case Gap.MISSING | Gap.OVERLAP:
                self.hold(found.value)
            case Gap.REBASED | Gap.ROLLOVER:
                self.hold("register_rebased")
            case Gap.NONE | Gap.IDLE:
                pass

    def _check_times(self) -> None:
        starts, ends = self.session.started_at, self.session.ended_at
        if starts is None or ends is None:
            return
        if starts.year < FIRST_TRUSTED_YEAR or ends.year < FIRST_TRUSTED_YEAR:
            self.hold("clock_unset")
        elif ends < starts:
            self.hold("ends_before_start")


def _of_session(session: Session) -> ToldEnergy:
    """What a session remembers of its samples."""
    last = session.register_last_milliwh
    return ToldEnergy(
        low_milliwh=session.register_low_milliwh,
        last_milliwh=None if session.last_sample_at is None else last,
    )
