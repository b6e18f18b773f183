"""Block K, charging profiles: set, replaced, reported, cleared (2.0.1 part 2)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, Transaction, stamp, until
from tests.conformance.paging import reported
from tests.conformance.states import session_of
from tests.support.raw_station import RawStation

Sent = list[tuple[str, dict[str, Any]]]


def profile(
    number: int, purpose: str, limit: float, **members: object
) -> dict[str, Any]:
    return {
        "id": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {
                "id": number,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            }
        ],
        **members,
    }


def about_profiles(station: RawStation) -> Sent:
    wanted = ("SetChargingProfile", "ClearChargingProfile")
    return [(name, payload) for name, payload, _ in station.heard if name in wanted]


def limits(sent: dict[str, Any]) -> list[float]:
    return [
        period["limit"]
        for schedule in sent["chargingProfile"]["chargingSchedule"]
        for period in schedule["chargingSchedulePeriod"]
    ]


@pytest.mark.use_case("K01", "K03", "K10")
@pytest.mark.parametrize(
    ("purpose", "evse_id"),
    [
        ("ChargingStationMaxProfile", 0),
        ("TxDefaultProfile", 0),
        ("TxDefaultProfile", 1),
        ("TxProfile", 1),
    ],
)
async def test_an_operators_profile_is_set_replaced_and_cleared(
    operator: Operator, purpose: str, evse_id: int
) -> None:
    await operator.token("K01DRIVER")
    async with operator.booted() as station:
        charging = Transaction(station, "K01DRIVER")
        await charging.event("Started", "Authorized", authorized=True)
        of = {}
        if purpose == "TxProfile":
            of["transactionId"] = charging.transaction_id
        for limit in (10.0, 8.0):
            asked = {
                "evseId": evse_id,
                "chargingProfile": profile(7, purpose, limit, **of),
            }
            told = await operator.accepted(station, "SetChargingProfile", asked)
            assert told == {"status": "Accepted"}
            assert station.calls("SetChargingProfile")[-1] == asked
        clear: dict[str, Any] = {"chargingProfileId": 7}
        assert await operator.accepted(station, "ClearChargingProfile", clear) == {
            "status": "Accepted"
        }
        station.handlers["ClearChargingProfile"] = lambda _: {"status": "Unknown"}
        clear = {
            "chargingProfileCriteria": {
                "evseId": evse_id,
                "chargingProfilePurpose": purpose,
                "stackLevel": 0,
            }
        }
        assert await operator.accepted(station, "ClearChargingProfile", clear) == {
            "status": "Unknown"
        }
        assert station.calls("ClearChargingProfile")[-1] == clear


@pytest.mark.use_case("K01")
async def test_a_profile_that_is_refused_is_told_with_its_reason(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        said = {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidStackLevel"}}
        station.handlers["SetChargingProfile"] = lambda _: said
        asked = {"evseId": 1, "chargingProfile": profile(7, "TxDefaultProfile", 10.0)}
        assert await operator.accepted(station, "SetChargingProfile", asked) == said
        wrong = asked | {"chargingProfile": profile(7, "NoSuchPurpose", 10.0)}
        outcome = await operator.http.post(
            f"/stations/{station.station_id}/calls",
            json={"action": "SetChargingProfile", "payload": wrong},
        )
        assert outcome.status_code == 422, "no station is asked what no schema allows"
        assert len(station.calls("SetChargingProfile")) == 1


@pytest.mark.use_case("K01", "K02", "K06", "K07", "K10")
async def test_our_own_limits_are_a_default_and_one_per_transaction(
    operator: Operator,
) -> None:
    """What a managed station of a cabinet hears of profiles, from boot to end."""
    await operator.token("K02DRIVER")
    async with operator.booted(managed=True, evses=1, cabinet_id="A") as station:

        def default_again() -> bool:
            sent = about_profiles(station)
            last = max(
                (i for i, (name, _) in enumerate(sent) if name[0] == "C"), default=-1
            )
            return 0 <= last < len(sent) - 1

        async def is_set_up() -> bool:
            return default_again()

        await until(is_set_up)
        at_boot = about_profiles(station)
        cleared = [
            payload["chargingProfileCriteria"]["chargingProfilePurpose"]
            for name, payload in at_boot
            if name == "ClearChargingProfile"
        ]
        assert set(cleared) == {
            "ChargingStationMaxProfile",
            "TxDefaultProfile",
            "TxProfile",
        }
        default = at_boot[-1][1]
        assert default["evseId"] == 0
        assert default["chargingProfile"]["chargingProfilePurpose"] == (
            "TxDefaultProfile"
        )
        assert limits(default) == [0], "its floor: nothing without a plan"

        charging = Transaction(station, "K02DRIVER")
        await charging.event("Started", "CablePluggedIn", authorized=True)

        async def has_limit() -> list[dict[str, Any]]:
            return [
                one
                for one in station.calls("SetChargingProfile")
                if one["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
            ]

        first = (await until(has_limit))[0]
        assert first["chargingProfile"]["transactionId"] == charging.transaction_id
        assert first["chargingProfile"]["stackLevel"] == 0
        assert 6 <= max(limits(first)) <= 16, "never above the rating"
        assert limits(first)[-1] <= limits(first)[0], "it decays by itself"
        await charging.event("Ended", "StopAuthorized", reason="Local")
        sent = about_profiles(station)
        ids = {
            payload["chargingProfile"]["id"]
            for name, payload in sent
            if name == "SetChargingProfile"
            and payload["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
        }
    assert len(ids) == 1, "a later limit replaces the one before"


@pytest.mark.use_case("K05", "F01")
async def test_a_remote_start_may_bring_its_profile(operator: Operator) -> None:
    await operator.token("K05DRIVER")
    async with operator.booted() as station:
        asked = {
            "remoteStartId": 77,
            "evseId": 1,
            "idToken": {"idToken": "K05DRIVER", "type": "ISO14443"},
            "chargingProfile": profile(5, "TxProfile", 9.0),
        }
        told = await operator.accepted(station, "RequestStartTransaction", asked)
        assert told == {"status": "Accepted"}
        assert station.calls("RequestStartTransaction") == [asked]
        charging = Transaction(station, "K05DRIVER")
        info = {"transactionId": charging.transaction_id, "remoteStartId": 77}
        answer = await charging.event(
            "Started", "RemoteStart", authorized=True, transactionInfo=info
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert (await session_of(operator, charging))["id_token"] == "K05DRIVER"


@pytest.mark.use_case("K08")
@pytest.mark.parametrize("evse_id", [0, 1])
async def test_the_composite_schedule_is_what_the_station_says(
    operator: Operator, evse_id: int
) -> None:
    schedule = {
        "evseId": evse_id,
        "duration": 600,
        "scheduleStart": stamp(),
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11040.0}],
    }
    asked = {"evseId": evse_id, "duration": 600, "chargingRateUnit": "W"}
    async with operator.booted() as station:
        said: dict[str, Any] = {"status": "Accepted", "schedule": schedule}
        station.handlers["GetCompositeSchedule"] = lambda _: said
        assert await operator.accepted(station, "GetCompositeSchedule", asked) == said
        refused = {"status": "Rejected"}
        station.handlers["GetCompositeSchedule"] = lambda _: refused
        told = await operator.accepted(station, "GetCompositeSchedule", asked)
        assert told == refused
        assert station.calls("GetCompositeSchedule") == [asked] * 2


@pytest.mark.use_case("K09")
async def test_profiles_are_reported_page_by_page_and_nothing_else_is_left(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        path = f"/stations/{station.station_id}/charging-profiles"
        told: list[dict[str, Any]] = [
            {
                "chargingLimitSource": source,
                "evseId": evse_id,
                "chargingProfile": [profile(10 + evse_id, purpose, 10.0)],
                "tbc": evse_id < 2,
            }
            for evse_id, source, purpose in (
                (0, "EMS", "ChargingStationExternalConstraints"),
                (1, "CSO", "TxDefaultProfile"),
                (2, "CSO", "TxDefaultProfile"),
            )
        ]
        said = await reported(
            operator,
            station,
            operator.http.build_request("GET", path),
            asked="GetChargingProfiles",
            action="ReportChargingProfiles",
            told=told,
        )
        assert (said["status"], said["state"]) == ("Accepted", "complete")
        held = [(one["evse_id"], one["source"]) for one in said["profiles"]]
        assert held == [(0, "EMS"), (1, "CSO"), (2, "CSO")]
        assert (await operator.get(path, stored="true"))["profiles"] == said["profiles"]
        station.handlers["GetChargingProfiles"] = lambda _: {"status": "NoProfiles"}
        said = await operator.get(path)
    assert (said["status"], said["profiles"]) == ("NoProfiles", [])


@pytest.mark.use_case("K11", "K12", "K13", "K14")
@pytest.mark.parametrize("charges", [True, False])
async def test_a_limit_from_outside_is_kept_until_it_is_released(
    operator: Operator, *, charges: bool
) -> None:
    await operator.token("K11DRIVER")
    async with operator.booted() as station:
        path = f"/stations/{station.station_id}/charging-profiles"
        charging = Transaction(station, "K11DRIVER")
        if charges:
            await charging.event("Started", "Authorized", authorized=True)
        schedule = profile(1, "TxProfile", 6.0)["chargingSchedule"]
        notice = {
            "evseId": 1,
            "chargingLimit": {"chargingLimitSource": "SO", "isGridCritical": True},
            "chargingSchedule": schedule,
        }
        assert await station.ask("NotifyChargingLimit", notice) == {}
        if charges:
            await charging.event("Updated", "ChargingRateChanged", state="Charging")
            assert (await session_of(operator, charging))["ended_at"] is None
        (told,) = (await operator.get(path, stored="true"))["external_limits"]
        assert (told["evse_id"], told["source"]) == (1, "SO")
        assert told["cleared_at"] is None
        assert told["limit"]["chargingSchedule"] == schedule
        cleared = {"chargingLimitSource": "SO", "evseId": 1}
        assert await station.ask("ClearedChargingLimit", cleared) == {}
        (told,) = (await operator.get(path, stored="true"))["external_limits"]
        assert told["cleared_at"] is not None
