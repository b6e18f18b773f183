"""A node that is away, wrong or insane: charging and billing go on regardless."""

import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import Config, LedgerBackend, LedgerConfig, StoreConfig
from gateway.errors import StartupError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from ledger.chain import JsonRpcChain
from ledger.errors import ChainUnavailableError
from ledger.worker import WorkerState
from tests.support.ledger_site import embedded_chain, make_site
from tests.support.money import Till, open_till
from tests.support.rpc_server import Answer, Said, error, result, running_rpc

GENESIS = {"hash": "0x" + "11" * 32, "number": "0x0"}
SECRET = "a-secret-api-key"


@asynccontextmanager
async def anchoring_at(
    till: Till, path: Path, url: str, *, chain_id: int | None = 7
) -> AsyncIterator[Anchoring]:
    ledger = LedgerConfig(
        backend=LedgerBackend.RPC, rpc_url=f"{url}/{SECRET}", chain_id=chain_id
    )
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


def always(said: Said) -> Answer:
    return lambda _method, _params: said


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        (always(None), "chain-unavailable", "eth_chainId: ConnectionError"),
        (always(500), "chain-unavailable", "eth_chainId: HTTP 500"),
        (always(403), "chain-unavailable", "eth_chainId: HTTP 403"),
        (always(b""), "alarm", "not JSON"),
        (always(b"<html>Welcome to the wifi</html>"), "alarm", "not JSON"),
        (always(b"\xff\xfe"), "alarm", "not JSON"),
        (always(b"[" * 100_000), "alarm", "not JSON"),
        (always(b"[]"), "alarm", "not an object"),
        (always(b"null"), "alarm", "not an object"),
        (always(b"{}"), "alarm", "neither result nor error"),
        (always(result(None)), "alarm", "not a quantity"),
        (always(result(7)), "alarm", "not a quantity"),
        (always(result("0x")), "alarm", "not a quantity"),
        (always(result("0x" + "f" * 64)), "alarm", "not a quantity"),
        (always(result("0x1")), "alarm", "chain 1, not 7 as configured"),
        (always(result("0x7")), "alarm", "no block 0x0"),
        (always(error("rate limited")), "alarm", "rate limited"),
        (always(b'{"error": 3}'), "alarm", "3"),
    ],
    ids=range(18),
)
async def test_trouble_is_told_once_without_the_url_and_bills_are_made(
    tmp_path: Path, answer: Answer, state: str, says: str
) -> None:
    with running_rpc(answer) as server:
        async with (
            open_till(tmp_path) as till,
            anchoring_at(till, tmp_path, server.url) as anchoring,
        ):
            with capture_logs() as logs:
                for number in range(3):
                    await anchoring._step_safely()
                    bill = await till.settlement.settle(await till.session(number))
                    assert bill is not None
                    assert bill.status == "settled"
                await anchoring._step_safely()
    assert "eth_sendRawTransaction" not in server.asked
    (told,) = [line for line in logs if line["event"] == "anchor.troubled"]
    assert told["state"] == anchoring.state.state == state
    assert says in told["alarms"][0]
    assert anchoring.state.settlements_pending == 3
    assert anchoring.state.backlog > 0
    assert SECRET not in json.dumps(logs, default=str)


async def test_keys_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "anchorer.key").write_bytes(b"\xff not a key")
    (keys / "anchorer.key").chmod(0o600)
    async with (
        open_till(tmp_path) as till,
        anchoring_at(till, tmp_path, "http://127.0.0.1:9") as anchoring,
    ):
        with pytest.raises(StartupError, match="keys"):
            await anchoring.flush()
        await anchoring._step_safely()
        assert anchoring.state.state == "alarm"


def test_an_answer_without_end_is_cut_off() -> None:
    with running_rpc(lambda _method, _params: repeat(b" " * 65_536)) as server:
        chain = JsonRpcChain(server.url, timeout_s=30)
        with pytest.raises(ChainUnavailableError, match="eth_chainId"):
            chain.identity()
        chain.close()


