"""A driver's receipt, checked by another process down to the meter's signature."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ocmf import Curve
from gateway.domain.signed_carrier import unwrap
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter
from tests.support.raw_station import RawStation

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.e2e


def at(site: ApiSite, seconds: float) -> str:
    moment = site.gateway.clock.now().timestamp() + seconds
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def signed(text: str, context: str) -> dict[str, str]:
    return {"value": text, "format": "SignedData", "context": context}


async def charge_16(site: ApiSite, station: RawStation, meter: Meter) -> None:
    """2 kWh; begin and end signed one by one, both in the message of the end."""
    begun = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1000,
            "timestamp": at(site, -3600),
        },
    )
    begin, end = meter.begin("1.0004"), meter.end("3.0008")
    await station.ask(
        "StopTransaction",
        {
            "transactionId": begun["transactionId"],
            "meterStop": 3000,
            "timestamp": at(site, 0),
            "transactionData": [
                {
                    "timestamp": at(site, -3600),
                    "sampledValue": [signed(begin, "Transaction.Begin")],
                },
                {
                    "timestamp": at(site, 0),
                    "sampledValue": [signed(end, "Transaction.End")],
                },
            ],
        },
    )


async def charge_201(site: ApiSite, station: RawStation, meter: Meter) -> None:
    """The same, told event by event."""

    def event(kind: str, seconds: float, wh: int, text: str, seq_no: int) -> Any:
        context = "Transaction.Begin" if kind == "Started" else "Transaction.End"
        return {
            "eventType": kind,
            "timestamp": at(site, seconds),
            "triggerReason": "CablePluggedIn" if kind == "Started" else "EVDeparted",
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": "t-201"},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": "DRIVER", "type": "ISO14443"},
            "meterValue": [
                {
                    "timestamp": at(site, seconds),
                    "sampledValue": [
                        {
                            "value": wh,
                            "context": context,
                            "measurand": "Energy.Active.Import.Register",
                            "signedMeterValue": {
                                "signedMeterData": text.encode().hex(),
                                "signingMethod": "",
                                "encodingMethod": "OCMF",
                                "publicKey": meter.public_key.encode().hex(),
                            },
                        }
                    ],
                }
            ],
        }

    begin, end = meter.begin("1.0004"), meter.end("3.0008")
    await station.ask("TransactionEvent", event("Started", -3600, 1000, begin, 0))
    await station.ask("TransactionEvent", event("Ended", 0, 3000, end, 1))


async def receipt_of(site: ApiSite, station_id: str) -> dict[str, Any]:
    """The receipt of the station's session, once it is on the chain."""
    (session,) = await site.call("GET", f"/sessions?station_id={station_id}")
    path = f"/sessions/{session['session_id']}"

    async def is_on_chain() -> bool:
        answer = await site.send("GET", f"{path}/bill")
        return answer.is_success and answer.json()["state"] == "on_chain"

    await site.until(is_on_chain)
    found: dict[str, Any] = await site.call("GET", f"{path}/receipt")
    return found


def verified(folder: Path, receipt: object, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and checks by name, of another process."""
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ledger", "verify", str(path), "--json", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, {
        one["name"]: one for one in json.loads(done.stdout)["checks"]
    }


def chain_file(folder: Path) -> str:
    (found,) = folder.rglob("chain.db")
    return str(found)


@pytest.mark.parametrize(
    ("station_id", "version", "curve"),
    [("OLD", "1.6", Curve.SECP192K1), ("NEW", "2.0.1", Curve.BRAINPOOL384R1)],
)
async def test_a_receipt_verifies_offline_down_to_the_key_on_the_meter(
    tmp_path: Path, station_id: str, version: str, curve: Curve
) -> None:
    meter = Meter(curve)
    passwords = {station_id: PASSWORD}
    async with api_site(tmp_path, passwords, backend="embedded") as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        body = {"public_key": meter.public_key, "meter_serial": meter.serial}
        await site.call("PUT", f"/stations/{station_id}/meter-keys/1", body)
        async with site.station(station_id, version) as station:
            await station.boot()
            charge = charge_16 if version == "1.6" else charge_201
            await charge(site, station, meter)
            receipt = await receipt_of(site, station_id)
        path = f"/sessions/{receipt['session']['session_id']}"
        xml = await site.send("GET", f"{path}/signed-data.xml")
        assert (await site.call("GET", f"{path}/bill"))["meter_signature"] == "ok"
    assert receipt["format"] == "wattproof-receipt/2"
    assert xml.headers["content-type"] == "application/xml"
    assert [(one.text, one.public_key) for one in unwrap(xml.text)] == [
        (json.loads(leaf["record"])["text"], meter.public_key)
        for leaf in receipt["leaves"]
        if leaf["kind"] == "signed_meter"
    ]
    code, checks = verified(tmp_path, receipt)
    assert code == 0, checks
    assert checks["meter-key"]["verdict"] == "unchecked"
    (tmp_path / "sticker.pem").write_text(meter.public_key, encoding="utf-8")
    code, checks = verified(
        tmp_path,
        receipt,
        "--meter-key",
        str(tmp_path / "sticker.pem"),
        "--chain",
        chain_file(tmp_path),
    )
    assert code == 0, checks
    verdicts = {name: one["verdict"] for name, one in checks.items()}
    for name in ("signed-data", "meter-signature", "signed-registers", "meter-key"):
        assert verdicts[name] == "true", checks[name]
    assert verdicts["settlement-on-chain"] == "self-witnessed"
    assert "3000800 mWh" in checks["signed-registers"]["reason"]
    assert receipt["bill"]["energy_milliwh"] == 2_000_400
    other = Meter(curve, secret=meter.secret + 1).point.hex()
    code, checks = verified(tmp_path, receipt, "--meter-key", other)
    assert code == 1
    assert "pinned was" in checks["meter-key"]["reason"]
