"""Commands wait for their station, go out once, and tell what became of them."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.command import Dropped
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.services import command_queue, command_rules
from gateway.services.commands import number_of
from gateway.store import commands as rows
from tests.integration.commands.steps import (
    asked,
    begin,
    end,
    named,
    state_of,
    until,
)
from tests.support.api_site import PASSWORD, ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
_numbers = itertools.count(1)
TRIGGER = {
    "action": "TriggerMessage",
    "payload": {"requestedMessage": "BootNotification"},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(
        tmp_path_factory.mktemp("site"), ocpp={"connection_timeout_s": 2}
    ) as running:
        yield running


@VERSIONS
async def test_a_command_for_an_absent_station_goes_out_after_its_boot(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    command = await asked(site, name, **TRIGGER)
    assert (command["state"], command["sent_at"]) == ("queued", None)
    async with site.station(name, version) as station:
        await asyncio.sleep(0.1)
        assert station.calls("TriggerMessage") == []
        await station.boot()
        await station.heard_so_far("TriggerMessage", 1)
        await until(site, command, "accepted")
        await station.boot()
        done = await until(site, command, "effected")
    assert done["sent_at"] <= done["answered_at"] <= done["ended_at"]
    assert done["answer"] == {"status": "Accepted"}
    listed = await site.call("GET", f"/commands?station_id={name}&state=effected")
    assert [one["command_id"] for one in listed] == [command["command_id"]]
    assert listed[0] == done


async def test_a_station_that_resumes_without_a_boot_gets_what_waited(
    site: ApiSite,
) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
    command = await asked(site, name, action="ClearCache")
    async with site.station(name) as station:
        await station.heard_so_far("ClearCache", 1)
        await until(site, command, "effected")
    never = await named(site)
    waiting = await asked(site, never, action="ClearCache")
    async with site.station(never) as station:  # never accepted: it must boot first
        await asyncio.sleep(1.3)
        assert station.heard == []
        await station.boot()
        await until(site, waiting, "effected")


@pytest.mark.quirk(27)
async def test_what_waits_too_long_expires_unsent(site: ApiSite) -> None:
    name = await named(site)
    command = await asked(site, name, action="ClearCache", deadline_s=0.2)
    gone = await until(site, command, "expired")
    assert (gone["reason"], gone["sent_at"]) == ("deadline", None)
    async with site.station(name) as station:
        await station.boot()
        await asyncio.sleep(0.1)
        assert station.calls("ClearCache") == []


async def test_a_waiting_command_can_be_withdrawn_once(site: ApiSite) -> None:
    name = await named(site)
    command = await asked(site, name, action="ClearCache")
    path = f"/commands/{command['command_id']}"
    await site.call("DELETE", path, role="viewer", status=403)
    gone = await site.call("DELETE", path)
    assert (gone["state"], gone["reason"]) == ("expired", "withdrawn")
    assert (await site.call("DELETE", path, status=409))["error"] == "not_queued"
    trail = await site.call("GET", "/audit", role="auditor")
    actions = [line["action"] for line in trail if line["subject"].endswith(name)]
    assert {"command.asked", "command.withdrawn"} <= set(actions)


async def test_the_newest_charging_profile_replaces_the_one_that_waits(
    site: ApiSite,
) -> None:
    name = await named(site)

    def profile(limit: int, purpose: str = "TxDefaultProfile") -> dict[str, Any]:
        period = {"startPeriod": 0, "limit": limit}
        return {
            "connectorId": 1,
            "csChargingProfiles": {
                "chargingProfileId": limit,
                "stackLevel": 0,
                "chargingProfilePurpose": purpose,
                "chargingProfileKind": "Absolute",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [period],
                },
            },
        }

    action = "SetChargingProfile"
    old = await asked(site, name, action=action, payload=profile(10))
    other = await asked(
        site, name, action=action, payload=profile(9, "ChargePointMaxProfile")
    )
    new = await asked(site, name, action=action, payload=profile(8))
    replaced = await state_of(site, old)
    assert (replaced["state"], replaced["reason"]) == ("expired", "replaced")
    async with site.station(name) as station:
        await station.boot()
        await until(site, new, "accepted")
        sent = [one["csChargingProfiles"] for one in station.calls(action)]
        assert [one["chargingProfileId"] for one in sent] == [9, 8]
    assert (await state_of(site, other))["state"] == "accepted"


async def test_an_idempotency_key_makes_one_command_of_a_repetition(
    site: ApiSite,
) -> None:
    name = await named(site)
    first = await asked(site, name, action="ClearCache", idempotency_key="k1")
    again = await asked(site, name, action="ClearCache", idempotency_key="k1")
    assert again == first
    body = {"action": "GetLocalListVersion", "idempotency_key": "k1"}
    refused = await site.call("POST", f"/stations/{name}/commands", body, status=409)
    assert refused["error"] == "idempotency_conflict"


async def test_a_line_that_is_full_takes_no_more(
    site: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_rules, "MAX_WAITING", 2)
    name = await named(site)
    for _ in range(2):
        await asked(site, name, action="ClearCache")
    body = {"action": "ClearCache"}
    refused = await site.call("POST", f"/stations/{name}/commands", body, status=429)
    assert refused["error"] == "queue_full"


async def test_what_can_never_be_sent_is_told_at_once_or_when_the_version_is_known(
    site: ApiSite,
) -> None:
    name = await named(site)
    path = f"/stations/{name}/commands"
    bad: list[dict[str, Any]] = [
        {"action": "remote_start", "payload": {"evse_id": 0, "id_token": "A"}},
        {"action": "remote_start", "payload": {"id_token": "A", "x": 1}},
        {"action": "remote_stop", "payload": {}},
        {"action": "ClearCache", "deadline_s": 0},
        {"action": "ClearCache", "extra": 1},
        {
            "action": "ChangeConfiguration",
            "payload": {"key": "AuthorizationKey", "value": "geheim"},
        },
    ]
    for body in bad:
        await site.call("POST", path, body, status=422)
    forced = {"action": "ClearCache", "override": True}
    await site.call("POST", path, forced, status=403)
    await site.call("POST", "/stations/NOBODY/commands", bad[0], status=404)
    await site.call("GET", "/commands/c999999999", status=404)
    await site.call("GET", "/commands/nonsense", status=404)
    command = await asked(site, name, action="GetVariables", payload={})
    async with site.station(name) as station:
        await station.boot()
        failed = await until(site, command, "failed")
        assert failed["reason"] == "not_valid"
        refused = await site.call("POST", path, {"action": "Nonsense"}, status=422)
        assert refused["error"] == "NotImplemented"
        assert station.calls("GetVariables") == []


async def test_a_link_lost_before_the_answer_is_told_apart_from_one_before_sending(
    site: ApiSite,
) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
        station.handlers["GetLocalListVersion"] = lambda _: None
        sent = await asked(site, name, action="GetLocalListVersion", timeout_s=60)
        await station.heard_so_far("GetLocalListVersion", 1)
        waiting = await asked(site, name, action="ClearCache")
        await station.close()
    lost = await until(site, sent, "failed")
    assert lost["reason"] == "disconnected"
    assert (await state_of(site, waiting))["state"] == "queued"
    async with site.station(name) as station:
        await station.boot()
        await until(site, waiting, "effected")
        assert len(station.calls("ClearCache")) == 1
        assert station.calls("GetLocalListVersion") == []


@pytest.mark.quirk(27)
@pytest.mark.use_case("F01", "F03")
@pytest.mark.action16(
    "RemoteStartTransaction to the station", "RemoteStopTransaction to the station"
)
@VERSIONS
async def test_a_remote_start_is_effected_by_its_session_and_a_stop_by_its_end(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    token = f"TAG{next(_numbers)}"
    await site.call("PUT", f"/id-tokens/{token}", {"status": "Accepted"})
    start = await site.call(
        "POST",
        f"/stations/{name}/remote-start",
        {"evse_id": 1, "id_token": token},
        status=202,
    )
    assert (start["state"], start["action"]) == ("queued", "remote_start")
    async with site.station(name, version) as station:
        await station.boot()
        accepted = await until(site, start, "accepted")
        assert "emoteStart" in accepted["action"] or "Request" in accepted["action"]
        _, heard, _ = station.heard[-1]
        info = {}
        if version == "2.0.1":
            assert heard["remoteStartId"] == int(start["command_id"][1:])
            info = {"remoteStartId": heard["remoteStartId"]}
        began = await begin(station, token, **info)
        done = await until(site, start, "effected")
        session = await site.call("GET", f"/sessions/{done['detail']}")
        assert session["id_token"] == token
        path = f"/sessions/{session['session_id']}/stop"
        stop = await site.call("POST", path, status=202)
        await until(site, stop, "accepted")
        await end(station, began)
        assert (await until(site, stop, "effected"))["detail"] == "Remote"
        await site.call("POST", path, status=409)


@pytest.mark.quirk(27)
@VERSIONS
async def test_a_remote_start_that_nobody_follows_has_no_effect(
    site: ApiSite, version: str
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        start = await site.call(
            "POST",
            f"/stations/{name}/remote-start",
            {"evse_id": 1, "id_token": "NOSHOW"},
            status=202,
        )
        gone = await until(site, start, "no_effect", "failed", "effected")
    assert (gone["state"], gone["reason"]) == ("no_effect", "no_effect")
    shown = site.parts.live.site()["commands"]
    async with asyncio.timeout(30):
        while not shown:
            await asyncio.sleep(0.1)
            shown = site.parts.live.site()["commands"]
    assert start["command_id"] in {one["command_id"] for one in shown}


@pytest.mark.quirk(27)
async def test_commands_are_told_in_the_event_stream(site: ApiSite) -> None:
    name = await named(site)
    seen: list[str] = []
    headers = {"Authorization": f"Bearer {site.secrets['viewer']}"}
    async with site.client.stream("GET", "/api/v1/events", headers=headers) as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        command = await asked(site, name, action="ClearCache", deadline_s=0.1)
        async with asyncio.timeout(30):
            async for line in lines:
                if line.startswith("data:") and command["command_id"] in line:
                    seen.append(line)
                if "expired" in line:
                    break
    assert ['"queued"' in seen[0], '"deadline"' in seen[1]] == [True, True]


async def test_a_command_that_could_exceed_a_limit_is_not_sent(site: ApiSite) -> None:
    evse = {"current_type": "AC", "phases": "L1L2L3", "min_a": 6, "floor_a": 6}
    wiring = {"cabinet_id": "main", "evses": [evse | {"evse_id": 1, "max_a": 80}]}
    await site.call("PUT", "/stations/BIG", {"password": PASSWORD, **wiring})
    async with site.station("BIG") as station:
        await station.boot()
        await site.gateway.dispatch.set_proof(
            StationId("BIG"), is_proven=True, leftovers_known=True
        )

        async def is_set_up() -> bool:
            """Held low, and told nothing more: its set-up counts it at its rating."""
            n_heard = len(station.heard)
            await asyncio.sleep(0.7)
            cabinet = await site.call("GET", "/cabinets/main")
            is_low = max(cabinet["worst_case_a"]) < 80
            return bool(is_low and len(station.heard) == n_heard > 0)

        await site.until(is_set_up)
        reset = {"action": "Reset", "payload": {"type": "Soft"}}
        command = await asked(site, "BIG", **reset)
        failed = await until(site, command, "failed")
        assert failed["reason"] == "would_exceed_limit"
        assert station.calls("Reset") == []
        path = "/stations/BIG/commands"
        forced = reset | {"override": True}
        command = await site.call("POST", path, forced, role="admin", status=202)
        await until(site, command, "accepted")
        assert station.calls("Reset") == [{"type": "Soft"}]
    await site.call("DELETE", "/stations/BIG", status=204)


async def test_what_waits_behind_a_silent_command_still_expires(site: ApiSite) -> None:
    name = await named(site)
    async with site.station(name) as station:
        await station.boot()
        station.handlers["GetLocalListVersion"] = lambda _: None
        await asked(site, name, action="GetLocalListVersion", timeout_s=60)
        await station.heard_so_far("GetLocalListVersion", 1)
        behind = await asked(site, name, action="ClearCache", deadline_s=0.2)
        assert (await until(site, behind, "expired"))["reason"] == "deadline"


async def test_a_busy_group_holds_a_command_and_a_stumble_costs_only_its_own(
    site: ApiSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = site.parts.command_queue._guard
    troubles: list[Exception] = [
        RequestError(503, "group_busy", "try again"),
        KeyError("startPeriod"),
    ]

    async def troubled(*args: Any, **more: Any) -> None:
        if troubles:
            raise troubles.pop(0)
        await guard(*args, **more)

    monkeypatch.setattr(command_queue, "RETRY_S", 0.2)
    monkeypatch.setattr(site.parts.command_queue, "_guard", troubled)
    name = await named(site)
    first = await asked(site, name, action="ClearCache")
    second = await asked(site, name, action="ClearCache")
    async with site.station(name) as station:
        await station.boot()
        failed = await until(site, first, "failed")
        assert (failed["reason"], failed["detail"]) == ("internal", "KeyError")
        await until(site, second, "effected")
        assert len(station.calls("ClearCache")) == 1


async def test_two_senders_with_one_key_make_one_command(site: ApiSite) -> None:
    name = await named(site)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                asked(site, name, action="ClearCache", idempotency_key="both")
            )
            for _ in range(5)
        ]
    assert len({task.result()["command_id"] for task in tasks}) == 1


async def test_a_command_that_was_ended_unheard_is_not_tried_for_ever(
    site: ApiSite,
) -> None:
    """Whoever took it back was cut off before it could say so."""
    name = await named(site)
    command = await asked(site, name, action="ClearCache")
    number = number_of(command["command_id"])
    gone = Dropped(at=site.parts.clock.now(), reason="withdrawn")
    await site.gateway.writer.run(lambda conn: rows.move(conn, number, gone))
    async with site.station(name) as station:
        await station.boot()
        after = await asked(site, name, action="ClearCache")
        await until(site, after, "effected")
        assert len(station.calls("ClearCache")) == 1
    assert (await state_of(site, command))["state"] == "expired"


async def test_no_secret_of_a_network_waits_in_the_store(site: ApiSite) -> None:
    """What waits is kept as it will be sent: for a week, in clear."""
    name = await named(site)
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://here.example",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wireless0",
    }
    apn = {"apn": "a.example", "apnAuthentication": "PAP"}
    for secret in ({"apnPassword": "geheim"}, {"simPin": 1234}):
        said = await site.call(
            "POST",
            f"/stations/{name}/commands",
            {
                "action": "SetNetworkProfile",
                "payload": {
                    "configurationSlot": 1,
                    "connectionData": {**data, "apn": {**apn, **secret}},
                },
            },
            status=422,
        )
        assert said["error"] == "secret_not_queued"
    plain = {"configurationSlot": 1, "connectionData": {**data, "apn": apn}}
    await asked(site, name, action="SetNetworkProfile", payload=plain)
    place = {"location": "ftp://user:secret@files.example/"}  # stations need it
    await asked(site, name, action="GetDiagnostics", payload=place)
