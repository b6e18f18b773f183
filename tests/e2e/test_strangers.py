"""Stations that nobody here wrote: the ``ocpp`` package's own client, both versions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.client import ClientConnection

from tests.support.gateway_process import GatewayProcess, gateway, write_config
from tests.support.queue_station import PASSWORD, basic, connected, stamp

pytestmark = pytest.mark.e2e

WH_START = 1000


class Car:
    """What both stranger stations share: the last limit they were told, in A."""

    def __init__(self) -> None:
        self.limit_a = 16.0
        self.profiles: list[dict[str, Any]] = []
        self.session_profile = asyncio.Event()

    def take(self, profile: dict[str, Any]) -> None:
        self.profiles.append(profile)
        schedule = profile["charging_schedule"]
        first = schedule[0] if isinstance(schedule, list) else schedule
        limit = float(first["charging_schedule_period"][0]["limit"])
        unit = first["charging_rate_unit"]
        self.limit_a = min(16.0, limit if unit == "A" else limit / 690)
        if profile["charging_profile_purpose"] == "TxProfile":
            self.session_profile.set()


class Stranger16(ChargePoint16):  # type: ignore[misc]  # the package has no types
    def __init__(self, station_id: str, socket: ClientConnection) -> None:
        super().__init__(station_id, socket)
        self.car = Car()

    @on("SetChargingProfile")  # type: ignore[untyped-decorator]  # no types
    def take_profile(
        self, connector_id: int, cs_charging_profiles: dict[str, Any]
    ) -> result16.SetChargingProfile:
        assert connector_id in {0, 1}
        self.car.take(cs_charging_profiles)
        return result16.SetChargingProfile(status="Accepted")

    @on("ClearChargingProfile")  # type: ignore[untyped-decorator]  # no types
    def clear(self, **_: Any) -> result16.ClearChargingProfile:
        return result16.ClearChargingProfile(status="Accepted")

    @on("ChangeConfiguration")  # type: ignore[untyped-decorator]  # no types
    def change(self, key: str, value: str) -> result16.ChangeConfiguration:
        assert key
        assert value is not None
        return result16.ChangeConfiguration(status="Accepted")


class Stranger201(ChargePoint201):  # type: ignore[misc]  # the package has no types
    def __init__(self, station_id: str, socket: ClientConnection) -> None:
        super().__init__(station_id, socket)
        self.car = Car()

    @on("SetChargingProfile")  # type: ignore[untyped-decorator]  # no types
    def take_profile(
        self, evse_id: int, charging_profile: dict[str, Any]
    ) -> result201.SetChargingProfile:
        assert evse_id in {0, 1}
        self.car.take(charging_profile)
        return result201.SetChargingProfile(status="Accepted")

    @on("ClearChargingProfile")  # type: ignore[untyped-decorator]  # no types
    def clear(self, **_: Any) -> result201.ClearChargingProfile:
        return result201.ClearChargingProfile(status="Accepted")

    @on("SetVariables")  # type: ignore[untyped-decorator]  # no types
    def set_variables(
        self, set_variable_data: list[dict[str, Any]]
    ) -> result201.SetVariables:
        return result201.SetVariables(
            set_variable_result=[
                {
                    "attribute_status": "Accepted",
                    "component": item["component"],
                    "variable": item["variable"],
                }
                for item in set_variable_data
            ]
        )

    @on("GetBaseReport")  # type: ignore[untyped-decorator]  # no types
    def report(self, **_: Any) -> result201.GetBaseReport:
        return result201.GetBaseReport(status="NotSupported")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    ports = write_config(tmp_path, {"CP16": PASSWORD, "CP201": PASSWORD})
    async with gateway(tmp_path, ports) as process:
        async with process.client() as api:
            for tag, status in (("TAG1", "Accepted"), ("TAG2", "Blocked")):
                answer = await api.put(f"/id-tokens/{tag}", json={"status": status})
                assert answer.is_success, answer.text
        yield process


async def ended_session(running: GatewayProcess, station_id: str) -> dict[str, Any]:
    async with running.client() as api:
        answer = await api.get("/sessions", params={"station_id": station_id})
    assert answer.status_code == 200, answer.text
    sessions = answer.json()
    items = sessions["items"] if isinstance(sessions, dict) else sessions
    assert len(items) == 1
    assert items[0]["ended_at"] is not None
    session: dict[str, Any] = items[0]
    return session


async def bill_of(running: GatewayProcess, session_id: str) -> dict[str, Any]:
    async with running.client() as api, asyncio.timeout(30):
        while True:
            answer = await api.get(f"/sessions/{session_id}/bill")
            if answer.status_code == 200:
                bill: dict[str, Any] = answer.json()
                return bill
            await asyncio.sleep(0.1)


async def test_a_stranger_speaking_1_6_is_served_from_boot_to_bill(
    running: GatewayProcess,
) -> None:
    async with connected(running.ocpp_url, "CP16", "ocpp1.6") as socket:
        station = Stranger16("CP16", socket)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(station.start())
            boot = await station.call(
                call16.BootNotification(
                    charge_point_vendor="Stranger", charge_point_model="S16"
                )
            )
            assert boot.status == "Accepted"
            assert boot.interval > 0
            await station.call(
                call16.StatusNotification(
                    connector_id=1, error_code="NoError", status="Preparing"
                )
            )
            blocked = await station.call(call16.Authorize(id_tag="TAG2"))
            assert blocked.id_tag_info["status"] == "Blocked"
            unknown = await station.call(call16.Authorize(id_tag="NOBODY"))
            assert unknown.id_tag_info["status"] == "Invalid"
            known = await station.call(call16.Authorize(id_tag="TAG1"))
            assert known.id_tag_info["status"] == "Accepted"
            started = await station.call(
                call16.StartTransaction(
                    connector_id=1,
                    id_tag="TAG1",
                    meter_start=WH_START,
                    timestamp=stamp(),
                )
            )
            assert started.id_tag_info["status"] == "Accepted"
            assert started.transaction_id >= 1
            async with asyncio.timeout(30):
                await station.car.session_profile.wait()
            assert 6 <= station.car.limit_a <= 16
            sample = [
                {
                    "timestamp": stamp(),
                    "sampled_value": [
                        {"value": "1200.5", "unit": "Wh"},
                        {
                            "value": str(station.car.limit_a * 690),
                            "measurand": "Power.Active.Import",
                            "unit": "W",
                        },
                    ],
                }
            ]
            await station.call(
                call16.MeterValues(
                    connector_id=1,
                    transaction_id=started.transaction_id,
                    meter_value=sample,
                )
            )
            stopped = await station.call(
                call16.StopTransaction(
                    transaction_id=started.transaction_id,
                    meter_stop=WH_START + 500,
                    timestamp=stamp(),
                    id_tag="TAG1",
                    reason="Local",
                )
            )
            assert stopped.id_tag_info["status"] == "Accepted"
            session = await ended_session(running, "CP16")
            reader.cancel()
    assert session["transaction_id"] == str(started.transaction_id)
    assert session["energy_milliwh"] == 500_000
    bill = await bill_of(running, session["session_id"])
    assert bill["energy_milliwh"] == 500_000
    assert bill["amount_minor"] == 20
    profile = station.car.profiles[-1]
    limits = [
        period["limit"]
        for period in profile["charging_schedule"]["charging_schedule_period"]
    ]
    assert limits == sorted(limits, reverse=True), "schedules never rise by themselves"


async def test_a_stranger_speaking_2_0_1_is_served_from_boot_to_bill(
    running: GatewayProcess,
) -> None:
    async with connected(running.ocpp_url, "CP201", "ocpp2.0.1") as socket:
        station = Stranger201("CP201", socket)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(station.start())
            boot = await station.call(
                call201.BootNotification(
                    charging_station={"model": "S201", "vendor_name": "Stranger"},
                    reason="PowerUp",
                )
            )
            assert boot.status == "Accepted"
            await station.call(
                call201.StatusNotification(
                    timestamp=stamp(),
                    connector_status="Occupied",
                    evse_id=1,
                    connector_id=1,
                )
            )
            token = {"id_token": "TAG1", "type": "ISO14443"}
            known = await station.call(call201.Authorize(id_token=token))
            assert known.id_token_info["status"] == "Accepted"

            def event(
                kind: str, trigger: str, seq_no: int, wh: float, **more: Any
            ) -> call201.TransactionEvent:
                return call201.TransactionEvent(
                    event_type=kind,
                    timestamp=stamp(),
                    trigger_reason=trigger,
                    seq_no=seq_no,
                    transaction_info={
                        "transaction_id": "tx-1",
                        "charging_state": "Charging",
                    }
                    | more.pop("info", {}),
                    meter_value=[
                        {
                            "timestamp": stamp(),
                            "sampled_value": [
                                {
                                    "value": wh,
                                    "measurand": "Energy.Active.Import.Register",
                                    "unit_of_measure": {"unit": "Wh", "multiplier": 0},
                                }
                            ],
                        }
                    ],
                    **more,
                )

            started = await station.call(
                event(
                    "Started",
                    "Authorized",
                    0,
                    WH_START,
                    id_token=token,
                    evse={"id": 1, "connector_id": 1},
                )
            )
            assert started.id_token_info["status"] == "Accepted"
            async with asyncio.timeout(30):
                await station.car.session_profile.wait()
            assert station.car.profiles[-1]["transaction_id"] == "tx-1"
            await station.call(event("Updated", "MeterValuePeriodic", 1, 1200.5))
            ended = await station.call(
                event(
                    "Ended",
                    "EVDeparted",
                    2,
                    WH_START + 500,
                    info={"stopped_reason": "EVDisconnected"},
                )
            )
            assert ended is not None
            session = await ended_session(running, "CP201")
            reader.cancel()
    assert session["transaction_id"] == "tx-1"
    assert session["stop_reason"] == "EVDisconnected"
    assert session["energy_milliwh"] == 500_000
    assert (await bill_of(running, session["session_id"]))["amount_minor"] == 20


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_without_the_right_password_nothing_gets_in(
    running: GatewayProcess, subprotocol: str
) -> None:
    attempts = [
        ("CP16", basic("CP16", "wrong-password-here")),
        ("CP16", {}),
        ("CP16", basic("CP201", PASSWORD)),
        ("NOBODY", basic("NOBODY", PASSWORD)),
    ]
    for station_id, headers in attempts:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            async with websockets.connect(
                f"{running.ocpp_url}/{station_id}",
                subprotocols=[websockets.Subprotocol(subprotocol)],
                additional_headers=headers,
            ):
                pass
        assert refusal.value.response.status_code == 401
    async with running.client() as api:
        answer = await api.get("/stations")
        knocking = await api.get("/knocking")
        async with asyncio.timeout(30):
            while "NOBODY" not in knocking.text:  # it is written beside the answer
                await asyncio.sleep(0.05)
                knocking = await api.get("/knocking")
    stations = answer.json()
    items = stations["items"] if isinstance(stations, dict) else stations
    assert not any(station["online"] for station in items)
    assert "CP16" in knocking.text
