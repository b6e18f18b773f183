"""Windows of invoices: sessions on the chain under one root, without an amount.

A window spans start leaves and closes them to any other settlement. It ends before the
oldest session that still runs or whose bill waits, unless that is older than patience
allows: then it is named as open, at a price in gas, and listed in a later window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ledger import merkle
from ledger.contracts import Artifact, recognized
from ledger.credit_queue import RECORDED_ELSEWHERE, SETTLED_ELSEWHERE, CreditRow
from ledger.outbox import Purpose, SettlementRow, TxDraft
from ledger.runner import Runner
from ledger.sqlite_store import SqliteStore

MAX_SESSIONS: Final = 5_000
"""Of one window: its gas does not depend on them, its database transaction does."""
MAX_LISTED: Final = 100
MAX_OPEN: Final = 200
"""Start leaves named in one window, each up to 22 000 gas."""
MAX_CREDITS: Final = 5_000
MAX_ASKED: Final = 100
"""Questions to the chain in one step about sessions that it may know."""
MAX_SCANS: Final = 10
"""Parts of the log that one step looks at for start leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a window spans.

    Attributes:
        from_leaf: Its first start leaf.
        to_leaf: The first start leaf after it.
        recorded: Start leaves of its own sessions, rising.
        open: Start leaves that stay open, rising.
    """

    from_leaf: int
    to_leaf: int
    recorded: tuple[int, ...]
    open: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the database holds for the next window.

    Attributes:
        covered: Leaves that the newest final head covers and that were looked at.
        late: Sessions that wait and that an earlier window left open, by start leaf.
        ready: Sessions that wait and no window spans yet, by start leaf.
        unsettled: Start leaves from the window's beginning on, rising, each with
            whether the window must end before it.
        has_credits: Credits wait whose sessions earlier windows recorded.
    """

    covered: int
    late: tuple[SettlementRow, ...]
    ready: tuple[SettlementRow, ...]
    unsettled: tuple[tuple[int, bool], ...]
    has_credits: bool


def span(
    from_leaf: int,
    covered: int,
    ready: Sequence[int],
    unsettled: Sequence[tuple[int, bool]],
    *,
    has_more: bool,
) -> Span | None:
    """Choose the next window: no longer than it must be, and never beyond the head.

    Args:
        from_leaf: Where the window before it ended.
        covered: Where it must end.
        ready: Start leaves of sessions that wait, rising, none before ``from_leaf``.
        unsettled: Start leaves of all others, rising, each with whether the window
            must end before it.
        has_more: It carries sessions of earlier windows, or credits.

    Returns:
        ``None`` if there is nothing to record, or no room.
    """
    end = min([covered, *(leaf for leaf, is_young in unsettled if is_young)])
    recorded = [leaf for leaf in ready if leaf < end][:MAX_SESSIONS]
    if not recorded and not has_more:
        return None
    to_leaf = 1 + (recorded[-1] if recorded else from_leaf)
    if to_leaf > end:
        return None
    left = [leaf for leaf, _ in unsettled if leaf < to_leaf]
    if len(left) > MAX_OPEN:
        to_leaf = left[MAX_OPEN]
    return Span(
        from_leaf=from_leaf,
        to_leaf=to_leaf,
        recorded=tuple(leaf for leaf in recorded if leaf < to_leaf),
        open=tuple(left[:MAX_OPEN]),
    )


def binding_of(runner: Runner, settlement: str) -> Artifact | None:
    """Return the contract at an address, if it records invoices as they are made here.

    Those of earlier releases cannot list a session that an earlier window left open, or
    know no windows at all; sessions settle in batches there.
    """
    found = recognized("Settlement", runner.chain.code(settlement))
    if found is None:
        return None
    for entry in found.abi:
        if entry["type"] == "function" and entry["name"] == "recordInvoices":
            return found if "listed" in {i["name"] for i in entry["inputs"]} else None
    return None


