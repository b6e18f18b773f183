"""Signed records of a station become a verdict on its session, over the real wire."""

from pathlib import Path
from typing import Any

from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter
from tests.support.raw_station import RawStation

EICHRECHT = {"currency": "EUR", "default_tariff": "day", "regime": "eichrecht"}


def at(site: ApiSite, seconds: float) -> str:
    moment = site.gateway.clock.now().timestamp() + seconds
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


async def charge(
    site: ApiSite, station: RawStation, records: list[tuple[str, str]]
) -> dict[str, Any]:
    """A 1.6 transaction of 2 kWh whose stop carries these signed values."""
    begun = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1000,
            "timestamp": at(site, -3600),
        },
    )
    values = [
        {
            "timestamp": at(site, -3600 if context.endswith("Begin") else 0),
            "sampledValue": [
                {"value": text, "format": "SignedData", "context": context}
            ],
        }
        for context, text in records
    ]
    await station.ask(
        "StopTransaction",
        {
            "transactionId": begun["transactionId"],
            "meterStop": 3000,
            "timestamp": at(site, 0),
            "transactionData": values,
        },
    )
    rows = await site.call("GET", "/sessions?station_id=OLD&limit=1")
    session_id = rows[0]["session_id"]

    async def is_judged() -> bool:
        answer = await site.send("GET", f"/sessions/{session_id}/bill")
        return answer.status_code == 200

    await site.until(is_judged)
    found: dict[str, Any] = await site.call("GET", f"/sessions/{session_id}")
    return found


async def test_a_stop_with_signed_values_is_verified_and_settles_by_itself(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        pinned = await site.call(
            "PUT",
            "/stations/OLD/meter-keys/1",
            {"public_key": meter.public_key, "meter_serial": meter.serial},
        )
        assert pinned["curve"] == "secp256r1"
        async with site.station("OLD") as station:
            await station.boot()
            session = await charge(
                site,
                station,
                [
                    ("Transaction.Begin", meter.begin("1.0004")),
                    ("Transaction.End", meter.end("3.0008")),
                ],
            )
        assert session["verdict"] == "ok"
        signed = session["signed"]
        assert (signed["verdict"], signed["reasons"]) == ("ok", [])
        assert [one["reason"] for one in signed["records"]] == [None, None]
        bill = await site.call("GET", f"/sessions/{session['session_id']}/bill")
        assert (bill["state"], bill["verdict"]) == ("settled", "ok")
        assert bill["energy_milliwh"] == 2_000_400


async def test_without_a_pinned_key_nothing_settles_and_pinning_makes_it_settle(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        async with site.station("OLD") as station:
            await station.boot()
            session = await charge(
                site, station, [("Transaction.End", meter.both("1.0", "3.0"))]
            )
        path = f"/sessions/{session['session_id']}"
        assert session["verdict"] == "ok-unsigned"
        assert session["signed"]["verdict"] == "unverified"
        assert session["signed"]["reasons"] == ["meter_key_not_pinned"]
        assert (await site.call("GET", f"{path}/bill"))["state"] == "held"
        body = {"public_key": meter.public_key}
        await site.call("PUT", "/stations/OLD/meter-keys/1", body)
        assert (await site.call("GET", f"{path}/bill"))["state"] == "settled"
        assert (await site.call("GET", path))["verdict"] == "ok"
