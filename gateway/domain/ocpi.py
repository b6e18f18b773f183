"""Tariffs in the shape of OCPI 2.2.1: read strictly, written back the same.

What cannot be priced is refused by name: restrictions by current and reservation, and
whatever OCPI does not have.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final

from gateway.domain.tariff import DAYS, Element, Tariff, clock_of, clock_text
from gateway.domain.tariff_terms import (
    Bound,
    Component,
    Dimension,
    Gate,
    TariffError,
)

MAX_PRICE: Final = 10_000
MAX_ID: Final = 36
"""OCPI CiString(36)."""

MINOR_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
MAX_STEP: Final = 1_000_000
"""Wh or seconds."""
MAX_VAT_PERCENT: Final = 100
_THRESHOLDS: Final = {
    "min_kwh": ("min_milliwh", 6, 100_000),
    "max_kwh": ("max_milliwh", 6, 100_000),
    "min_power": ("min_w", 3, 100_000),
    "max_power": ("max_w", 3, 100_000),
    "min_duration": ("min_s", 0, 34_560_000),
    "max_duration": ("max_s", 0, 34_560_000),
}
"""Of each restriction by use: the condition, its decimals, its highest value."""
_RESTRICTIONS: Final = frozenset(
    {"start_time", "end_time", "start_date", "end_date", "day_of_week"}
) | frozenset(_THRESHOLDS)
_DESCRIPTIVE: Final = frozenset(
    {"country_code", "party_id", "type", "tariff_alt_text", "tariff_alt_url"}
    | {"last_updated", "energy_mix"}
)
_TYPES: Final = ("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN")
"""Besides ``REGULAR``."""


def parse_tariff(
    table: Mapping[str, object], *, currency: str, timezone: str
) -> Tariff:
    """Read an OCPI-shaped tariff.

    Args:
        table: ``id``, ``currency``, ``elements``, ``min_price``, ``max_price``;
            descriptive OCPI members are allowed and ignored. Numbers may be exact text.
            A price with ``vat`` is without that tax, one without is with all taxes.
        currency: Used when the table names none.
        timezone: IANA zone of its windows.

    Raises:
        TariffError: Something is missing, unknown or cannot be priced.
    """
    known = {"id", "currency", "elements", "min_price", "max_price"} | _DESCRIPTIVE
    for key in table:
        if key not in known:
            raise TariffError(str(key), "cannot be priced in this version")
    kind = table.get("type")
    if kind is not None and kind not in ("REGULAR", *_TYPES):
        raise TariffError("type", f"must be REGULAR or one of {', '.join(_TYPES)}")
    tariff_id = table.get("id")
    if not isinstance(tariff_id, str) or not 1 <= len(tariff_id) <= MAX_ID:
        raise TariffError("id", "must be 1 to 36 characters of text")
    money = table.get("currency", currency)
    if not (isinstance(money, str) and re.fullmatch("[A-Z]{3}", money)):
        raise TariffError("currency", 'must be an ISO 4217 code such as "EUR"')
    elements = table.get("elements")
    if not isinstance(elements, list) or not elements:
        raise TariffError("elements", "must be a list with at least one element")
    tariff = Tariff(
        id=tariff_id,
        currency=money,
        minor_digits=MINOR_DIGITS.get(money, 2),
        timezone=timezone,
        elements=tuple(
            _element(element, f"elements[{index}]")
            for index, element in enumerate(elements)
        ),
        min_price=_bound(table.get("min_price"), "min_price"),
        max_price=_bound(table.get("max_price"), "max_price"),
    )
    _check_bounds(tariff, table)
    return tariff


def to_ocpi(tariff: Tariff) -> dict[str, object]:
    """A tariff as `parse_tariff` reads it, prices as exact text."""
    document: dict[str, object] = {
        "id": tariff.id,
        "currency": tariff.currency,
        "elements": [_ocpi_element(element) for element in tariff.elements],
    }
    for name, bound in (
        ("min_price", tariff.min_price),
        ("max_price", tariff.max_price),
    ):
        if bound is not None:
            document[name] = {
                "excl_vat": _text(bound.excl_vat_micro, 6),
                "incl_vat": _text(bound.incl_vat_micro, 6),
            }
    return document


def _check_bounds(tariff: Tariff, table: Mapping[str, object]) -> None:
    """Bounds that contradict each other, or leave the tax open."""
    has_vat = any(
        component.vat_ppm is not None
        for element in tariff.elements
        for component in element.components
    )
    for name in ("min_price", "max_price"):
        given = table.get(name)
        if has_vat and isinstance(given, Mapping) and "incl_vat" not in given:
            raise TariffError(f"{name}.incl_vat", "is needed where prices have vat")
    low, high = tariff.min_price, tariff.max_price
    if (
        low is not None
        and high is not None
        and (
            low.excl_vat_micro > high.excl_vat_micro
            or low.incl_vat_micro > high.incl_vat_micro
        )
    ):
        raise TariffError("min_price", "must not be above max_price")


def _bound(value: object, path: str) -> Bound | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or value.keys() - {"excl_vat", "incl_vat"}:
        raise TariffError(path, 'must be a table of "excl_vat" and "incl_vat"')
    net = _number(value.get("excl_vat"), f"{path}.excl_vat", 6, MAX_PRICE)
    if "incl_vat" not in value:
        return Bound(excl_vat_micro=net, incl_vat_micro=net)
    gross = _number(value["incl_vat"], f"{path}.incl_vat", 6, MAX_PRICE)
    if gross < net:
        raise TariffError(f"{path}.incl_vat", "must not be below excl_vat")
    return Bound(excl_vat_micro=net, incl_vat_micro=gross)


def _element(element: object, path: str) -> Element:
    if not isinstance(element, Mapping):
        raise TariffError(path, "must be a table")
    for key in element:
        if key not in {"price_components", "restrictions"}:
            raise TariffError(f"{path}.{key}", "no such member")
    rows = element.get("price_components")
    if not isinstance(rows, list) or not rows:
        raise TariffError(
            f"{path}.price_components", "must hold at least one component"
        )
    components = tuple(
        _component(row, f"{path}.price_components[{index}]")
        for index, row in enumerate(rows)
    )
    if len({one.dimension for one in components}) < len(components):
        raise TariffError(f"{path}.price_components", "a type occurs twice")
    path = f"{path}.restrictions"
    restrictions = _restrictions(element.get("restrictions") or {}, path)
    days = restrictions.get("day_of_week") or []
    if not isinstance(days, list) or any(day not in DAYS for day in days):
        raise TariffError(f"{path}.day_of_week", f"days are {DAYS}")
    start_date = _date(restrictions.get("start_date"), f"{path}.start_date")
    end_date = _date(restrictions.get("end_date"), f"{path}.end_date")
    if start_date is not None and end_date is not None and start_date >= end_date:
        raise TariffError(f"{path}.end_date", "must be after start_date")
    return Element(
        components=components,
        start=clock_of(restrictions.get("start_time"), f"{path}.start_time"),
        end=clock_of(restrictions.get("end_time"), f"{path}.end_time"),
        days=tuple(sorted({DAYS.index(day) for day in days})),
        start_date=start_date,
        end_date=end_date,
        gate=_gate(restrictions, path),
    )


def _restrictions(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TariffError(path, "must be a table")
    for key in value:
        if key not in _RESTRICTIONS:
            raise TariffError(f"{path}.{key}", "cannot be priced in this version")
    return value


def _gate(restrictions: Mapping[str, object], path: str) -> Gate:
    found = {
        member: _number(restrictions[name], f"{path}.{name}", decimals, highest)
        for name, (member, decimals, highest) in _THRESHOLDS.items()
        if restrictions.get(name) is not None
    }
    for low, high in pairwise(_THRESHOLDS):
        one, other = _THRESHOLDS[low][0], _THRESHOLDS[high][0]
        is_pair = low.startswith("min") and one in found and other in found
        if is_pair and found[one] >= found[other]:
            raise TariffError(f"{path}.{high}", f"must be above {low}")
    return Gate(**found)


def _component(component: object, path: str) -> Component:
    if not isinstance(component, Mapping):
        raise TariffError(path, "must be a table")
    for key in component:
        if key not in {"type", "price", "vat", "step_size"}:
            raise TariffError(f"{path}.{key}", "no such member")
    kind = component.get("type")
    if not isinstance(kind, str) or kind not in Dimension.__members__:
        known = ", ".join(Dimension.__members__)
        raise TariffError(f"{path}.type", f"must be one of {known}")
    step_size = component.get("step_size", 1)
    if (
        isinstance(step_size, bool)
        or not isinstance(step_size, int)
        or not 0 <= step_size <= MAX_STEP
    ):
        raise TariffError(f"{path}.step_size", f"must be from 0 to {MAX_STEP}")
    dimension = Dimension[kind]
    vat = component.get("vat")
    return Component(
        dimension=dimension,
        price_micro=_number(component.get("price"), f"{path}.price", 6, MAX_PRICE),
        vat_ppm=None
        if vat is None
        else _number(vat, f"{path}.vat", 4, MAX_VAT_PERCENT),
        step_size=1 if dimension is Dimension.FLAT else max(1, step_size),
    )


def _date(raw: object, path: str) -> date | None:
    if raw is None:
        return None
    if isinstance(raw, date):
        return raw
    try:
        if isinstance(raw, str):
            return date.fromisoformat(raw)
    except ValueError:
        pass
    raise TariffError(path, f'must be a local date as "2026-12-24", not {raw!r}')


def _number(raw: object, path: str, decimals: int, highest: int) -> int:
    """Read a number from 0 to ``highest``, in units of its last decimal."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise TariffError(path, "must be a number")
    try:
        exact = Decimal(repr(raw) if isinstance(raw, float) else raw)
    except InvalidOperation:
        raise TariffError(path, f"is not a number: {raw!r}") from None
    if not exact.is_finite() or not 0 <= exact <= highest:
        raise TariffError(path, f"must be from 0 to {highest}")
    scaled = exact.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise TariffError(path, f"has at most {decimals} decimals")
    return int(scaled)


