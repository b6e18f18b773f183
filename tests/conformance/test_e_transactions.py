"""Block E, transactions: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import (
    AVAILABLE,
    OCCUPIED,
    SIGNED,
    Operator,
    Transaction,
    stamp,
)
from tests.conformance.states import (
    authorize,
    authorized,
    ended,
    energy_suspended,
    energy_transfer,
    ev_connected,
    session_of,
    stop_authorized,
    tell_state,
)


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_01_CSMS")
async def test_a_transaction_may_start_when_the_power_path_is_closed(
    operator: Operator,
) -> None:
    await operator.token("E01")
    async with operator.booted() as station:
        assert (await authorize(station, "E01"))["status"] == "Accepted"
        await tell_state(station, OCCUPIED)
        charging = Transaction(station, "E01")
        answer = await charging.event(
            "Started", "ChargingStateChanged", state="SuspendedEVSE", authorized=True
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await charging.event("Updated", "ChargingStateChanged", state="Charging")
        session = await session_of(operator, charging)
    assert (session["id_token"], session["ended_at"]) == ("E01", None)


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_02_CSMS")
async def test_a_transaction_may_start_with_the_energy(operator: Operator) -> None:
    await operator.token("E02")
    async with operator.booted() as station:
        assert (await authorize(station, "E02"))["status"] == "Accepted"
        await tell_state(station, OCCUPIED)
        charging = Transaction(station, "E02")
        answer = await charging.event(
            "Started", "ChargingStateChanged", state="Charging", authorized=True
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"


@pytest.mark.use_case("E02")
@pytest.mark.case("TC_E_03_CSMS")
async def test_the_cable_may_come_first(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "E03")
        session = await session_of(operator, charging)
    assert session["id_token"] == "E03"


@pytest.mark.use_case("E03")
@pytest.mark.case("TC_E_04_CSMS")
async def test_the_token_may_come_first(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await authorized(operator, station, "E04")
        await tell_state(station, OCCUPIED)
        await charging.event("Updated", "CablePluggedIn", state="EVConnected")
        await charging.event("Updated", "ChargingStateChanged", state="Charging")
        session = await session_of(operator, charging)
    assert (session["id_token"], session["ended_at"]) == ("E04", None)


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_09_CSMS")
async def test_a_transaction_may_start_when_the_cable_is_plugged_in(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await ev_connected(operator, station, "E09")
        session = await session_of(operator, charging)
    assert (session["id_token"], session["evse_id"]) == (None, 1)


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_10_CSMS")
async def test_a_transaction_may_start_when_a_token_is_accepted(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await authorized(operator, station, "E10")
        assert (await session_of(operator, charging))["id_token"] == "E10"


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_11_CSMS")
async def test_a_transaction_may_start_with_a_signed_register(
    operator: Operator,
) -> None:
    await operator.token("E11")
    async with operator.booted() as station:
        assert (await authorize(station, "E11"))["status"] == "Accepted"
        await tell_state(station, OCCUPIED)
        charging = Transaction(station, "E11", register_wh=0)
        answer = await charging.event(
            "Started",
            "SignedDataReceived",
            authorized=True,
            meterValue=[
                {
                    "timestamp": stamp(),
                    "sampledValue": [
                        {
                            "value": 0.0,
                            "context": "Transaction.Begin",
                            "signedMeterValue": SIGNED,
                        }
                    ],
                }
            ],
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await charging.event("Updated", "ChargingStateChanged", state="Charging")


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_12_CSMS")
async def test_a_transaction_may_start_with_an_occupied_bay(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = Transaction(station, "E12")
        await charging.event("Started", "EVDetected")
        assert (await session_of(operator, charging))["id_token"] is None


@pytest.mark.use_case("E02")
@pytest.mark.case("TC_E_38_CSMS")
async def test_a_car_may_not_be_ready(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await authorized(operator, station, "E38")
        await charging.event("Updated", "ChargingStateChanged", state="SuspendedEV")
        assert (await session_of(operator, charging))["ended_at"] is None


@pytest.mark.use_case("E03", "E06")
@pytest.mark.case("TC_E_39_CSMS")
async def test_a_transaction_ends_when_no_car_comes(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await authorized(operator, station, "E39")
        await charging.event("Ended", "EVConnectTimeout", reason="Timeout")
        assert (await ended(operator, charging))["stop_reason"] == "Timeout"


@pytest.mark.use_case("E09")
@pytest.mark.case("TC_E_14_CSMS", "TC_E_20_CSMS")
@pytest.mark.parametrize("is_suspended", [False, True])
async def test_a_transaction_ends_when_the_cable_is_pulled(
    operator: Operator, *, is_suspended: bool
) -> None:
    async with operator.booted() as station:
        begin = energy_suspended if is_suspended else stop_authorized
        charging = await begin(operator, station, "E14")
        await tell_state(station, AVAILABLE)
        await charging.event(
            "Ended", "EVCommunicationLost", state="Idle", reason="EVDisconnected"
        )
        assert (await ended(operator, charging))["stop_reason"] == "EVDisconnected"


@pytest.mark.use_case("E06", "E07")
@pytest.mark.case("TC_E_15_CSMS", "TC_E_07_CSMS")
async def test_a_transaction_ends_when_its_driver_ends_it(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "E15")
        charging.register_wh += 2_500
        answer = await charging.event(
            "Ended",
            "StopAuthorized",
            reason="Local",
            authorized=True,
            energy="Transaction.End",
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        session = await ended(operator, charging)
    assert session["stop_reason"] == "Local"
    assert session["energy_milliwh"] == 2_500_000


@pytest.mark.use_case("E06")
@pytest.mark.case("TC_E_08_CSMS")
async def test_a_transaction_may_end_when_the_energy_stops_after_the_driver(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await stop_authorized(operator, station, "E08")
        await charging.event(
            "Ended", "ChargingStateChanged", state="EVConnected", reason="Local"
        )
        assert (await ended(operator, charging))["stop_reason"] == "Local"


@pytest.mark.use_case("E06", "E15")
@pytest.mark.case("TC_E_22_CSMS")
async def test_a_transaction_may_end_when_the_car_stops(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "E22")
        await charging.event(
            "Ended", "ChargingStateChanged", state="SuspendedEV", reason="StoppedByEV"
        )
        assert (await ended(operator, charging))["stop_reason"] == "StoppedByEV"


@pytest.mark.use_case("F03", "F04")
@pytest.mark.case("TC_E_21_CSMS")
async def test_a_transaction_ends_when_it_is_asked_to(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "E21")
        wire_id = {"transactionId": charging.transaction_id}
        await operator.accepted(station, "RequestStopTransaction", wire_id)
        assert station.calls("RequestStopTransaction") == [wire_id]
        await charging.event("Ended", "RemoteStop", reason="Remote")
        assert (await ended(operator, charging))["stop_reason"] == "Remote"


@pytest.mark.use_case("C15", "E05")
@pytest.mark.case("TC_E_16_CSMS")
async def test_a_transaction_that_began_without_a_valid_token_is_told_so(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = Transaction(station, "E16NOBODY")
        answer = await charging.event("Started", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] in {"Invalid", "Unknown"}
        await charging.event("Ended", "Deauthorized", reason="DeAuthorized")
        assert (await ended(operator, charging))["stop_reason"] == "DeAuthorized"


@pytest.mark.use_case("E06")
@pytest.mark.case("TC_E_17_CSMS")
async def test_a_transaction_ends_when_the_car_is_lost(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_suspended(operator, station, "E17")
        await charging.event(
            "Ended", "EVCommunicationLost", state="Idle", reason="EVDisconnected"
        )
        assert (await ended(operator, charging))["stop_reason"] == "EVDisconnected"


@pytest.mark.use_case("E06")
@pytest.mark.case("TC_E_19_CSMS")
async def test_a_transaction_may_end_when_the_bay_is_free(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await stop_authorized(operator, station, "E19")
        await tell_state(station, AVAILABLE)
        await charging.event("Updated", "EVCommunicationLost", state="Idle")
        await charging.event("Ended", "EVDeparted", reason="Local")
        assert (await ended(operator, charging))["stop_reason"] == "Local"


@pytest.mark.use_case("E10")
@pytest.mark.case("TC_E_26_CSMS")
async def test_a_transaction_may_outlive_a_pulled_cable(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_suspended(operator, station, "E26")
        await charging.event("Updated", "EVCommunicationLost", state="Idle")
        await tell_state(station, AVAILABLE)
        await charging.event("Updated", "CablePluggedIn", state="EVConnected")
        await charging.event("Updated", "ChargingStateChanged", state="Charging")
        session = await session_of(operator, charging)
    assert session["ended_at"] is None


def _waiting(*, ongoing: bool | None, queued: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"messagesInQueue": queued}
    return found if ongoing is None else {"ongoingIndicator": ongoing} | found


@pytest.mark.use_case("E11", "E14")
@pytest.mark.case("TC_E_29_CSMS", "TC_E_33_CSMS")
@pytest.mark.parametrize("names_it", [True, False])
async def test_queued_messages_can_be_asked_for_after_an_outage(
    operator: Operator, *, names_it: bool
) -> None:
    station_id = await operator.register()
    async with operator.connect(station_id) as station:
        await station.boot()
        charging = await energy_transfer(operator, station, "E29")
    async with operator.connect(station_id) as again:
        charging.station = again
        said = _waiting(ongoing=True if names_it else None, queued=True)
        again.handlers["GetTransactionStatus"] = lambda _: said
        asked = {"transactionId": charging.transaction_id} if names_it else {}
        assert await operator.accepted(again, "GetTransactionStatus", asked) == said
        assert again.calls("GetTransactionStatus") == [asked]
        charging.register_wh += 100
        await charging.event(
            "Updated", "MeterValuePeriodic", energy="Sample.Periodic", offline=True
        )
        session = await session_of(operator, charging)
    assert session["energy_milliwh"] == 100_000


@pytest.mark.use_case("E14")
@pytest.mark.case("TC_E_30_CSMS", "TC_E_34_CSMS")
@pytest.mark.parametrize("names_it", [True, False])
async def test_a_station_may_have_no_message_waiting(
    operator: Operator, *, names_it: bool
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "E30")
        said = _waiting(ongoing=True if names_it else None, queued=False)
        station.handlers["GetTransactionStatus"] = lambda _: said
        asked = {"transactionId": charging.transaction_id} if names_it else {}
        assert await operator.accepted(station, "GetTransactionStatus", asked) == said
        assert station.calls("GetTransactionStatus") == [asked]


@pytest.mark.use_case("E08", "E14")
@pytest.mark.case("TC_E_31_CSMS")
async def test_messages_that_follow_the_end_are_asked_for_and_taken(
    operator: Operator,
) -> None:
    station_id = await operator.register(managed=True)
    async with operator.connect(station_id) as station:
        await station.boot()
        charging = await energy_transfer(operator, station, "E31")
    async with operator.connect(station_id) as again:
        again.handlers["GetTransactionStatus"] = lambda _: _waiting(
            ongoing=False, queued=True
        )
        charging.station = again
        skipped = charging.seq_no
        charging.seq_no += 2
        await charging.event(
            "Ended",
            "EVCommunicationLost",
            state="Idle",
            reason="EVDisconnected",
            offline=True,
        )
        await again.heard_so_far("GetTransactionStatus", 1)
        (asked,) = again.calls("GetTransactionStatus")
        assert asked == {"transactionId": charging.transaction_id}
        assert (await ended(operator, charging))["incomplete"]
        charging.seq_no = skipped
        await charging.event("Updated", "StopAuthorized", offline=True)
        await charging.event(
            "Updated", "ChargingStateChanged", state="EVConnected", offline=True
        )
        session = await ended(operator, charging)
    assert not session["incomplete"]


@pytest.mark.use_case("E01")
@pytest.mark.case("TC_E_53_CSMS")
async def test_every_transaction_may_count_its_messages_from_zero(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        for _ in range(2):
            charging = await energy_transfer(operator, station, "E53")
            await charging.event("Ended", "StopAuthorized", reason="Local")
            assert not (await ended(operator, charging))["incomplete"]
        assert len(await operator.sessions(station)) == 2
