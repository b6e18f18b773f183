"""Running the jobs of one group commit, so that a failing one fails by itself.

A job alone runs in its SAVEPOINT. Neighbours of one kind may run together, which is
cheaper; if that fails, what they did is undone, and each runs alone.
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import structlog

from gateway.store.schema import WriterConnection, primary_code

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Job: TypeAlias = Callable[[sqlite3.Connection], T]
Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What a job returned, or what it raised."""
_RunAll: TypeAlias = Callable[[WriterConnection, Sequence[Any]], Sequence[Any]]

_STORAGE_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_log: Final = structlog.get_logger()


class JointJob(Protocol[T_co]):
    """A job that is cheaper together with others of its type.

    Neighbours in a group are run by one `run_all`. It must do what the jobs would do
    one after the other, and only to the database: if it raises, what it did is rolled
    back and each job runs alone, so that a bad one fails by itself.
    """

    def __call__(self, conn: sqlite3.Connection) -> T_co:
        """Run this job alone."""
        ...

    @staticmethod
    def run_all(conn: WriterConnection, jobs: Sequence[Any]) -> Sequence[T_co]:
        """Run jobs of this type in their order; one result each."""
        ...


def run_jobs(conn: WriterConnection, jobs: Sequence[Job[Any]]) -> list[Outcome]:
    """Run a group in its order: neighbours of one joint type together.

    Raises:
        sqlite3.Error: The storage failed, so the whole group did.
    """
    outcomes: list[Outcome] = []
    for run_all, found in groupby(jobs, _run_all_of):
        run = list(found)
        results = None
        if run_all is not None:
            results = _try_together(conn, run_all, run, is_first=not outcomes)
        if results is None:
            outcomes += [_run_job(conn, job) for job in run]
        else:
            outcomes += [(result, None) for result in results]
    return outcomes


def _run_all_of(job: Job[Any]) -> _RunAll | None:
    run_all: _RunAll | None = getattr(job, "run_all", None)
    return run_all


def _try_together(
    conn: WriterConnection, run_all: _RunAll, run: Sequence[Job[Any]], *, is_first: bool
) -> Sequence[Any] | None:
    """Results of joint jobs; ``None`` and no trace of them if that failed.

    The first run of a transaction needs no SAVEPOINT, whose copies of every page it
    touches would cost as much as its statements: the transaction itself is begun anew.

    Raises:
        sqlite3.Error: The storage failed, so the whole group did.
    """
    if not is_first:
        conn.execute("SAVEPOINT run")
    try:
        results = run_all(conn, run)
    except Exception as error:
        if _is_of_storage(conn, error):
            raise
        _log.info("store.run_alone", n_job=len(run), why=repr(error))
        conn.forget()
        if is_first:
            conn.execute("ROLLBACK")
            conn.execute("BEGIN IMMEDIATE")
        else:
            conn.execute("ROLLBACK TO run")
            conn.execute("RELEASE run")
        return None
    if not is_first:
        conn.execute("RELEASE run")
    return results


def _is_of_storage(conn: WriterConnection, error: Exception) -> bool:
    """Whether the database failed, and not a job."""
    return isinstance(error, sqlite3.Error) and (
        not conn.in_transaction or primary_code(error) in _STORAGE_CODES
    )


def _run_job(conn: WriterConnection, job: Job[Any]) -> tuple[Any, BaseException | None]:
    """Run one job in its SAVEPOINT.

    Raises:
        sqlite3.Error: The storage failed, so the whole group did.
    """
    conn.execute("SAVEPOINT job")
    try:
        result = job(conn)
    except Exception as error:  # handed to the job's owner, not swallowed
        if _is_of_storage(conn, error):
            raise
        conn.forget()
        conn.execute("ROLLBACK TO job")
        conn.execute("RELEASE job")
        return None, error
    conn.execute("RELEASE job")
    return result, None
