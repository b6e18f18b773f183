"""Chooses the currents of one step together, so that no phase is left stranded.

Each session values every current it may get: close to its relaxed target, more if
headroom would be wasted otherwise, much more if it is urgent or finished by it. Where
only the three phases of one cabinet bind, the best sum of values is found exactly by
dynamic programming over what the three-phase cars take; elsewhere (trees, limits in W,
two-phase cars) by greedy choice and exchange. All integers, ties by index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from optimizer.bound import MICROAMP_PER_DA, unmet_uj
from optimizer.goal import DEVIATION_MILLI, PACKINGS, Packing
from optimizer.grid import PHASES
from optimizer.layout import DJ_PER_WH, Layout, Room
from optimizer.problem import Mode
from optimizer.relaxed import RelaxedProblem

_AMPERE_DA: Final = 10
_SHORT_WH: Final = 500
_URGENT_STEP_MILLI: Final = 1_386
"""Urgency halves with every 1.386 steps of laxity: exp(-laxity / 2)."""

_EXCHANGE_MAX: Final = 40
"""More waiting cars than this are packed greedily, without exchanges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one session may get in this step, and how much it is worth.

    Attributes:
        index: The session.
        values: Permitted currents, 0.1 A, rising from 0, and the worth of each.
    """

    index: int
    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a step is packed.

    Attributes:
        layout: The problem in integers.
        packing: What counts.
        step: Which step.
        target_ua: Shape (n_session,): relaxed current of the step plus what rounding
            took from the session before, microampere.
        remaining_dj: Shape (n_session,): energy still needed before the step.
    """

    layout: Layout
    packing: Packing
    step: int
    target_ua: list[int]
    remaining_dj: list[int]


