"""The driver's page over the whole gateway: from plugging in to a receipt to keep."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.clock import SystemClock
from tests.support.gateway_process import gateway, write_config
from tests.support.queue_station import PASSWORD, ask, connected

pytestmark = pytest.mark.e2e

START_WH = 1000


def _ago(seconds: int) -> str:
    moment = SystemClock().now() - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def receipt_of(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """The receipt, as soon as the session is judged."""
    answer = await client.get(path)
    for _ in range(300):
        if answer.status_code == httpx.codes.OK:
            break
        await asyncio.sleep(0.1)
        answer = await client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    receipt: dict[str, Any] = json.loads(answer.content)
    return receipt


async def test_a_driver_sees_energy_cost_and_at_the_end_a_receipt(
    tmp_path: Path,
) -> None:
    ports = write_config(tmp_path, {"CP1": PASSWORD}, ledger="none")
    async with (
        gateway(tmp_path, ports) as running,
        running.client() as api,
        httpx.AsyncClient(base_url=running.api_url) as stranger,
        connected(running.ocpp_url, "CP1", "ocpp1.6") as station,
    ):
        await api.put("/id-tokens/TAG1", json={"status": "Accepted"})
        await ask(
            station,
            "1",
            "BootNotification",
            {"chargePointVendor": "V", "chargePointModel": "<b>M</b>"},
        )
        started = await ask(
            station,
            "2",
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "TAG1",
                "meterStart": START_WH,
                "timestamp": _ago(240),
            },
        )
        transaction_id = started[2]["transactionId"]
        (session,) = (await api.get("/sessions", params={"open": True})).json()
        link = await api.get(f"/sessions/{session['session_id']}/driver-link")
        path = link.json()["path"]
        page = await stranger.get(path)
        assert page.status_code == 200, page.text
        assert "0.40 EUR per kWh" in page.text
        said = await stranger.post(
            f"{path}/need",
            data={"energy": "3", "leave": ""},
            headers={"Origin": running.api_url},
        )
        assert said.status_code == 200, said.text
        need = (await api.get(f"/sessions/{session['session_id']}")).json()["request"]
        assert need["energy_wh"] == 3000
        early = await stranger.get(f"{path}/receipt")
        assert early.status_code == 409
        early = await stranger.get(f"{path}/plan")
        assert early.status_code == 404
        assert "No plan has been made for it yet." in early.text
        early = await stranger.get(f"{path}/bill")
        assert early.status_code == 404
        assert "There is no bill yet" in early.text
        await ask(
            station,
            "3",
            "StopTransaction",
            {
                "transactionId": transaction_id,
                "meterStop": START_WH + 500,
                "timestamp": _ago(0),
            },
        )
        receipt = await receipt_of(stranger, f"{path}/receipt")
        assert receipt["bill"]["energy_milliwh"] == 500_000
        assert receipt["bill"]["amount_minor"] == 20
        page = await stranger.get(path)
        async with asyncio.timeout(30):
            while "0.500 kWh · 0.20 EUR" not in page.text:  # it is a little behind
                await asyncio.sleep(0.1)
                page = await stranger.get(path)
        assert "Not signed by the meter." in page.text
        assert (await stranger.get(f"{path}/signed-data.xml")).status_code == 404
        assert f'href="{path}/bill"' in page.text
        bill = await stranger.get(f"{path}/bill", headers={"Accept-Language": "nl"})
        assert "Te betalen: 0,20 EUR" in bill.text
        assert "TAG1" not in bill.text
        one, two = [await stranger.get(f"{path}/bill.pdf") for _ in range(2)]
        assert one.content == two.content
        assert one.content.startswith(b"%PDF-")
        forged = path[:-1] + ("A" if path[-1] != "A" else "B")
        for tail in ("", "/bill", "/bill.pdf"):
            assert (await stranger.get(f"{forged}{tail}")).status_code == 404
