"""The page that verifies receipts: what is served, and what it may do."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.domain.bill_labels import ENGLISH
from gateway.domain.bill_labels_more import ALL
from gateway.web.compact import compact_script, compact_style
from gateway.web.driver import add_driver
from gateway.web.driver_bill import add_driver_bill
from gateway.web.headers import PageHeaders
from gateway.web.verify_page import add_verify, page_policy, verify_page
from ledger.check_names import CABINET, PAYMENT, RECEIPT
from tests.support.page_contracts import FILE, contracts_script
from tests.support.pages_bills import FakeBills
from tests.support.pages_site import DRIVER, fake_site

MAX_BYTES = 110_000
SHOWN = tuple(name for name in RECEIPT if name != PAYMENT)
"""Checks that the page has, too: it does not look at an escrow."""
"""Uncompressed; compressed it is a third of that."""
POLICY = re.compile(r'Content-Security-Policy" content="([^"]*)"')


def test_the_page_is_small_and_names_no_other_address() -> None:
    page = verify_page()
    assert len(page.encode()) < MAX_BYTES
    assert "http://" not in page
    assert set(re.findall(r"https://[^\"]*", page)) == {"https://"}
    assert re.findall(r"\b(?:src|href)=\"([^\"]*)\"", page) == ["data:,", ""]


@pytest.mark.parametrize("tag", ["style", "script"])
def test_only_its_own_script_and_style_may_run(tag: str) -> None:
    page = verify_page({"text": "</script><script>alert(1)</script>"})
    (own,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    (policy,) = POLICY.findall(page)
    assert policy == page_policy()
    assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")


def test_a_receipt_it_carries_is_data_and_reads_back_as_it_was() -> None:
    receipt: Mapping[str, Any] = {"a": "<!-- </script> ü \ud800 &amp;", "n": 2**53}
    page = verify_page(receipt)
    kept = re.findall(
        r'<script type="application/json" id="receipt">([^<]*)</script>', page
    )
    assert [json.loads(one) for one in kept] == [receipt]


async def test_a_drivers_link_has_it_with_the_receipt_once_the_bill_is_made() -> None:
    site = fake_site()
    bills = FakeBills(DRIVER)
    app = FastAPI()
    add_driver(app, site, site.clock)
    add_driver_bill(app, site, bills)
    app.add_middleware(PageHeaders)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        early = await client.get(f"/d/{DRIVER}/verify")
        assert early.status_code == 404
        assert "There is no bill yet" in early.text
        site.is_ended = True
        answer = await client.get(f"/d/{DRIVER}/verify")
        assert answer.text.count('<script type="application/json" id="receipt">') == 1
        assert "wattproof-receipt/2" in answer.text
        assert page_policy() in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert (await client.get("/d/other/verify")).status_code == 404
        linked = f'href="/d/{DRIVER}/verify'
        assert linked in (await client.get(f"/d/{DRIVER}")).text
        assert linked in (await client.get(f"/d/{DRIVER}/bill")).text


async def test_it_is_served_to_anybody_with_its_policy() -> None:
    app = FastAPI()
    add_verify(app)
    app.add_middleware(PageHeaders)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/verify")
    assert answer.status_code == 200
    assert answer.text == verify_page()
    policy = answer.headers["content-security-policy"]
    assert policy == f"{page_policy()}; frame-ancestors 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_it_knows_code_and_events_of_the_contracts_as_they_are_compiled() -> None:
    assert FILE.read_text("utf-8") == contracts_script(), (
        "write it anew: python -m tests.support.page_contracts"
    )


def test_it_names_every_check_that_the_command_has() -> None:
    words = FILE.with_name("90-words.js").read_text("utf-8")

    def names(constant: str) -> tuple[str, ...]:
        (found,) = re.findall(rf"const {constant} = \[(.*?)\];", words, re.DOTALL)
        return tuple(re.findall(r'"([a-z-]+)"', found))

    assert names("NAMES") == SHOWN
    assert (*names("CABINET_NAMES"), "consistency") == CABINET
    for list_name, expected in (("checks", SHOWN), ("cabinet", CABINET[:-1])):
        lists = re.findall(rf"    {list_name}: \[\n(.*?)\n    \],", words, re.DOTALL)
        sizes = [len(json.loads(f"[{one.strip().rstrip(',')}]")) for one in lists]
        assert sizes == [len(expected)] * len(ALL)


def test_it_speaks_the_languages_of_bills() -> None:
    words = FILE.with_name("90-words.js").read_text("utf-8")
    languages = re.findall(r"^  (\w\w): \{$", words, re.MULTILINE)
    assert languages == list(ALL)
    assert len({one.verify_here for one in ALL.values()}) == len(ALL)
    assert ENGLISH.verify_here


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const a = 1; // one\nlet b = a + +a;", "const a=1;let b=a+ +a;"),
        ("x = a / b / c; /* no */ y", "x=a/b/c;y"),
        ('m(/[ /"]+ x/gu, "a  //b");', 'm(/[ /"]+ x/gu,"a  //b");'),
        ("t = `a  ${ b }  // c`;", "t=`a  ${ b }  // c`;"),
        ("return typeof $x in y", "return typeof $x in y"),
        ("'it\\'s  '  +  1", "'it\\'s  '+1"),
    ],
)
def test_compact_scripts_lose_nothing_that_means_something(
    text: str, expected: str
) -> None:
    assert compact_script(text) == expected


def test_compact_styles_lose_nothing_that_means_something() -> None:
    text = "a b , c > d {  margin : 0 auto ; /* x */ }\n@media (a: b) { e { f: g } }"
    assert compact_style(text) == "a b,c>d{margin : 0 auto;}@media (a: b){e{f: g}}"
