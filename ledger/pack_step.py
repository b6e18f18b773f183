"""Which currents the cars of one step get, by what each is worth to them.

As docs/optimizer.md (Packing): exactly where the limits that bind allow it, else the
better of a greedy choice with exchanges and one that packs set by set.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import gcd
from typing import Final

from ledger.pack_tables import NO_CAP, Caps, Crowd, Entrant, best_options
from ledger.plan_limits import Limit
from ledger.plan_problem import PHASES, Car

MAX_CELL: Final = 4_000_000
EXCHANGE_MAX: Final = 40
_COARSER: Final = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000, 100_000)

Offers = Mapping[int, Sequence[tuple[int, int]]]
"""By session, rising: currents from 0, 0.1 A, and the worth of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """The limits of one step: what they have left, and above the floors."""

    cars: Sequence[Car]
    limits: Sequence[Limit]
    of_car: Sequence[Sequence[tuple[int, int]]]
    head: Sequence[int]
    room: Sequence[int]


class Left:
    """What is left of the limits of a step while currents are handed out."""

    def __init__(self, rows: StepRows) -> None:
        """Start with nothing handed out."""
        self._rows = rows
        self._head, self._room = list(rows.head), list(rows.room)

    def give(self, index: int, old: int, new: int) -> None:
        """Replace a current by another."""
        floor = self._rows.cars[index].floor
        above = max(0, new - floor) - max(0, old - floor)
        for row, a in self._rows.of_car[index]:
            self._head[row] -= a * (new - old)
            self._room[row] -= a * above

    def bound(self, index: int, held: int = 0) -> int:
        """Return the most that a session may get, what it holds counted back."""
        car = self._rows.cars[index]
        above = max(0, held - car.floor)
        found = car.high
        for row, a in self._rows.of_car[index]:
            head = held + self._head[row] // a
            room = car.floor + above + self._room[row] // a
            found = min(found, head, room)
        return found

    def largest(self, index: int, wanted: int, held: int = 0) -> int:
        """Return the largest permitted current up to what is wanted that fits."""
        car = self._rows.cars[index]
        most = min(wanted, self.bound(index, held), car.high)
        found = most // car.unit * car.unit
        return found if found >= car.low else 0


def pack(rows: StepRows, offers: Offers) -> list[int]:
    """Return the currents of all sessions, 0.1 A."""
    exact = _exact(rows, offers)
    if exact is not None:
        return _raised(rows, offers, exact)
    choices = [_exchanged(rows, offers), _by_sets(rows, offers)]
    found = [_raised(rows, offers, one) for one in choices if one is not None]
    return max(found, key=lambda one: _worth(offers, one))


@dataclass(slots=True, kw_only=True)
class _Set:
    """Sessions behind limits that could bind, and these; above the floors."""

    members: frozenset[int]
    caps: list[int] = field(default_factory=lambda: [NO_CAP] * len(PHASES))
    total: int | None = None
    single: list[int] | None = None
    inner: _Set | None = None

    def bind(self, limit: Limit, room: int) -> None:
        if limit.phase is None:
            self.total = room if self.total is None else min(self.total, room)
        elif limit.against is None:
            self.caps[limit.phase] = min(self.caps[limit.phase], room)
        else:
            self.single = self.single or [NO_CAP] * len(PHASES)
            self.single[limit.phase] = min(self.single[limit.phase], room)


def _exact(rows: StepRows, offers: Offers) -> list[int] | None:
    sets = _sets(rows, offers)
    outer = None if sets is None else _nested(sets)
    if outer is None:
        return None
    chosen = [0] * len(rows.cars)
    for index, options in offers.items():
        chosen[index] = _best(options, 0, rows.cars[index].high)
    for one in outer:
        behind = {i: options for i, options in offers.items() if i in one.members}
        found = best_options(_crowd(rows, one, behind))
        if found is None:
            return None
        for (index, options), option in zip(behind.items(), found, strict=True):
            chosen[index] = options[option][0]
    return chosen


def _by_sets(rows: StepRows, offers: Offers) -> list[int] | None:
    """Pack the smallest set first; what it chose bounds the larger ones."""
    sets = _sets(rows, offers)
    if sets is None:
        return None
    left = dict(offers)
    for one in sorted(sets, key=lambda one: len(one.members)):
        behind = {i: options for i, options in left.items() if i in one.members}
        found = best_options(_crowd(rows, one, behind))
        if found is None:
            return None
        for (index, options), option in zip(behind.items(), found, strict=True):
            left[index] = options[: option + 1]
    chosen = [0] * len(rows.cars)
    for index, options in left.items():
        chosen[index] = _best(options, 0, rows.cars[index].high)
    return chosen


def _sets(rows: StepRows, offers: Offers) -> list[_Set] | None:
    """Group the limits that could bind by whom they have behind them."""
    behind: dict[str, set[int]] = {}
    binding: set[tuple[str, str]] = set()
    for number, limit in enumerate(rows.limits):
        if rows.head[number] < limit.floors:
            return None
        here = [index for index in limit.cars if index in offers]
        behind.setdefault(limit.cabinet_id, set()).update(here)
        most = sum(
            limit.cars[index] * max(0, offers[index][-1][0] - rows.cars[index].floor)
            for index in here
        )
        if most > rows.room[number]:
            binding.add((limit.cabinet_id, _kind(limit)))
            if _kind(limit) == "imbalance" and any(
                len(rows.cars[index].phases) > 1 for index in limit.cars
            ):
                return None
    found: dict[frozenset[int], _Set] = {}
    for number, limit in enumerate(rows.limits):
        if (limit.cabinet_id, _kind(limit)) in binding:
            members = frozenset(behind[limit.cabinet_id])
            one = found.setdefault(members, _Set(members=members))
            one.bind(limit, rows.room[number])
    return list(found.values())


