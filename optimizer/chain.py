"""Asks solver after solver until one answer passes our own exact check.

A solver's status is never looked at. Its currents are shaved until every constraint
holds exactly, and they count only if their exact cost is close enough to the lower
bound that its own prices prove. Both numbers are computed once, here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Literal

from optimizer import clock
from optimizer.bound import (
    UNIT_PER_MICRO,
    Dual,
    Proven,
    shave,
)
from optimizer.failures import SolverFailedError
from optimizer.layout import MICROAMP_PER_DA
from optimizer.relaxed import RelaxedProblem

Engine = Literal["auto", "cvxpy", "edf"]
"""``auto``: the direct build; ``cvxpy``: the readable model; ``edf``: no solver."""

Run = Callable[[RelaxedProblem, float], tuple[list[float], Dual]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A relaxed plan that passed our own check, and who found it."""

    proven: Proven
    engine: str


def first_proven(
    relaxed: RelaxedProblem,
    engine: Engine,
    until_s: float,
    monotonic_s: clock.Monotonic,
    failures: list[str],
) -> Answer | None:
    """Return the first answer that is proven.

    Args:
        relaxed: The problem.
        engine: Which solvers may be asked.
        until_s: When there is no time for another one, by ``monotonic_s``.
        monotonic_s: The loop clock.
        failures: Filled with what went wrong, one line per solver.
    """
    if engine == "edf":
        failures.append("engine is edf")
        return None
    if not relaxed.has_choice:
        return _nothing_to_decide(relaxed)
    for name, run in _solvers(engine):
        if not _is_installed(name.removeprefix("cvxpy-").lower()):
            failures.append(f"{name}: not installed")
            continue
        left_s = until_s - monotonic_s()
        if left_s <= 0:
            failures.append(f"{name}: no time left")
            break
        try:
            current_a, dual = run(relaxed, left_s)
        except SolverFailedError as exc:
            failures.append(f"{name}: {exc}")
            continue
        rounded_ua = [round(a * 10 * MICROAMP_PER_DA) for a in current_a]
        current_ua = shave(relaxed, rounded_ua)
        proven = Proven.of(relaxed, current_ua, dual)
        if not proven.is_optimal:
            gap = proven.cost - proven.bound
            failures.append(f"{name}: gap of {gap // UNIT_PER_MICRO} micro")
            continue
        return Answer(proven=proven, engine=name.lower())
    return None


def warm_up(engine: Engine = "auto") -> None:
    """Import the solvers of an engine; a worker calls this before any deadline."""
    if engine != "edf":
        for _ in _solvers(engine):
            pass


def _solvers(engine: Literal["auto", "cvxpy"]) -> Iterator[tuple[str, Run]]:
    match engine:
        case "auto":
            from optimizer import sparse  # noqa: PLC0415 - scipy only where it solves

            yield "PIQP", partial(sparse.run, solver="PIQP")
            yield "CLARABEL", partial(sparse.run, solver="CLARABEL")
            yield "ECOS", partial(sparse.run, solver="ECOS")
        case "cvxpy":
            from optimizer import model  # noqa: PLC0415 - it takes a second to import

            yield "cvxpy-CLARABEL", partial(model.run, solver="CLARABEL")
            yield "cvxpy-ECOS", partial(model.run, solver="ECOS")


@cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


def _nothing_to_decide(relaxed: RelaxedProblem) -> Answer:
    """Answer a problem without a choice: all energy is unmet, at its own price."""
    prices = relaxed.prices
    dual = Dual(
        energy=tuple(
            1000 * shortage
            + 2000 * prices.fairness * session.energy_wh // max(session.energy_wh, 1000)
            for shortage, session in zip(
                prices.shortage, relaxed.layout.problem.sessions, strict=True
            )
        ),
        limit=(0,) * len(relaxed.bounds),
        sun=(0,) * len(relaxed.shared),
    )
    return Answer(proven=Proven.of(relaxed, (), dual), engine="none")
