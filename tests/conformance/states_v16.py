"""What a station of OCPP 1.6 says when somebody charges."""

from typing import Any

from tests.conformance.desk import stamp
from tests.support.raw_station import RawStation


async def status(station: RawStation, word: str, **members: object) -> None:
    """StatusNotification of connector 1, unless it is named."""
    told = {"connectorId": 1, "errorCode": "NoError", "status": word, **members}
    assert await station.ask("StatusNotification", told) == {}


async def start(
    station: RawStation, token: str, register_wh: int = 1_000, *, ago_s: float = 0.0
) -> dict[str, Any]:
    """StartTransaction at connector 1; its answer."""
    told = {"connectorId": 1, "idTag": token, "meterStart": register_wh}
    return await station.ask("StartTransaction", told | {"timestamp": stamp(ago_s)})


async def stop(
    station: RawStation, number: int, register_wh: int, **members: object
) -> dict[str, Any]:
    """StopTransaction; its answer."""
    told = {"transactionId": number, "meterStop": register_wh, "timestamp": stamp()}
    return await station.ask("StopTransaction", told | members)