def test_an_answer_that_drips_is_given_up() -> None:
    def drip(_method: str, _params: list[object]) -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b" "

    with running_rpc(drip) as server:
        chain = JsonRpcChain(server.url, timeout_s=0.5)
        with pytest.raises(ChainUnavailableError, match="eth_chainId: ReadTimeout"):
            chain.identity()
        chain.close()


def test_a_connection_serves_many_questions() -> None:
    with running_rpc(always(result("0x7"))) as server:
        chain = JsonRpcChain(server.url)
        assert chain.latest_block() == chain.latest_block() == 7
        chain.close()


def _junk(rng: random.Random) -> object:
    return rng.choice(
        [
            None,
            True,
            -1,
            "",
            "0x",
            "0x0",
            "0x1",
            "0xzz",
            hex(rng.getrandbits(rng.choice((8, 40, 61, 64, 256)))),
            "0x" + rng.randbytes(rng.choice((1, 20, 32, 64, 96, 700))).hex(),
            [],
            {},
            [[]],
            [None],
            {"hash": "0x" + "22" * 32, "number": hex(rng.getrandbits(40))},
            {"baseFeePerGas": ["0x1"], "reward": [["0x1"]]},
            {"baseFeePerGas": [hex(2**61)], "reward": [[]]},
            {"baseFeePerGas": ["0x1"], "reward": {"a": 1}},
            {"logs": [{}], "transactionHash": "0x" + "33" * 32},
        ]
    )


def _receipt(rng: random.Random, tx_hash: object) -> object:
    """A receipt with the right hash, and anything in its other members."""
    receipt = {
        "transactionHash": tx_hash,
        "logs": [],
        "blockNumber": "0x5",
        "blockHash": "0x" + "44" * 32,
        "status": "0x1",
        "contractAddress": "0x" + "55" * 20,
    }
    receipt[rng.choice([*list(receipt)[1:], "other"])] = _junk(rng)
    return receipt


def _sane(method: str, params: list[object], rng: random.Random) -> object:
    """What a node might answer, lies about its state included."""
    match method:
        case "eth_getTransactionReceipt":
            return rng.choice((None, _receipt(rng, params[0])))
        case "eth_sendRawTransaction":
            return "0x" + "66" * 32
        case "eth_feeHistory":
            return {"baseFeePerGas": ["0x7"], "reward": [["0x1"]]}
        case "eth_getTransactionCount":
            return hex(rng.choice((0, 0, 1, 2**50)))
        case "eth_getBlockByNumber":
            return {**GENESIS, "number": "0x9"}
        case _:
            return hex(rng.getrandbits(20))


@pytest.mark.parametrize("seed", range(12))
def test_no_answer_of_a_node_gets_further_than_an_alarm(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - reproducible lies

    def answer(method: str, params: list[object]) -> Said:
        dice = rng.random()
        if method == "eth_chainId":
            return result("0x7")
        if dice < 0.6 or params == ["0x0", False]:
            return result(_sane(method, params, rng))
        if dice < 0.8:
            return result(_junk(rng))
        if dice < 0.9:
            return error("execution reverted", data=_junk(rng))
        return rng.choice(
            (error("nonce too low"), error("underpriced"), error("funds?"), 502, None)
        )

    with running_rpc(answer) as server:
        site = make_site(tmp_path, chain=JsonRpcChain(server.url, timeout_s=5))
        site.add_session("s-1")
        for _ in range(25):
            site.worker.step(site.clock.advance(60))
            site.add_noise(1)
        summary = site.worker.step(site.clock.advance(60))
    assert summary.state is not WorkerState.WORKING
    assert summary.leaf_count == summary.backlog > 25
    sane = make_site(
        tmp_path, chain=embedded_chain(tmp_path, site.clock), clock=site.clock
    )
    healed = sane.worker.step(sane.clock.advance(600), flush=True)
    assert (healed.state, healed.backlog) == (WorkerState.WORKING, 0)
    assert healed.settlements_mined == 1
