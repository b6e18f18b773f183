"""The relaxed model as sparse matrices, built directly: the production path.

``optimizer.model`` states the same model readably and is the oracle of the tests; the
two have equal objectives. Stated for the variables ``v = (x, s, g)``, all bounded::

    min  1/2 v'Pv + c'v + constant    A v = b    G v <= h    low <= v <= high

* ``x``, A per phase, one per column of the relaxed problem, in [0, cap].
* ``s``, kWh, what stays unmet of a session, in [0, need]. Only for sessions that have
  a column: nobody else has a choice, their shortage is part of the constant.
* ``g``, kW, PV surplus that is used here, one per sunny step, in [0, surplus].

Batteries add variables and rows at the end, see ``optimizer.sparse_cells``. Every
interval is wider than zero. Solvers with a preconditioner have called feasible
problems infeasible when a variable could not move.

Rows:

* energy, kWh, one per session that has a column:
  ``sum over its columns of kW/A * h * x + s = need``;
* limit, A, one per bound: ``sum of coefficient * x <= cap``;
* sun, kW, one per shared step: ``g - sum over its columns of kW/A * x <= 0``.

Cost, in the currency: use and earliness of every kWh, the shortage of every unmet kWh,
squared shortage over need in a fair plan, minus the saving of sun that is used, and the
curvature and steadiness terms that make the optimum unique. ``P`` is diagonal.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from optimizer import solvers, sparse_cells
from optimizer.bound import Dual
from optimizer.goal import CURVATURE_MICRO, STEADY_MICRO
from optimizer.relaxed import RelaxedProblem

MICRO: Final = 1e6
Solver = Literal["PIQP", "CLARABEL", "ECOS"]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """The matrices of a relaxed problem; see above.

    Attributes:
        p: Diagonal of ``P``.
        c: Linear cost.
        a: Energy rows, then those of what is stored.
        b: Needs, then what is stored at first, kWh.
        g: Limit rows, sun rows, then those of what shall be stored at the end.
        h: Their right-hand sides, A, kW and kWh.
        low: Lower bounds of the variables.
        high: Upper bounds, all above ``low``.
        constant: Cost that no variable changes.
        active: Index of the session of every energy row.
    """

    p: Vector
    c: Vector
    a: sp.csc_matrix[np.float64]
    b: Vector
    g: sp.csc_matrix[np.float64]
    h: Vector
    low: Vector
    high: Vector
    constant: float
    active: NDArray[np.int64]

    def value(self, v: Vector) -> float:
        """Return the cost of a point, currency."""
        return float(v @ (0.5 * self.p * v + self.c)) + self.constant


def matrices(relaxed: RelaxedProblem) -> Sparse:
    """Build the matrices of a relaxed problem with at least one column or cell."""
    stated = _cars(relaxed)
    return sparse_cells.extend(stated, relaxed) if relaxed.storage.cells else stated


def _cars(relaxed: RelaxedProblem) -> Sparse:
    layout, prices, columns = relaxed.layout, relaxed.prices, relaxed.columns
    problem = layout.problem
    hours = problem.step_s / 3600
    n_x, n_bound = len(columns), len(relaxed.bounds)
    owner = np.array([column.session for column in columns], dtype=np.int64)
    when = np.array([column.step for column in columns], dtype=np.int64)
    cap_a = np.array([column.cap_da for column in columns]) / 10
    kw_per_a = (np.array(layout.dj_per_da) / problem.step_s / 1000)[owner]
    need_kwh = np.array([session.energy_wh for session in problem.sessions]) / 1000

    active, row_of = np.unique(owner, return_inverse=True)
    sunny = np.array(relaxed.sunny, dtype=np.int64)
    shared = np.array(relaxed.shared, dtype=np.int64)
    n_s, n_g = len(active), len(sunny)
    n_v = n_x + n_s + n_g
    x, s, g = np.split(np.arange(n_v), [n_x, n_x + n_s])

    p, c = np.zeros(n_v), np.zeros(n_v)
    p[x] = 2 * CURVATURE_MICRO / MICRO * kw_per_a
    use = np.array(prices.use).reshape(-1, problem.n_step)
    c[x] = use[owner, when] / MICRO * kw_per_a * hours
    present_a = np.array(
        [-1 if k.present_da is None else k.present_da / 10 for k in columns]
    )
    first = np.flatnonzero(present_a >= 0)
    steady = 2 * STEADY_MICRO / MICRO
    p[first] += steady
    c[first] -= steady * present_a[first]
    constant = float(steady / 2 * present_a[first] @ present_a[first])

    shortage = np.array(prices.shortage) / MICRO
    share = prices.fairness / MICRO / np.maximum(need_kwh, 1)
    c[s], p[s] = shortage[active], 2 * share[active]
    idle = np.ones(len(need_kwh), dtype=bool)
    idle[active] = False
    unmet = need_kwh * (shortage + share * need_kwh)
    constant += float(unmet[idle].sum())

    saving = np.array(prices.saving)[sunny] / MICRO
    c[g] = -saving * hours

    lit = np.flatnonzero(np.isin(when, shared))
    members = np.fromiter(
        chain.from_iterable(chain.from_iterable(b.members for b in relaxed.bounds)),
        dtype=np.int64,
    ).reshape(-1, 2)
    counts = np.array([len(b.members) for b in relaxed.bounds], dtype=np.int64)
    limited = np.repeat(np.arange(n_bound), counts)
    if relaxed.storage.cells:
        driving = members[:, 0] < n_x
        members, limited = members[driving], limited[driving]
    return Sparse(
        p=p,
        c=c,
        a=_matrix(
            (kw_per_a * hours, row_of, x),
            (np.ones(n_s), np.arange(n_s), s),
            shape=(n_s, n_v),
        ),
        b=need_kwh[active],
        g=_matrix(
            (members[:, 1], limited, members[:, 0]),
            (np.ones(n_g), n_bound + np.searchsorted(shared, sunny), g),
            (-kw_per_a[lit], n_bound + np.searchsorted(shared, when[lit]), lit),
            shape=(n_bound + len(shared), n_v),
        ),
        h=np.concatenate(
            [
                np.array([bound.cap_da for bound in relaxed.bounds]) / 10,
                np.zeros(len(shared)),
            ]
        ),
        low=np.zeros(n_v),
        high=np.concatenate(
            [cap_a, need_kwh[active], np.array(problem.pv_w)[sunny] / 1000]
        ),
        constant=constant,
        active=active,
    )


def run(
    relaxed: RelaxedProblem, limit_s: float, *, solver: Solver
) -> tuple[list[float], Dual]:
    """Let one solver find currents (A per column and cell) and prices.

    Neither is trusted here: the caller checks both exactly.

    Args:
        relaxed: At least one column or cell.
        limit_s: Seconds it may take, where it can be told.
        solver: Which one.

    Raises:
        SolverFailedError: It raised, or returned no or non-finite values.
    """
    stated = matrices(relaxed)
    found = solvers.SOLVERS[solver](stated, limit_s)
    n_x, n_bound = len(relaxed.columns), len(relaxed.bounds)
    hours = relaxed.layout.problem.step_s / 3600
    # Who has no column has one possible shortage: its price is the slope of the cost.
    prices = relaxed.prices
    need_kwh = np.array([s.energy_wh for s in relaxed.layout.problem.sessions]) / 1000
    energy = np.array(prices.shortage) / MICRO + 2 * (
        prices.fairness / MICRO
    ) * need_kwh / np.maximum(need_kwh, 1)
    n_active, n_shared = len(stated.active), len(relaxed.shared)
    energy[stated.active] = -found.equal[:n_active]
    least = np.maximum(found.below, 0)
    n_car = n_x + n_active + len(relaxed.sunny)
    cell_a = found.v[n_car : n_car + len(relaxed.storage.cells)]
    return [*found.v[:n_x].tolist(), *cell_a.tolist()], Dual(
        energy=_nano(energy),
        limit=_nano(least[:n_bound]),
        sun=_nano(least[n_bound : n_bound + n_shared] / hours),
        stored=_nano(found.equal[n_active:]),
    )


def _nano(values: Vector) -> tuple[int, ...]:
    return tuple(np.rint(values * 1e9).astype(np.int64).tolist())


def _matrix(
    *parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], shape: tuple[int, int]
) -> sp.csc_matrix[np.float64]:
    """Stack (values, rows, columns)."""
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sp.csc_matrix((values.astype(np.float64), (rows, columns)), shape=shape)
