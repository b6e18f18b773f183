"""What docs/optimizer.md says, written again from that page alone.

Imports nothing of the optimizer: rows, columns, bounds, prices, cost, lower bound and
commitment of a certificate, from the two JSON documents alone.
"""

import hashlib
import itertools
import json
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

Document = dict[str, Any]

GOALS = {
    "finish": (5000, 500, 0),
    "fair": (5000, 0, 2_000_000),
    "economy": (2000, 500, 0),
    "auto": (2000, 500, 0),
}
PHASES = (0, 1, 2)


@dataclass
class Row:
    """One limit: coefficient per session, head and extra per step."""

    members: dict[int, int]
    head: list[int]
    extra: list[int]
    floors: int
    stores: dict[int, int]
    open_head: int

    def head_of(self, step: int) -> int:
        """Return the head in the relaxed plan."""
        return self.head[step] if step else self.open_head

    def extra_of(self, step: int) -> int:
        """Return the extra in the relaxed plan."""
        return max(0, self.head_of(step) - self.floors)


@dataclass
class Cell:
    """What a battery charges or discharges with in a step; the cap in microampere."""

    battery: int
    step: int
    charges: bool
    cap: int


@dataclass
class Reading:
    """A problem as the page derives it.

    Attributes:
        columns: (session, step, is above the floor, cap, present), 0.1 A.
        cells: Of batteries; they follow the columns.
        bounds: (coefficient per column or cell, cap), 0.1 A.
    """

    problem: Document
    rows: list[Row] = field(default_factory=list)
    columns: list[tuple[int, int, bool, int, int]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    bounds: list[tuple[dict[int, int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions: list[Document] = self.problem["sessions"]
        self.n_step: int = self.problem["n_step"]
        self.batteries: list[Document] = self.problem.get("batteries", [])
        self.store_volts = [
            self.problem["nominal_v"] * len(b["phases"]) for b in self.batteries
        ]
        self.volts = [
            self.problem["nominal_v"] * s["n_power_phase"] for s in self.sessions
        ]
        self.power = [volts * self.problem["step_s"] for volts in self.volts]
        for cabinet in self.problem["cabinets"]:
            self._add_rows(cabinet)
        for index in range(len(self.sessions)):
            self._add_columns(index)
        for index in range(len(self.batteries)):
            self._add_cells(index)
        self.load: list[int] = [0] * self.n_step
        if self.cells:
            self.load = self.problem["load_w"]
        for row in self.rows:
            self._add_bounds(row)

    def high(self, index: int) -> int:
        s = self.sessions[index]
        unit = s["step_da"]
        low = max(unit, -(-s["min_da"] // unit) * unit)
        high: int = s["max_da"] // unit * unit
        return high if high >= low else 0

    def _add_rows(self, cabinet: Document) -> None:
        parents = {c["cabinet_id"]: c["parent"] for c in self.problem["cabinets"]}

        def is_below(part: Document) -> bool:
            place = part["cabinet_id"]
            while place not in {None, cabinet["cabinet_id"]}:
                place = parents[place]
            return place is not None

        behind = [i for i, s in enumerate(self.sessions) if is_below(s)]
        stores = [b for b, one in enumerate(self.batteries) if is_below(one)]
        reserved = cabinet["reserved_da"]
        phases_of = {i: self.sessions[i]["phases"] for i in behind}
        if cabinet["limit_da"] is not None:
            for p in PHASES:
                pairs = zip(cabinet["limit_da"][p], reserved[p], strict=True)
                members = {i: 1 for i in behind if p in phases_of[i]}
                stored = {b: 1 for b in stores if p in self.batteries[b]["phases"]}
                free = [limit - taken for limit, taken in pairs]
                self._add_row(members, free, stored)
        if cabinet["limit_w"] is not None:
            free = [
                10 * watts // self.problem["nominal_v"] - sum(r[t] for r in reserved)
                for t, watts in enumerate(cabinet["limit_w"])
            ]
            stored = {b: len(self.batteries[b]["phases"]) for b in stores}
            self._add_row({i: len(phases_of[i]) for i in behind}, free, stored)
        if cabinet["imbalance_da"] is not None:
            seen = set()
            for p, q in permutations(PHASES, 2):
                uneven = tuple(
                    i
                    for i in behind
                    if p in phases_of[i]
                    and (
                        q not in phases_of[i]
                        or self.sessions[i]["n_power_phase"] < len(phases_of[i])
                    )
                )
                if (p, uneven) not in seen:
                    seen.add((p, uneven))
                    free = [cabinet["imbalance_da"]] * self.n_step
                    self._add_row(dict.fromkeys(uneven, 1), free, {})

    def _add_row(
        self, members: dict[int, int], free: list[int], stores: dict[int, int]
    ) -> None:
        floors = sum(a * self.sessions[i]["floor_da"] for i, a in members.items())
        if members or stores:
            head = [max(0, f) for f in free]
            extra = [max(0, f - floors) for f in free]
            held = sum(a * self.batteries[b]["held_da"] for b, a in stores.items())
            given_back = max(0, free[0] + held)
            self.rows.append(Row(members, head, extra, floors, stores, given_back))

    def _add_cells(self, index: int) -> None:
        b, volts = self.batteries[index], self.store_volts[index]
        low = min(b["reserve_wh"], b["energy_wh"])
        if low == b["capacity_wh"]:
            return
        is_empty = b["energy_wh"] == low
        is_full = b["energy_wh"] == b["capacity_wh"]
        driven = {column[1] for column in self.columns}
        for step in range(self.n_step):
            caps = {
                True: b["max_charge_w"] * 10**6 // volts,
                False: b["max_discharge_w"] * 10**6 // volts,
            }
            if is_full or any(
                r.extra_of(step) == 0 for r in self.rows if index in r.stores
            ):
                caps[True] = 0
            has_use = step in driven or self.problem["load_w"][step] > 0
            if is_empty or not has_use:
                caps[False] = 0
            for charges, cap in caps.items():
                if cap > 0:
                    self.cells.append(Cell(index, step, charges, cap))
            is_empty = is_empty and not caps[True]
            is_full = is_full and not caps[False]

    def used(self, certificate: Document) -> list[int]:
        """Return what is drawn here and no battery gives, per step, microwatt."""
        found = [watts * 10**6 for watts in self.load]
        values = certificate["current_ua"]
        for (i, t, *_), x in zip(self.columns, values, strict=False):
            found[t] += self.volts[i] * x
        for cell, x in zip(self.cells, values[len(self.columns) :], strict=True):
            sign = 1 if cell.charges else -1
            found[cell.step] += sign * self.store_volts[cell.battery] * x
        return found

    def refill(self, index: int) -> int:
        b = self.batteries[index]
        dearest = max(0, *self.problem["import_price_micro_per_kwh"], 0)
        price: int = dearest * 1000 // b["efficiency_permille"]
        wear: int = b["wear_micro_per_kwh"]
        return price + wear + 20_000

    def _add_columns(self, index: int) -> None:
        s, high = self.sessions[index], self.high(index)
        floor = s["floor_da"]
        if s["energy_wh"] == 0:
            return
        for step in range(min(max(s["departure_step"], 0), self.n_step)):
            within, above = min(floor, high), high - floor
            if any(r.extra_of(step) == 0 for r in self.rows if index in r.members):
                above = 0
            for is_above, cap, present in (
                (False, within, min(s["present_da"], floor)),
                (True, above, max(0, s["present_da"] - floor)),
            ):
                if cap > 0:
                    self.columns.append((index, step, is_above, cap, present))

    def _add_bounds(self, row: Row) -> None:
        at = {column[:3]: number for number, column in enumerate(self.columns)}
        for step in range(self.n_step):
            starved = row.head_of(step) < row.floors
            cap = row.head_of(step) if starved else row.extra_of(step)
            members = {
                at[index, step, not starved]: a
                for index, a in row.members.items()
                if (index, step, not starved) in at
            }
            most = sum(a * self.columns[c][3] for c, a in members.items()) * 100_000
            for number, cell in enumerate(self.cells, len(self.columns)):
                if cell.charges and cell.step == step and cell.battery in row.stores:
                    members[number] = row.stores[cell.battery]
                    most += members[number] * cell.cap
            if most > cap * 100_000:
                self.bounds.append((members, cap))


@dataclass
class Prices:
    """Prices of a problem as the page derives them."""

    reading: Reading

    def __post_init__(self) -> None:
        problem, sessions = self.reading.problem, self.reading.sessions
        earliness, permille, self.fairness = GOALS[problem["mode"]]
        n = len(sessions)
        order = sorted(range(n), key=lambda i: (sessions[i]["departure_step"], i))
        imports = problem["import_price_micro_per_kwh"]
        self.use = [
            [
                price
                + earliness
                * (t * problem["step_s"] * (2 * n - order.index(i)))
                // (900 * n)
                for t, price in enumerate(imports)
            ]
            for i in range(n)
        ]
        dearest = max(0, *(price for row in self.use for price in row), 0)
        worths = []
        for s in sessions:
            small = permille * 10_000 // (10_000 + s["energy_wh"])
            scarce = 5_000_000 * (1000 + small) // 1000
            worths.append(s["weight_milli"] * scarce // 1000)
        self.shortage = [dearest + worth for worth in worths]
        for row, s, worth in zip(self.use, sessions, worths, strict=True):
            leaving = s.get("leaving_steps", [])
            for t in range(len(row)):
                gone = sum(step <= t for step in leaving)
                row[t] += worth * gone // (len(leaving) + 1)
        feed_in = problem["feed_in_price_micro_per_kwh"]
        self.saving = [max(0, a - b) for a, b in zip(imports, feed_in, strict=True)]
        used = {column[1] for column in self.reading.columns}
        used |= {cell.step for cell in self.reading.cells if cell.charges}
        given = {cell.step for cell in self.reading.cells if not cell.charges}
        self.sunny = [
            t
            for t, saving in enumerate(self.saving)
            if saving > 0 and problem["pv_w"][t] > 0 and t in used
        ]
        self.shared = sorted(given.union(self.sunny))


def cost(problem: Document, certificate: Document) -> int:
    """Return the cost of the relaxed plan, units."""
    reading = Reading(problem)
    prices = Prices(reading)
    total = 0
    unmet = [s["energy_wh"] * 36_000 * 100_000 for s in reading.sessions]  # microjoule
    values = certificate["current_ua"]
    for (i, t, _, _, present), x in zip(reading.columns, values, strict=False):
        total += 5000 * prices.use[i][t] * reading.power[i] * x
        total += 18 * reading.volts[i] * x * x
        if t == 0:
            total += 180_000 * (x - present * 100_000) ** 2
        unmet[i] -= reading.power[i] * x
    for i, s in enumerate(unmet):
        divisor = 720_000 * max(reading.sessions[i]["energy_wh"], 1000)
        total += 5000 * prices.shortage[i] * s
        total += -(-prices.fairness * s * s // divisor)
    total += _stored_cost(reading, values[len(reading.columns) :])
    used = reading.used(certificate)
    for t in prices.sunny:
        power = min(used[t], problem["pv_w"][t] * 10**6)
        total -= 5000 * prices.saving[t] * problem["step_s"] * power
    return total


def _stored_cost(reading: Reading, values: list[int]) -> int:
    imports, step_s = (
        reading.problem["import_price_micro_per_kwh"],
        reading.problem["step_s"],
    )
    total = 0
    ends: dict[int, int] = {}
    for cell, x in zip(reading.cells, values, strict=True):
        b, volts = reading.batteries[cell.battery], reading.store_volts[cell.battery]
        price = imports[cell.step]
        kept = b["efficiency_permille"]
        if not cell.charges:
            price, kept = b["wear_micro_per_kwh"] - price, -1000
        total += 5000 * price * volts * step_s * x + 18 * volts * x * x
        before = ends.get(cell.battery, b["energy_wh"] * 3600 * 10**9)
        ends[cell.battery] = before + volts * step_s * kept * x
    for index, end in ends.items():
        target = reading.batteries[index]["target_wh"] * 3600 * 10**9
        total += 5 * reading.refill(index) * max(0, target - end)
    return total


def _stored_bound(
    reading: Reading, worths: list[int], dual: dict[int, int], limits: list[int]
) -> int:
    """Return what the cells add; ``limits`` is what the duals of the bounds cost."""
    imports, step_s = (
        reading.problem["import_price_micro_per_kwh"],
        reading.problem["step_s"],
    )
    moves = list(dict.fromkeys((cell.battery, cell.step) for cell in reading.cells))
    stored = dict(zip(moves, worths, strict=True))
    total = 0
    for cell, limit in zip(reading.cells, limits, strict=True):
        b, volts = reading.batteries[cell.battery], reading.store_volts[cell.battery]
        m, w = stored[cell.battery, cell.step], dual.get(cell.step, 0)
        k = 1000 * (1000 * imports[cell.step] - w) - b["efficiency_permille"] * m
        if not cell.charges:
            wear = b["wear_micro_per_kwh"]
            k = 1000 * (1000 * (wear - imports[cell.step]) + w + m)
        k = 5 * volts * step_s * k // 1000
        total += least(18 * volts, k + limit, cell.cap)
    for index, b in enumerate(reading.batteries):
        own = [m for (battery, _), m in stored.items() if battery == index]
        if not own:
            continue
        start, low, high, target = (
            wh * 3600 * 10**6
            for wh in (
                b["energy_wh"],
                min(b["reserve_wh"], b["energy_wh"]),
                b["capacity_wh"],
                b["target_wh"],
            )
        )
        total -= 5 * own[0] * start
        for m, after in itertools.pairwise(own):
            total += min(5 * (m - after) * low, 5 * (m - after) * high)
        total += min(
            5 * own[-1] * e + 5000 * reading.refill(index) * max(0, target - e)
            for e in (low, high, max(low, target))
        )
    return total


def lower_bound(problem: Document, certificate: Document) -> int:
    """Return what every plan costs at least, by the duals, units."""
    reading = Reading(problem)
    prices = Prices(reading)
    energy = certificate["energy_nano"]
    sun = dict(zip(prices.shared, certificate["sun_nano"], strict=True))
    slope = [
        5 * reading.power[i] * (1000 * prices.use[i][t] - energy[i] - sun.get(t, 0))
        for i, t, *_ in reading.columns
    ]
    n_column = len(slope)
    slope += [0] * len(reading.cells)
    total = 0
    for (members, cap), dual in zip(
        reading.bounds, certificate["limit_nano"], strict=True
    ):
        total -= dual * cap * 100_000 * 18_000_000
        for column, a in members.items():
            slope[column] += 18_000_000 * a * dual
    for (i, t, _, cap, present), k in zip(reading.columns, slope, strict=False):
        q, cap_ua, present_ua = 18 * reading.volts[i], cap * 100_000, present * 100_000
        if t == 0:
            total += 180_000 * present_ua**2
            q, k = q + 180_000, k - 360_000 * present_ua  # noqa: PLW2901 - as the page
        total += least(q, k, cap_ua)
    for i, s in enumerate(reading.sessions):
        need = s["energy_wh"] * 36_000 * 100_000
        d = 720_000 * max(s["energy_wh"], 1000)
        total += 5 * energy[i] * need
        k = d * 5 * (1000 * prices.shortage[i] - energy[i])
        total += least(prices.fairness, k, need) // d
    if reading.cells:
        worths = certificate["stored_nano"]
        total += _stored_bound(reading, worths, sun, slope[n_column:])
    for t, dual in sun.items():
        total -= 5 * dual * problem["step_s"] * reading.load[t] * 10**6
    for t in prices.sunny:
        dual = sun[t]
        part = 5 * (dual - 1000 * prices.saving[t]) * problem["step_s"]
        total += min(0, part * problem["pv_w"][t] * 10**6)
    return total


def least(q: int, k: int, c: int) -> int:
    """Return the minimum of q*z^2 + k*z over 0 <= z <= c, rounded down."""
    if k >= 0:
        return 0
    if -k >= 2 * q * c:
        return (q * c + k) * c
    return -(k * k // (4 * q)) - 1


def root(problem: Document, certificate: Document) -> str:
    """Return the commitment."""
    shared = {name: problem[name] for name in ("start", "step_s", "n_step")}
    shared["nominal_v"] = problem["nominal_v"]
    texts = [text({k: v for k, v in problem.items() if k != "sessions"})]
    texts += [
        text(shared | {"session": session, "currents_da": currents})
        for session, currents in zip(
            problem["sessions"], certificate["currents_da"], strict=True
        )
    ]
    salt = bytes.fromhex(certificate["salt"])
    leaves = []
    for row, data in enumerate(texts):
        own = sha256(b"wattproof/plan-salt/1\0" + salt + row.to_bytes(8, "big"))
        leaves.append(
            sha256(b"\0" + sha256(b"wattproof/plan-row/1\0" + own + data.encode()))
        )
    return tree(leaves).hex()


def tree(leaves: list[bytes]) -> bytes:
    """Return the root of RFC 9162, section 2.1.1, of leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\1" + tree(leaves[:split]) + tree(leaves[split:]))


def text(document: object) -> str:
    """Return canonical JSON."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def sha256(data: bytes) -> bytes:
    """Return the digest."""
    return hashlib.sha256(data).digest()
