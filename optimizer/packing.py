"""Chooses the currents of one step together, so that no phase is left stranded.

Each session values every current it may get, see ``optimizer.worth``. The best sum of
worths is found exactly, see ``optimizer.knapsack``, where the limits that can bind are

* the three phases of cabinets without a common session, or
* of one cabinet within another one, or
* of one cabinet together with its limit over all phases,

two-phase cars included in the first case; or a limit of the imbalance, with cars on one
or on all phases. Elsewhere (deeper trees, floors that do not fit) the better counts of
two choices: greedy with exchanges, and cabinet by cabinet from the smallest on. All
integers, ties by index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import gcd
from typing import Final, Literal, TypeAlias

from optimizer.bound import unmet_uj
from optimizer.goal import PACKINGS, Packing
from optimizer.grid import PHASES
from optimizer.knapsack import Crowd, choose
from optimizer.layout import DJ_PER_WH, MICROAMP_PER_DA, Layout, Room, Row
from optimizer.maxplus import Item, Kernel, Plain
from optimizer.problem import Mode
from optimizer.raises import Raises
from optimizer.relaxed import RelaxedProblem
from optimizer.worth import Offer, Situation, by_target

_SHORT_WH: Final = 500

_EXCHANGE_MAX: Final = 40
"""More waiting cars than this are packed greedily, without exchanges."""

MAX_CELL: Final = 4_000_000
"""Budgets times options of the exact method; beyond, units are counted coarser."""

_COARSER: Final = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000, 100_000)
_NO_CAP: Final = 10**9
_Kind: TypeAlias = Literal["phase", "total", "imbalance"]


def policy(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> Packing:
    """Choose what counts: by the mode and, in ``AUTO``, by whether energy is short."""
    mode = relaxed.layout.problem.mode
    if mode is Mode.AUTO:
        unmet = sum(unmet_uj(relaxed, current_ua))
        short = unmet > _SHORT_WH * DJ_PER_WH * MICROAMP_PER_DA
        mode = Mode.FINISH if short else Mode.ECONOMY
    return PACKINGS[mode]


def pack(now: Situation, kernel: Kernel | None = None) -> list[int]:
    """Return the currents of a step, Shape (n_session,), 0.1 A."""
    return pack_offers(now.layout, now.step, by_target(now), kernel)


def pack_offers(
    layout: Layout, step: int, offers: list[Offer], kernel: Kernel | None = None
) -> list[int]:
    """Return the currents of a step, Shape (n_session,), 0.1 A, for given worths."""
    kernel = kernel or Plain()
    chosen = exact(layout, step, offers, kernel)
    if chosen is not None:
        return _polish(layout, step, offers, chosen)
    found = [exchange(layout, step, offers), by_levels(layout, step, offers, kernel)]
    polished = [_polish(layout, step, offers, one) for one in found if one is not None]
    return max(polished, key=lambda one: worth(offers, one))


def worth(offers: Iterable[Offer], chosen: list[int]) -> int:
    """Return the sum of what the chosen currents are worth."""
    return sum(dict(offer.values)[chosen[offer.index]] for offer in offers)


def exact(
    layout: Layout, step: int, offers: list[Offer], kernel: Kernel
) -> list[int] | None:
    """Choose the currents with the most worth together; None if that is too hard.

    Exact as long as units need not be counted coarser, see ``MAX_CELL``.
    """
    parts = _parts(layout, step, offers)
    nested = None if parts is None else _nest(parts)
    if nested is None:
        return None
    chosen = [0] * len(layout.problem.sessions)
    for offer in offers:
        chosen[offer.index] = _best(offer, 0, layout.high_da[offer.index])[1]
    for part in nested:
        behind = [offer for offer in offers if offer.index in part.members]
        found = choose(_crowd(layout, part, behind), kernel)
        if found is None:
            return None
        for offer, option in zip(behind, found, strict=True):
            chosen[offer.index] = offer.values[option][0]
    return chosen


def by_levels(
    layout: Layout, step: int, offers: list[Offer], kernel: Kernel
) -> list[int] | None:
    """Choose the best within each cabinet, from the smallest to the whole tree.

    What a cabinet chose bounds what those above it may choose for its cars. Each
    choice is exact, all of them together need not be; None if one is too hard.
    """
    parts = _parts(layout, step, offers)
    if parts is None:
        return None
    left = {offer.index: offer for offer in offers}
    for part in sorted(parts, key=lambda part: len(part.members)):
        behind = [offer for index, offer in left.items() if index in part.members]
        found = choose(_crowd(layout, part, behind), kernel)
        if found is None:
            return None
        for offer, option in zip(behind, found, strict=True):
            values = offer.values[: option + 1]
            left[offer.index] = Offer(index=offer.index, values=values)
    chosen = [0] * len(layout.problem.sessions)
    for index, offer in left.items():
        chosen[index] = _best(offer, 0, layout.high_da[index])[1]
    return chosen


@dataclass(slots=True, kw_only=True)
class _Part:
    """Sessions behind limits that can bind; currents are above the floors, 0.1 A.

    Attributes:
        members: Who.
        cap: Per phase.
        total: Over all phases.
        inner: Of a cabinet within.
        single: Per phase, what cars on this phase alone may take together.
    """

    members: frozenset[int]
    cap: dict[int, int]
    total: int | None = None
    inner: "_Part | None" = None
    single: dict[int, int] = field(default_factory=dict)

    def bind(self, row: Row, extra_da: int) -> None:
        """Add one limit."""
        phase = row.phase
        if phase is not None and row.against is not None:
            self.single[phase] = min(self.single.get(phase, _NO_CAP), extra_da)
        elif phase is None:
            known = self.total
            self.total = extra_da if known is None else min(known, extra_da)
        else:
            self.cap[phase] = min(self.cap[phase], extra_da)


def _parts(layout: Layout, step: int, offers: list[Offer]) -> list[_Part] | None:
    """Group the limits that can bind; None where they overlap too much."""
    most = {offer.index: offer.values[-1][0] for offer in offers}
    behind: dict[str, set[int]] = {}
    binding: set[tuple[str, _Kind]] = set()
    for row in layout.rows:
        floors = sum(a * layout.floor_da[index] for index, a in row.members)
        if row.head_da[step] < floors:
            return None
        here = {index for index, _ in row.members if index in most}
        behind.setdefault(row.cabinet_id, set()).update(here)
        full = sum(
            a * max(0, most.get(index, 0) - layout.floor_da[index])
            for index, a in row.members
        )
        if full > row.extra_da[step]:
            binding.add((row.cabinet_id, _kind(row)))
            if row.against is not None and not _all_on_one_phase(layout, row):
                return None
    found: dict[frozenset[int], _Part] = {}
    for row in layout.rows:
        if (row.cabinet_id, _kind(row)) in binding:
            members = frozenset(behind[row.cabinet_id])
            part = found.setdefault(
                members, _Part(members=members, cap=dict.fromkeys(PHASES, _NO_CAP))
            )
            part.bind(row, row.extra_da[step])
    return list(found.values())


def _kind(row: Row) -> "_Kind":
    if row.against is not None:
        return "imbalance"
    return "total" if row.phase is None else "phase"


def _all_on_one_phase(layout: Layout, row: Row) -> bool:
    sessions = layout.problem.sessions
    return all(len(sessions[index].phases) == 1 for index, _ in row.members)


def _nest(parts: list[_Part]) -> list[_Part] | None:
    """Put each part into the one that holds it; None for more than one level."""
    outer: list[_Part] = []
    for part in parts:
        above = [other for other in parts if part.members < other.members]
        if not above:
            outer.append(part)
        elif (
            len(above) > 1
            or above[0].inner
            or part.total is not None
            or part.single
            or above[0].single
        ):
            return None
        else:
            above[0].inner = part
    return outer


def _crowd(layout: Layout, part: _Part, offers: list[Offer]) -> Crowd:
    inside = frozenset[int]() if part.inner is None else part.inner.members
    taken = [
        [max(0, value - layout.floor_da[offer.index]) for value, _ in offer.values]
        for offer in offers
    ]
    unit = gcd(*(weight for weights in taken for weight in weights)) or 1
    caps = [*part.cap.values(), *part.single.values()]
    room = max((cap for cap in caps if cap < _NO_CAP), default=0)
    size = max(room, part.total or 0) // unit + 1
    cells = size * sum(len(weights) for weights in taken)
    unit *= next(
        (factor for factor in _COARSER if cells <= MAX_CELL * factor), _COARSER[-1]
    )
    return Crowd(
        items=tuple(
            Item(
                number=number,
                phases=layout.problem.sessions[offer.index].phases,
                is_inner=offer.index in inside,
                weights=tuple(-(-weight // unit) for weight in weights),
                worths=tuple(worth for _, worth in offer.values),
            )
            for number, (offer, weights) in enumerate(zip(offers, taken, strict=True))
        ),
        cap=_caps(part, unit),
        total=None if part.total is None else part.total // unit,
        inner_cap=(None if part.inner is None else _caps(part.inner, unit)),
        single_cap=_single(part, unit) if part.single else None,
    )


def _single(part: _Part, unit: int) -> tuple[int, int, int]:
    one, two, three = (part.single.get(phase, _NO_CAP) // unit for phase in PHASES)
    return one, two, three


def _caps(part: _Part, unit: int) -> tuple[int, int, int]:
    one, two, three = (part.cap[phase] // unit for phase in PHASES)
    return one, two, three


def exchange(layout: Layout, step: int, offers: list[Offer]) -> list[int]:
    """Choose greedily, then let each session step back once for the others."""
    raises = [(offer.index, Raises.of(layout, offer)) for offer in offers]
    chosen = _greedy(layout, step, raises, {})
    best = worth(offers, chosen)
    if len(offers) > _EXCHANGE_MAX:
        return chosen
    for offer in offers:
        for value, _ in _ends(offer):
            if value >= chosen[offer.index]:
                continue
            other = _greedy(layout, step, raises, {offer.index: value})
            found = worth(offers, other)
            if found > best:
                chosen, best = other, found
    return chosen


def _greedy(
    layout: Layout,
    step: int,
    raises: list[tuple[int, Raises]],
    held_back: dict[int, int],
) -> list[int]:
    """Take the move with the most worth per ampere and phase, until none is left.

    Room only shrinks, so a move that was the best of its session still is if it fits,
    and only the best of all is looked at.
    """
    room = Room(layout, step)
    chosen = [0] * len(layout.problem.sessions)
    options = dict(raises)
    moves: list[tuple[int, int, int]] = []

    def look(index: int) -> None:
        bound, _ = room.bound_da(index, chosen[index])
        most = held_back.get(index, layout.high_da[index])
        move = options[index].best(chosen[index], min(bound, most))
        if move is not None:
            heappush(moves, (-move[0], index, move[1]))

    for index in options:
        look(index)
    while moves:
        _, index, value = heappop(moves)
        if value <= room.bound_da(index, chosen[index])[0]:
            room.take(index, -chosen[index])
            room.take(index, value)
            chosen[index] = value
        look(index)
    return chosen


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
