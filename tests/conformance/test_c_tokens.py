"""Block C, kinds of tokens and lists kept at the station (OCPP 2.0.1 part 2)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, Transaction
from tests.conformance.states import ended, session_of
from tests.support import pki
from tests.support.raw_station import RawStation

NEVER = [{"days": ["Mon"], "from": "03:14", "until": "03:15"}]
ALWAYS = [{"from": "00:00", "until": "24:00"}]
NOBODY: dict[str, Any] = {"idToken": {"idToken": "", "type": "NoAuthorization"}}


async def judged(station: RawStation, token: str, kind: str) -> dict[str, Any]:
    answer = await station.ask(
        "Authorize", {"idToken": {"idToken": token, "type": kind}}
    )
    info: dict[str, Any] = answer["idTokenInfo"]
    return info


@pytest.mark.use_case("C02")
async def test_a_start_button_starts_without_a_token(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = Transaction(station, "")
        await charging.event("Started", "CablePluggedIn", state="EVConnected")
        answer = await charging.event(
            "Updated", "ChargingStateChanged", state="Charging", **NOBODY
        )
        assert answer["idTokenInfo"] == {"status": "Accepted"}
        session = await session_of(operator, charging)
    assert (session["ended_at"], session["id_token"] or "") == (None, "")


@pytest.mark.use_case("C03", "C05")
async def test_a_token_made_for_one_remote_start_is_sent_as_central(
    operator: Operator,
) -> None:
    await operator.token("C03ONCE", type="Central")
    async with operator.booted() as station:
        charging = Transaction(station, "C03ONCE", token_type="Central")
        await charging.event("Started", "CablePluggedIn", state="EVConnected")
        asked = await operator.http.post(
            f"/stations/{station.station_id}/remote-start",
            json={"evse_id": 1, "id_token": "C03ONCE"},
        )
        assert asked.status_code == 202, asked.text
        await station.heard_so_far("RequestStartTransaction", 1)
        (sent,) = station.calls("RequestStartTransaction")
        assert sent["idToken"] == {"idToken": "C03ONCE", "type": "Central"}
        info = {
            "transactionId": charging.transaction_id,
            "remoteStartId": sent["remoteStartId"],
            "chargingState": "Charging",
        }
        answer = await charging.event(
            "Updated", "RemoteStart", authorized=True, transactionInfo=info
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert (await session_of(operator, charging))["id_token"] == "C03ONCE"


@pytest.mark.use_case("C04")
async def test_a_pin_counts_as_a_pin_only_and_is_in_no_log(operator: Operator) -> None:
    await operator.token("C04778812", type="KeyCode")
    async with operator.booted() as station:
        assert (await judged(station, "C04778812", "KeyCode"))["status"] == "Accepted"
        assert (await judged(station, "C04000000", "KeyCode"))["status"] == "Invalid"
        assert (await judged(station, "C04778812", "ISO14443"))["status"] == "Invalid"
        charging = Transaction(station, "C04778812", token_type="KeyCode")
        answer = await charging.event("Started", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        broken = {"idToken": {"idToken": "C04778813", "type": "KeyCode", "more": 1}}
        assert (await station.call("Authorize", broken))[0] == 4
        await charging.event("Ended", "StopAuthorized", authorized=True, reason="Local")
    log = (operator.desk.folder / "gateway.log").read_text("utf-8")
    assert "C0477881" not in log


@pytest.mark.use_case("C06", "C08")
@pytest.mark.parametrize("kind", ["Local", "MacAddress", "eMAID", "ISO15693"])
async def test_a_token_of_any_kind_may_charge_if_it_is_known(
    operator: Operator, kind: str
) -> None:
    name = f"C06{kind}".upper()
    await operator.token(name, type=kind)
    async with operator.booted() as station:
        assert (await judged(station, name, kind))["status"] == "Accepted"
        assert (await judged(station, f"{name}X", kind))["status"] == "Invalid"
        charging = Transaction(station, name, token_type=kind)
        answer = await charging.event("Started", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert (await session_of(operator, charging))["id_token"] == name


@pytest.mark.use_case("C01", "C02")
@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"allowed_times": NEVER}, "NotAtThisTime"),
        ({"evse_types": ["DC"]}, "NotAllowedTypeEVSE"),
        ({"evse_ids": [7]}, "NotAtThisLocation"),
        ({"status": "NoCredit"}, "NoCredit"),
        ({"evse_types": ["AC", "DC"], "allowed_times": ALWAYS}, "Accepted"),
    ],
)
async def test_who_may_not_charge_here_or_now_is_told_why(
    operator: Operator, rules: dict[str, Any], status: str
) -> None:
    await operator.token("C01RULED", **rules)
    async with operator.booted() as station:
        charging = Transaction(station, "C01RULED")
        answer = await charging.event("Started", "Authorized", authorized=True)
        assert answer["idTokenInfo"]["status"] == status
        if "evse_ids" not in rules:  # Authorize names the EVSEs instead (C01.FR.21)
            shown = await judged(station, "C01RULED", "ISO14443")
            assert shown["status"] == status
        ended = await charging.event("Ended", "StopAuthorized", authorized=True)
        assert ended["idTokenInfo"]["status"] in {"Accepted", "NoCredit"}


@pytest.mark.use_case("C13", "C15")
@pytest.mark.parametrize(
    ("members", "status"),
    [({}, "Accepted"), ({"status": "Blocked"}, "Blocked"), (None, "Invalid")],
)
async def test_who_was_let_in_offline_is_judged_when_the_station_is_back(
    operator: Operator, members: dict[str, str] | None, status: str
) -> None:
    token = f"C13{status}".upper()
    if members is not None:
        await operator.token(token, **members)
    async with operator.booted() as station:
        charging = Transaction(station, token)
        answer = await charging.event(
            "Started",
            "Authorized",
            authorized=True,
            energy="Transaction.Begin",
            offline=True,
        )
        assert answer["idTokenInfo"]["status"] == status
        charging.register_wh += 500
        await charging.event(
            "Ended",
            "Deauthorized" if status != "Accepted" else "StopAuthorized",
            reason="Local" if status == "Accepted" else "DeAuthorized",
            energy="Transaction.End",
        )
        session = await ended(operator, charging)
    assert session["energy_milliwh"] == 500_000


@pytest.mark.use_case("C14")
async def test_who_was_let_in_from_the_list_is_judged_by_the_start(
    operator: Operator,
) -> None:
    await operator.token("C14GONE", status="Expired")
    async with operator.booted() as station:
        charging = Transaction(station, "C14GONE")
        answer = await charging.event("Started", "Authorized", authorized=True)
    assert answer["idTokenInfo"]["status"] == "Expired"


@pytest.mark.use_case("C07")
@pytest.mark.parametrize(
    ("token", "issuer", "verdict"),
    [
        ("Accepted", "known", ("Accepted", "Accepted")),
        ("Blocked", "known", ("ContractCancelled", "Blocked")),
        (None, "known", ("ContractCancelled", "Invalid")),
        ("Accepted", "unknown", ("CertChainError", "Invalid")),
        ("Accepted", "garbage", ("CertChainError", "Invalid")),
    ],
)
async def test_a_contract_certificate_counts_with_its_token(
    operator: Operator, token: str | None, issuer: str, verdict: tuple[str, str]
) -> None:
    number = ("Accepted", "Blocked", None).index(token)
    emaid = f"DEABCC0700000{number}X"
    if token is not None:
        await operator.token(emaid, status=token, type="eMAID")
    root = operator.desk.contract_root if issuer == "known" else pki.root("Nobody")
    pem = "garbage" if issuer == "garbage" else pki.issue(emaid, issuer=root).pem
    async with operator.booted() as station:
        answer = await station.ask(
            "Authorize",
            {"idToken": {"idToken": emaid, "type": "eMAID"}, "certificate": pem},
        )
    assert (answer["certificateStatus"], answer["idTokenInfo"]["status"]) == verdict
