"""Charge detail records of any bill are OCPI, and add up to the last digit."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.cdr import CdrFacts, cdr
from gateway.domain.cdr_place import (
    MAX_ID,
    Address,
    Party,
    Plug,
    evse_id,
    location,
    short,
    token,
)
from gateway.domain.connectors import ConnectorFormat, ConnectorStandard, PowerType
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff
from gateway.domain.topology import Position
from tests.property.domain.test_full_tariffs import registers, tariffs
from tests.support.ocpi import CDR, LOCATION, TOKEN, check, load, problems

OPERATOR = Party(country_code="DE", party_id="WTP")
HOF = Address(
    id="site",
    name="Hof",
    address="Pulverteich 12",
    city="Hamburg",
    postal_code=None,
    state=None,
    country="DEU",
)
PLUG = Plug(
    standard=ConnectorStandard.IEC_62196_T2,
    format=ConnectorFormat.SOCKET,
    power_type=PowerType.AC_3_PHASE,
)
SESSION = SessionId("s" + "0" * 24)


def place(ref: EvseRef, position: Position) -> dict[str, object]:
    return location(HOF, position, operator=OPERATOR, ref=ref, plug=PLUG)


def record(tariff: Tariff, points: list[RegisterPoint]) -> Any:
    bill = price(tariff, points)
    first, last = points[0].at, points[-1].at
    ref = EvseRef(station_id=StationId("CP1"), evse_id=1)
    facts = CdrFacts(
        operator=OPERATOR,
        session_id=SESSION,
        started_at=first,
        ended_at=last,
        token=token(None, session_id=SESSION, contract_id=None, operator=OPERATOR),
        is_commanded=False,
        location=place(ref, Position(latitude_deg=53.5, longitude_deg=10)),
        meter_id=None,
        signed_data=None,
        tariff=tariff,
        tariff_fixed_at=first,
        bill=bill.to_json(),
        settled_at=last,
    )
    return cdr(facts)


@given(tariffs(), registers())
def test_a_record_is_ocpi_and_its_periods_make_its_totals(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    read = check(record(tariff, points))
    bill = price(tariff, points)
    exact = Decimal(bill.energy_milliwh).scaleb(-6)
    assert abs(read["total_energy"] - exact) <= Decimal("0.00005")
    assert read["total_cost"]["incl_vat"] == Decimal(bill.amount_text)
    if bill.total.limit is None and bill.total.net_minor >= 0:
        parts = ("fixed", "energy", "time", "parking")
        costs = [read.get(f"total_{part}_cost", {"incl_vat": 0}) for part in parts]
        total = sum((Decimal(one["incl_vat"]) for one in costs), Decimal(0))
        half = Decimal(5).scaleb(-bill.minor_digits - 1)
        off = abs(total - read["total_cost"]["incl_vat"])
        assert off <= half + Decimal("0.0002")


@given(tariffs(), registers())
def test_the_tariff_in_a_record_is_the_one_of_the_bill_to_the_last_digit(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    (sent,) = load(record(tariff, points))["tariffs"]
    again = parse_tariff(
        {**sent, "currency": tariff.currency},
        currency=tariff.currency,
        timezone=tariff.timezone,
    )
    assert again == tariff


@given(
    st.from_regex(r"[A-Za-z0-9._:@=+\-]{1,48}", fullmatch=True),
    st.integers(1, 1000),
    st.floats(-90, 90),
    st.floats(-180, 180),
)
def test_any_station_anywhere_has_a_place_in_ocpi(
    station: str, number: int, latitude_deg: float, longitude_deg: float
) -> None:
    ref = EvseRef(station_id=StationId(station), evse_id=number, connector_id=number)
    found = place(ref, Position(latitude_deg=latitude_deg, longitude_deg=longitude_deg))
    assert problems(load(found), LOCATION) == []


@given(
    st.none() | st.text(max_size=300),
    st.none() | st.sampled_from(["ISO14443", "eMAID", "Central", "KeyCode", "odd"]),
    st.none() | st.from_regex("[ -~]{1,36}", fullmatch=True),
)
def test_any_token_has_a_place_in_ocpi(
    value: str | None, kind: str | None, contract_id: str | None
) -> None:
    presented = None if value is None else IdToken(value=value, kind=kind)
    found = token(
        presented, session_id=SESSION, contract_id=contract_id, operator=OPERATOR
    )
    assert problems(load(found), TOKEN) == []


@given(st.text(), st.text())
def test_ids_that_differ_still_do_when_they_are_made_to_fit(
    one: str, other: str
) -> None:
    assert (short(one) == short(other)) is (one == other)
    assert len(short(one)) <= MAX_ID


def test_a_station_that_has_an_id_of_its_own_keeps_it() -> None:
    ref = EvseRef(station_id=StationId("DE-WTP-E0815"), evse_id=2)
    assert evse_id(OPERATOR, ref) == "DE*WTP*E0815*2"
    assert problems({}, CDR) != []
