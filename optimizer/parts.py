"""The parts of a problem: the limit of a cabinet, the need of a session."""

import math
from dataclasses import dataclass
from typing import Final, Self

from optimizer import grid
from optimizer.document import Node
from optimizer.grid import MAX_CURRENT_A, MAX_POWER_W, PHASES, PhaseSeries, Series

MAX_ENERGY_WH: Final = 10**7
MAX_WEIGHT: Final = 1_000.0
MAX_LEAVING: Final = 64

_SESSION_CURRENTS: Final = ("min", "max", "step", "present", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetLimit:
    """The limit of one cabinet and what of it is already taken.

    Attributes:
        cabinet_id: Unique within the group.
        parent: The cabinet that feeds this one, or None for a root.
        limit_a: Shape (3, n_step), A per phase, or None.
        limit_w: Shape (n_step,), W over all phases, or None. One of both is needed.
        reserved_a: Shape (3, n_step), A per phase: everything in the *whole subtree*
            of this cabinet that is no session of the problem: other loads, floors of
            EVSEs without a session here, and the margin. What sessions below the
            cabinet may use is limit minus reserved, never less than zero.
        imbalance_a: What one phase may carry of sessions that another phase carries
            nothing of, A, or None. So no two phases differ by more, whatever each car
            takes of its limit.
    """

    cabinet_id: str
    parent: str | None = None
    limit_a: PhaseSeries | None = None
    limit_w: Series | None = None
    reserved_a: PhaseSeries
    imbalance_a: float | None = None

    def normalise(self, path: str, n_step: int) -> None:
        """Validate and round in place; the problem calls this once, on creation."""
        grid.require(f"{path}.cabinet_id", bool(self.cabinet_id), "must not be empty")
        grid.require(
            f"{path}.limit_a",
            self.limit_a is not None or self.limit_w is not None,
            "limit_a or limit_w is required",
        )
        if self.limit_a is not None:
            limit_a = grid.phase_series(
                f"{path}.limit_a", self.limit_a, n_step, grid.floor_da
            )
            _set(self, "limit_a", limit_a)
        if self.limit_w is not None:
            limit_w = grid.series(f"{path}.limit_w", self.limit_w, n_step, MAX_POWER_W)
            _set(self, "limit_w", tuple(float(math.floor(w)) for w in limit_w))
        reserved_a = grid.phase_series(
            f"{path}.reserved_a", self.reserved_a, n_step, grid.ceil_da
        )
        _set(self, "reserved_a", reserved_a)
        if self.imbalance_a is not None:
            path = f"{path}.imbalance_a"
            checked_a = grid.number(path, self.imbalance_a, MAX_CURRENT_A)
            _set(self, "imbalance_a", grid.floor_da(checked_a) / 10)

    def to_json(self) -> dict[str, object]:
        """Return the canonical object: integers only."""
        return {
            "cabinet_id": self.cabinet_id,
            "parent": self.parent,
            "limit_da": None if self.limit_a is None else _json_da(self.limit_a),
            "limit_w": None if self.limit_w is None else [int(w) for w in self.limit_w],
            "reserved_da": _json_da(self.reserved_a),
            "imbalance_da": (
                None if self.imbalance_a is None else round(self.imbalance_a * 10)
            ),
        }

    @classmethod
    def from_node(cls, node: Node, n_step: int) -> Self:
        """Read an object as ``to_json`` writes it; null and absent are the same."""
        found = node.fields(
            required=("cabinet_id", "reserved_da"),
            optional=("parent", "limit_da", "limit_w", "imbalance_da"),
        )
        given = {key: value for key, value in found.items() if not value.is_null()}
        return cls(
            cabinet_id=found["cabinet_id"].text(),
            parent=given["parent"].text() if "parent" in given else None,
            limit_a=(
                _amperes(given["limit_da"], n_step) if "limit_da" in given else None
            ),
            limit_w=given["limit_w"].series(n_step) if "limit_w" in given else None,
            reserved_a=_amperes(found["reserved_da"], n_step),
            imbalance_a=(
                given["imbalance_da"].integer() / 10
                if "imbalance_da" in given
                else None
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvSession:
    """One plugged-in car: what it needs, until when, and which currents it can take.

    Attributes:
        session_id: Unique within the group.
        cabinet_id: The cabinet that feeds its EVSE directly.
        phases: Grid phases (0 = L1) its current counts on. Where the rotation or the
            number of phases of the car is unknown: every phase it may draw on.
        energy_wh: Energy still needed, Wh, integer.
        departure_step: First step without the car; <= 0 means that it is gone (or
            overdue), > n_step that it stays beyond the horizon.
        min_a: Smallest current other than 0, A per phase.
        max_a: Largest current, A per phase. Below ``min_a`` only 0 is left.
        step_a: Unit of its set-points, A, a multiple of 0.1.
        present_a: Limit that is confirmed now, A.
        floor_a: What its EVSE may draw at any time, whatever is sent (the safe limit
            stored in the station). It counts against every limit above the EVSE at
            every step, before and after departure, even if the plan says less; in
            return the session may always use it, as far as the limits leave it.
        weight: Multiplies the price of its unmet energy, in thousandths.
        n_power_phase: How many of ``phases`` carry energy; default all of them. Less
            where the rotation is unknown and every candidate is counted.
        leaving_steps: Where the departure is uncertain: first steps without the car
            that are equally likely, rising. Energy that may come too late is worth
            less to a plan, see ``optimizer.goal``; ``departure_step`` is the last
            that counts. Empty: the car leaves at ``departure_step``.
    """

    session_id: str
    cabinet_id: str
    phases: tuple[int, ...]
    energy_wh: int
    departure_step: int
    min_a: float = 6.0
    max_a: float
    step_a: float = 1.0
    present_a: float = 0.0
    floor_a: float = 0.0
    weight: float = 1.0
    n_power_phase: int | None = None
    leaving_steps: tuple[int, ...] = ()

    def normalise(self, path: str) -> None:
        """Validate and round in place; the problem calls this once, on creation."""
        grid.require(f"{path}.session_id", bool(self.session_id), "must not be empty")
        phases = tuple(self.phases)
        grid.require(
            f"{path}.phases",
            0 < len(phases) == len(set(phases)) and set(phases) <= set(PHASES),
            "must be one to three different phases out of 0, 1, 2",
        )
        _set(self, "phases", tuple(sorted(phases)))
        n_power = len(phases) if self.n_power_phase is None else self.n_power_phase
        grid.whole(f"{path}.n_power_phase", n_power, 1, len(phases))
        _set(self, "n_power_phase", n_power)
        grid.whole(f"{path}.energy_wh", self.energy_wh, 0, MAX_ENERGY_WH)
        grid.whole(f"{path}.departure_step", self.departure_step, -(10**9), 10**9)
        for name, to_da in (
            ("min_a", grid.ceil_da),
            ("max_a", grid.floor_da),
            ("present_a", grid.floor_da),
            ("floor_a", grid.ceil_da),
        ):
            value_a = grid.number(f"{path}.{name}", getattr(self, name), MAX_CURRENT_A)
            _set(self, name, to_da(value_a) / 10)
        step_a = grid.number(f"{path}.step_a", self.step_a, MAX_CURRENT_A)
        step_da = round(step_a * 10)
        grid.require(
            f"{path}.step_a",
            step_da > 0 and abs(step_da - step_a * 10) < grid.SLACK,
            "must be a positive multiple of 0.1 A",
        )
        _set(self, "step_a", step_da / 10)
        weight = grid.number(f"{path}.weight", self.weight, MAX_WEIGHT)
        grid.require(f"{path}.weight", weight > 0, "must be positive")
        _set(self, "weight", max(1, round(weight * 1000)) / 1000)
        leaving = tuple(self.leaving_steps)
        grid.require(
            f"{path}.leaving_steps",
            len(leaving) <= MAX_LEAVING,
            f"must hold at most {MAX_LEAVING} steps",
        )
        for index, step in enumerate(leaving):
            grid.whole(f"{path}.leaving_steps[{index}]", step, -(10**9), 10**9)
        _set(self, "leaving_steps", tuple(sorted(leaving)))

    def to_json(self) -> dict[str, object]:
        """Return the canonical object: integers only.

        Steps of uncertain departures are a member only where there are some.
        """
        leaving = {"leaving_steps": list(self.leaving_steps)}
        return (
            {
                "session_id": self.session_id,
                "cabinet_id": self.cabinet_id,
                "phases": list(self.phases),
                "energy_wh": self.energy_wh,
                "departure_step": self.departure_step,
                "weight_milli": round(self.weight * 1000),
                "n_power_phase": self.n_power_phase,
            }
            | {
                f"{name}_da": grid.grid_da(getattr(self, f"{name}_a"))
                for name in _SESSION_CURRENTS
            }
            | (leaving if self.leaving_steps else {})
        )

    @classmethod
    def from_node(cls, node: Node) -> Self:
        """Read an object as ``to_json`` writes it."""
        found = node.fields(
            required=(
                "session_id",
                "cabinet_id",
                "phases",
                "energy_wh",
                "departure_step",
                "max_da",
            ),
            optional=(
                "min_da",
                "step_da",
                "present_da",
                "floor_da",
                "weight_milli",
                "n_power_phase",
                "leaving_steps",
            ),
        )

        def integer(key: str, default: int) -> int:
            return found[key].integer() if key in found else default

        phases = tuple(item.integer() for item in found["phases"].items())
        return cls(
            session_id=found["session_id"].text(),
            cabinet_id=found["cabinet_id"].text(),
            phases=phases,
            energy_wh=found["energy_wh"].integer(),
            departure_step=found["departure_step"].integer(),
            min_a=integer("min_da", 60) / 10,
            max_a=found["max_da"].integer() / 10,
            step_a=integer("step_da", 10) / 10,
            present_a=integer("present_da", 0) / 10,
            floor_a=integer("floor_da", 0) / 10,
            weight=integer("weight_milli", 1000) / 1000,
            n_power_phase=integer("n_power_phase", len(phases)),
            leaving_steps=tuple(
                item.integer()
                for item in (
                    found["leaving_steps"].items() if "leaving_steps" in found else ()
                )
            ),
        )


def _set(owner: object, name: str, value: object) -> None:
    object.__setattr__(owner, name, value)


def _json_da(amperes: PhaseSeries) -> list[list[int]]:
    return [[grid.grid_da(value) for value in row] for row in amperes]


def _amperes(node: Node, n_step: int) -> list[list[float]]:
    return [[value / 10 for value in row] for row in node.phase_series(n_step)]
