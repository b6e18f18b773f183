"""What energy costs, when: the terms of a tariff over local time.

Only energy is priced. A tariff is a list of elements; the first whose time window
contains a moment gives the price of that moment (OCPI 2.2.1, 11.4.4). Prices are
integers in millionths of the currency per kWh.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
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
MAX_SPAN: Final = timedelta(days=400)
"""Longer sessions have a wrong clock in them; they are priced by nobody."""

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
                    "start_time": clock_text(element.start),
                    "end_time": clock_text(element.end),
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
                        start=clock_of(element["start_time"], "start_time"),
                        end=clock_of(element["end_time"], "end_time"),
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


def clock_of(raw: object, path: str) -> time | None:
    """Read a local time as ``22:00``; ``None`` stays ``None``.

    Raises:
        TariffError: It is not one.
    """
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


def clock_text(clock: time | None) -> str | None:
    """The inverse of `clock_of`."""
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
