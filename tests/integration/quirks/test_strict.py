"""Stations of which nothing is tolerated, and what is settled for single stations.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import StationId
from gateway.errors import RequestError
from tests.support.ocpp_port import Port, open_port

CP1 = StationId("CP1")
V16_STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
V201_STATUS = {
    "timestamp": "2026-06-01T12:00:00Z",
    "connectorStatus": "Available",
    "evseId": 1,
    "connectorId": 1,
}
BOOT: dict[str, dict[str, Any]] = {
    "1.6": {"chargePointVendor": "V", "chargePointModel": "M"},
    "2.0.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "V", "model": "M"},
    },
}
GOOD: dict[str, dict[str, Any]] = {"1.6": V16_STATUS, "2.0.1": V201_STATUS}
CASES = [
    ("1.6", {"info": "i" * 60}, "Property"),
    ("1.6", {"errorCode": "Odd"}, "Property"),
    ("1.6", {"connectorId": "1"}, "Type"),
    ("1.6", {"shoeSize": 43}, "Formation"),
    ("1.6", {"timestamp": "noon"}, "Property"),
    ("2.0.1", {"connectorId": "1"}, "Type"),
    ("2.0.1", {"connectorStatus": "available"}, "Property"),
    ("2.0.1", {"timestamp": "noon"}, "Property"),
]


async def settle(port: Port, **members: Any) -> None:
    await port.directory.put(CP1, members, is_admin=False)


@pytest.mark.quirk(14)
@pytest.mark.parametrize(("version", "change", "code"), CASES)
async def test_of_a_strict_station_nothing_is_tolerated(
    tmp_path: Path, version: str, change: dict[str, Any], code: str
) -> None:
    """Row 14."""
    action, good = "StatusNotification", GOOD[version]
    async with open_port(tmp_path) as port:
        offered = (f"ocpp{version}",)
        for strict in (None, True, False):
            await settle(port, strict=strict)
            async with port.station(subprotocols=offered) as cp:
                await cp.ask("BootNotification", BOOT[version])
                if strict is not True:
                    answer = await cp.ask(action, good | change)
                    assert answer[0] == 3
                    continue
                answer = await cp.ask(action, good | change)
                assert answer[0] == 4
                assert answer[2].startswith(code)
                assert (await cp.ask(action, good))[0] == 3
        refused = await port.queries.refused_frames("CP1")
        assert len(refused) == 1


@pytest.mark.quirk(6)
@pytest.mark.parametrize("port_wide", [True, False])
async def test_compression_can_be_settled_for_one_station(
    tmp_path: Path, *, port_wide: bool
) -> None:
    """Row 6."""
    async with open_port(tmp_path, compression=port_wide) as port:
        for own, is_agreed in ((None, port_wide), (True, True), (False, False)):
            await settle(port, compression=own)
            async with port.station(compression="deflate") as cp:
                assert cp.socket.response is not None
                headers = cp.socket.response.headers
                assert ("Sec-WebSocket-Extensions" in headers) is is_agreed
                answer = await cp.ask("BootNotification", BOOT["1.6"])
                assert answer[0] == 3


async def test_settings_that_are_no_yes_or_no_are_refused(tmp_path: Path) -> None:
    async with open_port(tmp_path) as port:
        for name in ("strict", "compression"):
            with pytest.raises(RequestError) as caught:
                await settle(port, **{name: "maybe"})
            assert caught.value.status == 422
