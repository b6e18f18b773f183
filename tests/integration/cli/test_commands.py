"""The command line as its users meet it: processes, output, exit codes."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.store import api_tokens
from gateway.store.schema import open_database
from gateway.store.writer import Writer

ROOT = Path(__file__).parents[3]
SITE = """
[[cabinet]]
id = "A"
limit_a = [63, 63, 63]

[[pv]]
id = "roof"
cabinet = "A"
peak_w = 5000

[[battery]]
id = "cellar"
cabinet = "A"
capacity_wh = 10000
max_charge_w = 1000
max_discharge_w = 1000

[[load]]
id = "lift"
cabinet = "A"
worst_case_a = 10

[[station]]
id = "CP1"
cabinet = "A"
[[station.evse]]
id = 1
max_a = 32
floor_a = 6
"""


def wattproof(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SITE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["demo", "--help"],
        ["site", "check", "--help"],
        ["token", "new", "--help"],
        ["backup", "--help"],
        ["check", "--help"],
        ["bench", "--help"],
    ],
)
def test_help_is_there(arguments: list[str]) -> None:
    shown = wattproof(*arguments)
    assert shown.returncode == 0
    assert "--help" in shown.stdout


@pytest.mark.parametrize(
    "name",
    [
        "run",
        "demo",
        "site",
        "site check",
        "token",
        "token new",
        "backup",
        "check",
        "sim",
        "solve",
        "verify",
        "ledger",
        "ledger deploy",
        "ledger roles",
        "ledger escrow lock",
        "release algorithm",
        "witness",
        "bench",
        "bench messages",
        "bench durable",
    ],
)
def test_every_usage_line_names_the_command_that_was_typed(name: str) -> None:
    shown = wattproof(*name.split(), "--help")
    assert shown.returncode == 0, shown.stderr
    first = shown.stdout.splitlines()[0]
    assert first.casefold().startswith(f"usage: wattproof {name} ["), first
    assert "python -m" not in shown.stdout


def test_bad_usage_of_a_command_that_is_passed_on_names_it_too() -> None:
    for name in ("sim", "solve", "verify", "ledger deploy", "witness"):
        shown = wattproof(*name.split(), "--no-such-option")
        assert shown.returncode == 2
        assert f"wattproof {name}: error:" in shown.stderr


def test_help_does_not_load_the_parts() -> None:
    started = time.perf_counter()
    code = (
        "import sys, runpy; sys.argv = ['wattproof', '--help']\n"
        "try: runpy.run_module('gateway', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'cvxpy', 'web3', 'nicegui', 'fastapi', 'numpy', 'eth'}\n"
        "sys.exit(1 if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
    assert time.perf_counter() - started < 5


def test_site_check_prints_every_part(config: Path) -> None:
    shown = wattproof("site", "check", "--config", str(config))
    assert shown.returncode == 0, shown.stderr
    for word in ("cabinet A", "CP1", "PV roof", "battery cellar", "load lift", "63/63"):
        assert word in shown.stdout
    assert "1 cabinet, 1 station, 1 EVSE\n" in shown.stdout


def test_site_check_says_what_the_site_can_guarantee(config: Path) -> None:
    shown = wattproof("site", "check", "--config", str(config))
    assert "EVSE CP1/1: always 6 A" in shown.stdout
    assert "EVSEs may newly disobey at once" in shown.stdout or (
        "ratings fit" in shown.stdout
    )
    told = wattproof("site", "check", "--json", "--config", str(config))
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    (evse,) = document["evses"]
    assert evse["floor_a"] == 6
    assert evse["floor_kwh_per_h"] > 0
    assert evse["share_a"] >= evse["floor_a"]
    assert document["cabinets"][0]["k"] in {0, 1}
    for warning in document["warnings"]:
        assert f"warning: {warning}" in shown.stdout


def test_site_check_fails_with_the_dotted_key_and_no_traceback(config: Path) -> None:
    config.write_text(SITE.replace("floor_a = 6", "floor_a = 70"), encoding="utf-8")
    shown = wattproof("site", "check", "--config", str(config))
    assert shown.returncode == 2
    assert "station[0].evse[0].floor_a" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_run_refuses_a_wrong_configuration_the_same_way(config: Path) -> None:
    config.write_text("[server]\ncall_timeout = 3\n", encoding="utf-8")
    shown = wattproof("run", "--config", str(config))
    assert shown.returncode == 2
    assert "server.call_timeout" in shown.stderr


def test_unknown_commands_and_options_are_bad_usage() -> None:
    assert wattproof("fly").returncode == 2
    assert wattproof("site", "check", "--fly").returncode == 2
    assert wattproof("bench", "fly").returncode == 2


def test_a_token_is_stored_hashed(config: Path) -> None:
    made = wattproof("token", "new", "--role", "operator", "--config", str(config))
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    database = config.parent / "data" / "wattproof.db"
    assert secret.encode() not in database.read_bytes()
    with sqlite3.connect(database) as conn:
        token = api_tokens.find_token(conn, secret, SystemClock().now())
        (detail,) = conn.execute("SELECT detail FROM audit").fetchone()
    conn.close()
    assert token is not None
    assert token.role is api_tokens.Role.OPERATOR
    assert json.loads(detail)["role"] == "operator"


def test_a_token_is_made_while_the_gateway_writes(config: Path) -> None:
    writer = Writer(config.parent / "data" / "wattproof.db")
    writer.start()
    try:
        made = wattproof("token", "new", "--role", "admin", "--config", str(config))
        assert made.returncode == 0, made.stderr
        has_admin = writer.submit(api_tokens.has_admin).result(timeout=10)
    finally:
        writer.close()
    assert has_admin


def test_a_token_of_an_unknown_role_is_bad_usage(config: Path) -> None:
    made = wattproof("token", "new", "--role", "god", "--config", str(config))
    assert made.returncode == 2


def test_an_unusable_database_is_one_clear_line(config: Path) -> None:
    (config.parent / "data").write_text("a file, not a folder", encoding="utf-8")
    made = wattproof("token", "new", "--role", "admin", "--config", str(config))
    assert made.returncode == 1
    assert "Traceback" not in made.stderr
    assert made.stderr.startswith("wattproof: cannot open the database")


def test_a_backup_is_made_beside_a_writer_and_checked(config: Path) -> None:
    data = config.parent / "data"
    writer = Writer(data / "wattproof.db")
    writer.start()
    copy = config.parent / "backups" / "monday"
    try:
        made = wattproof("backup", str(copy), "--config", str(config))
        again = wattproof("backup", str(copy), "--config", str(config))
    finally:
        writer.close()
    assert made.returncode == 0, made.stderr
    assert "wattproof.db: ok" in made.stdout
    assert made.stdout.splitlines()[-1].endswith(f"complete: {copy}")
    assert again.returncode == 1
    assert (
        again.stderr
        == f"wattproof: {copy} exists already: a backup overwrites nothing\n"
    )
    for arguments in (["--config", str(config)], [str(copy)]):
        checked = wattproof("check", *arguments)
        assert checked.returncode == 0, checked.stderr
        assert checked.stdout.splitlines()[-1] == "good"


def test_a_check_of_a_damaged_copy_says_what_and_fails(config: Path) -> None:
    open_database(config.parent / "data" / "wattproof.db").close()
    copy = config.parent / "copy"
    assert wattproof("backup", str(copy), "--config", str(config)).returncode == 0
    with (copy / "wattproof.db").open("r+b") as file:
        file.truncate(8192)
    checked = wattproof("check", str(copy))
    assert checked.returncode == 1
    assert "wattproof.db: damaged: " in checked.stdout
    assert checked.stdout.splitlines()[-1] == "NOT GOOD"
    nothing = wattproof("check", str(config.parent / "nowhere"))
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("wattproof: there is no database")
