"""The optimization model, stated readably in CVXPY: the oracle of the direct build.

``optimizer.sparse`` builds the same model without CVXPY; tests hold the two equal.
Units inside: A, kWh, kW, currency. Always feasible: zero current and all energy unmet
satisfies every constraint.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from optimizer.bound import Dual
from optimizer.failures import SolverFailedError
from optimizer.goal import CURVATURE_MICRO, STEADY_MICRO
from optimizer.relaxed import RelaxedProblem

MICRO: Final = 1e6
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A stated problem with the names of its parts.

    Attributes:
        problem: What CVXPY solves.
        current_a: Shape (n_column,), A per phase.
        unmet_kwh: Shape (n_session,).
        pv_kw: Shape (n_sunny,): PV surplus that goes into cars.
        constraints: ``energy_kwh`` (n_session,), ``limit_a`` (n_bound,), ``pv_kw``
            (n_sunny,); absent where empty. Their duals are currency per kWh, per A
            and step, per kW and step.
    """

    problem: cp.Problem
    current_a: cp.Variable
    unmet_kwh: cp.Variable
    pv_kw: cp.Variable | None
    constraints: dict[str, cp.Constraint]


def build(relaxed: RelaxedProblem) -> Model:
    """State the relaxed problem. It must have at least one column."""
    layout, prices = relaxed.layout, relaxed.prices
    problem, columns = layout.problem, relaxed.columns
    hours = problem.step_s / 3600
    owner = np.array([column.session for column in columns])
    when = np.array([column.step for column in columns])
    kw_per_a = np.array(layout.dj_per_da)[owner] / problem.step_s / 1000
    need_kwh = np.array([session.energy_wh for session in problem.sessions]) / 1000
    n_session, n_column = len(need_kwh), len(columns)

    cap_a = np.array([column.cap_da for column in columns]) / 10
    current_a = cp.Variable(n_column, name="current_a", bounds=[0, cap_a])
    unmet_kwh = cp.Variable(n_session, name="unmet_kwh", bounds=[0, need_kwh])

    # What each session gets: Shape (n_session, n_column), kWh per A.
    energy = _matrix(owner, np.arange(n_column), kw_per_a * hours, n_session, n_column)
    constraints: dict[str, Any] = {
        "energy_kwh": energy @ current_a + unmet_kwh == need_kwh
    }
    if relaxed.bounds:
        entries = [
            (number, column, a)
            for number, bound in enumerate(relaxed.bounds)
            for column, a in bound.members
        ]
        rows, cols, factors = (np.array(part) for part in zip(*entries, strict=True))
        counted = _matrix(rows, cols, factors, len(relaxed.bounds), n_column)
        limit_a = np.array([bound.cap_da for bound in relaxed.bounds]) / 10
        constraints["limit_a"] = counted @ current_a <= limit_a

    use = np.array(prices.use)[owner, when] / MICRO
    steady_a = np.array(
        [-1 if c.present_da is None else c.present_da / 10 for c in columns]
    )
    first = np.flatnonzero(steady_a >= 0)
    cost = (
        (use * kw_per_a * hours) @ current_a
        + (np.array(prices.shortage) / MICRO) @ unmet_kwh
        + (CURVATURE_MICRO / MICRO) * (kw_per_a @ current_a**2)
    )
    if first.size:
        moved_a = current_a[first] - steady_a[first]
        cost += (STEADY_MICRO / MICRO) * (np.ones(first.size) @ moved_a**2)
    if prices.is_fair:
        share = prices.fairness / MICRO / np.maximum(need_kwh, 1)
        cost += share @ unmet_kwh**2
    pv_kw = None
    if relaxed.sunny:
        sunny = np.array(relaxed.sunny)
        surplus_kw = np.array(problem.pv_w)[sunny] / 1000
        pv_kw = cp.Variable(len(sunny), name="pv_kw", bounds=[0, surplus_kw])
        hit = np.flatnonzero(np.isin(when, sunny))
        drawn = _matrix(
            np.searchsorted(sunny, when[hit]), hit, kw_per_a[hit], len(sunny), n_column
        )
        constraints["pv_kw"] = pv_kw <= drawn @ current_a
        saving = np.array(prices.saving)[sunny] / MICRO
        cost -= (saving * hours) @ pv_kw
    return Model(
        problem=cp.Problem(cp.Minimize(cost), list(constraints.values())),
        current_a=current_a,
        unmet_kwh=unmet_kwh,
        pv_kw=pv_kw,
        constraints=constraints,
    )


def run(
    relaxed: RelaxedProblem, limit_s: float, *, solver: str
) -> tuple[list[float], Dual]:
    """Let one solver find currents (A per column) and prices.

    Neither is trusted here: the caller checks both exactly.

    Raises:
        SolverFailedError: It raised, or returned no or non-finite values.
    """
    model = build(relaxed)
    options = {"time_limit": limit_s} if solver == cp.CLARABEL else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inaccuracy shows in our own gap
            model.problem.solve(solver=solver, **options)  # type: ignore[no-untyped-call]  # cvxpy is partly typed
    except (cp.error.SolverError, ArithmeticError, ValueError) as exc:
        raise SolverFailedError(f"{type(exc).__name__}: {exc}") from exc
    current_a = _values(model.current_a.value, len(relaxed.columns))
    duals = {
        name: _values(constraint.dual_value, constraint.size)
        for name, constraint in model.constraints.items()
    }
    none = np.zeros(0)
    hours = relaxed.layout.problem.step_s / 3600
    return current_a.tolist(), Dual(
        energy=_nano(-duals["energy_kwh"]),
        limit=_nano(np.maximum(duals.get("limit_a", none), 0)),
        sun=_nano(np.maximum(duals.get("pv_kw", none), 0) / hours),
    )


def _values(found: object, size: int) -> Vector:
    if found is None:
        raise SolverFailedError("no values")
    values = np.asarray(found, dtype=np.float64).reshape(-1)
    if values.size != size or not np.isfinite(values).all():
        raise SolverFailedError("values are missing or not finite")
    return values


def _nano(values: Vector) -> tuple[int, ...]:
    return tuple(round(value * 1e9) for value in values.tolist())


def _matrix(
    rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any], n: int, m: int
) -> cp.Constant:
    entries = (values.astype(np.float64), (rows, columns))
    return cp.Constant(sp.csr_array(entries, shape=(n, m)))
