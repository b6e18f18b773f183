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
from optimizer.storage import NANOJOULE_PER_WH

MICRO: Final = 1e6
NJ_PER_KWH: Final = NANOJOULE_PER_WH * 1000
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A stated problem with the names of its parts.

    Attributes:
        problem: What CVXPY solves.
        current_a: Shape (n_column,), A per phase.
        unmet_kwh: Shape (n_session,).
        pv_kw: Shape (n_sunny,): PV surplus that is used here.
        cell_a: Shape (n_cell,), A per phase: what batteries charge and discharge.
        stored_kwh: Shape (n_move,).
        missing_kwh: Shape (n_battery that is to keep more than its least,).
        constraints: ``energy_kwh`` (n_session,), ``limit_a`` (n_bound,), ``pv_kw``
            (n_shared,), ``stored_kwh`` (n_move,); absent where empty. Their duals are
            currency per kWh, per A and step, per kW and step, per kWh.
    """

    problem: cp.Problem
    current_a: cp.Expression
    unmet_kwh: cp.Expression
    pv_kw: cp.Variable | None
    cell_a: cp.Variable | None
    stored_kwh: cp.Variable | None
    missing_kwh: cp.Variable | None
    constraints: dict[str, cp.Constraint]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """What batteries add.

    Attributes:
        drawn_kw: Shape (n_shared,): charging, and what other equipment draws.
        given_kw: Shape (n_shared,): discharging.
    """

    cell_a: cp.Variable
    stored_kwh: cp.Variable
    missing_kwh: cp.Variable | None
    drawn_kw: Any
    given_kw: Any
    cost: Any
    constraints: dict[str, Any]


def build(relaxed: RelaxedProblem) -> Model:
    """State the relaxed problem. It must have at least one column or cell."""
    layout, prices = relaxed.layout, relaxed.prices
    problem, columns = layout.problem, relaxed.columns
    hours = problem.step_s / 3600
    owner = np.array([column.session for column in columns], dtype=np.int64)
    when = np.array([column.step for column in columns], dtype=np.int64)
    kw_per_a = np.array(layout.dj_per_da)[owner] / problem.step_s / 1000
    need_kwh = np.array([session.energy_wh for session in problem.sessions]) / 1000
    n_session, n_column = len(need_kwh), len(columns)

    cap_a = np.array([column.cap_da for column in columns]) / 10
    current_a = _variable("current_a", cap_a)
    unmet_kwh = _variable("unmet_kwh", need_kwh)
    cells = _cells(relaxed) if relaxed.storage.cells else None

    # What each session gets: Shape (n_session, n_column), kWh per A.
    energy = _matrix(owner, np.arange(n_column), kw_per_a * hours, n_session, n_column)
    constraints: dict[str, Any] = {}
    if n_session:
        constraints["energy_kwh"] = energy @ current_a + unmet_kwh == need_kwh
    if relaxed.bounds:
        constraints["limit_a"] = _within_limits(relaxed, current_a, cells)

    use = np.array(prices.use).reshape(-1, problem.n_step)[owner, when] / MICRO
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
    if relaxed.shared:
        shared = np.array(relaxed.shared)
        hit = np.flatnonzero(np.isin(when, shared))
        place = np.searchsorted(shared, when[hit])
        by_step = _matrix(place, hit, kw_per_a[hit], len(shared), n_column)
        pv_kw, constraints["pv_kw"] = _replaced(relaxed, by_step @ current_a, cells)
    if pv_kw is not None:
        saving = np.array(prices.saving)[np.array(relaxed.sunny)] / MICRO
        cost -= (saving * hours) @ pv_kw
    if cells is not None:
        cost += cells.cost
        constraints |= cells.constraints
    return Model(
        problem=cp.Problem(cp.Minimize(cost), list(constraints.values())),
        current_a=current_a,
        unmet_kwh=unmet_kwh,
        pv_kw=pv_kw,
        cell_a=None if cells is None else cells.cell_a,
        stored_kwh=None if cells is None else cells.stored_kwh,
        missing_kwh=None if cells is None else cells.missing_kwh,
        constraints=constraints,
    )


def _within_limits(
    relaxed: RelaxedProblem, current_a: cp.Expression, cells: _Cells | None
) -> cp.Constraint:
    """Every limit: what cars draw and batteries charge with counts on it."""
    entries = [
        (number, member, a)
        for number, bound in enumerate(relaxed.bounds)
        for member, a in bound.members
    ]
    limit_a = np.array([bound.cap_da for bound in relaxed.bounds]) / 10
    n_bound, n_column = len(relaxed.bounds), len(relaxed.columns)

    def counted(found: list[tuple[int, int, int]], first: int, n: int) -> cp.Constant:
        rows, columns, factors = np.array(found, dtype=np.int64).reshape(-1, 3).T
        return _matrix(rows, columns - first, factors, n_bound, n)

    of_cars = [entry for entry in entries if entry[1] < n_column]
    total = counted(of_cars, 0, n_column) @ current_a
    if cells is not None:
        of_cells = [entry for entry in entries if entry[1] >= n_column]
        n_cell = len(relaxed.storage.cells)
        total = total + counted(of_cells, n_column, n_cell) @ cells.cell_a
    limit: cp.Constraint = total <= limit_a
    return limit


def _replaced(
    relaxed: RelaxedProblem, driven_kw: cp.Expression, cells: _Cells | None
) -> tuple[cp.Variable | None, cp.Constraint]:
    """PV surplus and batteries replace bought energy: no more than is drawn, kW.

    Args:
        relaxed: What is stated.
        driven_kw: Shape (n_shared,): what cars draw.
        cells: The batteries.
    """
    drawn = driven_kw
    if cells is not None:
        drawn = drawn + cells.drawn_kw - cells.given_kw
    if not relaxed.sunny:
        return None, drawn >= 0
    sunny = np.array(relaxed.sunny)
    surplus_kw = np.array(relaxed.layout.problem.pv_w)[sunny] / 1000
    pv_kw = cp.Variable(len(sunny), name="pv_kw", bounds=[0, surplus_kw])
    place = np.searchsorted(np.array(relaxed.shared), sunny)
    n_shared, n_sunny = len(relaxed.shared), len(sunny)
    used = _matrix(place, np.arange(n_sunny), np.ones(n_sunny), n_shared, n_sunny)
    return pv_kw, used @ pv_kw <= drawn


def _variable(name: str, high: Vector) -> cp.Expression:
    """Return a variable from 0 to ``high``; nothing has no variable."""
    if not high.size:
        return cp.Constant(np.zeros(0))
    return cp.Variable(high.size, name=name, bounds=[0, high])


def _cells(relaxed: RelaxedProblem) -> _Cells:
    """State what batteries charge, discharge and store."""
    storage, problem = relaxed.storage, relaxed.layout.problem
    units, hours = storage.units, problem.step_s / 3600
    n_cell, n_move = len(storage.cells), len(storage.moves)
    cap_a = np.array([cell.cap_ua for cell in storage.cells]) / 1e6
    cell_a = cp.Variable(n_cell, name="cell_a", bounds=[0, cap_a])
    limits = [
        np.array(
            [getattr(units[index], name) / NJ_PER_KWH for index, _ in storage.moves]
        )
        for name in ("low_nj", "high_nj")
    ]
    stored_kwh = cp.Variable(n_move, name="stored_kwh", bounds=limits)
    kw_per_a = np.array([units[cell.unit].volts for cell in storage.cells]) / 1000
    charges = np.array([cell.charges for cell in storage.cells])
    in_kw, out_kw = kw_per_a * charges, kw_per_a * ~charges

    # Stored after a move = before it + efficiency * charged - discharged.
    kept = np.array([units[cell.unit].efficiency / 1000 for cell in storage.cells])
    place = {move: number for number, move in enumerate(storage.moves)}
    move = np.array([place[cell.unit, cell.step] for cell in storage.cells])
    flow_kwh = _matrix(
        move, np.arange(n_cell), (kept * in_kw - out_kw) * hours, n_move, n_cell
    )
    begin_kwh = np.zeros(n_move)
    before = np.zeros((n_move, n_move))
    for number, (index, _) in enumerate(storage.moves):
        if number and storage.moves[number - 1][0] == index:
            before[number, number - 1] = 1
        else:
            begin_kwh[number] = units[index].start_nj / NJ_PER_KWH
    stored = stored_kwh == before @ stored_kwh + begin_kwh + flow_kwh @ cell_a
    constraints: dict[str, Any] = {"stored_kwh": stored}

    # Import that charging needs and discharging saves, wear, and what is missing.
    when = np.array([cell.step for cell in storage.cells])
    imports = np.array(problem.import_price_micro_per_kwh)[when] / MICRO
    wear = np.array([units[cell.unit].wear for cell in storage.cells]) / MICRO
    cost = (
        (imports * in_kw * hours) @ cell_a
        + ((wear - imports) * out_kw * hours) @ cell_a
        + (CURVATURE_MICRO / MICRO) * (kw_per_a @ cell_a**2)
    )
    short = [i for i in storage.ends if units[i].target_nj > units[i].low_nj]
    missing_kwh = None
    if short:
        target, low = (
            np.array([getattr(units[i], name) / NJ_PER_KWH for i in short])
            for name in ("target_nj", "low_nj")
        )
        missing_kwh = cp.Variable(
            len(short), name="missing_kwh", bounds=[0, target - low]
        )
        last = [storage.ends[i] for i in short]
        constraints["missing_kwh"] = missing_kwh >= target - stored_kwh[last]
        cost += np.array([units[i].refill / MICRO for i in short]) @ missing_kwh

    # In the steps in which PV and batteries replace energy that is bought.
    shared = np.array(relaxed.shared, dtype=np.int64)
    hit = np.flatnonzero(np.isin(when, shared))
    at = np.searchsorted(shared, when[hit])
    load_kw = np.array(storage.load_w)[shared] / 1000
    return _Cells(
        cell_a=cell_a,
        stored_kwh=stored_kwh,
        missing_kwh=missing_kwh,
        drawn_kw=_matrix(at, hit, in_kw[hit], len(shared), n_cell) @ cell_a + load_kw,
        given_kw=_matrix(at, hit, out_kw[hit], len(shared), n_cell) @ cell_a,
        cost=cost,
        constraints=constraints,
    )


def run(
    relaxed: RelaxedProblem, limit_s: float, *, solver: str
) -> tuple[list[float], Dual]:
    """Let one solver find currents (A per column and cell) and prices.

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
    n_cell = len(relaxed.storage.cells)
    current_a = _values(model.current_a.value, len(relaxed.columns)).tolist()
    if model.cell_a is not None:
        current_a += _values(model.cell_a.value, n_cell).tolist()
    duals = {
        name: _values(constraint.dual_value, constraint.size)
        for name, constraint in model.constraints.items()
    }
    none = np.zeros(0)
    hours = relaxed.layout.problem.step_s / 3600
    return current_a, Dual(
        energy=_nano(-duals.get("energy_kwh", none)),
        limit=_nano(np.maximum(duals.get("limit_a", none), 0)),
        sun=_nano(np.maximum(duals.get("pv_kw", none), 0) / hours),
        stored=_nano(duals.get("stored_kwh", none)),
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
    """Return a constant with these entries, Shape (n, m)."""
    entries = (values.astype(np.float64), (rows, columns))
    return cp.Constant(sp.csr_array(entries, shape=(n, m)))
