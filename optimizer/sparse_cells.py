"""Adds batteries to the matrices of the cars: cells, what is stored, what is missing.

After the variables of ``optimizer.sparse`` follow ``k``, A, one per cell in [0, cap];
``e``, kWh, what is stored after every move, in [least, capacity]; and ``z``, kWh, what
is missing from the target at the end, one per battery whose target is above the least.

Rows, with the kW per A of a battery and ``h`` hours:

* stored, kWh, one per move, of its charging and its discharging cell:
  ``e - e before - efficiency * kW * h + kW * h = 0``; what the battery holds now stands
  on the right of its first move;
* limit: charging cells count on the limits like columns of cars;
* sun, kW: charging cells count like columns, discharging cells like ``g``, and on the
  right stands what other equipment draws;
* target, kWh, one per ``z``: ``-e at the end - z <= -target``.

Cost: import price and wear of every kWh, the refill price of ``z``, and curvature.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from optimizer.goal import CURVATURE_MICRO
from optimizer.relaxed import RelaxedProblem
from optimizer.storage import NANOJOULE_PER_WH

if TYPE_CHECKING:
    from optimizer.sparse import Sparse

MICRO: Final = 1e6
NANOJOULE_PER_KWH: Final = NANOJOULE_PER_WH * 1000


def extend(cars: "Sparse", relaxed: RelaxedProblem) -> "Sparse":
    """Return the matrices with batteries. There must be at least one cell."""
    storage, problem = relaxed.storage, relaxed.layout.problem
    units, moves, hours = storage.units, storage.moves, problem.step_s / 3600
    ends = storage.ends
    short = [index for index in ends if units[index].target_nj > units[index].low_nj]
    n_k, n_e, n_z = len(storage.cells), len(moves), len(short)
    k, e, z = np.split(np.arange(n_k + n_e + n_z), [n_k, n_k + n_e])

    owner = np.array([cell.unit for cell in storage.cells])
    when = np.array([cell.step for cell in storage.cells])
    charges = np.array([cell.charges for cell in storage.cells])
    kw_per_a = np.array([unit.volts for unit in units])[owner] / 1000
    imports = np.array(problem.import_price_micro_per_kwh)[when]
    wear = np.array([unit.wear for unit in units])[owner]
    price = np.where(charges, imports, wear - imports)
    gain = np.where(charges, [units[i].efficiency / 1000 for i in owner], -1.0)

    p, c = np.zeros(n_k + n_e + n_z), np.zeros(n_k + n_e + n_z)
    p[k] = 2 * CURVATURE_MICRO / MICRO * kw_per_a
    c[k] = price / MICRO * kw_per_a * hours
    c[z] = np.array([units[index].refill for index in short]) / MICRO

    place = {move: number for number, move in enumerate(moves)}
    of_cell = np.array([place[cell.unit, cell.step] for cell in storage.cells])
    # moves are listed battery by battery: the one before is of the same or the first
    chained = np.flatnonzero([a[0] == b[0] for a, b in pairwise(moves)])
    first_kwh = np.array([_kwh(units[index].start_nj) for index, _ in moves])
    first_kwh[chained + 1] = 0
    stored = _matrix(
        n_e,
        n_k + n_e + n_z,
        (np.ones(n_e), np.arange(n_e), e),
        (-np.ones(len(chained)), chained + 1, e[chained]),
        (-gain * kw_per_a * hours, of_cell, k),
    )

    n_x, n_bound = len(relaxed.columns), len(relaxed.bounds)
    counted = np.array(
        [
            (a, number, member - n_x)
            for number, bound in enumerate(relaxed.bounds)
            for member, a in bound.members
            if member >= n_x
        ],
        dtype=np.int64,
    ).reshape(-1, 3)
    shared = np.array(relaxed.shared, dtype=np.int64)
    lit = np.flatnonzero(np.isin(when, shared))
    sign = np.where(charges, -1.0, 1.0)
    beside = _matrix(
        len(cars.h),
        n_k + n_e + n_z,
        (counted[:, 0], counted[:, 1], counted[:, 2]),
        ((sign * kw_per_a)[lit], n_bound + np.searchsorted(shared, when[lit]), lit),
    )
    last = np.array([ends[index] for index in short], dtype=np.int64)
    target = _matrix(
        n_z,
        n_k + n_e + n_z,
        (-np.ones(n_z), np.arange(n_z), e[last]),
        (-np.ones(n_z), np.arange(n_z), z),
    )
    below = sp.hstack([sp.csc_matrix((n_z, len(cars.c))), target])
    target_kwh = np.array([_kwh(units[index].target_nj) for index in short])
    low_kwh = np.array([_kwh(units[index].low_nj) for index, _ in moves])
    high_kwh = np.array([_kwh(units[index].high_nj) for index, _ in moves])
    least_kwh = np.array([_kwh(units[index].low_nj) for index in short])
    cap_a = np.array([cell.cap_ua for cell in storage.cells]) / MICRO
    h = cars.h.copy()
    h[n_bound:] = np.array(storage.load_w)[shared] / 1000
    return type(cars)(
        p=np.concatenate([cars.p, p]),
        c=np.concatenate([cars.c, c]),
        a=sp.csc_matrix(sp.block_diag([cars.a, stored])),
        b=np.concatenate([cars.b, first_kwh]),
        g=sp.vstack([sp.hstack([cars.g, beside]), below], format="csc"),
        h=np.concatenate([h, -target_kwh]),
        low=np.concatenate([cars.low, np.zeros(n_k), low_kwh, np.zeros(n_z)]),
        high=np.concatenate([cars.high, cap_a, high_kwh, target_kwh - least_kwh]),
        constant=cars.constant,
        active=cars.active,
    )


def _kwh(nanojoule: int) -> float:
    return nanojoule / NANOJOULE_PER_KWH


def _matrix(
    n_row: int, n_column: int, *parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
) -> sp.csc_matrix[np.float64]:
    """Stack (values, rows, columns)."""
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    entries = (values.astype(np.float64), (rows, columns))
    return sp.csc_matrix(entries, shape=(n_row, n_column))
