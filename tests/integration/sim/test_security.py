"""Transport security of stations: TLS, client certificates, renewed keys."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sim_chargers.charger import Charger
from sim_chargers.flows.catalogue import FLOWS, play
from sim_chargers.flows.stage import Verdict
from sim_chargers.tls import TlsFiles
from tests.integration.sim.authority import Authority, key_pem
from tests.integration.sim.operator_scripts import Operator, sign
from tests.integration.sim.test_flow import station
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms

VERSIONS = ["1.6", "2.0.1"]


def write(folder: Path, root: Authority, name: str, *, host: bool) -> tuple[Path, Path]:
    """A certificate and its key as files."""
    pem, key = root.issue(name, host=host)
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_text(pem)
    key_path.write_bytes(key_pem(key))
    return cert_path, key_path


@asynccontextmanager
async def secured(
    folder: Path, root: Authority, *, wants_client: bool
) -> AsyncIterator[TinyCsms]:
    """A central system behind TLS, and the root in ``root.pem``."""
    (folder / "root.pem").write_text(root.pem)
    cert, key = write(folder, root, "server", host=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "root.pem")
    async with tiny_csms(TinyCsms(tls=context)) as csms:
        yield csms


def serial(csms: TinyCsms) -> str:
    """The serial number that the station's current certificate has."""
    found = csms.sockets["CP1"].transport.get_extra_info("peercert")
    assert isinstance(found, dict)
    return str(found["serialNumber"]).casefold()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_connects_over_tls_to_whom_it_trusts(
    tmp_path: Path, version: str
) -> None:
    async with secured(tmp_path, Authority(), wants_client=False) as csms:
        tls = TlsFiles(ca=tmp_path / "root.pem")
        async with station(csms, version, tls=tls) as cp:
            assert cp.is_online


async def test_a_stranger_is_not_talked_to_and_reported_later(tmp_path: Path) -> None:
    async with secured(tmp_path, Authority(), wants_client=False) as csms:
        (tmp_path / "other.pem").write_text(Authority("Other").pem)
        (tmp_path / "ca.pem").write_text(Authority("Other").pem)
        tls = TlsFiles(ca=tmp_path / "ca.pem")

        async def trust_later() -> None:
            await asyncio.sleep(0.3)
            assert csms.seen == []
            (tmp_path / "ca.pem").write_text((tmp_path / "root.pem").read_text())

        async with asyncio.TaskGroup() as group:
            group.create_task(trust_later())
            async with station(csms, "2.0.1", tls=tls):
                await csms.until(lambda: csms.of("SecurityEventNotification"))
        (event,) = csms.of("SecurityEventNotification")
        assert event["type"] == "InvalidCsmsCertificate"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_renewed_certificate_is_used_for_the_next_connection(
    tmp_path: Path, version: str
) -> None:
    root = Authority()
    async with secured(tmp_path, root, wants_client=True) as csms:
        cert, key = write(tmp_path, root, "CP1", host=False)
        tls = TlsFiles(ca=tmp_path / "root.pem", cert=cert, key=key)
        async with station(csms, version, tls=tls) as cp:
            first, socket = serial(csms), csms.sockets["CP1"]
            verdict = await _renew(cp, Operator(csms, version, cp, root))
            assert verdict is Verdict.PASSED
            await csms.until(lambda: csms.sockets.get("CP1") not in (None, socket))
            own = cp.trust.own["ChargingStationCertificate"].chain[0]
            assert int(serial(csms), 16) == own.x509.serial_number
            assert serial(csms) != first


async def _renew(cp: Charger, operator: Operator) -> Verdict:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(play(cp, FLOWS["certificate-renewal"], timeout_s=30))
        group.create_task(sign(operator))
    return task.result()


def test_half_a_client_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        TlsFiles(cert=Path("cert.pem"))


async def test_a_station_that_finds_no_tls_comes_back_as_it_was() -> None:
    root = Authority()
    async with tiny_csms() as csms, station(csms, "1.6") as cp:
        kind = "CentralSystemRootCertificate"
        install = {"certificateType": kind, "certificate": root.pem}
        await csms.call("CP1", "InstallCertificate", install)
        change = {"key": "SecurityProfile", "value": "2"}
        answer = await csms.call("CP1", "ChangeConfiguration", change)
        assert answer == {"status": "Accepted"}
        # Nobody speaks TLS here: it comes back as it was, after three tries.
        first = csms.sockets["CP1"]
        await csms.until(lambda: csms.sockets.get("CP1") not in (None, first))
        assert cp.link.urls[0].startswith("wss:")
        assert cp.link.url.startswith("ws:")
