"""What energy costs, when: OCPI-shaped tariffs and the one function that prices.

Only energy is priced. A tariff is a list of elements; the first whose time window
contains a moment gives the price of that moment (OCPI 2.2.1, 11.4.4). Prices are
integers in millionths of the currency per kWh, energies integer milliwatt-hours, and
an amount is rounded once, half-even, from the exact sum of its parts.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.errors import WattproofError

DAYS: Final = (
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
)
MICRO: Final = 1_000_000
MILLIWH_PER_KWH: Final = 1_000_000
MAX_PRICE: Final = 10_000
MAX_SPAN: Final = timedelta(days=400)
"""Longer sessions have a wrong clock in them; they are priced by nobody."""

_MINOR_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DESCRIPTIVE: Final = frozenset(
    {"country_code", "party_id", "type", "tariff_alt_text", "tariff_alt_url"}
    | {"last_updated"}
)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class TariffError(WattproofError):
    """A tariff is not usable, or has no price for a moment.

    Attributes:
        field: Path inside the tariff, e.g. ``elements[0].price_components``.
        problem: What is wrong.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A price with the local times at which it applies.

    Attributes:
        price_micro_per_kwh: Millionths of the currency per kWh.
        start: From this local time on; ``None``: from midnight.
        end: Until this local time; not after ``start`` means past midnight.
        days: Local weekdays, Monday is 0; empty: every day.
    """

    price_micro_per_kwh: int
    start: time | None = None
    end: time | None = None
    days: tuple[int, ...] = ()

    def contains(self, local: datetime) -> bool:
        """Whether the element applies at a local wall-clock time."""
        if self.days and local.weekday() not in self.days:
            return False
        start = time() if self.start is None else self.start
        end = time() if self.end is None else self.end
        moment = local.time()
        if start < end:
            return start <= moment < end
        return moment >= start or moment < end


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices of energy over the day.

    Attributes:
        minor_digits: Digits of the currency's minor unit, 2 for cents.
        timezone: IANA zone of the windows.
        elements: The first that applies gives the price.
    """

    id: str
    currency: str
    minor_digits: int
    timezone: str
    elements: tuple[Element, ...]

    def snapshot(self) -> dict[str, object]:
        """The terms as a JSON object; the same terms always give the same object."""
        return {
            "tariff_id": self.id,
            "currency": self.currency,
            "minor_digits": self.minor_digits,
            "timezone": self.timezone,
            "elements": [
                {
                    "price_micro_per_kwh": element.price_micro_per_kwh,
                    "start_time": _clock_text(element.start),
                    "end_time": _clock_text(element.end),
                    "day_of_week": [DAYS[day] for day in element.days],
                }
                for element in self.elements
            ],
        }

    def snapshot_json(self) -> str:
        """Canonical JSON of the snapshot: sorted keys, no spaces."""
        return canonical_json(self.snapshot())

    @property
    def sha256(self) -> str:
        """Hash of the canonical snapshot, lower-case hex."""
        return hashlib.sha256(self.snapshot_json().encode()).hexdigest()

    @classmethod
    def from_snapshot(cls, document: Mapping[str, object]) -> "Tariff":
        """Read back what `snapshot` wrote.

        Raises:
            TariffError: It is something else.
        """
        try:
            tariff = cls(
                id=str(document["tariff_id"]),
                currency=str(document["currency"]),
                minor_digits=int(str(document["minor_digits"])),
                timezone=str(document["timezone"]),
                elements=tuple(
                    Element(
                        price_micro_per_kwh=int(element["price_micro_per_kwh"]),
                        start=_clock(element["start_time"], "start_time"),
                        end=_clock(element["end_time"], "end_time"),
                        days=tuple(DAYS.index(day) for day in element["day_of_week"]),
                    )
                    for element in _rows(document["elements"])
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TariffError("snapshot", f"is not one: {error!r}") from None
        if tariff.snapshot() != dict(document):
            raise TariffError("snapshot", "has members that are not understood")
        return tariff

    def to_ocpi(self) -> dict[str, object]:
        """The tariff shaped like OCPI 2.2.1, prices as exact text."""
        return {
            "id": self.id,
            "currency": self.currency,
            "elements": [_ocpi_element(element) for element in self.elements],
        }

    def price_at(self, moment: datetime) -> int:
        """Price in millionths per kWh at an instant.

        Raises:
            TariffError: No element applies.
        """
        return self._price(moment, ZoneInfo(self.timezone))

    def _price(self, moment: datetime, zone: tzinfo) -> int:
        local = moment.astimezone(zone)
        for element in self.elements:
            if element.contains(local):
                return element.price_micro_per_kwh
        raise TariffError("elements", f"no price at {local.isoformat()}")

    def segments(self, start: datetime, end: datetime) -> tuple["Segment", ...]:
        """The stretches of constant price from ``start`` to ``end``, at least one.

        Raises:
            TariffError: The span is negative or longer than `MAX_SPAN`, or some moment
                has no price.
        """
        if not timedelta() <= end - start <= MAX_SPAN:
            raise TariffError("elements", f"cannot price {start} to {end}")
        zone = ZoneInfo(self.timezone)
        found: list[Segment] = []
        bounds = [start, *self._edges(start, end, zone), end]
        for begin, until in pairwise(bounds):
            price = self._price(begin, zone)
            is_same = bool(found) and found[-1].price_micro_per_kwh == price
            since = found.pop().start if is_same else begin
            found.append(Segment(start=since, end=until, price_micro_per_kwh=price))
        return tuple(found)

    def _edges(self, start: datetime, end: datetime, zone: tzinfo) -> list[datetime]:
        """Instants strictly inside the span at which the price may change."""
        clocks = {time()}
        for element in self.elements:
            clocks |= {clock for clock in (element.start, element.end) if clock}
        edges: set[datetime] = set()
        day = start.astimezone(zone).date() - timedelta(days=1)
        last = end.astimezone(zone).date() + timedelta(days=1)
        while day <= last:
            for clock in clocks:
                for fold in (0, 1):
                    local = datetime.combine(day, clock.replace(fold=fold), zone)
                    edges.add(local.astimezone(UTC))
            edges |= _clock_change(day, zone)
            day += timedelta(days=1)
        return sorted(edge for edge in edges if start < edge < end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of constant price."""

    start: datetime
    end: datetime
    price_micro_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RegisterPoint:
    """The import register at an instant."""

    at: datetime
    register_milliwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPart:
    """Energy of one stretch of constant price."""

    start: datetime
    end: datetime
    energy_milliwh: int
    price_micro_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a session costs.

    Attributes:
        parts: Contiguous, in order; their energies add up to ``energy_milliwh``.
        amount_minor: Minor units, rounded once, half-even.
        is_interpolated: Some register at a price edge was estimated between samples.
    """

    tariff_id: str
    tariff_sha256: str
    currency: str
    minor_digits: int
    register_start_milliwh: int
    register_end_milliwh: int
    parts: tuple[BillPart, ...]
    amount_minor: int
    is_interpolated: bool

    @property
    def energy_milliwh(self) -> int:
        """Difference of the registers."""
        return self.register_end_milliwh - self.register_start_milliwh

    @property
    def amount_text(self) -> str:
        """The amount in major units, as ``12.34``."""
        return str(Decimal(self.amount_minor).scaleb(-self.minor_digits))

    def to_json(self) -> dict[str, object]:
        """The bill as it is stored, hashed and shown."""
        return {
            "currency": self.currency,
            "minor_digits": self.minor_digits,
            "parts": [
                {
                    "from": utc_text(part.start),
                    "to": utc_text(part.end),
                    "energy_milliwh": part.energy_milliwh,
                    "price_micro_per_kwh": part.price_micro_per_kwh,
                }
                for part in self.parts
            ],
            "energy_milliwh": self.energy_milliwh,
            "amount_minor": self.amount_minor,
            "tariff_id": self.tariff_id,
            "tariff_sha256": self.tariff_sha256,
            "register_start_milliwh": self.register_start_milliwh,
            "register_end_milliwh": self.register_end_milliwh,
        }


def price(tariff: Tariff, registers: Sequence[RegisterPoint]) -> Bill:
    """Price the energy between the first and the last register.

    Registers at price edges are interpolated between the samples that bracket them;
    whole milliwatt-hours are shared by largest remainder (the earlier part on a tie),
    so the parts add up exactly. The order of ``registers`` does not matter.

    Args:
        tariff: The terms.
        registers: At least one; equal instants are allowed.

    Raises:
        TariffError: No registers, or no price for some moment.
        ValueError: The register runs backwards: the session must not be priced.
    """
    points = sorted(registers)
    if not points:
        raise TariffError("registers", "there are none")
    if any(b.register_milliwh < a.register_milliwh for a, b in pairwise(points)):
        raise ValueError("the register runs backwards")
    segments = tariff.segments(points[0].at, points[-1].at)
    energies = [0] * len(segments)
    is_interpolated = False
    first = 0
    for before, after in pairwise(points):
        energy = after.register_milliwh - before.register_milliwh
        while first < len(segments) - 1 and segments[first].end <= before.at:
            first += 1
        shares = _shares(segments, first, before.at, after.at)
        is_interpolated |= energy > 0 and len(shares) > 1
        for index, part in zip(
            range(first, first + len(shares)), _split(energy, shares), strict=True
        ):
            energies[index] += part
    exact = Fraction(
        sum(
            energy * segment.price_micro_per_kwh
            for energy, segment in zip(energies, segments, strict=True)
        )
        * 10**tariff.minor_digits,
        MILLIWH_PER_KWH * MICRO,
    )
    return Bill(
        tariff_id=tariff.id,
        tariff_sha256=tariff.sha256,
        currency=tariff.currency,
        minor_digits=tariff.minor_digits,
        register_start_milliwh=points[0].register_milliwh,
        register_end_milliwh=points[-1].register_milliwh,
        parts=tuple(
            BillPart(
                start=segment.start,
                end=segment.end,
                energy_milliwh=energy,
                price_micro_per_kwh=segment.price_micro_per_kwh,
            )
            for energy, segment in zip(energies, segments, strict=True)
        ),
        amount_minor=round(exact),
        is_interpolated=is_interpolated,
    )


def parse_tariff(
    table: Mapping[str, object], *, currency: str, timezone: str
) -> Tariff:
    """Read an OCPI-shaped tariff.

    Args:
        table: ``id``, ``currency``, ``elements``; descriptive OCPI members are allowed
            and ignored. Prices are numbers or exact text, tax included.
        currency: Used when the table names none.
        timezone: IANA zone of its windows.

    Raises:
        TariffError: Something is missing, unknown or cannot be priced by energy.
    """
    known = {"id", "currency", "elements"} | _DESCRIPTIVE
    for key in table:
        if key not in known:
            raise TariffError(str(key), "cannot be priced in this version")
    tariff_id = table.get("id")
    if not isinstance(tariff_id, str) or not 1 <= len(tariff_id) <= 36:  # noqa: PLR2004 - OCPI CiString(36)
        raise TariffError("id", "must be 1 to 36 characters of text")
    money = table.get("currency", currency)
    if not (isinstance(money, str) and re.fullmatch("[A-Z]{3}", money)):
        raise TariffError("currency", 'must be an ISO 4217 code such as "EUR"')
    elements = table.get("elements")
    if not isinstance(elements, list) or not elements:
        raise TariffError("elements", "must be a list with at least one element")
    return Tariff(
        id=tariff_id,
        currency=money,
        minor_digits=_MINOR_DIGITS.get(money, 2),
        timezone=timezone,
        elements=tuple(
            _element(element, f"elements[{index}]")
            for index, element in enumerate(elements)
        ),
    )


def canonical_json(document: object) -> str:
    """Sorted keys, no spaces, UTF-8: one text per document of ints and text."""
    return json.dumps(
        document,
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _shares(
    segments: Sequence[Segment], first: int, start: datetime, end: datetime
) -> list[int]:
    """Microseconds of [start, end] in the segments from ``first`` on; one at least."""
    shares: list[int] = []
    for segment in segments[first:]:
        overlap = min(end, segment.end) - max(start, segment.start)
        shares.append(max(0, overlap // timedelta(microseconds=1)))
        if segment.end >= end:
            break
    return shares


def _split(energy_milliwh: int, shares: Sequence[int]) -> list[int]:
    """Share whole units in proportion, exactly, by largest remainder."""
    total = sum(shares)
    if total == 0:
        return [energy_milliwh, *([0] * (len(shares) - 1))]
    parts = [energy_milliwh * share // total for share in shares]
    missing = energy_milliwh - sum(parts)
    by_remainder = sorted(
        range(len(shares)), key=lambda i: (-(energy_milliwh * shares[i] % total), i)
    )
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts


def _element(element: object, path: str) -> Element:
    if not isinstance(element, Mapping):
        raise TariffError(path, "must be a table")
    for key in element:
        if key not in {"price_components", "restrictions"}:
            raise TariffError(f"{path}.{key}", "no such member")
    components = element.get("price_components")
    if not isinstance(components, list) or len(components) != 1:
        raise TariffError(
            f"{path}.price_components", "must hold exactly one ENERGY component"
        )
    price_micro = _component(components[0], f"{path}.price_components[0]")
    restrictions = element.get("restrictions") or {}
    if not isinstance(restrictions, Mapping):
        raise TariffError(f"{path}.restrictions", "must be a table")
    for key in restrictions:
        if key not in {"start_time", "end_time", "day_of_week"}:
            raise TariffError(
                f"{path}.restrictions.{key}", "cannot be priced in this version"
            )
    days = restrictions.get("day_of_week") or []
    if not isinstance(days, list) or any(day not in DAYS for day in days):
        raise TariffError(f"{path}.restrictions.day_of_week", f"days are {DAYS}")
    return Element(
        price_micro_per_kwh=price_micro,
        start=_clock(restrictions.get("start_time"), f"{path}.restrictions.start_time"),
        end=_clock(restrictions.get("end_time"), f"{path}.restrictions.end_time"),
        days=tuple(sorted({DAYS.index(day) for day in days})),
    )


def _component(component: object, path: str) -> int:
    if not isinstance(component, Mapping):
        raise TariffError(path, "must be a table")
    for key in component:
        if key not in {"type", "price", "step_size"}:
            raise TariffError(
                f"{path}.{key}", "cannot be priced in this version; prices include tax"
            )
    if component.get("type") != "ENERGY":
        raise TariffError(f"{path}.type", 'only "ENERGY" is priced in this version')
    if component.get("step_size", 1) not in {0, 1}:
        raise TariffError(f"{path}.step_size", "energy is billed exactly: leave it out")
    raw = component.get("price")
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise TariffError(f"{path}.price", "must be a price per kWh")
    try:
        exact = Decimal(repr(raw) if isinstance(raw, float) else raw)
    except InvalidOperation:
        raise TariffError(f"{path}.price", f"is not a number: {raw!r}") from None
    if not exact.is_finite() or not 0 <= exact <= MAX_PRICE:
        raise TariffError(f"{path}.price", f"must be from 0 to {MAX_PRICE}")
    micro = exact * MICRO
    if micro != micro.to_integral_value():
        raise TariffError(f"{path}.price", "has at most 6 decimals")
    return int(micro)


def _clock(raw: object, path: str) -> time | None:
    if raw is None:
        return None
    match = _CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        raise TariffError(path, f'must be a local time as "22:00", not {raw!r}')
    return time(int(match[1]), int(match[2]))


def _rows(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError("not a list")


def _clock_text(clock: time | None) -> str | None:
    return None if clock is None else clock.strftime("%H:%M")


def _clock_change(day: date, zone: tzinfo) -> set[datetime]:
    """The instant at which a day's UTC offset changes, to the second, if it does."""
    low = datetime.combine(day, time(), UTC)
    high = low + timedelta(days=1)
    before = low.astimezone(zone).utcoffset()
    if before == high.astimezone(zone).utcoffset():
        return set()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return {high}


def _ocpi_element(element: Element) -> dict[str, object]:
    exact = Decimal(element.price_micro_per_kwh).scaleb(-6)
    document: dict[str, object] = {
        "price_components": [
            {"type": "ENERGY", "price": f"{exact.normalize():f}", "step_size": 1}
        ]
    }
    restrictions: dict[str, object] = {}
    if element.start is not None:
        restrictions["start_time"] = _clock_text(element.start)
    if element.end is not None:
        restrictions["end_time"] = _clock_text(element.end)
    if element.days:
        restrictions["day_of_week"] = [DAYS[day] for day in element.days]
    if restrictions:
        document["restrictions"] = restrictions
    return document
