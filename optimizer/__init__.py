"""Plans the charging of one group of cabinets; pure functions, no I/O.

Names are loaded on first use, so that ``optimizer.certificate`` needs neither numpy
nor cvxpy.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from optimizer.battery import BatteryUnit
    from optimizer.check import Violation, check
    from optimizer.document import ProblemError
    from optimizer.outcome import Fallback, Optimal, Outcome, Plan, Relaxed
    from optimizer.parts import CabinetLimit, EvSession
    from optimizer.problem import CabinetProblem, Mode
    from optimizer.solve import solve, warm_up

__all__ = [
    "BatteryUnit",
    "CabinetLimit",
    "CabinetProblem",
    "EvSession",
    "Fallback",
    "Mode",
    "Optimal",
    "Outcome",
    "Plan",
    "ProblemError",
    "Relaxed",
    "Violation",
    "check",
    "solve",
    "warm_up",
]

_HOME: Final = {
    "BatteryUnit": "optimizer.battery",
    "CabinetLimit": "optimizer.parts",
    "CabinetProblem": "optimizer.problem",
    "EvSession": "optimizer.parts",
    "Fallback": "optimizer.outcome",
    "Mode": "optimizer.problem",
    "Optimal": "optimizer.outcome",
    "Outcome": "optimizer.outcome",
    "Plan": "optimizer.outcome",
    "ProblemError": "optimizer.document",
    "Relaxed": "optimizer.outcome",
    "Violation": "optimizer.check",
    "check": "optimizer.check",
    "solve": "optimizer.solve",
    "warm_up": "optimizer.solve",
}


def __getattr__(name: str) -> object:
    """Import the module of a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


class _Package(ModuleType):
    """Keeps ``optimizer.solve`` the function when the submodule is imported."""

    def __setattr__(  # type: ignore[explicit-override]  # typing.override needs 3.12
        self, name: str, value: object
    ) -> None:
        """Store the public name instead of the submodule that is called the same."""
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
