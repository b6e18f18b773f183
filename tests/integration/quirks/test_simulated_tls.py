"""Chargers whose TLS is too old or trusts nobody, at the real TLS port."""

import asyncio
import io
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sim_chargers.clock import SiteClock
from sim_chargers.events import Events
from sim_chargers.evse import EvseSpec
from sim_chargers.fleet import make_charger
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec
from sim_chargers.tls import TlsFiles
from tests.support.certificates import Authority, server_tls
from tests.support.ocpp_port import open_port, until

FAULTS = ("old-tls", "expired-root")
SOUND = "sound"


def told(logs: Sequence[Any]) -> list[str]:
    """Why handshakes were refused."""
    return [one["why"] for one in logs if one["event"] == "security.tls_refused"]


@pytest.mark.quirk(9)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_chargers_that_cannot_agree_on_tls_stay_out_and_harm_nobody(
    tmp_path: Path, version: str
) -> None:
    """They come again and again; a sound one beside them is served all the same."""
    root, clients = Authority.new(), Authority.new("Station root")
    async with open_port(tmp_path, tls=server_tls(tmp_path, root, clients)) as port:
        around = Surroundings(
            url=f"wss://localhost:{port.listener.tls_port}/ocpp",
            clock=SiteClock(speed=200.0),
            events=Events(stream=io.StringIO()),
            call_timeout_s=1.0,
            tls=TlsFiles(ca=root.file(tmp_path)),
        )
        chargers = {}
        for name in (*FAULTS, SOUND):
            await port.register(name, b"pw")
            evses = (EvseSpec(evse_id=1),)
            plan = StationSpec(id=name, ocpp=version, evses=evses, password="pw")
            chargers[name] = make_charger(plan, around, frozenset({name} - {SOUND}))
            chargers[name].link.backoff_first_s = 0.05
        with capture_logs() as logs:
            async with asyncio.TaskGroup() as group, asyncio.timeout(20):
                tasks = [group.create_task(one.run()) for one in chargers.values()]
                await chargers[SOUND].has_booted.wait()
                await until(lambda: "UNSUPPORTED_PROTOCOL" in told(logs))
                await until(lambda: chargers["expired-root"].link.distrusted)
                connects = [one.link.traffic.connects for one in chargers.values()]
                for task in tasks:
                    task.cancel()
    assert connects == [0, 0, 1]


@pytest.mark.quirk(9)
async def test_a_charger_of_old_tls_is_served_at_the_legacy_port_if_it_speaks_1_6(
    tmp_path: Path,
) -> None:
    root, clients = Authority.new(), Authority.new("Station root")
    config = replace(server_tls(tmp_path, root, clients), legacy_port=0)
    async with open_port(tmp_path, tls=config) as port:
        around = Surroundings(
            url=f"wss://localhost:{port.listener.legacy_port}/ocpp",
            clock=SiteClock(speed=200.0),
            events=Events(stream=io.StringIO()),
            call_timeout_s=1.0,
            tls=TlsFiles(ca=root.file(tmp_path)),
        )
        chargers = {}
        for version in ("1.6", "2.0.1"):
            name = f"old-{version}"
            await port.register(name, b"pw")
            evses = (EvseSpec(evse_id=1),)
            plan = StationSpec(id=name, ocpp=version, evses=evses, password="pw")
            chargers[name] = make_charger(plan, around, frozenset({"old-tls"}))
            chargers[name].link.backoff_first_s = 0.05
        async with asyncio.TaskGroup() as group, asyncio.timeout(20):
            tasks = [group.create_task(one.run()) for one in chargers.values()]
            await chargers["old-1.6"].has_booted.wait()
            while "old-2.0.1" not in await port.knocks():  # noqa: ASYNC110 - a store
                await asyncio.sleep(0.05)
            listed = port.links.legacy_use()
            booted = [one.has_booted.is_set() for one in chargers.values()]
            for task in tasks:
                task.cancel()
    assert [(one["station_id"], one["needs_it"]) for one in listed] == [
        ("old-1.6", True)
    ]
    assert booted == [True, False]


@pytest.mark.quirk(9)
async def test_a_station_that_refuses_our_certificate_is_told_of(
    tmp_path: Path,
) -> None:
    """Its alert, as OpenSSL sends it: asyncio's client hangs up without one."""
    root, clients = Authority.new(), Authority.new("Station root")

    def refuse(number: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with (
            socket.create_connection(("127.0.0.1", number), timeout=5) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(plain, server_hostname="localhost")

    async with open_port(tmp_path, tls=server_tls(tmp_path, root, clients)) as port:
        number = port.listener.tls_port
        assert number is not None
        with capture_logs() as logs:
            await asyncio.to_thread(refuse, number)
            await until(lambda: any("UNKNOWN_CA" in why for why in told(logs)))
