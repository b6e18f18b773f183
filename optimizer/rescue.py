"""More weight for cars that are about to leave with little: the worst served driver.

Finishing most cars leaves a few with next to nothing. So under ``FINISH`` a car that
has less than ``BASIC`` of its need, and hardly time left to get there, counts up to
half as much more, in the relaxed plan and in the packing. It is the weight of the
session in the problem, so plans stay verifiable as they are.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from optimizer.parts import EvSession
from optimizer.problem import CabinetProblem, Mode

BASIC: Final = 0.4
"""Part of its need that every car should leave with."""

MOST: Final = 0.5
"""What is added to the weight of a car that has no time to lose."""

PATIENCE_S: Final = 3600
"""With so much slack a car is 1/e as urgent as without any."""


def rescued(problem: CabinetProblem, had_wh: Mapping[str, float]) -> CabinetProblem:
    """Give cars more weight that may leave without ``BASIC`` of their need.

    Args:
        problem: With another mode than ``FINISH`` it is returned as it is.
        had_wh: By session: what it got before the problem begins, Wh as there.
    """
    if problem.mode is not Mode.FINISH:
        return problem
    sessions = tuple(
        replace(
            session,
            weight=session.weight
            * _urgency(problem, session, had_wh.get(session.session_id, 0.0)),
        )
        for session in problem.sessions
    )
    return replace(problem, sessions=sessions)


def _urgency(problem: CabinetProblem, session: EvSession, had_wh: float) -> float:
    missing_wh = BASIC * (had_wh + session.energy_wh) - had_wh
    n_phase = session.n_power_phase or len(session.phases)
    power_w = problem.nominal_v * n_phase * session.max_a
    if missing_wh <= 0 or power_w <= 0:
        return 1.0
    likely = session.leaving_steps
    leaves = likely[len(likely) // 2] if likely else session.departure_step
    left_s = max(1, leaves) * problem.step_s
    slack_s = max(0.0, left_s - 3600 * missing_wh / power_w)
    return 1 + MOST * math.exp(-slack_s / PATIENCE_S)
