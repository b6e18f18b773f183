"""Broken outboxes: each breaks one rule, and the chaos has to notice it."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import pytest

from ledger import outbox, runner
from ledger.errors import LedgerForkError
from ledger.netted import NettedWindows
from ledger.outbox import OutboxTx, State
from ledger.runner import Report, Runner
from ledger.sqlite_store import SqliteStore
from ledger.worker import AnchorWorker
from tests.support.ledger_site import open_database

Patch = Callable[[pytest.MonkeyPatch], None]


def mined_as_final(patch: pytest.MonkeyPatch) -> None:
    """What is in a block counts as final."""
    confirm = Runner._confirm

    def broken(
        self: Runner, tx: OutboxTx, now: datetime, _final: int, report: Report
    ) -> None:
        confirm(self, tx, now, 10**9, report)

    patch.setattr(Runner, "_confirm", broken)


def no_idempotency_key(patch: pytest.MonkeyPatch) -> None:
    """Queued work is sealed although a transaction carries it already."""
    patch.setattr(SqliteStore, "assign_settlements", lambda *_a, **_k: None)
    _drop_index(patch, "outbox_purpose")


def sealed_twice(patch: pytest.MonkeyPatch) -> None:
    """Deployments and grants are sealed again after each restart."""
    patch.setattr(SqliteStore, "find", _find_what_is_done)
    _drop_index(patch, "outbox_purpose")


def no_fee_bump(patch: pytest.MonkeyPatch) -> None:
    """Fees never rise."""
    patch.setattr(Runner, "_bump", lambda *_a, **_k: None)


def never_rebroadcast(patch: pytest.MonkeyPatch) -> None:
    """What was sent once is not sent again."""
    broadcast = Runner._broadcast

    def broken(self: Runner, tx: OutboxTx, now: datetime, report: Report) -> bool:
        return tx.state is State.SENT or broadcast(self, tx, now, report)

    patch.setattr(Runner, "_broadcast", broken)


def fresh_nonce_on_bump(patch: pytest.MonkeyPatch) -> None:
    """A higher fee goes to the next nonce instead of the same."""

    def broken(self: Runner, tx: OutboxTx, now: datetime, _report: Report) -> None:
        fees = self.chain.fees()
        draft, gas_limit = tx.draft, tx.gas_limit
        assert gas_limit is not None, "a signed transaction has a gas limit"
        highest = self.write(lambda store: store.max_nonce(draft.chain, draft.sender))
        nonce = 1 + (highest or 0)
        attempt = self._attempt(draft, nonce, gas_limit, fees, now)

        def work(store: SqliteStore) -> None:
            store.put_attempt(tx.tx_id, attempt)
            store.conn.execute(
                "UPDATE outbox_tx SET nonce = ? WHERE tx_id = ?", (nonce, tx.tx_id)
            )

        self.write(work)

    patch.setattr(Runner, "_bump", broken)


def no_lease_check(patch: pytest.MonkeyPatch) -> None:
    """A process that slept past its lease goes on writing."""
    patch.setattr(SqliteStore, "check_lease", lambda *_a, **_k: None)


def fail_without_release(patch: pytest.MonkeyPatch) -> None:
    """The rows of a failed transaction stay with it."""
    patch.setattr(SqliteStore, "release_work", lambda *_a, **_k: None)


def no_gap_filled(patch: pytest.MonkeyPatch) -> None:
    """A nonce below ours that a reorganisation freed stays free."""
    patch.setattr(Runner, "_fill_gaps", lambda *_a, **_k: None)


def fill_owned_nonce(patch: pytest.MonkeyPatch) -> None:
    """A nonce is filled although a row of ours holds it."""
    patch.setattr(SqliteStore, "owns_nonce", lambda *_a, **_k: False)
    _drop_index(patch, "outbox_nonce")


def cap_ignored(patch: pytest.MonkeyPatch) -> None:
    """Fees rise without end."""
    bumped = outbox.bumped
    patch.setattr(
        outbox,
        "bumped",
        lambda old, suggested, cap_wei: bumped(  # noqa: ARG005  # ignoring it is the point
            old, suggested, cap_wei=10**30
        ),
    )


def broadcast_before_stored(patch: pytest.MonkeyPatch) -> None:
    """The bytes are sent before they are committed."""
    attempt = Runner._attempt

    def broken(self: Runner, *args: Any) -> Any:
        made = attempt(self, *args)
        self.chain.send_raw(made.raw)
        return made

    patch.setattr(Runner, "_attempt", broken)


def reorganisation_unnoticed(patch: pytest.MonkeyPatch) -> None:
    """What stood in a block once is not looked for again until it is final."""

    def broken(
        self: Runner, tx: OutboxTx, _now: datetime, final: int, report: Report
    ) -> None:
        assert tx.block_number is not None, "a mined row has its block"
        if tx.block_number <= final:
            self.write(lambda store: runner._finalize(store, tx.tx_id))
            report.final += 1

    patch.setattr(Runner, "_confirm", broken)


def lost_nonce_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """A transaction whose nonce somebody else used is waited for for ever."""
    patch.setattr(Runner, "_used_elsewhere", lambda *_a, **_k: False)


def budget_ignored(patch: pytest.MonkeyPatch) -> None:
    """A day may cost what it likes."""
    patch.setattr(Runner, "_affords", lambda *_a, **_k: True)


def silent_budget(patch: pytest.MonkeyPatch) -> None:
    """What waits for the money of another day waits without an alarm."""
    affords: Callable[..., bool] = Runner._affords

    def broken(self: Runner, *args: Any) -> bool:
        *asked, report = args
        before = list(report.alarms)
        said = affords(self, *asked, report)
        report.alarms[:] = before
        return said

    patch.setattr(Runner, "_affords", broken)


def foreign_head_overlooked(patch: pytest.MonkeyPatch) -> None:
    """A head on the chain that is not of this log is passed over in silence."""
    seal = AnchorWorker._seal_anchor

    def broken(self: AnchorWorker, *args: Any, **options: Any) -> Any:
        with contextlib.suppress(LedgerForkError):
            return seal(self, *args, **options)

    patch.setattr(AnchorWorker, "_seal_anchor", broken)


def credits_not_set_aside(patch: pytest.MonkeyPatch) -> None:
    """Credits that a forgotten window may have netted are netted again."""
    patch.setattr(NettedWindows, "_set_credits_aside", lambda *_a, **_k: None)


MUTANTS: Final[Mapping[str, Patch]] = {
    patch.__name__: patch
    for patch in (
        mined_as_final,
        no_idempotency_key,
        sealed_twice,
        no_fee_bump,
        never_rebroadcast,
        fresh_nonce_on_bump,
        no_lease_check,
        fail_without_release,
        no_gap_filled,
        fill_owned_nonce,
        cap_ignored,
        broadcast_before_stored,
        reorganisation_unnoticed,
        lost_nonce_not_noticed,
        budget_ignored,
        silent_budget,
        foreign_head_overlooked,
    )
}


def _find_what_is_done(
    self: SqliteStore, chain: str, purpose: outbox.Purpose, purpose_key: str
) -> OutboxTx | None:
    """Look among mined rows only: what is under way is not found."""
    found = self._txs(
        "WHERE chain = ? AND purpose = ? AND purpose_key = ?"
        " AND state IN ('mined', 'final')",
        (chain, purpose.value, purpose_key),
    )
    return found[0] if found else None


def _drop_index(patch: pytest.MonkeyPatch, name: str) -> None:
    from tests.support import ledger_chaos, ledger_world  # noqa: PLC0415  # their names are replaced

    opened = open_database

    def without_index(*args: Any) -> Any:
        conn = opened(*args)
        conn.execute(f"DROP INDEX IF EXISTS {name}")
        return conn

    for module in (ledger_chaos, ledger_world):
        patch.setattr(module, "open_database", without_index)
