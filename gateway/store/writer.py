"""The one writer: group commit, and answers only after the sync.

One thread owns the one writing connection. It takes everything queued, runs the jobs
(`gateway.store.jobs`), commits once, and only then tells the waiters. While one commit
syncs, the next group collects: the disk sets the pace, no timer does.

The loop hands its jobs over in portions (`gateway.store.gathering`), not one by one.
"""

import asyncio
import concurrent.futures
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import structlog

from gateway.errors import StoreBusy, StoreError, StoreShed
from gateway.store.checkpoints import MOVE, Checkpointer
from gateway.store.gathering import Gathering
from gateway.store.jobs import Job, run_jobs
from gateway.store.schema import (
    BUSY_TIMEOUT_MS,
    WriterConnection,
    connect,
    mark_closed,
    open_database,
    primary_code,
)

T = TypeVar("T")
Done: TypeAlias = Callable[[T | None, BaseException | None], None]

MAX_GROUP: Final = 2_000
"""Jobs in one commit: bounds the wait of the first one."""

_REOPEN_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_log: Final = structlog.get_logger()


@dataclass(slots=True)
class WriterCounters:
    """What the writer has done; read by the metrics, written by its thread.

    Attributes:
        commits: Groups that reached the disk.
        jobs: Jobs in those groups.
        failed_groups: Groups that did not reach the disk.
        max_queue: Longest queue seen.
        shed: Telemetry that was refused to leave room for transactions.
        last_commit_s: Real seconds of the latest COMMIT, sync included.
        is_failing: The latest group did not reach the disk.
    """

    commits: int = 0
    jobs: int = 0
    failed_groups: int = 0
    max_queue: int = 0
    shed: int = 0
    last_commit_s: float = 0.0
    is_failing: bool = False


@dataclass(slots=True)
class _Waiting:
    job: Job[Any]
    done: Done[Any]
    on_loop: bool


_Outcome: TypeAlias = tuple[_Waiting, Any, BaseException | None]


