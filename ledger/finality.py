"""Notices that a chain goes on while none of its blocks becomes final."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ledger.outbox import OutboxTx, State

PATIENCE: Final = timedelta(days=1)


class Finality:
    """When the final block moved last, as far as this process saw."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._seen: tuple[int, datetime] | None = None

    def alarms(
        self, opened: Sequence[OutboxTx], final: int, now: datetime
    ) -> tuple[str, ...]:
        """Return an alarm while something mined waits for a block that does not come.

        Args:
            opened: Rows that are not final.
            final: Number of the newest final block.
            now: Site time.
        """
        is_waiting = any(tx.state is State.MINED for tx in opened)
        if self._seen is None or self._seen[0] != final or not is_waiting:
            self._seen = (final, now)
            return ()
        since = self._seen[1]
        if now - since < PATIENCE:
            return ()
        return (
            f"no block became final since {since.isoformat()}: the last is {final}",
        )
