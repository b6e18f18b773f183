"""A settled bill as an OCPI 2.2.1 charge detail record (10.4.1).

Nothing is priced here: it is the bill, said otherwise. Amounts with and without tax are
those of the bill. Volumes and the costs of single dimensions have the four decimals
that OCPI gives to numbers, rounded half to even; the latter are exact sums of the
bill's lines before its one rounding and its bounds. A price that includes its tax tells
nothing of it: both amounts are the same. What only roaming knows (parties, contract of
the token, address) is left to whoever sends the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from gateway.domain.ids import IdToken, SessionId
from gateway.domain.ocpi import to_ocpi
from gateway.domain.tally import Line, rounded_minor
from gateway.domain.tariff import Tariff, utc_text
from gateway.domain.tariff_terms import MICROSECOND, Component, Dimension

DECIMALS: Final = 4
_KWH: Final = 1_000_000
_HOUR_US: Final = 3_600_000_000
_TIMES: Final = (Dimension.TIME, Dimension.PARKING_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrFacts:
    """What a record says besides the bill.

    Attributes:
        bill: As it was settled, see `gateway.domain.bill.Bill.to_json`.
        settled_at: When the bill became final.
    """

    session_id: SessionId
    started_at: datetime
    ended_at: datetime
    token: IdToken | None
    location: Mapping[str, object]
    tariff: Tariff
    bill: Mapping[str, Any]
    settled_at: datetime


def cdr(facts: CdrFacts) -> dict[str, object]:
    """The record; members without a value are left out."""
    bill = facts.bill
    digits = int(bill["minor_digits"])
    lines = _lines(bill)
    net_minor = int(bill.get("net_minor", bill["amount_minor"]))
    span_us = (facts.ended_at - facts.started_at) // MICROSECOND
    record: dict[str, object] = {
        "id": facts.session_id,
        "session_id": facts.session_id,
        "start_date_time": utc_text(facts.started_at),
        "end_date_time": utc_text(facts.ended_at),
        "cdr_location": dict(facts.location),
        "currency": bill["currency"],
        "tariffs": [to_ocpi(facts.tariff)],
        "charging_periods": [_period(part, facts.tariff.id) for part in bill["parts"]],
        "total_cost": {
            "excl_vat": _number(Fraction(net_minor, 10**digits)),
            "incl_vat": _number(Fraction(int(bill["amount_minor"]), 10**digits)),
        },
        "total_energy": _number(Fraction(int(bill["energy_milliwh"]), _KWH)),
        "total_time": _number(Fraction(span_us, _HOUR_US)),
        "credit": False,
        "last_updated": utc_text(facts.settled_at),
    }
    if facts.token is not None:
        record["cdr_token"] = {"uid": facts.token.value, "type": "RFID"}
    parked_us = [_span_us(one) for one in bill["parts"] if one.get("is_parked")]
    if parked_us:
        record["total_parking_time"] = _number(Fraction(sum(parked_us), _HOUR_US))
    for name, dimension in (
        ("total_fixed_cost", Dimension.FLAT),
        ("total_energy_cost", Dimension.ENERGY),
        ("total_time_cost", Dimension.TIME),
        ("total_parking_cost", Dimension.PARKING_TIME),
    ):
        mine = [one for one in lines if one.component.dimension is dimension]
        if mine:
            record[name] = _cost(mine)
    return record


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


def _period(part: Mapping[str, Any], tariff_id: str) -> dict[str, object]:
    volumes: list[dict[str, object]] = [
        {
            "type": Dimension.ENERGY.value,
            "volume": _number(Fraction(int(part["energy_milliwh"]), _KWH)),
        }
    ]
    if "is_parked" in part:
        hours = _number(Fraction(_span_us(part), _HOUR_US))
        kind = _TIMES[bool(part["is_parked"])].value
        volumes.append({"type": kind, "volume": hours})
    return {
        "start_date_time": part["from"],
        "dimensions": volumes,
        "tariff_id": tariff_id,
    }


def _span_us(part: Mapping[str, Any]) -> int:
    begin, end = (datetime.fromisoformat(part[name]) for name in ("from", "to"))
    return (end - begin) // MICROSECOND


def _cost(lines: Sequence[Line]) -> dict[str, object]:
    net = sum((one.component.net(one.billed) for one in lines), Fraction(0))
    gross = sum((one.component.gross(one.billed) for one in lines), Fraction(0))
    return {"excl_vat": _number(net), "incl_vat": _number(gross)}


def _number(exact: Fraction) -> float:
    """A JSON number of four decimals."""
    return rounded_minor(exact, DECIMALS) / 10**DECIMALS
