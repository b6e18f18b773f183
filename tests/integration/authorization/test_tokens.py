"""Tokens over the API, and what stations of both versions hear of them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.queue_station import stamp

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    settings = {"master_pass_group": "MASTER", "max_sessions_per_token": 5}
    async with api_site(tmp_path_factory.mktemp("site"), ocpp=settings) as running:
        for name in ("A16", "B16", "A201", "B201"):
            await running.register(name)
        evse = {"evse_id": 1, "max_a": 16, "current_type": "AC"}
        await running.register("A16", evses=[evse])
        yield running


def iso(value: str) -> dict[str, str]:
    """A token as 2.0.1 presents it."""
    return {"idToken": value, "type": "ISO14443"}


def event(kind: str, seq_no: int, wire_id: str, **members: Any) -> dict[str, Any]:
    """A TransactionEvent."""
    return {
        "eventType": kind,
        "timestamp": stamp(),
        "triggerReason": "Authorized",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": wire_id},
        **members,
    }


async def test_everything_that_is_put_is_read_back_and_a_put_replaces(
    site: ApiSite,
) -> None:
    body = {
        "status": "Blocked",
        "expires_at": "2030-01-01T00:00:00Z",
        "group": "family",
        "type": "ISO14443",
        "max_sessions": 2,
        "stations": ["A16", "B16"],
        "evse_ids": [1, 2],
        "language": "de-DE",
        "language_2": "en",
        "personal_message": "Guten Tag",
        "allowed_times": [{"days": ["Mon", "Fri"], "from": "22:00", "until": "06:00"}],
        "evse_types": ["AC"],
    }
    said = await site.call("PUT", "/id-tokens/FULL", body)
    assert {key: said[key] for key in body} == body
    assert said["token"] == "FULL"
    again = await site.call("PUT", "/id-tokens/FULL", {"type": "ISO14443"})
    assert (again["status"], again["stations"], again["group"]) == (
        "Accepted",
        None,
        None,
    )


async def test_an_entry_for_one_type_leaves_the_other_types_alone(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/TWO", {"type": "eMAID", "status": "Blocked"})
    await site.call("PUT", "/id-tokens/TWO", {})
    assert (await site.call("GET", "/id-tokens/two?type=eMAID"))["status"] == "Blocked"
    assert (await site.call("GET", "/id-tokens/two?type=Local"))["status"] == "Accepted"
    await site.call("DELETE", "/id-tokens/TWO?type=eMAID", status=204)
    assert (await site.call("GET", "/id-tokens/two?type=eMAID"))["type"] is None
    await site.call("DELETE", "/id-tokens/TWO", status=204)
    assert (await site.call("GET", "/id-tokens/two"))["status"] == "Invalid"
    await site.call("DELETE", "/id-tokens/TWO", status=404)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "Unknown"},
        {"max_sessions": 0},
        {"evse_ids": []},
        {"evse_types": ["Mode 3"]},
        {"allowed_times": []},
        {"allowed_times": [{"from": "7", "until": "8"}]},
        {"allowed_times": [{"days": ["Someday"], "from": "07:00", "until": "08:00"}]},
        {"evse_ids": [0]},
        {"stations": ["no such/name"]},
        {"language": "a language"},
        {"language_2": "de"},
        {"type": "RFID"},
        {"personal_message": "x" * 513},
        {"where": "here"},
    ],
)
async def test_a_token_that_no_station_could_be_told_is_refused(
    site: ApiSite, body: dict[str, Any]
) -> None:
    await site.call("PUT", "/id-tokens/BAD", body, status=422)


@pytest.mark.action16("Authorize from the station")
async def test_a_1_6_station_hears_the_words_of_its_version(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/ONLY-B", {"stations": ["B16"]})
    await site.call("PUT", "/id-tokens/POOR", {"status": "NoCredit"})
    minute = site.parts.clock.now() + timedelta(hours=2)
    later = {"from": f"{minute:%H:%M}", "until": f"{minute + timedelta(hours=1):%H:%M}"}
    await site.call("PUT", "/id-tokens/NIGHT", {"allowed_times": [later]})
    await site.call("PUT", "/id-tokens/DC-ONLY", {"evse_types": ["DC"]})
    await site.call("PUT", "/id-tokens/EVSE2", {"evse_ids": [2], "group": "g"})
    async with site.station("A16") as a, site.station("B16") as b:
        for station in (a, b):
            await station.boot()
        for station, tag, status in (
            (a, "only-b", "Blocked"),
            (b, "only-b", "Accepted"),
            (a, "poor", "Blocked"),
            (a, "dc-only", "Blocked"),
            (a, "night", "Blocked"),
            (a, "nobody", "Invalid"),
        ):
            said = await station.ask("Authorize", {"idTag": tag})
            assert said == {"idTagInfo": {"status": status}}
        said = await a.ask("Authorize", {"idTag": "EVSE2"})
        assert said["idTagInfo"] == {"status": "Accepted", "parentIdTag": "g"}
        for moment in (stamp(), "2026-06-01T12:00:00Z"):
            start = {"connectorId": 1, "idTag": "EVSE2", "meterStart": 0}
            said = await a.ask("StartTransaction", start | {"timestamp": moment})
            assert said["idTagInfo"]["status"] == "Blocked"


async def test_a_2_0_1_station_hears_where_in_which_language_and_what(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/ONLY-B2", {"stations": ["B201"]})
    await site.call("PUT", "/id-tokens/POOR2", {"status": "NoCredit"})
    rich = {
        "evse_ids": [2, 1],
        "group": "g",
        "language": "de",
        "language_2": "en",
        "personal_message": "Guten Tag",
        "expires_at": "2030-01-01T00:00:00Z",
    }
    await site.call("PUT", "/id-tokens/RICH", rich)
    async with site.station("A201", "2.0.1") as a:
        await a.boot()
        for tag, status in (("only-b2", "NotAtThisLocation"), ("poor2", "NoCredit")):
            said = await a.ask("Authorize", {"idToken": iso(tag)})
            assert said["idTokenInfo"] == {"status": status}
        said = await a.ask("Authorize", {"idToken": iso("rich")})
        assert said["idTokenInfo"] == {
            "status": "Accepted",
            "cacheExpiryDateTime": "2030-01-01T00:00:00.000Z",
            "groupIdToken": {"idToken": "g", "type": "Central"},
            "evseId": [1, 2],
            "language1": "de",
            "language2": "en",
            "personalMessage": {
                "format": "UTF8",
                "language": "de",
                "content": "Guten Tag",
            },
        }
        said = await a.ask(
            "TransactionEvent",
            event("Started", 0, "elsewhere", evse={"id": 3}, idToken=iso("rich")),
        )
        assert said["idTokenInfo"]["status"] == "NotAtThisLocation"


async def test_a_driver_who_comes_after_the_start_is_judged_as_one_who_starts(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/SINGLE", {"max_sessions": 1})
    async with site.station("A201", "2.0.1") as station:
        await station.boot()
        statuses = []
        for evse_id, wire_id in ((1, "late-1"), (2, "late-2")):
            place = {"evse": {"id": evse_id, "connectorId": 1}}
            await station.ask("TransactionEvent", event("Started", 0, wire_id, **place))
            came = event("Updated", 1, wire_id, idToken=iso("SINGLE"))
            for _ in range(2):
                said = await station.ask("TransactionEvent", came)
                statuses.append(said["idTokenInfo"]["status"])
    assert statuses == ["Accepted", "Accepted", "ConcurrentTx", "ConcurrentTx"]


async def test_a_member_of_the_group_may_stop_though_all_its_sessions_run(
    site: ApiSite,
) -> None:
    for token in ("MUM", "DAD"):
        await site.call(
            "PUT", f"/id-tokens/{token}", {"group": "family", "max_sessions": 1}
        )
    async with site.station("B201", "2.0.1") as station:
        await station.boot()
        for evse_id, token in ((1, "MUM"), (2, "DAD")):
            place = {"evse": {"id": evse_id, "connectorId": 1}}
            said = await station.ask(
                "TransactionEvent",
                event("Started", 0, f"tx-{token}", idToken=iso(token), **place),
            )
            assert said["idTokenInfo"]["status"] == "Accepted"
        stop = event("Updated", 1, "tx-MUM", idToken=iso("DAD"))
        said = await station.ask(
            "TransactionEvent", stop | {"triggerReason": "StopAuthorized"}
        )
        group = {"idToken": "family", "type": "Central"}
        assert said["idTokenInfo"] == {"status": "Accepted", "groupIdToken": group}


async def test_a_master_pass_ends_a_session_and_begins_none(site: ApiSite) -> None:
    await site.call("PUT", "/id-tokens/POLICE", {"group": "MASTER"})
    await site.call("PUT", "/id-tokens/DRIVER", {})
    group = {"idToken": "MASTER", "type": "Central"}
    async with site.station("A201", "2.0.1") as station:
        await station.boot()
        said = await station.ask("Authorize", {"idToken": iso("POLICE")})
        assert said["idTokenInfo"] == {"status": "Accepted", "groupIdToken": group}
        place = {"evse": {"id": 1, "connectorId": 1}}
        begun = event("Started", 0, "drive", idToken=iso("DRIVER"), **place)
        await station.ask("TransactionEvent", begun)
        ended = event("Ended", 1, "drive", idToken=iso("POLICE"))
        ended["transactionInfo"]["stoppedReason"] = "MasterPass"
        said = await station.ask("TransactionEvent", ended)
        assert said["idTokenInfo"] == {"status": "Accepted", "groupIdToken": group}
        begun = event("Started", 0, "arrest", idToken=iso("POLICE"), **place)
        said = await station.ask("TransactionEvent", begun)
        assert said["idTokenInfo"]["status"] == "Blocked"
