"""Block L, firmware published by a local controller (2.0.1 part 2, L03 and L04)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator

CHECKSUM = "0123456789abcdef0123456789abcdef"


def publication(number: int) -> dict[str, Any]:
    return {
        "location": "https://firmware.example/2.bin",
        "checksum": CHECKSUM,
        "requestId": number,
    }


@pytest.mark.use_case("L03")
async def test_a_controller_publishes_firmware_and_tells_where(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        command = await operator.command(
            station, "PublishFirmware", publication(31), "accepted"
        )
        for status in ("Downloading", "Downloaded", "ChecksumVerified"):
            told: dict[str, Any] = {"status": status, "requestId": 31}
            assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        told = {
            "status": "Published",
            "requestId": 31,
            "location": ["http://10.0.0.1/2.bin"],
        }
        assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        await operator.command_until(command, "effected")


@pytest.mark.use_case("L03")
@pytest.mark.parametrize(
    "status", ["DownloadFailed", "InvalidChecksum", "PublishFailed"]
)
async def test_publishing_may_fail(operator: Operator, status: str) -> None:
    async with operator.booted() as station:
        command = await operator.command(
            station, "PublishFirmware", publication(32), "accepted"
        )
        told = {"status": status, "requestId": 32}
        assert await station.ask("PublishFirmwareStatusNotification", told) == {}
        await operator.command_until(command, "no_effect", "failed")


@pytest.mark.use_case("L04")
@pytest.mark.parametrize("status", ["Unpublished", "NoFirmware", "DownloadOngoing"])
async def test_published_firmware_is_withdrawn(operator: Operator, status: str) -> None:
    async with operator.booted() as station:
        station.handlers["UnpublishFirmware"] = lambda _: {"status": status}
        asked = {"checksum": CHECKSUM}
        told = await operator.accepted(station, "UnpublishFirmware", asked)
        assert told == {"status": status}
        assert station.calls("UnpublishFirmware") == [asked]
