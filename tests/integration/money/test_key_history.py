"""Which key was pinned when is sealed, and a later exchange of it rewrites nothing."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from gateway.domain.ids import StationId
from gateway.store import key_history, signed
from ledger.meter_key import read_key
from ledger.verify import Verdict, verify
from tests.integration.money.test_signed_sessions import EICHRECHT, charge
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter

KEYS = "/stations/OLD/meter-keys"


async def pin(site: ApiSite, meter: Meter, serial: str | None = None) -> None:
    body = {"public_key": meter.public_key, "meter_serial": serial or meter.serial}
    await site.call("PUT", f"{KEYS}/1", body)


async def session_with(site: ApiSite, *texts: str) -> str:
    async with site.station("OLD") as station:
        await station.boot()
        records = [("Transaction.End", text) for text in texts]
        session = await charge(site, station, records)
    return str(session["session_id"])


async def checked(
    site: ApiSite, session_id: str, meter: Meter
) -> tuple[dict[str, Any], dict[str, Verdict]]:
    """The leaf of the key in the receipt of a session, and all checks."""
    receipt = await site.call("GET", f"/sessions/{session_id}/receipt")
    report = verify(json.dumps(receipt).encode(), meter_key=read_key(meter.public_key))
    leaves = [one for one in receipt["leaves"] if one["kind"] == "meter_key"]
    leaf = leaves[0] if leaves else {}
    return leaf, {check.name: check.verdict for check in report.checks}


async def test_pins_and_withdrawals_are_leaves_and_stay_with_their_times(
    tmp_path: Path,
) -> None:
    old, new = Meter(secret=5), Meter(secret=6, serial="NEW")
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await pin(site, old)
        await pin(site, new)
        await site.call("DELETE", f"{KEYS}/1")
        history = (await site.call("GET", KEYS))["history"]
        assert [one["meter_serial"] for one in history] == ["NEW", old.serial]
        assert history[1]["until"] == history[0]["pinned_at"]
        assert history[0]["until"] is not None
        count = (await site.call("GET", "/ledger"))["leaf_count"]
        leaves = [await site.call("GET", f"/ledger/leaves/{i}") for i in range(count)]
        records = [
            json.loads(leaf["record"]) for leaf in leaves if leaf["kind"] == "meter_key"
        ]
        assert [one["meter_serial"] for one in records] == [old.serial, "NEW", None]
        assert [one["public_key"] for one in records] == [
            old.point.hex().upper(),
            new.point.hex().upper(),
            None,
        ]
        assert records[0]["occurred_at"] == history[1]["pinned_at"]


async def test_a_bill_released_after_the_exchange_of_its_meter_names_the_old_key(
    tmp_path: Path,
) -> None:
    old, new = Meter(secret=5), Meter(secret=6, serial="NEW")
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await pin(site, old)
        session_id = await session_with(site, old.both("1.0", "4.0"))
        path = f"/sessions/{session_id}"
        bill = await site.call("GET", f"{path}/bill")
        assert (bill["state"], bill["reasons"]) == ("held", ["signed_energy_differs"])
        await pin(site, new)
        await pin(site, old, serial="wrong by mistake")
        await pin(site, new)
        await site.call("POST", f"{path}/bill/release")
        leaf, verdicts = await checked(site, session_id, old)
        assert json.loads(leaf["record"])["meter_serial"] == old.serial
        assert verdicts["signed-registers"] is Verdict.TRUE
        assert Verdict.FALSE not in verdicts.values()


async def test_of_two_pins_of_one_key_the_one_to_the_meter_that_signed_counts(
    tmp_path: Path,
) -> None:
    meter = Meter()
    key = meter.curve.value, meter.point.hex().upper()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await pin(site, meter)
        await pin(site, meter, serial="wrong by mistake")

        def found(conn: sqlite3.Connection) -> list[str | None]:
            now = site.gateway.clock.now()
            pins = [
                key_history.used(conn, StationId("OLD"), 1, key, serial=serial, at=now)
                for serial in (meter.serial, "wrong by mistake", "OTHER", None)
            ]
            return [None if one is None else one.key.meter_serial for one in pins]

        wrong = "wrong by mistake"
        told = await site.gateway.writer.run(found)
        assert told == [meter.serial, wrong, wrong, wrong]


async def test_registers_that_an_operator_states_are_never_passed_off_as_signed(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await pin(site, meter)
        session_id = await session_with(site, meter.both("1.0", "4.0"))
        path = f"/sessions/{session_id}"
        body = {"register_end_milliwh": 3_000_000, "reason": "the display said so"}
        await site.call("POST", f"{path}/bill/correct", body)
        receipt = await site.call("GET", f"{path}/receipt")
        report = verify(json.dumps(receipt).encode())
        assert report.verdict is not Verdict.FALSE, report.to_json()
        (check,) = [one for one in report.checks if one.name == "meter-signature"]
        assert check.verdict is Verdict.UNCHECKED
        assert "other_registers_billed" in check.reason
        bill = await site.call("GET", f"{path}/bill")
        assert bill["meter_signature"] == "unverified"
        assert bill["meter"]["signature"]["state"] == "unverified"
        demanded = verify(
            json.dumps(receipt).encode(), meter_key=read_key(meter.public_key)
        )
        assert demanded.verdict is Verdict.FALSE


async def test_a_pin_from_before_pins_were_sealed_is_sealed_when_first_needed(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await pin(site, meter)
        await site.gateway.writer.run(
            lambda conn: conn.execute("UPDATE meter_key_history SET leaf_index = NULL")
        )
        ids = [await session_with(site, meter.both("1.0", "3.0")) for _ in range(2)]
        found = [await checked(site, session_id, meter) for session_id in ids]
        assert found[0][0]["index"] == found[1][0]["index"]
        for _leaf, verdicts in found:
            assert verdicts["meter-key"] is Verdict.TRUE
            assert Verdict.FALSE not in verdicts.values()


async def test_a_key_of_which_nothing_is_kept_proves_nothing_to_others(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await pin(site, meter)
        await site.gateway.writer.run(
            lambda conn: conn.execute("DELETE FROM meter_key_history")
        )
        session_id = await session_with(site, meter.both("1.0", "3.0"))
        receipt = await site.call("GET", f"/sessions/{session_id}/receipt")
        report = verify(json.dumps(receipt).encode())
        (check,) = [one for one in report.checks if one.name == "meter-signature"]
        assert check.verdict is Verdict.UNCHECKED
        assert "meter_key_not_kept" in check.reason


async def test_a_record_with_half_a_character_holds_up_nobody(tmp_path: Path) -> None:
    meter = Meter()
    broken = json.dumps({"signedData": meter.both("1.0", "3.0") + "\ud800"})
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await pin(site, meter)
        session_id = await session_with(site, broken)
        session = await site.call("GET", f"/sessions/{session_id}")
        assert session["signed"]["reasons"] == ["signed_format"]
        assert (await site.call("GET", f"/sessions/{session_id}/bill"))["state"]
        other = await session_with(site, meter.both("1.0", "3.0"))
        _leaf, verdicts = await checked(site, other, meter)
        assert verdicts["meter-signature"] is Verdict.TRUE


async def test_the_key_that_is_trusted_now_is_the_last_of_its_history(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        for secret in (5, 6):
            await pin(site, Meter(secret=secret))
        pinned = await site.gateway.writer.run(
            lambda conn: signed.pinned(conn, StationId("OLD"), 1)
        )
        history = (await site.call("GET", KEYS))["history"]
        assert pinned is not None
        assert history[0]["public_key"] == pinned.point
        assert history[0]["until"] is None
