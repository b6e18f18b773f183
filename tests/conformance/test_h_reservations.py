"""Block H, reservations (OCPP 2.0.1 part 2; 1.6, 5.13 and 5.4)."""

import itertools
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import (
    AVAILABLE,
    Operator,
    Transaction,
    stamp,
    until,
    wire,
)
from tests.conformance.states import authorize, ended, session_of, tell_state
from tests.support.raw_station import RawStation

HOUR_S = 3600.0
_ids = itertools.count(5_001)


def wish(
    station: RawStation,
    token: str,
    *,
    number: int | None = None,
    group: str | None = None,
    anywhere: bool = False,
    life_s: float = HOUR_S,
) -> dict[str, Any]:
    """ReserveNow in the station's version."""
    number = next(_ids) if number is None else number
    ends_at = wire(SystemClock().now() + timedelta(seconds=life_s))
    asked: dict[str, Any]
    if station.version == "1.6":
        asked = {"reservationId": number, "connectorId": 0 if anywhere else 1}
        asked |= {"expiryDate": ends_at, "idTag": token}
        return asked if group is None else asked | {"parentIdTag": group}
    asked = {"id": number, "expiryDateTime": ends_at}
    asked |= {"idToken": {"idToken": token, "type": "ISO14443"}}
    if not anywhere:
        asked["evseId"] = 1
    if group is not None:
        asked["groupIdToken"] = {"idToken": group, "type": "Central"}
    return asked


async def reserve(
    operator: Operator,
    station: RawStation,
    asked: dict[str, Any],
    status: str = "Accepted",
) -> dict[str, Any]:
    """Ask, have the station answer with a word; the reservation as it is kept."""
    station.handlers["ReserveNow"] = lambda _: {"status": status}
    assert await operator.accepted(station, "ReserveNow", asked) == {"status": status}
    assert station.calls("ReserveNow")[-1] == asked
    return await kept(operator, station, asked.get("id", asked.get("reservationId", 0)))


async def kept(operator: Operator, station: RawStation, number: int) -> dict[str, Any]:
    found: dict[str, Any] = await operator.get(
        f"/reservations/{number}", station_id=station.station_id
    )
    return found


async def cancel(
    operator: Operator, station: RawStation, number: int
) -> httpx.Response:
    return await operator.http.delete(
        f"/reservations/{number}", params={"station_id": station.station_id}
    )


@pytest.mark.use_case("H01")
@pytest.mark.action16("ReserveNow to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("anywhere", [False, True])
async def test_a_reservation_that_is_accepted_is_kept(
    operator: Operator, version: str, *, anywhere: bool
) -> None:
    async with operator.booted(version=version) as station:
        asked = wish(station, "H01DRIVER", group="H01FAMILY", anywhere=anywhere)
        held = await reserve(operator, station, asked)
        listed = await operator.get("/reservations", station_id=station.station_id)
    assert listed == [held]
    assert (held["status"], held["evse_id"]) == ("Reserved", 0 if anywhere else 1)
    assert (held["id_token"], held["group"]) == ("H01DRIVER", "H01FAMILY")
    assert held["session_id"] is None


@pytest.mark.use_case("H01")
@pytest.mark.action16("ReserveNow to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Rejected", "Unavailable"])
async def test_a_reservation_that_is_refused_is_none(
    operator: Operator, version: str, status: str
) -> None:
    async with operator.booted(version=version) as station:
        asked = wish(station, "H01DRIVER")
        held = await reserve(operator, station, asked, status)
        assert held["status"] == "Rejected"
        refused = await cancel(operator, station, held["reservation_id"])
        assert refused.json()["error"] == "not_reserved"
        assert station.calls("CancelReservation") == []


