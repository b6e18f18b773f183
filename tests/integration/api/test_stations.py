"""Registering stations, letting them in, and what is said about them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from tests.support.api_site import PASSWORD, ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVSE = {"evse_id": 1, "current_type": "AC", "phases": "L1L2L3", "max_a": 16}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def is_let_in(site: ApiSite, station_id: str, password: str) -> bool:
    """Whether a station with this password may connect."""
    try:
        async with site.station(station_id, password=password):
            return True
    except InvalidStatus as error:
        if error.response.status_code != 401:
            raise
        return False


async def test_a_put_registers_and_a_second_one_merges(site: ApiSite) -> None:
    made = await site.call(
        "PUT",
        "/stations/API-1",
        {"cabinet_id": "main", "evses": [EVSE | {"min_a": 6, "floor_a": 6}]},
    )
    assert made["source"] == "api"
    assert made["cabinet_id"] == "main"
    assert made["online"] is False
    assert made["evses"][0]["rated_w"] == 11_040
    changed = await site.call("PUT", "/stations/API-1", {"items_per_message": 2})
    assert changed["items_per_message"] == 2
    assert changed["cabinet_id"] == "main"
    assert changed["definition"] == made["definition"]
    again = await site.call("GET", "/stations/API-1", role="viewer")
    soon: dict[str, Any] = {
        "evses": [],
        "capability": None,
    }  # the dispatch knows it a moment later
    assert again | soon == changed | soon
    everything = await site.call("GET", "/stations", role="viewer")
    assert [one["station_id"] for one in everything][:3] == ["API-1", "NEW", "OLD"]


async def test_a_view_has_the_documented_members(site: ApiSite) -> None:
    view = await site.call("GET", "/stations/OLD")
    assert {
        "online",
        "ocpp_version",
        "vendor",
        "model",
        "firmware",
        "last_seen_at",
        "cabinet_id",
        "evses",
    } <= view.keys()
    assert {
        "availability",
        "charging_state",
        "power_w",
        "limit_w",
        "rated_w",
        "soc_percent",
        "session_id",
    } <= view["evses"][0].keys()
    assert view["source"] == "config"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"registration": "Maybe"}, "bad_registration"),
        ({"password": "short"}, "bad_password"),
        ({"password": 12345678}, "bad_password"),
        ({"security_profile": 4}, "bad_security_profile"),
        ({"security_profile": True}, "bad_security_profile"),
        ({"items_per_message": 0}, "bad_items_per_message"),
        ({"items_per_message": "2"}, "bad_items_per_message"),
        ({"cabinet_id": "nowhere"}, "unknown_cabinet"),
        ({"colour": "red"}, "bad_station"),
        ({"password_file": "/etc/passwd"}, "bad_station"),
        ({"evses": [EVSE | {"max_a": "many"}]}, "bad_station"),
        ({"evses": [EVSE, EVSE]}, "site_would_not_hold"),
        ({"evses": "all"}, "bad_station"),
        ({"owner": "me"}, "bad_station"),
        ({"service_status": "broken"}, "bad_station"),
        ({"latitude_deg": 52.5}, "bad_station"),
        ({"evses": [EVSE | {"public": True}]}, "bad_station"),
        ({"cabinet_id": "main", "evses": [EVSE | {"floor_a": 99}]}, ""),
    ],
)
async def test_a_wrong_member_changes_nothing(
    site: ApiSite, body: dict[str, Any], code: str
) -> None:
    response = await site.send("PUT", "/stations/WRONG", body)
    assert response.status_code in {409, 422}, response.text
    if code:
        assert response.json()["error"] == code
    await site.call("GET", "/stations/WRONG", status=404)


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 49, "a%2Fb", "%00"])
async def test_an_id_that_no_url_can_carry_is_refused(site: ApiSite, name: str) -> None:
    response = await site.send("PUT", f"/stations/{name}", {})
    assert response.status_code in {404, 422}


async def test_only_an_admin_lowers_a_security_profile_and_it_is_audited(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/stations/SEC", {"security_profile": 2})
    refused = await site.call(
        "PUT", "/stations/SEC", {"security_profile": 1}, status=403
    )
    assert refused["error"] == "admin_only"
    lowered = await site.call(
        "PUT", "/stations/SEC", {"security_profile": 1}, role="admin"
    )
    assert lowered["security_profile"] == 1
    line = (await site.call("GET", "/audit?limit=1", role="auditor"))[0]
    assert line["action"] == "station.put"
    assert line["subject"] == "station/SEC"
    assert line["detail"] == {"security_profile": 1}


async def test_a_password_is_never_told_logged_or_audited(site: ApiSite) -> None:
    secret = "a-very-secret-word"
    with capture_logs() as lines:
        answer = await site.send("PUT", "/stations/HUSH", {"password": secret})
        assert await is_let_in(site, "HUSH", secret)
        assert not await is_let_in(site, "HUSH", secret[::-1])
    trail = await site.send("GET", "/audit", role="auditor")
    for text in (answer.text, trail.text, repr(lines)):
        assert secret not in text
        assert secret[::-1] not in text


async def test_a_changed_password_counts_at_the_next_connection(site: ApiSite) -> None:
    await site.register("PWD")
    async with site.station("PWD") as station:
        await station.boot()
        await site.call("PUT", "/stations/PWD", {"password": "another-password"})
        assert "currentTime" in await station.ask("Heartbeat", {})
    assert not await is_let_in(site, "PWD", PASSWORD)
    assert await is_let_in(site, "PWD", "another-password")


async def test_an_id_in_another_case_is_the_same_station(site: ApiSite) -> None:
    await site.register("Mixed")
    changed = await site.call("PUT", "/stations/mIXED", {"items_per_message": 7})
    assert changed["station_id"] == "Mixed"
    assert (await site.call("GET", "/stations/MIXED"))["items_per_message"] == 7


@pytest.mark.action16("BootNotification from the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("word", ["Pending", "Rejected"])
async def test_the_next_boot_gets_the_registration_and_the_rest_waits(
    site: ApiSite, version: str, word: str
) -> None:
    name = f"REG-{word}-{version}"
    await site.register(name)
    async with site.station(name, version) as station:
        assert (await station.boot())["status"] == "Accepted"
        await site.call("PUT", f"/stations/{name}", {"registration": word})
        assert "currentTime" in await station.ask("Heartbeat", {})
        answer = await station.boot()
        assert answer["status"] == word
        assert answer["interval"] == 60
        refused = await station.call("Heartbeat", {})
        assert (refused[0], refused[2]) == (4, "SecurityError")
    async with site.station(name, version) as station:
        assert (await station.call("Heartbeat", {}))[0] == 4
        await site.call("PUT", f"/stations/{name}", {"registration": "Accepted"})
        assert (await station.call("Heartbeat", {}))[0] == 4
        assert (await station.boot())["status"] == "Accepted"
        assert "currentTime" in await station.ask("Heartbeat", {})
    async with site.station(name, version) as station:
        assert "currentTime" in await station.ask("Heartbeat", {})


async def test_a_deleted_station_is_dropped_and_stays_out(site: ApiSite) -> None:
    await site.register("GONE")
    station = site.station("GONE")
    async with station:
        await station.boot()
        await site.call("DELETE", "/stations/GONE", status=204)
        await site.call("GET", "/stations/GONE", status=404)
        assert station._reader is not None
        await station._reader
    assert not await is_let_in(site, "GONE", PASSWORD)
    await site.call("DELETE", "/stations/GONE", status=404)


async def test_a_station_of_the_configuration_is_not_deleted(site: ApiSite) -> None:
    refused = await site.call("DELETE", "/stations/NEW", status=409)
    assert refused["error"] == "from_config"


async def test_strangers_and_wrong_passwords_are_shown_as_knocking(
    site: ApiSite,
) -> None:
    assert not await is_let_in(site, "STRANGER", "let-me-in-please")
    assert not await is_let_in(site, "STRANGER", "let-me-in-please")
    knocks: dict[str, Any] = {}

    async def has_knocked_twice() -> bool:
        rows = await site.call("GET", "/knocking")
        knocks.update({row["station_id"]: row for row in rows})
        return "STRANGER" in knocks and knocks["STRANGER"]["attempts"] == 2

    await site.until(has_knocked_twice)
    assert knocks["STRANGER"]["reason"] == "not registered"
    assert knocks["STRANGER"]["first_seen_at"] <= knocks["STRANGER"]["last_seen_at"]
    await site.register("STRANGER", password="let-me-in-please")
    assert await is_let_in(site, "STRANGER", "let-me-in-please")
    knocks = {row["station_id"]: row for row in await site.call("GET", "/knocking")}
    assert "STRANGER" not in knocks


@pytest.mark.action16("StatusNotification from the station")
async def test_what_a_station_says_is_visible_as_soon_as_it_is_answered(
    site: ApiSite,
) -> None:
    await site.register("FAST")
    async with site.station("FAST") as station:
        await station.boot()
        view = await site.call("GET", "/stations/FAST")
        assert (view["online"], view["vendor"], view["model"]) == (
            True,
            "Voltwerk",
            "Duo",
        )
        assert view["ocpp_version"] == "1.6"
        for word, availability in [("Preparing", "occupied"), ("Faulted", "faulted")]:
            await station.ask(
                "StatusNotification",
                {"connectorId": 2, "errorCode": "NoError", "status": word},
            )
            evses = (await site.call("GET", "/stations/FAST"))["evses"]
            assert [(e["evse_id"], e["availability"]) for e in evses] == [
                (2, availability)
            ]
    gone = await site.call("GET", "/stations/FAST")
    assert gone["online"] is False
    assert gone["ocpp_version"] == "1.6"
    assert gone["last_seen_at"] >= view["last_seen_at"]


async def test_an_absurd_evse_number_is_a_deviation_and_no_evse(site: ApiSite) -> None:
    await site.register("WILD", evses=[EVSE | {"min_a": 6, "floor_a": 6}])
    async with site.station("WILD") as station:
        await station.boot()
        for number in (1, 1_634_030_126, 60_000):
            await station.ask(
                "StatusNotification",
                {"connectorId": number, "errorCode": "NoError", "status": "Available"},
            )
        view = await site.call("GET", "/stations/WILD")
        assert [one["evse_id"] for one in view["evses"]] == [1]
        assert view["unbelieved_evses"] == [60_000]
    (found,) = await site.call("GET", "/stations/WILD/deviations")
    assert (found["kind"], found["action"]) == ("value_range", "StatusNotification")


async def test_refused_frames_and_deviations_are_kept(site: ApiSite) -> None:
    await site.register("ODD")
    async with site.station("ODD") as station:
        await station.boot()
        assert (await station.call("MeterValues", {"connectorId": "no"}))[0] == 4
    frames = await site.call("GET", "/stations/ODD/refused-frames")
    assert frames[0]["action"] == "MeterValues"
    assert isinstance(await site.call("GET", "/stations/ODD/deviations"), list)
    await site.call("GET", "/stations/NOBODY/refused-frames", status=404)


async def test_what_the_api_set_survives_a_restart(tmp_path: Path) -> None:
    passwords = {"OLD": "from-the-configuration", "NEW": "from-the-configuration"}
    async with api_site(tmp_path, passwords) as site:
        await site.call("PUT", "/stations/OLD", {"password": "rotated-since-then"})
        body = {"evses": [EVSE | {"min_a": 6, "floor_a": 6, "max_a": 32}]}
        wired = await site.call("PUT", "/stations/NEW", body)
        assert wired["source"] == "api"
        await site.register("EXTRA", items_per_message=3, registration="Pending")
    async with api_site(tmp_path, passwords) as site:
        assert await is_let_in(site, "OLD", "rotated-since-then")
        assert not await is_let_in(site, "OLD", passwords["OLD"])
        assert await is_let_in(site, "NEW", passwords["NEW"])
        view = await site.call("GET", "/stations/NEW")
        assert view["evses"][0]["rated_w"] == 22_080
        extra = await site.call("GET", "/stations/EXTRA")
        assert extra["items_per_message"] == 3
        assert extra["registration"] == "Pending"
        assert extra["managed"] is False
    changed = passwords | {"OLD": "changed-in-the-file"}
    async with api_site(tmp_path, changed) as site:
        assert await is_let_in(site, "OLD", changed["OLD"])
    async with api_site(tmp_path, station=[]) as site:
        await site.call("GET", "/stations/OLD", status=404)
        assert (await site.call("GET", "/stations/NEW"))["source"] == "api"


async def test_a_station_that_got_in_knocks_no_more(site: ApiSite) -> None:
    async def knock(*names: str) -> None:
        async def are_seen() -> bool:
            return set(names) <= await knocking()

        for name in names:
            assert not await is_let_in(site, name, "not-the-right-password")
        await site.until(are_seen)

    async def knocking() -> set[str]:
        return {row["station_id"] for row in await site.call("GET", "/knocking")}

    async def is_gone() -> bool:
        return not {"GETS-IN", "gets-in"} & await knocking()

    await site.register("GETS-IN")
    await knock("GETS-IN", "gets-in", "STAYS-OUT")
    async with site.station("GETS-IN"):
        await site.until(is_gone)
        assert "STAYS-OUT" in await knocking()
        await knock("GETS-IN")
