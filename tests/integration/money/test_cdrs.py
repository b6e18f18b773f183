"""Charge detail records, as another party takes them, over the real wire."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.domain.ocmf import Curve
from gateway.services.meter_keys import key_info, parse_key
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.billed import (
    DRIVER,
    Talk16,
    Talk201,
    ago,
    newest,
    settled_bill,
    signed_201,
)
from tests.support.ocmf import Meter
from tests.support.ocpi import CPO, PLACE, check
from tests.support.raw_station import RawStation

STATIONS = {"OLD": PASSWORD, "NEW": PASSWORD}
CONTRACT = "NL-8AA-C12345678-X"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path, STATIONS, cpo=CPO, site=PLACE) as running:
        await running.call("PUT", "/id-tokens/DRIVER", {"contract_id": CONTRACT})
        yield running


async def charge(site: ApiSite, station: RawStation, *, hours: float = 1) -> str:
    """A 1.6 session of 2 kWh in half an hour; its id once it is settled."""
    talk, began = Talk16(station), ago(site, hours=hours)
    number = await talk.start(began)
    end = began + timedelta(minutes=30)
    await talk.stop(number, end, 3000, reason="EVDisconnected")
    return await settled(site, station.station_id)


async def settled(site: ApiSite, station_id: str) -> str:
    """The id of the station's newest session, once its bill is settled."""
    session = await newest(site, station_id)
    await settled_bill(site, session["session_id"])
    return str(session["session_id"])


async def test_a_record_is_whole_without_anything_added(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        session_id = await charge(site, station)
    record = check(await site.call("GET", f"/sessions/{session_id}/cdr"))
    assert (record["country_code"], record["party_id"]) == ("DE", "WTP")
    assert record["id"] == record["session_id"] == session_id
    assert record["cdr_token"] == {
        "country_code": "NL",
        "party_id": "8AA",
        "uid": "DRIVER",
        "type": "RFID",
        "contract_id": CONTRACT,
    }
    assert record["cdr_location"] == {
        "id": "site",
        "name": "Hof",
        "address": "Pulverteich 12",
        "city": "Hamburg",
        "postal_code": "20099",
        "country": "DEU",
        "coordinates": {"latitude": "53.556100", "longitude": "10.012300"},
        "evse_uid": "OLD-1",
        "evse_id": "DE*WTP*EOLD*1",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    }
    assert record["auth_method"] == "WHITELIST"
    assert (record["total_energy"], record["total_time"]) == (2, 0.5)
    assert record["remark"] == "Stopped: EVDisconnected."
    (tariff,) = record["tariffs"]
    (component,) = tariff["elements"][0]["price_components"]
    assert str(component["price"]) == "0.42"


async def test_signed_readings_go_along_and_verify_with_the_key_in_the_record(
    site: ApiSite,
) -> None:
    meter = Meter(Curve.BRAINPOOL384R1)
    body = {"public_key": meter.public_key}
    await site.call("PUT", "/stations/NEW/meter-keys/1", body)
    texts = {"Started": meter.begin("1.0"), "Ended": meter.end("3.0")}
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        await report_connector(station)
        talk, began = Talk201(station, "tx-1"), ago(site, hours=1)
        for number, (kind, text) in enumerate(texts.items()):
            value = {
                "value": (1000, 3000)[number],
                "context": f"Transaction.{('Begin', 'End')[number]}",
                "signedMeterValue": signed_201(text),
            }
            await talk.event(
                kind,
                began + timedelta(hours=number),
                samples=[value],
                info={"remoteStartId": 7},
                idToken={"idToken": DRIVER, "type": "eMAID"},
            )
    session_id = await settled(site, "NEW")
    record = check(await site.call("GET", f"/sessions/{session_id}/cdr"))
    assert record["auth_method"] == "COMMAND"
    assert record["cdr_token"]["type"] == "OTHER"
    place = record["cdr_location"]
    words = (place["connector_standard"], place["connector_format"])
    assert words == ("IEC_62196_T2", "CABLE")
    assert record["meter_id"] == meter.serial
    data = record["signed_data"]
    assert (data["encoding_method"], data["encoding_method_version"]) == ("OCMF", 1)
    values = data["signed_values"]
    assert [one["nature"] for one in values] == ["Start", "End"]
    sent = [base64.b64decode(one["signed_data"]).decode() for one in values]
    assert sent == list(texts.values())
    assert [one["plain_data"] for one in values] == [one.split("|")[1] for one in sent]
    key = base64.b64decode(data["public_key"]).hex()
    assert parse_key(key).point == meter.point.hex().upper()


async def report_connector(station: RawStation) -> None:
    """The station says unasked that a cable hangs on it."""
    variable = {
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "ConnectorType"},
        "variableAttribute": [{"value": "cType2"}],
    }
    await station.ask(
        "NotifyReport",
        {
            "requestId": 1,
            "generatedAt": "2026-06-01T12:00:00Z",
            "seqNo": 0,
            "reportData": [variable],
        },
    )


