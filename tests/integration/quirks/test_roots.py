"""By which root stations trusted our certificate, and what a new one would change."""

import asyncio
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.domain.ids import StationId
from gateway.services.root_watch import RootWatch, roots_of
from gateway.store import roots
from tests.support import pki
from tests.support.api_site import api_site
from tests.support.certificates import Authority, client_context, server_tls
from tests.support.ocpp_port import BOOT_16, open_port

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.quirk(9)
async def test_a_station_that_comes_in_over_tls_shows_a_root_that_it_trusts(
    tmp_path: Path,
) -> None:
    """Row 9: and one that comes without TLS shows none."""
    root, clients = Authority.new("Root"), Authority.new("Clients")
    config = server_tls(tmp_path, root, clients)
    async with open_port(tmp_path, tls=config) as port, asyncio.TaskGroup() as group:
        watch = RootWatch(
            tls=config,
            bus=port.bus,
            connection=port.links.connection,
            writer=port.writer,
            clock=SystemClock(),
        )
        task = group.create_task(watch.run())
        await asyncio.sleep(0)
        async with port.station() as cp:
            await cp.ask("BootNotification", BOOT_16)
        assert await port.queries.rows(roots.ROWS) == []
        async with port.station(
            ssl=client_context(root, tmp_path),
            server_hostname="localhost",
            scheme="wss",
            number=port.listener.tls_port,
        ) as cp:
            await cp.ask("BootNotification", BOOT_16)
        found = await until_noted(port.queries)
        (name,) = roots_of(config, "TLS_AES_128_GCM_SHA256")
        assert "Root" in name
        assert [(row[0], row[1]) for row in found] == [("CP1", f'["{name}"]')]
        task.cancel()


async def until_noted(queries: Any) -> list[tuple[Any, ...]]:
    """The rows, as soon as there is one."""
    async with asyncio.timeout(30):
        while True:
            found: list[tuple[Any, ...]] = await queries.rows(roots.ROWS)
            if found:
                return found
            await asyncio.sleep(0.02)


def noted(station_id: str, held: list[str], conn: sqlite3.Connection) -> None:
    """Keep what a station would have shown."""
    roots.put(conn, StationId(station_id), held, AT)


@pytest.mark.quirk(9)
async def test_a_new_certificate_is_tried_against_the_roots_that_stations_hold(
    tmp_path: Path,
) -> None:
    """Row 9."""
    old, new = pki.root("Old root"), pki.root("New root")
    names: Mapping[str, list[str]] = {
        "A": ["CN=New root"],
        "B": ["CN=Old root"],
        "C": ["CN=New root", "CN=Old root"],
    }
    async with api_site(tmp_path) as site:
        for station_id, held in names.items():
            await site.parts.writer.run(partial(noted, station_id, held))
        shown = await site.call("GET", "/tls/roots", role="viewer")
        assert {
            tuple(one["roots"]): [s["station_id"] for s in one["stations"]]
            for one in shown
        } == {tuple(held): [station_id] for station_id, held in names.items()}
        found = await site.call(
            "POST",
            "/tls/roots/dry-run",
            {"certificate": pki.pem(new.certificate)},
            role="operator",
        )
        assert found["root"] == new.certificate.issuer.rfc4514_string()
        assert old.certificate.issuer.rfc4514_string() == "CN=Old root"
        assert found["same"] == ["A"]
        assert {one["station_id"] for one in found["other"]} == {"B", "C"}
        bad = {"certificate": "nonsense"}
        await site.call("POST", "/tls/roots/dry-run", bad, role="operator", status=422)
