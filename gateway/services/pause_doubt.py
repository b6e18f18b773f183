"""Whether a driver would pay for parking while our own limit held the car back.

The register shows that nothing flowed, not why. Where a limit of the session was zero
meanwhile, the pause was the site's, and whether the driver pays for it is for a person
to say.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.bill import Bill
from gateway.domain.ids import SessionId
from gateway.domain.tariff_terms import Dimension

MIN_PAUSE: Final = timedelta(seconds=60)
"""A shorter pause of ours within the time that is paid as parking is no matter."""
_LIMITS: Final = (
    "SELECT start_at, steps, sent_at FROM limit_command WHERE session_id = ?"
    " AND outcome NOT IN ('refused', 'not_sent') ORDER BY command_id"
)
Span = tuple[datetime, datetime]


def is_pause_ours(
    conn: sqlite3.Connection, session_id: SessionId, bill: Bill | None
) -> bool:
    """Whether time that a bill takes as parking was a pause that we asked for."""
    parked = [] if bill is None else list(_paid_parking(bill))
    if not parked:
        return False
    rows = conn.execute(_LIMITS, (session_id,)).fetchall()
    ours = timedelta()
    for start, end in _pauses(rows, parked[-1][1]):
        for begin, until in parked:
            ours += max(timedelta(), min(end, until) - max(start, begin))
    return ours >= MIN_PAUSE


def _paid_parking(bill: Bill) -> Iterator[Span]:
    for part in bill.parts:
        if any(
            one.dimension is Dimension.PARKING_TIME and one.price_micro > 0
            for one in part.components
        ):
            yield part.start, part.end


def _pauses(rows: Sequence[tuple[str, str, str]], end: datetime) -> Iterator[Span]:
    """Spans in which the limit in force was zero; each holds until the next is sent."""
    sent = [datetime.fromisoformat(row[2]) for row in rows]
    for index, (start_at, raw_steps, _) in enumerate(rows):
        steps: list[tuple[int, int]] = json.loads(raw_steps)
        until = sent[index + 1] if index + 1 < len(rows) else end
        zero = datetime.fromisoformat(start_at)
        for number, (offset_s, limit_da) in enumerate(steps):
            begin = max(sent[index], zero + timedelta(seconds=offset_s))
            stop = until
            if number + 1 < len(steps):
                stop = min(until, zero + timedelta(seconds=steps[number + 1][0]))
            if limit_da == 0 and begin < stop:
                yield begin, stop
