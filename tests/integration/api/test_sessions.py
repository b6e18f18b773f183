"""Sessions from start to receipt, tokens, reservations, tariffs and the evidence."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.store.money import BILL_BY_SESSION
from ledger import verify
from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site"), backend="embedded") as running:
        for token in ("DRIVER", "OTHER"):
            await running.call("PUT", f"/id-tokens/{token}", {})
        yield running


def at(site: ApiSite, seconds: float = 0.0) -> str:
    """Site time, as stations write it."""
    moment = site.gateway.clock.now() + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def start(
    site: ApiSite, station: RawStation, id_tag: str = "DRIVER", **more: Any
) -> int:
    """Start a 1.6 transaction; its id."""
    answer = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": id_tag,
            "meterStart": 1000,
            "timestamp": at(site, -60),
            **more,
        },
    )
    assert answer["idTagInfo"]["status"] == "Accepted"
    return int(answer["transactionId"])


async def stop(site: ApiSite, station: RawStation, number: int, wh: int) -> None:
    """End a 1.6 transaction."""
    await station.ask(
        "StopTransaction",
        {
            "transactionId": number,
            "meterStop": wh,
            "timestamp": at(site),
            "reason": "EVDisconnected",
        },
    )


async def newest(site: ApiSite, station_id: str) -> dict[str, Any]:
    """The newest session of a station."""
    rows = await site.call("GET", f"/sessions?station_id={station_id}&limit=1")
    found: dict[str, Any] = rows[0]
    return found


@pytest.mark.action16(
    "StartTransaction from the station",
    "StopTransaction from the station",
    "MeterValues from the station",
)
async def test_a_1_6_session_is_visible_at_every_answer(site: ApiSite) -> None:
    await site.register("S16")
    async with site.station("S16") as station:
        await station.boot()
        number = await start(site, station)
        row = await newest(site, "S16")
        assert row["transaction_id"] == str(number)
        assert (row["station_id"], row["evse_id"], row["connector_id"]) == ("S16", 1, 1)
        assert (row["id_token"], row["ended_at"]) == ("DRIVER", None)
        assert row["energy_milliwh"] == 0
        for index in range(1, 4):
            await station.ask(
                "MeterValues",
                {
                    "connectorId": 1,
                    "transactionId": number,
                    "meterValue": [
                        {
                            "timestamp": at(site),
                            "sampledValue": [
                                {"value": str(1000 + index)},
                                {
                                    "value": "3.5",
                                    "measurand": "Power.Active.Import",
                                    "unit": "kW",
                                },
                            ],
                        }
                    ],
                },
            )
            row = await site.call("GET", f"/sessions/{row['session_id']}")
            assert row["energy_milliwh"] == index * 1000
            assert row["power_w"] == 3500
            readings = await site.call("GET", f"/sessions/{row['session_id']}/readings")
            assert readings[-1]["register_milliwh"] == (1000 + index) * 1000
        view = await site.call("GET", "/stations/S16")
        assert view["evses"][0]["session_id"] == row["session_id"]
        assert view["evses"][0]["power_w"] == 3500
        await stop(site, station, number, 3000)
        row = await newest(site, "S16")
        assert row["ended_at"] is not None
        assert row["stop_reason"] == "EVDisconnected"
        assert row["energy_milliwh"] == 2_000_000


async def test_a_2_0_1_session_is_visible_at_every_answer(site: ApiSite) -> None:
    await site.register("S201")

    def event(kind: str, number: int, register: float) -> dict[str, Any]:
        return {
            "eventType": kind,
            "timestamp": at(site),
            "triggerReason": "Authorized",
            "seqNo": number,
            "transactionInfo": {"transactionId": "tx-1"}
            | ({"stoppedReason": "Local"} if kind == "Ended" else {}),
            "evse": {"id": 2, "connectorId": 1},
            "idToken": {"idToken": "DRIVER", "type": "ISO14443"},
            "meterValue": [
                {"timestamp": at(site), "sampledValue": [{"value": register}]}
            ],
        }

    async with site.station("S201", "2.0.1") as station:
        await station.boot()
        for number, kind in enumerate(("Started", "Updated", "Ended")):
            await station.ask("TransactionEvent", event(kind, number, 100 + number))
            row = await newest(site, "S201")
            assert row["transaction_id"] == "tx-1"
            assert row["evse_id"] == 2
            assert row["energy_milliwh"] == number * 1000
            assert (row["ended_at"] is None) is (kind != "Ended")
    row = await newest(site, "S201")
    assert row["stop_reason"] == "Local"
    assert row["incomplete"] is False


async def test_sessions_are_filtered_and_limited(site: ApiSite) -> None:
    await site.register("FIL")
    async with site.station("FIL") as station:
        await station.boot()
        first = await start(site, station, "OTHER")
        await stop(site, station, first, 1500)
        await start(site, station, "DRIVER", connectorId=2)
    every = await site.call("GET", "/sessions?station_id=FIL")
    assert [row["id_token"] for row in every] == ["DRIVER", "OTHER"]
    assert [r["id_token"] for r in await site.call("GET", "/sessions?id_token=other")]
    for query, tokens in [
        ("open=true", ["DRIVER"]),
        ("open=false", ["OTHER"]),
        ("id_token=OTHER", ["OTHER"]),
        ("limit=1", ["DRIVER"]),
        ("id_token=NOBODY", []),
    ]:
        rows = await site.call("GET", f"/sessions?station_id=FIL&{query}")
        assert [row["id_token"] for row in rows] == tokens, query
    await site.call("GET", "/sessions/sNOPE", status=404)


async def test_what_a_driver_needs_is_checked_and_kept(site: ApiSite) -> None:
    await site.register("NEED")
    async with site.station("NEED") as station:
        await station.boot()
        number = await start(site, station)
        row = await newest(site, "NEED")
        assert row["request"] is None or row["request"]["is_default"]
        path = f"/sessions/{row['session_id']}/request"
        for body, code in [
            ({}, "empty_request"),
            ({"energy_wh": 1, "target_soc_percent": 1}, "two_targets"),
            ({"departure_at": at(site, -1)}, "bad_time"),
            ({"energy_wh": 0}, "invalid"),
            ({"energy_wh": -1}, "invalid"),
            ({"target_soc_percent": 101}, "invalid"),
            ({"departure_at": "2026-01-01T00:00:00"}, "invalid"),
            ({"energy": 1}, "invalid"),
        ]:
            assert (await site.call("PUT", path, body, status=422))["error"] == code
        wanted = {"energy_wh": 5000, "departure_at": at(site, 3600)}
        answer = await site.call("PUT", path, wanted)
        assert answer["request"]["energy_wh"] == 5000
        assert answer["request"]["is_default"] is False
        assert (await newest(site, "NEED"))["request"] == answer["request"]
        await stop(site, station, number, 1001)
        over = await site.call("PUT", path, wanted, status=409)
        assert over["error"] == "session_over"


async def test_a_settled_session_has_a_bill_and_a_receipt_that_verifies(
    site: ApiSite,
) -> None:
    await site.register("PAY")
    async with site.station("PAY") as station:
        await station.boot()
        number = await start(site, station)
        row = await newest(site, "PAY")
        path = f"/sessions/{row['session_id']}"
        assert (await site.call("GET", f"{path}/bill", status=404))["error"] == (
            "no_bill"
        )
        assert (await site.call("GET", f"{path}/receipt", status=409))["error"] == (
            "not_settled"
        )
        await stop(site, station, number, 11_000)

    async def is_billed() -> bool:
        return (await site.send("GET", f"{path}/bill")).status_code == 200

    await site.until(is_billed)
    bill = await site.call("GET", f"{path}/bill")
    assert bill["state"] in {"settled", "on_chain"}
    assert bill["energy_milliwh"] == 10_000_000
    assert bill["amount_minor"] == 420
    assert bill["currency"] == "EUR"

    async def is_anchored() -> bool:
        response = await site.send("GET", f"{path}/receipt")
        return response.status_code == 200

    await site.until(is_anchored)
    receipt = await site.call("GET", f"{path}/receipt")
    report = verify.verify(json.dumps(receipt).encode())
    assert report.exit_code() == 0, report


async def test_an_operator_ends_what_its_station_never_will_and_it_is_not_billed(
    site: ApiSite,
) -> None:
    await site.register("STUCK")
    async with site.station("STUCK") as station:
        await station.boot()
        await start(site, station)
    row = await newest(site, "STUCK")
    path = f"/sessions/{row['session_id']}"
    ended = await site.call("POST", f"{path}/end")
    assert ended["ended_at"] is not None
    assert (await site.call("POST", f"{path}/end", status=409))["error"] == (
        "session_over"
    )
    line = (await site.call("GET", "/audit?limit=1"))[0]
    assert (line["action"], line["subject"]) == (
        "session.ended",
        f"session/{row['session_id']}",
    )
    await site.gateway.settlement.catch_up()
    assert (await site.call("GET", f"{path}/bill"))["state"] == "held"
    assert (await site.call("GET", f"{path}/receipt", status=409))["error"] == "held"


async def test_a_session_that_a_later_start_ended_is_judged_at_once(
    site: ApiSite,
) -> None:
    await site.register("AGAIN")
    async with site.station("AGAIN") as station:
        await station.boot()
        await start(site, station)
        first = await newest(site, "AGAIN")
        await start(site, station, "OTHER", meterStart=3000, timestamp=at(site))

        async def is_judged() -> bool:
            rows = await site.gateway.queries.rows(BILL_BY_SESSION, (session_id,))
            return bool(rows)

        session_id = first["session_id"]
        await site.until(is_judged)
    bill = await site.call("GET", f"/sessions/{session_id}/bill")
    assert (bill["state"], bill["verdict"]) == ("held", "reconstructed")


@pytest.mark.action16("Authorize from the station")
async def test_tokens_decide_who_may_charge(site: ApiSite) -> None:
    await site.register("TOK")
    past, future = at(site, -60), at(site, 3600)
    async with site.station("TOK") as station:
        await station.boot()

        async def judged(token: str) -> str:
            answer = await station.ask("Authorize", {"idTag": token})
            return str(answer["idTagInfo"]["status"])

        assert await judged("NEWCOMER") == "Invalid"
        for body, word in [
            ({"status": "Accepted"}, "Accepted"),
            ({"status": "Blocked"}, "Blocked"),
            ({"status": "Accepted", "expires_at": past}, "Expired"),
            ({"status": "Accepted", "expires_at": future, "group": "G"}, "Accepted"),
            ({"status": "Invalid"}, "Invalid"),
            ({"status": "Expired"}, "Expired"),
        ]:
            stored = await site.call("PUT", "/id-tokens/NEWCOMER", body)
            assert stored["status"] == body["status"]
            assert stored["group"] == body.get("group")
            assert await site.call("GET", "/id-tokens/newcomer") == stored
            assert await judged("NEWCOMER") == word
        await site.call("DELETE", "/id-tokens/NEWCOMER", status=204)
        assert await judged("NEWCOMER") == "Invalid"
    assert (await site.call("GET", "/id-tokens/NEWCOMER"))["status"] == "Invalid"
    await site.call("DELETE", "/id-tokens/NEWCOMER", status=404)
    await site.call("PUT", f"/id-tokens/{'x' * 37}", {}, status=422)
    odd = await site.call("PUT", "/id-tokens/a%2Fb c", {"type": "Central"})
    assert (odd["token"], odd["type"]) == ("a/b c", "Central")
    assert "a/b c" in [row["token"] for row in await site.call("GET", "/id-tokens")]


async def reserve(
    site: ApiSite, station: RawStation, number: int, *, status: str, until_s: float
) -> dict[str, Any]:
    """ReserveNow through the API, answered by the station with a word."""
    station.handlers["ReserveNow"] = lambda _: {"status": status}
    answer = await site.call(
        "POST",
        f"/stations/{station.station_id}/calls",
        {
            "action": "ReserveNow",
            "payload": {
                "connectorId": 1,
                "expiryDate": at(site, until_s),
                "idTag": "DRIVER",
                "reservationId": number,
            },
        },
    )
    assert answer["payload"] == {"status": status}
    found: dict[str, Any] = await site.call("GET", f"/reservations/{number}")
    return found


@pytest.mark.use_case("H01", "H02", "H04")
@pytest.mark.action16("ReserveNow to the station", "CancelReservation to the station")
async def test_a_reservation_lives_from_the_answer_to_its_end(site: ApiSite) -> None:
    await site.register("RES")
    async with site.station("RES") as station:
        await station.boot()
        refused = await reserve(site, station, 70, status="Occupied", until_s=600)
        assert refused["status"] == "Rejected"
        held = await reserve(site, station, 71, status="Accepted", until_s=600)
        assert held["status"] == "Reserved"
        assert (held["station_id"], held["evse_id"], held["id_token"]) == (
            "RES",
            1,
            "DRIVER",
        )
        await start(site, station, reservationId=71)
        used = await site.call("GET", "/reservations/71")
        assert used["status"] == "Used"
        assert used["session_id"] == (await newest(site, "RES"))["session_id"]
        gone = await site.call("DELETE", "/reservations/71", status=409)
        assert gone["error"] == "not_reserved"

        await reserve(site, station, 72, status="Accepted", until_s=600)
        station.handlers["CancelReservation"] = lambda _: {"status": "Rejected"}
        kept = await site.call("DELETE", "/reservations/72", status=409)
        assert kept["error"] == "not_cancelled"
        assert (await site.call("GET", "/reservations/72"))["status"] == "Reserved"
        station.handlers["CancelReservation"] = lambda _: {"status": "Accepted"}
        assert (await site.call("DELETE", "/reservations/72"))["status"] == "Cancelled"

        await reserve(site, station, 73, status="Accepted", until_s=1.0)
        again = await reserve(site, station, 73, status="Accepted", until_s=600)
        assert again["status"] == "Reserved"
        await reserve(site, station, 74, status="Accepted", until_s=1.0)

        async def has_expired() -> bool:
            found = await site.call("GET", "/reservations/74")
            return bool(found["status"] == "Expired")

        await site.until(has_expired)

        body = {
            "action": "CancelReservation",
            "payload": {"reservationId": 73},
        }
        await site.call("POST", "/stations/RES/calls", body)
    listed = await site.call("GET", "/reservations?station_id=RES")
    assert {row["reservation_id"]: row["status"] for row in listed} == {
        70: "Rejected",
        71: "Used",
        72: "Cancelled",
        73: "Cancelled",
        74: "Expired",
    }
    assert await site.call("GET", "/reservations?station_id=NOBODY") == []
    await site.call("GET", "/reservations/9999", status=404)
    await site.call("DELETE", "/reservations/9999", status=404)


async def test_a_session_may_use_a_reservation_before_its_answer_is_in(
    site: ApiSite,
) -> None:
    await site.register("RACE")
    async with site.station("RACE") as station:
        await station.boot()
        station.handlers["ReserveNow"] = lambda _: None
        body = {
            "action": "ReserveNow",
            "payload": {
                "connectorId": 1,
                "expiryDate": at(site, 600),
                "idTag": "DRIVER",
                "reservationId": 80,
            },
        }
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(site.call("POST", "/stations/RACE/calls", body))
            await station.heard_so_far("ReserveNow", 1)
            await start(site, station, reservationId=80)
            await station.answer_last({"status": "Accepted"})
        assert asked.result()["outcome"] == "result"
    found = await site.call("GET", "/reservations/80")
    assert found["status"] == "Used"


async def test_tariffs_are_written_read_and_kept_while_needed(site: ApiSite) -> None:
    tariff = {
        "currency": "EUR",
        "elements": [
            {
                "price_components": [{"type": "ENERGY", "price": 0.29}],
                "restrictions": {"start_time": "22:00", "end_time": "06:00"},
            },
            {"price_components": [{"type": "ENERGY", "price": "0.5"}]},
        ],
    }
    stored = await site.call("PUT", "/tariffs/night", tariff)
    assert (stored["id"], stored["source"]) == ("night", "api")
    prices = [e["price_components"][0]["price"] for e in stored["elements"]]
    assert prices == ["0.29", "0.5"]
    assert await site.call("GET", "/tariffs/night", role="viewer") == stored
    assert (await site.call("PUT", "/tariffs/night", stored))["elements"] == (
        stored["elements"]
    )
    listed = await site.call("GET", "/tariffs")
    assert [(t["id"], t["source"]) for t in listed] == [
        ("day", "config"),
        ("night", "api"),
    ]
    await site.call("PUT", "/stations/TARIFF", {"tariff_id": "night"})
    used = await site.call("DELETE", "/tariffs/night", status=409)
    assert used["error"] == "in_use"
    await site.call("DELETE", "/stations/TARIFF", status=204)
    await site.call("DELETE", "/tariffs/night", status=204)
    await site.call("GET", "/tariffs/night", status=404)
    await site.call("DELETE", "/tariffs/night", status=404)
    default = await site.call("DELETE", "/tariffs/day", status=409)
    assert default["error"] == "in_use"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"elements": []},
        {"elements": [{"price_components": [{"type": "HOURS", "price": 1}]}]},
        {"elements": [{"price_components": [{"type": "ENERGY", "price": -1}]}]},
        {"elements": [{"price_components": [{"type": "ENERGY", "price": "1E+99"}]}]},
        {"elements": [{"price_components": [{"type": "ENERGY", "price": True}]}]},
        {"currency": "USD", "elements": [{"price_components": []}]},
        {
            "currency": "USD",
            "elements": [{"price_components": [{"type": "ENERGY", "price": 1}]}],
        },
        {"id": "other", "elements": []},
        {"min_price": 1, "elements": []},
    ],
)
async def test_a_tariff_that_cannot_be_priced_is_refused(
    site: ApiSite, body: dict[str, Any]
) -> None:
    refused = await site.call("PUT", "/tariffs/wrong", body, status=422)
    assert refused["error"] == "bad_tariff"
    await site.call("GET", "/tariffs/wrong", status=404)


@pytest.mark.use_case("I06")
async def test_a_session_keeps_the_terms_it_started_with(site: ApiSite) -> None:
    await site.register("TERMS")
    price = {"elements": [{"price_components": [{"type": "ENERGY", "price": 1}]}]}
    await site.call("PUT", "/tariffs/terms", price)
    await site.call("PUT", "/stations/TERMS", {"tariff_id": "terms"})
    async with site.station("TERMS") as station:
        await station.boot()
        number = await start(site, station)
        price["elements"][0]["price_components"][0]["price"] = 9
        await site.call("PUT", "/tariffs/terms", price)
        await stop(site, station, number, 2000)
    await site.gateway.settlement.catch_up()
    row = await newest(site, "TERMS")
    bill = await site.call("GET", f"/sessions/{row['session_id']}/bill")
    assert bill["amount_minor"] == 100


async def test_the_ledger_tells_head_backlog_and_proofs(site: ApiSite) -> None:
    async def is_anchored() -> bool:
        return bool((await site.call("GET", "/ledger"))["anchored_size"] > 0)

    await site.until(is_anchored)
    state = await site.call("GET", "/ledger", role="auditor")
    assert state["leaf_count"] >= state["anchored_size"] > 0
    assert state["backlog"] == state["leaf_count"] - state["anchored_size"]
    leaf = await site.call("GET", "/ledger/leaves/0")
    assert leaf["leaf_index"] == 0
    assert leaf["head"]["tx_hash"].startswith("0x")
    await site.call("GET", f"/ledger/leaves/{state['leaf_count'] + 1000}", status=404)


async def test_the_audit_trail_pages_backwards(site: ApiSite) -> None:
    page = await site.call("GET", "/audit?limit=3", role="auditor")
    before = page[-1]["audit_id"]
    older = await site.call("GET", f"/audit?limit=3&before={before}", role="auditor")
    assert [line["audit_id"] for line in older] == [before - 1, before - 2, before - 3]
    assert {"at", "actor", "action", "subject", "detail"} <= page[0].keys()
