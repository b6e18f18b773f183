"""The port for stations that know no TLS 1.2: asked for, told of, and narrow."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from gateway.config.tls import TlsConfig
from gateway.domain.connection import PLAIN
from gateway.domain.ids import StationId
from gateway.errors import ConfigError
from gateway.server import tls
from gateway.server.legacy_use import LegacyUse
from gateway.store import stations as rows
from gateway.store.stations import StationSettings
from tests.support.certificates import NOW, Authority, client_context, server_tls
from tests.support.ocpp_port import BOOT_16, Port, RawStation, open_port, until

CP1 = StationId("CP1")
OLDEST = ssl.TLSVersion.TLSv1
OLD = [OLDEST, ssl.TLSVersion.TLSv1_1]
ANY_SUITE = "ALL:@SECLEVEL=0"

pytestmark = [
    pytest.mark.quirk(9),
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning"),
]


@dataclass
class World:
    """A gateway with the legacy port open."""

    port: Port
    folder: Path
    root: Authority
    clients: Authority

    @asynccontextmanager
    async def station(
        self,
        version: ssl.TLSVersion | None = OLDEST,
        *,
        suites: str = ANY_SUITE,
        number: int | None = None,
        context: ssl.SSLContext | None = None,
        **how: Any,
    ) -> AsyncIterator[RawStation]:
        """Connect over old TLS, to the legacy port unless another is named."""
        context = context or client_context(
            self.root, self.folder, suites=suites, version=version
        )
        async with self.port.station(
            **how,
            ssl=context,
            server_hostname="localhost",
            scheme="wss",
            number=number or self.port.listener.legacy_port,
        ) as cp:
            yield cp

    async def refused(self, **how: Any) -> str:
        """Why a station was refused, as the operator is told."""
        with pytest.raises(InvalidStatus) as caught:
            async with self.station(**how):
                pytest.fail("connected")
        assert caught.value.response.status_code == 401
        return (await self.port.knocks())["CP1"]

    def used(self) -> Any:
        """What the connection of CP1 used, as the API shows it."""
        return self.port.links.connection(CP1)


@asynccontextmanager
async def world(folder: Path, **changes: Any) -> AsyncIterator[World]:
    root, clients = Authority.new(), Authority.new("Station root")
    config = replace(server_tls(folder, root, clients), legacy_port=0, **changes)
    async with open_port(folder, tls=config) as port:
        yield World(port, folder, root, clients)


@pytest.fixture
def config(tmp_path: Path) -> TlsConfig:
    return server_tls(tmp_path, Authority.new(), Authority.new("Station root"))


@pytest.mark.parametrize("version", OLD)
async def test_old_tls_is_served_at_the_legacy_port_and_refused_at_the_main_one(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async with world(tmp_path) as here:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with here.station(version, number=here.port.listener.tls_port):
                pytest.fail("connected")
        async with here.station(version) as cp:
            assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
            used = here.used()
            assert used["profile"] == 2
            assert used["tls_version"] == version.name.replace("_", ".")
            assert used["port"] == here.port.listener.legacy_port


@pytest.mark.parametrize(
    "suite",
    ["AES128-SHA", "AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"],
)
async def test_old_suites_are_served_whatever_the_main_port_leaves_out(
    tmp_path: Path, suite: str
) -> None:
    async with (
        world(tmp_path, static_rsa=False) as here,
        here.station(suites=f"{suite}:@SECLEVEL=0"),
    ):
        assert here.used()["cipher"] == suite


@pytest.mark.parametrize("suite", ["NULL", "aNULL"])
async def test_suites_without_cipher_or_certificate_are_not_served(
    tmp_path: Path, suite: str
) -> None:
    async with world(tmp_path) as here:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with here.station(suites=f"{suite}:@SECLEVEL=0"):
                pytest.fail("connected")


async def test_there_is_no_legacy_port_by_default(
    tmp_path: Path, config: TlsConfig
) -> None:
    assert config.legacy_port is None
    with capture_logs() as logs:
        async with open_port(tmp_path, tls=config) as port:
            assert port.listener.legacy_port is None
    assert not [one for one in logs if one["event"] == "tls.legacy_port"]
    assert tls.legacy_warnings(config) == []


async def test_2_0_1_is_refused_at_the_legacy_port_and_told_why(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        newer = ssl.TLSVersion.TLSv1_2
        for version in (OLDEST, newer):
            async with here.station(version, subprotocols=("ocpp2.0.1",)) as cp:
                assert cp.socket.subprotocol is None
                assert await cp.closed() == 1002
                assert cp.socket.close_reason == (
                    "ocpp2.0.1 needs TLS 1.2 or later: come to our main TLS port"
                )
        why = (await here.port.knocks())["CP1"]
        assert "offered ocpp2.0.1 at the legacy TLS port" in why
        assert "ocpp.tls.port" in why
        async with here.station(subprotocols=("ocpp2.0.1", "ocpp1.6")) as cp:
            assert cp.socket.subprotocol == "ocpp1.6"
        async with here.station(
            newer,
            subprotocols=("ocpp2.0.1",),
            number=here.port.listener.tls_port,
        ) as cp:
            assert cp.socket.subprotocol == "ocpp2.0.1"


async def test_who_offers_nothing_at_the_legacy_port_is_told_of_1_6_only(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        with pytest.raises(InvalidStatus) as caught:
            async with here.station(subprotocols=None):
                pytest.fail("connected")
        assert caught.value.response.body == (
            b"no subprotocol offered: ask for ocpp1.6\n"
        )


async def test_a_client_certificate_opens_nothing_at_the_legacy_port(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        context = client_context(
            here.root, tmp_path, certificate=here.clients.issue(tmp_path, "CP1")
        )
        why = await here.refused(context=context, password=None)
        assert why == (
            "no password presented: the legacy TLS port takes no client certificates"
        )
        settings = StationSettings(security_profile=3)
        await here.port.writer.run(lambda conn: rows.change(conn, CP1, settings))
        await here.port.directory.reload()
        assert await here.refused() == (
            "security profile 2: the lowest accepted is 3,"
            " and the legacy TLS port offers profile 2 only"
        )


async def test_a_wrong_password_is_refused_at_the_legacy_port(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert await here.refused(password=b"wrong-password-here") == "wrong password"


async def test_the_port_is_told_of_at_the_start_and_each_old_connection_once(
    tmp_path: Path,
) -> None:
    with capture_logs() as logs:
        async with world(tmp_path) as here:
            number = here.port.listener.legacy_port
            (opened,) = [one for one in logs if one["event"] == "tls.legacy_port"]
            assert (opened["log_level"], opened["port"]) == ("warning", number)
            for version in (*OLD, ssl.TLSVersion.TLSv1_2):
                async with here.station(version) as cp:
                    await cp.ask("BootNotification", BOOT_16)
                    await cp.ask("Heartbeat", {})
                await until(lambda: not here.port.links.is_online(CP1))
    old = [one for one in logs if one["event"] == "link.old_tls"]
    assert [one["tls_version"] for one in old] == ["TLSv1", "TLSv1.1"]
    assert {(one["station_id"], one["port"]) for one in old} == {("CP1", number)}


async def test_stations_that_use_the_legacy_port_are_listed_until_they_do_not(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        links = here.port.links
        await here.port.register("CP2")
        assert links.legacy_use() == []
        async with (
            here.station(),
            here.station(ssl.TLSVersion.TLSv1_2, station_id="CP2"),
        ):
            listed = [
                (one["station_id"], one["tls_version"], one["needs_it"], one["online"])
                for one in links.legacy_use()
            ]
            assert listed == [
                ("CP1", "TLSv1", True, True),
                ("CP2", "TLSv1.2", False, True),
            ]
        await until(lambda: not links.is_online(CP1))
        assert [one["online"] for one in links.legacy_use()] == [False, False]
        async with here.station(None, number=here.port.listener.tls_port):
            assert [one["station_id"] for one in links.legacy_use()] == ["CP2"]


async def test_new_certificates_are_served_at_the_legacy_port_too(
    tmp_path: Path,
) -> None:
    root = Authority.new()
    files = root.issue(tmp_path, "server")
    async with world(tmp_path, certificates=(files,)) as here:
        newer = Authority.new("Newer root")
        fresh = newer.issue(tmp_path, "fresh")
        files.key.write_bytes(fresh.key.read_bytes())
        files.cert.write_bytes(fresh.cert.read_bytes())
        with capture_logs() as logs:
            here.port.listener.reload_tls()
        here.root = newer
        async with here.station():
            assert here.used()["tls_version"] == "TLSv1"
        told = [one["port"] for one in logs if one["event"] == "tls.reloaded"]
        listener = here.port.listener
        assert told == [listener.tls_port, listener.legacy_port]


def test_a_check_warns_of_the_port_and_names_an_openssl_without_old_tls(
    config: TlsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy = replace(config, legacy_port=9444)
    assert tls.check(legacy, NOW) == []
    (said,) = tls.legacy_warnings(legacy)
    assert said.startswith("ocpp.tls.legacy_port: takes TLS 1.0 and 1.1")
    monkeypatch.setattr(ssl, "HAS_TLSv1", False)
    monkeypatch.setattr(ssl, "HAS_TLSv1_1", False)
    tls.check(config, NOW)
    with pytest.raises(ConfigError, match="has no TLS below") as caught:
        tls.check(legacy, NOW)
    assert caught.value.key == "ocpp.tls.legacy_port"


def test_whoever_comes_in_without_tls_does_not_need_the_legacy_port() -> None:
    used = LegacyUse()
    old = replace(PLAIN, profile=2, tls_version="TLSv1", port=9444, is_legacy=True)
    used.note(CP1, old, NOW)
    assert [one["connected_at"] for one in used.rows()] == [NOW.isoformat()]
    used.note(CP1, PLAIN, NOW)
    assert used.rows() == []
