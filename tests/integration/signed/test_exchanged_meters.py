"""A meter is exchanged, and a session with the old one is heard of afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.bus import AlarmRaised
from ledger.meter_key import read_key
from ledger.verify import Verdict, verify
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter
from tests.support.signed_site import EICHRECHT, at

PATH = "/stations/OLD/meter-keys/1"


async def late_session(site: ApiSite, meter: Meter, ended_at: str) -> dict[str, Any]:
    """A session that a meter signed; its station had no network then."""
    async with site.station("OLD") as station:
        await station.boot()
        begun = await station.ask(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "DRIVER",
                "meterStart": 1000,
                "timestamp": at(site, -3600),
            },
        )
        value = {
            "value": meter.both("1.0", "3.0"),
            "format": "SignedData",
            "context": "Transaction.End",
        }
        await station.ask(
            "StopTransaction",
            {
                "transactionId": begun["transactionId"],
                "meterStop": 3000,
                "timestamp": ended_at,
                "transactionData": [{"timestamp": ended_at, "sampledValue": [value]}],
            },
        )
    rows = await site.call("GET", "/sessions?station_id=OLD&limit=1")
    path = f"/sessions/{rows[0]['session_id']}"

    async def is_judged() -> bool:
        return (await site.send("GET", f"{path}/bill")).status_code == 200

    await site.until(is_judged)
    session: dict[str, Any] = await site.call("GET", path)
    session["bill"] = await site.call("GET", f"{path}/bill")
    return session


async def pin(site: ApiSite, meter: Meter) -> None:
    body = {"public_key": meter.public_key, "meter_serial": meter.serial}
    await site.call("PUT", PATH, body)


@pytest.mark.parametrize(
    ("is_withdrawn", "ends_before", "verdict"),
    [(False, True, "ok"), (False, False, "failed"), (True, True, "failed")],
)
async def test_a_session_from_before_the_exchange_is_proved_by_the_old_key(
    tmp_path: Path, is_withdrawn: bool, ends_before: bool, verdict: str
) -> None:
    old, new = Meter(serial="OLD-1"), Meter(secret=11, serial="NEW-2")
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        await pin(site, old)
        before = at(site, 0)
        if is_withdrawn:
            await site.call("DELETE", PATH)
        await pin(site, new)
        ended_at = before if ends_before else at(site, 0)
        with site.parts.bus.subscribe("test", of=(AlarmRaised,)) as alarms:
            session = await late_session(site, old, ended_at)
            assert alarms.drain() == []
        assert session["signed"]["verdict"] == verdict
        is_ok = verdict == "ok"
        assert session["bill"]["state"] == ("settled" if is_ok else "held")
        if is_ok:
            session_id = session["session_id"]
            receipt = await site.call("GET", f"/sessions/{session_id}/receipt")
            report = verify(
                json.dumps(receipt).encode(), meter_key=read_key(old.public_key)
            )
            found = {one.name: one.verdict for one in report.checks}
            assert found["signed-registers"] is Verdict.TRUE, report.checks
            assert found["meter-key"] is Verdict.TRUE, report.checks


async def test_a_wrong_pin_that_is_put_right_proves_the_sessions_before(
    tmp_path: Path,
) -> None:
    wrong, right = Meter(secret=11), Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        body = {"public_key": wrong.public_key}
        await site.call("PUT", PATH, body)
        session = await late_session(site, right, at(site, 0))
        assert session["signed"]["reasons"] == ["signature_wrong"]
        await pin(site, right)
        path = f"/sessions/{session['session_id']}"
        assert (await site.call("GET", path))["signed"]["verdict"] == "ok"
        assert (await site.call("GET", f"{path}/bill"))["state"] == "settled"
