"""Windows netted per user: one sum on the chain for each driver with an address.

They follow each other, close start leaves and wait for sessions as windows of invoices
do (`ledger.invoices`). A row is what a user owes for the window, less credits; drivers
without an address share the row of the settler. A credit of a session of the window
lowers its row. One that comes later lowers a row of a later window, if its user has one
in time that is large enough; else it is recorded against the row that it corrects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from eth_abi.abi import decode as abi_decode
from typing_extensions import override

from ledger import merkle
from ledger.contracts import Artifact, currency_bytes
from ledger.credit_queue import CreditRow
from ledger.flex_queue import flex_of_credit
from ledger.invoices import Found, Span, Windows, carry
from ledger.netted_queue import NettedCredit
from ledger.outbox import OutboxTx, Purpose, SettlementRow, TxDraft
from ledger.runner import Runner
from ledger.sqlite_store import SqliteStore

MAX_SESSIONS: Final = 100
"""Of one window, each named in it: about 17 000 gas for a user, more to mint."""
MAX_CREDITS: Final = 100
MAX_ALONE: Final = 25
"""Credits sealed in one round against the rows that they correct."""
_WINDOW: Final = "(uint64,uint64,uint64[],uint64[],bytes3)"
_ROWS: Final = "(address,uint64,uint64,uint64,bytes32)[]"
_SELECTOR_BYTES: Final = 4


@dataclass(slots=True, kw_only=True)
class Row:
    """What a user owes for a window, while it is made.

    Attributes:
        leaf_hashes: Of the user's settlements and credits.
    """

    user: str
    energy_milliwh: int = 0
    amount_minor: int = 0
    flex_milliwh: int = 0
    leaf_hashes: list[bytes] = field(default_factory=list)

    def values(self) -> tuple[object, ...]:
        """Return the members as the contract takes them."""
        return (
            self.user,
            self.energy_milliwh,
            self.amount_minor,
            self.flex_milliwh,
            merkle.root(self.leaf_hashes),
        )


class NettedWindows(Windows):
    """Seals netted windows, one at a time, and credits against their rows.

    Args:
        runner: Of the outbox.
        sender: Address of the settler, and of who has no address.
        patience_s: Site seconds that a window waits for a session to settle, for more
            sessions, and that a credit waits for a window.
    """

    def __init__(self, runner: Runner, *, sender: str, patience_s: float) -> None:
        super().__init__(runner, sender=sender, patience_s=patience_s)
        self._limit = MAX_SESSIONS
        self._since: datetime | None = None
        self._seen: dict[bytes, datetime] = {}
        self._on_chain: dict[bytes, bool] = {}

    def shrink(self, limit: int, since: datetime) -> None:
        """Let the next window have fewer sessions, in the place of one too dear."""
        self._limit, self._since = min(limit, MAX_SESSIONS), since

    @override
    def seal(self, binding: Artifact, settlement: str, now: datetime) -> bool:
        """Seal the next window, if one is due."""
        self._set_credits_aside(binding, settlement, of_lost_sessions=True)
        self._ask_of_credits(binding, settlement)
        is_any = super().seal(binding, settlement, now)
        self._limit, self._since = MAX_SESSIONS, None
        return is_any

    def seal_credits(self, binding: Artifact, settlement: str, now: datetime) -> bool:
        """Seal a transaction for each credit that waits for no window any more.

        Args:
            binding: Of the contract.
            settlement: Its address.
            now: Site time.
        """
        key = self._runner.chain.identity().key
        if not self._runner.write(lambda store: store.netted_credits(key, 1)):
            return False  # nothing to ask the chain about
        self._set_credits_aside(binding, settlement, of_lost_sessions=False)

        def work(store: SqliteStore) -> bool:
            due = [
                one
                for one in store.netted_credits(key, MAX_CREDITS)
                if one.flex_milliwh
                or self._on_chain.get(one.row.credit_key)
                or now - self._seen.setdefault(one.row.credit_key, now)
                >= self._patience
            ]
            for one in due[:MAX_ALONE]:
                draft = TxDraft(
                    chain=key,
                    purpose=Purpose.CREDIT,
                    purpose_key=one.row.credit_key.hex(),
                    sender=self._sender,
                    to=settlement,
                    calldata=_credit_calldata(binding, store.tx(one.tx_id), one),
                    facts={
                        "amount_minor": one.row.amount_minor,
                        "flex_milliwh": one.flex_milliwh,
                    },
                )
                store.assign_credit(one.row.credit_key, store.seal(draft, now))
            return bool(due)

        return self._runner.write(work)

    def _set_credits_aside(
        self, binding: Artifact, settlement: str, *, of_lost_sessions: bool
    ) -> None:
        """Refuse credits that may stand in a window that this database forgot."""
        key = self._runner.chain.identity().key
        closed = self.closed_before(binding, settlement)

        def work(store: SqliteStore) -> None:
            is_short = closed > store.newest_window_end(key)
            store.forget_credits(of_netted=is_short, of_lost=of_lost_sessions)

        self._runner.write(work)

    def _ask_of_credits(self, binding: Artifact, settlement: str) -> None:
        """Ask the chain of credits that a lost database may have recorded alone."""
        chain = self._runner.chain
        key = chain.identity().key
        waiting = self._runner.write(
            lambda store: store.netted_credits(key, MAX_CREDITS)
        )
        self._on_chain.clear()
        for one in waiting:
            credit_key = one.row.credit_key
            data = chain.call(settlement, binding.calldata("creditContent", credit_key))
            (content,) = binding.result("creditContent", data)
            self._on_chain[credit_key] = any(content)

    @override
    def _find(
        self, store: SqliteStore, key: str, from_leaf: int, now: datetime
    ) -> Found:
        head = covered = min(store.final_head_size(key), store.scanned_leaves())
        opened = store.open_starts_netted(from_leaf, covered, MAX_SESSIONS)
        if len(opened) == MAX_SESSIONS:
            covered = opened[-1].leaf_index
        late = store.waiting_netted(0, from_leaf, head, self._limit)
        ready = store.waiting_netted(from_leaf, covered, head, self._limit)
        currency = (*ready, *late)[0].currency if ready or late else ""
        late = [row for row in late if row.currency == currency]
        late = late[: self._limit - bool(ready)]  # what begins the window is in it
        ready = ready[: self._limit - len(late)]
        for row in ready:  # one currency for a window: another one begins the next
            if row.currency != currency:
                covered = row.start_leaf_index
                ready = [one for one in ready if one.start_leaf_index < covered]
                break
        if not self._is_due(store, [*late, *ready], now):
            late, ready = [], []
        return Found(
            covered=covered,
            late=tuple(late),
            ready=tuple(ready),
            unsettled=tuple(
                (one.leaf_index, now - one.sealed_at < self._patience) for one in opened
            ),
            has_credits=bool(ready or late) and bool(store.window_credits(key, (), 1)),
        )

    def _is_due(
        self, store: SqliteStore, rows: Sequence[SettlementRow], now: datetime
    ) -> bool:
        """Say whether sessions waited long enough for others, or are many enough."""
        if not rows or len(rows) >= self._limit:
            return bool(rows)
        begun = store.start_sealed_at(rows[0].start_leaf_index)
        return begun is None or now - begun >= self._patience

    @override
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
        if not rows:
            return False
        credited, made = self._rows(store, key, rows)
        listed = sorted(row.start_leaf_index for row in rows)
        hashes = [one for row in made for one in row.leaf_hashes]
        window = (
            chosen.from_leaf,
            chosen.to_leaf,
            listed,
            list(chosen.open),
            currency_bytes(rows[0].currency),
        )
        root = merkle.root(hashes).hex()
        draft = TxDraft(
            chain=key,
            purpose=Purpose.SETTLE,
            purpose_key=f"{chosen.from_leaf}-{chosen.to_leaf}:{root}",
            sender=self._sender,
            to=settlement,
            calldata=binding.calldata(
                "settleNetted", window, [row.values() for row in made]
            ),
            facts={
                "from_leaf": chosen.from_leaf,
                "to_leaf": chosen.to_leaf,
                "sessions": len(rows),
                "rows": len(rows),
                "credits": len(credited),
                "open": len(chosen.open),
                "netted": [[row.user, len(row.leaf_hashes)] for row in made],
            },
        )
        carry(store, store.seal(draft, self._since or now), rows, credited, hashes)
        return True

    def _rows(
        self, store: SqliteStore, key: str, rows: Sequence[SettlementRow]
    ) -> tuple[list[CreditRow], list[Row]]:
        """Net the sessions of a window, and credits, per user.

        Returns:
            The credits that it carries, and the rows by address.
        """
        made: dict[str, Row] = {}
        users: dict[bytes, str] = {}
        for one in rows:
            user = users[one.session_key] = store.user_of(one) or self._sender
            row = made.setdefault(user, Row(user=user))
            row.energy_milliwh += one.energy_milliwh
            row.amount_minor += one.amount_minor
            row.flex_milliwh += 0 if one.flex_to is None else one.flex_milliwh
            row.leaf_hashes.append(one.leaf_hash)
        credited: list[CreditRow] = []
        for credit in self._own_credits(store, key, rows):
            if credit.session_key in users:
                row = made[users[credit.session_key]]
                row.amount_minor -= credit.amount_minor
            else:  # of a session among invoices, whose amount is in no row
                row = made.setdefault(self._sender, Row(user=self._sender))
            row.leaf_hashes.append(credit.leaf_hash)
            credited.append(credit)
        for later in store.netted_credits(key, MAX_CREDITS):
            mine = made.get(later.user)
            amount_minor = later.row.amount_minor
            if (
                mine is None
                or later.flex_milliwh
                or later.currency != rows[0].currency
                or self._on_chain.get(later.row.credit_key, True)
                or amount_minor > mine.amount_minor
            ):
                continue
            mine.amount_minor -= amount_minor
            mine.leaf_hashes.append(later.row.leaf_hash)
            credited.append(later.row)
        return credited, sorted(made.values(), key=lambda row: int(row.user, 16))

    def _own_credits(
        self, store: SqliteStore, key: str, rows: Iterable[SettlementRow]
    ) -> Sequence[CreditRow]:
        found = store.window_credits(
            key, [row.session_key for row in rows], MAX_CREDITS
        )
        return [one for one in found if not flex_of_credit(store.conn, one.credit_key)]


def _credit_calldata(binding: Artifact, tx: OutboxTx, one: NettedCredit) -> bytes:
    """Return the call that records a credit against the row that it corrects.

    The window and its rows are shown again, as the transaction settled them.
    """
    window, rows = abi_decode([_WINDOW, _ROWS], tx.draft.calldata[_SELECTOR_BYTES:])
    return binding.calldata(
        "recordNettedCredit",
        window,
        rows,
        (
            window[0],
            one.user,
            one.row.credit_key,
            one.row.leaf_hash,
            one.row.amount_minor,
            one.flex_milliwh,
        ),
    )
