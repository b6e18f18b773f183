"""What a session costs, when: the terms of a tariff over local time.

A tariff is a list of elements. For energy, charging time, parking time and the flat fee
each, the first element with a price of it whose restrictions hold gives the price of a
moment (OCPI 2.2.1, 11.4.4). Prices are integers in millionths of the currency.
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

from gateway.domain.tariff_terms import (
    ALWAYS,
    GATES,
    MICRO,
    Bound,
    Component,
    Dimension,
    Gate,
    TariffError,
    Terms,
    Use,
)

__all__ = ["MICRO", "TariffError"]

DAYS: Final = (
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
)
AT_START: Final = Use()
SOMETIMES: Final = Gate(min_milliwh=0)
"""A condition that is no condition on the session."""
MAX_SPAN: Final = timedelta(days=400)
"""Longer sessions have a wrong clock in them; they are priced by nobody."""

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """Prices with the local times and the conditions under which they apply.

    Attributes:
        components: At most one per dimension.
        start: From this local time on; ``None``: from midnight.
        end: Until this local time; not after ``start`` means past midnight.
        days: Local weekdays, Monday is 0; empty: every day.
        start_date: First local day; ``end_date`` is the first one after the last.
        gate: Conditions on the session.
    """

    components: tuple[Component, ...]
    start: time | None = None
    end: time | None = None
    days: tuple[int, ...] = ()
    start_date: date | None = None
    end_date: date | None = None
    gate: Gate = ALWAYS

    def contains(self, local: datetime) -> bool:
        """Whether the element applies at a local wall-clock time."""
        if self.days and local.weekday() not in self.days:
            return False
        day = local.date()
        if self.start_date is not None and day < self.start_date:
            return False
        if self.end_date is not None and day >= self.end_date:
            return False
        start = time() if self.start is None else self.start
        end = time() if self.end is None else self.end
        moment = local.time()
        if start < end:
            return start <= moment < end
        return moment >= start or moment < end

    @property
    def price_micro_per_kwh(self) -> int:
        """What the driver pays for energy; 0 if the element does not price it."""
        for component in self.components:
            if component.dimension is Dimension.ENERGY:
                return round(component.gross_micro)
        return 0

    @property
    def is_always(self) -> bool:
        """Whether neither clock nor calendar restricts it."""
        bounds = (self.start, self.end, self.start_date, self.end_date)
        return not self.days and bounds == (None,) * len(bounds)

    @property
    def is_plain(self) -> bool:
        """Whether it only prices energy by the hour and weekday, tax included."""
        return (
            len(self.components) == 1
            and self.components[0]
            == Component(
                dimension=Dimension.ENERGY, price_micro=self.components[0].price_micro
            )
            and self.gate == ALWAYS
            and self.start_date is None
            and self.end_date is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices over the day.

    Attributes:
        minor_digits: Digits of the currency's minor unit, 2 for cents.
        timezone: IANA zone of the windows.
        elements: The first that applies gives the price of a dimension.
        min_price: A session costs at least this; ``max_price``: at most.
    """

    id: str
    currency: str
    minor_digits: int
    timezone: str
    elements: tuple[Element, ...]
    min_price: Bound | None = None
    max_price: Bound | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it only prices energy by the hour and weekday, tax included.

        Such tariffs, and their bills, have the short shape that all had at first.
        """
        return (
            self.min_price is None
            and self.max_price is None
            and all(element.is_plain for element in self.elements)
        )

    @property
    def most_micro_per_kwh(self) -> int:
        """The most a kWh costs, tax included, at any hour and under any condition."""
        return max((one.price_micro_per_kwh for one in self.elements), default=0)

    def prices(self, *dimensions: Dimension) -> bool:
        """Whether any element has a price of one of the dimensions."""
        return any(
            component.dimension in dimensions
            for element in self.elements
            for component in element.components
        )

    def snapshot(self) -> dict[str, object]:
        """The terms as a JSON object; the same terms always give the same object."""
        is_plain = self.is_plain
        document: dict[str, object] = {
            "tariff_id": self.id,
            "currency": self.currency,
            "minor_digits": self.minor_digits,
            "timezone": self.timezone,
            "elements": [_element_json(one, is_plain) for one in self.elements],
        }
        for name, bound in (
            ("min_price", self.min_price),
            ("max_price", self.max_price),
        ):
            if bound is not None:
                document[name] = bound.to_json()
        return document

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
                elements=tuple(map(_element_of, _rows(document["elements"]))),
                min_price=Bound.from_json(_table(document.get("min_price"))),
                max_price=Bound.from_json(_table(document.get("max_price"))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TariffError("snapshot", f"is not one: {error!r}") from None
        if tariff.snapshot() != dict(document):
            raise TariffError("snapshot", "has members that are not understood")
        return tariff

    def price_at(self, moment: datetime, use: Use = AT_START) -> int:
        """What the driver pays for a kWh at an instant, in millionths, for people.

        Args:
            moment: Aware.
            use: How the session stands; as one that begins.

        Returns:
            0 where the tariff never prices energy.

        Raises:
            TariffError: It does, but not then.
        """
        local = moment.astimezone(ZoneInfo(self.timezone))
        found = self._terms(local).component(Dimension.ENERGY, use)
        if found is not None:
            return round(found.gross_micro)
        if self.prices(Dimension.ENERGY):
            raise TariffError("elements", f"no price at {local.isoformat()}")
        return 0

    def _terms(self, local: datetime) -> Terms:
        return Terms.of(
            (component, element.gate)
            for element in self.elements
            if element.contains(local)
            for component in element.components
        )

    def offers(self) -> Terms:
        """All prices there are at any time.

        One that holds at some times only counts as conditional.
        """
        return Terms(
            offers=tuple(
                (component, element.gate if element.is_always else SOMETIMES)
                for element in self.elements
                for component in element.components
            )
        )

    def segments(self, start: datetime, end: datetime) -> tuple["Segment", ...]:
        """The stretches of constant terms from ``start`` to ``end``, at least one.

        Raises:
            TariffError: The span is negative or longer than `MAX_SPAN`, or energy has
                a price at other moments but not at all of these.
        """
        if not timedelta() <= end - start <= MAX_SPAN:
            raise TariffError("elements", f"cannot price {start} to {end}")
        zone = ZoneInfo(self.timezone)
        prices_energy = self.prices(Dimension.ENERGY)
        found: list[Segment] = []
        bounds = [start, *self._edges(start, end, zone), end]
        for begin, until in pairwise(bounds):
            local = begin.astimezone(zone)
            terms = self._terms(local)
            if prices_energy and not terms.prices(Dimension.ENERGY):
                raise TariffError("elements", f"no price at {local.isoformat()}")
            is_same = bool(found) and found[-1].terms == terms
            since = found.pop().start if is_same else begin
            found.append(Segment(start=since, end=until, terms=terms))
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
    """A stretch of time with the same terms."""

    start: datetime
    end: datetime
    terms: Terms

    @property
    def price_micro_per_kwh(self) -> int:
        """What a driver whose session begins pays for energy, for people."""
        found = self.terms.component(Dimension.ENERGY, AT_START)
        return 0 if found is None else round(found.gross_micro)


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


def _element_json(element: Element, is_plain: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "start_time": clock_text(element.start),
        "end_time": clock_text(element.end),
        "day_of_week": [DAYS[day] for day in element.days],
    }
    if is_plain:
        return {"price_micro_per_kwh": element.price_micro_per_kwh, **document}
    document["components"] = [one.to_json() for one in element.components]
    for name, day in (
        ("start_date", element.start_date),
        ("end_date", element.end_date),
    ):
        if day is not None:
            document[name] = day.isoformat()
    return {**document, **element.gate.to_json()}


def _element_of(row: Mapping[str, Any]) -> Element:
    if "components" in row:
        components = tuple(map(Component.from_json, _rows(row["components"])))
    else:
        micro = int(row["price_micro_per_kwh"])
        components = (Component(dimension=Dimension.ENERGY, price_micro=micro),)
    dates = {
        name: date.fromisoformat(row[name])
        for name in ("start_date", "end_date")
        if name in row
    }
    return Element(
        components=components,
        start=clock_of(row["start_time"], "start_time"),
        end=clock_of(row["end_time"], "end_time"),
        days=tuple(DAYS.index(day) for day in row["day_of_week"]),
        gate=Gate(**{name: int(row[name]) for name in GATES if name in row}),
        **dates,
    )


def _table(value: object) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    raise TypeError("not an object")


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