@pytest.mark.use_case("H01")
@pytest.mark.action16("ReserveNow to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_reservation_with_the_same_id_replaces_the_first(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        first = wish(station, "H01FIRST", life_s=600)
        held = await reserve(operator, station, first)
        number = held["reservation_id"]
        again = await reserve(
            operator, station, wish(station, "H01NEXT", number=number)
        )
        listed = await operator.get("/reservations", station_id=station.station_id)
        assert listed == [again]
        assert (again["id_token"], again["status"]) == ("H01NEXT", "Reserved")
        assert again["expires_at"] > held["expires_at"]
        refused = await reserve(
            operator, station, wish(station, "H01THIRD", number=number), "Occupied"
        )
    assert (refused["id_token"], refused["status"]) == ("H01NEXT", "Reserved"), (
        "a refusal takes nothing away"
    )


@pytest.mark.use_case("H03")
@pytest.mark.parametrize("driver", ["H03DRIVER", "H03FRIEND"])
async def test_a_reservation_is_used_by_its_token_or_by_the_group(
    operator: Operator, driver: str
) -> None:
    for token in ("H03DRIVER", "H03FRIEND"):
        await operator.token(token, group="H03FAMILY")
    async with operator.booted() as station:
        asked = wish(station, "H03DRIVER", group="H03FAMILY")
        held = await reserve(operator, station, asked)
        await tell_state(station, "Reserved")
        info = await authorize(station, driver)
        assert info["groupIdToken"]["idToken"] == "H03FAMILY"
        charging = Transaction(station, driver)
        answer = await charging.event(
            "Started",
            "Authorized",
            authorized=True,
            reservationId=held["reservation_id"],
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        used = await kept(operator, station, held["reservation_id"])
        session = await session_of(operator, charging)
        assert (used["status"], used["session_id"]) == ("Used", session["session_id"])
        await charging.event("Ended", "StopAuthorized", reason="Local")
        await ended(operator, charging)
        used = await kept(operator, station, held["reservation_id"])
    assert used["status"] == "Used"


@pytest.mark.use_case("H03")
@pytest.mark.action16("ReserveNow to the station", "StartTransaction from the station")
async def test_a_reservation_of_1_6_is_used_by_the_start_that_names_it(
    operator: Operator,
) -> None:
    await operator.token("H03OLD")
    async with operator.booted(version="1.6") as station:
        held = await reserve(operator, station, wish(station, "H03OLD"))
        start = {"connectorId": 1, "idTag": "H03OLD", "meterStart": 100}
        start |= {"timestamp": stamp(), "reservationId": held["reservation_id"]}
        answer = await station.ask("StartTransaction", start)
        assert answer["idTagInfo"]["status"] == "Accepted"
        used = await kept(operator, station, held["reservation_id"])
        (session,) = await operator.sessions(station)
    assert (used["status"], used["session_id"]) == ("Used", session["session_id"])


@pytest.mark.use_case("H02")
@pytest.mark.action16("CancelReservation to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_reservation_is_cancelled_when_the_station_says_so(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        held = await reserve(operator, station, wish(station, "H02DRIVER"))
        number = held["reservation_id"]
        station.handlers["CancelReservation"] = lambda _: {"status": "Rejected"}
        refused = await cancel(operator, station, number)
        assert (refused.status_code, refused.json()["error"]) == (409, "not_cancelled")
        assert (await kept(operator, station, number))["status"] == "Reserved"
        station.handlers["CancelReservation"] = lambda _: {"status": "Accepted"}
        done = await cancel(operator, station, number)
        assert done.json()["status"] == "Cancelled"
        assert station.calls("CancelReservation") == [{"reservationId": number}] * 2
        again = await cancel(operator, station, number)
        assert again.json()["error"] == "not_reserved"
        assert (await cancel(operator, station, 999_999)).status_code == 404


@pytest.mark.use_case("H04")
@pytest.mark.parametrize(
    ("update", "status"), [("Expired", "Expired"), ("Removed", "Cancelled")]
)
async def test_a_reservation_ends_when_the_station_says_so(
    operator: Operator, update: str, status: str
) -> None:
    async with operator.booted() as station:
        held = await reserve(operator, station, wish(station, "H04DRIVER"))
        number = held["reservation_id"]
        told = {"reservationId": number, "reservationUpdateStatus": update}
        assert await station.ask("ReservationStatusUpdate", told) == {}
        await tell_state(station, AVAILABLE)
        assert (await kept(operator, station, number))["status"] == status
        unknown = told | {"reservationId": 999_999}
        assert await station.ask("ReservationStatusUpdate", unknown) == {}


@pytest.mark.use_case("H04")
@pytest.mark.action16("ReserveNow to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_reservation_lapses_at_its_time_though_nobody_says_so(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        held = await reserve(operator, station, wish(station, "H04LATE", life_s=1.0))

        async def has_lapsed() -> bool:
            view = await kept(operator, station, held["reservation_id"])
            return bool(view["status"] == "Expired")

        assert await until(has_lapsed)
