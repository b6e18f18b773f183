"""A station answers every call that its version's central system can make."""

from importlib.resources import files

import pytest

from tests.unit.sim.desk import station

FROM_STATIONS = {
    "Authorize",
    "BootNotification",
    "ClearedChargingLimit",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Get15118EVCertificate",
    "GetCertificateStatus",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "TransactionEvent",
}
BOTH_WAYS = {"DataTransfer"}


def actions(version: str) -> set[str]:
    """All actions of a version, from its public schemas."""
    folder = files("ocpp") / version / "schemas"
    names = {entry.name.removesuffix(".json") for entry in folder.iterdir()}
    return {
        name.removesuffix("Request") for name in names if not name.endswith("Response")
    }


@pytest.mark.parametrize(("version", "folder"), [("1.6", "v16"), ("2.0.1", "v201")])
def test_every_call_of_the_central_system_is_served(version: str, folder: str) -> None:
    wanted = (actions(folder) - FROM_STATIONS) | BOTH_WAYS
    assert set(station(version).handlers()) == wanted
