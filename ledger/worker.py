"""The anchoring worker: one synchronous step, called again and again by a thread.

Charging never waits for it. While the chain is away the backlog grows in the database;
one anchor catches up, since a later head covers every leaf before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Final

from ledger import credits as credit_leaves
from ledger import log, settle
from ledger.address_book import AddressBook, adopt
from ledger.contracts import Artifact, artifact, recognized
from ledger.deploy import ensure_contracts
from ledger.errors import (
    ArtifactError,
    ChainError,
    ChainUnavailableError,
    ContractRevertedError,
    LeaseLostError,
    LedgerForkError,
)
from ledger.grants import Contracts, Pausers
from ledger.invoices import Windows, binding_of
from ledger.lost_keys import LostKeys
from ledger.netted import NettedWindows
from ledger.outbox import WAITING, AnchoredHead, Purpose, TxDraft
from ledger.ports import Chain, Signers, Transact
from ledger.proofs import NOT_INCLUDED, Proofs
from ledger.public_leaves import status_between
from ledger.receipt import BundleChain
from ledger.runner import Report, Runner, RunnerSettings
from ledger.settle import AlgorithmRelease, SettlementWay
from ledger.sqlite_queues import Batched
from ledger.sqlite_store import SqliteStore

MAX_SETTLE_BATCH: Final = settle.MAX_BATCH
MAX_ASSET_BATCH: Final = 50
ROUNDS: Final = 4
FLUSH_ROUNDS: Final = 64
"""How often one step seals again, where the chain mines at once."""


class WorkerState(Enum):
    """What the worker could do in a step."""

    WORKING = "working"
    DEPLOYING = "deploying"
    STANDBY = "standby"
    CHAIN_UNAVAILABLE = "chain-unavailable"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """When the worker seals, and how it pays.

    Attributes:
        anchor_interval_s: Least time between two anchors, in site time.
        hold_s: Pause after a revert before the same kind of work is tried again.
        way: How sessions are settled. A contract of an earlier release that cannot
            do it so gets batches.
        patience_s: How long a window waits for a session to settle before it names it
            as open, in site time; one that is netted waits as long for more sessions.
            On a chain of one's own, where gas costs nothing, it does not wait.
    """

    anchor_interval_s: float = 900.0
    hold_s: float = 300.0
    way: SettlementWay = SettlementWay.INVOICES
    patience_s: float = 86_400.0
    runner: RunnerSettings = field(default_factory=RunnerSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSummary:
    """Where the evidence stands after a step.

    Attributes:
        backlog: Leaves that no anchored head covers.
        anchored: Newest head in a block, final or not; ``None`` also while the chain
            was never reached since the start of the process.
        settlements_pending: Sessions queued or under way.
        settlements_mined: Sessions settled in a block, ever.
        settlements_refused: Sessions that the contract refused; look at them.
        credits_pending: Credits queued or under way.
        credits_mined: Credits recorded in a block, ever.
        credits_refused: Credits that the contract refused; look at them.
        assets_pending: New and changed assets queued or under way.
        assets_mined: Such changes registered in a block, ever.
        assets_refused: Such changes that the contract refused; look at them.
        alarms: What an operator must look at; empty when all is well.
    """

    state: WorkerState
    leaf_count: int
    backlog: int
    anchored: AnchoredHead | None
    settlements_pending: int
    settlements_mined: int
    settlements_refused: int
    credits_pending: int
    credits_mined: int
    credits_refused: int
    assets_pending: int
    assets_mined: int
    assets_refused: int
    sent: int
    mined: int
    final: int
    failed: int
    reorganised: int
    alarms: tuple[str, ...]
    contracts: Contracts | None


class AnchorWorker:
    """Seals anchors, settlements and assets, and carries them onto the chain."""

    def __init__(
        self,
        *,
        chain: Chain,
        transact: Transact,
        signers: Signers,
        settings: WorkerSettings | None = None,
        holder: str = "gateway",
        book: AddressBook | None = None,
    ) -> None:
        """Wire the worker; nothing is read or sent before the first step.

        Args:
            chain: The chain, embedded or remote.
            transact: Runs database work in one transaction.
            signers: The keys of all roles.
            settings: Intervals and caps.
            holder: Name of this installation: a restarted one takes its own lease over
                at once, another one waits for it to expire.
            book: Where the contracts are; without it, those that the database knows,
                and new ones where the admin's key is here.
        """
        self._settings = settings or WorkerSettings()
        self._runner = Runner(
            chain=chain,
            transact=transact,
            signers=signers.all(),
            settings=self._settings.runner,
        )
        self._chain = chain
        self._transact = transact
        self._signers = signers
        self._admin = None if signers.admin is None else signers.admin.address
        self._book = book
        self._holder = holder
        self._pausers = Pausers(self._runner, self._admin, signers.pauser)
        self._lost = LostKeys(self._runner, [one.address for one in signers.all()])
        self._windows: Windows | None = None
        self._netted: NettedWindows | None = None
        self._invoices: Artifact | None = None
        self._proofs: Proofs | None = None
        self._takes_flex = False
        self._no_position = settle.NO_POSITION
        self._key: str | None = None
        self._contracts: Contracts | None = None
        self._bundle_chain: BundleChain | None = None
        self._anchor_due: datetime | None = None
        self._held: dict[Purpose, datetime] = {}
        self._settle_rows = MAX_SETTLE_BATCH
        self._settle_since: datetime | None = None

    def step(self, now: datetime, *, flush: bool = False) -> StepSummary:
        """Do all that can be done now.

        Args:
            now: Site time; aware UTC.
            flush: Anchor at once, whatever the interval (shutdown, end of a demo).

        Returns:
            Where things stand. Chain trouble is part of it and raises nothing.
        """
        report = Report()
        while self._transact(log.extend_nodes):
            pass
        state = WorkerState.WORKING
        try:
            if not self._runner.take_lease(self._holder, now):
                return self._summary(WorkerState.STANDBY, report)
            self._work(now, report, flush=flush)
            if self._contracts is None:
                state = WorkerState.DEPLOYING
        except LeaseLostError:
            state = WorkerState.STANDBY
        except ChainUnavailableError as error:
            state = WorkerState.CHAIN_UNAVAILABLE
            report.alarms.append(str(error))
        except (ChainError, ArtifactError, LedgerForkError) as error:
            state = WorkerState.ALARM
            report.alarms.append(str(error))
        if report.alarms and state in {WorkerState.WORKING, WorkerState.DEPLOYING}:
            state = WorkerState.ALARM
        return self._summary(state, report)

    @property
    def bundle_chain(self) -> BundleChain | None:
        """What receipts say of the chain; ``None`` until the contracts are known."""
        return self._bundle_chain

    def publish(self, release: AlgorithmRelease, now: datetime) -> None:
        """Queue a release for the AlgorithmRegistry, once per identifier.

        Raises:
            ArtifactError: The contracts are not deployed yet; step first. Or the key
                that publishes is not here.
        """
        contracts = self._contracts
        if self._admin is None:
            raise ArtifactError("the key that publishes releases is not here")
        if contracts is None:
            raise ArtifactError("the contracts are not deployed yet")
        draft = TxDraft(
            chain=self._chain.identity().key,
            purpose=Purpose.PUBLISH,
            purpose_key=release.algorithm_id.hex(),
            sender=self._admin,
            to=contracts.algorithm_registry,
            calldata=settle.publish_calldata(release),
            facts={"version": release.version},
        )

        def work(store: SqliteStore) -> None:
            if store.find(draft.chain, draft.purpose, draft.purpose_key) is None:
                store.seal(draft, now)

        self._runner.write(work)

    def _work(self, now: datetime, report: Report, *, flush: bool) -> None:
        key = self._chain.identity().key
        if key != self._key:  # also when a node came back with another chain
            self._key, self._contracts, self._bundle_chain = key, None, None
            self._pausers = Pausers(self._runner, self._admin, self._signers.pauser)
            self._windows = self._netted = self._invoices = self._proofs = None
            here = [one.address for one in self._signers.all()]
            self._lost = LostKeys(self._runner, here)
            self._runner.write(lambda store: store.leave_other_chains(key))
        self._runner.run(now, report)
        self._lost.see_admin(now, report)
        if self._contracts is None:
            self._contracts = self._find_contracts(now, report)
        contracts = self._contracts
        if contracts is not None and self._bundle_chain is None:
            identity = self._chain.identity()
            self._look_at_code(contracts)
            self._bundle_chain = BundleChain(
                chain_id=identity.chain_id,
                genesis_hash=identity.genesis_hash,
                anchor_contract=contracts.status_anchor,
                settlement_contract=contracts.settlement,
            )
        if contracts is not None:
            self._lost.see(contracts, report)
        if contracts is not None and self._pausers.see(contracts, now, report):
            self._runner.run(now, report)
        for _round in range(FLUSH_ROUNDS if flush else ROUNDS):
            self._judge_failures(now, report)
            if contracts is None:
                break
            sealed = [
                self._seal_anchor(contracts, now, flush=flush or self._wants_cover()),
                self._seal_windows(contracts, now),
                self._seal_proven(contracts, now),
                self._seal_settlements(contracts, now),
                self._seal_credits(contracts, now),
                self._seal_assets(contracts, now),
            ]
            if not any(sealed):
                break
            self._runner.run(now, report)
        self._judge_failures(now, report)

    def _find_contracts(self, now: datetime, report: Report) -> Contracts | None:
        if self._book is not None:
            adopt(self._runner, self._book)
        holders = self._signers.holders()
        return ensure_contracts(self._runner, self._admin, holders, now, report)

    def _seal_anchor(self, contracts: Contracts, now: datetime, *, flush: bool) -> bool:
        is_due = flush or self._is_anchor_due(now)
        if not is_due or self._blocked(Purpose.ANCHOR, now):
            return False
        binding = artifact("StatusAnchor")
        data = self._chain.call(contracts.status_anchor, binding.calldata("head"))
        size, root, _anchored_at = binding.result("head", data)
        key = self._chain.identity().key

        def work(store: SqliteStore) -> bool:
            count = store.leaf_count()
            if size > count or (size and log.head(store, size).root != root):
                raise LedgerForkError(
                    f"the head on chain (size {size}, root {root.hex()}) is not a head"
                    f" of this log of {count} leaves; anchoring stops"
                )
            if size == count:
                return False
            head = log.head(store, count)
            if store.find(key, Purpose.ANCHOR, str(count)) is not None:
                raise LedgerForkError(f"the anchored head {count} left the chain")
            draft = TxDraft(
                chain=key,
                purpose=Purpose.ANCHOR,
                purpose_key=str(count),
                sender=self._signers.anchorer.address,
                to=contracts.status_anchor,
                calldata=binding.calldata(
                    "anchor",
                    count,
                    head.root,
                    list(log.consistency_proof(store, size, count)),
                    status_between(store.conn, size, count),
                ),
                facts={"size": count, "root": head.root.hex(), "old_size": size},
            )
            store.seal(draft, now)
            return True

        sealed = self._runner.write(work)
        if sealed:
            interval = timedelta(seconds=self._settings.anchor_interval_s)
            self._anchor_due = now + interval
        return sealed

    def _look_at_code(self, contracts: Contracts) -> None:
        """Learn what these contracts can: windows are used where that is wished."""
        registry = recognized(
            "AssetRegistry", self._chain.code(contracts.asset_registry)
        )
        is_marked = registry is None or registry.release > 1
        self._no_position = settle.NO_POSITION if is_marked else 0
        found = recognized("Settlement", self._chain.code(contracts.settlement))
        self._takes_flex = found is not None and found.release > 1
        way, settler = self._settings.way, self._signers.settler.address
        self._invoices = binding_of(self._runner, contracts.settlement)
        if way is SettlementWay.PROVEN and self._takes_flex:
            self._proofs = Proofs(self._runner, sender=settler)
        if self._invoices is None:
            return
        is_own = self._chain.self_witnessed
        patience_s = 0.0 if is_own else self._settings.patience_s
        # Also where the way is another one now: what was netted before has credits.
        self._netted = NettedWindows(
            self._runner, sender=settler, patience_s=patience_s
        )
        if way is SettlementWay.NETTED:
            self._windows = self._netted
        elif way is SettlementWay.INVOICES:
            self._windows = Windows(self._runner, sender=settler, patience_s=patience_s)

    def _wants_cover(self) -> bool:
        """Say whether an anchor is worth it for a session that waits for its cover.

        On a chain of one's own it is: gas costs nothing there.
        """
        if not self._chain.self_witnessed:
            return False
        key = self._chain.identity().key
        if self._proofs is not None or self._windows is self._netted is not None:
            return self._runner.write(lambda store: store.is_short_of_head(key))
        if self._windows is None:
            return False
        return self._runner.write(lambda store: store.is_beyond_head(key))

    def _is_anchor_due(self, now: datetime) -> bool:
        """Say whether it is time for an anchor.

        Proofs under way hold for the head of now: an anchor waits for them, for one
        interval at most. Then they are made anew.
        """
        due = self._anchor_due
        if due is None:
            return True
        if now < due:
            return False
        latest = due + timedelta(seconds=self._settings.anchor_interval_s)
        if self._proofs is None or now >= latest:
            return True
        return not self._proofs.are_under_way()

    def _seal_windows(self, contracts: Contracts, now: datetime) -> bool:
        windows, binding = self._windows, self._invoices
        if windows is None or binding is None or self._blocked(Purpose.SETTLE, now):
            return False
        return windows.seal(binding, contracts.settlement, now)

    def _seal_proven(self, contracts: Contracts, now: datetime) -> bool:
        if self._proofs is None or self._blocked(Purpose.SETTLE, now):
            return False
        if self._blocked(Purpose.ANCHOR, now):  # the next head ends the proofs of this
            return False
        return self._proofs.seal(contracts, now)

    def _seal_settlements(self, contracts: Contracts, now: datetime) -> bool:
        if self._blocked(Purpose.SETTLE, now):
            return False
        key = self._chain.identity().key
        limit, since = self._settle_rows, self._settle_since or now
        which = self._settled_in_batches()
        if which is None:
            return False

        def work(store: SqliteStore) -> bool:
            rows = store.waiting_settlements(limit, which)
            if not rows:
                return False
            name = hashlib.sha256(b"".join(row.session_key for row in rows))
            draft = TxDraft(
                chain=key,
                purpose=Purpose.SETTLE,
                purpose_key=name.hexdigest(),
                sender=self._signers.settler.address,
                to=contracts.settlement,
                calldata=settle.settle_calldata(rows),
                facts={"rows": len(rows)},
            )
            store.assign_settlements(rows, store.seal(draft, since))
            return True

        self._settle_rows, self._settle_since = MAX_SETTLE_BATCH, None
        return self._runner.write(work)

    def _settled_in_batches(self) -> Batched | None:
        """Say which of the sessions that wait settle in batches; ``None``: none do."""
        if self._proofs is not None:
            return Batched.UNPLACED
        if self._windows is None:
            return Batched.ALL
        return None if self._windows is self._netted else Batched.WITH_RECEIVER

    def _seal_credits(self, contracts: Contracts, now: datetime) -> bool:
        if self._blocked(Purpose.CREDIT, now):
            return False
        netted, binding = self._netted, self._invoices
        is_any = (
            netted is not None
            and binding is not None
            and not self._blocked(Purpose.SETTLE, now)
            and netted.seal_credits(binding, contracts.settlement, now)
        )
        return is_any or self._runner.write(
            partial(
                credit_leaves.seal_waiting,
                chain=self._chain.identity().key,
                sender=self._signers.settler.address,
                to=contracts.settlement,
                now=now,
                takes_flex=self._takes_flex,
            )
        )

    def _seal_assets(self, contracts: Contracts, now: datetime) -> bool:
        if self._blocked(Purpose.REGISTER, now):
            return False
        key = self._chain.identity().key

        def work(store: SqliteStore) -> bool:
            queued = store.waiting_assets(MAX_ASSET_BATCH)
            if not queued:
                return False
            ids = [queue_id for queue_id, _ in queued]
            draft = TxDraft(
                chain=key,
                purpose=Purpose.REGISTER,
                purpose_key=f"{ids[0]}-{ids[-1]}",
                sender=self._signers.registrar.address,
                to=contracts.asset_registry,
                calldata=settle.register_calldata(
                    [asset for _, asset in queued], no_position=self._no_position
                ),
                facts={"assets": [[i, asset["asset_id"]] for i, asset in queued]},
            )
            store.assign_assets(ids, store.seal(draft, now))
            return True

        return self._runner.write(work)

    def _blocked(self, purpose: Purpose, now: datetime) -> bool:
        """Say whether such work is under way, or paused after a revert."""
        held = self._held.get(purpose)
        if held is not None and now < held:
            return True
        key = self._chain.identity().key
        opened = self._runner.write(lambda store: store.open_txs(key))
        return any(tx.draft.purpose is purpose and tx.state in WAITING for tx in opened)

    def _judge_failures(self, now: datetime, report: Report) -> None:
        """Take the row that a contract refuses out of its queue; pause otherwise.

        A settlement that did not fit the fees of the day is sealed with fewer rows; the
        next one may be large again.
        """
        too_dear, report.too_dear = report.too_dear, []
        for tx, fitting in too_dear:
            if self._windows is not None and self._windows is self._netted:
                self._netted.shrink(fitting, tx.created_at)
            else:
                self._settle_rows, self._settle_since = fitting, tx.created_at
        failures, report.failures = report.failures, []
        for tx, error in failures:
            purpose = tx.draft.purpose
            reason = "not executed" if error is None else str(error)
            culprit = None if error is None else self._culprit(error)
            if culprit is not None and purpose is Purpose.SETTLE:
                self._runner.write(
                    partial(
                        SqliteStore.refuse_settlement,
                        session_key=culprit,
                        reason=reason,
                    )
                )
            elif culprit is not None and purpose is Purpose.REGISTER:
                facts = tx.draft.facts["assets"]
                assert isinstance(facts, list), "the worker wrote a list"
                bad = [i for i, asset_id in facts if asset_id == culprit.hex()]
                self._runner.write(
                    partial(SqliteStore.refuse_assets, queue_ids=bad, reason=reason)
                )
            elif purpose is Purpose.CREDIT and credit_leaves.is_refused(error):
                self._runner.write(
                    partial(
                        SqliteStore.refuse_credit,
                        credit_key=bytes.fromhex(tx.draft.purpose_key),
                        reason=reason,
                    )
                )
            else:
                self._held[purpose] = now + timedelta(seconds=self._settings.hold_s)
            report.alarms.append(f"{purpose.value} {tx.draft.purpose_key}: {reason}")

    def _culprit(self, error: ContractRevertedError) -> bytes | None:
        """Return the key of the row that a contract names in its refusal."""
        first = error.arguments[0] if error.arguments else None
        if error.name == NOT_INCLUDED:  # a head overtook the proof: it is made anew
            return None
        if error.name == "WindowLeafSettled" and isinstance(first, int):
            leaf = first
            return self._runner.write(lambda store: store.settlement_of_start(leaf))
        if not error.name.startswith(("Settlement", "Asset")):
            return None
        return first if isinstance(first, bytes) else None

    def _summary(self, state: WorkerState, report: Report) -> StepSummary:
        contracts, key = self._contracts, self._key

        def work(store: SqliteStore) -> StepSummary:
            count = store.leaf_count()
            anchored = None if key is None else store.anchored_head(key)
            pending, settled = store.settlement_counts()
            credits_pending, credits_mined, credits_refused = store.credit_counts()
            assets_pending, assets_mined, assets_refused = store.asset_counts()
            return StepSummary(
                state=state,
                leaf_count=count,
                backlog=count - (0 if anchored is None else anchored.size),
                anchored=anchored,
                settlements_pending=pending,
                settlements_mined=settled,
                settlements_refused=store.refused_settlement_count(),
                credits_pending=credits_pending,
                credits_mined=credits_mined,
                credits_refused=credits_refused,
                assets_pending=assets_pending,
                assets_mined=assets_mined,
                assets_refused=assets_refused,
                sent=report.sent,
                mined=report.mined,
                final=report.final,
                failed=report.failed,
                reorganised=report.reorganised,
                alarms=tuple(report.alarms),
                contracts=contracts,
            )

        return self._transact(work)
