"""From the operator's request to the chain, the receipt, and records for others."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from gateway.web.correction_page import add_corrections
from gateway.web.login import COOKIE
from ledger import verify
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocpi import CPO, PLACE, check
from tests.support.pages_site import ADMIN, fake_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIONS = {"OLD": PASSWORD, "NEW": PASSWORD}
PAID = 84
"""Cents for the 2 kWh of `charge`."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(folder: Path) -> AsyncIterator[ApiSite]:
    async with api_site(
        folder, STATIONS, backend="embedded", cpo=CPO, site=PLACE
    ) as running:
        await running.call("PUT", "/id-tokens/DRIVER", {})
        yield running


def at(site: ApiSite, seconds: float) -> str:
    moment = site.gateway.clock.now().timestamp() + seconds
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


async def charge(site: ApiSite, station: RawStation, wh: int = 2000) -> str:
    """A session of half an hour; its id once its bill is made."""
    started = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1000,
            "timestamp": at(site, -3600),
        },
    )
    await stop(site, station, started["transactionId"], wh)
    (row,) = await site.call(
        "GET", f"/sessions?station_id={station.station_id}&limit=1"
    )
    session_id = str(row["session_id"])

    async def is_judged() -> bool:
        answer = await site.send("GET", f"/sessions/{session_id}/bill")
        return answer.is_success

    await site.until(is_judged)
    return session_id


async def stop(site: ApiSite, station: RawStation, number: int, wh: int) -> None:
    await station.ask(
        "StopTransaction",
        {
            "transactionId": number,
            "meterStop": 1000 + wh,
            "timestamp": at(site, -1800),
            "reason": "EVDisconnected",
        },
    )


async def credited(site: ApiSite, session_id: str, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = await site.call(
        "POST",
        f"/sessions/{session_id}/credits",
        {"reason": "a fault of ours", "idempotency_key": "k", **body},
        status=201,
    )
    return found


async def on_chain(site: ApiSite, session_id: str) -> list[dict[str, Any]]:
    """The credits of a session, once all of them are recorded."""
    found: list[dict[str, Any]] = []

    async def is_recorded() -> bool:
        found[:] = await site.call("GET", f"/sessions/{session_id}/credits")
        return all(one["state"] == "on_chain" for one in found)

    async with asyncio.timeout(60):
        await site.parts.anchoring.flush()
        while not await is_recorded():  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.1)
    return found


def verdicts(receipt: dict[str, Any], chain: Path) -> dict[str, verify.Check]:
    report = verify.verify(json.dumps(receipt).encode(), chain_path=chain)
    return {check.name: check for check in report.checks}