def policy(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> Packing:
    """Choose what counts: by the mode and, in ``AUTO``, by whether energy is short."""
    mode = relaxed.layout.problem.mode
    if mode is Mode.AUTO:
        unmet = sum(unmet_uj(relaxed, current_ua))
        short = unmet > _SHORT_WH * DJ_PER_WH * MICROAMP_PER_DA
        mode = Mode.FINISH if short else Mode.ECONOMY
    return PACKINGS[mode]


def pack(now: Situation) -> list[int]:
    """Return the currents of a step, Shape (n_session,), 0.1 A."""
    return pack_offers(now.layout, now.step, _offers(now))


def pack_offers(layout: Layout, step: int, offers: list[Offer]) -> list[int]:
    """Return the currents of a step, Shape (n_session,), 0.1 A, for given worths."""
    cabinet = _only_binding_cabinet(layout, step, offers)
    if cabinet is None:
        chosen = exchange(layout, step, offers)
    else:
        chosen = exact(layout, step, offers, cabinet)
    return _polish(layout, step, offers, chosen)


def worth(offers: Iterable[Offer], chosen: list[int]) -> int:
    """Return the sum of what the chosen currents are worth."""
    return sum(dict(offer.values)[chosen[offer.index]] for offer in offers)


def exact(layout: Layout, step: int, offers: list[Offer], cabinet: str) -> list[int]:
    """Choose the best currents where only the phases of one cabinet bind.

    Currents are counted in whole ampere here, rounded up.
    """
    caps = dict.fromkeys(PHASES, 10**9)
    for row in layout.rows:
        if row.cabinet_id == cabinet and row.phase is not None:
            caps[row.phase] = row.extra_da[step] // _AMPERE_DA
    groups: dict[tuple[int, ...], list[Offer]] = {PHASES: []}
    groups |= {(phase,): [] for phase in PHASES}
    behind = {
        index
        for row in layout.rows
        if row.cabinet_id == cabinet
        for index, _ in row.members
    }
    chosen = [0] * len(layout.problem.sessions)
    for offer in offers:
        if offer.index in behind:
            groups[layout.problem.sessions[offer.index].phases].append(offer)
        else:
            chosen[offer.index] = _best(offer, 0, layout.high_da[offer.index])[1]
    shared = _Table(layout, groups[PHASES], min(caps.values()))
    single = [_Table(layout, groups[phase,], caps[phase]) for phase in PHASES]

    def total(used: int) -> int:
        return shared.best[used] + sum(
            table.upto(caps[phase] - used)[0]
            for phase, table in zip(PHASES, single, strict=True)
        )

    used = max(range(len(shared.best)), key=lambda x: (total(x), -x))
    shared.trace(used, chosen)
    for phase, table in zip(PHASES, single, strict=True):
        table.trace(table.upto(caps[phase] - used)[1], chosen)
    return chosen


def exchange(layout: Layout, step: int, offers: list[Offer]) -> list[int]:
    """Choose greedily, then let each session step back once for the others."""
    chosen = _greedy(layout, step, offers, {})
    best = worth(offers, chosen)
    if len(offers) > _EXCHANGE_MAX:
        return chosen
    for offer in offers:
        for value, _ in _ends(offer):
            if value >= chosen[offer.index]:
                continue
            other = _greedy(layout, step, offers, {offer.index: value})
            found = worth(offers, other)
            if found > best:
                chosen, best = other, found
    return chosen


class _Table:
    """Best worth of a set of sessions for every total current they take."""

    __slots__ = ("_choices", "_first", "_offers", "best")

    def __init__(self, layout: Layout, offers: list[Offer], cap: int) -> None:
        self._offers = offers
        weights = [
            tuple(
                -(-max(0, value - layout.floor_da[offer.index]) // _AMPERE_DA)
                for value, _ in offer.values
            )
            for offer in offers
        ]
        size = min(cap, sum(max(weight) for weight in weights)) + 1
        self.best: list[int] = [0] * size
        self._choices: list[list[tuple[int, int]]] = []
        for offer, weight in zip(offers, weights, strict=True):
            worths = [value for _, value in offer.values]
            options = list(zip(weight, worths, range(len(worths)), strict=True))
            now: list[int] = []
            choice: list[tuple[int, int]] = []
            for used in range(size):
                top, what, back = self.best[used] + worths[0], 0, used
                for taken, value, number in options:
                    if taken <= used and self.best[used - taken] + value > top:
                        top = self.best[used - taken] + value
                        what, back = number, used - taken
                now.append(top)
                choice.append((what, back))
            self.best = now
            self._choices.append(choice)
        # With "at most" semantics the best never falls: the first of equals is least.
        self._first = [0] * size
        for used in range(1, size):
            same = self.best[used] == self.best[used - 1]
            self._first[used] = self._first[used - 1] if same else used

    def upto(self, cap: int) -> tuple[int, int]:
        """Return the best worth within a cap, and the least total that has it."""
        used = self._first[min(max(cap, 0), len(self.best) - 1)]
        return self.best[used], used

    def trace(self, used: int, chosen: list[int]) -> None:
        """Write the choices behind a total into ``chosen``."""
        for offer, choice in zip(
            reversed(self._offers), reversed(self._choices), strict=True
        ):
            what, used = choice[used]
            chosen[offer.index] = offer.values[what][0]


def _offers(now: Situation) -> list[Offer]:
    layout, packing = now.layout, now.packing
    found: list[Offer] = []
    for index, rest_dj in enumerate(now.remaining_dj):
        most = layout.sufficient_da(index, rest_dj)
        if now.step >= layout.stay[index] or most == 0:
            continue
        need = rest_dj * MICROAMP_PER_DA // layout.dj_per_da[index]
        target = max(0, min(now.target_ua[index], most * MICROAMP_PER_DA, need))
        lax_milli = max(0, layout.laxity_milli(index, now.step, rest_dj))
        urgent = _halved(packing.urgent_milli, lax_milli)
        volts = layout.dj_per_da[index] // layout.problem.step_s
        weight = round(layout.problem.sessions[index].weight * 1000) * volts

        def value(
            current_da: int,
            *,
            need: int = need,
            target: int = target,
            urgent: int = urgent,
            weight: int = weight,
        ) -> int:
            useful = min(current_da * MICROAMP_PER_DA, need)
            amount = packing.fill_milli * useful - DEVIATION_MILLI * abs(
                useful - target
            )
            amount += urgent * min(useful, target)
            if current_da * MICROAMP_PER_DA >= need:
                amount += packing.finish_milli * 10 * MICROAMP_PER_DA
            return weight * amount

        unit, low = layout.unit_da[index], layout.low_da[index]
        steps = (0, *range(low, most + 1, unit))
        found.append(Offer(index=index, values=tuple((v, value(v)) for v in steps)))
    return found


def _halved(full: int, lax_milli: int) -> int:
    """Return ``full`` halved once per ``_URGENT_STEP_MILLI``, linear in between."""
    times, rest = divmod(lax_milli, _URGENT_STEP_MILLI)
    times = min(times, 60)
    return (full >> times) - (full >> (times + 1)) * rest // _URGENT_STEP_MILLI


def _only_binding_cabinet(layout: Layout, step: int, offers: list[Offer]) -> str | None:
    """Name the one cabinet whose phases can bind, if there is just one.

    None where the exact method does not apply. A group in which nothing binds is
    packed under any cabinet.
    """
    most = {offer.index: offer.values[-1][0] for offer in offers}
    binding: set[str] = {layout.problem.cabinets[0].cabinet_id}
    found: set[str] = set()
    for row in layout.rows:
        floors = sum(a * layout.floor_da[index] for index, a in row.members)
        full = sum(
            a * max(0, most.get(index, 0) - layout.floor_da[index])
            for index, a in row.members
        )
        if row.head_da[step] < floors:
            return None
        if full > row.extra_da[step]:
            if row.phase is None:
                return None
            found.add(row.cabinet_id)
    phases = {len(layout.problem.sessions[offer.index].phases) for offer in offers}
    behind = found or binding
    if len(behind) > 1 or 2 in phases:  # noqa: PLR2004 - two-phase cars
        return None
    return next(iter(behind))


def _greedy(
    layout: Layout, step: int, offers: list[Offer], held_back: dict[int, int]
) -> list[int]:
    """Take the move with the most worth per ampere and phase, until none is left."""
    room = Room(layout, step)
    chosen = [0] * len(layout.problem.sessions)
    active = list(offers)
    while active:
        moves: list[tuple[int, int, int, Offer]] = []
        for offer in active:
            now = chosen[offer.index]
            most = held_back.get(offer.index, layout.high_da[offer.index])
            bound, _ = room.bound_da(offer.index, now)
            move = _best_move(layout, offer, now, min(bound, most))
            if move is not None:
                moves.append((-move[0], offer.index, move[1], offer))
        if not moves:
            break
        _, index, value, _offer = min(moves, key=lambda move: move[:3])
        room.take(index, -chosen[index])
        room.take(index, value)
        chosen[index] = value
        active = [move[3] for move in moves]
    return chosen


def _best_move(
    layout: Layout, offer: Offer, now: int, bound: int
) -> tuple[int, int] | None:
    base = next(worth for value, worth in offer.values if value == now)
    phases = len(layout.problem.sessions[offer.index].phases)
    rates = [
        ((worth - base) // ((value - now) * phases), value)
        for value, worth in offer.values
        if now < value <= bound and worth > base
    ]
    return max(rates, default=None)


def _ends(offer: Offer) -> list[tuple[int, int]]:
    return [offer.values[0], *offer.values[1:2]]


def _polish(
    layout: Layout, step: int, offers: list[Offer], chosen: list[int]
) -> list[int]:
    """Raise each session to its best current that still fits, one after the other."""
    room = Room(layout, step)
    for index, current_da in enumerate(chosen):
        room.take(index, current_da)
    for offer in offers:
        held = chosen[offer.index]
        bound, _ = room.bound_da(offer.index, held)
        _, best = _best(offer, held, max(held, bound))
        room.take(offer.index, -held)
        room.take(offer.index, best)
        chosen[offer.index] = best
    return chosen


def _best(offer: Offer, low_da: int, high_da: int) -> tuple[int, int]:
    """Return the best worth within [low, high] and the least current that has it."""
    worth, negative = max(
        (worth, -value) for value, worth in offer.values if low_da <= value <= high_da
    )
    return worth, -negative
