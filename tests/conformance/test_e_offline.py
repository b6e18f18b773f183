"""Block E, what happened while a station was offline (OCPP 2.0.1 part 2)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import Operator, Transaction, until, wire
from tests.conformance.states import ended, session_of

MINUTE = timedelta(minutes=1)


def milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def told(
    charging: Transaction,
    kind: str,
    at: datetime,
    register_wh: int,
    **members: Any,
) -> dict[str, Any]:
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
    sample = {
        "value": register_wh,
        "context": context.get(kind, "Sample.Periodic"),
    }
    return await charging.event(
        kind,
        "Authorized" if kind == "Started" else "MeterValuePeriodic",
        timestamp=wire(at),
        offline=True,
        meterValue=[{"timestamp": wire(at), "sampledValue": [sample]}],
        **members,
    )


@pytest.mark.use_case("E04", "E08", "E12")
async def test_a_transaction_that_happened_offline_is_billed_at_its_own_times(
    operator: Operator,
) -> None:
    await operator.token("E12DRIVER")
    began = SystemClock().now() - 90 * MINUTE
    async with operator.booted() as station:
        charging = Transaction(station, "E12DRIVER")
        answer = await told(charging, "Started", began, 1_000, authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await told(charging, "Updated", began + 30 * MINUTE, 3_000)
        await told(charging, "Ended", began + 60 * MINUTE, 6_000, reason="Local")
        session = await ended(operator, charging)
        path = f"/sessions/{session['session_id']}/bill"

        async def billed() -> Any:
            answer = await operator.http.get(path)
            return answer.json() if answer.is_success else None

        bill = await until(billed)
    assert session["energy_milliwh"] == 5_000_000
    assert datetime.fromisoformat(session["started_at"]) == milliseconds(began)
    end = datetime.fromisoformat(session["ended_at"])
    assert end == milliseconds(began) + 60 * MINUTE
    assert bill["amount_minor"] == 200, "5 kWh at 0.40"


@pytest.mark.use_case("E04", "E11")
async def test_a_transaction_goes_on_over_an_outage_and_the_past_fits_in(
    operator: Operator,
) -> None:
    await operator.token("E11DRIVER")
    station_id = await operator.register()
    async with operator.connect(station_id) as station:
        await station.boot()
        charging = Transaction(station, "E11DRIVER")
        await charging.event(
            "Started", "Authorized", authorized=True, energy="Transaction.Begin"
        )
    async with operator.connect(station_id) as again:
        charging.station = again
        at = SystemClock().now()
        await told(charging, "Updated", at, 2_500)
        charging.register_wh = 4_000
        await charging.event(
            "Ended", "StopAuthorized", reason="Local", energy="Transaction.End"
        )
        session = await ended(operator, charging)
    assert session["energy_milliwh"] == 3_000_000
    assert not session["incomplete"]


@pytest.mark.use_case("E13")
async def test_a_message_that_was_refused_or_not_answered_may_come_again(
    operator: Operator,
) -> None:
    await operator.token("E13DRIVER")
    async with operator.booted() as station:
        charging, at = Transaction(station, "E13DRIVER"), SystemClock().now()
        for _ in range(2):
            charging.seq_no = -1
            answer = await told(charging, "Started", at, 1_000, authorized=True)
            assert answer["idTokenInfo"]["status"] == "Accepted"
        refused = await station.call(
            "TransactionEvent",
            {
                "eventType": "Updated",
                "triggerReason": "Trigger",
                "seqNo": 1,
                "transactionInfo": {"transactionId": charging.transaction_id},
            },
        )
        assert (refused[0], refused[2]) == (4, "OccurrenceConstraintViolation")
        charging.register_wh += 700
        await charging.event("Updated", "Trigger", energy="Trigger")
        session = await session_of(operator, charging)
    assert session["energy_milliwh"] == 700_000
    assert not session["incomplete"]