async def test_a_credit_reaches_bill_chain_receipt_and_records(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        session_id = await charge(site, station)
    before = await site.call("GET", f"/sessions/{session_id}/bill")
    assert (before["amount_minor"], before["balance_minor"]) == (PAID, PAID)
    made = await credited(site, session_id, amount_minor=24)
    again = await credited(site, session_id, amount_minor=24)
    assert again["credit_id"] == made["credit_id"]
    bill = await site.call("GET", f"/sessions/{session_id}/bill")
    assert (bill["amount_minor"], bill["balance_minor"]) == (PAID, 60)
    assert bill["bill_sha256"] == before["bill_sha256"]
    (credit,) = await on_chain(site, session_id)
    assert credit["amount_minor"] == 24
    receipt = await site.call("GET", f"/sessions/{session_id}/receipt")
    chain = site.parts.config.store.chain_path
    checks = verdicts(receipt, chain)
    false = [one for one in checks.values() if one.verdict is verify.Verdict.FALSE]
    assert false == []
    assert checks["credits"].verdict is verify.Verdict.TRUE
    assert checks["credits-on-chain"].verdict is verify.Verdict.SELF_WITNESSED
    whole, back, rest = await site.call("GET", f"/sessions/{session_id}/cdrs")
    for one in (whole, back, rest):
        check(one)
    assert whole == await site.call("GET", f"/sessions/{session_id}/cdr")
    assert back["credit"] is True
    assert back["credit_reference_id"] == whole["id"]
    totals = [one["total_cost"]["incl_vat"] for one in (whole, back, rest)]
    assert totals == [0.84, -0.84, 0.6]
    exported = await site.call("GET", "/cdrs")
    assert exported == [whole, back, rest]
    trail = await site.call("GET", "/audit?limit=5", role="admin")
    assert "bill.credited" in {line["action"] for line in trail}


async def test_a_corrected_bill_says_so_in_its_receipt(site: ApiSite) -> None:
    async with site.station("NEW") as station:
        await station.boot()
        session_id = await charge(site, station, wh=900_000)
    path = f"/sessions/{session_id}"
    assert (await site.call("GET", f"{path}/bill"))["state"] == "held"
    error = await site.call(
        "POST", f"{path}/bill/correct", {"energy_milliwh": 1, "reason": ""}, status=422
    )
    assert error["error"] == "invalid"
    bill = await site.call(
        "POST",
        f"{path}/bill/correct",
        {"energy_milliwh": 2_000_000, "reason": "read at the meter"},
    )
    assert (bill["state"], bill["amount_minor"]) == ("settled", PAID)
    assert bill["decision"]["decision"] == "corrected"
    await site.call("POST", f"{path}/bill/waive", {"reason": "again"}, status=409)
    await credited(site, session_id, energy_milliwh=1_000_000)
    (credit,) = await on_chain(site, session_id)
    assert credit["amount_minor"] == PAID // 2
    receipt = await site.call("GET", f"{path}/receipt")
    chain = site.parts.config.store.chain_path
    checks = verdicts(receipt, chain)
    assert checks["decision"].reason == "corrected by an operator: read at the meter"
    assert checks["registers"].verdict is verify.Verdict.UNCHECKED
    assert "operator stated the end register" in checks["registers"].reason
    assert checks["credits"].verdict is verify.Verdict.TRUE
    receipt["leaves"] = [one for one in receipt["leaves"] if one["kind"] != "credit"]
    assert verdicts(receipt, chain)["credits"].verdict is verify.Verdict.FALSE


async def test_the_pages_know_a_held_bill_by_its_charger(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        session_id = await charge(site, station, 900_000)
    app, access = FastAPI(), fake_site()
    add_corrections(app, access, access, site.parts._money.correction_forms)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://wattproof.test",
        cookies={COOKIE: ADMIN},
    ) as client:
        for path in ("/corrections", f"/corrections/{session_id}"):
            shown = await client.get(path)
            assert shown.status_code == 200, shown.text
            assert "OLD · 1" in shown.text
            assert "More energy than" in shown.text


@pytest.mark.parametrize("role", [None, "viewer", "auditor"])
async def test_only_operators_correct(site: ApiSite, role: str | None) -> None:
    for path, body in (
        ("credits", {"amount_minor": 1, "reason": "mine", "idempotency_key": "k"}),
        ("bill/correct", {"amount_minor": 1, "reason": "mine"}),
        ("bill/waive", {"reason": "mine"}),
        ("correction-proposal/accept", None),
        ("correction-proposal/dismiss", {"reason": "mine"}),
    ):
        answer = await site.send("POST", f"/sessions/s1/{path}", body, role=role)
        assert answer.status_code in {401, 403}, answer.text


async def test_a_second_end_after_the_settlement_is_proposed(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        session_id = await charge(site, station)
        (row,) = await site.call("GET", "/sessions?station_id=OLD&limit=1")
        await stop(site, station, int(row["transaction_id"]), 1000)
        found: list[dict[str, Any]] = []

        async def is_proposed() -> bool:
            found[:] = await site.call("GET", "/correction-proposals")
            return bool(found)

        await site.until(is_proposed)
    (proposal,) = found
    assert proposal["session_id"] == session_id
    assert (proposal["amount_minor"], proposal["difference_minor"]) == (42, 42)
    path = f"/sessions/{session_id}"
    assert (await site.call("GET", f"{path}/bill"))["amount_minor"] == PAID
    credit = await site.call("POST", f"{path}/correction-proposal/accept", status=201)
    assert credit["amount_minor"] == 42
    assert (await site.call("GET", f"{path}/bill"))["balance_minor"] == 42
    assert await site.call("GET", "/correction-proposals") == []
    await site.call("POST", f"{path}/correction-proposal/accept", status=404)


async def test_operators_keep_the_address_of_an_id_token(site: ApiSite) -> None:
    put = await site.call("PUT", "/wallets/OTHER", {"address": "0x" + "AB" * 20})
    assert put["address"] == "0x" + "ab" * 20
    assert (await site.call("GET", "/wallets/other"))["address"] == put["address"]
    answers = [
        await site.send("PUT", "/wallets/OTHER", {"address": "0x12"}),
        await site.send("GET", "/wallets/OTHER", role="viewer"),
        await site.send("DELETE", "/wallets/OTHER"),
        await site.send("GET", "/wallets/OTHER"),
        await site.send("DELETE", "/wallets/OTHER"),
    ]
    assert [one.status_code for one in answers] == [422, 403, 204, 404, 404]
