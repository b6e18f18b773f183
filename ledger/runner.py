"""Drives the outbox: signs, broadcasts, polls, replaces, and notices reorganisations.

Every decision is committed before the act that follows from it, and every act can be
repeated: a crash between any two lines costs time only. One transaction per sender is
in flight at a time, so one that is stuck holds nothing but its own queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from ledger import outbox
from ledger.contracts import NAMES, artifact
from ledger.errors import (
    ContractRevertedError,
    LeaseLostError,
    Refusal,
    SignerError,
    TransactionRefusedError,
)
from ledger.finality import Finality
from ledger.outbox import (
    WAITING,
    AnchoredHead,
    Attempt,
    OutboxTx,
    Purpose,
    State,
    TxDraft,
)
from ledger.ports import Chain, Receipt, Signer, Transact
from ledger.sqlite_store import SqliteStore

T = TypeVar("T")

GWEI: Final = 10**9
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
MAX_FILLED: Final = 64
"""Nonces closed in one pass: a node that lies about nonces costs no more than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """How patient and how generous the outbox is.

    Attributes:
        bump_after_s: A transaction that is not mined this long gets higher fees.
        fee_cap_wei: Fees per gas never exceed this; an alarm says so instead.
        daily_fees_wei: What all transactions that were signed within a day, or are
            under way, may cost at most; ``None`` for no such limit. An alarm says so
            instead, and work waits.
        lease_s: How long another process must stay away after our last step.
    """

    bump_after_s: float = 180.0
    fee_cap_wei: int = 500 * GWEI
    lease_s: float = 120.0
    daily_fees_wei: int | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """What one pass did; filled while it runs.

    Attributes:
        in_line: Rows whose turn it is once a day's fees have room for them.
        silent: Senders whose signer failed; it is asked again in the next step.
        too_dear: Batches that were given back, and how many of their rows may fit.
    """

    signed: int = 0
    sent: int = 0
    mined: int = 0
    final: int = 0
    failed: int = 0
    reorganised: int = 0
    alarms: list[str] = field(default_factory=list)
    in_line: set[int] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    too_dear: list[tuple[OutboxTx, int]] = field(default_factory=list)
    failures: list[tuple[OutboxTx, ContractRevertedError | None]] = field(
        default_factory=list
    )


