"""Currents on the three phases of a supply: exact sums, wiring, grid types.

Currents are integers in 0.1 A (``_da``): limits count rounded down, everything that
may be drawn rounded up. A triple is always (L1, L2, L3) *of the supply*.
"""

import math
from enum import StrEnum
from typing import Final, TypeAlias

PerPhase: TypeAlias = tuple[int, int, int]
"""0.1 A on supply phases L1, L2, L3."""

Rotation: TypeAlias = tuple[int, ...]
"""Supply phases (0 to 2) of terminals 1, 2, 3, in order; 1 to 3 of them."""

ZERO: Final[PerPhase] = (0, 0, 0)
ALL_PHASES: Final[Rotation] = (0, 1, 2)
DC_UNDERVOLTAGE: Final = 0.9
"""A rectifier draws constant power: at 0.9 U its current is highest."""


class Grid(StrEnum):
    """Earthing of the supply: what ``nominal_v`` is measured between.

    TN (and TT): phase to neutral. IT and delta: line to line, no neutral, so an asset
    names two lines or all three.
    """

    TN = "TN"
    IT = "IT"
    DELTA = "delta"


def rotation(text: str) -> Rotation:
    """Read ``L2L3L1`` as (1, 2, 0): terminal 1 is wired to L2, and so on.

    Raises:
        ValueError: Not one to three different phases.
    """
    words = [text[i : i + 2] for i in range(0, len(text), 2)]
    if (
        not 1 <= len(words) <= len(ALL_PHASES)
        or len(set(words)) != len(words)
        or not set(words) <= {"L1", "L2", "L3"}
    ):
        raise ValueError(f"not a rotation of phases: {text!r}")
    return tuple(int(word[1]) - 1 for word in words)


def rotation_text(phases: Rotation) -> str:
    """The inverse of `rotation`."""
    return "".join(f"L{phase + 1}" for phase in phases)


def phase_voltage(grid: Grid, nominal_v: float, n_phase: int) -> float:
    """Effective V per listed phase, so that power is V times phases times current.

    Args:
        grid: What ``nominal_v`` is measured between.
        nominal_v: V.
        n_phase: Phases (TN) or lines (IT, delta) the asset is wired to.
    """
    if grid is Grid.TN:
        return nominal_v
    return nominal_v / math.sqrt(3) if n_phase == len(ALL_PHASES) else nominal_v / 2


def dc_input_da(
    power_w: float,
    *,
    phase_v: float,
    n_phase: int,
    efficiency: float,
    auxiliary_w: float,
) -> int:
    """AC current per phase of a converter at 0.9 U, 0.1 A, rounded up."""
    input_w = power_w / efficiency + auxiliary_w
    exact_da = input_w / (phase_v * DC_UNDERVOLTAGE * n_phase) * 10
    return math.ceil(round(exact_da, 6))


def spread(phases: Rotation, current_da: int) -> PerPhase:
    """The same current on each listed phase."""
    return (
        current_da if 0 in phases else 0,
        current_da if 1 in phases else 0,
        current_da if 2 in phases else 0,  # noqa: PLR2004 - the third phase
    )


def plus(*currents: PerPhase) -> PerPhase:
    """Sum phase by phase."""
    return (
        sum(c[0] for c in currents),
        sum(c[1] for c in currents),
        sum(c[2] for c in currents),
    )