def _text(value: int, decimals: int) -> str:
    return f"{Decimal(value).scaleb(-decimals).normalize():f}"


def _ocpi_component(component: Component) -> dict[str, object]:
    document: dict[str, object] = {
        "type": component.dimension.value,
        "price": _text(component.price_micro, 6),
        "step_size": component.step_size,
    }
    if component.vat_ppm is not None:
        document["vat"] = _text(component.vat_ppm, 4)
    return document


def _ocpi_element(element: Element) -> dict[str, object]:
    document: dict[str, object] = {
        "price_components": [_ocpi_component(one) for one in element.components]
    }
    restrictions: dict[str, object] = {}
    if element.start is not None:
        restrictions["start_time"] = clock_text(element.start)
    if element.end is not None:
        restrictions["end_time"] = clock_text(element.end)
    if element.start_date is not None:
        restrictions["start_date"] = element.start_date.isoformat()
    if element.end_date is not None:
        restrictions["end_date"] = element.end_date.isoformat()
    if element.days:
        restrictions["day_of_week"] = [DAYS[day] for day in element.days]
    gate = element.gate.to_json()
    for name, (member, decimals, _) in _THRESHOLDS.items():
        if member in gate:
            value = gate[member]
            restrictions[name] = value if decimals == 0 else _text(value, decimals)
    if restrictions:
        document["restrictions"] = restrictions
    return document
