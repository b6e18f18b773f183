"""Work of the admin on the contracts, with an outbox of its own beside the result.

Every transaction is a row there before it is sent, as in the gateway: a command that is
killed at any point goes on where it was, at the same nonces, and never deploys twice.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ledger.clock import Clock
from ledger.errors import (
    ChainUnavailableError,
    OperationFailedError,
    TransactionRefusedError,
)
from ledger.lost_keys import LostKeys
from ledger.outbox import OutboxTx, Purpose, State
from ledger.ports import Chain, Signer
from ledger.runner import Report, Runner, RunnerSettings
from ledger.sqlite_store import DDL, SqliteStore, Transactor

PAUSE_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
_HOLDER: Final = "operator"

Step = Callable[[datetime, Report], bool]
"""Does what can be done now; returns whether all of it is."""


@dataclass(kw_only=True)
class Operation:
    """One command of the admin on one chain; tells what it does while it does it.

    Attributes:
        say: Hears a line of progress.
        patience_s: Real seconds without any progress after which it ends.
        pause: Waits real seconds between two looks at the chain.
    """

    chain: Chain
    runner: Runner
    admin: Signer
    clock: Clock
    say: Callable[[str], None]
    patience_s: float
    pause: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _told: dict[int, str] = field(default_factory=dict)
    _lost: LostKeys = field(init=False)

    def __post_init__(self) -> None:
        """See who signs: what others signed in the same file waits for nobody."""
        self._lost = LostKeys(self.runner, [self.admin.address])

    def until_done(self, step: Step) -> None:
        """Repeat a step until it is done and all of it is final.

        Raises:
            OperationFailedError: A transaction failed, or nothing moved for long.
            LedgerError: The chain or the contracts are not what they should be.
        """
        moved_at = spoke_at = self.monotonic()
        alarms: Sequence[str] = ()
        while True:
            report = Report()
            done = self._try(step, report)
            has_moved = self._tell_progress()
            if has_moved:
                moved_at = spoke_at = self.monotonic()
            if report.alarms != alarms:
                alarms = report.alarms
                for alarm in alarms:
                    self.say(f"waiting: {alarm}")
            for tx, error in report.failures:
                why = "it was not executed" if error is None else str(error)
                raise OperationFailedError(f"{_named(tx)} failed: {why}")
            if done and not self._open():
                return
            now = self.monotonic()
            if now - moved_at > self.patience_s:
                raise OperationFailedError(
                    f"nothing moved for {self.patience_s:g} s: run the same command"
                    " again to go on"
                )
            if now - spoke_at > HEARTBEAT_S:
                spoke_at = now
                self.say(self._waiting_for())
            if not has_moved:
                self.pause(PAUSE_S)

    def _try(self, step: Step, report: Report) -> bool:
        now = self.clock.now()
        try:
            if not self.runner.take_lease(_HOLDER, now):
                raise OperationFailedError("another process works on the same file")
            self.runner.run(now, report)
            self._lost.see_admin(now, report)
            done = step(now, report)
            self.runner.run(now, report)
        except (ChainUnavailableError, TransactionRefusedError) as error:
            report.alarms.append(str(error))
            return False
        return done

    def _rows(self) -> Sequence[OutboxTx]:
        key = self.chain.identity().key
        return self.runner.write(lambda store: store.open_txs(key))

    def _open(self) -> Sequence[OutboxTx]:
        try:
            return self._rows()
        except ChainUnavailableError:
            return ()

    def _tell_progress(self) -> bool:
        """Say what changed; return whether anything did."""
        try:
            key = self.chain.identity().key
        except ChainUnavailableError:
            return False
        is_new = False
        for tx in self.runner.write(lambda store: _all(store, key)):
            where = f" in block {tx.block_number}" if tx.block_number else ""
            words = f"{_named(tx)}: {tx.state.value}{where}"
            if self._told.get(tx.tx_id) != words:
                self._told[tx.tx_id] = words
                self.say(words)
                is_new = True
        return is_new

    def _waiting_for(self) -> str:
        opened = self._open()
        mined = sum(tx.state is State.MINED for tx in opened)
        return f"waiting: {len(opened)} transactions, {mined} of them for finality"


@contextmanager
def begin(
    *,
    chain: Chain,
    admin: Signer,
    work: Path,
    clock: Clock,
    say: Callable[[str], None],
    patience_s: float,
    settings: RunnerSettings | None = None,
) -> Iterator[Operation]:
    """Open the work file (made if it is absent); one process at a time.

    Raises:
        OperationFailedError: Another process has it open, or it cannot be used.
    """
    with _alone(work), _database(work) as conn:
        runner = Runner(
            chain=chain,
            transact=Transactor(conn),
            signers=[admin],
            settings=settings or RunnerSettings(),
        )
        yield Operation(
            chain=chain,
            runner=runner,
            admin=admin,
            clock=clock,
            say=say,
            patience_s=patience_s,
        )


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    try:
        descriptor = os.open(work, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperationFailedError(f"{work}: {error.strerror}") from None
    # SQLite locks ranges of the file with fcntl; flock is another kind of lock.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OperationFailedError(f"{work}: another process works on it") from None
    finally:
        os.close(descriptor)


@contextmanager
def _database(work: Path) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(work, isolation_level=None)
    try:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        found = {row[0] for row in conn.execute("SELECT name FROM sqlite_master")}
        if not found:
            conn.executescript(f"BEGIN IMMEDIATE; {DDL} COMMIT;")
        elif "outbox_tx" not in found:
            raise OperationFailedError(f"{work}: a database of something else")
        yield conn
    except sqlite3.DatabaseError as error:
        raise OperationFailedError(f"{work}: {error}") from None
    finally:
        conn.close()


def _all(store: SqliteStore, chain: str) -> Sequence[OutboxTx]:
    rows = store.conn.execute(
        "SELECT tx_id FROM outbox_tx WHERE chain = ? AND state <> 'failed'"
        " ORDER BY tx_id",
        (chain,),
    ).fetchall()
    return [store.tx(row[0]) for row in rows]


def _named(tx: OutboxTx) -> str:
    match tx.draft.purpose:
        case Purpose.DEPLOY:
            return f"deploy {tx.draft.purpose_key}"
        case Purpose.GRANT | Purpose.REVOKE:
            facts = tx.draft.facts
            verb = tx.draft.purpose.value
            return f"{verb} {facts['role']} of {facts['contract']}: {facts['grantee']}"
        case _:
            return f"{tx.draft.purpose.value} {tx.draft.purpose_key}"
