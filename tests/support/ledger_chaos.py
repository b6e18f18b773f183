"""Bad luck for a site's ledger, driven by a seed.

Processes are killed at any boundary, or sleep there past their lease. The chain
forgets, reorganises, becomes dear, goes away for a day; somebody else uses the keys;
old backups are put back. In the end the world calms down, except that fees stay high
for ever, and everything must be on the chain, once.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from ledger import log
from ledger.credit_queue import RECORDED_ELSEWHERE
from ledger.netted_queue import FORGOTTEN_WINDOW
from ledger.settle import SettlementWay
from ledger.sqlite_store import SqliteStore, transaction
from ledger.worker import StepSummary, WorkerState
from tests.support.ledger_ends import (
    WINDOWS,
    check_days_cost,
    check_sums,
    check_waiting_is_told,
    meet_foreign_head,
    sealed_rows,
)
from tests.support.ledger_site import open_database
from tests.support.ledger_world import (
    BUMP_S,
    CALM_ROUNDS,
    FEE_CAP_WEI,
    LASTING_BASE_FEE_WEI,
    Backup,
    Process,
    ViolationError,
    World,
)
from tests.support.sim_chain import GAS_LIMIT, GWEI, TIP_WEI
from tests.support.sim_contracts import SimTx, called, frozen

DAILY_FEES_WEI = 8 * GAS_LIMIT * (2 * LASTING_BASE_FEE_WEI + TIP_WEI)
"""A day's budget where there is one: eight transactions at the price of the end."""
LEAN_ROUND_S = 3 * 3600.0
WAYS = list(SettlementWay)

__all__ = ["HostileWorld", "ViolationError", "live_through"]


