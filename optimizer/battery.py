"""A site battery in a problem: what it can do, what it holds, what it shall keep."""

from dataclasses import dataclass
from typing import Final, Self

from optimizer import grid
from optimizer.document import Node
from optimizer.grid import MAX_CURRENT_A, MAX_PRICE_MICRO, PHASES
from optimizer.parts import MAX_ENERGY_WH

MAX_RATE_W: Final = 10**8
DEFAULT_EFFICIENCY_PERMILLE: Final = 900
DEFAULT_WEAR_MICRO: Final = 10_000
"""A hundredth of the currency per kWh that is given back."""

_WHOLE: Final = (
    "capacity_wh",
    "energy_wh",
    "reserve_wh",
    "target_wh",
    "max_charge_w",
    "max_discharge_w",
    "efficiency_permille",
    "wear_micro_per_kwh",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryUnit:
    """A battery whose power is planned.

    Its charging counts on every limit above it. Its discharging raises none: it only
    replaces energy that would be bought.

    Attributes:
        battery_id: Unique within the group.
        cabinet_id: The cabinet that feeds it directly.
        phases: Grid phases (0 = L1) its current counts on, evenly.
        capacity_wh: What it can hold, at least 1 Wh.
        energy_wh: What it holds at the begin of step 0.
        reserve_wh: What is never given back; if it holds less, that.
        target_wh: What it shall hold after the last step. The same for every plan of
            a day: a target that follows what it holds drifts away with it.
        max_charge_w: Largest power it draws.
        max_discharge_w: Largest power it gives.
        efficiency_permille: Of what it draws this much can be given back.
        wear_micro_per_kwh: Price of the ageing by a kWh that is given back,
            millionths of the currency.
        held_a: A per phase of the cabinets' ``reserved_a`` in step 0 that are this
            battery's: it may draw so much until it is told less.
    """

    battery_id: str
    cabinet_id: str
    phases: tuple[int, ...] = PHASES
    capacity_wh: int
    energy_wh: int
    reserve_wh: int = 0
    target_wh: int
    max_charge_w: int
    max_discharge_w: int
    efficiency_permille: int = DEFAULT_EFFICIENCY_PERMILLE
    wear_micro_per_kwh: int = DEFAULT_WEAR_MICRO
    held_a: float = 0.0

    def normalise(self, path: str) -> None:
        """Validate and round in place; the problem calls this once, on creation."""
        grid.require(f"{path}.battery_id", bool(self.battery_id), "must not be empty")
        phases = tuple(self.phases)
        grid.require(
            f"{path}.phases",
            0 < len(phases) == len(set(phases)) and set(phases) <= set(PHASES),
            "must be one to three different phases out of 0, 1, 2",
        )
        _set(self, "phases", tuple(sorted(phases)))
        grid.whole(f"{path}.capacity_wh", self.capacity_wh, 1, MAX_ENERGY_WH)
        for name in ("energy_wh", "reserve_wh", "target_wh"):
            grid.whole(f"{path}.{name}", getattr(self, name), 0, self.capacity_wh)
        for name in ("max_charge_w", "max_discharge_w"):
            grid.whole(f"{path}.{name}", getattr(self, name), 0, MAX_RATE_W)
        efficiency = self.efficiency_permille
        grid.whole(f"{path}.efficiency_permille", efficiency, 1, 1000)
        wear = self.wear_micro_per_kwh
        grid.whole(f"{path}.wear_micro_per_kwh", wear, 0, MAX_PRICE_MICRO)
        held_a = grid.number(f"{path}.held_a", self.held_a, MAX_CURRENT_A)
        _set(self, "held_a", grid.ceil_da(held_a) / 10)

    def to_json(self) -> dict[str, object]:
        """Return the canonical object: integers only."""
        return {
            "battery_id": self.battery_id,
            "cabinet_id": self.cabinet_id,
            "phases": list(self.phases),
            "held_da": grid.grid_da(self.held_a),
        } | {name: getattr(self, name) for name in _WHOLE}

    @classmethod
    def from_node(cls, node: Node) -> Self:
        """Read an object as ``to_json`` writes it."""
        found = node.fields(
            required=(
                *("battery_id", "cabinet_id", "capacity_wh", "energy_wh"),
                *("target_wh", "max_charge_w", "max_discharge_w"),
            ),
            optional=(
                *("phases", "reserve_wh", "efficiency_permille"),
                *("wear_micro_per_kwh", "held_da"),
            ),
        )

        def integer(key: str, default: int) -> int:
            return found[key].integer() if key in found else default

        phases = found["phases"].items() if "phases" in found else None
        return cls(
            battery_id=found["battery_id"].text(),
            cabinet_id=found["cabinet_id"].text(),
            phases=PHASES if phases is None else tuple(p.integer() for p in phases),
            capacity_wh=found["capacity_wh"].integer(),
            energy_wh=found["energy_wh"].integer(),
            reserve_wh=integer("reserve_wh", 0),
            target_wh=found["target_wh"].integer(),
            max_charge_w=found["max_charge_w"].integer(),
            max_discharge_w=found["max_discharge_w"].integer(),
            efficiency_permille=integer(
                "efficiency_permille", DEFAULT_EFFICIENCY_PERMILLE
            ),
            wear_micro_per_kwh=integer("wear_micro_per_kwh", DEFAULT_WEAR_MICRO),
            held_a=integer("held_da", 0) / 10,
        )


def _set(owner: object, name: str, value: object) -> None:
    object.__setattr__(owner, name, value)
