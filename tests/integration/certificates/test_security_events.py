"""SecurityEventNotification: confirmed, kept, an alarm where it is critical (A04)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.web.attention import attention
from tests.support import pki
from tests.support.api_site import ApiSite, api_site

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
NOW = "2031-01-01T00:00:00Z"


def event(kind: str, **more: Any) -> dict[str, Any]:
    at = pki.now().isoformat().replace("+00:00", "Z")
    return {"type": kind, "timestamp": at, **more}


async def told(site: ApiSite, seen: list[dict[str, Any]], count: int) -> None:
    """Read server-sent security events until so many have come."""
    headers = {"Authorization": f"Bearer {site.secrets['viewer']}"}
    async with site.client.stream("GET", "/api/v1/events", headers=headers) as stream:
        is_next = False
        async for line in stream.aiter_lines():
            if is_next:
                seen.append(json.loads(line.removeprefix("data: ")))
                if len(seen) == count:
                    return
            is_next = line == "event: security"


@pytest.mark.use_case("A04")
@pytest.mark.action16("SecurityEventNotification from the station")
@VERSIONS
async def test_events_are_confirmed_kept_and_critical_ones_raise_an_alarm(
    tmp_path: Path, version: str
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("NEW")
        seen: list[dict[str, Any]] = []
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(told(site, seen, 3))
                async with site.station("NEW", version) as station:
                    await station.boot()
                    await asyncio.sleep(0.3)  # until the reader is connected
                    for kind in (
                        "TamperDetectionActivated",
                        "ReconfigurationOfSecurityParameters",
                        "StartupOfTheDevice",
                    ):
                        said = await station.ask(
                            "SecurityEventNotification", event(kind, techInfo="door")
                        )
                        assert said == {}
                async with asyncio.timeout(30):
                    await reader
        assert [(one["type"], one["critical"]) for one in seen] == [
            ("TamperDetectionActivated", True),
            ("ReconfigurationOfSecurityParameters", False),
            ("StartupOfTheDevice", True),
        ]
        alarms = [log for log in logs if log["event"] == "security.alarm"]
        assert [log["kind"] for log in alarms] == [
            "TamperDetectionActivated",
            "StartupOfTheDevice",
        ]
        found = await site.call("GET", "/stations/NEW/security-events", role="viewer")
        assert [one["type"] for one in found] == [
            "StartupOfTheDevice",
            "ReconfigurationOfSecurityParameters",
            "TamperDetectionActivated",
        ]
        assert found[-1]["critical"] is True
        assert found[-1]["tech_info"] == "door"
        shown = site.parts.certificates.security.alarms()
        assert [(one["type"], one["count"]) for one in shown] == [
            ("TamperDetectionActivated", 1)
        ]
        html = attention([], [], {}, pki.now(), alarms=shown)
        assert "NEW reports TamperDetectionActivated" in html
    async with api_site(tmp_path) as again:  # the alarm outlives a restart, quietly
        with capture_logs() as logs:

            async def is_shown() -> bool:
                return bool(again.parts.certificates.security.alarms())

            await again.until(is_shown)
        assert "security.alarm" not in {log["event"] for log in logs}


async def test_an_event_that_is_repeated_is_counted(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        await site.register("NEW")
        async with site.station("NEW", "1.6") as station:
            await station.boot()
            for _ in range(3):
                await station.ask(
                    "SecurityEventNotification", event("MemoryExhaustion")
                )

        async def counted() -> bool:
            alarms = site.parts.certificates.security.alarms()
            return [one["count"] for one in alarms] == [3]

        await site.until(counted)
