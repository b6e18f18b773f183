"""What keeps the gateway from starting is said in one line that names the fix."""

import asyncio
import os
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.gateway_process import (
    GatewayProcess,
    environment,
    gateway,
    new_token,
    run_cli,
    write_config,
)
from tests.support.ports import free_port
from tests.support.queue_station import PASSWORD

pytestmark = pytest.mark.e2e

WRONG: list[tuple[str, str, str, str]] = [
    # what to replace, by what, the dotted key, part of the explanation
    ("[server]", "[servr]", "servr", "server"),
    ("ocpp_port =", "ocpp_prt =", "server.ocpp_prt", "ocpp_port"),
    ("limit_a = [63, 63, 63]", "limit_a = [63, 63]", "cabinet[0].limit_a", "3"),
    ("limit_a = [63, 63, 63]", "limit_a = [63, 63, -1]", "cabinet[0].limit_a", ""),
    ("limit_a = [63, 63, 63]", "limit_w = true", "cabinet[0].limit_w", "number"),
    ('cabinet = "A"', 'cabinet = "B"', "station[0].cabinet", "B"),
    ("floor_a = 6", "floor_a = 64", "station[0].evse[0].floor_a", ""),
    ("max_a = 16", 'max_a = "16 A"', "station[0].evse[0].max_a", "number"),
    ('phases = "L1L2L3"', 'phases = "L1L2L4"', "station[0].evse[0].phases", "L1"),
    ('timezone = "Europe/Berlin"', 'timezone = "Mars"', "site.timezone", "Mars"),
    ('price = "0.40"', 'price = "forty"', "tariff[0]", "price"),
    ('default_tariff = "standard"', 'default_tariff = "x"', "default_tariff", "x"),
    ('currency = "EUR"\ndefault', 'currency = "€"\ndefault', "billing.currency", "EUR"),
    ('backend = "none"', 'backend = "rpc"', "ledger.rpc_url", "required"),
    ('backend = "none"', 'backend = "paper"', "ledger.backend", "embedded"),
    ('password_file = "CP1', 'password_file = "gone', "password_file", "gone"),
    ("[site]", "[site", "config.toml", "TOML"),
]


@pytest.mark.parametrize(("old", "new", "key", "why"), WRONG)
async def test_a_wrong_configuration_names_the_key_and_the_fix(
    tmp_path: Path, old: str, new: str, key: str, why: str
) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    path = tmp_path / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, out, err = await run_cli(tmp_path, "run", "--config", "config.toml")
    assert code == 2
    assert one_line(err).startswith("wattproof: configuration: ")
    assert key in err
    assert why in err
    assert out == ""
    assert not (tmp_path / "data").exists(), "nothing was touched"


async def test_a_missing_configuration_says_which(tmp_path: Path) -> None:
    code, _, err = await run_cli(tmp_path, "run", "--config", "elsewhere.toml")
    assert code == 2
    assert "elsewhere.toml" in one_line(err)


@pytest.mark.parametrize("which", ["OCPP", "API"])
async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path, which: str) -> None:
    ocpp_port, api_port = write_config(tmp_path, {"CP1": PASSWORD})
    port = ocpp_port if which == "OCPP" else api_port
    with socket.create_server(("127.0.0.1", port)):
        err = await refused(tmp_path)
    assert f"127.0.0.1:{port}" in err
    assert which in err
    assert "in use by another program" in err
    assert f"change {'server.ocpp' if which == 'OCPP' else 'api'}" in err
    assert not (tmp_path / "data").exists(), "nothing was touched"


async def test_two_gateways_never_share_a_folder(tmp_path: Path) -> None:
    ports = write_config(tmp_path, {"CP1": PASSWORD})
    async with gateway(tmp_path, ports) as first:
        config = (tmp_path / "config.toml").read_text()
        for port in ports:
            config = config.replace(str(port), str(free_port()))
        (tmp_path / "second.toml").write_text(config)
        err = await refused(tmp_path, "second.toml")
        assert f"another gateway (process {first.process.pid}) runs on" in err
        assert str(tmp_path / "data") in err
        assert "store.path" in err
        again = await refused(tmp_path)  # its ports are in use, too
        assert again == err
        assert await is_well(first)


async def test_a_tls_port_in_use_is_said_with_its_setting(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, {"CP1": PASSWORD}, extra=tls_section(tmp_path, port))
    with socket.create_server(("127.0.0.1", port)):
        err = await refused(tmp_path)
    assert f"127.0.0.1:{port} for OCPP over TLS" in err
    assert "change ocpp.tls.port" in err


@pytest.mark.parametrize("which", ["ocpp", "tls", "api"])
async def test_a_port_that_another_listens_on_meanwhile_is_no_traceback(
    tmp_path: Path, which: str
) -> None:
    """Two programs may bind a port; only one of them can listen."""
    tls_port = free_port()
    ocpp_port, api_port = write_config(
        tmp_path, {"CP1": PASSWORD}, extra=tls_section(tmp_path, tls_port)
    )
    port = {"ocpp": ocpp_port, "tls": tls_port, "api": api_port}[which]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        async with asyncio.TaskGroup() as group:
            # The lock is taken once the ports are bound.
            lock = tmp_path / "data" / "gateway.lock"
            group.create_task(_listen_when(lock, other))
            code, out, err = await run_cli(tmp_path, "run")
    assert code == 1
    assert "Traceback" not in out + err
    last = err.splitlines()[-1]
    assert last.startswith(f"wattproof: cannot listen on 127.0.0.1:{port}")
    assert "in use by another program: end it" in last


