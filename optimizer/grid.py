"""Brings numbers from outside onto the integer grid, or refuses them by name."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from optimizer.document import ProblemError

PHASES: Final = (0, 1, 2)
"""Grid phases L1, L2, L3."""

MAX_CURRENT_A: Final = 10_000.0
MAX_POWER_W: Final = 1e9
MAX_PRICE_MICRO: Final = 10**10

SLACK: Final = 1e-6
"""Decimal fractions such as 6.3 are not binary: 0.1 microampere is no difference."""

Series = Sequence[float]
PhaseSeries = Sequence[Sequence[float]]


def floor_da(current_a: float) -> int:
    """Return whole tenths of an ampere, rounded down."""
    return math.floor(current_a * 10 + SLACK)


def ceil_da(current_a: float) -> int:
    """Return whole tenths of an ampere, rounded up."""
    return math.ceil(current_a * 10 - SLACK)


def grid_da(current_a: float) -> int:
    """Return tenths of an ampere of a value that already lies on the grid."""
    return round(current_a * 10)


def require(path: str, holds: bool, why: str) -> None:
    """Raise a ``ProblemError`` for ``path`` unless the condition holds."""
    if not holds:
        raise ProblemError(path, why)


def whole(path: str, value: object, low: int, high: int) -> int:
    """Return an int within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProblemError(path, "must be an integer")
    require(path, low <= value <= high, f"must be from {low} to {high}")
    return value


def number(path: str, value: object, high: float) -> float:
    """Return a finite float within [0, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProblemError(path, "must be a number")
    require(path, math.isfinite(value), "must be finite")
    require(path, 0 <= value <= high, f"must be from 0 to {high:g}")
    return float(value)


def series(path: str, values: Series, n_step: int, high: float) -> tuple[float, ...]:
    """Return one finite float per step."""
    found = tuple(values)
    require(path, len(found) == n_step, f"must hold {n_step} steps")
    return tuple(
        number(f"{path}[{step}]", value, high) for step, value in enumerate(found)
    )


def phase_series(
    path: str,
    values: PhaseSeries,
    n_step: int,
    to_da: Callable[[float], int],
) -> tuple[tuple[float, ...], ...]:
    """Return three series of A on the 0.1 A grid."""
    found = tuple(values)
    require(path, len(found) == 3, "must hold three phases")  # noqa: PLR2004 - the grid has three
    return tuple(
        tuple(
            to_da(value) / 10
            for value in series(f"{path}[{phase}]", row, n_step, MAX_CURRENT_A)
        )
        for phase, row in enumerate(found)
    )


def prices(path: str, values: Sequence[int] | None, n_step: int) -> tuple[int, ...]:
    """Return one integer price per step; None means that nothing is known: 0."""
    found = (0,) * n_step if values is None else tuple(values)
    require(path, len(found) == n_step, f"must hold {n_step} steps")
    return tuple(
        whole(f"{path}[{step}]", value, -MAX_PRICE_MICRO, MAX_PRICE_MICRO)
        for step, value in enumerate(found)
    )
