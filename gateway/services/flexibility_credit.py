"""From shares of a day to what settles on chain, and back with corrections.

A session whose token has an address waits for the share of its day before it settles.
What a stay got goes to the row of its last session; the others, and those that got
nothing or nobody shares any more, settle without.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.domain.ids import SessionId
from gateway.store import corrections, money
from gateway.store.flexibility import StayRow, stay_of
from gateway.store.times import to_text
from ledger.flex_queue import flex_left, flex_settled, settle_flex

_KEY = "SELECT session_key FROM bill WHERE session_id = ?"
_WAITING = (
    "SELECT session_key FROM flex_wait JOIN bill USING (session_key)"
    " JOIN session USING (session_id) WHERE session.ended_at < ?"
)


def settle_shares(
    conn: sqlite3.Connection,
    stays: Iterable[tuple[StayRow, Sequence[SessionId]]],
    *,
    since: datetime,
) -> int:
    """Let sessions settle with their shares, in the transaction that shares a day.

    A credit that was given before, for less energy, makes a share less in proportion.

    Args:
        conn: The writer's connection.
        stays: Of the day, with their sessions.
        since: What ended before is never shared: it settles without.

    Returns:
        How much is credited to addresses, mWh.
    """
    credited = 0
    for row, session_ids in stays:
        for session_id in session_ids:
            key = _key_of(conn, session_id)
            share = row.credited_milliwh if session_id == row.stay_id else 0
            if key is not None and settle_flex(
                conn, key, _net(conn, session_id, share)
            ):
                credited += flex_settled(conn, key)
    settle_without(conn, since)
    return credited


def settle_without(conn: sqlite3.Connection, before: datetime) -> None:
    """Let sessions that ended before settle without flexibility."""
    for (key,) in conn.execute(_WAITING, (to_text(before),)).fetchall():
        settle_flex(conn, key, 0)


def to_take_back(
    conn: sqlite3.Connection,
    session_id: SessionId,
    session_key: bytes,
    *,
    billed_milliwh: int,
    corrected_milliwh: int,
) -> int:
    """What a credit takes back: flexibility in the proportion of the energy, mWh.

    A session that delivered less than was billed gave less, too. A credit of an amount
    alone says nothing of energy, and takes nothing back. While a session waits for its
    share there is nothing to take: its share will be less (`settle_shares`).
    """
    if billed_milliwh <= 0 or corrected_milliwh >= billed_milliwh:
        return 0
    stay = stay_of(conn, session_id)
    share = 0 if stay is None or stay.stay_id != session_id else stay.credited_milliwh
    stays = share * max(corrected_milliwh, 0) // billed_milliwh
    return max(0, flex_left(conn, session_key) - stays)


def _net(conn: sqlite3.Connection, session_id: SessionId, share_milliwh: int) -> int:
    """A share without what the credits before it would have taken back, mWh."""
    bill = money.find_bill(conn, session_id)
    billed = 0 if bill is None else int(bill.energy_milliwh or 0)
    stated = [
        int(str(credit.document["energy_milliwh"]))
        for credit in corrections.credits_of(conn, session_id)
        if credit.document is not None
    ]
    lowest = min(stated, default=billed)
    if not share_milliwh or billed <= 0 or lowest >= billed:
        return share_milliwh
    return share_milliwh * max(lowest, 0) // billed


def on_chain(conn: sqlite3.Connection, session_id: SessionId) -> dict[str, object]:
    """Where the flexibility of a session goes on the chain, for those who ask.

    ``state`` is ``not_settled``, ``waiting`` (for the share of its day), ``to_address``
    or ``none``: nothing is minted, for want of an address or of a share.
    """
    key = _key_of(conn, session_id)
    row = None
    if key is not None:
        row = conn.execute(
            "SELECT flex_to, flex_milliwh, EXISTS (SELECT 1 FROM flex_wait AS w"
            "  WHERE w.session_key = s.session_key)"
            " FROM settlement_queue AS s WHERE session_key = ?",
            (key,),
        ).fetchone()
    if key is None or row is None:
        return {"state": "not_settled", "address": None, "milliwh": 0}
    address, flex_milliwh, is_waiting = row
    if address is None:
        return {"state": "none", "address": None, "milliwh": 0}
    return {
        "state": "waiting" if is_waiting else "to_address",
        "address": address,
        "milliwh": flex_left(conn, key) if flex_milliwh else 0,
    }


def _key_of(conn: sqlite3.Connection, session_id: SessionId) -> bytes | None:
    row = conn.execute(_KEY, (session_id,)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])