async def _listen_when(path: Path, other: socket.socket) -> None:
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - made by another process
        await asyncio.sleep(0.01)
    other.listen()


async def test_one_port_for_two_listeners_is_told_by_run_and_site_check(
    tmp_path: Path,
) -> None:
    ocpp_port, _ = write_config(tmp_path, {"CP1": PASSWORD})
    path = tmp_path / "config.toml"
    path.write_text(path.read_text() + tls_section(tmp_path, ocpp_port))
    for command in (["run"], ["site", "check"]):
        code, out, err = await run_cli(tmp_path, *command)
        assert code == 2
        assert one_line(err).startswith("wattproof: configuration: ocpp.tls.port: ")
        assert "server.ocpp_port" in err
        assert out == ""


@pytest.mark.parametrize("mode", [0o600, 0o644])
async def test_bad_password_files_are_told_by_run_and_site_check(
    tmp_path: Path, mode: int
) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    secret = tmp_path / "CP1.password"
    secret.write_text("short" if mode == 0o600 else PASSWORD)
    secret.chmod(mode)
    for command in (["run"], ["site", "check"]):
        code, _, err = await run_cli(tmp_path, *command)
        assert code == 2
        assert str(secret) in one_line(err)
        assert "station CP1.password_file" in err
        assert ("chmod 600" if mode == 0o644 else "8 to 64") in err
    assert not (tmp_path / "data").exists(), "nothing was touched"


def tls_section(folder: Path, port: int, more: str = "") -> str:
    files = Authority.new().issue(folder, "server")
    return (
        f"\n[ocpp.tls]\nport = {port}\n{more}\n"
        f"certificates = [{{cert = '{files.cert}', key = '{files.key}'}}]\n"
    )


async def is_well(running: GatewayProcess) -> bool:
    async with running.client() as api:
        return (await api.get("/stations")).status_code == 200


async def test_a_corrupt_database_is_not_trusted(tmp_path: Path) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    database = tmp_path / "data" / "wattproof.db"
    database.parent.mkdir()
    database.write_bytes(b"this was a database once " * 400)
    err = await refused(tmp_path)
    assert str(database) in err
    assert "not a database" in err


async def test_a_damaged_database_is_found_after_a_crash(tmp_path: Path) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    await new_token(tmp_path)
    database = tmp_path / "data" / "wattproof.db"
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("UPDATE store_state SET closed_cleanly = 0")
        conn.commit()
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(8, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 512)
    err = await refused(tmp_path)
    assert str(database) in err
    assert "damaged" in err or "malformed" in err


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "wattproof.db"
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("CREATE TABLE songs (title TEXT)")
    err = await refused(tmp_path)
    assert "another program" in err


async def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    write_config(tmp_path, {"CP1": PASSWORD})
    (tmp_path / "data").write_text("not a folder")
    err = await refused(tmp_path)
    assert str(tmp_path / "data") in err


@pytest.mark.parametrize("name", ["pepper.key", "admin.key"])
async def test_a_key_open_to_others_is_refused(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, {"CP1": PASSWORD}, ledger="embedded")
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    key = keys / name
    key.write_bytes(b"7" * 64)
    key.chmod(0o644)
    err = await refused(tmp_path)
    assert str(key) in err
    assert "600" in err


async def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path, {"CP1": PASSWORD}, ledger="embedded")
    keys = tmp_path / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "settler.key").write_text("my favourite colour")
    (keys / "settler.key").chmod(0o600)
    assert "settler.key" in await refused(tmp_path)


@pytest.mark.parametrize("nonsense", ["text", "other database", "empty chain"])
async def test_a_chain_file_that_is_nonsense_is_refused(
    tmp_path: Path, nonsense: str
) -> None:
    write_config(tmp_path, {"CP1": PASSWORD}, ledger="embedded")
    chain = tmp_path / "data" / "chain.db"
    chain.parent.mkdir()
    if nonsense == "text":
        chain.write_bytes(b"all my blocks " * 1000)
    else:
        with closing(sqlite3.connect(chain)) as conn:
            if nonsense == "other database":
                conn.execute("CREATE TABLE meta (songs TEXT)")
            else:
                conn.execute("CREATE TABLE meta (name TEXT, value TEXT)")
                conn.execute("CREATE TABLE node (key BLOB, value BLOB)")
                conn.execute("INSERT INTO meta VALUES ('chain_id', '1')")
            conn.commit()
    before = chain.read_bytes()
    err = await refused(tmp_path)
    assert str(chain) in err
    assert chain.read_bytes() == before


async def refused(folder: Path, config: str = "config.toml") -> str:
    """Start where nothing can start; the one line that says why."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "run", "--config", config),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 90)
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        out, err = await process.communicate()
        pytest.fail(f"it started, and should not have:\n{out.decode()}{err.decode()}")
    assert process.returncode == 1, err.decode()
    assert "Traceback" not in out.decode()
    line = one_line(err.decode())
    assert line.startswith("wattproof: ")
    return line


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]
