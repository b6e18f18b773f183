"""A little time to spare for who follows the price: plans are made for more energy.

A plan that follows the price puts a car off until exactly its energy fits into the
steps that are left. Then one ampere that a later car takes is missing at the end. So
under ``ECONOMY`` every car is planned with a twentieth more than it needs, where its
stay and its largest current allow that: some minutes are left in every plan, whatever
the step, and a car that is full stops by itself. Only the problem differs, so plans
stay verifiable as they are.
"""

from dataclasses import replace
from typing import Final

from optimizer.layout import DJ_PER_WH, Layout
from optimizer.problem import CabinetProblem, Mode

MORE_PERMILLE: Final = 50
"""Of its need a car is planned with so much more."""


def with_spare_time(problem: CabinetProblem) -> CabinetProblem:
    """Plan every car with ``MORE_PERMILLE`` more than it needs, if that can be charged.

    Args:
        problem: With another mode than ``ECONOMY`` it is returned as it is.
    """
    if problem.mode is not Mode.ECONOMY:
        return problem
    layout = Layout.of(problem)
    sessions = tuple(
        replace(
            session,
            energy_wh=max(
                session.energy_wh,
                min(
                    session.energy_wh * (1000 + MORE_PERMILLE) // 1000,
                    layout.high_da[index]
                    * layout.stay[index]
                    * layout.dj_per_da[index]
                    // DJ_PER_WH,
                ),
            ),
        )
        for index, session in enumerate(problem.sessions)
    )
    return replace(problem, sessions=sessions)
