"""Recomputing the bills of tariffs that ask for more than energy.

Besides what `ledger.pricing` tells, elements of such a tariff have ``components``
(``type`` ENERGY, TIME, PARKING_TIME or FLAT; ``price_micro`` in millionths of the
currency per kWh, hour or session; ``vat_ppm``, tax on top, or null; ``step_size`` in Wh
or seconds) and may have ``start_date``, ``end_date`` (local, the latter excluded) and
``min_``/``max_`` of ``milliwh``, ``w`` and ``s`` (since the start; an upper bound is
excluded). ``min_price`` and ``max_price`` hold ``excl_vat_micro``, ``incl_vat_micro``.

Parts of the bill name its ``lines`` by number; where the tariff makes a difference of
it they say whether the car was parked, and its average power. Both must follow from
energy and time: of the parts in a row that say the same, the average must be below
100 W, or within the watt; of energy in no time they say neither. Where a row begins and
ends is not held against the readings.

Lines have the ``volume`` used (mWh, microseconds, 1) and the volume ``billed`` (with
steps). ``net_minor`` and ``vat_minor`` make the amount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Final, Protocol

from ledger.errors import BundleError

PARKED_BELOW_W: Final = 100
US: Final = timedelta(microseconds=1)
MILLION: Final = 10**6
UNITS: Final = {
    "ENERGY": MILLION,
    "TIME": 3_600 * MILLION,
    "PARKING_TIME": 3_600 * MILLION,
    "FLAT": 1,
}
STEPS: Final = {"ENERGY": 1_000, "TIME": MILLION, "PARKING_TIME": MILLION, "FLAT": 0}
Price = tuple[str, int, int | None, int]
"""Type, price, tax, step."""
Edges = Callable[[datetime, datetime], Sequence[datetime]]


class Applies(Protocol):
    """Whether an element applies at an instant, by the clock."""

    def __call__(self, element: Mapping[str, object], moment: datetime) -> bool:
        """Ask it."""


@dataclass(frozen=True, slots=True)
class FullPart:
    """A part of a bill, read."""

    begin: datetime
    end: datetime
    energy: int
    lines: tuple[int, ...]
    is_parked: bool | None
    power_w: int | None

    @property
    def span_us(self) -> int:
        """How long it is."""
        return (self.end - self.begin) // US


@dataclass(frozen=True, slots=True)
class State:
    """A session at the beginning of a part: energy, time since the start, power."""

    used: int
    elapsed_us: int
    power_w: int | None


def is_full(tariff: Mapping[str, object]) -> bool:
    """Whether a tariff is one of these."""
    return any("components" in element for element in elements_of(tariff))


def elements_of(tariff: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The elements of a tariff.

    Raises:
        BundleError: It has another shape.
    """
    elements = tariff.get("elements")
    if not isinstance(elements, list):
        raise BundleError("tariff: elements must be a list")
    if not all(isinstance(element, Mapping) for element in elements):
        raise BundleError("tariff: an element must be an object")
    return elements


def check_full(
    bill: Mapping[str, object],
    tariff: Mapping[str, object],
    parts: Sequence[FullPart],
    *,
    applies: Applies,
    edges: Edges,
) -> list[str]:
    """Recompute parts, lines and amount; return what is wrong.

    Args:
        bill: With ``lines``.
        tariff: Its terms.
        parts: Of the bill.
        applies: Whether an element applies at an instant by the clock.
        edges: Instants strictly inside a span at which that may change.

    Raises:
        BundleError: Bill or tariff have another shape than told above.
    """
    lines = _rows(bill.get("lines"), "lines")
    prices = [_price(line) for line in lines]
    wrong = _wrong_states(parts, tariff)
    prices_energy = any(one[0] == "ENERGY" for one in _all_prices(tariff))
    volumes = [0] * len(lines)
    last: dict[str, Price] = {}
    used = 0
    has_flat = False
    for number, part in enumerate(parts):
        if number and part.begin != parts[number - 1].end:
            wrong.append(f"there is a gap before {part.begin.isoformat()}")
        elapsed_us = (part.begin - parts[0].begin) // US
        state = State(used, elapsed_us, part.power_w)
        wrong += _wrong_span(part, state, tariff)
        named = {_at(prices, index) for index in part.lines}
        for moment in (part.begin, *edges(part.begin, part.end)):
            due = _due(tariff, part, state, partial(applies, moment=moment))
            flat = [one for one in due if one[0] == "FLAT"]
            if has_flat or moment != part.begin:
                due -= set(flat)
            expected = named if moment == part.begin else _without_flat(named)
            if due != expected:
                wrong.append(f"other prices apply at {moment.isoformat()}")
                break
        is_free = not any(one[0] == "ENERGY" for one in named)
        if part.energy and is_free and prices_energy:
            wrong.append(f"the energy at {part.begin.isoformat()} has no price")
        for index in part.lines:
            kind = prices[index][0]
            volume = {"ENERGY": part.energy, "FLAT": 1}.get(kind, part.span_us)
            volumes[index] += volume
            if volume:
                last[kind] = prices[index]
            has_flat |= kind == "FLAT"
        used += part.energy
    return wrong + _wrong_lines(bill, tariff, lines, prices, (volumes, last))


