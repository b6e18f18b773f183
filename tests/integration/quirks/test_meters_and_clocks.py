"""Meters and clocks of real chargers: nothing negative, nothing invented.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.quirk_desk import NOON, open_desk, wire


@pytest.mark.quirk(15)
async def test_absurd_times_leave_every_query_working(tmp_path: Path) -> None:
    """Row 15."""
    async with open_desk(tmp_path) as desk:
        for absurd in (
            "222222017-01-01T00:00:00Z",
            "2026-00-00T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "1717236000000",
            "",
        ):
            number = await desk.start(timestamp=absurd, meterStart=0)
            await desk.stop(number, wh=10, timestamp=absurd)
        found = await desk.queries.sessions()
        assert found
        received = desk.clock.now()
        for session in found:
            assert session.started_at is not None
            assert abs(session.started_at - received) < timedelta(days=1)
        kinds = {one.kind for one in await desk.queries.deviations("CP16")}
        assert kinds == {"timestamp_unusable"}
        assert await desk.queries.latest_received_at() == received


@pytest.mark.quirk(15)
async def test_a_number_of_connectors_beyond_reason_makes_no_rows(
    tmp_path: Path,
) -> None:
    """Row 15."""
    async with open_desk(tmp_path) as desk:
        for connector in (1_634_030_126, -1, 2**63):
            status = {
                "connectorId": connector,
                "errorCode": "NoError",
                "status": "Available",
            }
            await desk.ask("CP16", "StatusNotification", status)
        assert len(await desk.queries.evse_statuses("CP16")) <= 2


@pytest.mark.quirk(21)
async def test_registers_of_the_session_beside_a_lifetime_stop_are_held(
    tmp_path: Path,
) -> None:
    """Row 21."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start(meterStart=4_076_000)
        await desk.meter(20, 500, number=number)
        await desk.meter(40, 1500, number=number)
        await desk.stop(number, wh=4_078_000)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "suspicious"


@pytest.mark.quirk(21)
async def test_a_register_that_drops_to_nothing_is_never_a_negative(
    tmp_path: Path,
) -> None:
    """Row 21."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        for minutes, wh in ((10, 1200), (20, 0), (30, 1600)):
            await desk.meter(minutes, wh, number=number)
        await desk.stop(number)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "suspicious"
        assert "register_drop" in session.verdicts


@pytest.mark.quirk(21)
async def test_a_placeholder_begin_of_zero_bills_no_lifetime_register(
    tmp_path: Path,
) -> None:
    """Row 21."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start(meterStart=0)
        await desk.meter(1, 910_000, number=number)
        await desk.stop(number, wh=910_083)
        (session,) = await desk.queries.sessions()
        assert session.verdict == "reconstructed"


@pytest.mark.quirk(21)
async def test_a_stop_below_the_start_is_held_and_bills_nothing(
    tmp_path: Path,
) -> None:
    """Row 21."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.stop(number, wh=900)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 0
        assert session.verdict == "suspicious"


@pytest.mark.quirk(21)
async def test_a_value_after_the_stop_does_not_raise_the_bill(tmp_path: Path) -> None:
    """Row 21."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.stop(number)
        await desk.meter(61, 3500, number=number)
        (session,) = await desk.queries.sessions()
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "suspicious"


@pytest.mark.quirk(22)
async def test_registers_in_thousandths_of_the_unit_are_not_multiplied(
    tmp_path: Path,
) -> None:
    """Row 22."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.meter(30, 1.25, number=number)  # kWh that say nothing of it
        await desk.meter(40, 1.5, number=number, unit="kWh")
        await desk.stop(number)
        (session,) = await desk.queries.sessions()
        stored = await desk.queries.readings(session.session_id)
        assert [one.register_milliwh for one in stored] == [1_250, 1_500_000]
        assert session.verdict == "suspicious"


@pytest.mark.quirk(23)
async def test_samples_without_a_transaction_join_the_session_of_their_time(
    tmp_path: Path,
) -> None:
    """Row 23."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.meter(-10, 1000)
        await desk.meter(15, 1500, context="Sample.Clock")
        await desk.stop(number)
        await desk.meter(90, 3000, context="Sample.Clock")
        await desk.meter(20, 1700, context="Sample.Clock")
        (session,) = await desk.queries.sessions()
        stored = await desk.queries.readings(session.session_id)
        assert [one.register_milliwh for one in stored] == [1_500_000, 1_700_000]
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "ok-unsigned"


@pytest.mark.quirk(23)
async def test_the_main_meter_of_connector_0_is_no_sessions(tmp_path: Path) -> None:
    """Row 23."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.meter(30, 88_000_000, connector=0)
        await desk.stop(number)
        (session,) = await desk.queries.sessions()
        assert await desk.queries.readings(session.session_id) == []
        assert session.energy_milliwh == 2_000_000


@pytest.mark.quirk(23)
async def test_a_batch_without_energy_resets_no_total(tmp_path: Path) -> None:
    """Row 23."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start()
        await desk.meter(20, 1800, number=number)
        await desk.meter(30, 16, number=number, measurand="Current.Import", unit="A")
        (session,) = await desk.queries.open_sessions()
        assert session.energy_milliwh == 800_000


@pytest.mark.quirk(24)
@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("2026-06-01T12:00:00", "2026-06-01T13:00:00"),
        ("2026-06-01T15:00:00+03", "2026-06-01T16:00:00+03"),
        ("2026-06-01T14:00:00+0200", "2026-06-01T11:00:00-02:00"),
    ],
)
async def test_a_session_in_any_zone_lasts_as_long_as_it_did(
    tmp_path: Path, start: str, stop: str
) -> None:
    """Row 24."""
    async with open_desk(tmp_path) as desk:
        number = await desk.start(timestamp=start)
        await desk.stop(number, timestamp=stop)
        (session,) = await desk.queries.sessions()
        assert (session.started_at, session.ended_at) == (
            NOON,
            NOON + timedelta(hours=1),
        )


@pytest.mark.quirk(24)
async def test_both_times_of_a_fact_are_kept(tmp_path: Path) -> None:
    """Row 24."""
    async with open_desk(tmp_path) as desk:
        await desk.start(timestamp=wire(90))  # local time said to be UTC
        (fact,) = desk.facts()
        times: Any = fact.event
        assert times.occurred_at == NOON + timedelta(minutes=90)
        assert times.received_at == desk.clock.now()
