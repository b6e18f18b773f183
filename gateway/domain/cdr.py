"""A settled bill as an OCPI 2.2.1 charge detail record (10.4.1).

Nothing is priced here: it is the bill, said otherwise. Amounts with and without tax are
those of the bill. Volumes and the costs of single dimensions have the four decimals
that OCPI gives to numbers. The periods' volumes add up to the totals to the last digit.
Costs of single dimensions are exact sums of the bill's lines, before its one rounding
and its bounds. A price that includes its tax tells nothing of it: both amounts are the
same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from gateway.domain.cdr_place import Party
from gateway.domain.ids import SessionId
from gateway.domain.ocpi import to_ocpi
from gateway.domain.ocpi_values import (
    date_time,
    fitted,
    number,
    of_units,
    plain_number,
    shares,
)
from gateway.domain.tally import Line
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_terms import MICROSECOND, Component, Dimension

MAX_REMARK: Final = 255
_KWH: Final = 1_000_000
_HOUR_US: Final = 3_600_000_000
_NUMBERS: Final = frozenset(
    {"price", "vat", "excl_vat", "incl_vat"}
    | {"min_kwh", "max_kwh", "min_power", "max_power"}
)
"""Members of a tariff that are numbers in OCPI and exact text in our API."""
_COSTS: Final = (
    ("total_fixed_cost", Dimension.FLAT),
    ("total_energy_cost", Dimension.ENERGY),
    ("total_time_cost", Dimension.TIME),
    ("total_parking_cost", Dimension.PARKING_TIME),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrFacts:
    """What a record says besides the bill.

    Attributes:
        operator: Who issues the record and owns the tariff.
        token: As `gateway.domain.cdr_place.token` makes it; ``location`` likewise.
        is_commanded: Somebody started the session from afar; else the token was known
            here, and nobody was asked.
        signed_data: As `gateway.domain.cdr_signed.signed_data` makes it.
        tariff_fixed_at: When the session was promised the tariff.
        bill: As it was settled, see `gateway.domain.bill.Bill.to_json`.
        settled_at: When the bill became final.
        remarks: Sentences for people.
    """

    operator: Party
    session_id: SessionId
    started_at: datetime
    ended_at: datetime
    token: Mapping[str, object]
    is_commanded: bool
    location: Mapping[str, object]
    meter_id: str | None
    signed_data: Mapping[str, object] | None
    tariff: Tariff
    tariff_fixed_at: datetime
    bill: Mapping[str, Any]
    settled_at: datetime
    remarks: Sequence[str] = ()


def cdr(facts: CdrFacts) -> dict[str, object]:
    """The record; members without a value are left out."""
    bill = facts.bill
    digits = int(bill["minor_digits"])
    net_minor = int(bill.get("net_minor", bill["amount_minor"]))
    periods = _periods(bill["parts"], facts.tariff.id)
    record: dict[str, object] = {
        **facts.operator.to_json(),
        "id": facts.session_id,
        "start_date_time": date_time(facts.started_at),
        "end_date_time": date_time(facts.ended_at),
        "session_id": facts.session_id,
        "cdr_token": dict(facts.token),
        "auth_method": "COMMAND" if facts.is_commanded else "WHITELIST",
        "cdr_location": dict(facts.location),
        "currency": bill["currency"],
        "tariffs": [tariff_of(facts.tariff, facts.operator, facts.tariff_fixed_at)],
        "charging_periods": [one.to_json() for one in periods],
        "total_cost": {
            "excl_vat": number(Fraction(net_minor, 10**digits)),
            "incl_vat": number(Fraction(int(bill["amount_minor"]), 10**digits)),
        },
        "total_energy": of_units(sum(one.energy for one in periods)),
        "total_time": of_units(sum(one.time for one in periods)),
        "invoice_reference_id": facts.session_id,
        "credit": False,
        "last_updated": date_time(facts.settled_at),
    }
    if facts.meter_id:
        record["meter_id"] = facts.meter_id[:MAX_REMARK]
    if facts.signed_data is not None:
        record["signed_data"] = dict(facts.signed_data)
    parked = [one.time for one in periods if one.is_parked]
    if parked:
        record["total_parking_time"] = of_units(sum(parked))
    lines = _lines(bill)
    for name, dimension in _COSTS:
        mine = [one for one in lines if one.component.dimension is dimension]
        if mine:
            record[name] = _cost(mine)
    remarks = [*facts.remarks, *_bound_remark(bill)]
    if remarks:
        record["remark"] = fitted(" ".join(remarks), MAX_REMARK)
    return record


def tariff_of(
    tariff: Tariff, operator: Party, last_updated: datetime
) -> dict[str, object]:
    """The terms as OCPI's ``Tariff`` object, with JSON numbers.

    Prices keep all their decimals, up to six: rounded ones would not make the bill.
    """
    return {
        **operator.to_json(),
        **_with_numbers(to_ocpi(tariff)),
        "last_updated": date_time(last_updated),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Period:
    """A part of the bill; energy and time in units of OCPI's last decimal."""

    start: str
    energy: int
    time: int
    is_parked: bool | None
    tariff_id: str

    def to_json(self) -> dict[str, object]:
        volumes = [(Dimension.ENERGY, self.energy)]
        if self.is_parked is not None:
            kind = Dimension.PARKING_TIME if self.is_parked else Dimension.TIME
            volumes.append((kind, self.time))
        return {
            "start_date_time": self.start,
            "dimensions": [
                {"type": kind.value, "volume": of_units(units)}
                for kind, units in volumes
            ],
            "tariff_id": self.tariff_id,
        }


