"""Transactions as real chargers tell them: the bill is right or held, never wrong.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.neighbours import Before
from gateway.domain.session import SessionPhase
from gateway.domain.verdict import judge
from tests.support.quirk_desk import NOON, open_desk, wire


@pytest.mark.quirk(17)
async def test_transaction_numbers_are_positive_and_not_in_sequence(
    tmp_path: Path,
) -> None:
    """Row 17."""
    async with open_desk(tmp_path) as desk:
        numbers = [
            await desk.start(timestamp=wire(minute), meterStart=1000 + minute)
            for minute in range(12)
        ]
        assert len(set(numbers)) == len(numbers)
        assert all(1 <= number < 2**31 for number in numbers)
        steps = {later - earlier for earlier, later in zip(numbers, numbers[1:])}  # noqa: B905, RUF007 - pairs
        assert len(steps) > 1


@pytest.mark.quirk(17)
@pytest.mark.parametrize("number", [0, -1, 4711])
async def test_a_stop_of_a_number_never_given_ends_the_one_session_it_can_mean(
    tmp_path: Path, number: int
) -> None:
    """Row 17."""
    async with open_desk(tmp_path) as desk:
        await desk.start()
        await desk.stop(number)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "reconstructed"
        assert "matched_by_place" in session.verdicts


@pytest.mark.quirk(17)
@pytest.mark.parametrize("number", [0, -1, 99_999])
async def test_samples_of_a_number_never_given_find_their_session_by_place_and_time(
    tmp_path: Path, number: int
) -> None:
    """Row 17."""
    async with open_desk(tmp_path) as desk:
        real = await desk.start()
        await desk.meter(30, 2000, number=number)
        await desk.stop(real)
        (session,) = await desk.queries.sessions()
        found = await desk.queries.readings(session.session_id)
        assert [one.register_milliwh for one in found] == [2_000_000]


@pytest.mark.quirk(17)
async def test_a_stop_that_fits_no_session_is_answered_and_kept_as_an_orphan(
    tmp_path: Path,
) -> None:
    """Row 17."""
    async with open_desk(tmp_path) as desk:
        await desk.start()
        await desk.start(connectorId=2, meterStart=500)
        assert await desk.stop(12345, wh=3000) == {}
        assert len(await desk.queries.open_sessions()) == 2
        (orphan,) = await desk.queries.orphans()
        assert (orphan.transaction_id, orphan.register_milliwh) == ("12345", 3_000_000)


@pytest.mark.quirk(17)
async def test_no_station_ends_or_meters_another_stations_session(
    tmp_path: Path,
) -> None:
    """Row 17."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.stop(number, station="OTHER")
        await desk.meter(30, 2_000_000, number=number, station="OTHER")
        (session,) = await desk.queries.open_sessions()
        assert session.register_last_milliwh == 1_000_000


@pytest.mark.quirk(18)
async def test_a_start_sent_again_under_another_message_id_is_the_same_start(
    tmp_path: Path,
) -> None:
    """Row 18."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        assert await desk.start() == number
        await desk.stop(number)
        assert await desk.start() == number
        (session,) = await desk.queries.sessions()
        assert session.phase is SessionPhase.ENDED


@pytest.mark.quirk(18)
async def test_a_second_start_on_a_connector_closes_the_first_at_its_register(
    tmp_path: Path,
) -> None:
    """Row 18."""
    async with open_desk(tmp_path) as desk:
        first = await desk.start()
        second = await desk.start(timestamp=wire(30), meterStart=2500)
        assert second != first
        (running,) = await desk.queries.open_sessions()
        assert running.transaction_id == str(second)
        (closed,) = [
            one for one in await desk.queries.sessions() if one.ended_at is not None
        ]
        assert closed.register_end_milliwh == 2_500_000
        assert closed.verdict == "reconstructed"


@pytest.mark.quirk(18)
async def test_starts_of_a_station_without_a_clock_are_told_apart(
    tmp_path: Path,
) -> None:
    """Row 18."""
    async with open_desk(tmp_path) as desk:
        blank: dict[str, Any] = {"timestamp": "1970-01-01T00:00:00Z", "meterStart": 0}
        first = await desk.start(**blank)
        await desk.stop(first, wh=100, timestamp="1970-01-01T01:00:00Z")
        assert await desk.start(**blank) != first


@pytest.mark.quirk(19)
async def test_a_stop_sent_again_is_answered_alike_and_counts_once(
    tmp_path: Path,
) -> None:
    """Row 19."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        first = await desk.stop(number, idTag="DRIVER")
        before = await desk.queries.sessions()
        desk.facts()
        assert await desk.stop(number, idTag="DRIVER") == first
        assert await desk.queries.sessions() == before
        assert [fact.is_new for fact in desk.facts()] == [False]
        assert before[0].verdict == "ok-unsigned"