class Writer:
    """Runs jobs on the database, in order, many to a commit.

    Args:
        path: The database file; created and migrated by `start`.
        max_pending: Jobs that may wait; more are refused with `StoreBusy`, and from
            half of it on telemetry with `StoreShed`.
        commit_delay_s: Added to every commit, to measure as on a slow disk.
        busy_timeout_ms: How long to wait for a lock of another process.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_pending: int = 10_000,
        commit_delay_s: float = 0.0,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self.path = path
        self.counters = WriterCounters()
        self._max_pending = max_pending
        self._crowded_at = max_pending // 2
        self._is_shedding = False
        self._commit_delay_s = commit_delay_s
        self._busy_timeout_ms = busy_timeout_ms
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._gathering: Gathering[_Waiting] | None = None
        self._depth = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._checkpointer: Checkpointer | None = None
        self._log_is_long = threading.Event()
        self._conn: WriterConnection | None = None
        self._is_open = False
        self._gate = threading.Lock()

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Open the database and start writing.

        Args:
            loop: Where `submit_with` delivers; ``None`` when only `submit` is used.

        Raises:
            StartupError: The database cannot be used.
        """
        self._conn = open_database(self.path, busy_timeout_ms=self._busy_timeout_ms)
        self._loop = loop
        if loop is not None:
            self._gathering = Gathering(loop, self._queue.put)
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="store.writer")
        self._thread.start()
        self._checkpointer = Checkpointer(self.path, self.shorten_log)
        self._checkpointer.start()

    @property
    def thread_id(self) -> int:
        """The system's number of the writing thread, once it runs."""
        assert self._thread is not None, "the writer was started"
        assert self._thread.native_id is not None, "a thread that runs has one"
        return self._thread.native_id

    @property
    def pending(self) -> int:
        """Jobs that wait for the next group."""
        return self._depth

    def submit(self, job: Job[T]) -> concurrent.futures.Future[T]:
        """Queue a job from any thread.

        Raises:
            StoreBusy: The queue is full, or too full for telemetry.
            StoreError: The writer is closed.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        waiting = _Waiting(job, partial(_resolve, future), on_loop=False)
        with self._gate:
            self._admit(job)
            self._queue.put([waiting])
        return future

    async def run(self, job: Job[T]) -> T:
        """Run a job and wait for its commit. Loop thread only.

        Raises:
            StoreBusy: The queue is full, or too full for telemetry.
            StoreError: The job is not on disk.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # T may itself be None

        self.submit_with(job, done)
        return await future

    def submit_with(self, job: Job[T], on_done: Done[T]) -> None:
        """Queue a job; ``on_done(result, error)`` runs on the loop after the commit.

        Loop thread only.

        Raises:
            StoreBusy: The queue is full, or too full for telemetry.
            StoreError: The writer is closed.
        """
        with self._gate:
            self._admit(job)
        assert self._gathering is not None, "the writer was started with a loop"
        self._gathering.add(_Waiting(job, on_done, on_loop=True))

    def shorten_log(self) -> None:
        """Let the log begin anew after the next group, if little of it is left to move.

        From any thread.
        """
        self._log_is_long.set()

    def close(self) -> None:
        """Write everything that is queued, then close the file. Idempotent."""
        with self._gate:
            was_open, self._is_open = self._is_open, False
        if was_open:
            if self._gathering is not None:
                self._gathering.give()
            self._queue.put(None)
        if self._checkpointer is not None:
            self._checkpointer.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _admit(self, job: Job[Any]) -> None:
        """Count one more job, or refuse it; the caller holds the gate."""
        if not self._is_open:
            raise StoreError("the store is closed")
        if self._depth >= self._crowded_at:
            self._admit_some(job)
        self._depth += 1
        self.counters.max_queue = max(self.counters.max_queue, self._depth)

    def _admit_some(self, job: Job[Any]) -> None:
        """Keep the second half of the queue for transactions."""
        if self._depth >= self._max_pending:
            raise StoreBusy(f"{self._depth} writes are waiting")
        if not getattr(job, "is_telemetry", False):
            return
        self.counters.shed += 1
        if not self._is_shedding:
            self._is_shedding = True
            _log.warning("store.shedding", n_waiting=self._depth)
        raise StoreShed(f"{self._depth} writes are waiting")

    def _run(self) -> None:
        while self._serve_group():
            pass
        self._shut()

    def _serve_group(self) -> bool:
        """Wait for jobs and do them; False when the last are done.

        Nothing of them is kept while it waits again: who waited for them, a connection
        that is closed by then, is kept by nobody else.
        """
        group: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.extend(item)
            if len(group) >= MAX_GROUP:
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        with self._gate:
            self._depth -= len(group)
            if self._is_shedding and self._depth < self._crowded_at // 2:
                self._is_shedding = False
        if group:
            self._deliver(self._write(group))
            if self._log_is_long.is_set():
                self._shorten_log()
        return item is not None

    def _shorten_log(self) -> None:
        """Move the end of the log into the database, so that the log begins anew."""
        self._log_is_long.clear()
        if self._conn is None:
            return
        try:
            self._conn.execute(MOVE)
        except sqlite3.Error as error:  # the next group will meet it, and recover
            _log.info("store.not_checkpointed", error=str(error))

    def _write(self, group: list[_Waiting]) -> list[_Outcome]:
        try:
            conn = self._connection()
            conn.execute("BEGIN IMMEDIATE")
            found = run_jobs(conn, [waiting.job for waiting in group])
            started_s = time.perf_counter()
            conn.execute("COMMIT")
            if self._commit_delay_s:
                time.sleep(self._commit_delay_s)
            self.counters.last_commit_s = time.perf_counter() - started_s
        except sqlite3.Error as error:
            self.counters.failed_groups += 1
            self.counters.is_failing = True
            self._recover(error)
            failure = StoreError(f"not stored: {error}")
            failure.__cause__ = error
            return [(waiting, None, failure) for waiting in group]
        self.counters.is_failing = False
        self.counters.commits += 1
        self.counters.jobs += len(group)
        return [
            (waiting, *outcome) for waiting, outcome in zip(group, found, strict=True)
        ]

    def _connection(self) -> WriterConnection:
        if self._conn is None:
            self._conn = connect(self.path, busy_timeout_ms=self._busy_timeout_ms)
        return self._conn

    def _recover(self, error: sqlite3.Error) -> None:
        """Leave no half transaction behind; open the file anew when it is doubtful."""
        conn = self._conn
        if conn is None:
            return
        conn.forget()
        try:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            is_doubtful = primary_code(error) in _REOPEN_CODES
        except sqlite3.Error:
            is_doubtful = True
        if is_doubtful:
            self._conn = None
            conn.close()

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        on_loop = []
        for outcome in outcomes:
            waiting, result, error = outcome
            if waiting.on_loop:
                on_loop.append(outcome)
            else:
                waiting.done(result, error)
        if not on_loop:
            return
        if self._loop is None or self._loop.is_closed():
            _log.warning("store.undelivered", n_job=len(on_loop))
            return
        try:
            self._loop.call_soon_threadsafe(_call_all, on_loop)
        except RuntimeError:  # the loop closed meanwhile; the facts are on disk
            _log.warning("store.undelivered", n_job=len(on_loop))

    def _shut(self) -> None:
        conn, self._conn = self._conn, None
        if conn is None:
            return
        try:
            mark_closed(conn)
        except sqlite3.Error as error:
            _log.warning("store.closed_uncleanly", error=str(error))
        conn.close()


def _resolve(
    future: concurrent.futures.Future[T],
    result: T | None,
    error: BaseException | None,
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]  # T may itself be None


def _call_all(outcomes: list[_Outcome]) -> None:
    for waiting, result, error in outcomes:
        try:
            waiting.done(result, error)
        except Exception:  # noqa: BLE001 - the edge of the loop: one bad callback must not stop the others
            _log.exception("store.callback_failed")
