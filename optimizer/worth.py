"""What each current of a step is worth to each session, in whole numbers.

Worths are millionths of ``kW/A * A``, rounded to the nearest (half up). Whatever a
problem may hold (1,000 V on three phases, a weight of 1,000, 10,000 A, 2,000
sessions), a session's worth is at most 4e14 and their sum below 1e18: both kernels
of ``optimizer.knapsack`` count exactly, also in 64 bits.
"""

from dataclasses import dataclass
from typing import Final

from optimizer.goal import DEVIATION_MILLI, Packing
from optimizer.grid import PHASES
from optimizer.layout import MICROAMP_PER_DA, Layout

_URGENT_STEP_MILLI: Final = 1_386
"""Urgency halves with every 1.386 steps of laxity: exp(-laxity / 2)."""

_LAST_CHANCE_MILLI: Final = 1_000
"""Who waits one step more than this leaves can no longer get all."""

_FIRST_TO_LEAVE: Final = 20
"""What an ampere of the first to leave is worth above that of the last."""


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


def by_target(now: Situation) -> list[Offer]:
    """Value currents by how near they come to the relaxed plan.

    With ``u`` the usable part of a current (at most what is still needed) and ``g``
    the target, a current v of a session is worth::

        power * (fill * u - |u - g| + urgency * min(u, g) + finish if it completes)

    where power is kW per A times the weight of the session, and urgency falls with
    its laxity. Where targets are followed, the target of who cannot wait another step
    is at least the least current that charges: what a plan puts off to the last steps
    could not be made up for there, and its urgency counts by the phase and not by kW:
    a car on three phases that can wait does not push out one on a single phase that
    cannot. And completing somebody counts only if the plan wants it to charge now.
    """
    layout, packing = now.layout, now.packing
    found: list[Offer] = []
    for index, rest_dj in enumerate(now.remaining_dj):
        if now.step >= layout.stay[index]:
            continue
        most = layout.sufficient_da(index, rest_dj)
        if most == 0:
            continue
        need = rest_dj * MICROAMP_PER_DA // layout.dj_per_da[index]
        target = max(0, min(now.target_ua[index], most * MICROAMP_PER_DA, need))
        laxity_milli = max(0, layout.laxity_milli(index, now.step, rest_dj))
        urgent = halved(packing.urgent_milli, laxity_milli)
        if target and not packing.fills and laxity_milli < _LAST_CHANCE_MILLI:
            least = layout.low_da[index] * MICROAMP_PER_DA
            target = max(target, min(least, need))
            n_power = layout.problem.sessions[index].n_power_phase or 1
            urgent = urgent * len(PHASES) // n_power
        fill, power = packing.fill_milli, _power(layout, index)
        finish = packing.finish_milli * 10 * MICROAMP_PER_DA
        if not packing.fills and not target:
            finish = 0
        values: list[tuple[int, int]] = []
        for value in _permitted(layout, index, most):
            current = value * MICROAMP_PER_DA
            useful = min(current, need)
            amount = fill * useful + urgent * min(useful, target)
            amount -= DEVIATION_MILLI * abs(useful - target)
            if current >= need:
                amount += finish
            values.append((value, (power * amount + 500_000_000) // 10**9))
        found.append(Offer(index=index, values=tuple(values)))
    return found


def by_rank(layout: Layout, active: list[int]) -> list[Offer]:
    """Value currents of step 0 by who leaves first.

    An ampere that a session can still use is worth its power times
    ``1 + 20 * (1 - rank / n)``.

    Args:
        layout: The problem in integers.
        active: The sessions that wait for energy, first to leave first.
    """
    found: list[Offer] = []
    count = len(active)
    for rank, index in enumerate(active):
        need_dj = layout.need_dj[index]
        most = layout.sufficient_da(index, need_dj)
        need = need_dj * MICROAMP_PER_DA // layout.dj_per_da[index]
        power = _power(layout, index)
        power *= (1 + _FIRST_TO_LEAVE) * count - _FIRST_TO_LEAVE * rank
        half = count * 10**6
        values = tuple(
            (
                value,
                (2 * power * min(value * MICROAMP_PER_DA, need) + half) // (2 * half),
            )
            for value in _permitted(layout, index, most)
        )
        found.append(Offer(index=index, values=values))
    return sorted(found, key=lambda offer: offer.index)


def halved(full: int, laxity_milli: int) -> int:
    """Return ``full`` halved once per ``_URGENT_STEP_MILLI``, linear in between."""
    times, rest = divmod(laxity_milli, _URGENT_STEP_MILLI)
    times = min(times, 60)
    return (full >> times) - (full >> (times + 1)) * rest // _URGENT_STEP_MILLI


def _power(layout: Layout, index: int) -> int:
    """Return W per A times the weight in thousandths: millionths of kW/A."""
    volts = layout.dj_per_da[index] // layout.problem.step_s
    return round(layout.problem.sessions[index].weight * 1000) * volts


def _permitted(layout: Layout, index: int, most: int) -> tuple[int, ...]:
    return (0, *range(layout.low_da[index], most + 1, layout.unit_da[index]))
