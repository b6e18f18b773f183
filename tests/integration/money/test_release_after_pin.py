"""A key that was pinned without its held bills being judged again, as by a crash."""

import json
import sqlite3
from pathlib import Path

from gateway.domain.ids import StationId
from gateway.services import signed_evidence
from gateway.services.meter_keys import parse_key
from gateway.store import signed
from gateway.store.signed import PinnedKey
from ledger.verify import Verdict
from tests.integration.money.test_key_history import checked, session_with
from tests.integration.money.test_signed_sessions import EICHRECHT
from tests.support.api_site import PASSWORD, api_site
from tests.support.ocmf import Meter


async def test_a_released_bill_says_of_its_signed_data_what_it_was_judged_by(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        session_id = await session_with(site, meter.both("1.0", "3.0"))
        path = f"/sessions/{session_id}"
        bill = await site.call("GET", f"{path}/bill")
        assert (bill["state"], bill["meter_signature"]) == ("held", "unverified")
        parsed = parse_key(meter.public_key)
        key = PinnedKey(
            curve=parsed.curve.value,
            point=parsed.point,
            meter_serial=meter.serial,
            pinned_at=site.gateway.clock.now(),
            pinned_by="op",
        )

        def pin(conn: sqlite3.Connection) -> None:
            signed.pin(conn, StationId("OLD"), 1, key)
            signed_evidence.seal_pin(conn, StationId("OLD"), 1, key)

        await site.gateway.writer.run(pin)
        await site.call("POST", f"{path}/bill/release")
        bill = await site.call("GET", f"{path}/bill")
        assert bill["meter_signature"] == "ok"
        leaf, verdicts = await checked(site, session_id, meter)
        assert json.loads(leaf["record"])["meter_serial"] == meter.serial
        assert verdicts["signed-registers"] is Verdict.TRUE
        assert Verdict.FALSE not in verdicts.values()
