"""Bills said as OCPI charge detail records."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.cdr import CdrFacts, cdr
from gateway.domain.cdr_place import Address, Party, Plug, location, token
from gateway.domain.connectors import ConnectorFormat, ConnectorStandard, PowerType
from gateway.domain.ids import EvseRef, SessionId, StationId
from gateway.domain.ocpi import parse_tariff
from gateway.domain.topology import Position
from tests.support.ocpi import check

S1 = SessionId("s1")
WTP = Party(country_code="DE", party_id="WTP")
PLACE = location(
    Address(
        id="site",
        name="Hof",
        address="Pulverteich 12",
        city="Hamburg",
        postal_code=None,
        state=None,
        country="DEU",
    ),
    Position(latitude_deg=53.5561, longitude_deg=-0.5),
    operator=WTP,
    ref=EvseRef(station_id=StationId("cp.1"), evse_id=2),
    plug=Plug(
        standard=ConnectorStandard.IEC_62196_T2,
        format=ConnectorFormat.SOCKET,
        power_type=PowerType.AC_3_PHASE,
    ),
)
START = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)


def record(*components: dict[str, Any]) -> dict[str, Any]:
    """Of 6 kWh in half an hour and half an hour of parking."""
    tariff = parse_tariff(
        {"id": "T", "elements": [{"price_components": list(components)}]},
        currency="EUR",
        timezone="Europe/Berlin",
    )
    points = [
        RegisterPoint(at=START + timedelta(minutes=minutes), register_milliwh=milliwh)
        for minutes, milliwh in ((0, 0), (30, 6_000_000), (60, 6_000_000))
    ]
    made = cdr(
        CdrFacts(
            session_id=S1,
            started_at=START,
            ended_at=START + timedelta(hours=1),
            operator=WTP,
            token=token(None, session_id=S1, contract_id=None, operator=WTP),
            is_commanded=False,
            location=PLACE,
            meter_id=None,
            signed_data=None,
            tariff=tariff,
            tariff_fixed_at=START,
            bill=price(tariff, points).to_json(),
            settled_at=START + timedelta(hours=2),
        )
    )
    check(made)
    return made


def test_energy_time_parking_and_fee_have_their_own_costs() -> None:
    made = record(
        {"type": "ENERGY", "price": "0.50", "vat": 20},
        {"type": "TIME", "price": 2, "vat": 20},
        {"type": "PARKING_TIME", "price": 6, "vat": 20, "step_size": 3_600},
        {"type": "FLAT", "price": 1},
    )
    assert made["total_cost"] == {"excl_vat": 11.0, "incl_vat": 13.0}
    assert made["total_energy_cost"] == {"excl_vat": 3.0, "incl_vat": 3.6}
    assert made["total_time_cost"] == {"excl_vat": 1.0, "incl_vat": 1.2}
    assert made["total_parking_cost"] == {"excl_vat": 6.0, "incl_vat": 7.2}
    assert made["total_fixed_cost"] == {"excl_vat": 1.0, "incl_vat": 1.0}
    assert (made["total_time"], made["total_parking_time"]) == (1.0, 0.5)
    kinds = [
        {one["type"]: one["volume"] for one in period["dimensions"]}
        for period in made["charging_periods"]
    ]
    assert kinds == [
        {"ENERGY": 6.0, "TIME": 0.5},
        {"ENERGY": 0.0, "PARKING_TIME": 0.5},
    ]


def test_a_bill_of_energy_alone_says_nothing_of_parking() -> None:
    made = record({"type": "ENERGY", "price": "0.50"})
    assert made["total_cost"] == {"excl_vat": 3.0, "incl_vat": 3.0}
    assert made["total_energy_cost"] == {"excl_vat": 3.0, "incl_vat": 3.0}
    assert not made.keys() & {"total_parking_time", "total_time_cost", "remark"}