def full_part(row: Mapping[str, object], begin: datetime, end: datetime) -> FullPart:
    """Read what a part says besides its times.

    Raises:
        BundleError: It has another shape.
    """
    numbers = row.get("lines")
    if not isinstance(numbers, list):
        raise BundleError("bill: lines of a part must be a list")
    is_parked = row.get("is_parked")
    if is_parked is not None and not isinstance(is_parked, bool):
        raise BundleError("bill: is_parked must be true or false")
    return FullPart(
        begin=begin,
        end=end,
        energy=_int(row, "energy_milliwh"),
        lines=tuple(_whole(number, "lines") for number in numbers),
        is_parked=is_parked,
        power_w=_optional(row, "power_w"),
    )


def _wrong_states(parts: Sequence[FullPart], tariff: Mapping[str, object]) -> list[str]:
    """Hold what parts say of parking and power against energy and time."""
    wrong = []
    kinds = {price[0] for price in _all_prices(tariff)}
    if kinds & {"TIME", "PARKING_TIME"}:
        for is_parked, run in groupby(parts, key=lambda part: part.is_parked):
            energy, span_us = _sums(list(run))
            is_low = energy * 3_600_000 < PARKED_BELOW_W * span_us
            if is_parked is not (is_low if span_us else None):
                wrong.append("a part is parking, or not, against its energy")
    if any(
        _optional(element, name) is not None
        for element in elements_of(tariff)
        for name in ("min_w", "max_w")
    ):
        for power_w, run in groupby(parts, key=lambda part: part.power_w):
            energy, span_us = _sums(list(run))
            due = None if span_us == 0 else energy * 3_600_000 // span_us
            if due != power_w:
                wrong.append(f"the average power is {due} W, not {power_w}")
    return wrong


def _sums(run: Sequence[FullPart]) -> tuple[int, int]:
    return sum(part.energy for part in run), sum(part.span_us for part in run)


def _wrong_span(
    part: FullPart, state: State, tariff: Mapping[str, object]
) -> list[str]:
    """Thresholds that a part steps over."""
    wrong = []
    for element in elements_of(tariff):
        for name in ("min_milliwh", "max_milliwh"):
            bound = _optional(element, name)
            if bound is not None and state.used < bound < state.used + part.energy:
                wrong.append(f"a part steps over {bound} mWh")
        for name in ("min_s", "max_s"):
            bound = _optional(element, name)
            until_us = state.elapsed_us + part.span_us
            if bound is not None and state.elapsed_us < bound * MILLION < until_us:
                wrong.append(f"a part steps over {bound} s")
    return wrong


def _due(
    tariff: Mapping[str, object],
    part: FullPart,
    state: State,
    applies: Callable[[Mapping[str, object]], bool],
) -> set[Price]:
    """The prices that apply: per type the first of an element that holds."""
    found: dict[str, Price] = {}
    for element in elements_of(tariff):
        if not (applies(element) and _holds(element, state)):
            continue
        for row in _rows(element.get("components"), "components"):
            price = _price(row)
            found.setdefault(price[0], price)
    if part.is_parked is not True:
        found.pop("PARKING_TIME", None)
    if part.is_parked is not False:
        found.pop("TIME", None)
    return set(found.values())


