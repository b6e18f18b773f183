"""Commands that came to nothing of late, for whoever looks at the site."""

from collections import OrderedDict
from datetime import timedelta
from typing import Any, Final

from gateway.clock import Clock
from gateway.domain.command import CommandState
from gateway.services.command_log import CommandLog, call_id
from gateway.services.station_calls import SERVICE
from gateway.store.commands import CommandRow
from gateway.store.times import optional_text

SHOWN_FOR: Final = timedelta(hours=1)
MOST: Final = 20


class CommandTroubles:
    """Remembers what went wrong after its sender had gone. Loop thread only.

    Whoever waited for an answer has heard of a refusal; nobody has heard of an effect
    that did not come, or of what failed after waiting in line.
    """

    def __init__(self, log: CommandLog, clock: Clock) -> None:
        self._clock = clock
        self._rows: OrderedDict[int, CommandRow] = OrderedDict()
        log.watch(self.follow)

    def follow(self, row: CommandRow) -> None:
        """Take note of a command's step."""
        self._rows.pop(row.command_id, None)
        progress = row.progress
        is_trouble = progress.state is CommandState.NO_EFFECT or (
            progress.state is CommandState.FAILED
            and (row.is_queueable or progress.reason == "went_wrong")
        )
        is_missed = (
            progress.state is CommandState.EXPIRED and progress.reason == "deadline"
        )
        if row.asked_by != SERVICE and (is_trouble or is_missed):
            self._rows[row.command_id] = row
            if len(self._rows) > MOST:
                self._rows.popitem(last=False)

    def recent(self) -> list[dict[str, Any]]:
        """What to show, newest first."""
        since = self._clock.now() - SHOWN_FOR
        return [
            {
                "command_id": call_id(row.command_id),
                "station_id": row.station_id,
                "action": row.action,
                "state": row.progress.state.value,
                "reason": row.progress.reason,
                "detail": row.progress.detail,
                "ended_at": optional_text(row.progress.ended_at),
            }
            for row in reversed(self._rows.values())
            if row.progress.ended_at is not None and row.progress.ended_at >= since
        ]
