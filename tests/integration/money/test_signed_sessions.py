"""Signed records of a station become a verdict on its session, over the real wire."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.bus import AlarmRaised
from gateway.domain.ocmf import Curve
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.billed import (
    DRIVER,
    Talk16,
    Talk201,
    ago,
    judged,
    newest,
    settled_bill,
    signed_16,
    signed_201,
)
from tests.support.ocmf import Meter
from tests.support.raw_station import RawStation

EICHRECHT = {"currency": "EUR", "default_tariff": "day", "regime": "eichrecht"}


async def with_driver(site: ApiSite, meter: Meter, station_id: str = "OLD") -> None:
    """A driver who may charge where the meter's key is pinned."""
    await site.call("PUT", f"/id-tokens/{DRIVER}", {})
    body = {"public_key": meter.public_key}
    await site.call("PUT", f"/stations/{station_id}/meter-keys/1", body)


async def charge(
    site: ApiSite, station: RawStation, records: list[tuple[str, str]]
) -> dict[str, Any]:
    """A 1.6 transaction of 2 kWh whose stop carries these signed values."""
    talk, began, end = Talk16(station), ago(site, hours=1), ago(site)
    number = await talk.start(began)
    values = [
        signed_16(began if context.endswith("Begin") else end, context, text)
        for context, text in records
    ]
    await talk.stop(number, end, 3000, transactionData=values)
    session_id = (await newest(site, station.station_id))["session_id"]
    await judged(site, session_id)
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


FORGED = [
    ('"kWh"', '"Wh"', "signature_wrong"),
    ("DRIVER", "OTHERS", "signature_wrong"),
]


