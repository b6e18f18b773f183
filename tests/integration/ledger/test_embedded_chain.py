"""The embedded chain: kill -9, readers beside the writer, time, foreign files."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.contracts import artifact
from ledger.embedded import EmbeddedChain
from ledger.errors import (
    ChainNonsenseError,
    ChainUnavailableError,
    ContractRevertedError,
    Refusal,
    TransactionRefusedError,
)
from ledger.outbox import Fees
from ledger.ports import Chain, Receipt, Signer
from tests.support.ledger_site import (
    ADMIN,
    START,
    SteppedClock,
    embedded_chain,
    fixed_signers,
)

WRITER = """
import sys
from pathlib import Path
from ledger.outbox import Fees
from tests.support.ledger_site import SteppedClock, embedded_chain, fixed_signers

clock, signer = SteppedClock(), fixed_signers().anchorer
chain = embedded_chain(Path(sys.argv[1]), clock)
chain_id = chain.identity().chain_id
for nonce in range(10_000):
    raw, tx_hash = signer.sign(
        chain_id=chain_id, nonce=nonce, to=signer.address, calldata=b"",
        gas_limit=30_000, fees=chain.fees(),
    )
    chain.send_raw(raw)
    print(tx_hash.hex(), flush=True)
"""


def send(
    chain: Chain, signer: Signer, to: str | None, calldata: bytes, gas: int = 5_000_000
) -> Receipt:
    raw, tx_hash = signer.sign(
        chain_id=chain.identity().chain_id,
        nonce=chain.nonce(signer.address),
        to=to,
        calldata=calldata,
        gas_limit=gas,
        fees=chain.fees(),
    )
    chain.send_raw(raw)
    receipt = chain.receipt(tx_hash)
    assert receipt is not None
    return receipt


def deploy_anchor(chain: Chain) -> str:
    creation = artifact("StatusAnchor").creation(ADMIN.address)
    address = send(chain, ADMIN, None, creation).contract_address
    assert address is not None
    return address


def test_every_block_that_was_reported_survives_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as writer:
        assert writer.stdout is not None
        reported = [writer.stdout.readline().strip() for _ in range(25)]
        os.kill(writer.pid, signal.SIGKILL)
        reported += [line.strip() for line in writer.stdout if len(line) == 65]
    chain = embedded_chain(tmp_path, SteppedClock())
    blocks = []
    for tx_hash in reported:
        receipt = chain.receipt(bytes.fromhex(tx_hash))
        assert receipt is not None
        blocks.append(receipt.block_number)
    assert blocks == list(range(1, len(reported) + 1))
    assert chain.latest_block() - len(reported) in {0, 1}
    signer = fixed_signers().anchorer
    assert send(chain, signer, signer.address, b"", 30_000).succeeded


def test_a_verifier_reads_while_the_gateway_writes_and_changes_nothing(
    tmp_path: Path,
) -> None:
    chain = embedded_chain(tmp_path, SteppedClock())
    address = deploy_anchor(chain)
    path = tmp_path / "chain.db"
    before = hashlib.sha256(path.read_bytes()).digest()
    reader = EmbeddedChain.open_read_only(path)
    anchor = artifact("StatusAnchor")
    assert reader.identity() == chain.identity()
    assert anchor.matches(reader.code(address))
    assert reader.call(address, anchor.calldata("head")) == b"\0" * 96
    assert hashlib.sha256(path.read_bytes()).digest() == before
    later = send(chain, fixed_signers().settler, address, b"", 100_000)
    assert reader.receipt(later.tx_hash) == later
    with pytest.raises(ChainUnavailableError, match="reading only"):
        reader.send_raw(b"\x02")
    reader.close()
    chain.close()


def test_reading_a_closed_chain_leaves_no_file_behind(tmp_path: Path) -> None:
    embedded_chain(tmp_path, SteppedClock()).close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    EmbeddedChain.open_read_only(tmp_path / "chain.db").close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_block_times_follow_the_site_clock_and_never_run_backwards(
    tmp_path: Path,
) -> None:
    clock = SteppedClock()
    chain = embedded_chain(tmp_path, clock)
    signer = fixed_signers().anchorer
    times = []
    for jump_s in (3600, -7200, 0, 86400):
        clock.at += timedelta(seconds=jump_s)
        receipt = send(chain, signer, signer.address, b"", 30_000)
        times.append(chain.block_timestamp_s(receipt.block_number))
    start_s = int(START.timestamp())
    assert times[0] == start_s + 3600
    assert times[1:3] == [times[0] + 1, times[0] + 2]
    assert times[3] == start_s + 3600 - 7200 + 86400


def test_refusals_are_told_apart(tmp_path: Path) -> None:
    chain = embedded_chain(tmp_path, SteppedClock())
    signer = fixed_signers().anchorer
    chain_id = chain.identity().chain_id

    def raw(
        nonce: int, *, chain_id: int = chain_id, fee_wei: int | None = None
    ) -> bytes:
        fees = chain.fees()
        if fee_wei is not None:
            fees = Fees(max_fee_wei=fee_wei, priority_fee_wei=0)
        return signer.sign(
            chain_id=chain_id,
            nonce=nonce,
            to=signer.address,
            calldata=b"",
            gas_limit=30_000,
            fees=fees,
        )[0]

    first = raw(0)
    chain.send_raw(first)
    chain.send_raw(first)
    assert chain.latest_block() == 1
    for bad, reason in (
        (raw(0, fee_wei=10**12), Refusal.NONCE_TOO_LOW),
        (raw(2), Refusal.NONCE_TOO_HIGH),
        (raw(1, fee_wei=0), Refusal.OTHER),
        (raw(1, chain_id=1), Refusal.OTHER),
    ):
        with pytest.raises(TransactionRefusedError) as caught:
            chain.send_raw(bad)
        assert caught.value.reason is reason
    assert (chain.latest_block(), chain.nonce(signer.address)) == (1, 1)


def test_a_revert_is_named_with_its_arguments(tmp_path: Path) -> None:
    chain = embedded_chain(tmp_path, SteppedClock())
    address = deploy_anchor(chain)
    anchor = artifact("StatusAnchor")
    intruder = fixed_signers().settler.address
    calldata = anchor.calldata("anchor", 5, b"\1" * 32, [], b"")
    with pytest.raises(ContractRevertedError) as caught:
        chain.gas_limit(intruder, address, calldata)
    named = anchor.explain(caught.value)
    assert named.name == "AccessControlUnauthorizedAccount"
    assert named.arguments[0] == intruder


def test_two_writers_of_one_file_extend_one_chain(tmp_path: Path) -> None:
    one = embedded_chain(tmp_path, SteppedClock())
    two = embedded_chain(tmp_path, SteppedClock())
    signers = fixed_signers()
    for _ in range(3):
        send(one, signers.anchorer, signers.anchorer.address, b"", 30_000)
        send(two, signers.settler, signers.settler.address, b"", 30_000)
    assert one.latest_block() == two.latest_block() == 6


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0"])
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chain.db"
    path.write_bytes(content)
    with pytest.raises(ChainNonsenseError):
        EmbeddedChain.open_read_only(path)
    with pytest.raises(ChainUnavailableError, match="no such file"):
        EmbeddedChain.open_read_only(tmp_path / "absent.db")


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE meta (name TEXT, value TEXT)")
    conn.close()
    with pytest.raises(ChainNonsenseError, match="no chain"):
        EmbeddedChain.open_read_only(path)