class Windows:
    """Seals windows, one at a time.

    Args:
        runner: Of the outbox.
        sender: Address of the settler.
        patience_s: Site seconds that a window waits for a session to settle.
    """

    def __init__(self, runner: Runner, *, sender: str, patience_s: float) -> None:
        self._runner = runner
        self._sender = sender
        self._patience = timedelta(seconds=patience_s)
        self._known_leaves: int | None = None
        self._asked: set[bytes] = set()

    def seal(self, binding: Artifact, settlement: str, now: datetime) -> bool:
        """Seal the next window, if there is something to record.

        The chain says where it begins, and whether it knows a session already: an old
        backup of the database does not.

        Args:
            binding: Of the contract.
            settlement: Its address.
            now: Site time.

        Returns:
            Whether something was sealed, or a session set aside.
        """
        for _ in range(MAX_SCANS):
            if not self._runner.write(SqliteStore.scan_starts):
                break
        key = self._runner.chain.identity().key
        from_leaf = self.closed_before(binding, settlement)
        found = self._runner.write(lambda store: self._find(store, key, from_leaf, now))
        is_any, doubted = self._set_aside(found, binding, settlement)
        if is_any:
            return True
        late = [row for row in found.late if row.start_leaf_index not in doubted]
        fresh = found.ready
        chosen = span(
            from_leaf,
            min([found.covered, *doubted.difference(_starts(found.late))]),
            [row.start_leaf_index for row in fresh],
            found.unsettled,
            has_more=bool(late) or found.has_credits,
        )
        if chosen is None:
            return False
        mine = set(chosen.recorded)
        rows = [*late, *(row for row in fresh if row.start_leaf_index in mine)]
        return self._runner.write(
            partial(
                self._put,
                key=key,
                binding=binding,
                settlement=settlement,
                chosen=chosen,
                rows=rows,
                now=now,
            )
        )

    def closed_before(self, binding: Artifact, settlement: str) -> int:
        """Ask the chain where the next window begins."""
        data = self._runner.chain.call(settlement, binding.calldata("closedBefore"))
        (from_leaf,) = binding.result("closedBefore", data)
        return int(from_leaf)

    def _find(
        self, store: SqliteStore, key: str, from_leaf: int, now: datetime
    ) -> Found:
        head = covered = min(store.final_head_size(key), store.scanned_leaves())
        opened = store.open_starts(from_leaf, covered, MAX_SESSIONS)
        if len(opened) == MAX_SESSIONS:
            covered = opened[-1].leaf_index
        return Found(
            covered=covered,
            late=tuple(store.waiting_invoices(0, from_leaf, head, MAX_LISTED)),
            ready=tuple(store.waiting_invoices(from_leaf, covered, head, MAX_SESSIONS)),
            unsettled=tuple(
                (
                    one.leaf_index,
                    one.is_expected and now - one.sealed_at < self._patience,
                )
                for one in opened
            ),
            has_credits=bool(store.window_credits(key, (), 1)),
        )

    def _set_aside(
        self, found: Found, binding: Artifact, settlement: str
    ) -> tuple[bool, set[int]]:
        """Refuse sessions that the chain knows and this database does not.

        Asked of those that began before this process did, as an old backup may have
        been put back, and of those that an earlier window must have left open.

        Returns:
            Whether one was refused, and the start leaves of those still to be asked of.
        """
        if self._known_leaves is None:
            self._known_leaves = self._runner.write(SqliteStore.leaf_count)
        late = _starts(found.late)
        rows = [
            row
            for row in (*found.late, *found.ready)
            if row.session_key not in self._asked
            and (
                row.start_leaf_index in late
                or row.start_leaf_index < self._known_leaves
            )
        ]
        is_any = False
        for row in rows[:MAX_ASKED]:
            start = row.start_leaf_index
            name = "isStartLeafClosed" if start in late else "isStartLeafSettled"
            data = self._runner.chain.call(settlement, binding.calldata(name, start))
            if binding.result(name, data)[0]:
                is_any = True
                self._runner.write(
                    partial(
                        SqliteStore.refuse_settlement,
                        session_key=row.session_key,
                        reason=RECORDED_ELSEWHERE
                        if start in late
                        else SETTLED_ELSEWHERE,
                    )
                )
            self._asked.add(row.session_key)
        return is_any, _starts(rows[MAX_ASKED:])

    def _put(
        self,
        store: SqliteStore,
        *,
        key: str,
        binding: Artifact,
        settlement: str,
        chosen: Span,
        rows: Sequence[SettlementRow],
        now: datetime,
    ) -> bool:
        credited = store.window_credits(
            key, [row.session_key for row in rows], MAX_CREDITS
        )
        hashes = [row.leaf_hash for row in rows] + [one.leaf_hash for one in credited]
        listed = [
            row.start_leaf_index
            for row in rows
            if row.start_leaf_index < chosen.from_leaf
        ]
        calldata = binding.calldata(
            "recordInvoices",
            chosen.from_leaf,
            chosen.to_leaf,
            merkle.root(hashes),
            len(rows),
            listed,
            list(chosen.open),
        )
        draft = TxDraft(
            chain=key,
            purpose=Purpose.SETTLE,
            purpose_key=f"{chosen.from_leaf}-{chosen.to_leaf}:{merkle.root(hashes).hex()}",
            sender=self._sender,
            to=settlement,
            calldata=calldata,
            facts={
                "from_leaf": chosen.from_leaf,
                "to_leaf": chosen.to_leaf,
                "sessions": len(rows),
                "credits": len(credited),
                "open": len(chosen.open),
            },
        )
        carry(store, store.seal(draft, now), rows, credited, hashes)
        return True


def carry(
    store: SqliteStore,
    tx_id: int,
    rows: Sequence[SettlementRow],
    credited: Sequence[CreditRow],
    hashes: Sequence[bytes],
) -> None:
    """Say that a transaction carries these, under roots over these leaf hashes."""
    store.assign_settlements(rows, tx_id)
    for one in credited:
        store.assign_credit(one.credit_key, tx_id)
    store.put_invoices(tx_id, hashes)


def _starts(rows: Iterable[SettlementRow]) -> set[int]:
    return {row.start_leaf_index for row in rows}
