"""On a chain of others the gateway neither has nor wants the admin's key."""

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from structlog.testing import capture_logs

from gateway.config import Config, LedgerBackend, LedgerConfig, StoreConfig
from gateway.errors import StartupError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from ledger.__main__ import main
from ledger.address_book import read_book
from ledger.embedded import EmbeddedChain
from ledger.keys import load_key
from tests.support.deployed import deployed, holders_in
from tests.support.money import Till, open_till


@asynccontextmanager
async def gateway_at(
    till: Till, path: Path, ledger: LedgerConfig
) -> AsyncIterator[Anchoring]:
    anchoring = Anchoring(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        settings=AnchoringSettings(ledger=ledger, store=StoreConfig(path=path)),
        site=lambda: Config.from_dict({}, Path()).site,
    )
    try:
        yield anchoring
    finally:
        await anchoring.close()


@pytest.fixture
def rpc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LedgerConfig:
    """A chain of others; its node is an EVM in this process, on a file."""

    def open_rpc(self: Anchoring, _url: str) -> Any:
        chain = EmbeddedChain.create_or_open(
            tmp_path / "chain.db", clock=self._clock, funded=[]
        )
        return chain, chain.close

    monkeypatch.setattr(Anchoring, "_open_rpc", open_rpc)
    return LedgerConfig(
        backend=LedgerBackend.RPC,
        rpc_url="http://127.0.0.1:9",
        contracts_file=None,
    )


def events(logs: list[Any], name: str) -> list[Any]:
    return [line for line in logs if line["event"] == name]


async def test_a_site_that_deployed_itself_goes_on_and_says_that_the_key_may_leave(
    tmp_path: Path, rpc: LedgerConfig
) -> None:
    keys, book = tmp_path / "keys", tmp_path / "contracts.json"
    async with open_till(tmp_path) as till:
        async with gateway_at(till, tmp_path, LedgerConfig()) as anchoring:
            await till.settlement.settle(await till.session(0))
            assert (await anchoring.flush()).settlements_on_chain == 1
            before = anchoring.bundle_chain
        (keys / "admin.key").write_text("not even a key", encoding="ascii")
        with capture_logs() as logs:
            async with gateway_at(till, tmp_path, rpc) as anchoring:
                await till.settlement.settle(await till.session(1))
                state = await anchoring.flush()
        assert (state.state, state.settlements_on_chain) == ("working", 2)
        (told,) = events(logs, "anchor.admin_key_here")
        assert told["path"] == str(keys / "admin.key")
        database = str(till.store.writer.path)
        assert main(["contracts", "--database", database, "--out", str(book)]) == 0
        assert main(["contracts", "--database", database, "--out", str(book)]) == 1
        (keys / "admin.key").unlink()
        named = replace(rpc, contracts_file=book)
        with capture_logs() as logs:
            async with gateway_at(till, tmp_path, named) as anchoring:
                await till.settlement.settle(await till.session(2))
                state = await anchoring.flush()
                assert anchoring.bundle_chain == before
        assert (state.state, state.settlements_on_chain) == ("working", 3)
        assert events(logs, "anchor.admin_key_here") == []
        assert not (keys / "admin.key").exists()
    roles = read_book(book).roles
    assert roles["anchorer"] == load_key(keys / "anchorer.key").address
    assert set(roles) >= {"admin", "anchorer", "settler", "registrar", "pauser"}


