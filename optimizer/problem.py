"""States what one group of cabinets has to solve: limits, sessions, prices.

Currents are given in ampere and kept on a grid of 0.1 A, each rounded in the safe
direction (limits and maxima down, reservations and minima up), so that every later
check can be exact in integers. Only the standard library is needed to read, hold and
check a problem: whoever verifies a plan needs no numpy.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from optimizer import grid
from optimizer.battery import BatteryUnit
from optimizer.document import Node, ProblemError, canonical_json
from optimizer.grid import MAX_POWER_W, PHASES, Series, grid_da
from optimizer.parts import CabinetLimit, EvSession

MAX_STEP: Final = 2_000
MAX_SESSION: Final = 2_000
MAX_CABINET: Final = 500
MAX_BATTERY: Final = 100
MAX_NOMINAL_V: Final = 1_000


class Mode(StrEnum):
    """What comes first once every limit holds.

    ``AUTO`` follows the price while the relaxed plan meets every need and fills the
    cabinet as soon as it does not; ``ECONOMY`` always follows the price; ``FINISH``
    serves the most sessions fully; ``FAIR`` shares a shortage in proportion.
    """

    AUTO = "auto"
    ECONOMY = "economy"
    FINISH = "finish"
    FAIR = "fair"


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetProblem:
    """One group: a tree of cabinets with the sessions behind it, over a horizon.

    Attributes:
        group_id: Names the group in plans and logs.
        start: Begin of step 0, aware.
        step_s: Length of a step, s.
        n_step: Number of steps.
        nominal_v: Voltage from phase to neutral, whole V: what a W limit and the
            energy of an ampere are counted with.
        cabinets: At least one; parents may come in any order.
        sessions: May be empty.
        import_price_micro_per_kwh: Shape (n_step,), millionths of the currency.
        feed_in_price_micro_per_kwh: Shape (n_step,); what a kWh of PV would earn.
        pv_w: Shape (n_step,), W: PV surplus of the group. Lowers cost, never raises a
            limit.
        mode: See ``Mode``.
        batteries: Those whose power is planned.
        load_w: Shape (n_step,), W: what other equipment draws beyond PV, which
            discharging batteries may replace. Counts with batteries only.

    Raises:
        ProblemError: A field is wrong; a ``ValueError`` that names the field.
    """

    group_id: str
    start: datetime
    step_s: int
    n_step: int
    nominal_v: int = 230
    cabinets: tuple[CabinetLimit, ...]
    sessions: tuple[EvSession, ...] = ()
    import_price_micro_per_kwh: Sequence[int] | None = None
    feed_in_price_micro_per_kwh: Sequence[int] | None = None
    pv_w: Series | None = None
    mode: Mode = Mode.AUTO
    batteries: tuple[BatteryUnit, ...] = ()
    load_w: Series | None = None

    def __post_init__(self) -> None:
        """Validate every field once and bring it on the integer grid."""
        grid.require(
            "start", self.start.tzinfo is not None, "must be an aware datetime"
        )
        _set(self, "start", self.start.astimezone(UTC))
        grid.whole("step_s", self.step_s, 1, 86_400)
        grid.whole("n_step", self.n_step, 1, MAX_STEP)
        grid.whole("nominal_v", self.nominal_v, 1, MAX_NOMINAL_V)
        _set(self, "cabinets", tuple(self.cabinets))
        _set(self, "sessions", tuple(self.sessions))
        grid.require(
            "cabinets",
            1 <= len(self.cabinets) <= MAX_CABINET,
            f"must hold 1 to {MAX_CABINET} cabinets",
        )
        grid.require(
            "sessions",
            len(self.sessions) <= MAX_SESSION,
            f"must hold at most {MAX_SESSION} sessions",
        )
        for index, cabinet in enumerate(self.cabinets):
            cabinet.normalise(f"cabinets[{index}]", self.n_step)
        for index, session in enumerate(self.sessions):
            session.normalise(f"sessions[{index}]")
        self._set_batteries()
        self._check_tree()
        for name in ("import_price_micro_per_kwh", "feed_in_price_micro_per_kwh"):
            _set(self, name, grid.prices(name, getattr(self, name), self.n_step))
        if not self.batteries:
            _set(self, "load_w", None)
        for name in ("pv_w", "load_w") if self.batteries else ("pv_w",):
            given = getattr(self, name)
            power_w = (0.0,) * self.n_step if given is None else given
            checked_w = grid.series(name, power_w, self.n_step, MAX_POWER_W)
            _set(self, name, tuple(float(math.floor(w)) for w in checked_w))
        _set(self, "mode", _mode("mode", self.mode))

    def _set_batteries(self) -> None:
        _set(self, "batteries", tuple(self.batteries))
        grid.require(
            "batteries",
            len(self.batteries) <= MAX_BATTERY,
            f"must hold at most {MAX_BATTERY} batteries",
        )
        for index, battery in enumerate(self.batteries):
            battery.normalise(f"batteries[{index}]")

    def _check_tree(self) -> None:
        parents: dict[str, str | None] = {}
        for index, cabinet in enumerate(self.cabinets):
            path = f"cabinets[{index}].cabinet_id"
            grid.require(path, cabinet.cabinet_id not in parents, "occurs twice")
            parents[cabinet.cabinet_id] = cabinet.parent
        for index, cabinet in enumerate(self.cabinets):
            path = f"cabinets[{index}].parent"
            above, seen = cabinet.parent, {cabinet.cabinet_id}
            while above is not None:
                grid.require(path, above in parents, f"no cabinet {above!r}")
                grid.require(path, above not in seen, "the cabinets form a circle")
                seen.add(above)
                above = parents[above]
        ids: set[str] = set()
        for index, session in enumerate(self.sessions):
            path = f"sessions[{index}]"
            known = session.session_id in ids
            grid.require(f"{path}.session_id", not known, "occurs twice")
            ids.add(session.session_id)
            grid.require(
                f"{path}.cabinet_id",
                session.cabinet_id in parents,
                f"no cabinet {session.cabinet_id!r}",
            )
        if self.batteries:
            self._check_batteries(parents)

    def _check_batteries(self, parents: Mapping[str, str | None]) -> None:
        by_id = {cabinet.cabinet_id: cabinet for cabinet in self.cabinets}
        held: dict[tuple[str, int], int] = {}
        ids: set[str] = set()
        for index, battery in enumerate(self.batteries):
            path = f"batteries[{index}]"
            known = battery.battery_id in ids
            grid.require(f"{path}.battery_id", not known, "occurs twice")
            ids.add(battery.battery_id)
            above: str | None = battery.cabinet_id
            grid.require(
                f"{path}.cabinet_id", above in parents, f"no cabinet {above!r}"
            )
            while above is not None:
                cabinet = by_id[above]
                grid.require(
                    f"{path}.phases",
                    cabinet.imbalance_a is None or len(battery.phases) == len(PHASES),
                    f"must be all three: {above!r} limits the imbalance",
                )
                for phase in battery.phases:
                    part = held.get((above, phase), 0) + grid_da(battery.held_a)
                    held[above, phase] = part
                    grid.require(
                        f"{path}.held_a",
                        part <= grid_da(cabinet.reserved_a[phase][0]),
                        f"is more than what is reserved of {above!r}",
                    )
                above = parents[above]

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, object]:
        """Return the canonical document: integers only, 0.1 A as ``_da``."""
        return {
            "group_id": self.group_id,
            "start": self.start.isoformat().replace("+00:00", "Z"),
            "step_s": self.step_s,
            "n_step": self.n_step,
            "nominal_v": self.nominal_v,
            "cabinets": [cabinet.to_json() for cabinet in self.cabinets],
            "sessions": [session.to_json() for session in self.sessions],
            "import_price_micro_per_kwh": list(self.import_price_micro_per_kwh or ()),
            "feed_in_price_micro_per_kwh": list(self.feed_in_price_micro_per_kwh or ()),
            "pv_w": [int(w) for w in self.pv_w or ()],
            "mode": str(self.mode),
        } | (self._battery_json() if self.batteries else {})

    def _battery_json(self) -> dict[str, object]:
        return {
            "batteries": [battery.to_json() for battery in self.batteries],
            "load_w": [int(w) for w in self.load_w or ()],
        }

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a document as ``to_json`` writes it.

        A single integer may stand where one per step is meant; prices, PV, mode,
        batteries and the fields that have a default may be left out.

        Raises:
            ProblemError: With the path of the first wrong value.
        """
        top = Node(document).fields(
            required=("group_id", "start", "step_s", "n_step", "cabinets"),
            optional=(
                "nominal_v",
                "sessions",
                "import_price_micro_per_kwh",
                "feed_in_price_micro_per_kwh",
                "pv_w",
                "mode",
                "batteries",
                "load_w",
            ),
        )
        n_step = top["n_step"].integer()
        grid.whole("n_step", n_step, 1, MAX_STEP)

        def series(key: str) -> list[int] | None:
            return top[key].series(n_step) if key in top else None

        return cls(
            group_id=top["group_id"].text(),
            start=top["start"].instant(),
            step_s=top["step_s"].integer(),
            n_step=n_step,
            nominal_v=top["nominal_v"].integer() if "nominal_v" in top else 230,
            cabinets=tuple(
                CabinetLimit.from_node(node, n_step) for node in top["cabinets"].items()
            ),
            sessions=tuple(
                EvSession.from_node(node)
                for node in (top["sessions"].items() if "sessions" in top else ())
            ),
            import_price_micro_per_kwh=series("import_price_micro_per_kwh"),
            feed_in_price_micro_per_kwh=series("feed_in_price_micro_per_kwh"),
            pv_w=series("pv_w"),
            mode=_mode("mode", top["mode"].text()) if "mode" in top else Mode.AUTO,
            batteries=tuple(
                BatteryUnit.from_node(node)
                for node in (top["batteries"].items() if "batteries" in top else ())
            ),
            load_w=series("load_w"),
        )


def _set(owner: object, name: str, value: object) -> None:
    object.__setattr__(owner, name, value)


def _mode(path: str, value: str) -> Mode:
    try:
        return Mode(value)
    except ValueError as exc:
        known = ", ".join(Mode)
        raise ProblemError(path, f"must be one of {known}") from exc
