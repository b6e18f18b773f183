"""The form on which a key is pinned, over HTTP without a browser."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from gateway.web.headers import PageHeaders
from gateway.web.login import COOKIE
from gateway.web.meter_key_page import add_meter_keys
from tests.support.pages_site import ADMIN, EVIL, FakeSite, fake_site

SITE = "http://wattproof.test"
FORM = {"evse": "1", "key": "04AB", "serial": " 1ABC "}


@pytest.fixture
def site() -> FakeSite:
    return fake_site()


@pytest.fixture
def path(site: FakeSite) -> str:
    (first, *_) = site.stations()
    return f"/meter-keys/{first['station_id']}"


@pytest.fixture
async def client(site: FakeSite) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    add_meter_keys(app, site, site, site)
    app.add_middleware(PageHeaders)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=SITE, cookies={COOKIE: ADMIN}
    ) as one:
        yield one


async def test_the_form_offers_the_evses_and_what_was_sent(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "<option>1</option>" in answer.text
    assert "ffeeddccbbaa9988" in answer.text
    assert "0f1e2d3c4b5a6978" not in answer.text, "it is pinned already"
    assert answer.headers["cache-control"] == "no-store"
    assert "form-action 'self'" in answer.headers["content-security-policy"]


async def test_what_was_typed_is_pinned_in_the_name_of_the_caller(
    client: httpx.AsyncClient, site: FakeSite, path: str
) -> None:
    answer = await client.post(path, data=FORM)
    name = path.rsplit("/", 1)[1]
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/cockpit/stations/{name}",
    )
    await client.post(path, data=FORM | {"serial": " "})
    assert site.pinned == [
        (name, 1, "04AB", "1ABC", "t1"),
        (name, 1, "04AB", None, "t1"),
    ]


async def test_what_is_no_key_is_told_and_never_becomes_markup(
    client: httpx.AsyncClient, site: FakeSite, path: str
) -> None:
    answer = await client.post(path, data=FORM | {"key": f"no key {EVIL}"})
    assert answer.status_code == 422
    assert "Nothing was pinned: it is &lt;none&gt;." in answer.text
    assert EVIL not in answer.text
    assert site.pinned == []


async def test_others_than_operators_and_other_sites_pin_nothing(
    client: httpx.AsyncClient,
    site: FakeSite,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    answer = await client.post(path, data=FORM, headers=elsewhere)
    assert answer.status_code == 403

    async def nobody(_secret: str) -> None:
        return None

    monkeypatch.setattr(site, "operator_of", nobody)
    answer = await client.post(path, data=FORM)
    assert answer.status_code == 403
    assert "needs the role operator" in answer.text
    site.revoked = True
    for answer in (await client.get(path), await client.post(path, data=FORM)):
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert site.pinned == []


async def test_an_unknown_station_has_no_form(client: httpx.AsyncClient) -> None:
    assert (await client.get("/meter-keys/NOBODY")).status_code == 404
    assert (await client.post("/meter-keys/NOBODY", data=FORM)).status_code == 404