def _periods(parts: Sequence[Mapping[str, Any]], tariff_id: str) -> list[_Period]:
    energies = shares(Fraction(int(one["energy_milliwh"]), _KWH) for one in parts)
    times = shares(Fraction(_span_us(one), _HOUR_US) for one in parts)
    return [
        _Period(
            start=date_time(datetime.fromisoformat(part["from"])),
            energy=energy,
            time=time,
            is_parked=part.get("is_parked"),
            tariff_id=tariff_id,
        )
        for part, energy, time in zip(parts, energies, times, strict=True)
    ]


def _lines(bill: Mapping[str, Any]) -> list[Line]:
    if "lines" in bill:
        return [
            Line(
                component=Component.from_json(row),
                volume=int(row["volume"]),
                uplift=int(row["billed"]) - int(row["volume"]),
            )
            for row in bill["lines"]
        ]
    return [
        Line(
            component=Component(
                dimension=Dimension.ENERGY,
                price_micro=int(part["price_micro_per_kwh"]),
            ),
            volume=int(part["energy_milliwh"]),
        )
        for part in bill["parts"]
    ]


def _span_us(part: Mapping[str, Any]) -> int:
    begin, end = (datetime.fromisoformat(part[name]) for name in ("from", "to"))
    return (end - begin) // MICROSECOND


def _cost(lines: Sequence[Line]) -> dict[str, object]:
    net = sum((one.component.net(one.billed) for one in lines), Fraction(0))
    gross = sum((one.component.gross(one.billed) for one in lines), Fraction(0))
    return {"excl_vat": number(net), "incl_vat": number(gross)}


def _bound_remark(bill: Mapping[str, Any]) -> list[str]:
    """Why the costs of single dimensions do not make the total."""
    limit = bill.get("limit")
    return [] if limit is None else [f"The total is the tariff's {limit}."]


def _with_numbers(document: Mapping[str, object]) -> dict[str, object]:
    return {
        name: plain_number(value)
        if name in _NUMBERS and isinstance(value, str)
        else _deeper(value)
        for name, value in document.items()
    }


def _deeper(value: object) -> object:
    if isinstance(value, Mapping):
        return _with_numbers(value)
    return [_deeper(one) for one in value] if isinstance(value, list) else value
