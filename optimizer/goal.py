"""The prices a plan weighs against each other, as integers, per mode.

Energy comes before money: the price of a missing kWh is always above the dearest
kWh of the horizon, in whatever currency the prices are.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from optimizer.layout import Layout
from optimizer.parts import EvSession
from optimizer.problem import Mode

REFERENCE_STEP_S: Final = 900
"""The earliness price is per step of 15 minutes."""

CURVATURE_MICRO: Final = 1
"""Per kW/A and A^2: makes the optimum unique, about 100 times below any price."""

STEADY_MICRO: Final = 10
"""Per A^2 between the present limit and step 0: no change without a reason."""

_SMALL_NEED_WH: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Weights of a mode, in millionths of the currency.

    Attributes:
        earliness_micro: Per kWh and 15 minutes of waiting, doubled for the first to
            leave: without it later arrivals find the cabinet full.
        shortage_micro: Per missing kWh, on top of the dearest price.
        small_need_permille: How much dearer the last kWh of a small need is, so that
            sessions are finished rather than all left a bit short.
        fairness_micro: Weight of squared shortage over need, per kWh: shares a
            shortage in proportion.
    """

    earliness_micro: int
    shortage_micro: int = 5_000_000
    small_need_permille: int = 500
    fairness_micro: int = 0


GOALS: Final = {
    Mode.AUTO: Goal(earliness_micro=2_000),
    Mode.ECONOMY: Goal(earliness_micro=2_000),
    Mode.FINISH: Goal(earliness_micro=5_000),
    Mode.FAIR: Goal(
        earliness_micro=5_000, small_need_permille=0, fairness_micro=2_000_000
    ),
}


DEVIATION_MILLI: Final = 1_000
"""What an ampere off the relaxed target costs in the packing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What counts when the currents of a step are chosen, in thousandths.

    Attributes:
        fill_milli: Worth of an ampere; above ``DEVIATION_MILLI`` free headroom is
            filled beyond the relaxed targets, below it the targets are followed.
        urgent_milli: Extra worth of an ampere up to the target without laxity.
        finish_milli: Worth, in ampere, of completing a session in this step.
    """

    fill_milli: int
    urgent_milli: int
    finish_milli: int

    @property
    def fills(self) -> bool:
        """Tell whether free headroom is filled beyond the relaxed targets."""
        return self.fill_milli > DEVIATION_MILLI


PACKINGS: Final = {
    Mode.ECONOMY: Packing(fill_milli=500, urgent_milli=10_000, finish_milli=10_000),
    Mode.FINISH: Packing(fill_milli=1_500, urgent_milli=10_000, finish_milli=10_000),
    Mode.FAIR: Packing(fill_milli=1_500, urgent_milli=5_000, finish_milli=6_000),
}
"""By mode; ``AUTO`` is one of the first two, by whether energy is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Every price of a problem, integers in millionths per kWh.

    Attributes:
        use: Shape (n_session, n_step): import price plus earliness, and what the kWh
            is worth times the share of likely departures that come before it.
        shortage: Shape (n_session,): per missing kWh.
        fairness: Of the goal.
        saving: Shape (n_step,): what a kWh from PV is cheaper than from the grid.
    """

    use: tuple[tuple[int, ...], ...]
    shortage: tuple[int, ...]
    fairness: int
    saving: tuple[int, ...]

    @property
    def is_fair(self) -> bool:
        """Tell whether shortage is shared in proportion."""
        return self.fairness > 0


def prices(layout: Layout) -> Prices:
    """Price every kWh of a problem."""
    problem = layout.problem
    goal = GOALS[problem.mode]
    imports = problem.import_price_micro_per_kwh or ()
    feed_ins = problem.feed_in_price_micro_per_kwh or ()
    n_session = len(problem.sessions)
    order = sorted(
        range(n_session), key=lambda i: (problem.sessions[i].departure_step, i)
    )
    rank = {index: position for position, index in enumerate(order)}
    waits_s = [step * problem.step_s for step in range(problem.n_step)]
    below = REFERENCE_STEP_S * n_session
    use = tuple(
        tuple(
            [
                price + per_s * wait_s // below
                for price, wait_s in zip(imports, waits_s, strict=True)
            ]
        )
        for per_s in (
            goal.earliness_micro * (2 * n_session - rank[index])
            for index in range(n_session)
        )
    )
    dearest = max((max(row) for row in use), default=0)
    return Prices(
        use=tuple(
            _too_late(goal, session, row)
            for session, row in zip(problem.sessions, use, strict=True)
        ),
        shortage=tuple(
            max(0, dearest) + _worth(goal, session) for session in problem.sessions
        ),
        fairness=goal.fairness_micro,
        saving=tuple(
            max(0, price - feed_in)
            for price, feed_in in zip(imports, feed_ins, strict=True)
        ),
    )


def _too_late(goal: Goal, session: EvSession, row: tuple[int, ...]) -> tuple[int, ...]:
    """Add to the price of each step what is lost if the car has left by then.

    Of ``n`` likely departures ``k`` come before the step ends: a kWh planned there is
    missing with them. Counted as ``k`` of ``n + 1``: energy late is never worth
    nothing.
    """
    leaving = session.leaving_steps
    if not leaving:
        return row
    worth, below = _worth(goal, session), len(leaving) + 1
    return tuple(
        price + worth * bisect_right(leaving, step) // below
        for step, price in enumerate(row)
    )


def _worth(goal: Goal, session: EvSession) -> int:
    """What a kWh of a session is worth above the dearest price."""
    return round(session.weight * 1000) * _scarcity(goal, session.energy_wh) // 1000


def _scarcity(goal: Goal, energy_wh: int) -> int:
    small = goal.small_need_permille * _SMALL_NEED_WH // (_SMALL_NEED_WH + energy_wh)
    return goal.shortage_micro * (1000 + small) // 1000
