"""The problem of a plan as a verifier reads it: integers, in its one canonical form.

As docs/optimizer.md says it; nothing here is shared with the code that made the plan.
Currents are 0.1 A (``da``), energies Wh, prices millionths per kWh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.errors import BundleError
from ledger.strict_json import as_list, members, text

MAX_STEP: Final = 2_000
MAX_SESSION: Final = 2_000
MAX_CABINET: Final = 500
MAX_BATTERY: Final = 100
PHASES: Final = (0, 1, 2)
_MAX_DA: Final = 100_000
_MAX_WH: Final = 10**7
_MAX_W: Final = 10**9
_MAX_RATE_W: Final = 10**8
_MAX_PRICE: Final = 10**10
_FAR: Final = 10**9
_MAX_LEAVING: Final = 64
_START: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
_PROBLEM: Final = (
    *("group_id", "start", "step_s", "n_step", "nominal_v", "cabinets", "sessions"),
    *("import_price_micro_per_kwh", "feed_in_price_micro_per_kwh", "pv_w", "mode"),
)
_WITH_BATTERIES: Final = ("batteries", "load_w")
_CABINET: Final = (
    *("cabinet_id", "parent", "limit_da", "limit_w", "reserved_da", "imbalance_da"),
)
_SESSION: Final = (
    *("session_id", "cabinet_id", "phases", "energy_wh", "departure_step"),
    *("weight_milli", "n_power_phase"),
    *("min_da", "max_da", "step_da", "present_da", "floor_da"),
)
_BATTERY: Final = (
    *("battery_id", "cabinet_id", "phases", "held_da"),
    *("capacity_wh", "energy_wh", "reserve_wh", "target_wh", "max_charge_w"),
    *("max_discharge_w", "efficiency_permille", "wear_micro_per_kwh"),
)
_MODES: Final = ("auto", "economy", "finish", "fair")
Grid = tuple[tuple[int, ...], ...]
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """A session: what it needs, until when, what it may draw.

    Attributes:
        n_power: Phases that carry energy.
        low: Least permitted current other than 0; above ``high`` none is.
        high: Largest permitted current, 0 where none is.
        stay: Steps it is there.
        volts: W per A.
        leaving: Likely departures.
    """

    session_id: str
    cabinet_id: str
    phases: tuple[int, ...]
    n_power: int
    energy_wh: int
    departure_step: int
    weight_milli: int
    unit: int
    low: int
    high: int
    present: int
    floor: int
    stay: int
    volts: int
    leaving: tuple[int, ...]

    def permits(self, current_da: int) -> bool:
        """Tell whether a current may be sent to it."""
        return current_da == 0 or (
            self.low <= current_da <= self.high and current_da % self.unit == 0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A site battery."""

    battery_id: str
    cabinet_id: str
    phases: tuple[int, ...]
    held: int
    capacity_wh: int
    energy_wh: int
    reserve_wh: int
    target_wh: int
    max_charge_w: int
    max_discharge_w: int
    efficiency_permille: int
    wear_micro_per_kwh: int
    volts: int

    @property
    def low_wh(self) -> int:
        """Return the least it may hold."""
        return min(self.reserve_wh, self.energy_wh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cabinet:
    """A cabinet: per phase and step what its limit is and what is taken of it."""

    cabinet_id: str
    parent: str | None
    limit_da: Grid | None
    limit_w: tuple[int, ...] | None
    reserved_da: Grid
    imbalance_da: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanProblem:
    """A group of cabinets with what is plugged in.

    Attributes:
        document: As it was read: what the commitment is made of.
        load_w: Empty without batteries.
    """

    document: Row
    step_s: int
    n_step: int
    nominal_v: int
    cabinets: tuple[Cabinet, ...]
    cars: tuple[Car, ...]
    stores: tuple[Store, ...]
    imports: tuple[int, ...]
    feed_ins: tuple[int, ...]
    pv_w: tuple[int, ...]
    load_w: tuple[int, ...]
    mode: str

    def places(self) -> Mapping[str, str | None]:
        """Return the cabinet above each."""
        return {one.cabinet_id: one.parent for one in self.cabinets}


def read_problem(value: object) -> PlanProblem:
    """Read a problem in canonical form.

    Raises:
        BundleError: It is none; the text names the member.
    """
    top = members(value, "problem", _PROBLEM, _WITH_BATTERIES)
    n_step = whole(top["n_step"], "n_step", 1, MAX_STEP)
    step_s = whole(top["step_s"], "step_s", 1, 86_400)
    volts = whole(top["nominal_v"], "nominal_v", 1, 1_000)
    _check_start(text(top, "start"))
    has_stores = "batteries" in top
    if has_stores != ("load_w" in top) or top.get("batteries") == []:
        raise BundleError("problem has batteries and load_w, or neither")
    mode = text(top, "mode")
    if mode not in _MODES:
        raise BundleError(f"mode must be one of {', '.join(_MODES)}")
    cabinets = as_list(top["cabinets"], "cabinets", MAX_CABINET)
    sessions = as_list(top["sessions"], "sessions", MAX_SESSION)
    batteries = as_list(top.get("batteries", []), "batteries", MAX_BATTERY)
    prices = [
        series(top[name], name, n_step, -_MAX_PRICE, _MAX_PRICE)
        for name in ("import_price_micro_per_kwh", "feed_in_price_micro_per_kwh")
    ]
    problem = PlanProblem(
        document=top,
        step_s=step_s,
        n_step=n_step,
        nominal_v=volts,
        cabinets=tuple(_cabinet(one, n_step) for one in cabinets),
        cars=tuple(read_car(one, n_step, volts) for one in sessions),
        stores=tuple(_store(one, volts) for one in batteries),
        imports=prices[0],
        feed_ins=prices[1],
        pv_w=series(top["pv_w"], "pv_w", n_step, 0, _MAX_W),
        load_w=series(top["load_w"], "load_w", n_step, 0, _MAX_W) if has_stores else (),
        mode=mode,
    )
    text(top, "group_id")
    _check_tree(problem)
    return problem


def read_car(value: object, n_step: int, nominal_v: int) -> Car:
    """Read one session.

    Raises:
        BundleError: It is none.
    """
    row = members(value, "session", _SESSION, ("leaving_steps",))
    phases = _phases(row)
    n_power = whole(row["n_power_phase"], "n_power_phase", 1, len(phases))
    departure = whole(row["departure_step"], "departure_step", -_FAR, _FAR)
    leaving: tuple[int, ...] = ()
    if "leaving_steps" in row:
        given = as_list(row["leaving_steps"], "leaving_steps", _MAX_LEAVING)
        leaving = tuple(whole(one, "leaving_steps", -_FAR, _FAR) for one in given)
        if not leaving or list(leaving) != sorted(leaving):
            raise BundleError("leaving_steps must rise, and be left out where empty")
    unit = whole(row["step_da"], "step_da", 1, _MAX_DA)
    least, most, present, floor = (
        whole(row[name], name, 0, _MAX_DA)
        for name in ("min_da", "max_da", "present_da", "floor_da")
    )
    low, high = max(unit, -(-least // unit) * unit), most // unit * unit
    return Car(
        session_id=_name(row, "session_id"),
        cabinet_id=text(row, "cabinet_id"),
        phases=phases,
        n_power=n_power,
        energy_wh=whole(row["energy_wh"], "energy_wh", 0, _MAX_WH),
        departure_step=departure,
        weight_milli=whole(row["weight_milli"], "weight_milli", 1, 10**6),
        unit=unit,
        low=low,
        high=high if high >= low else 0,
        present=present,
        floor=floor,
        stay=min(max(departure, 0), n_step),
        volts=nominal_v * n_power,
        leaving=leaving,
    )


def whole(value: object, name: str, low: int, high: int) -> int:
    """Return an integer within bounds."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise BundleError(f"{name} must be an integer from {low} to {high}")


def series(value: object, name: str, size: int, low: int, high: int) -> tuple[int, ...]:
    """Return a list of so many integers within bounds."""
    found = as_list(value, name, size)
    if len(found) != size:
        raise BundleError(f"{name} must hold {size} integers")
    return tuple(whole(one, name, low, high) for one in found)


def _cabinet(value: object, n_step: int) -> Cabinet:
    row = members(value, "cabinet", _CABINET)
    limit_da, limit_w, uneven = row["limit_da"], row["limit_w"], row["imbalance_da"]
    if limit_da is None and limit_w is None:
        raise BundleError("a cabinet needs limit_da or limit_w")
    return Cabinet(
        cabinet_id=_name(row, "cabinet_id"),
        parent=None if row["parent"] is None else text(row, "parent"),
        limit_da=None if limit_da is None else _grid(limit_da, "limit_da", n_step),
        limit_w=None
        if limit_w is None
        else series(limit_w, "limit_w", n_step, 0, _MAX_W),
        reserved_da=_grid(row["reserved_da"], "reserved_da", n_step),
        imbalance_da=None
        if uneven is None
        else whole(uneven, "imbalance_da", 0, _MAX_DA),
    )


def _store(value: object, nominal_v: int) -> Store:
    row = members(value, "battery", _BATTERY)
    capacity = whole(row["capacity_wh"], "capacity_wh", 1, _MAX_WH)
    energy, reserve, target = (
        whole(row[name], name, 0, capacity)
        for name in ("energy_wh", "reserve_wh", "target_wh")
    )
    phases = _phases(row)
    return Store(
        battery_id=_name(row, "battery_id"),
        cabinet_id=text(row, "cabinet_id"),
        phases=phases,
        held=whole(row["held_da"], "held_da", 0, _MAX_DA),
        capacity_wh=capacity,
        energy_wh=energy,
        reserve_wh=reserve,
        target_wh=target,
        max_charge_w=whole(row["max_charge_w"], "max_charge_w", 0, _MAX_RATE_W),
        max_discharge_w=whole(
            row["max_discharge_w"], "max_discharge_w", 0, _MAX_RATE_W
        ),
        efficiency_permille=whole(
            row["efficiency_permille"], "efficiency_permille", 1, 1000
        ),
        wear_micro_per_kwh=whole(
            row["wear_micro_per_kwh"], "wear_micro_per_kwh", 0, _MAX_PRICE
        ),
        volts=nominal_v * len(phases),
    )


def _check_start(start: str) -> None:
    try:
        is_time = _START.fullmatch(start) and datetime.fromisoformat(start)
    except ValueError:
        is_time = None
    if not is_time:
        raise BundleError("start must be a time as 2026-05-04T08:00:00Z")


def _check_tree(problem: PlanProblem) -> None:
    """Refuse names that are double or unknown, circles, and a battery without room."""
    places = problem.places()
    if not places or len(places) != len(problem.cabinets):
        raise BundleError("cabinets have different names, and there is one")
    for cabinet in problem.cabinets:
        seen: set[str | None] = set()
        place: str | None = cabinet.cabinet_id
        while place is not None:
            if place in seen or place not in places:
                raise BundleError("the cabinets form no tree")
            seen.add(place)
            place = places[place]
    for what, names in (
        ("sessions", [car.session_id for car in problem.cars]),
        ("batteries", [store.battery_id for store in problem.stores]),
    ):
        if len(set(names)) != len(names):
            raise BundleError(f"{what} have different names")
    used = [car.cabinet_id for car in problem.cars]
    for name in (*used, *(store.cabinet_id for store in problem.stores)):
        if name not in places:
            raise BundleError(f"no cabinet {name[:40]!r}")
    _check_held(problem)


def _check_held(problem: PlanProblem) -> None:
    by_name = {one.cabinet_id: one for one in problem.cabinets}
    held: dict[tuple[str, int], int] = {}
    for store in problem.stores:
        place: str | None = store.cabinet_id
        while place is not None:
            cabinet = by_name[place]
            if cabinet.imbalance_da is not None and len(store.phases) != len(PHASES):
                raise BundleError("a battery under a limit of imbalance has all phases")
            for phase in store.phases:
                part = held.get((place, phase), 0) + store.held
                held[place, phase] = part
                if part > cabinet.reserved_da[phase][0]:
                    raise BundleError("held_da is more than what is reserved")
            place = cabinet.parent


def _grid(value: object, name: str, n_step: int) -> Grid:
    rows = as_list(value, name, len(PHASES))
    if len(rows) != len(PHASES):
        raise BundleError(f"{name} must hold three phases")
    return tuple(series(row, name, n_step, 0, _MAX_DA) for row in rows)


def _phases(row: Row) -> tuple[int, ...]:
    found = as_list(row["phases"], "phases", len(PHASES))
    phases = tuple(whole(one, "phases", 0, 2) for one in found)
    if not phases or list(phases) != sorted(set(phases)):
        raise BundleError("phases must be one to three of 0, 1, 2, rising")
    return phases


def _name(row: Row, name: str) -> str:
    found = text(row, name)
    if not found:
        raise BundleError(f"{name} must not be empty")
    return found
