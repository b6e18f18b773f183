"""A bug in the shortcut for meter values costs time, and no connection."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs

from gateway.ocpp.probe import Probe
from gateway.ocpp.template import Template
from tests.support.ocpp_port import BOOT_16, RawStation, open_port


def samples(watt_hours: int) -> dict[str, Any]:
    """A text that differs in its number only."""
    value = {"value": str(watt_hours), "unit": "Wh"}
    return {
        "connectorId": 1,
        "meterValue": [
            {"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [value]},
        ],
    }


async def meter(cp: RawStation) -> list[MutableMapping[str, Any]]:
    """Send the same text until it is learnt and used; what was logged as an error."""
    with capture_logs() as logs:
        for number in range(6):
            answer = await cp.ask("MeterValues", samples(1000 + number))
            assert (answer[0], answer[2]) == (3, {})
        other = samples(2000)
        other["connectorId"] = 2
        for _ in range(3):
            assert (await cp.ask("MeterValues", other))[0] == 3
    return [log for log in logs if log["log_level"] == "error"]


def broken(*_: object) -> NoReturn:
    """A bug."""
    raise TypeError("nobody thought of that")


@pytest.mark.parametrize(
    ("owner", "method"),
    [(Probe, "__init__"), (Probe, "template"), (Template, "fill")],
    ids=["probing", "learning", "filling"],
)
async def test_a_bug_in_the_shortcut_is_told_once_and_the_station_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    monkeypatch.setattr(owner, method, broken)
    async with open_port(tmp_path) as port, port.station() as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        (error,) = await meter(cp)
        assert (error["event"], error["action"]) == ("template.failed", "MeterValues")
        assert port.ingest.counters.refused == 0
        assert (await cp.ask("Heartbeat", {}))[0] == 3
