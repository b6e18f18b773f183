"""CALLs, variables and passwords over the API, at stations of both versions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from gateway.domain.ids import StationId
from tests.support.api_site import PASSWORD, ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


RESET = {"1.6": {"type": "Soft"}, "2.0.1": {"type": "Immediate"}}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_call_goes_out_as_given_and_its_result_comes_back_as_it_was(
    site: ApiSite, version: str
) -> None:
    name = f"CALL-{version}"
    await site.register(name)
    answer = {"status": "Accepted", "data": '{"z":1,"a":null}'}
    payload = {"messageId": "Ω", "vendorId": "com.example", "data": "1.0"}
    if version == "2.0.1":
        answer["data"] = {"z": 1, "a": [None, 0.10], "m": {"b": "", "a": None}}  # type: ignore[assignment]  # any JSON there
        payload["data"] = {"z": 1.50, "a": None, "k": [1, 2.0, True]}  # type: ignore[assignment]  # any JSON there
    async with site.station(name, version) as station:
        station.handlers["DataTransfer"] = lambda _: answer
        said = await site.call(
            "POST",
            f"/stations/{name}/calls",
            {"action": "DataTransfer", "payload": payload},
        )
        assert said == {"outcome": "result", "payload": answer}
        assert list(said["payload"]) == list(answer)
        _, heard, raw = station.heard[-1]
        assert heard == payload
        assert list(heard) == ["messageId", "vendorId", "data"]
        assert '{"messageId":"Ω","vendorId":"com.example","data":' in raw


async def test_numbers_go_out_as_they_were_written(site: ApiSite) -> None:
    await site.register("NUM")
    profile = (
        '{"connectorId":99,"csChargingProfiles":{"chargingProfileId":7,"stackLevel":0,'
        '"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute",'
        '"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
        '[{"startPeriod":0,"limit":6.0},{"startPeriod":60,"limit":16.1}]}}}'
    )
    async with site.station("NUM") as station:
        response = await site.client.post(
            "/api/v1/stations/NUM/calls",
            content=f'{{"action":"SetChargingProfile","payload":{profile}}}',
            headers={
                "Authorization": f"Bearer {site.secrets['operator']}",
                "Content-Type": "application/json",
            },
        )
        assert response.json()["outcome"] == "result"
        assert station.heard[-1][2].endswith(f',"SetChargingProfile",{profile}]')


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_an_error_a_silence_and_a_lost_connection_are_told_apart(
    site: ApiSite, version: str
) -> None:
    name = f"BAD-{version}"
    await site.register(name)
    body: dict[str, Any] = {
        "action": "Reset",
        "payload": RESET[version],
        "timeout_s": 0.3,
    }
    path = f"/stations/{name}/calls"
    async with site.station(name, version) as station:
        station.handlers["Reset"] = lambda _: ("NotSupported", "never heard of it")
        assert await site.call("POST", path, body) == {
            "outcome": "error",
            "code": "NotSupported",
            "description": "never heard of it",
            "details": {},
        }
        station.handlers["Reset"] = lambda _: None
        assert await site.call("POST", path, body) == {"outcome": "timeout"}
        async with asyncio.TaskGroup() as group:
            pending = group.create_task(
                site.call("POST", path, body | {"timeout_s": 10})
            )
            await station.heard_so_far("Reset", 3)
            await station.close()
        assert pending.result() == {"outcome": "disconnected"}
    refused = await site.call("POST", path, body, status=409)
    assert refused["error"] == "not_connected"


async def test_what_the_schema_refuses_never_goes_out(site: ApiSite) -> None:
    await site.register("SCHEMA")
    path = "/stations/SCHEMA/calls"
    bodies: list[dict[str, Any]] = [
        {"action": "Reset", "payload": {"type": "Sideways"}},
        {"action": "Reset", "payload": {}},
        {"action": "Reset", "payload": {"type": "Soft", "extra": 1}},
        {"action": "BootNotification", "payload": {}},
        {"action": "NoSuchAction", "payload": {}},
        {"action": "Reset", "payload": {"type": 10**30}},
        {"action": "Reset", "payload": {"type": "Soft"}, "timeout_s": 0},
        {"action": "Reset", "payload": [1]},
        {"payload": {}},
    ]
    async with site.station("SCHEMA") as station:
        for body in bodies:
            refused = await site.call("POST", path, body, status=422)
            assert refused["error"]
            assert refused["message"]
        assert station.heard == []
    await site.call("POST", "/stations/NOBODY/calls", {"action": "Reset"}, status=404)


async def test_a_call_that_could_exceed_a_limit_needs_an_admins_override(
    site: ApiSite,
) -> None:
    evse = {"current_type": "AC", "phases": "L1L2L3", "min_a": 6, "floor_a": 6}
    await site.call(
        "PUT",
        "/stations/BIG",
        {
            "password": PASSWORD,
            "cabinet_id": "main",
            "evses": [evse | {"evse_id": 1, "max_a": 80}],
        },
    )
    path = "/stations/BIG/calls"
    body: dict[str, Any] = {"action": "Reset", "payload": {"type": "Soft"}}
    async with site.station("BIG") as station:
        await station.boot()
        await site.gateway.dispatch.set_proof(
            StationId("BIG"), is_proven=True, leftovers_known=True
        )

        async def is_held_low() -> bool:
            cabinet = await site.call("GET", "/cabinets/main")
            return bool(max(cabinet["worst_case_a"]) < 80)

        await site.until(is_held_low)
        refused = await site.call("POST", path, body, status=409)
        assert refused["error"] == "would_exceed_limit"
        keys = {"items": [{"key": "UnknownVendorKey", "value": "1"}]}
        refused = await site.call(
            "POST", "/stations/BIG/variables/write", keys, status=409
        )
        assert refused["error"] == "would_exceed_limit"
        forced = body | {"override": True}
        answer = await site.call("POST", path, forced, status=403)
        assert answer["error"] == "admin_only"
        assert station.calls("Reset") == []
        answer = await site.call("POST", path, forced, role="admin")
        assert answer["outcome"] == "result"
        assert station.calls("Reset") == [{"type": "Soft"}]
    await site.call("DELETE", "/stations/BIG", status=204)


def get_variables(payload: dict[str, Any]) -> dict[str, Any]:
    """Answers in reverse order, so that order alone proves nothing."""
    return {
        "getVariableResult": [
            {
                "attributeStatus": "Accepted",
                "attributeValue": f"value of {item['variable']['name']}",
                "component": item["component"],
                "variable": item["variable"],
            }
            for item in reversed(payload["getVariableData"])
        ]
    }


async def test_variables_are_read_in_messages_of_the_size_the_station_takes(
    site: ApiSite,
) -> None:
    await site.register("VAR", items_per_message=2)
    items: list[Any] = [
        {"component": "Ctrlr", "variable": f"V{index}"} for index in range(5)
    ]
    items[1] = {
        "component": {"name": "Ctrlr", "evse": {"id": 1}},
        "variable": {"name": "V1"},
        "attribute": "Target",
    }
    async with site.station("VAR", "2.0.1") as station:
        station.handlers["GetVariables"] = get_variables
        answer = await site.call(
            "POST", "/stations/VAR/variables/read", {"items": items}
        )
        sizes = [len(c["getVariableData"]) for c in station.calls("GetVariables")]
    assert sizes == [2, 2, 1]
    read = answer["items"]
    assert [one["variable"]["name"] for one in read] == ["V0", "V1", "V2", "V3", "V4"]
    assert read[0] == {
        "outcome": "result",
        "component": {"name": "Ctrlr"},
        "variable": {"name": "V0"},
        "attribute": "Actual",
        "attributeStatus": "Accepted",
        "attributeValue": "value of V0",
        "status": "Accepted",
        "value": "value of V0",
    }
    assert read[1]["description"] == "the station said nothing about this item"


async def test_a_station_that_takes_fewer_items_than_known_is_asked_one_by_one(
    site: ApiSite,
) -> None:
    await site.register("ONE")

    def one_only(payload: dict[str, Any]) -> dict[str, Any] | tuple[str, str]:
        if len(payload["getVariableData"]) > 1:
            return ("OccurenceConstraintViolation", "one at a time")
        return get_variables(payload)

    items = [{"component": "C", "variable": f"V{index}"} for index in range(3)]
    async with site.station("ONE", "2.0.1") as station:
        station.handlers["GetVariables"] = one_only
        answer = await site.call(
            "POST", "/stations/ONE/variables/read", {"items": items}
        )
    assert [one["value"] for one in answer["items"]] == [
        "value of V0",
        "value of V1",
        "value of V2",
    ]


async def test_variables_are_written_and_answered_in_order(site: ApiSite) -> None:
    await site.register("SET", items_per_message=1)

    def set_variables(payload: dict[str, Any]) -> dict[str, Any]:
        (item,) = payload["setVariableData"]
        is_known = item["variable"]["name"] != "Odd"
        return {
            "setVariableResult": [
                {
                    "attributeStatus": "Accepted" if is_known else "UnknownVariable",
                    "component": item["component"],
                    "variable": item["variable"],
                }
            ]
        }

    items = [
        {"component": "A", "variable": name, "value": "1"} for name in ("Odd", "Even")
    ]
    async with site.station("SET", "2.0.1") as station:
        station.handlers["SetVariables"] = set_variables
        answer = await site.call(
            "POST", "/stations/SET/variables/write", {"items": items}
        )
        assert len(station.calls("SetVariables")) == 2
    assert [one["status"] for one in answer["items"]] == ["UnknownVariable", "Accepted"]


@pytest.mark.action16(
    "GetConfiguration to the station", "ChangeConfiguration to the station"
)
async def test_keys_of_a_1_6_station_are_read_and_written(site: ApiSite) -> None:
    await site.register("KEY")
    stored = {"HeartbeatInterval": "300", "AuthorizationKey": "do-not-tell-me"}

    def get(payload: dict[str, Any]) -> dict[str, Any]:
        asked = payload.get("key", list(stored))
        return {
            "configurationKey": [
                {"key": key, "readonly": False, "value": stored[key]}
                for key in asked
                if key in stored
            ],
            "unknownKey": [key for key in asked if key not in stored],
        }

    def change(payload: dict[str, Any]) -> dict[str, Any]:
        stored[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    async with site.station("KEY") as station:
        station.handlers |= {"GetConfiguration": get, "ChangeConfiguration": change}
        path = "/stations/KEY/variables"
        body: dict[str, Any] = {"items": ["Nope", {"key": "HeartbeatInterval"}]}
        answer = await site.call("POST", f"{path}/read", body)
        assert answer["items"] == [
            {"outcome": "result", "key": "Nope", "status": "UnknownKey", "value": None},
            {
                "outcome": "result",
                "key": "HeartbeatInterval",
                "readonly": False,
                "value": "300",
                "status": "Accepted",
            },
        ]
        everything = await site.send("POST", f"{path}/read", {"items": []})
        assert len(everything.json()["items"]) == 2
        assert "do-not-tell-me" not in everything.text
        written = await site.call(
            "POST",
            f"{path}/write",
            {"items": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]},
        )
        assert [(one["key"], one["status"]) for one in written["items"]] == [
            ("A", "Accepted"),
            ("B", "Accepted"),
        ]
        assert (stored["A"], stored["B"]) == ("1", "2")
        for bad in ({"key": "A"}, {"key": "A", "value": 1}, {"key": "A" * 51}, "A"):
            await site.call("POST", f"{path}/write", {"items": [bad]}, status=422)


async def test_a_silent_station_fails_item_by_item(site: ApiSite) -> None:
    await site.register("MUTE", items_per_message=1)
    async with site.station("MUTE") as station:
        station.handlers["GetConfiguration"] = lambda payload: (
            None if payload["key"] == ["B"] else {"unknownKey": payload["key"]}
        )
        answer = await site.call(
            "POST",
            "/stations/MUTE/variables/read",
            {"items": ["A", "B", "C"], "timeout_s": 0.2},
        )
    assert [one["outcome"] for one in answer["items"]] == [
        "result",
        "timeout",
        "result",
    ]


async def is_let_in(site: ApiSite, name: str, password: str, version: str) -> bool:
    try:
        async with site.station(name, version, password):
            return True
    except InvalidStatus:
        return False


def new_password(version: str, payload: dict[str, Any]) -> str:
    if version == "1.6":
        assert payload["key"] == "AuthorizationKey"
        return str(payload["value"])
    (item,) = payload["setVariableData"]
    assert item["component"]["name"] == "SecurityCtrlr"
    assert item["variable"]["name"] == "BasicAuthPassword"
    return str(item["attributeValue"])


def password_answer(version: str, payload: dict[str, Any], status: str) -> Any:
    if version == "1.6":
        return {"status": status}
    (item,) = payload["setVariableData"]
    kept = {key: item[key] for key in ("component", "variable")}
    return {"setVariableResult": [kept | {"attributeStatus": status}]}


SETTER = {"1.6": "ChangeConfiguration", "2.0.1": "SetVariables"}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    ("status", "changed"), [("Rejected", False), ("Accepted", True)]
)
async def test_a_rotated_password_counts_if_the_station_took_it(
    site: ApiSite, version: str, status: str, changed: bool
) -> None:
    name = f"ROT-{status}-{version}"
    await site.register(name)
    with capture_logs() as lines:
        async with site.station(name, version) as station:
            station.handlers[SETTER[version]] = lambda payload: password_answer(
                version, payload, status
            )
            answer = await site.send("POST", f"/stations/{name}/password-rotation")
            secret = new_password(version, station.heard[-1][1])
        assert answer.json() == {"outcome": "result", "changed": changed}
        assert 16 <= len(secret) <= 40
        assert await is_let_in(site, name, PASSWORD, version), "not used yet"
        assert await is_let_in(site, name, secret, version) is changed
        assert await is_let_in(site, name, PASSWORD, version) is not changed
    trail = await site.send("GET", "/audit", role="auditor")
    assert secret not in answer.text
    assert secret not in trail.text
    assert secret not in repr(lines)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_rotation_whose_answer_was_lost_locks_nobody_out(
    site: ApiSite, version: str
) -> None:
    name = f"LOST-{version}"
    await site.register(name)
    async with site.station(name, version) as station:
        station.handlers[SETTER[version]] = lambda _: None
        answer = await site.call("POST", f"/stations/{name}/password-rotation")
        assert answer == {"outcome": "timeout", "changed": False}
        secret = new_password(version, station.heard[-1][1])
    assert await is_let_in(site, name, PASSWORD, version)
    assert await is_let_in(site, name, secret, version)
    assert not await is_let_in(site, name, PASSWORD, version)


async def test_a_password_set_by_a_plain_call_is_stored_at_once(site: ApiSite) -> None:
    await site.register("PLAIN")
    body = {
        "action": "ChangeConfiguration",
        "payload": {"key": "AuthorizationKey", "value": "0123456789abcdef0123"},
    }
    async with site.station("PLAIN"):
        await site.call("POST", "/stations/PLAIN/calls", body)
    assert await is_let_in(site, "PLAIN", "0123456789abcdef0123", "1.6")
    assert not await is_let_in(site, "PLAIN", PASSWORD, "1.6")
