"""The driver's page and the way in, over HTTP without a browser."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from gateway.errors import RequestError
from gateway.web.driver import (
    MAX_STREAMS_PER_LINK,
    DriverPages,
    add_driver,
    parse_departure,
    parse_energy_wh,
)
from gateway.web.driver_words import words
from gateway.web.headers import PageHeaders
from gateway.web.login import add_login
from tests.support.pages_site import ADMIN, DRIVER, EPOCH, LINK, FakeSite, fake_site

BERLIN = ZoneInfo("Europe/Berlin")
SITE = "http://wattproof.test"


@pytest.fixture
def site() -> FakeSite:
    return fake_site()


@pytest.fixture
async def client(site: FakeSite) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    add_login(app, site)
    add_driver(app, site, site.clock)
    app.add_middleware(PageHeaders)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as one:
        yield one


async def test_the_page_is_small_private_and_complete(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(f"/d/{DRIVER}")
    assert answer.status_code == 200
    assert len(answer.content) < 50_000
    assert "11.4 of 24.0 kWh" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_texts_of_the_plan_never_become_markup(client: httpx.AsyncClient) -> None:
    text = (await client.get(f"/d/{DRIVER}")).text
    assert text.count("<script>") == 1
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("token", ["unknown", "%3Cscript%3E", "x" * 5000])
async def test_a_link_that_leads_nowhere_says_so(
    client: httpx.AsyncClient, token: str
) -> None:
    for path in ("", "/need"):
        answer = await client.get(f"/d/{token}{path}")
        assert answer.status_code == 404
        assert "This link leads nowhere" in answer.text
    assert (await client.get(f"/d/{token}/events")).status_code == 404
    assert (await client.post(f"/d/{token}/need", data={})).status_code == 404


async def test_a_need_is_taken_and_answered_in_words(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    answer = await client.post(
        f"/d/{DRIVER}/need", data={"energy": "24,5 kWh", "leave": "07:30"}
    )
    assert answer.status_code == 200
    assert "Saved. You will be ready in time." in answer.text
    assert site.needs == [(24_500, datetime(2026, 1, 16, 6, 30, tzinfo=UTC))]


async def test_a_driver_can_ask_what_would_come_of_a_need_and_change_nothing(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    form = {"energy": "30", "leave": "07:30", "check": "1"}
    answer = await client.post(f"/d/{DRIVER}/need", data=form)
    assert "Beside the other cars 18.0 of 30.0 kWh fit by 07:30." in answer.text
    assert 'value="30"' in answer.text, "what was typed stays, to be saved"
    assert site.needs == []


async def test_a_driver_can_say_that_the_car_must_not_be_paused(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    page = f"/d/{DRIVER}"

    def may_pause() -> bool:
        return site.may_pause

    shown = (await client.get(page)).text
    assert 'name="was_steady" value="0"' in shown
    assert " checked>" not in shown
    form = {"steady": "1", "was_steady": "0"}
    looked = await client.post(
        f"{page}/need", data={"energy": "9", **form, "check": "1"}
    )
    assert " checked>" in looked.text, "what was ticked stays, to be saved"
    assert 'name="was_steady" value="0"' in looked.text
    assert may_pause()
    saved = await client.post(f"{page}/need", data=form)
    assert saved.status_code == 200
    assert not may_pause()
    assert 'name="was_steady" value="1"' in saved.text
    await client.post(
        f"{page}/need", data={"energy": "9", "steady": "1", "was_steady": "1"}
    )
    assert not may_pause()
    await client.post(f"{page}/need", data={"was_steady": "1"})
    assert may_pause()
    nothing = await client.post(f"{page}/need", data={"was_steady": "0"})
    assert nothing.status_code == 422


async def test_a_session_at_risk_says_so_with_its_one_reason(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    assert "Ready by" in (await client.get(f"/d/{DRIVER}")).text
    site.is_at_risk = True
    text = (await client.get(f"/d/{DRIVER}")).text
    assert "At risk: 24.0 of 24.0 kWh by 07:10" in text
    assert "Full speed from 01:15" in text
    assert "At least 16.0 kWh guaranteed." in text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Say how much"),
        ({"energy": "lots"}, "as a number"),
        ({"energy": "1E+999999999"}, "between 0 and"),
        ({"energy": "-3"}, "between 0 and"),
        ({"energy": "NaN"}, "between 0 and"),
        ({"leave": "25:00"}, "hours and minutes"),
        ({"energy": "500"}, "No car here takes more"),
    ],
)
async def test_a_need_that_cannot_be_is_refused_with_a_reason(
    client: httpx.AsyncClient, site: FakeSite, form: dict[str, str], words: str
) -> None:
    answer = await client.post(f"/d/{DRIVER}/need", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert site.needs == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": SITE},
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    client: httpx.AsyncClient, site: FakeSite, headers: dict[str, str]
) -> None:
    answer = await client.post(
        f"/d/{DRIVER}/need", data={"energy": "5"}, headers=headers
    )
    assert answer.status_code == 403
    assert site.needs == []
    answer = await client.post("/login", data={"token": ADMIN}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_an_ended_session_has_no_form(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    site.is_ended = True
    text = (await client.get(f"/d/{DRIVER}")).text
    assert "<form" not in text
    assert "Bill in a few minutes" in text
    assert "In all" in text
    assert "Price now" not in text


@pytest.mark.parametrize(
    ("start", "end", "headline", "reason"),
    [
        (
            10_432_118_000,
            10_456_130_000,
            "24.012 kWh · 5.76 EUR",
            "Meter 10432.118 → 10456.130 kWh.",
        ),
        (
            4_254_660_299,
            4_258_741_170,
            "4.080871 kWh · 5.76 EUR",
            "Meter 4254.660299 → 4258.741170 kWh.",
        ),
    ],
)
async def test_anyone_can_subtract_what_is_billed(
    site: FakeSite, start: int, end: int, headline: str, reason: str
) -> None:
    view = site.driver(DRIVER)
    assert view is not None
    billed = {
        "ended": True,
        "bill_state": "settled",
        "cost": "5.76 EUR",
        "energy_milliwh": end - start,
        "register_start_milliwh": start,
        "register_end_milliwh": end,
    }
    told = words(view | billed, site.clock.now(), ZoneInfo("UTC"))
    assert (told.headline, told.reason) == (headline, reason)


async def test_energy_is_one_number_on_the_page_of_a_bill(site: FakeSite) -> None:
    view = site.driver(DRIVER)
    assert view is not None
    billed = {"ended": True, "bill_state": "settled", "energy_milliwh": 8_788_000}
    rest = {"needed_milliwh": None, "register_start_milliwh": 100_000}
    ended = view | billed | rest | {"register_end_milliwh": 8_888_000}
    told = words(ended, site.clock.now(), ZoneInfo("UTC"))
    assert told.headline.startswith("8.788 kWh")
    assert told.energy == "8.788 kWh"


async def test_a_held_bill_says_its_own_reason_and_is_not_owed(
    client: httpx.AsyncClient, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.is_ended = True
    view = site.driver(DRIVER)
    assert view is not None
    held = {"bill_state": "held", "doubt": "The price of this session is not clear."}
    monkeypatch.setattr(site, "driver", lambda _token: view | held)
    page = (await client.get(f"/d/{DRIVER}")).text
    assert "The price of this session is not clear. You pay nothing" in page
    assert "Draft, not owed" in page
    assert "In all" not in page
    assert "Ended at" in page


@pytest.mark.parametrize(
    ("verdict", "text", "has_link"),
    [
        (None, "", False),
        ("ok", "Signed by the meter, and its signature was checked.", True),
        ("unsigned", "Not signed by the meter.", False),
        ("unverified", "this bill does not rest on it", False),
        ("failed", "does not prove this bill", False),
    ],
)
async def test_a_driver_is_told_whether_the_meter_signed(
    client: httpx.AsyncClient,
    site: FakeSite,
    verdict: str | None,
    text: str,
    has_link: bool,
) -> None:
    site.is_ended, site.meter_signature = True, verdict
    page = (await client.get(f"/d/{DRIVER}")).text
    assert text in page
    assert ("signed-data.xml" in page) is has_link
    assert ("igned" in page) is (verdict is not None)


async def test_what_the_meter_signed_is_a_file(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    assert (await client.get(f"/d/{DRIVER}/signed-data.xml")).status_code == 404
    site.is_ended = True
    answer = await client.get(f"/d/{DRIVER}/signed-data.xml")
    assert (answer.status_code, answer.text) == (200, "<values/>")
    assert answer.headers["content-type"].startswith("application/xml")
    assert "signed-data.xml" in answer.headers["content-disposition"]
    assert (await client.get("/d/other/signed-data.xml")).status_code == 404


async def test_the_own_row_of_the_plan_is_a_file_while_the_car_charges(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    link = f'href="/d/{DRIVER}/plan"'
    assert link in (await client.get(f"/d/{DRIVER}")).text
    answer = await client.get(f"/d/{DRIVER}/plan")
    assert answer.json() == {"format": "wattproof-plan-row/1"}
    assert "plan.json" in answer.headers["content-disposition"]
    assert (await client.get("/d/other/plan")).status_code == 404
    site.is_ended = True
    assert link not in (await client.get(f"/d/{DRIVER}")).text
    assert (await client.get(f"/d/{DRIVER}/plan")).status_code == 404


async def test_a_receipt_is_a_file_once_the_bill_is_made(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    early = await client.get(f"/d/{DRIVER}/receipt")
    assert early.status_code == 409
    assert "The bill is not made yet." in early.text
    site.is_ended = True
    answer = await client.get(f"/d/{DRIVER}/receipt")
    assert answer.json()["format"] == "wattproof-receipt/2"
    assert "receipt.json" in answer.headers["content-disposition"]
    assert (await client.get("/d/other/receipt")).status_code == 404


async def test_events_tell_texts_at_once_and_reload_at_the_end(site: FakeSite) -> None:
    events = DriverPages(site, site.clock).events(DRIVER)
    first = json.loads((await anext(events)).removeprefix("data: "))
    assert first["energy"] == "11.4 of 24.0 kWh"
    assert first["reload"] is False
    site.is_ended = True
    last = json.loads((await anext(events)).removeprefix("data: "))
    assert last["reload"] is True
    await events.aclose()


async def test_one_link_cannot_hold_any_number_of_streams(site: FakeSite) -> None:
    pages = DriverPages(site, site.clock)
    streams = [pages.events(DRIVER) for _ in range(MAX_STREAMS_PER_LINK)]
    for stream in streams:
        await anext(stream)
    assert not pages.has_room(DRIVER)
    for stream in streams:
        await stream.aclose()
    assert pages.has_room(DRIVER)


async def test_a_one_time_link_works_once_and_sets_a_closed_cookie(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/login", params={"code": LINK})
    assert (answer.status_code, answer.headers["location"]) == (303, "/cockpit/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    again = await client.get("/login", params={"code": LINK})
    assert again.status_code == 403
    assert "wattproof token new --role admin" in again.text


async def test_a_browser_that_looks_ahead_does_not_use_up_the_link(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    headers = {"Sec-Purpose": "prefetch;prerender"}
    answer = await client.get("/login", params={"code": LINK}, headers=headers)
    assert answer.status_code == 503
    assert not site.is_link_used


async def test_a_link_in_another_site_leads_in_through_a_page_of_ours(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await client.get("/login", params={"code": LINK}, headers=headers)
    assert answer.status_code == 200
    assert 'content="0;url=/cockpit/"' in answer.text
    assert "set-cookie" in answer.headers


async def test_a_wrong_token_is_refused_and_a_right_one_admitted(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/login")).status_code == 401
    wrong = await client.post("/login", data={"token": "guess"})
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers
    right = await client.post("/login", data={"token": f" {ADMIN}\n"})
    assert right.status_code == 303
    assert ADMIN in right.headers["set-cookie"]


def test_a_time_already_past_today_means_tomorrow() -> None:
    moment = parse_departure("21:00", EPOCH, BERLIN)  # it is 21:10 there
    assert moment == datetime(2026, 1, 16, 20, 0, tzinfo=UTC)


def test_a_time_that_the_clock_change_skips_is_still_a_moment_ahead() -> None:
    night = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    moment = parse_departure("02:30", night, BERLIN)
    assert moment is not None
    assert night < moment < datetime(2026, 3, 29, 2, 0, tzinfo=UTC)


def test_an_empty_form_field_says_nothing() -> None:
    assert parse_energy_wh("  ") is None
    assert parse_departure("", EPOCH, BERLIN) is None
    with pytest.raises(RequestError):
        parse_energy_wh("0")