async def test_records_are_exported_page_by_page(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        ids = [await charge(site, station, hours=2.5 - n) for n in range(3)]
    first = await site.send("GET", "/cdrs?limit=2")
    assert first.headers["X-Total-Count"] == "3"
    assert first.headers["X-Limit"] == "100"
    target, relation = first.headers["Link"].split("; ")
    assert relation == 'rel="next"'
    following = urlsplit(target.strip("<>"))
    assert following.path == "/api/v1/cdrs"
    assert parse_qs(following.query) == {"offset": ["2"], "limit": ["2"]}
    second = await site.send("GET", f"/cdrs?{following.query}")
    assert "Link" not in second.headers
    records = [check(one) for one in (*first.json(), *second.json())]
    assert [one["id"] for one in records] == ids
    middle = records[1]["last_updated"]
    later = await site.call("GET", f"/cdrs?date_from={middle}")
    earlier = await site.call("GET", f"/cdrs?date_to={middle}")
    assert {one["id"] for one in (*earlier, *later)} == set(ids)
    assert ids[1] not in {one["id"] for one in earlier}
    window = await site.send("GET", f"/cdrs?limit=1&date_from={middle}")
    again = parse_qs(urlsplit(window.headers["Link"].split(">")[0]).query)
    assert again["date_from"] == [middle]


async def test_records_are_exported_by_operators_only(site: ApiSite) -> None:
    await site.call("GET", "/cdrs", role="viewer", status=403)
    await site.call("GET", "/cdrs?limit=101", status=422)
    await site.call("GET", "/cdrs?date_from=yesterday", status=422)
    assert await site.call("GET", "/cdrs") == []


async def test_a_record_that_lacks_settings_is_refused_and_they_are_named(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path, STATIONS, cpo={"city": "Hamburg"}) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        async with site.station("OLD") as station:
            await station.boot()
            session_id = await charge(site, station)
        for path in (f"/sessions/{session_id}/cdr", "/cdrs"):
            refused = await site.call("GET", path, status=409)
            assert refused["error"] == "no_cdr_settings"
            assert refused["message"].endswith(
                "cpo.country_code, cpo.party_id, cpo.address, cpo.country,"
                " site.latitude_deg, site.longitude_deg"
            )


def test_a_key_is_written_as_it_was_read() -> None:
    for curve in Curve:
        key = parse_key(Meter(curve).public_key)
        assert key_info(key).hex().upper() == Meter(curve).public_key


async def test_what_the_operator_says_of_a_connector_counts(site: ApiSite) -> None:
    evse: dict[str, Any] = {"evse_id": 1, "max_a": 32, "phases": "L2"}
    words = {"connector": "DOMESTIC_F", "connector_format": "SOCKET"}
    await site.call("PUT", "/stations/OLD", {"evses": [evse | words]})
    async with site.station("OLD") as station:
        await station.boot()
        session_id = await charge(site, station)
    place = (await site.call("GET", f"/sessions/{session_id}/cdr"))["cdr_location"]
    assert place["connector_standard"] == "DOMESTIC_F"
    assert place["connector_power_type"] == "AC_1_PHASE"


async def test_a_session_that_was_started_from_afar_says_so(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        asked = {"evse_id": 1, "id_token": DRIVER}
        await site.call("POST", "/stations/OLD/remote-start", asked)
        await station.heard_so_far("RemoteStartTransaction", 1)
        talk = Talk16(station)
        number = await talk.start(ago(site))
        await talk.stop(number, ago(site), 1001)
        path = f"/sessions/{await settled(site, 'OLD')}/cdr"

        async def is_told() -> bool:
            return bool((await site.call("GET", path))["auth_method"] == "COMMAND")

        await site.until(is_told)


async def test_a_station_that_is_gone_leaves_its_records(site: ApiSite) -> None:
    await site.register("GONE")
    async with site.station("GONE") as station:
        await station.boot()
        session_id = await charge(site, station)
    await site.call("DELETE", "/stations/GONE", status=204)
    record = check(await site.call("GET", f"/sessions/{session_id}/cdr"))
    assert record["cdr_location"]["evse_id"] == "DE*WTP*EGONE*1"
    assert record["cdr_location"]["connector_power_type"] == "AC_3_PHASE"
    assert record["invoice_reference_id"] == session_id
