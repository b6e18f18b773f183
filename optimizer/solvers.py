"""Three interior-point solvers behind one call; none is believed.

The multipliers of the bounds of the variables are not returned: they follow from the
others, as ``-(Pv + c + A'equal + G'below)`` at an optimum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import clarabel
import numpy as np
import piqp
import scipy.sparse as sp
from numpy.typing import NDArray

from optimizer.failures import SolverFailedError

if TYPE_CHECKING:
    from optimizer.sparse import Sparse

TOLERANCE: Final = 1e-8
PIQP_ITERATIONS: Final = 100
"""PIQP has no time limit; it takes about 20."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a solver says.

    Attributes:
        v: The variables.
        equal: Multipliers of ``A v = b``.
        below: Multipliers of ``G v <= h``.
    """

    v: Vector
    equal: Vector
    below: Vector


def with_piqp(stated: "Sparse", _limit_s: float) -> Found:
    """Solve with PIQP, the fastest. It cannot be told a time, only iterations."""
    solver = piqp.SparseSolver()
    settings = solver.settings
    settings.eps_abs = settings.eps_duality_gap_abs = TOLERANCE
    settings.max_iter = PIQP_ITERATIONS
    settings.num_threads = 1
    solver.setup(
        sp.diags_array(stated.p, format="csc"),
        stated.c,
        stated.a,
        stated.b,
        stated.g,
        None,
        stated.h,
        stated.low,
        stated.high,
    )
    solver.solve()
    result = solver.result
    return _found(stated, result.x, result.y, result.z_u)


def with_clarabel(stated: "Sparse", limit_s: float) -> Found:
    """Solve with Clarabel; the bounds become rows."""
    n_equal, n_below, n_v = len(stated.b), len(stated.h), len(stated.c)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.time_limit = limit_s
    settings.max_threads = 1
    identity = sp.identity(n_v, format="csc")
    solver = clarabel.DefaultSolver(
        sp.csc_matrix(sp.diags_array(stated.p)),
        stated.c,
        sp.vstack([stated.a, stated.g, identity, -identity], format="csc"),
        np.concatenate([stated.b, stated.h, stated.high, -stated.low]),
        [clarabel.ZeroConeT(n_equal), clarabel.NonnegativeConeT(n_below + 2 * n_v)],
        settings,
    )
    solution = solver.solve()
    z = np.asarray(solution.z)
    return _found(stated, solution.x, z[:n_equal], z[n_equal : n_equal + n_below])


def with_ecos(stated: "Sparse", _limit_s: float) -> Found:
    """Solve with ECOS, which takes a linear cost: the squares become one cone.

    ``t >= 1/2 v'Pv`` is ``|(2 D v, t - 1)| <= t + 1`` with ``D^2 = P/2``.
    """
    ecos: Any = import_module("ecos")
    n_v, n_below = len(stated.c), len(stated.h)
    identity = sp.identity(n_v, format="csc")
    square = sp.diags_array(-2 * np.sqrt(stated.p / 2))
    t = sp.csc_matrix(([-1.0, -1.0], ([0, n_v + 1], [0, 0])), shape=(n_v + 2, 1))
    none = sp.csc_matrix((1, n_v))
    rows = sp.vstack([stated.g, identity, -identity, none, square, none])
    n_line = n_below + 2 * n_v
    g = sp.hstack([rows, sp.vstack([sp.csc_matrix((n_line, 1)), t])])
    h = np.concatenate(
        [stated.h, stated.high, -stated.low, [1.0], np.zeros(n_v), [-1.0]]
    )
    a = sp.hstack([stated.a, sp.csc_matrix((len(stated.b), 1))])
    try:
        solution = ecos.solve(
            np.append(stated.c, 1.0),
            sp.csc_matrix(g),
            h,
            {"l": n_line, "q": [n_v + 2]},
            sp.csc_matrix(a),
            stated.b,
            verbose=False,
        )
    except (ArithmeticError, ValueError) as exc:
        raise SolverFailedError(f"{type(exc).__name__}: {exc}") from exc
    return _found(stated, solution["x"][:n_v], solution["y"], solution["z"][:n_below])


def _found(stated: "Sparse", v: object, equal: object, below: object) -> Found:
    sizes = (len(stated.c), len(stated.b), len(stated.h))
    vectors = [
        np.asarray(values, dtype=np.float64).reshape(-1) for values in (v, equal, below)
    ]
    for values, size in zip(vectors, sizes, strict=True):
        if values.size != size or not np.isfinite(values).all():
            raise SolverFailedError("values are missing or not finite")
    return Found(v=vectors[0], equal=vectors[1], below=vectors[2])


SOLVERS: Final[dict[str, Callable[["Sparse", float], Found]]] = {
    "PIQP": with_piqp,
    "CLARABEL": with_clarabel,
    "ECOS": with_ecos,
}