class HostileWorld(World):
    """A world in which everything goes wrong that can."""

    def live(self, n_steps: int) -> None:
        """Live through so many moments of good and bad luck."""
        events: list[tuple[int, Callable[[], object]]] = [
            (16, self._work),
            (14, self._normal_step),
            (9, self._step_with_crash),
            (3, self._step_with_sleep),
            (14, self._mine),
            (4, self._mine_for_long),
            (5, self._reorganise),
            (4, self._drop),
            (4, self._change_fees),
            (4, self._lose),
            (2, self._short_outage),
            (1, self._long_outage),
        ]
        if self.with_strangers:
            events += [(3, self._stranger), (1, self._stranger_who_vanishes)]
        if self.with_backups:
            events += [(3, self._back_up), (1, self._restore)]
        if self.with_signer_faults:
            events += [(9, self._change_signer)]
        weights = [weight for weight, _ in events]
        for _ in range(n_steps):
            self.now += timedelta(seconds=self.rng.choice((1, 5, 20, 70)))
            (_weight, event) = self.rng.choices(events, weights)[0]
            event()

    def _change_signer(self) -> None:
        """Let the service fail for a key, or sign for it again."""
        addresses = sorted(one.address for one in self.signers.all())
        self.silent ^= {self.rng.choice(addresses)}

    def _any_process(self) -> Process:
        return self.rng.choice((self.processes[0], *self.processes))

    def _normal_step(self) -> None:
        self.step(self._any_process())

    def _step_with_crash(self) -> None:
        self.step(self._any_process(), event="crash")

    def _step_with_sleep(self) -> None:
        self.step(self._any_process(), event="sleep")

    def _work(self) -> None:
        kind = self.rng.randrange(6)
        if kind <= 1:
            self.add_leaves(self.rng.randrange(1, 5))
            self.settle_some()
        elif kind <= 3:
            self.add_session(settles=self.rng.random() < 0.5)
        elif kind == 4:
            self.add_credit()
        else:
            self.add_asset()

    def _mine(self) -> None:
        self.chain.mine(limit=self.rng.choice((1, 2, 100)))

    def _mine_for_long(self) -> None:
        for _ in range(self.rng.randrange(4, 12)):
            self.chain.mine()

    def _reorganise(self) -> None:
        depth = self.rng.randrange(1, self.chain.final_depth)
        if len(self.chain.blocks) <= depth + 1:
            return
        self.counts["reorganisations"] += 1
        share = self.rng.choice((0.0, 0.5, 1.0))
        self.chain.reorganise(depth, lambda _tx: self.rng.random() < share)

    def _drop(self) -> None:
        if self.chain.pool:
            self.counts["drops from the pool"] += len(self.chain.pool)
            self.chain.pool.clear()

    def _change_fees(self) -> None:
        self.counts["fee changes"] += 1
        factor = self.rng.choice((1, 2, 5, 12, 30))
        self.chain.base_fee_wei = 10 * GWEI * factor

    def _lose(self) -> None:
        if self.rng.random() < 0.5:
            self.counts["lost answers"] += 1
            self.chain.lose_answers += 1
        else:
            self.counts["lost requests"] += 1
            self.chain.lose_requests += 1
        self.step(self._any_process())

    def _short_outage(self) -> None:
        self.counts["outages"] += 1
        self.chain.is_down = True
        for _ in range(2):
            self._work()
            self.now += timedelta(seconds=30)
            self.step(self._any_process())
        self.chain.is_down = False

    def _long_outage(self) -> None:
        self.counts["outages of a day"] += 1
        self.chain.is_down = True
        for quarter in range(96):
            self.add_leaves(1)
            self.now += timedelta(minutes=15)
            if quarter % 24 == 0:
                self._work()
                self.step(self._any_process())
        self.chain.is_down = False

    def _stranger(self) -> None:
        """Somebody uses one of the keys: what is in the pool may lose its nonce."""
        self.chain.put_in_block(self._foreign_tx())

    def _stranger_who_vanishes(self) -> None:
        """A foreign transaction makes room for ours and is reorganised away."""
        self.chain.put_in_block(self._foreign_tx())
        self._work()
        for process in self.processes:
            self.step(process)
        self.counts["reorganisations"] += 1
        foreign = set(self.signed)
        self.chain.reorganise(1, lambda tx: tx.tx_hash in foreign)

    def _foreign_tx(self) -> SimTx:
        self.counts["foreign uses of a key"] += 1
        self.is_used_by_others = True
        signer = self.rng.choice((self.signers.anchorer, self.signers.settler))
        return SimTx(
            sender=signer.address,
            nonce=self.chain.nonce_at(self.chain.tip, signer.address),
            to="0x" + "ee" * 20,
            calldata=b"",
            gas_limit=21_000,
            max_fee_wei=FEE_CAP_WEI,
            tip_wei=TIP_WEI,
        )

    def _back_up(self) -> None:
        if not self.is_deployed():
            return
        copy = open_database()
        self.conn.backup(copy)
        self.backups.append(Backup(conn=copy, n_facts=len(self.facts)))

    def _restore(self) -> None:
        """Put an old backup back; stations report again what it does not know."""
        if not self.backups:
            return
        self.counts["backups put back"] += 1
        self.was_restored = True
        backup = self.rng.choice(self.backups)
        restored = open_database()
        backup.conn.backup(restored)
        self.conn = restored
        self.checked_final.clear()
        for fact in self.facts[backup.n_facts :]:
            with transaction(self.conn):
                fact()
        for process in self.processes:
            self.restart(process)

    def calm_down(self) -> None:
        """Let all faults end but high fees, and see that everything gets through."""
        self.chain.lose_answers = self.chain.lose_requests = 0
        self.silent.clear()
        self.chain.base_fee_wei = LASTING_BASE_FEE_WEI
        while self.unsettled:
            self.settle_some()
        self.add_leaves(1)
        summary = None
        for number in range(CALM_ROUNDS):
            lean = self.daily_fees_wei is not None
            self.now += timedelta(seconds=LEAN_ROUND_S if lean else BUMP_S + 1)
            waited = sealed_rows(self)
            summary = self.step(self.processes[number // 8 % 2])
            check_waiting_is_told(self, waited, summary)
            self.chain.mine()
            if summary is not None and self._is_done(summary):
                break
        else:
            raise ViolationError(f"not done after {CALM_ROUNDS} rounds: {summary}")
        self.check_in_the_end()

    def _is_done(self, summary: StepSummary) -> bool:
        (opened,) = self.conn.execute(
            "SELECT count(*) FROM outbox_tx"
            " WHERE state IN ('sealed', 'signed', 'sent', 'mined')"
        ).fetchone()
        return (
            summary.state is WorkerState.WORKING
            and (summary.backlog, opened) == (0, 0)
            and (summary.settlements_pending, summary.credits_pending) == (0, 0)
        )

    def check_in_the_end(self) -> None:
        """Check that everything is on the chain, and once."""
        self.check_always()
        head = log.head(SqliteStore(self.conn))
        if [(size, root) for _, size, root in self.heads()] != [(head.size, head.root)]:
            raise ViolationError(f"the chain holds {self.heads()}, the log {head}")
        _expect_once("session", self._keys("session"), self.sessions)
        self._check_credits()
        _expect_once("asset", self._keys("asset"), self.assets)
        names = [value for key, value in self.chain.tip.items() if key[0] == "code"]
        if len(names) != len(set(names)):
            raise ViolationError(f"a contract was deployed twice: {names}")
        # What only a lost database knows is set aside, and on the chain all the same.
        known = RECORDED_ELSEWHERE if self.was_restored else ""
        (refused,) = self.conn.execute(
            "SELECT (SELECT count(*) FROM settlement_queue"
            "  WHERE refused IS NOT NULL AND refused <> ?)"
            " + (SELECT count(*) FROM asset_queue WHERE refused IS NOT NULL)"
            " + (SELECT count(*) FROM credit_queue"
            "  WHERE refused IS NOT NULL AND refused <> ?)",
            (known, FORGOTTEN_WINDOW if self.was_restored else ""),
        ).fetchone()
        if refused:
            raise ViolationError(f"{refused} rows were refused")
        self._check_transactions()

    def _check_credits(self) -> None:
        """Each credit counts once; what a lost database may have counted is told."""
        credited, told = self._keys("credit"), list(self.credits)
        if self.was_restored and self.way is SettlementWay.NETTED:
            rows = self.conn.execute(
                "SELECT credit_key FROM credit_queue WHERE refused = ?",
                (FORGOTTEN_WINDOW,),
            )
            aside = {key for (key,) in rows} - {bytes.fromhex(c) for c in credited}
            self.counts["credits set aside"] += len(aside)
            told = [key for key in told if key not in aside]
        elif self.was_restored:  # among invoices, under the same key
            credited = sorted(set(credited))
        _expect_once("credit", credited, told)
        check_sums(self)

    def _keys(self, kind: str) -> list[str]:
        """Return what stands on the chain, alone or under the root of a window."""
        ours = {"session": self.sessions, "credit": self.credits}.get(kind, [])
        alone = [key[2] for key in self.chain.tip if key[0] == kind]
        return alone + [key.hex() for key in self.keys_in(*WINDOWS) if key in ours]

    def keys_in(self, *functions: str) -> list[bytes]:
        """Return the keys of all that windows on the chain recorded, by their calls."""
        found: list[bytes] = []
        windows = {v for key, v in self.chain.tip.items() if key[0] == "window"}
        for block in self.chain.blocks:
            for tx, succeeded in block.done:
                if not succeeded or tx.to is None:
                    continue
                if ("code", tx.to) not in self.chain.tip or not tx.calldata:
                    continue
                name, function, arguments = called(self.chain.tip, tx.to, tx.calldata)
                if name != "Settlement" or function not in functions:
                    continue
                content = frozen(arguments)
                if content in windows:  # once, however often it was sent
                    windows.remove(content)
                    found += self.recorded[tx.calldata]
        return found

    def _check_transactions(self) -> None:
        """Each piece of work is one transaction on the chain, and none reverted."""
        ours = [
            (tx, succeeded)
            for block in self.chain.blocks
            for tx, succeeded in block.done
            if tx.tx_hash in self.signed
        ]
        self.counts["transactions"] += len(ours)
        reverted = sum(not succeeded for _tx, succeeded in ours)
        self.counts["reverted"] += reverted
        # What a restored database does not know of may still be in the pool, and so may
        # what lost its nonce to a stranger who vanished: one revert for each at most.
        undone = self.counts["backups put back"] + self.counts["foreign uses of a key"]
        if self.way is SettlementWay.PROVEN:  # two heads may come back the other way
            undone += self.counts["reorganisations"]
        if reverted > undone:
            raise ViolationError(f"{reverted} transactions reverted")
        check_days_cost(self)
        if self.was_restored or self.is_used_by_others:
            return  # what they undid is sent again, alike
        sent = Counter((tx.to, tx.calldata) for tx, _ in ours if tx.calldata)
        for (to, calldata), count in sent.items():
            if count > 1:
                raise ViolationError(
                    f"{count} transactions call {to} with {calldata[:4].hex()} alike"
                )


def live_through(
    seed: int,
    *,
    n_steps: int = 200,
    way: SettlementWay | None = None,
    with_signer_faults: bool = False,
    forgives_errors: bool = False,
) -> HostileWorld:
    """Live a seed's history to its end; raise at the first broken invariant.

    Seeds take turns with the ways of settling, unless one is given. What
    ``forgives_errors`` does: see `World`.
    """
    rng = random.Random(f"kind of world {seed}")  # noqa: S311  # a seeded world
    with_backups, with_strangers = rng.random() < 0.5, rng.random() < 0.5
    # What a backup does not know was spent, no budget can count.
    is_lean = not with_backups and seed % 2 == 1
    world = HostileWorld(
        seed,
        with_backups=with_backups,
        with_strangers=with_strangers,
        with_signer_faults=with_signer_faults,
        forgives_errors=forgives_errors,
        daily_fees_wei=DAILY_FEES_WEI if is_lean else None,
        way=way or WAYS[(seed + seed // len(WAYS)) % len(WAYS)],
    )
    world.add_leaves(2)
    if rng.random() < 0.7:
        world.deploy()
    world.live(n_steps)
    world.calm_down()
    if seed % 3 == 0:
        meet_foreign_head(world)
    return world


def _expect_once(kind: str, found: list[str], expected: list[bytes]) -> None:
    wanted = Counter(key.hex() for key in expected)
    if Counter(found) != wanted:
        missing, extra = wanted - Counter(found), Counter(found) - wanted
        raise ViolationError(f"{kind}: {len(missing)} missing, {len(extra)} twice")
