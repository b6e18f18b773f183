"""Signed records in vendors' own messages of 2.0.1, over the real wire."""

from pathlib import Path
from typing import Any

from tests.support.api_site import PASSWORD, api_site
from tests.support.ocmf import Meter
from tests.support.signed_site import EICHRECHT, at

OFFER = {"vendorId": "maker", "messageId": "signed"}


async def test_a_record_by_data_transfer_of_2_0_1_joins_its_session(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"NEW": PASSWORD}, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        body = {"public_key": meter.public_key}
        await site.call("PUT", "/stations/NEW/meter-keys/1", body)
        async with site.station("NEW", "2.0.1") as station:
            await station.boot()
            data: dict[str, Any] = {
                "transactionId": "tx-unheard-of",
                "signedMeterValue": meter.both("1.0", "3.0"),
            }
            answer = await station.ask("DataTransfer", {**OFFER, "data": data})
            assert answer["status"] == "Accepted"
            assert await site.call("GET", "/sessions?station_id=NEW") == []
            for number, (kind, wh) in enumerate([("Started", 1000), ("Ended", 3000)]):
                when = at(site, 3600.0 * (number - 1))
                context = "Transaction.End" if number else "Transaction.Begin"
                sample = {"value": wh, "context": context}
                await station.ask(
                    "TransactionEvent",
                    {
                        "eventType": kind,
                        "timestamp": when,
                        "triggerReason": "Authorized",
                        "seqNo": number,
                        "transactionInfo": {"transactionId": "tx-1"},
                        "evse": {"id": 1, "connectorId": 1},
                        "idToken": {"idToken": "DRIVER", "type": "ISO14443"},
                        "meterValue": [{"timestamp": when, "sampledValue": [sample]}],
                    },
                )
            data["transactionId"] = "tx-1"
            answer = await station.ask("DataTransfer", {**OFFER, "data": data})
            assert answer["status"] == "Accepted"
            answer = await station.ask("DataTransfer", {**OFFER, "data": [1]})
            assert answer["status"] == "UnknownVendorId"
        rows = await site.call("GET", "/sessions?station_id=NEW")
        path = f"/sessions/{rows[0]['session_id']}"

        async def is_settled() -> bool:
            answer = await site.send("GET", f"{path}/bill")
            return answer.is_success and answer.json()["state"] == "settled"

        await site.until(is_settled)
        session = await site.call("GET", path)
        assert (session["verdict"], session["signed"]["verdict"]) == ("ok", "ok")
