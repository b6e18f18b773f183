"""The journal: one message, its facts and their leaves in one transaction.

`append_entry` runs in the writer's thread. Natural keys make repetitions harmless:
what is already there changes nothing, and the answer is the same as the first time.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from gateway.store.append import append_entry
from gateway.store.entry import Entry, Hooks, Receipt
from gateway.store.in_order import Batch
from gateway.store.schema import WriterConnection
from gateway.store.writer import Writer

__all__ = ["AppendJob", "Appended", "Hooks", "Store", "append_entry"]

Appended: TypeAlias = Callable[[Receipt | None, BaseException | None], None]


class Store:
    """The writer with the journal's one operation; reads are in `queries`."""

    def __init__(self, writer: Writer, hooks: Hooks) -> None:
        self.writer = writer
        self.hooks = hooks

    def append(self, entry: Entry, on_done: Appended) -> None:
        """Store a message; ``on_done`` runs on the loop after the sync.

        Raises:
            StoreBusy: Too many writes are waiting: do not answer the message.
            StoreError: The store is closed: do not answer the message.
        """
        self.writer.submit_with(AppendJob(entry, self.hooks), on_done)

    async def append_and_wait(self, entry: Entry) -> Receipt:
        """Store a message and wait for its commit.

        Raises:
            StoreError: Nothing was stored.
        """
        return await self.writer.run(AppendJob(entry, self.hooks))


class AppendJob(msgspec.Struct, frozen=True, gc=False):
    """One message for the writer; a `gateway.store.jobs.JointJob`."""

    entry: Entry
    hooks: Hooks

    def __call__(self, conn: sqlite3.Connection) -> Receipt:
        """Store this message."""
        return append_entry(conn, self.entry, self.hooks)

    @property
    def is_telemetry(self) -> bool:
        """Whether the message is no part of a transaction, nor asks for a decision."""
        return self.entry.is_telemetry

    @staticmethod
    def run_all(
        conn: WriterConnection, jobs: Sequence["AppendJob"]
    ) -> Sequence[Receipt]:
        """Store messages in their order, with as few statements as possible."""
        batch = Batch(conn, jobs[0].hooks.sealer)
        receipts = []
        for job in jobs:
            receipt = batch.take(job.entry)
            if receipt is None:
                batch.flush()
                receipt = job(conn)
            receipts.append(receipt)
        batch.flush()
        return receipts
