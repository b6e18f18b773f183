"""What a feeder meter shows against what its cabinet carries, and what follows.

Pure functions; `gateway.services.fast_loop` measures and carries out. Limits are made
so that they fit by what is known (envelopes); the meter shows whether the world agrees.
Where it shows more than the limit, the current that no limit of ours reaches is larger
than was counted: other equipment, or EVSEs that do not obey. That current is *withheld*
from the room of the cabinet, so that the limits of all others are cut at once and in
proportion, and given back slowly. Nothing here raises a limit: room is only taken away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.envelope import NO_LIMIT, NOTHING, ROWS, TOTAL, Draw, add, subtract
from gateway.domain.ids import CabinetId
from gateway.domain.phases import PerPhase

SETTLE_S: Final = 30
"""Site seconds in which a cut has to show at the meter; then all goes to the floors.

A call to a station (usually a second or two), the car's 5 s to follow (IEC 61851-1,
A.2), the interval of the meter, and some more.
"""

RELEASE_AFTER_S: Final = 60
"""Site seconds without excess before anything is given back."""

AGAIN_AFTER_S: Final = 900
AGAIN_AFTER_MAX_S: Final = 7_200
"""Once what was given back had to be cut again: 15 min, and twice as long each time.

What swings otherwise is a station that lies to its own meter as well: what is given to
others depends on what it pretends to obey.
"""

RELEASE_EVERY_S: Final = 60
RELEASE_STEPS: Final = 5
"""A fifth of the limit is given back each time: from all to nothing in five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One cabinet at one instant; 0.1 A on L1, L2, L3 and their sum.

    Attributes:
        limit: What the meter may show: the lowest of gross, net and threshold.
        gross: What busbars and cables carry, with what is generated behind them.
        export_da: What may be fed in per phase; ``None``: not watched.
        margin_da: Kept free on every phase.
        feeder: What the meter shows, import positive; ``None``: none, or lost.
        measured_at: When.
        generation: What PV and discharging batteries are measured to deliver.
        steered: What EVSEs that limits of ours reach are measured to draw, each at most
            its envelope; unmeasured ones count nothing.
        least: The same, each at most what it accepted last: cars on their way down.
        others: What is counted for everything else: other equipment, and EVSEs that no
            limit reaches.
        bound: What may be drawn at most by all that is known: ``others`` and the
            envelopes of the EVSEs that limits reach.
        floors: Floors of the EVSEs that limits reach.
    """

    cabinet_id: CabinetId
    limit: Draw
    gross: Draw
    export_da: PerPhase | None = None
    margin_da: int = 0
    feeder: Draw | None = None
    measured_at: datetime | None = None
    generation: Draw = NOTHING
    steered: Draw = NOTHING
    least: Draw = NOTHING
    others: Draw = NOTHING
    bound: Draw = NOTHING
    floors: Draw = NOTHING

    @property
    def over(self) -> Draw:
        """By how much a limit is exceeded in each row; 0 where it is not, or unknown.

        The supply carries what the meter shows, busbars what is generated as well.
        """
        if self.feeder is None:
            return NOTHING
        net = subtract(self.feeder, self.limit)
        gross = subtract(add(self.feeder, self.generation), self.gross)
        return _map(lambda row: max(0, net[row], gross[row]))

    def is_explained(self, row: int) -> bool:
        """Whether what is known allows what the meter shows.

        Then what is known does not fit either, and the limits are cut for that already.
        """
        drawn = (self.feeder or NOTHING)[row] + self.generation[row]
        return drawn <= self.bound[row]

    @property
    def exported(self) -> PerPhase:
        """By how much more is fed in than may be, per phase."""
        if self.feeder is None or self.export_da is None:
            return (0, 0, 0)
        one, two, three = (
            max(0, -self.feeder[phase] - self.export_da[phase]) for phase in range(3)
        )
        return (one, two, three)

    @property
    def unsteered(self) -> Draw:
        """What of the limit goes to current that no limit of ours reaches.

        For the busbars what is generated counts, too, against their own limit.
        """
        return self._without(self.steered)

    @property
    def unsteered_at_most(self) -> Draw:
        """The same if every car has followed what its station accepted already."""
        return self._without(self.least)

    def _without(self, steered: Draw) -> Draw:
        if self.feeder is None:
            return NOTHING
        net = subtract(self.feeder, steered)
        gross = subtract(add(add(net, self.generation), self.limit), self.gross)
        return _map(
            lambda row: max(0, net[row], gross[row] if _is_limited(self, row) else 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """Current that is withheld from a cabinet because its meter showed too much.

    Attributes:
        taken: What of the limit counts for current that no limit reaches; raised at
            once, lowered slowly; 0 in rows that were never exceeded.
        since: When the present excess began.
        over_at: When it was last seen.
        given_at: When something was last given back.
        n_cut: How often it was above the limit anew; counts from 1.
        is_over: The newest reading is above the limit.
        is_whole: A first cut did not show: all that can be steered is at its floor.
        residual: What stays above the limit with all of them at their floors; no limit
            of ours can shed it.
    """

    taken: Draw
    since: datetime
    over_at: datetime
    given_at: datetime
    n_cut: int = 1
    is_over: bool = True
    is_whole: bool = False
    residual: Draw = NOTHING


def decide(measured: Measured, held: Shed | None, now: datetime) -> Shed | None:
    """What is withheld from now on; ``None``: nothing.

    Without a fresh reading everything stays as it is: nothing is given back unseen.

    Args:
        measured: The cabinet now.
        held: What `decide` said last.
        now: Site time.
    """
    if measured.feeder is None or measured.measured_at is None:
        return held
    if any(measured.over):
        return _cut(measured, held, now, measured.measured_at)
    return None if held is None else _kept_or_given_back(measured, held, now)


def withheld(measured: Measured, held: Shed) -> Draw:
    """What to take from the cabinet's room: what is not counted there already."""
    return _map(lambda row: max(0, held.taken[row] - measured.others[row]))