@pytest.mark.parametrize(("old", "new", "reason"), FORGED)
async def test_a_forged_record_holds_the_bill_and_says_why(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await with_driver(site, meter)
        async with site.station("OLD") as station:
            await station.boot()
            forged = meter.both("1.0", "3.0").replace(old, new)
            session = await charge(site, station, [("Transaction.End", forged)])
        assert session["verdict"] == "suspicious"
        assert session["signed"]["verdict"] == "failed"
        assert session["signed"]["reasons"] == [reason]
        assert session["signed"]["records"][0]["text"] == forged
        bill = await site.call("GET", f"/sessions/{session['session_id']}/bill")
        assert (bill["state"], bill["reasons"]) == ("held", [reason])


async def test_hostile_data_harms_neither_the_session_nor_its_bill(
    tmp_path: Path,
) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><values>&b;</values>'
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        async with site.station("OLD") as station:
            await station.boot()
            records = [("Transaction.End", one) for one in (bomb, "{" * 3_000, "?")]
            session = await charge(site, station, records)
            again = await charge(site, station, [("Transaction.End", "9" * 99_999)])
        assert session["energy_milliwh"] == again["energy_milliwh"] == 2_000_000
        assert session["signed"]["reasons"] == [
            "meter_key_not_pinned",
            "signed_bad_json",
            "signed_format",
            "signed_hostile_xml",
        ]
        assert again["verdict"] == "ok-unsigned"


async def test_a_record_of_an_earlier_session_is_not_billed_twice(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await with_driver(site, meter)
        async with site.station("OLD") as station:
            await station.boot()
            records = [("Transaction.End", meter.both("1.0", "3.0"))]
            first = await charge(site, station, records)
            second = await charge(site, station, records)
        assert first["signed"]["verdict"] == "ok"
        assert second["signed"]["reasons"] == ["signed_record_reused"]
        assert second["verdict"] == "suspicious"


async def test_a_record_of_another_meter_than_the_pinned_one_is_not_believed(
    tmp_path: Path,
) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        body = {"public_key": meter.public_key, "meter_serial": "ANOTHER"}
        await site.call("PUT", "/stations/OLD/meter-keys/1", body)
        async with site.station("OLD") as station:
            await station.boot()
            records = [("Transaction.End", meter.both("1.0", "3.0"))]
            session = await charge(site, station, records)
        assert session["signed"]["reasons"] == ["meter_serial_not_pinned"]
        assert session["verdict"] == "suspicious"


async def test_a_changed_key_is_an_alarm_and_a_proposal_but_never_trusted(
    tmp_path: Path,
) -> None:
    mine, other = Meter(), Meter(secret=4711)
    async with api_site(tmp_path, {"OLD": PASSWORD}) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        body = {"public_key": mine.public_key, "meter_serial": mine.serial}
        await site.call("PUT", "/stations/OLD/meter-keys/1", body)
        text = other.both("1.0", "3.0").encode()
        carried = {
            "signedMeterValue": base64.b64encode(text).decode(),
            "encodingMethod": "OCMF",
            "publicKey": other.public_key,
        }
        with site.parts.bus.subscribe("test", of=(AlarmRaised,)) as alarms:
            async with site.station("OLD") as station:
                await station.boot()
                records = [("Transaction.End", json.dumps(carried))]
                session = await charge(site, station, records)
            (alarm,) = await alarms.batch()
        assert isinstance(alarm, AlarmRaised)
        assert (alarm.component, alarm.variable) == ("FiscalMetering", "PublicKey")
        assert session["signed"]["reasons"] == ["meter_key_changed", "signature_wrong"]
        keys = await site.call("GET", "/stations/OLD/meter-keys", role="viewer")
        (pinned,), (proposed,) = keys["pinned"], keys["proposed"]
        assert pinned["public_key"] == mine.point.hex().upper()
        assert proposed["public_key"] == other.point.hex().upper()
        assert (proposed["is_pinned"], proposed["meter_serial"]) == (False, mine.serial)
        page = await site.parts.live.station("OLD")
        assert page is not None
        states = [(one["state"], one["curve"]) for one in page["meter_keys"]]
        assert states == [("pinned", "secp256r1"), ("changed", "secp256r1")]


async def test_a_record_by_data_transfer_joins_its_session(tmp_path: Path) -> None:
    meter = Meter()
    async with api_site(tmp_path, {"OLD": PASSWORD}, billing=EICHRECHT) as site:
        await with_driver(site, meter)
        async with site.station("OLD") as station:
            await station.boot()
            session = await charge(site, station, [])
            assert session["signed"]["verdict"] == "unsigned"
            path = f"/sessions/{session['session_id']}"
            assert (await site.call("GET", f"{path}/bill"))["state"] == "held"
            data = {
                "transactionId": int(session["transaction_id"]),
                "signedMeterValue": meter.both("1.0", "3.0"),
            }
            offer = {"vendorId": "maker", "messageId": "signed"}
            answer = await station.ask(
                "DataTransfer", {**offer, "data": json.dumps(data)}
            )
            assert answer["status"] == "Accepted"
            answer = await station.ask("DataTransfer", {**offer, "data": "{}"})
            assert answer["status"] == "UnknownVendorId"

        await settled_bill(site, session["session_id"])
        session = await site.call("GET", path)
        assert (session["verdict"], session["signed"]["verdict"]) == ("ok", "ok")
        assert session["ended_at"] is not None


async def test_keys_are_pinned_by_operators_and_audited(tmp_path: Path) -> None:
    path = "/stations/OLD/meter-keys/1"
    body = {"public_key": Meter().public_key}
    async with api_site(tmp_path) as site:
        await site.call("PUT", path, body, role="viewer", status=403)
        await site.call("PUT", path, {"public_key": "00"}, status=422)
        await site.call("PUT", "/stations/OLD/meter-keys/0", body, status=422)
        await site.call("PUT", "/stations/NONE/meter-keys/1", body, status=404)
        await site.call("DELETE", path, status=404)
        access = site.parts._access
        assert await access.operator_of(site.secrets["operator"]) is not None
        assert await access.operator_of(site.secrets["viewer"]) is None
        assert await access.operator_of("unknown") is None
        await site.call("PUT", path, body)
        await site.call("DELETE", path, status=204)
        keys = await site.call("GET", "/stations/OLD/meter-keys")
        assert keys["pinned"] == []
        trail = await site.call("GET", "/audit", role="auditor")
        actions = [one["action"] for one in trail]
        assert actions[:2] == ["meter_key.withdrawn", "meter_key.pinned"]


async def test_a_station_of_2_0_1_is_verified_by_its_signed_meter_values(
    tmp_path: Path,
) -> None:
    meter = Meter(Curve.SECP192K1)
    async with api_site(tmp_path, {"NEW": PASSWORD}, billing=EICHRECHT) as site:
        await with_driver(site, meter, "NEW")
        async with site.station("NEW", "2.0.1") as station:
            await station.boot()
            talk, began = Talk201(station, "tx-1"), ago(site, hours=1)
            for number, (kind, context, text) in enumerate(
                [
                    ("Started", "Transaction.Begin", meter.begin("1.0")),
                    ("Ended", "Transaction.End", meter.end("3.0")),
                ]
            ):
                signed = signed_201(text, meter.public_key)
                wh = (1000, 3000)[number]
                value = {"value": wh, "context": context, "signedMeterValue": signed}
                await talk.event(kind, began + timedelta(hours=number), samples=[value])
        session_id = (await newest(site, "NEW"))["session_id"]
        await settled_bill(site, session_id)
        session = await site.call("GET", f"/sessions/{session_id}")
        assert (session["verdict"], session["signed"]["verdict"]) == ("ok", "ok")
        keys = await site.call("GET", "/stations/NEW/meter-keys")
        assert [one["is_pinned"] for one in keys["proposed"]] == [True]
