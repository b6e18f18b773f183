"""Many rows by few statements.

Python's ``sqlite3`` lets other threads in around every row of an ``executemany``. While
the event loop is busy each of these doors costs the writer up to a switch interval: a
group of a hundred messages took 140 ms beside a loop that never rested, and takes 9 ms
with statements of many rows, which have one door each. They come in a few sizes, so
that they stay prepared.

An INSERT of this kind is to say ``OR FAIL``: SQLite then need not keep a copy of each
page to take back the first rows when a later one fails. Who writes so rolls back the
transaction, or his SAVEPOINT. (An UPDATE is slower with it: 8.5 instead of 6 us a row.)
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Final

SIZES: Final = (64, 16, 4, 1)
"""Rows of a statement."""


def write_rows(
    conn: sqlite3.Connection,
    statement: Callable[[int], str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Execute a statement for all rows, in their order.

    Args:
        conn: Takes the rows, in the caller's transaction.
        statement: The SQL for a number of rows, whose values follow each other.
        rows: Values as `sqlite3` takes them.
    """
    for some in _parts(rows):
        conn.execute(statement(len(some)), [*chain.from_iterable(some)])


def _parts(rows: Sequence[Sequence[object]]) -> Iterator[Sequence[Sequence[object]]]:
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@cache
def marks(n_row: int, n_column: int) -> str:
    """A VALUES clause: ``VALUES (?, ?), (?, ?)``."""
    row = f"({', '.join('?' * n_column)})"
    return f"VALUES {', '.join([row] * n_row)}"
