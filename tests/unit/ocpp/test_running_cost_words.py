"""The prices in a running cost for OCPP 1.6."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.domain.rates import NextRates, Rates
from gateway.ocpp.prices import CostSoFar
from gateway.ocpp.v16_prices import V16Prices

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ENERGY = Rates(per_kwh=Decimal("0.4"))


def told(cost: CostSoFar) -> dict[str, Any]:
    command = V16Prices().running_cost(cost)
    assert command is not None
    found: dict[str, Any] = json.loads(str(command.payload["data"]))
    return found


def test_prices_of_time_a_fee_and_idling_are_told_with_what_comes_next() -> None:
    rates = Rates(
        per_kwh=Decimal("0.4"),
        per_hour=Decimal("1.5"),
        idle_per_hour=Decimal(6),
        flat=Decimal(1),
    )
    said = told(
        CostSoFar(
            transaction_id="7",
            at=NOON,
            register_wh=1_000,
            cost=Decimal("2.10"),
            rates=rates,
            later=NextRates(at=NOON.replace(hour=20), rates=ENERGY),
            is_idle=True,
        )
    )
    assert said["state"] == "Idle"
    assert said["chargingPrice"] == {"kWhPrice": 0.4, "hourPrice": 1.5, "flatFee": 1}
    assert said["idlePrice"] == {"hourPrice": 6}
    assert said["nextPeriod"]["chargingPrice"] == {"kWhPrice": 0.4}
    assert "idlePrice" not in said["nextPeriod"]


def test_a_price_of_energy_alone_says_nothing_of_time() -> None:
    said = told(
        CostSoFar(
            transaction_id="7",
            at=NOON,
            register_wh=1_000,
            cost=Decimal(0),
            rates=ENERGY,
        )
    )
    assert said["chargingPrice"] == {"kWhPrice": 0.4}
    assert said["state"] == "Charging"
    assert not said.keys() & {"idlePrice", "nextPeriod"}