@pytest.mark.quirk(19)
async def test_a_different_second_stop_is_kept_for_review_and_changes_no_bill(
    tmp_path: Path,
) -> None:
    """Row 19."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.stop(number)
        await desk.stop(number, minutes=61, wh=3100)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "suspicious"
        kept = await desk.queries.rows("SELECT register_milliwh FROM amendment")
        assert kept == [(3_100_000,)]


@pytest.mark.quirk(20)
async def test_a_stop_whose_start_was_lost_is_a_session_that_is_not_billed(
    tmp_path: Path,
) -> None:
    """Row 20."""
    async with open_desk(tmp_path) as desk:
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        await desk.ask("CP16", "StatusNotification", status)
        assert await desk.stop(-1, transactionData=data((10, 1500), (50, 2900))) == {}
        (session,) = await desk.queries.sessions()
        assert not session.has_start
        assert session.verdict == "reconstructed"
        assert session.energy_milliwh >= 0
        assert session.register_end_milliwh == 3_000_000


@pytest.mark.quirk(20)
async def test_a_stop_that_comes_before_its_start_ends_it(tmp_path: Path) -> None:
    """Row 20 (2.0.1, where the station names its transactions)."""
    async with open_desk(tmp_path) as desk:
        await desk.ask("CP201", "TransactionEvent", event("Ended", 60, 1, 3000))
        await desk.ask("CP201", "TransactionEvent", event("Started", 0, 0, 1000))
        (session,) = await desk.queries.sessions()
        assert session.phase is SessionPhase.ENDED
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "ok-unsigned"


@pytest.mark.quirk(20)
async def test_a_backlog_of_months_is_billed_and_drives_nothing_live(
    tmp_path: Path,
) -> None:
    """Row 20."""
    async with open_desk(tmp_path) as desk:
        desk.clock.at = NOON + timedelta(days=90)
        number = await desk.start()
        await desk.meter(30, 2000, number=number)
        await desk.stop(number)
        facts = desk.facts()
        assert [fact.is_backlog for fact in facts] == [True, True, True]
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000


@pytest.mark.quirk(20)
async def test_a_stop_without_a_start_begins_where_the_last_session_ended(
    tmp_path: Path,
) -> None:
    """Row 20: proposed for an operator, never billed by itself."""
    async with open_desk(tmp_path) as desk:
        await desk.stop(await desk.start(), minutes=30, wh=2000)
        await desk.stop(4711, minutes=60, wh=3500)
        lost, first = await desk.queries.sessions()
        assert first.verdict == "ok-unsigned"
        assert lost.verdict == "reconstructed"
        judgement = judge(lost, before=Before(end_milliwh=first.register_end_milliwh))
        assert judgement.energy_milliwh == 1_500_000
        assert set(judgement.reasons) == {"no_start", "start_from_previous"}


@pytest.mark.quirk(20)
async def test_a_lost_start_is_found_also_if_the_session_before_arrives_later(
    tmp_path: Path,
) -> None:
    """Row 20: the order of arrival changes nothing."""
    async with open_desk(tmp_path) as desk:
        ended = event("Ended", 60, 9, 3500)
        ended["transactionInfo"] = {"transactionId": "tx-2"}
        await desk.ask("CP201", "TransactionEvent", ended)
        (lost,) = await desk.queries.sessions()
        assert judge(lost).energy_milliwh == 0
        await desk.ask("CP201", "TransactionEvent", event("Started", 0, 0, 1000))
        await desk.ask("CP201", "TransactionEvent", event("Ended", 30, 1, 2000))
        lost, first = await desk.queries.sessions()
        assert (lost.verdict, first.verdict) == ("reconstructed", "ok-unsigned")


@pytest.mark.quirk(20)
async def test_a_register_below_the_last_end_is_no_candidate_for_a_lost_start(
    tmp_path: Path,
) -> None:
    """Row 20: another meter, or one that counts from zero."""
    async with open_desk(tmp_path) as desk:
        await desk.stop(await desk.start(), minutes=30, wh=2000)
        await desk.stop(4711, minutes=60, wh=500)
        lost, _ = await desk.queries.sessions()
        assert lost.verdict == "unbillable"


@pytest.mark.quirk(18)
async def test_starts_without_a_clock_and_a_register_differ_after_a_boot(
    tmp_path: Path,
) -> None:
    """Row 18: 1970, register 0, and message ids that count from one again."""
    async with open_desk(tmp_path) as desk:
        start = {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 0,
            "timestamp": "1970-01-01T00:00:09Z",
        }
        boot = {"chargePointVendor": "V", "chargePointModel": "M"}
        await desk.ask("CP16", "BootNotification", boot)
        first = await desk.ask("CP16", "StartTransaction", start, message_id="1")
        again = await desk.ask("CP16", "StartTransaction", start, message_id="1")
        assert again == first
        desk.clock.at += timedelta(minutes=5)
        await desk.ask("CP16", "BootNotification", boot)
        other = await desk.ask("CP16", "StartTransaction", start, message_id="1")
        assert other["transactionId"] != first["transactionId"]


def data(*samples: tuple[float, int]) -> list[dict[str, Any]]:
    return [
        {"timestamp": wire(minutes), "sampledValue": [{"value": str(wh)}]}
        for minutes, wh in samples
    ]


def event(kind: str, minutes: float, number: int, wh: int) -> dict[str, Any]:
    context = "Transaction.Begin" if kind == "Started" else "Transaction.End"
    return {
        "eventType": kind,
        "timestamp": wire(minutes),
        "triggerReason": "Authorized",
        "seqNo": number,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [
            {
                "timestamp": wire(minutes),
                "sampledValue": [{"value": wh, "context": context}],
            }
        ],
    }
