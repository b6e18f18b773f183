"""The bill, recomputed by someone who does not trust the gateway.

Written apart from the gateway's own pricing, with the standard library only; property
tests hold the two equal. A bill is a JSON object::

    {"currency": "EUR", "minor_digits": 2, "tariff_id": "...", "tariff_sha256": "...",
     "parts": [{"from": "...Z", "to": "...Z", "energy_milliwh": 0,
                "price_micro_per_kwh": 0}, ...],
     "energy_milliwh": 0, "amount_minor": 0,
     "register_start_milliwh": 0, "register_end_milliwh": 0}

The amount is the exact sum of all parts, rounded once, half to even. A tariff is a JSON
object with ``currency``, ``timezone`` (IANA) and ``elements``, of which the first that
applies gives the price: ``price_micro_per_kwh``, and optionally ``start_time`` and
``end_time`` as local ``HH:MM`` (an end not after the start means past midnight) and
``day_of_week`` (or ``days``), a list of English weekday names. Prices are what the
driver pays, taxes included. Tariffs that ask for more are in `ledger.pricing_full`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.errors import BundleError
from ledger.pricing_full import FullPart, check_full, elements_of, full_part, is_full

MILLIWH_PER_KWH: Final = 10**6
MICRO: Final = 10**6
MAX_DAYS: Final = 400
MAX_MINOR_DIGITS: Final = 4
Part = tuple[datetime, datetime, int, int]
QUARTER: Final = timedelta(minutes=15)
WEEKDAYS: Final = (
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
)
MINOR_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217: currencies whose minor unit is not a hundredth."""


def amount_minor(parts: Sequence[tuple[int, int]], minor_digits: int) -> int:
    """Return what energy costs, in minor units, rounded once, half to even.

    Args:
        parts: Energy in mWh and its price in millionths of the currency per kWh.
        minor_digits: Digits of the minor unit, 2 for cents.
    """
    exact = sum(energy * price for energy, price in parts) * int(10**minor_digits)
    whole, rest = divmod(exact, MILLIWH_PER_KWH * MICRO)
    twice = 2 * rest
    unit = MILLIWH_PER_KWH * MICRO
    if twice > unit or (twice == unit and whole % 2):
        whole += 1
    return whole


def price_at(tariff: Mapping[str, object], moment: datetime) -> int:
    """Return the price in millionths of the currency per kWh at an instant.

    Raises:
        BundleError: The tariff is malformed, or has no price then.
    """
    zone = _zone(tariff)
    for element in elements_of(tariff):
        if _applies(element, moment.astimezone(zone)):
            price = element.get("price_micro_per_kwh")
            if not isinstance(price, int):
                raise BundleError("tariff: a price must be an integer")
            return price
    raise BundleError(f"tariff: no price at {moment.astimezone(zone).isoformat()}")


def _applies(element: Mapping[str, object], local: datetime) -> bool:
    """Whether an element applies at a local time, by the clock and the calendar."""
    days = element.get("day_of_week") or element.get("days") or WEEKDAYS
    if not isinstance(days, Sequence) or WEEKDAYS[local.weekday()] not in days:
        return False
    first, after = _day(element.get("start_date")), _day(element.get("end_date"))
    if first is not None and local.date() < first:
        return False
    if after is not None and local.date() >= after:
        return False
    minute = local.hour * 60 + local.minute
    start, end = _minute(element.get("start_time")), _minute(element.get("end_time"))
    return start <= minute < end or (start >= end and (minute >= start or minute < end))


def check_bill(
    bill: Mapping[str, object], tariff: Mapping[str, object]
) -> tuple[str, ...]:
    """Recompute a bill; return what is wrong with it, nothing if it is right.

    Raises:
        BundleError: Bill or tariff have another shape than the module's docstring says.
    """
    wrong: list[str] = []
    currency, digits = _text(bill, "currency"), _int(bill, "minor_digits")
    parts = bill_parts(bill)
    energy, amount = _int(bill, "energy_milliwh"), _int(bill, "amount_minor")
    start = _int(bill, "register_start_milliwh")
    end = _int(bill, "register_end_milliwh")
    if tariff.get("currency") != currency:
        wrong.append("the currency is not the tariff's")
    if bill.get("tariff_id") != tariff.get("tariff_id"):
        wrong.append("the tariff id is not the tariff's")
    if digits != MINOR_DIGITS.get(currency, 2):
        wrong.append(f"{currency} has not {digits} minor digits")
        return tuple(wrong)
    if energy != end - start or energy < 0:
        wrong.append(f"energy {energy} mWh is not register {end} - {start}")
    if energy != sum(part[2] for part in parts):
        wrong.append("the parts do not add up to the energy")
    if any(part[2] < 0 for part in parts):
        wrong.append("a part has negative energy")
    wrong += _wrong_times(parts)
    if is_full(tariff):
        return (*wrong, *_wrong_in_full(bill, tariff, parts))
    wrong += _wrong_prices(parts, tariff)
    exact = amount_minor([(part[2], part[3]) for part in parts], digits)
    if exact != amount:
        wrong.append(f"the amount is {exact} minor units, not {amount}")
    return tuple(wrong)


