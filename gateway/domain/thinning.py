"""Which registers of a session make its price, and which can be left out of the fold.

Between two edges of a price, sums do not depend on the registers on the way: energy and
time add up. What counts are the registers around each edge, and, where the state of the
car makes a price, those at which it begins or ends to charge. The fold over what is
kept gives the same bill, part by part.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

T = TypeVar("T", int, datetime)

PARKED_BELOW_W: Final = 100
"""Average power from one change of the register to the next, W."""
STANDSTILL: Final = timedelta(hours=1)
"""A register that stands still for so long is parking by itself: at the least current
of a car, 6 A on one phase, 1.4 kWh would have gone through it."""
_PARKED_PER_MILLIWH: Final = timedelta(microseconds=3_600_000 // PARKED_BELOW_W)
"""A milliwatt-hour that took longer than this was no charging."""


class RegisterPoint(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """The import register at an instant."""

    at: datetime
    register_milliwh: int


def around_edges(
    points: Sequence[RegisterPoint],
    edges: Sequence[datetime],
    thresholds: Sequence[int],
) -> list[RegisterPoint]:
    """The registers around all edges, for prices that do not ask for the car's state.

    Args:
        points: Ascending in time and register.
        edges: Instants at which a price may change.
        thresholds: Registers at which one may.
    """
    last = len(points) - 1
    kept = {0, last}
    for edge in edges:
        low = bisect_left(points, edge, key=_at)
        high = bisect_right(points, edge, key=_at)
        kept |= {low - 1, low, high - 1, high}
    for register in thresholds:
        low = bisect_left(points, register, key=_register)
        high = bisect_right(points, register, key=_register)
        kept |= {low - 1, low, high - 1, high}
    return [points[index] for index in sorted(kept) if 0 <= index <= last]


def around_changes(
    points: Sequence[RegisterPoint],
    edges: Sequence[datetime],
    thresholds: Sequence[int],
) -> list[RegisterPoint]:
    """The same, and where the car begins or ends to charge.

    A stretch goes from one change of the register to the next, and charging or parking
    is said of it as a whole, but for a `STANDSTILL` in it. Stretches that say the same
    are one, since the average of averages on one side of a bound is on that side; one
    with an edge within stays as it is.

    Args:
        points: Ascending in time and register, each once.
        edges: Instants at which a price may change, ascending.
        thresholds: Registers at which one may, ascending.
    """
    begun = upto = points[0]
    kept = [begun]
    state: bool | None = None
    is_joinable = False
    next_at, next_register = (
        _next(edges, begun.at),
        _next(thresholds, begun.register_milliwh),
    )
    for point in points[1:]:
        register, at = point.register_milliwh, point.at
        energy = register - begun.register_milliwh
        if energy == 0:
            upto = point
            continue
        span = at - begun.at
        found = span > energy * _PARKED_PER_MILLIWH if span else None
        is_cut = (
            (next_at is not None and next_at < at)
            or (next_register is not None and next_register < register)
            or upto.at - begun.at >= STANDSTILL
        )
        if kept[-1] is not begun and (
            not is_joinable or is_cut or found is None or found is not state
        ):
            kept.append(begun)
        if is_cut and upto is not begun:
            kept.append(upto)
        is_at_edge = at == next_at or register == next_register
        is_joinable = not is_cut and not is_at_edge and found is not None
        state = found
        if is_cut or is_at_edge:
            next_at, next_register = _next(edges, at), _next(thresholds, register)
        begun = upto = point
    if kept[-1] is not begun:
        kept.append(begun)
    if upto is not begun:
        kept.append(upto)
    return kept


def in_order(registers: Sequence[RegisterPoint]) -> list[RegisterPoint]:
    """Registers in order of time; one that comes twice does no harm.

    Raises:
        ValueError: The register runs backwards.
    """
    points = sorted(registers)
    values = [point.register_milliwh for point in points]
    if values != sorted(values):
        raise ValueError("the register runs backwards")
    return points


def _next(bounds: Sequence[T], value: T) -> T | None:
    """The first bound above a value."""
    index = bisect_right(bounds, value)
    return bounds[index] if index < len(bounds) else None


def _at(point: RegisterPoint) -> datetime:
    return point.at


def _register(point: RegisterPoint) -> int:
    return point.register_milliwh
