"""Block L, firmware published by a local controller (2.0.1 part 2, L03 and L04)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, until
from tests.support.raw_station import RawStation

CHECKSUM = "0123456789abcdef0123456789abcdef"


async def ask_to_publish(
    operator: Operator, station: RawStation, number: int
) -> dict[str, Any]:
    """PublishFirmware as a command; the command as it is now."""
    answer = await operator.http.post(
        f"/stations/{station.station_id}/commands",
        json={
            "action": "PublishFirmware",
            "payload": {
                "location": "https://firmware.example/2.bin",
                "checksum": CHECKSUM,
                "requestId": number,
            },
        },
    )
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def state(operator: Operator, command: dict[str, Any], *wanted: str) -> str:
    async def reached() -> str | None:
        now = await operator.get(f"/commands/{command['command_id']}")
        return now["state"] if now["state"] in wanted else None

    found: str = await until(reached)
    return found


@pytest.mark.use_case("L03")
async def test_a_controller_publishes_firmware_and_tells_where(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        command = await ask_to_publish(operator, station, 31)
        assert await state(operator, command, "accepted") == "accepted"
        for status in ("Downloading", "Downloaded", "ChecksumVerified"):
            told: dict[str, Any] = {"status": status, "requestId": 31}
            assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        told = {
            "status": "Published",
            "requestId": 31,
            "location": ["http://10.0.0.1/2.bin"],
        }
        assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        assert await state(operator, command, "effected", "no_effect") == "effected"


@pytest.mark.use_case("L03")
@pytest.mark.parametrize(
    "status", ["DownloadFailed", "InvalidChecksum", "PublishFailed"]
)
async def test_publishing_may_fail(operator: Operator, status: str) -> None:
    async with operator.booted() as station:
        command = await ask_to_publish(operator, station, 32)
        await state(operator, command, "accepted")
        told = {"status": status, "requestId": 32}
        assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        reached = await state(operator, command, "effected", "no_effect", "failed")
    assert reached != "effected"


@pytest.mark.use_case("L04")
@pytest.mark.parametrize("status", ["Unpublished", "NoFirmware", "DownloadOngoing"])
async def test_published_firmware_is_withdrawn(operator: Operator, status: str) -> None:
    async with operator.booted() as station:
        station.handlers["UnpublishFirmware"] = lambda _: {"status": status}
        asked = {"checksum": CHECKSUM}
        told = await operator.accepted(station, "UnpublishFirmware", asked)
        assert told == {"status": status}
        assert station.calls("UnpublishFirmware") == [asked]