class Runner:
    """The moves of the outbox on one chain."""

    def __init__(
        self,
        *,
        chain: Chain,
        transact: Transact,
        signers: Sequence[Signer],
        settings: RunnerSettings,
    ) -> None:
        """Remember the parts; nothing is read or sent yet."""
        self.chain = chain
        self._transact = transact
        self._signers: Mapping[str, Signer] = {s.address: s for s in signers}
        self._settings = settings
        self._epoch: int | None = None
        self._finality = Finality()

    def take_lease(self, holder: str, now: datetime) -> bool:
        """Take or renew the lease; ``False`` while another process works."""
        lease_s = self._settings.lease_s
        self._epoch = self._transact(
            lambda store: store.acquire_lease(holder, now, lease_s)
        )
        return self._epoch is not None

    def write(self, work: Callable[[SqliteStore], T]) -> T:
        """Run database work in one transaction, if the lease is still ours.

        Raises:
            LeaseLostError: It is not; nothing was written.
        """
        epoch = self._epoch
        if epoch is None:
            raise LeaseLostError("no lease was taken")

        def fenced(store: SqliteStore) -> T:
            store.check_lease(epoch)
            return work(store)

        return self._transact(fenced)

    def run(self, now: datetime, report: Report) -> None:
        """Advance every open transaction as far as it goes now."""
        key = self.chain.identity().key
        opened = self.write(lambda store: store.open_txs(key))
        self._fill_gaps(opened, now)
        final = self.chain.final_block()
        opened = self.write(lambda store: store.open_txs(key))
        busy: set[str] = set()
        first_in_line = False
        for tx in sorted(opened, key=_turn):
            if is_unsigned(tx) and (first_in_line or tx.draft.sender in busy):
                continue
            self._advance(tx.tx_id, now, final, report)
            advanced = self._tx(tx.tx_id)
            if advanced.state in WAITING and not is_unsigned(advanced):
                busy.add(tx.draft.sender)
            first_in_line = first_in_line or tx.tx_id in report.in_line
        report.in_line.clear()
        opened = self.write(lambda store: store.open_txs(key))
        report.alarms += self._finality.alarms(opened, final, now)

    def _advance(self, tx_id: int, now: datetime, final: int, report: Report) -> None:
        tx = self._tx(tx_id)
        just_sent = False
        if tx.state is State.SEALED:
            self._sign(tx, now, report)
            tx = self._tx(tx_id)
        if tx.state is State.SIGNED:
            just_sent = self._broadcast(tx, now, report)
            tx = self._tx(tx_id)
        if tx.state is State.SENT:
            self._poll(tx, now, report, just_sent=just_sent)
            tx = self._tx(tx_id)
        if tx.state is State.MINED:
            # A block mined a moment ago may already be final (embedded chain).
            final = max(final, self.chain.final_block()) if just_sent else final
            self._confirm(tx, now, final, report)

    def is_overdue(self, tx: OutboxTx, now: datetime) -> bool:
        """Say whether a row waits so long for its block that its fees should rise."""
        waited = now - tx.attempts[-1].signed_at
        return waited >= timedelta(seconds=self._settings.bump_after_s)

    def give_up_lost(self, tx: OutboxTx, why: str, report: Report) -> None:
        """Give a row back whose key is lost, unless it is in a block.

        See `ledger.lost_keys`.
        """
        if self._receipt(tx) is not None:
            return
        self._give_up(tx, why)
        report.failed += 1
        report.alarms.append(f"{_name(tx)} is given up: {why}")

    def _tx(self, tx_id: int) -> OutboxTx:
        return self.write(lambda store: store.tx(tx_id))

    def _sign(self, tx: OutboxTx, now: datetime, report: Report) -> None:
        draft = tx.draft
        if draft.sender in report.silent:
            return
        if draft.sender not in self._signers:  # the key was replaced: a new one does it
            self._give_up(tx, f"no key of {draft.sender}")
            report.failed += 1
            return
        try:
            gas_limit = self.chain.gas_limit(draft.sender, draft.to, draft.calldata)
        except ContractRevertedError as error:
            self._fail(tx, explain(error), report)
            return
        fees = self.chain.fees()
        if fees.max_fee_wei > self._settings.fee_cap_wei:
            report.alarms.append(f"fees of {fees.max_fee_wei} wei exceed the cap")
            return
        if not self._affords(tx, gas_limit, fees, now, report):
            return
        nonce = draft.nonce
        if nonce is None:
            nonce = outbox.next_nonce(
                chain_nonce=self.chain.nonce(draft.sender),
                max_nonce=self.write(
                    lambda store: store.max_nonce(draft.chain, draft.sender)
                ),
            )
        try:
            attempt = self._attempt(draft, nonce, gas_limit, fees, now)
        except SignerError as error:  # nothing is stored, so no nonce is used up
            _fall_silent(draft.sender, error, report)
            return
        self.write(
            lambda store: store.put_signed(
                tx.tx_id, nonce=nonce, gas_limit=gas_limit, attempt=attempt
            )
        )
        report.signed += 1

    def _broadcast(self, tx: OutboxTx, now: datetime, report: Report) -> bool:
        """Send the newest attempt; say whether the node has it."""
        try:
            self.chain.send_raw(tx.attempts[-1].raw)
        except TransactionRefusedError as error:
            if error.reason is Refusal.UNDERPRICED:
                self._bump(tx, now, report)
                return False
            if error.reason is not Refusal.NONCE_TOO_LOW:
                sender = tx.draft.sender
                report.alarms.append(f"{_name(tx)} of {sender} was not taken: {error}")
                return False
            # The nonce is used: by an attempt of ours, or elsewhere. Polling decides.
        if tx.state is State.SIGNED:
            self.write(lambda store: store.move(tx.tx_id, State.SENT))
            report.sent += 1
        return True

    def _poll(
        self, tx: OutboxTx, now: datetime, report: Report, *, just_sent: bool
    ) -> None:
        receipt = self._receipt(tx)
        if receipt is not None:
            self._mined(tx, receipt, now, report)
            return
        if just_sent:
            return
        if self._used_elsewhere(tx):
            report.alarms.append(f"{_name(tx)}: nonce {tx.nonce} was used elsewhere")
            self._fail(tx, None, report)
            return
        if self.is_overdue(tx, now):
            self._bump(tx, now, report)
            tx = self._tx(tx.tx_id)
        if self._broadcast(tx, now, report):
            receipt = self._receipt(tx)  # a chain that mines at once has it now
            if receipt is not None:
                self._mined(tx, receipt, now, report)

    def _used_elsewhere(self, tx: OutboxTx) -> bool:
        """Say whether another transaction holds our nonce for good."""
        assert tx.nonce is not None, "a sent transaction has a nonce"
        final = self.chain.final_block()
        if self.chain.nonce(tx.draft.sender, block=final) <= tx.nonce:
            return False
        return self._receipt(tx) is None

    def _receipt(self, tx: OutboxTx) -> Receipt | None:
        for attempt in reversed(tx.attempts):
            found = self.chain.receipt(attempt.tx_hash)
            if found is not None:
                return found
        return None

    def _mined(
        self, tx: OutboxTx, receipt: Receipt, now: datetime, report: Report
    ) -> None:
        if not receipt.succeeded:
            report.alarms.append(f"{_name(tx)} reverted in its block")
            # Until the block is final, another one may yet let it succeed.
            if receipt.block_number <= self.chain.final_block():
                self._fail(tx, None, report)
            return
        self._note_block(tx, receipt, now)
        report.mined += 1

    def _note_block(self, tx: OutboxTx, receipt: Receipt, now: datetime) -> None:
        def work(store: SqliteStore) -> None:
            store.put_mined(
                tx.tx_id,
                tx_hash=receipt.tx_hash,
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
            )
            if tx.draft.purpose is Purpose.ANCHOR:
                anchored = AnchoredHead(
                    size=int(str(tx.draft.facts["size"])),
                    root=bytes.fromhex(str(tx.draft.facts["root"])),
                    tx_hash=receipt.tx_hash,
                    block_number=receipt.block_number,
                    is_final=False,
                    anchored_at=now,
                )
                store.put_anchored(tx.draft.chain, tx.tx_id, anchored)

        self.write(work)

    def _confirm(self, tx: OutboxTx, now: datetime, final: int, report: Report) -> None:
        receipt = self._receipt(tx)
        if receipt is None or not receipt.succeeded:
            report.reorganised += 1
            self.write(lambda store: _unmine(store, tx.tx_id))
            self._broadcast(self._tx(tx.tx_id), now, report)
            return
        if receipt.block_hash != tx.block_hash:
            report.reorganised += 1
            self._note_block(tx, receipt, now)
        if receipt.block_number <= final:
            self.write(lambda store: _finalize(store, tx.tx_id))
            report.final += 1

    def _bump(self, tx: OutboxTx, now: datetime, report: Report) -> None:
        """Add an attempt at the same nonce with fees that replace the last one."""
        assert tx.nonce is not None, "a signed transaction has a nonce"
        assert tx.gas_limit is not None, "a signed transaction has a gas limit"
        if tx.draft.sender in report.silent:
            return
        if tx.draft.sender not in self._signers:
            report.alarms.append(
                f"{_name(tx)} is stuck: the key of {tx.draft.sender} is not here"
            )
            return
        fees = outbox.bumped(
            tx.attempts[-1].fees,
            self.chain.fees(),
            cap_wei=self._settings.fee_cap_wei,
        )
        if fees is None:
            report.alarms.append(f"{_name(tx)} is stuck at the fee cap")
            return
        if not self._affords(tx, tx.gas_limit, fees, now, report):
            return
        try:
            attempt = self._attempt(tx.draft, tx.nonce, tx.gas_limit, fees, now)
        except SignerError as error:
            _fall_silent(tx.draft.sender, error, report)
            return
        self.write(lambda store: store.put_attempt(tx.tx_id, attempt))

    def _affords(  # who asks, what for, and whom it is told
        self,
        tx: OutboxTx,
        gas_limit: int,
        fees: outbox.Fees,
        now: datetime,
        report: Report,
    ) -> bool:
        """Say whether a signature keeps to what a day may cost; alarm if not."""
        budget_wei = self._settings.daily_fees_wei
        if budget_wei is None:
            return True
        since = now - timedelta(days=1)
        others_wei = self.write(
            lambda store: store.committed_fees_wei(
                tx.draft.chain, since, other_than=tx.tx_id
            )
        )
        cost_wei = gas_limit * fees.max_fee_wei
        wanted_wei = others_wei + cost_wei
        if wanted_wei <= budget_wei:
            return True
        if is_unsigned(tx) and self._shrinks(
            tx, cost_wei, max(budget_wei - others_wei, 0), report
        ):
            return False
        if is_unsigned(tx) and cost_wei <= budget_wei:
            report.in_line.add(tx.tx_id)
        report.alarms.append(
            f"{_name(tx)} waits: fees of a day could reach {wanted_wei} wei,"
            f" {budget_wei} are allowed"
        )
        return False

    def _shrinks(
        self, tx: OutboxTx, cost_wei: int, room_wei: int, report: Report
    ) -> bool:
        """Give a settlement of several rows back; a smaller one shall be sealed."""
        rows = tx.draft.facts.get("rows")
        if tx.draft.purpose is not Purpose.SETTLE or not isinstance(rows, int):
            return False
        if rows <= 1:
            return False
        self._give_up(tx, "did not fit the fees of the day")
        fitting = min(rows * room_wei // cost_wei, rows // 2)
        report.in_line.add(tx.tx_id)  # its place is kept for the smaller one
        report.too_dear.append((tx, max(fitting, 1)))
        return True

    def _attempt(
        self,
        draft: TxDraft,
        nonce: int,
        gas_limit: int,
        fees: outbox.Fees,
        now: datetime,
    ) -> Attempt:
        raw, tx_hash = self._signers[draft.sender].sign(
            chain_id=self.chain.identity().chain_id,
            nonce=nonce,
            to=draft.to,
            calldata=draft.calldata,
            gas_limit=gas_limit,
            fees=fees,
        )
        return Attempt(raw=raw, tx_hash=tx_hash, fees=fees, signed_at=now)

    def _fail(
        self, tx: OutboxTx, error: ContractRevertedError | None, report: Report
    ) -> None:
        self._give_up(tx, "not executed" if error is None else str(error))
        report.failed += 1
        report.failures.append((tx, error))

    def _give_up(self, tx: OutboxTx, text: str) -> None:
        def work(store: SqliteStore) -> None:
            store.move(tx.tx_id, State.FAILED, error=text)
            store.release_work(tx.tx_id)

        self.write(work)

    def _fill_gaps(self, opened: Sequence[OutboxTx], now: datetime) -> None:
        """Close nonces below ours that nobody holds (a foreign one reorganised away).

        Without this the transactions above such a gap would wait for ever.
        """
        lowest: dict[str, OutboxTx] = {}
        for tx in opened:
            if tx.state in {State.SIGNED, State.SENT} and tx.attempts:
                lowest.setdefault(tx.draft.sender, tx)
        for sender, tx in lowest.items():
            if sender not in self._signers:
                continue
            assert tx.nonce is not None, "a signed transaction has a nonce"
            first = self.chain.nonce(sender)
            for nonce in range(first, min(tx.nonce, first + MAX_FILLED)):
                draft = TxDraft(
                    chain=tx.draft.chain,
                    purpose=Purpose.FILL,
                    purpose_key=f"{sender}:{nonce}",
                    sender=sender,
                    to=sender,
                    calldata=b"",
                    facts={},
                    nonce=nonce,
                )
                self.write(partial(_seal_filler, draft=draft, now=now))


def is_unsigned(tx: OutboxTx) -> bool:
    """Say whether a row has no nonce yet, and so holds up nothing."""
    return tx.state is State.SEALED and tx.draft.nonce is None


def _turn(tx: OutboxTx) -> tuple[bool, datetime, bool, int]:
    """Sort what has a nonce first, as it came; then what waited longest.

    At the same moment anchors come last: a later one covers all that an earlier does.
    """
    if not is_unsigned(tx):
        return (False, _BEGINNING, False, 0)
    return (True, tx.created_at, tx.draft.purpose is Purpose.ANCHOR, tx.tx_id)


def explain(error: ContractRevertedError) -> ContractRevertedError:
    """Name a revert by whichever of our contracts knows its selector."""
    for name in NAMES:
        named = artifact(name).explain(error)
        if named.name != "unknown":
            return named
    return error


def _seal_filler(store: SqliteStore, draft: TxDraft, now: datetime) -> None:
    assert draft.nonce is not None, "a filler has its nonce"
    if not store.owns_nonce(draft.chain, draft.sender, draft.nonce):
        store.seal(draft, now)


def _fall_silent(sender: str, error: SignerError, report: Report) -> None:
    report.silent.add(sender)
    report.alarms.append(str(error))


def _unmine(store: SqliteStore, tx_id: int) -> None:
    store.drop_anchored(tx_id)
    store.move(tx_id, State.SENT)


def _finalize(store: SqliteStore, tx_id: int) -> None:
    store.move(tx_id, State.FINAL)
    store.finalize_anchored(tx_id)


def _name(tx: OutboxTx) -> str:
    return f"{tx.draft.purpose.value} {tx.draft.purpose_key}"
