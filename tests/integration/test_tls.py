"""Security profiles 2 and 3 over TLS sockets (2.0.1 part 6: TC_A_01 to A_08, A_19).

The station's side is the ``websockets`` client with certificates made here.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs
from websockets.exceptions import InvalidMessage, InvalidStatus

from gateway.config.tls import CertificateFiles, TlsConfig
from gateway.domain.ids import StationId
from gateway.errors import ConfigError, StartupError
from gateway.server import tls, tls_port
from gateway.services.certificate_intake import load_pem
from gateway.store import stations as rows
from gateway.store.stations import StationSettings
from tests.support import forgery, pki
from tests.support.certificates import (
    NOW,
    Authority,
    client_context,
    ecdsa_key,
    rsa_key,
    server_tls,
)
from tests.support.ocpp_port import BOOT_16, Port, RawStation, open_port, until

CP1 = StationId("CP1")
V12 = ssl.TLSVersion.TLSv1_2


@dataclass
class World:
    """A port with TLS, and who signs certificates."""

    port: Port
    folder: Path
    root: Authority
    clients: Authority

    @asynccontextmanager
    async def station(
        self,
        *,
        context: ssl.SSLContext | None = None,
        name: str | None = None,
        organization: str | None = None,
        by: Authority | None = None,
        **how: Any,
    ) -> AsyncIterator[RawStation]:
        """Connect over TLS; with ``name`` by a client certificate, without Basic."""
        if context is None:
            certificate = None
            if name is not None:
                certificate = (by or self.clients).issue(
                    self.folder, name, organization=organization
                )
                how.setdefault("password", None)
            context = client_context(self.root, self.folder, certificate=certificate)
        number = self.port.listener.tls_port
        async with self.port.station(
            **how, ssl=context, server_hostname="localhost", scheme="wss", number=number
        ) as cp:
            yield cp

    async def refused(self, **how: Any) -> int:
        """The status of a refused handshake."""
        with pytest.raises(InvalidStatus) as caught:
            async with self.station(**how):
                pytest.fail("connected")
        return caught.value.response.status_code

    async def raise_profile(self, profile: int) -> None:
        """Set the lowest profile that CP1 may use."""
        settings = StationSettings(security_profile=profile)
        await self.port.writer.run(lambda conn: rows.change(conn, CP1, settings))
        await self.port.directory.reload()

    def used(self) -> Any:
        """What the connection of CP1 used, as the API shows it."""
        return self.port.links.connection(CP1)


@asynccontextmanager
async def world(
    folder: Path, config: TlsConfig | None = None, **changes: Any
) -> AsyncIterator[World]:
    root, clients = Authority.new(), Authority.new("Station root")
    config = replace(config or server_tls(folder, root, clients), **changes)
    async with open_port(folder, tls=config) as port:
        yield World(port, folder, root, clients)


@pytest.mark.case("TC_A_04_CSMS")
async def test_basic_over_tls_is_profile_2(tmp_path: Path) -> None:
    """TC_A_01 and A_04: right credentials are let in, over a sound suite."""
    async with world(tmp_path) as here, here.station() as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        used = here.used()
        assert (used["profile"], used["tls_version"]) == (2, "TLSv1.3")
        assert used["client_certificate"] is None


async def test_wrong_credentials_over_tls_are_refused(tmp_path: Path) -> None:
    """TC_A_02 and A_03."""
    async with world(tmp_path) as here:
        assert await here.refused(password=b"wrong-password-here") == 401
        assert await here.refused(password=None) == 401
        assert await here.refused(user="CP2") == 401
        assert (await here.port.knocks())["CP1"]


@pytest.mark.quirk(9)
@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ],
)
async def test_both_certificates_serve_their_suites(tmp_path: Path, suite: str) -> None:
    """A00.FR.317 and FR.421."""
    async with world(tmp_path) as here:
        context = client_context(here.root, tmp_path, suites=suite, version=V12)
        async with here.station(context=context):
            assert here.used()["cipher"] == suite


@pytest.mark.quirk(9)
@pytest.mark.case("TC_A_04_CSMS")
async def test_static_rsa_is_the_last_resort_and_can_be_switched_off(
    tmp_path: Path,
) -> None:
    """A00.FR.317: TLS_RSA_WITH_AES_128/256_GCM."""
    suites = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
    async with world(tmp_path, static_rsa=False) as here:
        context = client_context(here.root, tmp_path, suites=suites[0], version=V12)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with here.station(context=context):
                pytest.fail("connected")
    async with world(tmp_path) as here:
        both = f"{suites[0]}:ECDHE-RSA-AES256-GCM-SHA384"
        context = client_context(here.root, tmp_path, suites=both, version=V12)
        async with here.station(context=context):
            assert here.used()["cipher"] == "ECDHE-RSA-AES256-GCM-SHA384"
        for suite in suites:
            context = client_context(here.root, tmp_path, suites=suite, version=V12)
            async with here.station(context=context):
                assert here.used()["cipher"] == suite


@pytest.mark.quirk(9)
@pytest.mark.case("TC_A_06_CSMS")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(tmp_path: Path) -> None:
    """TC_A_06."""
    async with world(tmp_path) as here:
        context = client_context(
            here.root,
            tmp_path,
            suites="ALL:@SECLEVEL=0",
            version=ssl.TLSVersion.TLSv1_1,
        )
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with here.station(context=context):
                pytest.fail("connected")
        newer = client_context(here.root, tmp_path, version=V12)
        async with here.station(context=newer):
            assert here.used()["tls_version"] == "TLSv1.2"


@pytest.mark.case("TC_A_07_CSMS")
async def test_a_station_certificate_needs_no_password(tmp_path: Path) -> None:
    """TC_A_07: profile 3; the certificate's name is the station's id."""
    async with world(tmp_path) as here, here.station(name="CP1") as cp:
        assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
        used = here.used()
        assert used["profile"] == 3
        assert used["client_certificate"]["subject"] == "CP1"
        assert used["client_certificate"]["not_after"] > NOW.isoformat()


async def test_the_certificate_may_carry_the_serial_number(tmp_path: Path) -> None:
    """A00.FR.405: CN is the serial number that the station booted with."""
    boot = {**BOOT_16, "chargePointSerialNumber": "SN-77"}
    async with world(tmp_path) as here:
        assert await here.refused(name="SN-77") == 401
        async with here.station() as cp:
            await cp.ask("BootNotification", boot)
            await until(lambda: here.port.directory.require("CP1").serial == "SN-77")
        async with here.station(name="SN-77"):
            assert here.used()["profile"] == 3


@pytest.mark.case("TC_A_08_CSMS")
async def test_another_stations_certificate_opens_nothing(tmp_path: Path) -> None:
    """TC_A_08, and a right password beside it does not help."""
    async with world(tmp_path) as here:
        assert await here.refused(name="CP2") == 401
        assert await here.refused(name="CP2", password=b"a-station-password") == 401
        assert "certificate of 'CP2'" in (await here.port.knocks())["CP1"]


async def test_the_organization_counts_where_it_is_configured(tmp_path: Path) -> None:
    """A00.FR.404."""
    async with world(tmp_path, organization="Us") as here:
        assert await here.refused(name="CP1", organization="Them") == 401
        assert await here.refused(name="CP1") == 401
        async with here.station(name="CP1", organization="Us"):
            assert here.used()["client_certificate"]["organization"] == "Us"


@pytest.mark.quirk(9)
@pytest.mark.case("TC_A_08_CSMS")
@pytest.mark.parametrize("fault", ["expired", "stranger"])
async def test_a_certificate_that_does_not_verify_ends_the_handshake(
    tmp_path: Path, fault: str
) -> None:
    """TC_A_08: expired, or signed by somebody else."""
    async with world(tmp_path) as here:
        by = here.clients if fault == "expired" else Authority.new("Stranger")
        day = timedelta(days=1 if fault == "stranger" else -1)
        certificate = by.issue(tmp_path, "CP1", until=NOW + day)
        context = client_context(here.root, tmp_path, certificate=certificate)
        with pytest.raises((ssl.SSLError, InvalidMessage, ConnectionError)):
            async with here.station(context=context, password=None):
                pytest.fail("connected")
        assert not here.port.links.is_online(CP1)


@pytest.mark.parametrize("serial", [0, -1])
async def test_a_certificate_with_an_impossible_serial_number_is_refused_and_seen(
    tmp_path: Path, serial: int
) -> None:
    """OpenSSL lets it pass (RFC 5280, 4.1.2.2)."""
    async with world(tmp_path) as here:
        files = here.clients.issue(tmp_path, "CP1")
        (good,) = load_pem(files.cert.read_bytes())
        _, text = forgery.with_serial(good, here.clients.key, serial)
        files.cert.write_text(text)
        context = client_context(here.root, tmp_path, certificate=files)
        assert await here.refused(context=context, password=None) == 401
        assert await here.refused(context=context) == 401
        why = (await here.port.knocks())["CP1"]
        assert why == (
            "its certificate has a serial number that is not positive"
            " (RFC 5280, 4.1.2.2)"
        )
        async with here.station(name="CP1"):
            assert here.used()["profile"] == 3


async def test_a_connection_below_the_stations_profile_is_refused_and_seen(
    tmp_path: Path,
) -> None:
    """TC_A_19 and A05.FR.09."""
    async with world(tmp_path) as here:
        await here.raise_profile(2)
        with pytest.raises(InvalidStatus) as caught:
            async with here.port.station():
                pytest.fail("connected")
        assert caught.value.response.status_code == 401
        assert "the lowest accepted is 2" in (await here.port.knocks())["CP1"]
        async with here.station():
            assert here.used()["profile"] == 2
        await here.raise_profile(3)
        assert await here.refused() == 401
        async with here.station(name="CP1"):
            assert here.used()["profile"] == 3


async def test_an_upgrade_ends_with_the_first_connection_that_has_it(
    tmp_path: Path,
) -> None:
    """A05.FR.09: from then on nothing lower."""
    async with world(tmp_path) as here:
        directory = here.port.directory
        async with here.station():
            assert directory.require("CP1").security_profile == 1
        directory.expect_profile(CP1, 2)
        async with here.port.station():
            assert directory.require("CP1").security_profile == 1
        async with here.station():
            assert directory.require("CP1").security_profile == 2
        await directory.reload()
        with pytest.raises(InvalidStatus):
            async with here.port.station():
                pytest.fail("connected")


async def test_new_certificates_are_served_and_nobody_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_port, "LOOK_S", 0.05)
    root, clients = Authority.new(), Authority.new("Station root")
    config = server_tls(tmp_path, root, clients)
    newer = Authority.new("Newer root")
    async with world(tmp_path, config) as here:
        here.root = root
        async with here.station() as cp:
            for files in config.certificates:
                key = rsa_key() if "rsa" in files.cert.name else ecdsa_key()
                fresh = newer.issue(tmp_path, "fresh", key=key)
                files.cert.write_bytes(b"half a file")
                await asyncio.sleep(0.1)  # seen, and not taken
                files.key.write_bytes(fresh.key.read_bytes())
                files.cert.write_bytes(fresh.cert.read_bytes())

            async def is_served() -> bool:
                try:
                    async with here.station():
                        return False
                except (ssl.SSLError, ConnectionError):
                    here.root = newer
                    async with here.station():
                        return True

            async with asyncio.timeout(30):
                while not await is_served():  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
            assert await cp.closed() == 1008  # by its own newer connection, not before


async def test_a_station_that_hangs_in_the_tls_handshake_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_port, "OPEN_TIMEOUT_S", 0.2)
    async with world(tmp_path) as here:
        assert here.port.listener.tls_port is not None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", here.port.listener.tls_port
        )
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


def test_tls_works_on_uvloop_as_well(tmp_path: Path) -> None:
    async def both() -> None:
        async with world(tmp_path) as here:
            async with here.station(name="CP1") as cp:
                assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
                assert here.used()["profile"] == 3
                cp.socket.transport.write(b"\x81\x00")  # not masked
                assert await cp.closed() == 1002
            async with here.station() as cp:
                cp.socket.transport.abort()
                await cp.socket.wait_closed()
            await until(lambda: not here.port.links.is_online(CP1))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both())


def test_the_port_ends_with_handshakes_under_way_on_uvloop(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_end_with_handshakes_under_way(tmp_path))


@pytest.fixture
def config(tmp_path: Path) -> TlsConfig:
    return server_tls(tmp_path, Authority.new(), Authority.new("Station root"))


def test_sound_files_raise_no_warning(config: TlsConfig) -> None:
    assert tls.check(config, NOW) == []
    assert tls.check(config, NOW + timedelta(days=350)) != []


@pytest.mark.parametrize(
    ("part", "content", "text"),
    [
        ("cert", None, "cannot be read: No such file"),
        ("cert", b"rubbish", "holds no PEM certificate"),
        ("key", None, "cannot be read"),
        ("key", b"rubbish", "holds no PEM private key"),
        ("key", "other", "does not belong to"),
    ],
)
def test_files_that_cannot_serve_are_named(
    config: TlsConfig, part: str, content: object, text: str
) -> None:
    first, second = config.certificates
    path: Path = getattr(first, part)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(
            content if isinstance(content, bytes) else second.key.read_bytes()
        )
    with pytest.raises(ConfigError, match=text) as caught:
        tls.check(config, NOW)
    assert caught.value.key == f"ocpp.tls.certificates[0].{part}"


def test_a_chain_in_the_wrong_order_a_key_open_to_all_and_a_client_certificate_are_said(
    config: TlsConfig, tmp_path: Path
) -> None:
    key = config.certificates[0].key
    key.chmod(0o640)
    assert tls.check(config, NOW) == []
    key.chmod(0o644)
    assert tls.check(config, NOW) == [
        f"ocpp.tls.certificates[0].key: {key} is open to others: chmod 600 it"
    ]
    root = pki.root("Top")
    sub = pki.issue("Sub", issuer=root, is_ca=True, end=timedelta(days=9))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = pki.issue("csms", issuer=sub, extra=usage, end=timedelta(days=90))
    odd = CertificateFiles(cert=tmp_path / "odd.pem", key=tmp_path / "odd.key")
    odd.key.write_text(pki.key_pem(leaf.key))
    odd.key.chmod(0o600)
    odd.cert.write_text(leaf.pem + root.pem + sub.pem)
    said = tls.check(replace(config, certificates=(odd,)), pki.now())
    assert len([one for one in said if "CN=Sub expires at" in one]) == 1
    assert len([one for one in said if "CN=csms is not signed by CN=Top" in one]) == 1
    assert "ocpp.tls.certificates[0].cert: is not for servers" in " ".join(said)
    odd.cert.write_text(leaf.pem + sub.pem)
    said = tls.check(replace(config, certificates=(odd,)), pki.now())
    assert not [one for one in said if "is not signed" in one]


def test_what_openssl_will_not_serve_is_found_by_a_check(
    config: TlsConfig, tmp_path: Path
) -> None:
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=1024)  # noqa: S505 - refused
    files = Authority.new().issue(tmp_path, "weak", key=weak)
    with pytest.raises(ConfigError, match=r"certificates\[0\]: cannot be used"):
        tls.check(replace(config, certificates=(files,)), NOW)


async def test_files_that_go_away_while_starting_end_the_start_in_one_line(
    tmp_path: Path, config: TlsConfig
) -> None:
    config.certificates[0].cert.unlink()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with world(tmp_path, config):
            pytest.fail("started")
    assert caught.group_contains(StartupError)


async def test_a_certificate_near_its_end_is_told_every_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_port, "LOOK_S", 0.01)
    monkeypatch.setattr(tls_port, "CHECK_AGAIN", timedelta())
    root, clients = Authority.new(), Authority.new("Station root")
    ending = root.issue(tmp_path, "ending", until=NOW + timedelta(days=3))
    plain = server_tls(tmp_path, root, clients)
    with capture_logs() as logs:
        async with world(tmp_path, replace(plain, certificates=(ending,))):

            def told() -> bool:
                texts = [one["text"] for one in logs if one["event"] == "tls.warning"]
                return len([text for text in texts if "expires at" in text]) > 2

            await until(told)


@pytest.mark.quirk(9)
def test_what_is_usable_but_odd_is_said(config: TlsConfig, tmp_path: Path) -> None:
    root = Authority.new()
    expired = root.issue(tmp_path, "old", until=NOW - timedelta(days=1))
    odd = replace(config, certificates=(expired, *config.certificates))
    said = " ".join(tls.check(odd, NOW))
    for words in ("expired at", "same key type"):
        assert words in said


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_failed_handshake_is_told_with_the_address_it_came_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    monkeypatch.setattr(tls_port, "OPEN_TIMEOUT_S", 0.2)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_fail_in_every_way(tmp_path))


async def _fail_in_every_way(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        number = here.port.listener.tls_port
        with capture_logs() as logs:
            certificate = here.clients.issue(
                tmp_path, "CP1", until=NOW - timedelta(days=1)
            )
            context = client_context(here.root, tmp_path, certificate=certificate)
            with pytest.raises((ssl.SSLError, InvalidMessage, ConnectionError)):
                async with here.station(context=context, password=None):
                    pytest.fail("connected")
            for first in (b"GET / HTTP/1.1\r\n\r\n", b""):
                reader, writer = await asyncio.open_connection("127.0.0.1", number)
                address = "{}:{}".format(*writer.get_extra_info("sockname"))
                writer.write(first)
                async with asyncio.timeout(30):
                    while await reader.read(100):
                        pass
                writer.close()
                assert [one for one in logs if one.get("remote") == address], logs
        told = [one for one in logs if one["event"] == "security.tls_refused"]
        assert told[0]["certificate"] == "certificate has expired"
        assert told[0]["remote"].startswith("127.0.0.1:")
        assert told[1]["why"] == "HTTP_REQUEST"
        assert told[2]["why"] == "the handshake took too long"
        async with here.station(name="CP1"):
            assert here.used()["profile"] == 3


async def test_failed_handshakes_are_rationed_by_host_and_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 60.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    refusals = tls_port.Refusals()
    noisy = [refusals.may_tell("192.0.2.1") for _ in range(1000)]
    assert noisy.count(True) == tls_port.REFUSALS_PER_HOST
    others = [refusals.may_tell(f"198.51.100.{n}") for n in range(200)]
    assert others.count(True) == (
        tls_port.REFUSALS_PER_MINUTE - tls_port.REFUSALS_PER_HOST
    )
    now_s = 120.0
    with capture_logs() as logs:
        assert refusals.may_tell("192.0.2.1")
    (left_out,) = logs
    assert left_out["event"] == "security.tls_refusals_left_out"
    assert left_out["count"] == 1000 + 200 - tls_port.REFUSALS_PER_MINUTE


async def test_who_never_ends_the_tls_handshake_takes_no_room_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.listener.MAX_OPENING", 3)
    async with world(tmp_path) as here:
        number = here.port.listener.tls_port
        idle = [await asyncio.open_connection("127.0.0.1", number) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        async with asyncio.timeout(30):
            assert await reader.read() == b""  # dropped, before any of our work
        writer.close()
        for _, other in idle:
            other.close()
        async with asyncio.timeout(30):
            while True:
                try:
                    async with here.station(name="CP1"):
                        break
                except (ConnectionError, InvalidMessage, ssl.SSLError):
                    await asyncio.sleep(0.02)


async def test_the_port_ends_with_handshakes_under_way(tmp_path: Path) -> None:
    await _end_with_handshakes_under_way(tmp_path)


async def _end_with_handshakes_under_way(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        async with world(tmp_path) as here:
            number = here.port.listener.tls_port
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", number)
