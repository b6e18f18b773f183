"""Block I, prices and costs that drivers see (OCPP 2.0.1 part 2)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.desk import Operator, Transaction, until
from tests.conformance.states import authorize, ended
from tests.support.queue_station import accept
from tests.support.raw_station import RawStation

TEXT = "0.40 EUR per kWh incl. VAT"


async def priced(operator: Operator, *, tariff_id: str | None = None) -> str:
    """A managed station that is told prices."""
    station_id = await operator.register(managed=True, tariff_id=tariff_id)
    answer = await operator.http.put(
        f"/stations/{station_id}/pricing", json={"enabled": True}
    )
    assert answer.status_code == 200, answer.text
    return station_id


def able(station: RawStation) -> RawStation:
    station.handlers["SetVariables"] = lambda asked: accept("SetVariables", asked)
    station.handlers["CostUpdated"] = lambda _: {}
    return station


def written(station: RawStation) -> dict[str, str]:
    """Variables of TariffCostCtrlr that the station was told so far."""
    return {
        one["variable"]["name"]: one["attributeValue"]
        for asked in station.calls("SetVariables")
        for one in asked["setVariableData"]
        if one["component"]["name"] == "TariffCostCtrlr"
    }


@pytest.mark.use_case("I01")
async def test_a_driver_is_told_the_price_with_the_answer(operator: Operator) -> None:
    await operator.token("I01DRIVER")
    await operator.token("I01GERMAN", language="de")
    await operator.token("I01GUEST", personal_message="Welcome back")
    await operator.token("I01NOBODY", status="Blocked")
    station_id = await priced(operator)
    async with operator.connect(station_id) as station:
        await able(station).boot()
        said = (await authorize(station, "I01DRIVER"))["personalMessage"]
        assert said["content"] == TEXT
        said = (await authorize(station, "I01GERMAN"))["personalMessage"]
        assert (said["language"], said["content"]) == (
            "de",
            "0,40 EUR pro kWh inkl. MwSt.",
        )
        said = (await authorize(station, "I01GUEST"))["personalMessage"]
        assert said["content"] == "Welcome back"
        assert "personalMessage" not in await authorize(station, "I01NOBODY")


@pytest.mark.use_case("I01")
async def test_a_station_that_is_told_no_prices_hears_none(operator: Operator) -> None:
    await operator.token("I01QUIET")
    async with operator.booted() as station:
        assert "personalMessage" not in await authorize(station, "I01QUIET")


@pytest.mark.use_case("I04", "I05")
async def test_texts_for_a_station_that_is_offline_are_set_after_its_boot(
    operator: Operator,
) -> None:
    station_id = await priced(operator)
    async with operator.connect(station_id) as station:
        await able(station).boot()

        async def is_told() -> bool:
            return "Currency" in written(station)

        await until(is_told)
        told = written(station)
    assert told["TariffFallbackMessage"] == TEXT
    assert told["Currency"] == "EUR"
    assert told["TotalCostFallbackMessage"]


async def told_cost(
    charging: Transaction, register_wh: int, *, ago_s: float = 0.0
) -> Decimal:
    """The cost in the answer to an update; the first ones may come without."""
    charging.register_wh = register_wh
    for _ in range(50):
        answer = await charging.event(
            "Updated", "MeterValuePeriodic", energy="Sample.Periodic", ago_s=ago_s
        )
        if "totalCost" in answer:
            return Decimal(str(answer["totalCost"]))
    raise AssertionError("no cost was told")


async def bill_of(operator: Operator, session: dict[str, Any]) -> dict[str, Any]:
    path = f"/sessions/{session['session_id']}/bill"

    async def billed() -> Any:
        answer = await operator.http.get(path)
        return answer.json() if answer.is_success else None

    found: dict[str, Any] = await until(billed)
    return found


@pytest.mark.use_case("I02", "I03")
async def test_the_cost_runs_with_the_register_and_ends_as_the_bill(
    operator: Operator,
) -> None:
    await operator.token("I02DRIVER")
    async with operator.booted() as station:
        charging = Transaction(station, "I02DRIVER")
        await charging.event(
            "Started",
            "Authorized",
            authorized=True,
            energy="Transaction.Begin",
            ago_s=3_600,
        )
        assert await told_cost(charging, 3_500, ago_s=2_700) == 1
        assert await told_cost(charging, 8_500, ago_s=900) == 3
        charging.register_wh = 11_000
        answer = await charging.event(
            "Ended", "StopAuthorized", reason="Local", energy="Transaction.End"
        )
        bill = await bill_of(operator, await ended(operator, charging))
    assert Decimal(str(answer["totalCost"])) == 4
    assert bill["amount_minor"] == 400


@pytest.mark.use_case("I02")
async def test_the_running_cost_is_sent_as_well_where_prices_are_shown(
    operator: Operator,
) -> None:
    await operator.token("I02SHOWN")
    station_id = await priced(operator)
    async with operator.connect(station_id) as station:
        await able(station).boot()
        charging = Transaction(station, "I02SHOWN")
        await charging.event(
            "Started", "Authorized", authorized=True, energy="Transaction.Begin"
        )
        await told_cost(charging, 6_000)
        await station.heard_so_far("CostUpdated", 1)
        sent = station.calls("CostUpdated")[-1]
        asked = {"transactionId": charging.transaction_id, "totalCost": 9.5}
        assert await operator.accepted(station, "CostUpdated", asked) == {}
        assert station.calls("CostUpdated")[-1] == asked, "an operator's own word"
    assert sent["transactionId"] == charging.transaction_id
    assert sent["totalCost"] in (0, 2)


@pytest.mark.use_case("I06")
async def test_a_session_keeps_its_price_and_the_next_one_has_the_new(
    operator: Operator,
) -> None:
    def tariff(price: str) -> dict[str, Any]:
        component = {"type": "ENERGY", "price": price}
        return {"currency": "EUR", "elements": [{"price_components": [component]}]}

    await operator.token("I06DRIVER")
    await operator.http.put("/tariffs/i06", json=tariff("0.10"))
    station_id = await priced(operator, tariff_id="i06")
    async with operator.connect(station_id) as station:
        await able(station).boot()
        charging = Transaction(station, "I06DRIVER")
        await charging.event(
            "Started", "Authorized", authorized=True, energy="Transaction.Begin"
        )
        assert await told_cost(charging, 11_000) == 1
        changed = await operator.http.put("/tariffs/i06", json=tariff("0.90"))
        assert changed.status_code == 200, changed.text

        async def is_told() -> bool:
            text = written(station).get("TariffFallbackMessage", "")
            return text.startswith("0.90 EUR")

        await until(is_told)
        assert await told_cost(charging, 21_000) == 2
        said = (await authorize(station, "I06DRIVER"))["personalMessage"]
    assert said["content"].startswith("0.90 EUR")
