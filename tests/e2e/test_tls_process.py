"""The TLS port of the real process: profiles, new files on SIGHUP, `site check`."""

import asyncio
import base64
import signal
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from gateway.config.tls import CertificateFiles
from tests.support.certificates import Authority, client_context, rsa_key
from tests.support.gateway_process import gateway, run_cli, write_config
from tests.support.ocpp_port import until
from tests.support.ports import free_port
from tests.support.queue_station import PASSWORD

pytestmark = pytest.mark.e2e


def tls_section(files: CertificateFiles, client_ca: Path, port: int) -> str:
    return (
        f"[ocpp.tls]\nport = {port}\nclient_ca = '{client_ca}'\n"
        f"certificates = [{{cert = '{files.cert}', key = '{files.key}'}}]\n"
    )


async def test_a_station_comes_in_by_its_certificate_and_files_change_on_sighup(
    tmp_path: Path,
) -> None:
    root, clients, port = Authority.new(), Authority.new("Station root"), free_port()
    files = root.issue(tmp_path, "server")
    section = tls_section(files, clients.file(tmp_path), port)
    ports = write_config(tmp_path, {"CP1": PASSWORD}, extra=section)
    certificate = clients.issue(tmp_path, "CP1")
    context = client_context(root, tmp_path, certificate=certificate)

    def station(how: ssl.SSLContext) -> connect:
        return connect(
            f"wss://127.0.0.1:{port}/ocpp/CP1",
            ssl=how,
            server_hostname="localhost",
            subprotocols=[Subprotocol("ocpp2.0.1")],
            proxy=None,
        )

    async with gateway(tmp_path, ports) as process, process.client() as api:
        async with station(context) as first:
            shown = (await api.get("/stations/CP1")).json()["connection"]
            assert (shown["profile"], shown["tls_version"]) == (3, "TLSv1.3")
            assert shown["client_certificate"]["subject"] == "CP1"
            newer = Authority.new("Newer root")
            fresh = newer.issue(tmp_path, "fresh")
            files.key.write_bytes(fresh.key.read_bytes())
            files.cert.write_bytes(fresh.cert.read_bytes())
            process.process.send_signal(signal.SIGHUP)
            await first.ping()
            trusting = client_context(newer, tmp_path, certificate=certificate)
            async with asyncio.timeout(8):  # below the pause between two looks
                while not await is_up(station(trusting)):  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.1)
        with pytest.raises(InvalidStatus) as caught:
            async with station(client_context(newer, tmp_path)):
                pytest.fail("connected")
        assert caught.value.response.status_code == 401
        assert not [line for line in process.log if "Traceback" in line]


@pytest.mark.quirk(9)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_the_legacy_port_is_warned_of_named_and_listed(tmp_path: Path) -> None:
    root, port, legacy = Authority.new(), free_port(), free_port()
    files = root.issue(tmp_path, "server", key=rsa_key())
    section = tls_section(files, root.file(tmp_path), port)
    section += f"legacy_port = {legacy}\n"
    ports = write_config(tmp_path, {"CP1": PASSWORD}, extra=section)
    code, out, err = await run_cli(tmp_path, "site", "check")
    assert code == 0, err
    assert "warning: ocpp.tls.legacy_port: takes TLS 1.0 and 1.1" in out
    context = client_context(
        root, tmp_path, suites="ALL:@SECLEVEL=0", version=ssl.TLSVersion.TLSv1
    )
    pair = base64.b64encode(f"CP1:{PASSWORD}".encode()).decode()
    async with gateway(tmp_path, ports) as process, process.client() as api:
        address = f"wss://127.0.0.1:{legacy}/ocpp/{{station_id}}"
        shown = f"{address}  (TLS 1.0 and later, legacy: profile 2)"
        await until(lambda: any(shown in line for line in process.log))
        assert any("tls.legacy_port" in line for line in process.log)
        assert (await api.get("/tls/legacy")).json() == []
        async with connect(
            f"wss://127.0.0.1:{legacy}/ocpp/CP1",
            additional_headers={"Authorization": f"Basic {pair}"},
            ssl=context,
            server_hostname="localhost",
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
        ):
            used = (await api.get("/stations/CP1")).json()["connection"]
            assert (used["tls_version"], used["port"]) == ("TLSv1", legacy)
            (listed,) = (await api.get("/tls/legacy")).json()
            assert (listed["station_id"], listed["needs_it"]) == ("CP1", True)
            metrics = await api.get(f"{process.api_url}/metrics")
            assert "wattproof_stations_legacy_tls 1.0" in metrics.text
        await until(lambda: any("link.old_tls" in line for line in process.log))


async def is_up(station: connect) -> bool:
    try:
        async with station:
            return True
    except ssl.SSLError:
        return False


async def test_an_authority_still_to_be_made_may_be_the_client_ca(
    tmp_path: Path,
) -> None:
    files, port = Authority.new().issue(tmp_path, "server"), free_port()
    section = tls_section(files, Path("data/ca/ca.pem"), port)
    ports = write_config(tmp_path, {"CP1": PASSWORD}, extra=f"[ca]\n{section}")
    arguments = ("site", "check", "--config", "config.toml")
    code, out, err = await run_cli(tmp_path, *arguments)
    assert (code, err) == (0, "")
    assert "ca.pem will be made at the first start" in out
    async with gateway(tmp_path, ports) as process:

        def told() -> list[str]:
            return [line for line in process.log if "[wattproof] OCPP" in line]

        await until(lambda: len(told()) == 2)  # it serves before it says so
        plain, tls = told()
        assert f"ws://127.0.0.1:{ports[0]}/ocpp/" in plain
        assert "(security profile 1)" in plain
        assert f"wss://127.0.0.1:{port}/ocpp/{{station_id}}" in tls
        assert "(security profiles 2 and 3)" in tls
    code, out, err = await run_cli(tmp_path, *arguments)
    assert (code, "will be made" in out) == (0, False), err
    (tmp_path / "data" / "ca" / "ca.pem").unlink()  # its key is there: none is made
    code, _, err = await run_cli(tmp_path, *arguments)
    assert code == 2
    assert "ocpp.tls.client_ca" in err


async def test_another_client_ca_that_is_missing_is_missing(tmp_path: Path) -> None:
    files = Authority.new().issue(tmp_path, "server")
    section = tls_section(files, Path("data/ca/other.pem"), free_port())
    write_config(tmp_path, {"CP1": PASSWORD}, extra=f"[ca]\n{section}")
    code, _, err = await run_cli(tmp_path, "site", "check")
    assert code == 2
    assert "ocpp.tls.client_ca" in err


async def test_site_check_and_run_name_files_that_cannot_serve(tmp_path: Path) -> None:
    files = Authority.new().issue(tmp_path, "server")
    section = tls_section(files, Authority.new().file(tmp_path), 9443)
    write_config(tmp_path, {"CP1": PASSWORD}, extra=section)
    arguments = ("site", "check", "--config", "config.toml")
    code, _, err = await run_cli(tmp_path, *arguments)
    assert code == 0, err
    files.key.unlink()
    for command in (arguments, ("run", "--config", "config.toml")):
        code, _, err = await run_cli(tmp_path, *command)
        assert code == 2
        assert "ocpp.tls.certificates[0].key" in err
        assert "cannot be read" in err
        assert "Traceback" not in err
