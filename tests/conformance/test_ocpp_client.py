"""Every message a station can begin, from the ``ocpp`` package's own client.

The package writes the frames and checks the answers against its schemas; none of our
code is on the station's side.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201

from gateway.ocpp import v16_commands, v201_commands
from tests.conformance.desk import PASSWORD, Operator, stamp
from tests.support.queue_station import connected

TOKEN = "STRANGER"
TOKEN_16, TOKEN_201 = TOKEN, {"id_token": TOKEN, "type": "ISO14443"}
HASHES = {
    "hash_algorithm": "SHA256",
    "issuer_name_hash": "0a" * 32,
    "issuer_key_hash": "0b" * 32,
    "serial_number": "1f",
    "responder_url": "http://127.0.0.1:1/ocsp",
}
COMPONENT = {"component": {"name": "EVSE"}, "variable": {"name": "Power"}}
SCHEDULE = {
    "id": 1,
    "charging_rate_unit": "A",
    "charging_schedule_period": [{"start_period": 0, "limit": 6.0}],
}
PROFILE = {
    "id": 1,
    "stack_level": 0,
    "charging_profile_purpose": "TxDefaultProfile",
    "charging_profile_kind": "Relative",
    "charging_schedule": [SCHEDULE],
}


def messages_16() -> Mapping[str, tuple[Any, dict[str, object]]]:
    """By action: the message, and what its answer must say."""
    at = stamp()
    return {
        "Authorize": (
            call16.Authorize(id_tag=TOKEN_16),
            {"id_tag_info": {"status": "Accepted"}},
        ),
        "BootNotification": (
            call16.BootNotification(
                charge_point_model="Duo", charge_point_vendor="Voltwerk"
            ),
            {"status": "Accepted"},
        ),
        "DataTransfer": (
            call16.DataTransfer(vendor_id="org.example"),
            {"status": "UnknownVendorId"},
        ),
        "DiagnosticsStatusNotification": (
            call16.DiagnosticsStatusNotification(status="Idle"),
            {},
        ),
        "FirmwareStatusNotification": (
            call16.FirmwareStatusNotification(status="Idle"),
            {},
        ),
        "Heartbeat": (call16.Heartbeat(), {}),
        "LogStatusNotification": (
            call16.LogStatusNotification(status="Idle", request_id=1),
            {},
        ),
        "MeterValues": (
            call16.MeterValues(
                connector_id=1,
                meter_value=[{"timestamp": at, "sampled_value": [{"value": "1100"}]}],
            ),
            {},
        ),
        "SecurityEventNotification": (
            call16.SecurityEventNotification(
                type="ResetOrReboot", timestamp=at, tech_info="told"
            ),
            {},
        ),
        "SignCertificate": (
            call16.SignCertificate(csr="not a request"),
            {"status": "Rejected"},
        ),
        "SignedFirmwareStatusNotification": (
            call16.SignedFirmwareStatusNotification(status="Idle", request_id=1),
            {},
        ),
        "StartTransaction": (
            call16.StartTransaction(
                connector_id=1, id_tag=TOKEN_16, meter_start=1000, timestamp=at
            ),
            {"id_tag_info": {"status": "Accepted"}},
        ),
        "StatusNotification": (
            call16.StatusNotification(
                connector_id=1, error_code="NoError", status="Available"
            ),
            {},
        ),
        "StopTransaction": (
            call16.StopTransaction(
                meter_stop=1200, timestamp=at, transaction_id=987654321
            ),
            {},
        ),
    }


def messages_201() -> Mapping[str, tuple[Any, dict[str, object]]]:
    """By action: the message, and what its answer must say."""
    at = stamp()
    event = {
        "event_id": 1,
        "timestamp": at,
        "trigger": "Delta",
        "actual_value": "1",
        "event_notification_type": "HardWiredNotification",
        **COMPONENT,
    }
    return {
        "Authorize": (
            call201.Authorize(id_token=TOKEN_201),
            {"id_token_info": {"status": "Accepted"}},
        ),
        "BootNotification": (
            call201.BootNotification(
                charging_station={"model": "Duo", "vendor_name": "Voltwerk"},
                reason="PowerUp",
            ),
            {"status": "Accepted"},
        ),
        "ClearedChargingLimit": (
            call201.ClearedChargingLimit(charging_limit_source="EMS"),
            {},
        ),
        "DataTransfer": (
            call201.DataTransfer(vendor_id="org.example"),
            {"status": "UnknownVendorId"},
        ),
        "FirmwareStatusNotification": (
            call201.FirmwareStatusNotification(status="Idle"),
            {},
        ),
        "Get15118EVCertificate": (
            call201.Get15118EVCertificate(
                iso15118_schema_version="urn:iso:15118:2:2013:MsgDef",
                action="Install",
                exi_request="ZXhp",
            ),
            {"status": "Failed"},
        ),
        "GetCertificateStatus": (
            call201.GetCertificateStatus(ocsp_request_data=HASHES),
            {"status": "Failed"},
        ),
        "Heartbeat": (call201.Heartbeat(), {}),
        "LogStatusNotification": (
            call201.LogStatusNotification(status="Idle"),
            {},
        ),
        "MeterValues": (
            call201.MeterValues(
                evse_id=1,
                meter_value=[{"timestamp": at, "sampled_value": [{"value": 1100.0}]}],
            ),
            {},
        ),
        "NotifyChargingLimit": (
            call201.NotifyChargingLimit(
                charging_limit={"charging_limit_source": "EMS"}
            ),
            {},
        ),
        "NotifyCustomerInformation": (
            call201.NotifyCustomerInformation(
                data="", seq_no=0, generated_at=at, request_id=1
            ),
            {},
        ),
        "NotifyDisplayMessages": (
            call201.NotifyDisplayMessages(request_id=1),
            {},
        ),
        "NotifyEVChargingNeeds": (
            call201.NotifyEVChargingNeeds(
                charging_needs={"requested_energy_transfer": "AC_three_phase"},
                evse_id=1,
            ),
            {"status": "Rejected"},
        ),
        "NotifyEVChargingSchedule": (
            call201.NotifyEVChargingSchedule(
                time_base=at, charging_schedule=SCHEDULE, evse_id=1
            ),
            {"status": "Rejected"},
        ),
        "NotifyEvent": (
            call201.NotifyEvent(generated_at=at, seq_no=0, event_data=[event]),
            {},
        ),
        "NotifyMonitoringReport": (
            call201.NotifyMonitoringReport(request_id=1, seq_no=0, generated_at=at),
            {},
        ),
        "NotifyReport": (
            call201.NotifyReport(request_id=1, generated_at=at, seq_no=0),
            {},
        ),
        "PublishFirmwareStatusNotification": (
            call201.PublishFirmwareStatusNotification(status="Idle"),
            {},
        ),
        "ReportChargingProfiles": (
            call201.ReportChargingProfiles(
                request_id=1,
                charging_limit_source="CSO",
                charging_profile=[PROFILE],
                evse_id=1,
            ),
            {},
        ),
        "ReservationStatusUpdate": (
            call201.ReservationStatusUpdate(
                reservation_id=1, reservation_update_status="Expired"
            ),
            {},
        ),
        "SecurityEventNotification": (
            call201.SecurityEventNotification(type="ResetOrReboot", timestamp=at),
            {},
        ),
        "SignCertificate": (
            call201.SignCertificate(csr="not a request"),
            {"status": "Rejected"},
        ),
        "StatusNotification": (
            call201.StatusNotification(
                timestamp=at, connector_status="Available", evse_id=1, connector_id=1
            ),
            {},
        ),
        "TransactionEvent": (
            call201.TransactionEvent(
                event_type="Started",
                timestamp=at,
                trigger_reason="Authorized",
                seq_no=0,
                transaction_info={"transaction_id": "stranger-1"},
                id_token=TOKEN_201,
                evse={"id": 1, "connector_id": 1},
            ),
            {"id_token_info": {"status": "Accepted"}},
        ),
    }


@asynccontextmanager
async def client(operator: Operator, version: str) -> AsyncIterator[Any]:
    """The package's station, registered, connected and booted."""
    await operator.token(TOKEN)
    station_id = await operator.register()
    kind = ChargePoint16 if version == "1.6" else ChargePoint201
    messages = messages_16() if version == "1.6" else messages_201()
    async with (
        connected(
            operator.desk.ocpp_url, station_id, f"ocpp{version}", password=PASSWORD
        ) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        station = kind(station_id, socket)
        reader = tasks.create_task(station.start())
        await station.call(messages["BootNotification"][0], suppress=False)
        yield station
        reader.cancel()


def _actions(module: ModuleType) -> set[str]:
    found = vars(module).items()
    return {name for name, one in found if dataclasses.is_dataclass(one)}


def test_no_message_is_left_out() -> None:
    sent_16 = {a for a in v16_commands.REQUESTS if a != "DataTransfer"}
    sent_201 = {a for a in v201_commands.REQUESTS if a != "DataTransfer"}
    assert set(messages_16()) == _actions(call16) - sent_16
    assert set(messages_201()) == _actions(call201) - sent_201


@pytest.mark.parametrize(
    ("version", "action"),
    [("1.6", action) for action in messages_16()]
    + [("2.0.1", action) for action in messages_201()],
)
async def test_a_strangers_message_gets_a_valid_answer(
    operator: Operator, version: str, action: str
) -> None:
    messages = messages_16() if version == "1.6" else messages_201()
    message, expected = messages[action]
    async with client(operator, version) as station:
        answer = await station.call(message, suppress=False)
    assert type(answer).__name__ == action
    said = dataclasses.asdict(answer)
    for member, value in expected.items():
        if isinstance(value, dict):
            assert value.items() <= said[member].items()
        else:
            assert said[member] == value
