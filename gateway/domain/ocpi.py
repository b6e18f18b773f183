"""Tariffs in the shape of OCPI 2.2.1: read strictly, written back the same."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from gateway.domain.tariff import (
    DAYS,
    MICRO,
    Element,
    Tariff,
    TariffError,
    clock_of,
    clock_text,
)

MAX_PRICE: Final = 10_000
MAX_ID: Final = 36
"""OCPI CiString(36)."""

MINOR_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DESCRIPTIVE: Final = frozenset(
    {"country_code", "party_id", "type", "tariff_alt_text", "tariff_alt_url"}
    | {"last_updated"}
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
    if not isinstance(tariff_id, str) or not 1 <= len(tariff_id) <= MAX_ID:
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
        minor_digits=MINOR_DIGITS.get(money, 2),
        timezone=timezone,
        elements=tuple(
            _element(element, f"elements[{index}]")
            for index, element in enumerate(elements)
        ),
    )


def to_ocpi(tariff: Tariff) -> dict[str, object]:
    """A tariff as `parse_tariff` reads it, prices as exact text."""
    return {
        "id": tariff.id,
        "currency": tariff.currency,
        "elements": [_ocpi_element(element) for element in tariff.elements],
    }


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
    start = clock_of(restrictions.get("start_time"), f"{path}.restrictions.start_time")
    end = clock_of(restrictions.get("end_time"), f"{path}.restrictions.end_time")
    days = restrictions.get("day_of_week") or []
    if not isinstance(days, list) or any(day not in DAYS for day in days):
        raise TariffError(f"{path}.restrictions.day_of_week", f"days are {DAYS}")
    return Element(
        price_micro_per_kwh=price_micro,
        start=start,
        end=end,
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


def _ocpi_element(element: Element) -> dict[str, object]:
    exact = Decimal(element.price_micro_per_kwh).scaleb(-6)
    document: dict[str, object] = {
        "price_components": [
            {"type": "ENERGY", "price": f"{exact.normalize():f}", "step_size": 1}
        ]
    }
    restrictions: dict[str, object] = {}
    if element.start is not None:
        restrictions["start_time"] = clock_text(element.start)
    if element.end is not None:
        restrictions["end_time"] = clock_text(element.end)
    if element.days:
        restrictions["day_of_week"] = [DAYS[day] for day in element.days]
    if restrictions:
        document["restrictions"] = restrictions
    return document
