"""Counts an EVSE on its car's own phases, and keeps free what one car may take back.

Where a car is known to draw on some phases only (`gateway.domain.phase_use`), limits of
its session count there, and noise on the others. What that gives to others is *freed*.
Nothing keeps the car from drawing on a freed phase, so behind each cabinet the largest
freed current of any single EVSE stays *spare*, as far as the margin does not cover it
already. So one car that does it leads to no second above a limit, whatever ``k`` is.

The spare room is counted like an EVSE of its own behind its cabinet: whoever adds up
envelopes counts it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import (
    NOTHING,
    TOTAL,
    Draw,
    HeldLimit,
    Holding,
    Rung,
    Staircase,
    UnixS,
)
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit, Purpose
from gateway.domain.phase_use import QUIET_DA
from gateway.domain.phases import Rotation
from gateway.domain.topology import Evse

SPARE_EVSE: Final = 0
"""No EVSE has this number: with the cabinet for a station it names its spare room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPhases:
    """What a car is counted on.

    Attributes:
        session_id: Only limits that end with this session count on fewer phases.
        phases: Supply phases of the car, in the order of its terminals.
    """

    session_id: SessionId
    phases: Rotation

    def narrowed(self, evse: Evse) -> Evse:
        """The EVSE as if only these phases were wired."""
        return replace(evse, phases=self.phases)

    def noise(self, evse: Evse) -> Draw:
        """What is counted on the other phases while a limit applies."""
        return env.draw_of(self._elsewhere(evse), QUIET_DA)

    def least_elsewhere(self, evse: Evse) -> Draw:
        """What is counted on the other phases at least: noise, or the floor."""
        return env.draw_of(self._elsewhere(evse), max(QUIET_DA, evse.floor_da))

    def _elsewhere(self, evse: Evse) -> Evse:
        others = tuple(phase for phase in evse.phases if phase not in self.phases)
        return replace(evse, phases=others)

    def draw(self, evse: Evse, limit_da: int) -> Draw:
        """What a limit in A counts."""
        drawn = env.draw_of(self.narrowed(evse), min(limit_da, evse.max_da))
        full = env.draw_of(evse, min(limit_da, evse.max_da))
        return env.lowest(env.add(drawn, self.noise(evse)), full)

    def staircase(self, evse: Evse, held: HeldLimit, skew_s: int) -> Staircase:
        """What a limit counts over time."""
        if not self.counts(held):
            return env.held_staircase(evse, held, skew_s)
        return tuple(
            replace(rung, draw=self.draw(evse, max(rung.draw[:TOTAL])))
            for rung in env.held_staircase(evse, held, skew_s)
        )

    def counts(self, held: HeldLimit) -> bool:
        """Whether a limit counts on these phases only.

        One that stays when the session has ended may apply to another car. One in W
        leaves it to the station which phases it is drawn on.
        """
        return (
            held.purpose is Purpose.SESSION
            and held.session_id == self.session_id
            and held.unit is LimitUnit.A
        )


def counted(
    evse: Evse, holding: Holding, own: OwnPhases, *, skew_s: int, from_s: int
) -> tuple[Staircase, Staircase]:
    """What an EVSE may draw, and what is counted while its car keeps to its phases.

    Both never rise; nowhere is more counted than it may draw, nor less than the floor.
    """
    full = env.envelope(evse, holding, skew_s=skew_s, from_s=from_s)
    mine = [held for held in holding.limits if own.counts(held)]
    rest = tuple(held for held in holding.limits if not own.counts(held))
    others = env.envelope(
        evse, replace(holding, limits=rest), skew_s=skew_s, from_s=from_s
    )
    narrow, noise = own.narrowed(evse), own.noise(evse)
    stairs = [env.held_staircase(narrow, held, skew_s) for held in mine]
    instants = {from_s}
    instants.update(
        int(rung.at_s)
        for one in (full, others, *(one[1:] for one in stairs))
        for rung in one
        if rung.at_s > from_s
    )
    rungs: list[Rung] = []
    for at_s in sorted(instants):
        drawn = env.highest(env.value_at(one, at_s) for one in stairs)
        drawn = env.highest((env.value_at(others, at_s), env.add(drawn, noise)))
        draw = env.lowest(drawn, env.value_at(full, at_s))
        if not rungs or rungs[-1].draw != draw:
            rungs.append(Rung(UnixS(at_s), draw))
    return full, tuple(rungs)


def spare_ref(cabinet_id: CabinetId) -> EvseRef:
    """What the spare room of a cabinet is called among envelopes."""
    return EvseRef(station_id=StationId(f"spare {cabinet_id}"), evse_id=SPARE_EVSE)


def margin_draw(margin_da: int) -> Draw:
    """What a margin covers in each row."""
    return (margin_da, margin_da, margin_da, 3 * margin_da)


def beyond(freed: Draw, margin: Draw) -> Draw:
    """What of a freed current a margin does not cover."""
    return env.highest((env.subtract(freed, margin), NOTHING))


def spare_staircase(
    freed: Iterable[tuple[Staircase, Staircase]], *, margin_da: int, from_s: int
) -> Staircase:
    """The largest freed current of any EVSE behind a cabinet, beyond its margin.

    Args:
        freed: Of each EVSE that is counted on fewer phases: its envelope, and what is
            counted.
        margin_da: Of the cabinet.
        from_s: First instant.

    """
    pairs = tuple(freed)
    instants = {from_s}
    instants.update(
        int(rung.at_s)
        for pair in pairs
        for one in pair
        for rung in one
        if rung.at_s > from_s
    )
    margin = margin_draw(margin_da)
    rungs: list[Rung] = []
    for at_s in sorted(instants):
        draw = env.highest(
            beyond(
                env.subtract(env.value_at(full, at_s), env.value_at(less, at_s)), margin
            )
            for full, less in pairs
        )
        if not rungs or rungs[-1].draw != draw:
            rungs.append(Rung(UnixS(at_s), draw))
    return tuple(rungs)


def spares(
    freed: Mapping[EvseRef, tuple[Staircase, Staircase]],
    paths: Mapping[EvseRef, Iterable[CabinetId]],
    margins: Mapping[CabinetId, int],
    *,
    from_s: int,
) -> dict[EvseRef, Staircase]:
    """The spare room of every cabinet with EVSEs on fewer phases, also where it is 0.

    So who compares envelopes finds the same names, whatever limits change.
    """
    found: dict[EvseRef, Staircase] = {}
    for cabinet_id, margin_da in margins.items():
        below = [pair for ref, pair in freed.items() if cabinet_id in paths[ref]]
        if below:
            found[spare_ref(cabinet_id)] = spare_staircase(
                below, margin_da=margin_da, from_s=from_s
            )
    return found
