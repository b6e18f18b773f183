"""Meters and drivers of the simulator against a stand-in for the HTTP API."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from sim_chargers.api import Api, Meters, tell_need
from sim_chargers.clock import SiteClock
from sim_chargers.evse import EvseSpec
from sim_chargers.scenario import (
    BatterySpec,
    CabinetSpec,
    LoadSpec,
    PvSpec,
    Scenario,
    StationSpec,
)
from sim_chargers.site import Site

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Operator:
    """Remembers requests; answers like the API."""

    def __init__(self, *, unknown: frozenset[str] = frozenset()) -> None:
        self.unknown = unknown
        self.requests: list[tuple[str, str, Any]] = []
        self.sessions: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        body = json.loads(request.content) if request.content else None
        self.requests.append((request.method, request.url.path, body))
        if request.method == "GET":
            assert dict(request.url.params) == {"station_id": "A", "open": "true"}
            return httpx.Response(200, json=self.sessions)
        meter = request.url.path.split("/")[-2]
        return httpx.Response(404 if meter in self.unknown else 200, json={})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.MockTransport(self),
            base_url="http://operator",
            headers={"Authorization": "Bearer secret"},
        )


def site() -> Site:
    plan = Scenario(
        stations=(StationSpec(id="A", ocpp="1.6", evses=(EvseSpec(evse_id=1),)),),
        cabinets=(CabinetSpec(id="main", limit_a=(63.0,) * 3, feeder_meter="grid"),),
        loads=(LoadSpec(id="hall", cabinet="main"),),
        pv=(PvSpec(id="roof", cabinet="main", peak_w=30_000.0),),
        batteries=(
            BatterySpec(
                id="box",
                cabinet="main",
                capacity_wh=9_000.0,
                max_charge_w=3_000.0,
                max_discharge_w=3_000.0,
            ),
        ),
    )
    made = Site(plan, {})
    made.step(NOON, 1.0)
    return made


async def run_for(seconds: float, operator: Operator) -> None:
    clock = SiteClock(epoch=NOON, speed=60.0)
    async with operator.client() as client, asyncio.TaskGroup() as group:
        meters = Meters(api=Api(client), site=site(), clock=clock)
        task = group.create_task(meters.run())
        await asyncio.sleep(seconds)
        task.cancel()


async def test_every_meter_reports_within_four_requests_a_second() -> None:
    operator = Operator()
    await run_for(1.6, operator)
    assert 4 <= len(operator.requests) <= 7
    readings = {path.split("/")[-2]: body for _, path, body in operator.requests}
    assert readings.keys() == {"grid", "hall", "roof", "box"}
    assert all(body["at"].startswith("2026-06-01T12:0") for body in readings.values())
    assert min(readings["hall"]["current_a"]) > 0
    assert max(readings["grid"]["current_a"]) < 0  # the roof feeds into the grid
    assert readings["roof"]["power_w"] > 10_000
    assert readings["box"]["power_w"] == 3_000


async def test_a_meter_that_nobody_knows_is_not_asked_again_soon() -> None:
    operator = Operator(unknown=frozenset({"grid"}))
    await run_for(2.2, operator)
    paths = [path.split("/")[-2] for _, path, _ in operator.requests]
    assert paths.count("grid") == 1
    assert paths.count("hall") >= 2


async def test_a_driver_finds_the_session_and_states_the_need() -> None:
    operator = Operator()
    operator.sessions = [
        {"session_id": "s-1", "transaction_id": "41"},
        {"session_id": "s-2", "transaction_id": "42"},
    ]
    async with operator.client() as client:
        assert await tell_need(
            Api(client),
            station_id="A",
            transaction_id="42",
            energy_wh=9000,
            departure_at=NOON,
        )
    assert operator.requests[-1] == (
        "PUT",
        "/api/v1/sessions/s-2/request",
        {"energy_wh": 9000, "departure_at": "2026-06-01T12:00:00.000Z"},
    )


async def test_a_dead_api_is_noted_and_harmless() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(refuse), base_url="http://operator"
    ) as client:
        api = Api(client)
        assert await api.find_session("A", "1") is None
        assert not await api.put_reading("hall", {"power_w": 1.0})
        assert api.failures == 2
