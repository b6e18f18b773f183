"""The forms with which bills are decided on, over HTTP without a browser."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.errors import RequestError
from gateway.services.correction_forms import CorrectionForms
from gateway.services.crediting import Credit
from gateway.services.decisions import Correction
from gateway.services.stated import Stated
from gateway.web.correction_page import add_corrections
from gateway.web.headers import PageHeaders
from gateway.web.login import COOKIE
from tests.support.pages_corrections import (
    BROKEN,
    EVIL,
    HELD,
    SETTLED,
    UNPRICED,
    WAIVED,
    FakeCorrections,
)
from tests.support.pages_site import ADMIN, fake_site

SITE = "http://wattproof.test"


@pytest.fixture
def desk() -> FakeCorrections:
    return FakeCorrections()


@pytest.fixture
async def client(desk: FakeCorrections) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    site = fake_site()
    add_corrections(app, site, site, desk)
    app.add_middleware(PageHeaders)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=SITE, cookies={COOKIE: ADMIN}
    ) as one:
        yield one


async def test_what_waits_is_listed_with_its_difference(
    client: httpx.AsyncClient, desk: FakeCorrections
) -> None:
    page = (await client.get("/corrections")).text
    assert "2.00 EUR too much was billed" in page
    assert "0.15 EUR less was billed; shown only" in page
    assert "makes no bill" in page
    assert "no amount" in page
    desk.is_calm = True
    assert "Nothing waits" in (await client.get("/corrections")).text


async def test_a_bill_that_waits_is_known_by_charger_time_and_reason(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/corrections")).text
    assert "12.34 EUR proposed" in page
    assert "YARD-01 · 1" in page
    assert "2026-06-15 14:00 CEST" in page
    assert "Another, different end came later." in page
    assert HELD not in page.replace(f"/corrections/{HELD}", "")
    assert f">{UNPRICED}</a>" in page  # it has no end: its id leads there


async def test_the_form_says_all_digits_the_registers_and_the_reasons(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get(f"/corrections/{HELD}")).text
    assert "<h1>Bill of YARD-01 · 1</h1>" in page
    assert "Proposed: 12.345678 kWh, 12.34 EUR" in page
    assert "Meter: 1.000 kWh → 13.345678 kWh" in page
    assert "<li>Another, different end came later.</li>" in page
    assert "The readings contradict each other or cannot be right." in page


@pytest.mark.parametrize("name", ["", HELD, SETTLED, UNPRICED, WAIVED])
async def test_foreign_texts_stay_texts(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/corrections/{name}" if name else "/corrections")
    assert answer.status_code == 200
    assert EVIL not in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "acts"),
    [
        (HELD, {"release", "correct", "waive"}),
        (UNPRICED, {"correct", "waive"}),
        (SETTLED, {"accept", "dismiss", "credit"}),
        (WAIVED, set()),
    ],
)
async def test_only_what_can_be_done_is_offered(
    client: httpx.AsyncClient, name: str, acts: set[str]
) -> None:
    page = (await client.get(f"/corrections/{name}")).text
    every = {"release", "correct", "waive", "accept", "dismiss", "credit"}
    assert {one for one in every if f'name="act" value="{one}"' in page} == acts


async def test_a_release_says_which_amount_was_seen(
    client: httpx.AsyncClient, desk: FakeCorrections
) -> None:
    page = (await client.get(f"/corrections/{HELD}")).text
    amount_minor = (await desk.bill(HELD))["amount_minor"]
    assert f'name="seen" value="{amount_minor}"' in page
    form = {"act": "release", "seen": str(amount_minor)}
    await client.post(f"/corrections/{HELD}", data=form)
    assert desk.done[0][1]["seen"] == str(amount_minor)


async def test_a_form_is_done_in_the_name_of_the_caller(
    client: httpx.AsyncClient, desk: FakeCorrections
) -> None:
    form = {"act": "credit", "amount": "1,50", "reason": "a fault", "key": "k"}
    answer = await client.post(f"/corrections/{SETTLED}", data=form)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/corrections/{SETTLED}",
    )
    ((session_id, said, actor),) = desk.done
    assert (session_id, said["amount"], actor) == (SETTLED, "1,50", "t1")


async def test_a_refusal_is_told_on_the_page(client: httpx.AsyncClient) -> None:
    form = {"act": "waive", "reason": "refuse"}
    answer = await client.post(f"/corrections/{HELD}", data=form)
    assert answer.status_code == 409
    assert "Nothing was done: it is &lt;too&gt; high." in answer.text


async def test_another_site_and_a_viewer_change_nothing(
    client: httpx.AsyncClient, desk: FakeCorrections
) -> None:
    form = {"act": "waive", "reason": "because"}
    path = f"/corrections/{HELD}"
    foreign = {"Origin": "http://evil.test", "Sec-Fetch-Site": "cross-site"}
    assert (await client.post(path, data=form, headers=foreign)).status_code == 403
    client.cookies.clear()
    assert (await client.post(path, data=form)).status_code in {303, 401, 403}
    assert desk.done == []


async def test_what_is_not_there_says_so(client: httpx.AsyncClient) -> None:
    assert (await client.get("/corrections/nope")).status_code == 404
    assert (await client.get(f"/corrections/{BROKEN}")).status_code == 503
    unknown = await client.post(f"/corrections/{HELD}", data={"act": "x", "more": "y"})
    assert unknown.status_code == 422


class Desk:
    """Takes what forms ask for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def correct(self, session_id: str, wish: Correction, actor: str) -> None:
        self.asked.append((session_id, wish, actor))

    async def credit(self, session_id: str, wish: Credit, actor: str) -> None:
        self.asked.append((session_id, wish, actor))

    async def bill(self, _session_id: str) -> dict[str, Any]:
        return {"minor_digits": 2}


def forms(desk: Desk) -> CorrectionForms:
    parts: Any = desk
    return CorrectionForms(queries=parts, desk=parts, settlement=parts, receipts=parts)


@pytest.mark.parametrize(
    ("typed", "minor"), [("1.5", 150), ("1,50", 150), ("0", 0), (" 12 ", 1200)]
)
async def test_amounts_are_typed_with_a_point_or_a_comma(
    typed: str, minor: int
) -> None:
    desk = Desk()
    form = {"act": "correct", "amount": typed, "reason": " because "}
    await forms(desk).act("s1", form, "t1")
    wish = Correction(stated=Stated(), amount_minor=minor, reason="because")
    assert desk.asked == [("s1", wish, "t1")]


async def test_kilowatt_hours_are_exact() -> None:
    desk = Desk()
    form = {"act": "credit", "end_kwh": "12,345678", "reason": "because", "key": "k"}
    await forms(desk).act("s1", form, "t1")
    assert desk.asked[0][1].stated == Stated(register_end_milliwh=12_345_678)


@pytest.mark.parametrize(
    "form",
    [
        {"amount": "1.505"},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"amount": "1.2.3"},
        {"amount": "²"},
        {"amount": "."},
        {"amount": "9" * 21},
        {"end_kwh": "0.0000001"},
        {"energy_kwh": "99999999999999"},
        {"amount": "1", "reason": "  "},
        {"act": "else"},
    ],
)
async def test_what_is_no_number_or_no_reason_is_refused(form: dict[str, str]) -> None:
    desk = Desk()
    with pytest.raises(RequestError) as caught:
        await forms(desk).act(
            "s1", {"act": "correct", "reason": "because", **form}, "t1"
        )
    assert caught.value.status == 422
    assert desk.asked == []
