"""What docs/optimizer.md says, written again from that page alone.

Imports nothing of the optimizer: rows, columns, bounds, prices, cost, lower bound and
commitment of a certificate, from the two JSON documents alone.
"""

import hashlib
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


@dataclass
class Reading:
    """A problem as the page derives it.

    Attributes:
        columns: (session, step, is above the floor, cap, present), 0.1 A.
        bounds: (coefficient per column, cap), 0.1 A.
    """

    problem: Document
    rows: list[Row] = field(default_factory=list)
    columns: list[tuple[int, int, bool, int, int]] = field(default_factory=list)
    bounds: list[tuple[dict[int, int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions: list[Document] = self.problem["sessions"]
        self.n_step: int = self.problem["n_step"]
        self.volts = [
            self.problem["nominal_v"] * s["n_power_phase"] for s in self.sessions
        ]
        self.power = [volts * self.problem["step_s"] for volts in self.volts]
        for cabinet in self.problem["cabinets"]:
            self._add_rows(cabinet)
        for index in range(len(self.sessions)):
            self._add_columns(index)
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

        def is_behind(index: int) -> bool:
            place = self.sessions[index]["cabinet_id"]
            while place not in {None, cabinet["cabinet_id"]}:
                place = parents[place]
            return place is not None

        behind = [i for i in range(len(self.sessions)) if is_behind(i)]
        reserved = cabinet["reserved_da"]
        phases_of = {i: self.sessions[i]["phases"] for i in behind}
        if cabinet["limit_da"] is not None:
            for p in PHASES:
                pairs = zip(cabinet["limit_da"][p], reserved[p], strict=True)
                members = {i: 1 for i in behind if p in phases_of[i]}
                self._add_row(members, [limit - taken for limit, taken in pairs])
        if cabinet["limit_w"] is not None:
            free = [
                10 * watts // self.problem["nominal_v"] - sum(r[t] for r in reserved)
                for t, watts in enumerate(cabinet["limit_w"])
            ]
            self._add_row({i: len(phases_of[i]) for i in behind}, free)
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
                    self._add_row(dict.fromkeys(uneven, 1), free)

    def _add_row(self, members: dict[int, int], free: list[int]) -> None:
        floors = sum(a * self.sessions[i]["floor_da"] for i, a in members.items())
        if members:
            head = [max(0, f) for f in free]
            extra = [max(0, f - floors) for f in free]
            self.rows.append(Row(members, head, extra, floors))

    def _add_columns(self, index: int) -> None:
        s, high = self.sessions[index], self.high(index)
        floor = s["floor_da"]
        if s["energy_wh"] == 0:
            return
        for step in range(min(max(s["departure_step"], 0), self.n_step)):
            within, above = min(floor, high), high - floor
            if any(r.extra[step] == 0 for r in self.rows if index in r.members):
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
            starved = row.head[step] < row.floors
            cap = row.head[step] if starved else row.extra[step]
            members = {
                at[index, step, not starved]: a
                for index, a in row.members.items()
                if (index, step, not starved) in at
            }
            if sum(a * self.columns[c][3] for c, a in members.items()) > cap:
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
        self.sunny = [
            t
            for t, saving in enumerate(self.saving)
            if saving > 0 and problem["pv_w"][t] > 0 and t in used
        ]


def cost(problem: Document, certificate: Document) -> int:
    """Return the cost of the relaxed plan, units."""
    reading = Reading(problem)
    prices = Prices(reading)
    total = 0
    unmet = [s["energy_wh"] * 36_000 * 100_000 for s in reading.sessions]  # microjoule
    drawn = [0] * reading.n_step
    for (i, t, _, _, present), x in zip(
        reading.columns, certificate["current_ua"], strict=True
    ):
        total += 5000 * prices.use[i][t] * reading.power[i] * x
        total += 18 * reading.volts[i] * x * x
        if t == 0:
            total += 180_000 * (x - present * 100_000) ** 2
        unmet[i] -= reading.power[i] * x
        drawn[t] += reading.volts[i] * x
    for i, s in enumerate(unmet):
        divisor = 720_000 * max(reading.sessions[i]["energy_wh"], 1000)
        total += 5000 * prices.shortage[i] * s
        total += -(-prices.fairness * s * s // divisor)
    for t in prices.sunny:
        power = min(drawn[t], problem["pv_w"][t] * 10**6)
        total -= 5000 * prices.saving[t] * problem["step_s"] * power
    return total


def lower_bound(problem: Document, certificate: Document) -> int:
    """Return what every plan costs at least, by the duals, units."""
    reading = Reading(problem)
    prices = Prices(reading)
    energy = certificate["energy_nano"]
    sun = dict(zip(prices.sunny, certificate["sun_nano"], strict=True))
    slope = [
        5 * reading.power[i] * (1000 * prices.use[i][t] - energy[i] - sun.get(t, 0))
        for i, t, *_ in reading.columns
    ]
    total = 0
    for (members, cap), dual in zip(
        reading.bounds, certificate["limit_nano"], strict=True
    ):
        total -= dual * cap * 100_000 * 18_000_000
        for column, a in members.items():
            slope[column] += 18_000_000 * a * dual
    for (i, t, _, cap, present), k in zip(reading.columns, slope, strict=True):
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
    for t, dual in sun.items():
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
