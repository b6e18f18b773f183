"""What a history of a ledger is asked in its end: what it cost, what it was told."""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledger.worker import StepSummary, WorkerState
from tests.support.ledger_world import BUMP_S, ViolationError, World

if TYPE_CHECKING:
    from tests.support.ledger_chaos import HostileWorld

FOREIGN_ROUNDS = 6
N_NETTED = 2
"""Arguments of a netted window: what it spans, and its rows."""
WINDOWS = ("recordInvoices", "settleNetted")


def sealed_rows(world: World) -> set[int]:
    """Return the rows that have no signature yet."""
    rows = world.conn.execute("SELECT tx_id FROM outbox_tx WHERE state = 'sealed'")
    return {tx_id for (tx_id,) in rows}


def check_waiting_is_told(
    world: World, waited: set[int], summary: StepSummary | None
) -> None:
    """Where work waits, and for nothing that is under way, an alarm says so.

    Args:
        world: After a step in peace.
        waited: The rows without a signature before it.
        summary: What the step told.
    """
    if summary is None or summary.state is WorkerState.STANDBY:
        return
    told = any("fees of a day could reach" in alarm for alarm in summary.alarms)
    world.counts["steps that waited for the budget, told"] += told
    (under_way,) = world.conn.execute(
        "SELECT count(*) FROM outbox_tx WHERE state IN ('signed', 'sent', 'mined')"
    ).fetchone()
    if waited & sealed_rows(world) and not under_way and not summary.alarms:
        raise ViolationError("work waits, and no alarm says so")


def check_days_cost(world: World) -> None:
    """What was signed within any 24 hours cost no more than a day may.

    A transaction counts at the time of the signature that was mined, with all that
    this one allowed; a database that was put back knows too little for this.
    """
    budget_wei = world.daily_fees_wei
    if budget_wei is None:
        return
    rows = world.conn.execute("SELECT tx_hash, signed_at FROM outbox_attempt")
    signed = {tx_hash: datetime.fromisoformat(at) for tx_hash, at in rows}
    paid = sorted(
        (signed[tx.tx_hash], tx.gas_limit * tx.max_fee_wei)
        for block in world.chain.blocks
        for tx, _succeeded in block.done
        if tx.tx_hash in world.signed
    )
    world.counts["histories with a budget"] += 1
    for end, _fee in paid:
        begin = end - timedelta(days=1)
        cost_wei = sum(fee for at, fee in paid if begin < at <= end)
        if cost_wei > budget_wei:
            raise ViolationError(f"{cost_wei} wei within a day, not {budget_wei}")


def check_sums(world: "HostileWorld") -> None:
    """The rows of netted windows say what their sessions cost, less their credits."""
    rows = credits_minor = 0
    for key, value in world.chain.tip.items():
        if key[0] == "window" and len(value) == N_NETTED:
            rows += sum(dict(row)["amountMinor"] for row in value[1])
        if key[0] == "netted":
            credits_minor += value
    netted = set(world.keys_in("settleNetted"))
    sessions = [key for key in world.sessions if key in netted]
    world.counts["sessions netted"] += len(sessions)
    asked = ", ".join("?" * len(sessions))
    (charged,) = world.conn.execute(
        "SELECT coalesce(sum(amount_minor), 0) FROM settlement_queue"  # noqa: S608  # question marks
        f" WHERE session_key IN ({asked})",
        sessions,
    ).fetchone()
    (credited, aside) = world.conn.execute(
        "SELECT coalesce(sum(amount_minor), 0),"  # noqa: S608  # question marks
        " coalesce(sum(amount_minor) FILTER (WHERE refused IS NOT NULL), 0)"
        f" FROM credit_queue WHERE session_key IN ({asked})",
        sessions,
    ).fetchone()
    lowered = charged - rows + credits_minor
    if not credited - aside <= lowered <= credited:
        raise ViolationError(f"rows are lower by {lowered}, credits are {credited}")


def meet_foreign_head(world: World) -> None:
    """Let a head stand on the chain that this log never had: anchoring stops.

    The head of a stolen anchorer's key, of more leaves than the log has, or of as many
    and another root.
    """
    ((address, size, _root),) = world.heads()
    foreign = (
        size + world.rng.choice((0, 1, 1000)),
        hashlib.sha256(b"foreign").digest(),
    )
    world.chain.mine()
    world.chain.tip["head", address] = foreign
    world.counts["foreign heads"] += 1
    n_anchor = _anchors(world)
    for number in range(FOREIGN_ROUNDS):
        world.add_leaves(1)
        world.now += timedelta(seconds=600 + BUMP_S)
        summary = world.processes[number % 2].worker.step(world.now)
        world.chain.mine()
        if summary.state is WorkerState.STANDBY:
            continue
        if summary.state is not WorkerState.ALARM or not any(
            "anchoring stops" in alarm for alarm in summary.alarms
        ):
            raise ViolationError(f"a foreign head is not told: {summary}")
    if _anchors(world) != n_anchor or world.heads() != [(address, *foreign)]:
        raise ViolationError("anchored over a foreign head")


def _anchors(world: World) -> int:
    (count,) = world.conn.execute(
        "SELECT count(*) FROM outbox_tx WHERE purpose = 'anchor'"
    ).fetchone()
    return int(count)