def parse_time(value: object) -> datetime:
    """Read an RFC 3339 time with an offset.

    Raises:
        BundleError: It is something else.
    """
    if isinstance(value, str) and len(value) <= 40:  # noqa: PLR2004  # longer than any RFC 3339 time
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BundleError(f"not a time with offset: {str(value)[:40]!r}")


def bill_parts(bill: Mapping[str, object]) -> list[Part]:
    """Return from, to, energy in mWh and price of each part of a bill.

    Raises:
        BundleError: The bill has another shape.
    """
    rows = bill.get("parts")
    if not isinstance(rows, list):
        raise BundleError("bill: parts must be a list")
    found: list[Part] = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise BundleError("bill: a part must be an object")
        found.append(
            (
                parse_time(row.get("from")),
                parse_time(row.get("to")),
                _int(row, "energy_milliwh"),
                _int(row, "price_micro_per_kwh"),
            )
        )
    return found


def _wrong_times(parts: Sequence[Part]) -> list[str]:
    wrong = [f"a part ends before it begins: {p[0]}" for p in parts if p[1] < p[0]]
    wrong += [
        f"parts overlap at {after[0]}"
        for before, after in pairwise(parts)
        if after[0] < before[1]
    ]
    return wrong


def _wrong_prices(parts: Sequence[Part], tariff: Mapping[str, object]) -> list[str]:
    wrong = []
    for begin, end, _energy, price in parts:
        if end - begin > timedelta(days=MAX_DAYS):
            wrong.append(f"a part is longer than {MAX_DAYS} days")
            continue
        for moment in (begin, *_edges(begin, end, tariff)):
            due = price_at(tariff, moment)
            if due != price:
                wrong.append(f"the price at {moment.isoformat()} is {due}, not {price}")
                break
    return wrong


def _wrong_in_full(
    bill: Mapping[str, object], tariff: Mapping[str, object], parts: Sequence[Part]
) -> list[str]:
    rows = bill["parts"]
    assert isinstance(rows, list), "its parts were read"
    full: list[FullPart] = []
    for row, (begin, end, _energy, _price) in zip(rows, parts, strict=True):
        if end - begin > timedelta(days=MAX_DAYS):
            return [f"a part is longer than {MAX_DAYS} days"]
        full.append(full_part(row, begin, end))
    zone = _zone(tariff)
    return check_full(
        bill,
        tariff,
        full,
        applies=lambda element, moment: _applies(element, moment.astimezone(zone)),
        edges=lambda begin, end: tuple(_edges(begin, end, tariff)),
    )


def _edges(
    begin: datetime, end: datetime, tariff: Mapping[str, object]
) -> Iterator[datetime]:
    """Yield instants strictly inside at which the price may change.

    Window edges and midnights of each local day; and every quarter of an hour, where
    all clock changes of the last decades fall.
    """
    zone = _zone(tariff)
    clocks = {0}
    for element in elements_of(tariff):
        clocks |= {_minute(element.get(name)) for name in ("start_time", "end_time")}
    day = begin.astimezone(zone).date() - timedelta(days=1)
    last = end.astimezone(zone).date() + timedelta(days=1)
    while day <= last:
        for minute in clocks:
            for fold in (0, 1):
                clock = time(minute // 60, minute % 60, fold=fold)
                edge = datetime.combine(day, clock, zone).astimezone(UTC)
                if begin < edge < end:
                    yield edge
        day += timedelta(days=1)
    quarter_s = int(QUARTER.total_seconds())
    at = datetime.fromtimestamp(
        (int(begin.timestamp()) // quarter_s + 1) * quarter_s, tz=UTC
    )
    while at < end:
        yield at
        at += QUARTER


def _zone(tariff: Mapping[str, object]) -> ZoneInfo:
    try:
        return ZoneInfo(_text(tariff, "timezone"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BundleError("tariff: unknown timezone") from error


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise BundleError(f"tariff: not a date: {str(value)[:20]!r}")


def _minute(value: object) -> int:
    """Return a local ``HH:MM`` as minutes after midnight; midnight for none."""
    if value is None:
        return 0
    if isinstance(value, str):
        hour, colon, minute = value.partition(":")
        if colon and len(value) == 5 and (hour + minute).isdecimal():  # noqa: PLR2004  # HH:MM
            total = int(hour) * 60 + int(minute)
            if int(minute) < 60 and total <= 24 * 60:  # noqa: PLR2004  # minutes of an hour
                return total % (24 * 60)
    raise BundleError(f"tariff: not a local time: {str(value)[:20]!r}")


def _int(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BundleError(f"{name} must be an integer")


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if isinstance(value, str):
        return value
    raise BundleError(f"{name} must be text")
