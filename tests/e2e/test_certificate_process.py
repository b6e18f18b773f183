"""From a password to a certificate of our own authority, on the real process."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from tests.support import pki
from tests.support.certificates import Authority
from tests.support.gateway_process import gateway, run_cli, write_config
from tests.support.ports import free_port
from tests.support.queue_station import PASSWORD
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.e2e


async def renewed(station: RawStation, key: Any, **more: str) -> str:
    """Ask for a certificate and take it."""
    count = len(station.calls("CertificateSigned")) + 1
    said = await station.ask(
        "SignCertificate", {"csr": pki.csr(station.station_id, key=key), **more}
    )
    assert said["status"] == "Accepted"
    await station.heard_so_far("CertificateSigned", count)
    chain: str = station.calls("CertificateSigned")[-1]["certificateChain"]
    return chain


async def test_a_station_moves_from_its_password_to_its_certificate(
    tmp_path: Path,
) -> None:
    server, port = Authority.new(), free_port()
    files = server.issue(tmp_path, "server")
    section = (
        "[ca]\n"
        f"[ocpp.tls]\nport = {port}\nclient_ca = 'data/ca/ca.pem'\n"
        f"certificates = [{{cert = '{files.cert}', key = '{files.key}'}}]\n"
    )
    ports = write_config(tmp_path, {"CP1": PASSWORD, "CP2": PASSWORD}, extra=section)

    def over_tls(station_id: str, chain: str, key: Any) -> connect:
        (tmp_path / "own.pem").write_text(chain + pki.key_pem(key))
        context = ssl.create_default_context(cafile=server.file(tmp_path))
        context.load_cert_chain(tmp_path / "own.pem")
        return connect(
            f"wss://127.0.0.1:{port}/ocpp/{station_id}",
            ssl=context,
            server_hostname="localhost",
            subprotocols=[Subprotocol("ocpp2.0.1")],
            proxy=None,
        )

    async with gateway(tmp_path, ports) as process, process.client() as api:
        key = pki.new_key()
        url = f"ws://127.0.0.1:{ports[0]}/ocpp"
        async with RawStation(url, "CP1", PASSWORD, "2.0.1") as station:
            await station.boot()
            answer = await api.post("/stations/CP1/certificate-renewal")
            assert answer.json()["status"] == "Accepted"
            chain = await renewed(station, key)
            v2g = await renewed(station, key, certificateType="V2GCertificate")
        async with over_tls("CP1", chain, key):
            shown = (await api.get("/stations/CP1")).json()["connection"]
            assert shown["profile"] == 3
        with pytest.raises(InvalidStatus) as caught:
            async with over_tls("CP2", chain, key):
                pytest.fail("connected")
        assert caught.value.response.status_code == 401
        with pytest.raises((OSError, InvalidMessage)):  # it is for servers only
            async with asyncio.timeout(5), over_tls("CP1", v2g, key) as opened:
                await opened.recv()
        assert not [line for line in process.log if "Traceback" in line]


async def test_a_wrong_authority_ends_the_start_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pki.root().pem)
    (tmp_path / "ca.key").write_text(pki.key_pem(pki.new_key()))
    (tmp_path / "ca.key").chmod(0o600)
    section = "[ca]\ncert = 'ca.pem'\nkey = 'ca.key'\n"
    write_config(tmp_path, {"CP1": PASSWORD}, extra=section)
    for arguments in (("run",), ("site", "check")):
        code, _, err = await run_cli(tmp_path, *arguments)
        assert (code, "Traceback" in err) == (2, False)
        assert "ca.key" in err
