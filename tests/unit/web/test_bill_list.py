"""Where the list of bills goes on, over HTTP without a browser."""

from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from gateway.web.bill_pages import add_bills
from gateway.web.headers import BILLS_PATH
from gateway.web.login import COOKIE
from tests.support.pages_bills import FakeBills
from tests.support.pages_site import ADMIN, fake_site

FAR = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *((text, 422) for text in (*FAR, "2026-01-01T00:00:00", "soon")),
        ("2026-01-01T00:00:00+01:00", 200),
    ],
)
async def test_a_list_goes_on_at_a_position_only(text: str, status: int) -> None:
    app, site = FastAPI(), fake_site()
    add_bills(app, site, site, FakeBills("link"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://wattproof.test",
        cookies={COOKIE: ADMIN},
    ) as client:
        answer = await client.get(f"{BILLS_PATH}?after={quote(text)}%20s1")
    assert answer.status_code == status
    assert ("after: is no position" in answer.text) is (status != 200)
