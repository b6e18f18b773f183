"""What each EVSE may physically draw at every instant, and whether that fits.

The *envelope* of an EVSE is an upper bound over everything its station may hold: the
limit it accepted last, every limit sent since that was not surely refused, and older
ones until the meter shows that they are gone. An EVSE of which that is not known draws
up to its rating. Envelopes are staircases that never rise, because the limits that are
sent never rise by themselves; so whatever fits now keeps fitting, also when nothing is
sent any more.

Instants are whole Unix seconds of the site clock, currents integers in 0.1 A.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from itertools import pairwise
from typing import Final, NewType, TypeAlias

from gateway.domain.ids import CabinetId, EvseRef, SessionId
from gateway.domain.limits import LimitSchedule, LimitUnit, Purpose
from gateway.domain.topology import CurrentType, Evse, PerPhase

UnixS = NewType("UnixS", int)

Draw: TypeAlias = tuple[int, int, int, int]
"""0.1 A on supply phases L1, L2, L3, and their sum (for limits in W)."""

ROWS: Final = range(4)
TOTAL: Final = 3
"""The row of a ``Draw`` that holds the sum over the phases."""

NO_LIMIT: Final = 10**9
"""0.1 A: room of a row on which nothing limits."""

NOTHING: Final[Draw] = (0, 0, 0, 0)

SEEN_SHARE: Final = 1.05
SEEN_EXTRA_DA: Final = 5
"""A sample confirms a limit up to 5 % and 0.5 A above it: meters are no finer."""

IGNORED_SHARE: Final = 1.10
IGNORED_EXTRA_DA: Final = 10
"""A sample above the envelope by 10 % and 1 A shows that a station does not obey."""


class Progress(IntEnum):
    """How sure it is that a station holds a limit; only ever grows."""

    SENT = 0
    """On its way, or without a usable answer: it may hold it, and what it held."""
    ACCEPTED = 1
    """It holds it; the car may still be on its way down."""
    SEEN = 2
    """It holds it, and the meter shows no more, or no car is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLimit:
    """One limit that a station may hold for an EVSE.

    Attributes:
        sequence: Order of sending at the station; grows.
        session_id: Whom it was sent for. For ``Purpose.SESSION`` it applies to this
            session only; others go on to apply when it has ended.
        target: The EVSE it was sent for; 0: every EVSE of the station. One for an EVSE
            overrules one for every EVSE, so neither replaces the other.
        unit: The unit it was sent in; ``number_phases`` and ``nominal_v`` as sent.
        late_s: Its steps may come this much later, besides what clocks are wrong by.
    """

    sequence: int
    purpose: Purpose
    schedule: LimitSchedule
    progress: Progress
    session_id: SessionId | None = None
    target: int = 0
    unit: LimitUnit = LimitUnit.A
    number_phases: int = 3
    nominal_v: float = 230.0
    late_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Everything that decides what an EVSE may draw.

    Attributes:
        is_trusted: The station is managed, proven to obey with its present firmware,
            and what it held before us is cleared. False: its rating counts.
        limits: What it may hold, by sequence.
    """

    is_trusted: bool
    limits: tuple[HeldLimit, ...] = ()

    def has_safe_default(self) -> bool:
        """Whether a safe default is surely stored, so that nothing is unlimited."""
        return has_safe_default(self.limits)

    def latest(self, session_id: SessionId) -> HeldLimit | None:
        """The limit of a session that was sent last."""
        found: HeldLimit | None = None
        for held in self.limits:
            if held.session_id == session_id and (
                found is None or held.sequence > found.sequence
            ):
                found = held
        return found


@dataclass(frozen=True, slots=True)
class Rung:
    """From ``at_s`` on, until the next rung."""

    at_s: UnixS
    draw: Draw


Staircase: TypeAlias = tuple[Rung, ...]
"""At least one rung, instants growing; before the first, the first counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Envelopes do not fit behind a cabinet.

    Attributes:
        row: Supply phase 0 to 2, or ``TOTAL``.
        draw_da: Sum of the envelopes, 0.1 A.
        room_da: What the limit leaves after other loads, 0.1 A.
    """

    cabinet_id: CabinetId
    row: int
    at_s: UnixS
    draw_da: int
    room_da: int


def has_safe_default(limits: Iterable[HeldLimit]) -> bool:
    """Whether a safe default among limits is surely stored."""
    for held in limits:  # asked for all the time: not by a generator
        if held.purpose is not Purpose.SESSION and held.progress >= Progress.ACCEPTED:
            return True
    return False


def unix_s(moment: datetime) -> UnixS:
    """Whole seconds, rounded down."""
    return UnixS(math.floor(moment.timestamp()))


def counted(evse: Evse, held: HeldLimit, limit_da: int) -> Draw:
    """What a limit of ``limit_da`` lets an EVSE draw, whatever the car does.

    A limit in W may be drawn on one phase alone; of a DC limit the AC input counts.
    """
    if evse.current_type is CurrentType.AC and held.unit is LimitUnit.A:
        return draw_of(evse, min(limit_da, evse.max_da))
    sent_w = limit_da / 10 * held.nominal_v * held.number_phases
    per_phase_da = evse.input_da(sent_w)
    if evse.current_type is CurrentType.DC:
        return draw_of(evse, per_phase_da)
    one, two, three = evse.on_supply(per_phase_da)
    total_da = min(one + two + three, math.ceil(sent_w / evse.phase_v * 10))
    return (one, two, three, total_da)


def draw_of(evse: Evse, current_da: int) -> Draw:
    """A current on every phase of an EVSE."""
    return with_total(evse.on_supply(current_da))


def with_total(current_da: PerPhase) -> Draw:
    """A current per phase with its sum."""
    one, two, three = current_da
    return (one, two, three, one + two + three)


def add(left: Draw, right: Draw) -> Draw:
    """Sum of two draws."""
    return (
        left[0] + right[0],
        left[1] + right[1],
        left[2] + right[2],
        left[3] + right[3],
    )


def subtract(left: Draw, right: Draw) -> Draw:
    """Difference of two draws; may be negative."""
    return (
        left[0] - right[0],
        left[1] - right[1],
        left[2] - right[2],
        left[3] - right[3],
    )


def highest(draws: Iterable[Draw]) -> Draw:
    """Largest value in each row; 0 where there is none."""
    one = two = three = total = 0
    for draw in draws:
        one, two = max(one, draw[0]), max(two, draw[1])
        three, total = max(three, draw[2]), max(total, draw[3])
    return (one, two, three, total)


def lowest(left: Draw, right: Draw) -> Draw:
    """Smaller value in each row."""
    return (
        min(left[0], right[0]),
        min(left[1], right[1]),
        min(left[2], right[2]),
        min(left[3], right[3]),
    )


def value_at(stairs: Staircase, at_s: int) -> Draw:
    """The rung that counts at an instant."""
    found = stairs[0].draw
    for rung in stairs:
        if rung.at_s > at_s:
            break
        found = rung.draw
    return found


def held_staircase(evse: Evse, held: HeldLimit, skew_s: int) -> Staircase:
    """What one limit lets an EVSE draw, its clock wrong by up to ``skew_s``.

    The schedule never rises, so a clock that is late is the bad case: every step down
    counts ``skew_s`` later.
    """
    start_s = math.ceil(held.schedule.start.timestamp()) + held.late_s
    return tuple(
        Rung(
            UnixS(start_s + step.offset_s + skew_s),
            counted(evse, held, step.limit_da),
        )
        for step in held.schedule.steps
    )


def envelope(evse: Evse, holding: Holding, *, skew_s: int, from_s: int) -> Staircase:
    """Upper bound of what an EVSE may draw from ``from_s`` on.

    Never below its floor, which is reserved for ever.
    """
    if not holding.is_trusted or not holding.has_safe_default():
        rating = with_total(evse.rating)
        return (Rung(UnixS(from_s), highest((rating, with_total(evse.floor)))),)
    stairs = [held_staircase(evse, held, skew_s) for held in holding.limits]
    instants = {from_s}
    instants.update(
        rung.at_s for one in stairs for rung in one[1:] if rung.at_s > from_s
    )
    floor = with_total(evse.floor)
    rungs: list[Rung] = []
    for at_s in sorted(instants):
        draw = highest((floor, *(value_at(one, at_s) for one in stairs)))
        if not rungs or rungs[-1].draw != draw:
            rungs.append(Rung(UnixS(at_s), draw))
    return tuple(rungs)


def from_then(stairs: Staircase, from_s: int) -> Staircase:
    """A staircase from ``from_s`` on: what came before is over."""
    later = tuple(rung for rung in stairs if rung.at_s > from_s)
    return (Rung(UnixS(from_s), value_at(stairs, from_s)), *later)


def accept(limits: Sequence[HeldLimit], sequence: int) -> tuple[HeldLimit, ...]:
    """The station said that it holds this limit now."""
    return _progress(limits, sequence, Progress.ACCEPTED)


def see(limits: Sequence[HeldLimit], sequence: int) -> tuple[HeldLimit, ...]:
    """The meter shows no more than this limit: earlier ones in its slot are gone."""
    done = _progress(limits, sequence, Progress.SEEN)
    mine = next((held for held in done if held.sequence == sequence), None)
    if mine is None or mine.progress is not Progress.SEEN:
        return done
    return tuple(
        held for held in done if held.sequence >= sequence or _slot(held) != _slot(mine)
    )


def refuse(limits: Sequence[HeldLimit], sequence: int) -> tuple[HeldLimit, ...]:
    """The station surely did not take this limit: it keeps what it held."""
    return tuple(
        held
        for held in limits
        if held.sequence != sequence or held.progress is not Progress.SENT
    )


def doubt_defaults(limits: Sequence[HeldLimit]) -> tuple[HeldLimit, ...]:
    """The station restarted, and may have forgotten its safe defaults."""
    return tuple(
        replace(held, progress=Progress.SENT)
        if held.purpose is not Purpose.SESSION
        else held
        for held in limits
    )


def end_session(
    limits: Sequence[HeldLimit], session_id: SessionId
) -> tuple[HeldLimit, ...]:
    """The session is over: its limits apply to nothing any more (K01, TxProfile).

    Those that were set for it by another way stay at the station.
    """
    return tuple(
        held
        for held in limits
        if held.purpose is not Purpose.SESSION or held.session_id != session_id
    )


def forget_dominated(
    evse: Evse, limits: Sequence[HeldLimit], *, skew_s: int, from_s: int
) -> tuple[HeldLimit, ...]:
    """Drop limits that a later accepted one replaced and that allow no more than it."""
    kept: list[HeldLimit] = []
    for held in limits:
        mine = held_staircase(evse, held, skew_s)
        replaced = any(
            later.sequence > held.sequence
            and later.progress >= Progress.ACCEPTED
            and _slot(later) == _slot(held)
            and _covers(held_staircase(evse, later, skew_s), mine, from_s)
            for later in limits
        )
        if not replaced:
            kept.append(held)
    return tuple(kept)


def confirms(evse: Evse, allowed: Draw, sample: PerPhase) -> bool:
    """Whether a sample (at the terminals) shows no more than ``allowed``."""
    measured = evse.measured_on_supply(sample)
    return all(
        measured[phase] <= allowed[phase] * SEEN_SHARE + SEEN_EXTRA_DA
        for phase in evse.phases
    )


def contradicts(evse: Evse, bound: Draw, sample: PerPhase) -> bool:
    """Whether a sample (at the terminals) shows clearly more than its envelope."""
    measured = evse.measured_on_supply(sample)
    return any(
        measured[phase] > bound[phase] * IGNORED_SHARE + IGNORED_EXTRA_DA
        for phase in evse.phases
    )


def violations(
    envelopes: Mapping[EvseRef, Staircase],
    paths: Mapping[EvseRef, Sequence[CabinetId]],
    rooms: Mapping[CabinetId, Staircase],
    *,
    from_s: int,
) -> tuple[Violation, ...]:
    """Where the sum of envelopes exceeds the room, from ``from_s`` on for ever.

    Args:
        envelopes: Of every EVSE of the group.
        paths: The cabinets above each EVSE, innermost first.
        rooms: Per cabinet what its limit leaves after margin and other loads.
        from_s: First instant of interest.

    Returns:
        At most one per cabinet and row: the first instant at which it is exceeded.
    """
    found: list[Violation] = []
    for cabinet_id, room in rooms.items():
        below = [envelopes[ref] for ref in envelopes if cabinet_id in paths[ref]]
        seen: set[int] = set()
        for at_s, draw in sum_of(below, from_s=from_s, also=room):
            left = value_at(room, at_s)
            for row in ROWS:
                if draw[row] > left[row] and row not in seen:
                    seen.add(row)
                    found.append(
                        Violation(
                            cabinet_id=cabinet_id,
                            row=row,
                            at_s=at_s,
                            draw_da=draw[row],
                            room_da=left[row],
                        )
                    )
    return tuple(found)


def worsened(
    before: Mapping[EvseRef, Staircase],
    after: Mapping[EvseRef, Staircase],
    paths: Mapping[EvseRef, Sequence[CabinetId]],
    rooms: Mapping[CabinetId, Staircase],
    *,
    from_s: int,
) -> tuple[Violation, ...]:
    """Where ``after`` exceeds the room at some instant and draws more than ``before``.

    A reduction that does not yet suffice is not a violation of its own. Only what
    differs can draw more, so only that is compared; all of it has to fit.
    """
    changed = [ref for ref in after if before[ref] != after[ref]]
    found: list[Violation] = []
    for cabinet_id, room in rooms.items():
        mine = [ref for ref in changed if cabinet_id in paths[ref]]
        if not mine:
            continue
        below = [ref for ref in after if cabinet_id in paths[ref]]
        also = [*room, *(rung for ref in below for rung in before[ref])]
        for at_s, new in sum_of(
            [after[ref] for ref in below], from_s=from_s, also=tuple(also)
        ):
            left = value_at(room, at_s)
            if all(new[row] <= left[row] for row in ROWS):
                continue
            more = NOTHING
            for ref in mine:
                now_drawn = value_at(after[ref], at_s)
                more = add(more, subtract(now_drawn, value_at(before[ref], at_s)))
            found += [
                Violation(
                    cabinet_id=cabinet_id,
                    row=row,
                    at_s=at_s,
                    draw_da=new[row],
                    room_da=left[row],
                )
                for row in ROWS
                if new[row] > left[row] and more[row] > 0
            ]
    return tuple(found)


def sum_of(
    stairs: Sequence[Staircase], *, from_s: int, also: Staircase = ()
) -> list[tuple[UnixS, Draw]]:
    """The sum of staircases at every instant at which one of them changes.

    Args:
        stairs: What to add up.
        from_s: First instant; always part of the answer.
        also: Further instants to answer for.
    """
    changes: dict[UnixS, Draw] = {UnixS(from_s): NOTHING}
    for rung in also:
        if rung.at_s > from_s:
            changes.setdefault(rung.at_s, NOTHING)
    for one in stairs:
        now = value_at(one, from_s)
        changes[UnixS(from_s)] = add(changes[UnixS(from_s)], now)
        for rung in one:
            if rung.at_s > from_s:
                delta = subtract(rung.draw, now)
                changes[rung.at_s] = add(changes.get(rung.at_s, NOTHING), delta)
                now = rung.draw
    total = NOTHING
    summed: list[tuple[UnixS, Draw]] = []
    for at_s in sorted(changes):
        total = add(total, changes[at_s])
        summed.append((at_s, total))
    return summed


def is_falling(stairs: Staircase) -> bool:
    """Whether no row ever rises."""
    return all(
        after.draw[row] <= before.draw[row]
        for before, after in pairwise(stairs)
        for row in ROWS
    )


def _slot(held: HeldLimit) -> tuple[Purpose, SessionId | None, int]:
    session_id = held.session_id if held.purpose is Purpose.SESSION else None
    return (held.purpose, session_id, held.target)


def _progress(
    limits: Sequence[HeldLimit], sequence: int, progress: Progress
) -> tuple[HeldLimit, ...]:
    return tuple(
        replace(held, progress=max(held.progress, progress))
        if held.sequence == sequence
        else held
        for held in limits
    )


def _covers(upper: Staircase, lower: Staircase, from_s: int) -> bool:
    instants = {from_s, *(r.at_s for r in upper), *(r.at_s for r in lower)}
    return all(
        value_at(lower, at_s)[row] <= value_at(upper, at_s)[row]
        for at_s in instants
        if at_s >= from_s
        for row in ROWS
    )
