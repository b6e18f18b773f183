"""What OCPI 2.2.1 says of a CDR (chapters 10, 11, 16), as checks of our own."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway.domain.connectors import ConnectorFormat, ConnectorStandard

CPO = {
    "country_code": "DE",
    "party_id": "WTP",
    "address": "Pulverteich 12",
    "city": "Hamburg",
    "postal_code": "20099",
    "country": "DEU",
}
PLACE = {
    "name": "Hof",
    "timezone": "Europe/Berlin",
    "latitude_deg": 53.5561,
    "longitude_deg": 10.0123,
}
Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Shape:
    """The members of an object: those that must be there, and those that may."""

    must: Mapping[str, Any]
    may: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Many:
    """A list with at least so many items."""

    of: Any
    least: int = 1


def text(most: int, least: int = 1) -> Check:
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def ci_text(most: int) -> Check:
    """CiString: printable ASCII."""
    pattern = re.compile(f"[ -~]{{1,{most}}}")
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def matching(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


def one_of(*words: str) -> Check:
    return lambda value: value in words


def number(decimals: int = 4) -> Check:
    """A JSON number; `load` reads those with a point as Decimal."""

    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return False
        scaled = Decimal(value).scaleb(decimals)
        return scaled == scaled.to_integral_value()

    return check


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def date_time(value: Any) -> bool:
    if not (isinstance(value, str) and len(value) <= 25 and value.endswith("Z")):
        return False
    return datetime.fromisoformat(value).tzinfo is not None


PARTY = {"country_code": matching("[A-Z]{2}"), "party_id": matching("[A-Z0-9]{3}")}
PRICE = Shape({"excl_vat": number()}, {"incl_vat": number()})
BOUND = Shape({"excl_vat": number(6)}, {"incl_vat": number(6)})
DIMENSIONS = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
CLOCK = matching("([0-1][0-9]|2[0-3]):[0-5][0-9]")
DAY = matching("[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
RESTRICTIONS = Shape(
    {},
    {
        "start_time": CLOCK,
        "end_time": CLOCK,
        "start_date": DAY,
        "end_date": DAY,
        **dict.fromkeys(("min_kwh", "max_kwh"), number(6)),
        **dict.fromkeys(("min_power", "max_power"), number()),
        **dict.fromkeys(("min_duration", "max_duration"), whole),
        "day_of_week": Many(one_of(*WEEKDAYS, "SUNDAY")),
    },
)
COMPONENT = Shape(
    {"type": one_of(*DIMENSIONS), "price": number(6), "step_size": whole},
    {"vat": number()},
)
TARIFF = Shape(
    {
        **PARTY,
        "id": ci_text(36),
        "currency": matching("[A-Z]{3}"),
        "elements": Many(
            Shape({"price_components": Many(COMPONENT)}, {"restrictions": RESTRICTIONS})
        ),
        "last_updated": date_time,
    },
    {
        "type": one_of(
            "AD_HOC_PAYMENT",
            "PROFILE_CHEAP",
            "PROFILE_FAST",
            "PROFILE_GREEN",
            "REGULAR",
        ),
        "min_price": BOUND,
        "max_price": BOUND,
    },
)
LOCATION = Shape(
    {
        "id": ci_text(36),
        "address": text(45),
        "city": text(45),
        "country": matching("[A-Z]{3}"),
        "coordinates": Shape(
            {
                "latitude": matching(r"-?[0-9]{1,2}\.[0-9]{5,7}"),
                "longitude": matching(r"-?[0-9]{1,3}\.[0-9]{5,7}"),
            }
        ),
        "evse_uid": ci_text(36),
        "evse_id": matching(r"[A-Z]{2}\*[A-Z0-9]{3}\*E[A-Z0-9*-]{1,40}"),
        "connector_id": ci_text(36),
        "connector_standard": one_of(*ConnectorStandard),
        "connector_format": one_of(*ConnectorFormat),
        "connector_power_type": one_of("AC_1_PHASE", "AC_2_PHASE", "AC_3_PHASE", "DC"),
    },
    {"name": text(255), "postal_code": text(10), "state": text(20)},
)
TOKEN = Shape(
    {
        **PARTY,
        "uid": ci_text(36),
        "type": one_of("AD_HOC_USER", "APP_USER", "OTHER", "RFID"),
        "contract_id": ci_text(36),
    }
)
PERIOD = Shape(
    {
        "start_date_time": date_time,
        "dimensions": Many(
            Shape(
                {"type": one_of("ENERGY", "TIME", "PARKING_TIME"), "volume": number()}
            )
        ),
    },
    {"tariff_id": ci_text(36)},
)
SIGNED_VALUE = Shape(
    {
        "nature": one_of("Start", "End", "Intermediate"),
        "plain_data": text(512),
        "signed_data": matching(r"[A-Za-z0-9+/]{1,4998}={0,2}"),
    }
)
SIGNED_DATA = Shape(
    {"encoding_method": ci_text(36), "signed_values": Many(SIGNED_VALUE)},
    {
        "encoding_method_version": whole,
        "public_key": matching(r"[A-Za-z0-9+/]{1,510}={0,2}"),
        "url": text(512),
    },
)
CDR = Shape(
    {
        **PARTY,
        "id": ci_text(36),
        "start_date_time": date_time,
        "end_date_time": date_time,
        "cdr_token": TOKEN,
        "auth_method": one_of("AUTH_REQUEST", "COMMAND", "WHITELIST"),
        "cdr_location": LOCATION,
        "currency": matching("[A-Z]{3}"),
        "charging_periods": Many(PERIOD),
        "total_cost": PRICE,
        "total_energy": number(),
        "total_time": number(),
        "last_updated": date_time,
    },
    {
        "session_id": ci_text(36),
        "authorization_reference": ci_text(36),
        "meter_id": text(255),
        "tariffs": Many(TARIFF, least=0),
        "signed_data": SIGNED_DATA,
        "total_parking_time": number(),
        **dict.fromkeys(
            ("total_fixed_cost", "total_energy_cost", "total_time_cost"), PRICE
        ),
        **dict.fromkeys(("total_parking_cost", "total_reservation_cost"), PRICE),
        "remark": text(255),
        "invoice_reference_id": ci_text(39),
        "credit": flag,
        "credit_reference_id": ci_text(39),
        "home_charging_compensation": flag,
    },
)


def load(document: object) -> Any:
    """A document after a journey as JSON, its numbers exact."""
    return json.loads(json.dumps(document, allow_nan=False), parse_float=Decimal)


def problems(value: Any, shape: Any, path: str = "cdr") -> list[str]:
    """Where a document, as `load` reads it, departs from its shape."""
    if isinstance(shape, Many):
        if not isinstance(value, list) or len(value) < shape.least:
            return [f"{path}: a list of at least {shape.least}"]
        return [
            one
            for index, item in enumerate(value)
            for one in problems(item, shape.of, f"{path}[{index}]")
        ]
    if isinstance(shape, Shape):
        if not isinstance(value, dict):
            return [f"{path}: an object"]
        known = {**shape.must, **shape.may}
        found = [f"{path}.{name}: missing" for name in shape.must.keys() - value.keys()]
        found += [f"{path}.{name}: unknown" for name in value.keys() - known.keys()]
        for name in value.keys() & known.keys():
            found += problems(value[name], known[name], f"{path}.{name}")
        return sorted(found)
    return [] if shape(value) else [f"{path}: {value!r}"]


def unbalanced(record: Any) -> list[str]:
    """Where a record's periods do not make its totals."""
    sums: dict[str, Decimal] = {}
    for period in record["charging_periods"]:
        for one in period["dimensions"]:
            sums[one["type"]] = sums.get(one["type"], Decimal(0)) + one["volume"]
    found = []
    if sums["ENERGY"] != record["total_energy"]:
        found.append(f"energy {sums['ENERGY']}, total {record['total_energy']}")
    if {"TIME", "PARKING_TIME"} & sums.keys():
        spent = sums.get("TIME", Decimal(0)) + sums.get("PARKING_TIME", Decimal(0))
        if spent != record["total_time"]:
            found.append(f"time {spent}, total {record['total_time']}")
    if sums.get("PARKING_TIME", Decimal(0)) != record.get("total_parking_time", 0):
        found.append("parking")
    starts = [period["start_date_time"] for period in record["charging_periods"]]
    if starts != sorted(starts) or starts[0] != record["start_date_time"]:
        found.append("periods out of order")
    return found


def check(record: object) -> Any:
    """A record as another party reads it; it must be one, and add up."""
    read = load(record)
    assert problems(read, CDR) == []
    assert unbalanced(read) == []
    return read