def _holds(element: Mapping[str, object], state: State) -> bool:
    for name, value in (
        ("milliwh", state.used),
        ("s", Fraction(state.elapsed_us, MILLION)),
        ("w", state.power_w),
    ):
        low, high = _optional(element, f"min_{name}"), _optional(element, f"max_{name}")
        if low is None and high is None:
            continue
        if value is None:
            return False
        if (low is not None and value < low) or (high is not None and value >= high):
            return False
    return True


def _wrong_lines(
    bill: Mapping[str, object],
    tariff: Mapping[str, object],
    lines: Sequence[Mapping[str, object]],
    prices: Sequence[Price],
    used: tuple[Sequence[int], Mapping[str, Price]],
) -> list[str]:
    wrong = []
    volumes, last = used
    if len(set(prices)) < len(prices):
        wrong.append("two lines have the same price")
    net = gross = Fraction(0)
    for line, price, volume in zip(lines, prices, volumes, strict=True):
        kind, price_micro, vat_ppm, _ = price
        billed = volume
        if last.get(kind) == price:
            billed += _uplift(kind, price, prices, volumes)
        if (_int(line, "volume"), _int(line, "billed")) != (volume, billed):
            wrong.append(f"{kind} is {volume}, billed {billed}")
        cost = Fraction(billed * price_micro, UNITS[kind] * MILLION)
        net += cost
        gross += cost * (MILLION + (vat_ppm or 0)) / MILLION
    limit = None
    for name, bound in (("min_price", max), ("max_price", min)):
        row = tariff.get(name)
        if row is None:
            continue
        if not isinstance(row, Mapping):
            raise BundleError(f"tariff: {name} must be an object")
        unbound = net, gross
        net = bound(net, Fraction(_int(row, "excl_vat_micro"), MILLION))
        gross = bound(gross, Fraction(_int(row, "incl_vat_micro"), MILLION))
        if unbound != (net, gross):
            limit = name
    if bill.get("limit") != limit:
        wrong.append(f"the bound that made the amount is {limit}")
    digits = 10 ** _int(bill, "minor_digits")
    due = {"amount_minor": round(gross * digits), "net_minor": round(net * digits)}
    due["vat_minor"] = due["amount_minor"] - due["net_minor"]
    wrong += [
        f"{name} is {value}, not {_int(bill, name)}"
        for name, value in due.items()
        if _int(bill, name) != value
    ]
    return wrong


def _uplift(
    kind: str, price: Price, prices: Sequence[Price], volumes: Sequence[int]
) -> int:
    def volume_of(wanted: str) -> int:
        pairs = zip(prices, volumes, strict=True)
        return sum(volume for one, volume in pairs if one[0] == wanted)

    if price[3] <= 1 or STEPS[kind] == 0:
        return 0
    if kind == "TIME" and volume_of("PARKING_TIME") > 0:
        return 0
    return -volume_of(kind) % (price[3] * STEPS[kind])


def _without_flat(prices: set[Price]) -> set[Price]:
    return {price for price in prices if price[0] != "FLAT"}


def _all_prices(tariff: Mapping[str, object]) -> list[Price]:
    return [
        _price(row)
        for element in elements_of(tariff)
        for row in _rows(element.get("components"), "components")
    ]


def _at(prices: Sequence[Price], index: int) -> Price:
    if not 0 <= index < len(prices):
        raise BundleError(f"bill: there is no line {index}")
    return prices[index]


def _price(row: Mapping[str, object]) -> Price:
    kind = row.get("type")
    if not isinstance(kind, str) or kind not in UNITS:
        raise BundleError("tariff: a component has no known type")
    return (
        kind,
        _int(row, "price_micro"),
        _optional(row, "vat_ppm"),
        _int(row, "step_size"),
    )


def _rows(value: object, name: str) -> list[Mapping[str, object]]:
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return value
    raise BundleError(f"{name} must be a list of objects")


def _optional(row: Mapping[str, object], name: str) -> int | None:
    return None if row.get(name) is None else _int(row, name)


def _int(row: Mapping[str, object], name: str) -> int:
    return _whole(row.get(name), name)


def _whole(value: object, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BundleError(f"{name} must be an integer")
