"""Single rules of the outbox, each on a chain that tries to break it."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from eth_abi.abi import decode as abi_decode

from ledger.chain import JsonRpcChain
from ledger.errors import ContractRevertedError
from ledger.keys import LocalSigner
from ledger.outbox import Fees, bumped
from ledger.public_leaves import seal_status
from ledger.runner import RunnerSettings
from ledger.settle import settle_calldata
from ledger.sqlite_store import SqliteStore
from ledger.worker import StepSummary, WorkerState
from tests.support import sim_chain
from tests.support.ledger_chaos import HostileWorld
from tests.support.ledger_mutants import fresh_nonce_on_bump
from tests.support.ledger_site import open_database
from tests.support.ledger_world import BUMP_S, ViolationError
from tests.support.sim_chain import GAS_LIMIT, GAS_USED, GWEI, SimSigner
from tests.support.sim_contracts import SimTx, Slots


@pytest.fixture
def world() -> HostileWorld:
    """A world in peace whose contracts stand."""
    made = HostileWorld(0)
    made.chain.refuses_cheap = False
    made.add_leaves(2)
    made.deploy()
    return made


def stepped(world: HostileWorld, seconds: float = 5) -> StepSummary:
    world.now += timedelta(seconds=seconds)
    summary = world.step(world.processes[0])
    assert summary is not None
    return summary


def states(world: HostileWorld, purpose: str) -> list[str]:
    rows = world.conn.execute(
        "SELECT state FROM outbox_tx WHERE purpose = ? ORDER BY tx_id", (purpose,)
    )
    return [row[0] for row in rows]


def settle_and_send(world: HostileWorld) -> None:
    world.add_session()
    stepped(world)
    assert states(world, "settle") == ["sent"]


def test_a_revert_counts_only_once_its_block_is_final(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_and_send(world)

    def reverts(_slots: Slots, _tx: SimTx) -> None:
        raise ContractRevertedError(b"")

    with monkeypatch.context() as patched:
        patched.setattr(sim_chain, "execute", reverts)
        world.chain.mine()
    summary = stepped(world)
    assert any("reverted in its block" in alarm for alarm in summary.alarms)
    assert states(world, "settle") == ["sent"]
    world.chain.reorganise(1, lambda _tx: True)
    world.calm_down()
    assert states(world, "settle") == ["final"]


def test_a_final_revert_gives_the_work_back(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_and_send(world)

    def reverts(_slots: Slots, _tx: SimTx) -> None:
        raise ContractRevertedError(b"")

    with monkeypatch.context() as patched:
        patched.setattr(sim_chain, "execute", reverts)
        world.chain.mine()
    for _ in range(world.chain.final_depth):
        world.chain.mine()
    stepped(world)
    world.is_used_by_others = True  # the checker expects the revert
    world.counts["foreign uses of a key"] = 1
    world.calm_down()
    assert states(world, "settle") == ["failed", "final"]


def two_in_flight_with_the_lower_stuck(world: HostileWorld) -> None:
    """Two settlements are in blocks, fall out together, and pay too little then."""
    for _ in range(2):
        world.add_session()
        stepped(world)
        world.chain.mine()
        stepped(world)
    world.chain.base_fee_wei = 60 * GWEI
    world.chain.reorganise(2, lambda _tx: False)
    stepped(world)
    assert states(world, "settle") == ["sent", "sent"]
    for _ in range(6):
        stepped(world, BUMP_S + 1)
        world.chain.mine()


def nonces_signed(world: HostileWorld) -> list[tuple[bytes, set[int]]]:
    """Which nonces each call of the settler was signed at."""
    at: dict[bytes, set[int]] = {}
    for tx in world.signed.values():
        if tx.sender == world.signers.settler.address and tx.calldata:
            at.setdefault(tx.calldata, set()).add(tx.nonce)
    return list(at.items())


def test_higher_fees_go_to_the_same_nonce_of_each_of_two_in_flight(
    world: HostileWorld,
) -> None:
    two_in_flight_with_the_lower_stuck(world)
    assert [nonces for _, nonces in nonces_signed(world)] == [{0}, {1}]
    assert len(world.signed) > len(
        world.conn.execute("SELECT 1 FROM outbox_tx").fetchall()
    )
    world.calm_down()


def test_a_fresh_nonce_for_higher_fees_is_noticed(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_nonce_on_bump(monkeypatch)

    with pytest.raises(ViolationError, match=r"has nonce \d, signed is \d"):
        two_in_flight_with_the_lower_stuck(world)


@pytest.mark.parametrize("boundary", range(1, 60, 3))
def test_a_process_that_slept_past_its_lease_writes_nothing_more(
    world: HostileWorld, boundary: int
) -> None:
    world.add_session()
    world.add_leaves(3)
    world.now += timedelta(seconds=600)
    sleeper = world.processes[0]
    world.step(sleeper, event="sleep", fuse=boundary)
    world.calm_down()


def test_a_replaced_key_leaves_no_work_behind(world: HostileWorld) -> None:
    world.chain.base_fee_wei = 400 * GWEI  # above the cap: nothing is signed
    world.add_session()
    stepped(world)
    assert states(world, "settle") == ["sealed"]
    replace_settler(world)
    world.chain.base_fee_wei = 10 * GWEI
    stepped(world)
    world.chain.mine()  # the grant of the new key's role
    stepped(world)
    assert states(world, "settle") == ["failed", "sent"]
    world.calm_down()


def test_what_a_replaced_key_signed_is_sent_again_and_its_fees_are_an_alarm(
    world: HostileWorld,
) -> None:
    settle_and_send(world)
    replace_settler(world)
    world.chain.pool.clear()
    world.chain.base_fee_wei = 60 * GWEI
    summary = stepped(world, BUMP_S + 1)
    assert any("is stuck: the key of" in alarm for alarm in summary.alarms)
    world.chain.base_fee_wei = 10 * GWEI
    stepped(world)
    world.chain.mine()
    stepped(world)
    assert states(world, "settle") == ["mined"]
    world.calm_down()


def test_what_a_lost_key_signed_is_given_up_once_its_role_is_gone_for_good(
    world: HostileWorld,
) -> None:
    settle_and_send(world)
    old = world.signers.settler.address
    replace_settler(world)
    world.chain.pool.clear()
    world.chain.base_fee_wei = 60 * GWEI  # its bytes pay too little for ever
    for _ in range(world.chain.final_depth + 2):
        world.chain.mine()
        summary = stepped(world, BUMP_S + 1)
        assert states(world, "settle") == ["sent"], "with its role it may still do it"
        assert any("is stuck: the key of" in alarm for alarm in summary.alarms)
    for key in [key for key in world.chain.tip if key[0] == "role" and key[3] == old]:
        del world.chain.tip[key]
    stepped(world)
    assert states(world, "settle") == ["sent"], "the revocation may be reorganised away"
    for _ in range(world.chain.final_depth + 2):
        world.chain.mine()
        stepped(world)
    assert states(world, "settle")[0] == "failed"
    world.calm_down()
    assert states(world, "settle") == ["failed", "final"]


def replace_settler(world: HostileWorld) -> None:
    address = "0x" + hashlib.sha256(b"a new settler").hexdigest()[:40]
    signer = SimSigner(address=address, on_sign=world.on_sign)
    world.signers = replace(world.signers, settler=signer)
    for process in world.processes:
        world.restart(process)


def test_fees_of_a_day_stay_within_the_budget_and_work_waits_for_the_next(
    world: HostileWorld,
) -> None:
    suggested_wei = world.chain.fees().max_fee_wei
    world.now += timedelta(days=2)
    first_block = len(world.chain.blocks)
    budget_wei = 3 * GAS_LIMIT * suggested_wei
    world.runner_settings = RunnerSettings(
        bump_after_s=BUMP_S, daily_fees_wei=budget_wei
    )
    world.restart(world.processes[0])
    alarms: list[str] = []
    for _ in range(5):
        world.add_session()
        summary = stepped(world, 600)
        alarms += summary.alarms
        for _ in range(8):
            world.chain.mine()
        alarms += stepped(world).alarms
    assert any("fees of a day could reach" in alarm for alarm in alarms)
    spent = [
        GAS_USED * min(tx.max_fee_wei, block.base_fee_wei + tx.tip_wei)
        for block in world.chain.blocks[first_block:]
        for tx, _ in block.done
    ]
    assert 0 < len(spent) < 5, "some of it, and not all of it, on the first day"
    assert sum(spent) <= budget_wei
    for _ in range(2):
        stepped(world, 86_400)
        for _ in range(8):
            world.chain.mine()
    last = stepped(world)
    assert (last.alarms, last.settlements_pending) == ((), 0)


def test_a_backup_older_than_the_deployment_deploys_nothing_again(
    world: HostileWorld,
) -> None:
    world.add_session()
    world.conn = open_database()
    for fact in world.facts:
        fact()
    world.restart(world.processes[0])
    summary = stepped(world, 300)
    assert summary.state is WorkerState.ALARM
    assert "stands at" in summary.alarms[0]
    assert "put a newer backup back" in summary.alarms[0]
    assert states(world, "deploy") == []


def test_status_that_a_failed_anchor_carried_goes_with_the_next(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        world.chain.mine()
        stepped(world, 600)
    seal_status(world.conn, b"\1" * 13, world.now)
    stepped(world, 600)

    def reverts(_slots: Slots, _tx: SimTx) -> None:
        raise ContractRevertedError(b"")

    with monkeypatch.context() as patched:
        patched.setattr(sim_chain, "execute", reverts)
        world.chain.mine()
    for _ in range(8):
        world.chain.mine()
        stepped(world, 600)
    carried = [
        abi_decode(["uint64", "bytes32", "bytes32[]", "bytes"], row[0][4:])[-1]
        for row in world.conn.execute(
            "SELECT calldata FROM outbox_tx WHERE purpose = 'anchor'"
            " ORDER BY tx_id DESC LIMIT 2"
        )
    ]
    assert carried == [b"\1" * 13, b"\1" * 13]
    assert states(world, "anchor")[-2:] == ["failed", "mined"]


SETTLE = settle_calldata([])[:4]
ADDRESS = "0x" + "11" * 20


def answers(method: str, *_params: object) -> dict[str, object]:
    """A node of a chain without base fees, as PoA chains often are."""
    match method:
        case "eth_feeHistory":
            return {"error": {"code": -32601, "message": "the method does not exist"}}
        case "eth_getBlockByNumber":
            return {"result": {"number": "0x1", "hash": "0x" + "00" * 32}}
        case "eth_gasPrice":
            return {"result": hex(3 * GWEI)}
        case _:
            raise AssertionError(method)


def test_a_chain_without_base_fees_is_paid_its_gas_price(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = JsonRpcChain("http://127.0.0.1:9")
    monkeypatch.setattr(chain, "_request", answers)
    fees = chain.fees()
    chain.close()
    assert fees == Fees(max_fee_wei=3 * GWEI, priority_fee_wei=3 * GWEI, is_legacy=True)
    raw, _ = LocalSigner(bytes([7]) * 32).sign(
        chain_id=7, nonce=0, to=ADDRESS, calldata=b"", gas_limit=21_000, fees=fees
    )
    assert raw[0] >= 0xC0, "a list, as transactions were before they had types"
    higher = bumped(Fees(max_fee_wei=2, priority_fee_wei=2), fees, cap_wei=10**12)
    assert higher is not None
    assert higher.is_legacy


def test_zeroes_for_base_fees_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeroes(method: str, *params: object) -> dict[str, object]:
        if method == "eth_feeHistory":
            return {"result": {"baseFeePerGas": ["0x0", "0x0"], "reward": []}}
        return answers(method, *params)

    chain = JsonRpcChain("http://127.0.0.1:9")
    monkeypatch.setattr(chain, "_request", zeroes)
    assert chain.fees().is_legacy
    chain.close()


def test_what_is_mined_counts_against_the_day_of_its_signature_only(
    world: HostileWorld,
) -> None:
    settle_and_send(world)
    key = world.chain.identity().key
    store = SqliteStore(world.conn)
    later = world.now + timedelta(days=2)
    under_way_wei = store.committed_fees_wei(key, later, other_than=0)
    assert under_way_wei > 0, "what is under way may still cost"
    world.chain.final_depth = 10**6
    world.chain.mine()
    stepped(world)
    assert states(world, "settle") == ["mined"]
    assert store.committed_fees_wei(key, later, other_than=0) == 0
    earlier = world.now - timedelta(days=1)
    assert store.committed_fees_wei(key, earlier, other_than=0) >= under_way_wei


def test_finality_that_stands_still_for_a_day_is_an_alarm(world: HostileWorld) -> None:
    settle_and_send(world)
    world.chain.mine()
    assert stepped(world).alarms == ()
    assert stepped(world, 86_000).alarms == ()
    summary = stepped(world, 1_000)
    assert any("no block became final since" in alarm for alarm in summary.alarms)
    for _ in range(8):
        world.chain.mine()
    assert stepped(world).alarms == ()


def gas_by_size(_sender: str, _to: str | None, calldata: bytes) -> int:
    """Gas that grows with what is called, as that of batches does."""
    return GAS_LIMIT + 200 * len(calldata)


def with_budget(world: HostileWorld, monkeypatch: pytest.MonkeyPatch, gas: int) -> None:
    monkeypatch.setattr(world.chain, "gas_limit", gas_by_size)
    world.runner_settings = RunnerSettings(
        bump_after_s=BUMP_S, daily_fees_wei=gas * world.chain.fees().max_fee_wei
    )
    world.now += timedelta(days=2)
    world.restart(world.processes[0])


def with_one_key(world: HostileWorld) -> None:
    only = world.signers.settler
    world.signers = replace(world.signers, anchorer=only)
    for _ in range(4):
        world.restart(world.processes[0])
        stepped(world)
        world.chain.mine()


def test_a_batch_too_dear_for_a_day_is_settled_in_smaller_ones(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(40):
        world.add_session()
    with_budget(world, monkeypatch, 2 * GAS_LIMIT + 200 * 256 * 20)
    for _ in range(8):
        for _ in range(4):
            stepped(world)
            world.chain.mine()
        world.now += timedelta(days=1)
    summary = stepped(world)
    assert (summary.alarms, summary.settlements_pending) == ((), 0)
    assert states(world, "settle").count("final") > 1


def test_a_row_that_no_day_can_pay_is_an_alarm_and_anchors_go_on(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_one_key(world)
    for _ in range(3):
        world.add_session()

    def gas(sender: str, to: str | None, calldata: bytes) -> int:
        dear = calldata[:4] == SETTLE
        return 10**9 if dear else gas_by_size(sender, to, calldata)

    with_budget(world, monkeypatch, 10**7)
    monkeypatch.setattr(world.chain, "gas_limit", gas)
    for _ in range(4):
        world.add_leaves(1)
        stepped(world, 400)
        world.chain.mine()
    summary = stepped(world)
    assert any("settle" in one and "waits" in one for one in summary.alarms)
    assert states(world, "settle").count("sealed") == 1
    assert len(states(world, "settle")) <= 3, "it is not sealed again and again"
    assert summary.backlog == 0


def test_a_settlement_gets_its_turn_before_further_anchors(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gas(sender: str, to: str | None, calldata: bytes) -> int:
        dear = calldata[:4] == SETTLE
        return 6 * GAS_LIMIT if dear else gas_by_size(sender, to, calldata)

    with_budget(world, monkeypatch, 8 * GAS_LIMIT)
    monkeypatch.setattr(world.chain, "gas_limit", gas)
    for hour in range(60):  # anchors alone would use each day's fees up
        world.add_leaves(1)
        if hour == 12:
            world.add_session()
        stepped(world, 3_600)
        world.chain.mine()
    assert states(world, "settle") == ["final"]
