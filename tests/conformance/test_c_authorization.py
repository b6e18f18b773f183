"""Block C, authorization: OCPP 2.0.1 part 6, cases for a central system."""

import pytest

from tests.conformance.desk import Operator, Transaction
from tests.conformance.states import (
    authorize,
    ended,
    energy_transfer,
    ev_connected,
    session_of,
)

GROUP = {"idToken": "FAMILY", "type": "Central"}
MASTERS = {"idToken": "MASTERS", "type": "Central"}


@pytest.mark.use_case("C01")
@pytest.mark.case("TC_C_02_CSMS")
async def test_an_unknown_token_is_not_valid(operator: Operator) -> None:
    async with operator.booted() as station:
        assert (await authorize(station, "C02NOBODY"))["status"] == "Invalid"
        charging = Transaction(station, "C02NOBODY")
        answer = await charging.event("Started", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Invalid"


@pytest.mark.use_case("C01")
@pytest.mark.case("TC_C_06_CSMS")
async def test_a_blocked_token_is_said_to_be_blocked(operator: Operator) -> None:
    await operator.token("C06BLOCKED", status="Blocked")
    async with operator.booted() as station:
        assert (await authorize(station, "C06BLOCKED"))["status"] == "Blocked"


@pytest.mark.use_case("C01")
@pytest.mark.case("TC_C_07_CSMS")
async def test_an_expired_token_is_said_to_be_expired(operator: Operator) -> None:
    await operator.token("C07EXPIRED", expires_at="2020-01-01T00:00:00Z")
    async with operator.booted() as station:
        assert (await authorize(station, "C07EXPIRED"))["status"] == "Expired"


@pytest.mark.use_case("C10", "C12")
@pytest.mark.case("TC_C_08_CSMS")
async def test_a_cached_token_is_judged_again_when_it_is_used(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await ev_connected(operator, station, "C08CACHED")
        answer = await charging.event("Updated", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"


@pytest.mark.use_case("C12", "C15", "E05")
@pytest.mark.case("TC_C_20_CSMS")
async def test_a_token_that_only_the_cache_accepts_is_refused(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await ev_connected(operator, station, "C20OTHER")
        charging.id_token = "C20NOBODY"
        answer = await charging.event("Updated", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Invalid"


@pytest.mark.use_case("C11")
@pytest.mark.case("TC_C_37_CSMS", "TC_C_38_CSMS")
@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_a_cache_can_be_asked_to_forget_and_may_refuse(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["ClearCache"] = lambda _: {"status": status}
        assert await operator.accepted(station, "ClearCache", {}) == {"status": status}
        assert station.calls("ClearCache") == [{}]


@pytest.mark.use_case("C09", "E07")
@pytest.mark.case("TC_C_39_CSMS")
async def test_another_token_of_the_group_may_end_the_transaction(
    operator: Operator,
) -> None:
    await operator.token("C39FIRST", group="FAMILY")
    await operator.token("C39SECOND", group="FAMILY")
    async with operator.booted() as station:
        info = await authorize(station, "C39SECOND")
        assert (info["status"], info["groupIdToken"]) == ("Accepted", GROUP)
        charging = Transaction(station, "C39FIRST")
        await charging.event("Started", "CablePluggedIn", state="EVConnected")
        answer = await charging.event("Updated", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["idTokenInfo"]["groupIdToken"] == GROUP
        info = await authorize(station, "C39SECOND")
        assert (info["status"], info["groupIdToken"]) == ("Accepted", GROUP)
        charging.id_token = "C39SECOND"
        answer = await charging.event("Updated", "StopAuthorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert answer["idTokenInfo"]["groupIdToken"] == GROUP
        session = await session_of(operator, charging)
    assert session["id_token"] == "C39FIRST", "who began it stays its driver"


@pytest.mark.use_case("C16")
@pytest.mark.case("TC_C_47_CSMS", "TC_C_49_CSMS")
@pytest.mark.parametrize("presents_pass", [True, False])
async def test_a_master_pass_ends_all_transactions(
    operator: Operator, *, presents_pass: bool
) -> None:
    await operator.token("C47MASTER", group="MASTERS")
    async with operator.booted() as station:
        one = await energy_transfer(operator, station, "C47ONE", evse_id=1)
        two = await energy_transfer(operator, station, "C47TWO", evse_id=2)
        info = await authorize(station, "C47MASTER")
        assert (info["status"], info["groupIdToken"]) == ("Accepted", MASTERS)
        for charging in (one, two):
            if presents_pass:
                charging.id_token = "C47MASTER"
            answer = await charging.event(
                "Ended", "StopAuthorized", reason="MasterPass", authorized=True
            )
            assert answer["idTokenInfo"]["status"] == "Accepted"
            session = await ended(operator, charging)
            assert session["stop_reason"] == "MasterPass"
            assert session["id_token"] != "C47MASTER", "it pays for nobody's charging"


@pytest.mark.use_case("C16")
@pytest.mark.case("TC_C_48_CSMS")
async def test_a_master_pass_ends_one_transaction_and_leaves_the_other(
    operator: Operator,
) -> None:
    await operator.token("C48MASTER", group="MASTERS")
    async with operator.booted() as station:
        one = await energy_transfer(operator, station, "C48ONE", evse_id=1)
        two = await energy_transfer(operator, station, "C48TWO", evse_id=2)
        one.id_token = "C48MASTER"
        answer = await one.event(
            "Ended", "StopAuthorized", reason="MasterPass", authorized=True
        )
        info = answer["idTokenInfo"]
        assert (info["status"], info["groupIdToken"]) == ("Accepted", MASTERS)
        await ended(operator, one)
        assert (await session_of(operator, two))["ended_at"] is None