def _kind(limit: Limit) -> str:
    if limit.phase is None:
        return "total"
    return "phase" if limit.against is None else "imbalance"


def _nested(sets: Sequence[_Set]) -> list[_Set] | None:
    """Put each set into the one that holds it; ``None`` beyond one level."""
    outer = []
    for one in sets:
        above = [other for other in sets if one.members < other.members]
        if not above:
            outer.append(one)
            continue
        holder = above[0]
        plain = one.total is None and one.single is None and holder.single is None
        if len(above) > 1 or holder.inner is not None or not plain:
            return None
        holder.inner = one
    return outer


def _crowd(rows: StepRows, one: _Set, offers: Offers) -> Crowd:
    inside = frozenset[int]() if one.inner is None else one.inner.members
    taken = {
        index: [max(0, value - rows.cars[index].floor) for value, _ in options]
        for index, options in offers.items()
    }
    unit = gcd(*(value for values in taken.values() for value in values)) or 1
    caps = [cap for cap in (*one.caps, *(one.single or ())) if cap < NO_CAP]
    budgets = max([one.total or 0, *caps]) // unit + 1
    cells = budgets * sum(len(values) for values in taken.values())
    unit *= next((c for c in _COARSER if cells <= MAX_CELL * c), _COARSER[-1])

    def in_units(given: Sequence[int]) -> Caps:
        return [cap // unit for cap in given]

    return Crowd(
        entrants=[
            Entrant(
                place=place,
                phases=rows.cars[index].phases,
                is_inner=index in inside,
                units=tuple(-(-value // unit) for value in taken[index]),
                worths=tuple(worth for _, worth in options),
            )
            for place, (index, options) in enumerate(offers.items())
        ],
        caps=in_units(one.caps),
        total=None if one.total is None else one.total // unit,
        inner=None if one.inner is None else in_units(one.inner.caps),
        single=None if one.single is None else in_units(one.single),
    )


class _Raises:
    """Raises of a session with the most worth per 0.1 A and phase."""

    def __init__(self, options: Sequence[tuple[int, int]], n_phase: int) -> None:
        self._values = [value for value, _ in options]
        self._worths = [worth for _, worth in options]
        self._n_phase = n_phase
        self._from: dict[int, list[tuple[int, int] | None]] = {}

    def best(self, now: int, bound: int) -> tuple[int, int] | None:
        """Return rate and current of the best raise up to a bound."""
        place = bisect_right(self._values, bound) - 1
        if place < 0:
            return None
        if now not in self._from:
            self._from[now] = self._all(now)
        return self._from[now][place]

    def _all(self, now: int) -> list[tuple[int, int] | None]:
        base = self._worths[self._values.index(now)]
        found: list[tuple[int, int] | None] = []
        top: tuple[int, int] | None = None
        for value, worth in zip(self._values, self._worths, strict=True):
            if value > now and worth > base:
                rate = (worth - base) // ((value - now) * self._n_phase)
                top = (rate, value) if top is None else max(top, (rate, value))
            found.append(top)
        return found


def _exchanged(rows: StepRows, offers: Offers) -> list[int]:
    """Choose greedily; then each session steps back once, for the others."""
    raises = {
        index: _Raises(options, len(rows.cars[index].phases))
        for index, options in offers.items()
    }
    chosen = _greedy(rows, raises, {})
    if len(offers) > EXCHANGE_MAX:
        return chosen
    top = _worth(offers, chosen)
    for index, options in offers.items():
        for value, _ in options[:2]:
            if value < chosen[index]:
                other = _greedy(rows, raises, {index: value})
                found = _worth(offers, other)
                if found > top:
                    chosen, top = other, found
    return chosen


def _greedy(
    rows: StepRows, raises: Mapping[int, _Raises], held_at: Mapping[int, int]
) -> list[int]:
    """Take the raise with the most worth per 0.1 A and phase, until none fits.

    What is left only shrinks: the best raise of a session that still fits is still its
    best, and one that does not is looked for again when its turn comes.
    """
    left = Left(rows)
    chosen = [0] * len(rows.cars)
    queue: list[tuple[int, int, int]] = []

    def look(index: int) -> None:
        most = held_at.get(index, rows.cars[index].high)
        bound = min(most, left.bound(index, chosen[index]))
        found = raises[index].best(chosen[index], bound)
        if found is not None:
            heappush(queue, (-found[0], index, found[1]))

    for index in raises:
        look(index)
    while queue:
        _, index, value = heappop(queue)
        if value <= left.bound(index, chosen[index]):
            left.give(index, chosen[index], value)
            chosen[index] = value
        look(index)
    return chosen


def _raised(rows: StepRows, offers: Offers, chosen: Sequence[int]) -> list[int]:
    """Raise each session, in order, to its best current that still fits."""
    left, found = Left(rows), list(chosen)
    for index, current in enumerate(found):
        left.give(index, 0, current)
    for index, options in offers.items():
        held = found[index]
        best = _best(options, held, max(held, left.bound(index, held)))
        left.give(index, held, best)
        found[index] = best
    return found


def _worth(offers: Offers, chosen: Sequence[int]) -> int:
    return sum(dict(options)[chosen[index]] for index, options in offers.items())


def _best(options: Sequence[tuple[int, int]], low: int, high: int) -> int:
    """Return the least current within bounds that is worth the most."""
    _, negative = max(
        (worth, -value) for value, worth in options if low <= value <= high
    )
    return -negative
