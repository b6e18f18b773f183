"""The admin's commands as typed: what is wrong is one line, and holds no secret."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.__main__ import main
from ledger.deploy import ORDER
from ledger.embedded import EmbeddedChain
from ledger.role_keys import load_signers
from tests.support.ledger_site import (
    SteppedClock,
    fixed_signers,
    make_site,
    open_database,
)
from tests.support.rpc_server import result, running_rpc

SECRET = "5ec2e7" * 10
HOLDERS = fixed_signers().holders()
ROLES = [
    f"--{role}={getattr(HOLDERS, role)}"
    for role in ("anchorer", "settler", "registrar", "pauser")
]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(one) for one in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_on_an_embedded_chain_the_keys_folder_says_who_gets_which_role(
    tmp_path: Path, run: Run
) -> None:
    keys, book = tmp_path / "keys", tmp_path / "contracts.json"
    signers = load_signers(keys)
    assert signers.admin is not None
    path = tmp_path / "chain.db"
    EmbeddedChain.create_or_open(
        path, clock=SteppedClock(), funded=[signers.admin.address]
    ).close()
    chain = ("--chain", path)
    admin = ("--admin-key", keys / "admin.key")
    code, out, _ = run("deploy", *chain, *admin, "--keys", keys, "--out", book)
    assert (code, len(out.splitlines())) == (0, len(ORDER))
    code, out, _ = run("roles", *chain, "--contracts", book)
    assert code == 0
    expected = f"StatusAnchor.ANCHORER_ROLE: {signers.anchorer.address} (anchorer)"
    assert expected in out.splitlines()
    assert "FlexToken.TRANSFER_ENABLER_ROLE: nobody" in out.splitlines()
    rotate = ("rotate-key", "pauser", *chain, *admin, "--contracts", book)
    code, _, err = run(*rotate, "--revoke", signers.pauser)
    assert (code, "needs --database" in err) == (1, True)
    code, _, err = run(*rotate, "--revoke", signers.pauser, "--without-database")
    assert (code, "grant the role to a new key first" in err) == (1, True)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("env:NO_SUCH_KEY", "NO_SUCH_KEY is not set"),
        ("env:BAD_KEY", "BAD_KEY: not a secp256k1 key"),
        ("remote:0x12", "address of the signer is not given"),
        ("/none/here", "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_one_line(
    key: str, said: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD_KEY", SECRET)
    out = tmp_path / "contracts.json"
    code, printed, err = run(
        "deploy", "--rpc=http://127.0.0.1:9", "--admin-key", key, *ROLES, "--out", out
    )
    assert (code, printed, len(err.splitlines())) == (1, "", 1)
    assert said in err
    assert SECRET not in err


def test_what_is_missing_is_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "07" * 32)
    key = ("--admin-key", "env:KEY", "--out", tmp_path / "contracts.json")
    code, _, err = run("deploy", "--rpc=http://127.0.0.1:9", *key, *ROLES[1:])
    assert (code, "--anchorer is not given" in err) == (1, True)
    code, _, err = run("deploy", "--rpc=env:NODE", *key, *ROLES)
    assert (code, "variable NODE is not set" in err) == (1, True)
    code, _, err = run("deploy", "--chain", tmp_path / "none.db", *key, *ROLES)
    assert (code, "no such file" in err) == (1, True)
    code, _, err = run(
        "deploy", "--rpc=http://127.0.0.1:9", *key, *ROLES, "--patience-s=0"
    )
    assert (code, "run the same command again" in err) == (1, True)
    assert "waiting: eth_chainId: ConnectionError" in err


def test_another_chain_than_named_gets_nothing(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "07" * 32)
    with running_rpc(lambda _method, _params: result("0x1")) as server:
        monkeypatch.setenv("NODE", f"{server.url}/{SECRET}")
        book = tmp_path / "contracts.json"
        where = ("--rpc=env:NODE", "--chain-id=7", "--admin-key=env:KEY", "--out", book)
        code, _, err = run("deploy", *where, *ROLES)
    assert (code, "serves chain 1, not 7" in err) == (1, True)
    assert SECRET not in err
    assert set(server.asked) == {"eth_chainId"}


def test_the_address_file_of_a_site_that_deployed_itself_is_written_from_its_database(
    tmp_path: Path, run: Run
) -> None:
    site = make_site(tmp_path)
    site.worker.step(site.clock.at)
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded
    book = tmp_path / "contracts.json"
    command = ("contracts", "--database", tmp_path / "gateway.db", "--out", book)
    assert run(*command)[0] == 0
    code, out, _ = run("roles", "--chain", tmp_path / "chain.db", "--contracts", book)
    assert code == 0
    assert f"Settlement.SETTLER_ROLE: {HOLDERS.settler} (settler)" in out.splitlines()
    assert "exists already" in run(*command)[2]
    other = ("--out", tmp_path / "other.json")
    assert "there are: none" in run(*command[:3], "--chain-id=1", *other)[2]
    open_database(tmp_path / "empty.db").close()
    empty = ("contracts", "--database", tmp_path / "empty.db", *other)
    assert "there are: none" in run(*empty)[2]
    (tmp_path / "text").write_text("no database, but text", encoding="ascii")
    assert run("contracts", "--database", tmp_path / "text", *other)[0] == 1
    assert not (tmp_path / "other.json").exists()


def test_the_commands_are_those_of_wattproof_too() -> None:
    command = [sys.executable, "-m", "gateway", "ledger", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("usage: wattproof ledger ")
    assert all(name in shown for name in ("deploy", "roles", "rotate-key", "contracts"))