async def test_without_contracts_nothing_is_sent_and_the_alarm_names_the_command(
    tmp_path: Path, rpc: LedgerConfig
) -> None:
    admin, holders = load_key(tmp_path / "admin.key"), holders_in(tmp_path / "keys")
    async with open_till(tmp_path) as till:
        chain = EmbeddedChain.create_or_open(
            tmp_path / "chain.db",
            clock=till.clock,
            funded=[admin.address, holders.anchorer, holders.settler],
        )
        async with gateway_at(till, tmp_path, rpc) as anchoring:
            bill = await till.settlement.settle(await till.session())
            assert bill is not None
            assert bill.status == "settled"
            state = await anchoring.flush()
            assert state.state == "alarm"
            assert "`wattproof ledger deploy`" in state.alarms[0]
            assert state.settlements_pending == 1
        assert chain.latest_block() == 0
        book = tmp_path / "contracts.json"
        deployed(chain, book, holders)
        chain.close()
        named = replace(rpc, contracts_file=book)
        async with gateway_at(till, tmp_path, named) as anchoring:
            state = await anchoring.flush()
            assert (state.alarms, state.settlements_on_chain) == ((), 1)
    assert not (tmp_path / "keys" / "admin.key").exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "wattproof-contracts/1"}']
)
async def test_a_file_that_names_no_contracts_ends_the_start(
    text: str, tmp_path: Path, rpc: LedgerConfig
) -> None:
    book = tmp_path / "contracts.json"
    named = replace(rpc, contracts_file=book)
    async with open_till(tmp_path) as till, gateway_at(till, tmp_path, named) as gone:
        with pytest.raises(StartupError, match="cannot be read"):
            await gone.prepare()
        book.write_text(text, encoding="utf-8")
        with pytest.raises(StartupError, match="contracts"):
            await gone.prepare()


async def test_keys_come_from_a_keystore_and_the_environment_once_beside_the_loop(
    tmp_path: Path, rpc: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = load_key(tmp_path / "admin.key")
    keys = tmp_path / "keys"
    holders = holders_in(keys)
    text = (keys / "anchorer.key").read_text(encoding="ascii").strip()
    (keys / "anchorer.key").unlink()
    keystore = keys / "anchorer.json"
    made = Account.encrypt(
        bytes.fromhex(text), "open sesame", kdf="pbkdf2", iterations=2
    )
    keystore.write_text(json.dumps(made), encoding="ascii")
    keystore.chmod(0o600)
    settler = (keys / "settler.key").read_text(encoding="ascii")
    (keys / "settler.key").unlink()
    monkeypatch.setenv("SETTLER", settler)
    monkeypatch.setenv("PASSPHRASE", "open sesame")
    opened_in: list[str] = []

    def decrypt(*arguments: Any) -> Any:
        opened_in.append(threading.current_thread().name)
        return real(*arguments)

    real = Account.decrypt
    monkeypatch.setattr(Account, "decrypt", decrypt)
    async with open_till(tmp_path) as till:
        chain = EmbeddedChain.create_or_open(
            tmp_path / "chain.db",
            clock=till.clock,
            funded=[admin.address, holders.anchorer, holders.settler],
        )
        deployed(chain, tmp_path / "contracts.json", holders)
        chain.close()
        named = replace(
            rpc,
            contracts_file=tmp_path / "contracts.json",
            passphrase_env="PASSPHRASE",
            settler_key="env:SETTLER",
        )
        with capture_logs() as logs:
            async with gateway_at(till, tmp_path, named) as anchoring:
                await anchoring.prepare()
                for number in range(2):
                    await till.settlement.settle(await till.session(number))
                state = await anchoring.flush()
                await anchoring.flush()
        assert (state.alarms, state.settlements_on_chain) == ((), 2)
    assert len(opened_in) == 1
    assert opened_in[0] != threading.main_thread().name
    (told,) = events(logs, "anchor.rpc")
    assert (told["anchorer"], told["settler"]) == (holders.anchorer, holders.settler)
    for secret in ("open sesame", text, settler.strip()):
        assert secret not in json.dumps(logs, default=str)
    assert not (keys / "settler.key").exists(), "none is made beside the reference"


async def test_on_the_embedded_chain_a_new_key_is_granted_and_funded_at_the_start(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        for number in range(2):
            async with gateway_at(till, tmp_path, LedgerConfig()) as anchoring:
                await till.settlement.settle(await till.session(number))
                state = await anchoring.flush()
            assert (state.alarms, state.settlements_on_chain) == ((), number + 1)
            assert state.backlog == 0
            for role in ("anchorer", "settler", "registrar"):
                (tmp_path / "keys" / f"{role}.key").unlink()