def _cut(
    measured: Measured, held: Shed | None, now: datetime, measured_at: datetime
) -> Shed:
    over, unsteered = measured.over, measured.unsteered
    before = NOTHING if held is None else held.taken
    is_going_on = held is not None and held.is_over
    since = held.since if held is not None and is_going_on else now
    n_cut = 1 if held is None else held.n_cut + (not is_going_on)
    is_whole = held is not None and (
        held.is_whole or measured_at >= since + timedelta(seconds=SETTLE_S)
    )
    whole = _map(
        lambda row: (
            measured.limit[row] - measured.margin_da * (3 if row == TOTAL else 1)
        )
    )

    def taken(row: int) -> int:
        if not over[row]:
            return before[row]
        if is_whole:
            return max(before[row], unsteered[row], whole[row])
        if measured.is_explained(row):
            return before[row]
        return max(before[row], unsteered[row])

    return Shed(
        taken=_map(taken),
        since=since,
        over_at=now,
        given_at=now,
        n_cut=n_cut,
        is_whole=is_whole,
        residual=_residual(measured),
    )


def _kept_or_given_back(measured: Measured, held: Shed, now: datetime) -> Shed | None:
    unsteered = measured.unsteered_at_most
    wait_s = RELEASE_AFTER_S
    if held.n_cut > 1:
        wait_s = min(AGAIN_AFTER_MAX_S, AGAIN_AFTER_S << min(held.n_cut - 2, 8))
    is_due = now >= held.over_at + timedelta(
        seconds=wait_s
    ) and now >= held.given_at + timedelta(seconds=RELEASE_EVERY_S)

    def taken(row: int) -> int:
        before = held.taken[row]
        if not is_due:
            return before
        step = max(10, measured.limit[row] // RELEASE_STEPS)
        return min(before, max(0, unsteered[row], before - step))

    after = replace(
        held,
        taken=_map(taken),
        is_over=False,
        is_whole=held.is_whole and not is_due,
        given_at=now if is_due else held.given_at,
        residual=NOTHING,
    )
    if is_due and not any(withheld(measured, after)):
        return None
    return after


def _residual(measured: Measured) -> Draw:
    """What stays above the limit with everything that can be steered at its floor."""
    least = add(measured.unsteered, measured.floors)
    over = measured.over
    return _map(
        lambda row: max(0, least[row] - measured.limit[row]) if over[row] else 0
    )


def _is_limited(measured: Measured, row: int) -> bool:
    return measured.gross[row] < NO_LIMIT and measured.limit[row] < NO_LIMIT


def _map(value: Callable[[int], int]) -> Draw:
    one, two, three, total = (value(row) for row in ROWS)
    return (one, two, three, total)
