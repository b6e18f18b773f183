"""May this token charge? Decided inside the transaction that stores the start.

Because the decision and the session are one transaction of one writer, two starts at
the same moment cannot both find the token free.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.domain.ids import StationId
from gateway.store import tokens
from gateway.store.entry import TokenDecision, TokenQuestion

Admission: TypeAlias = Callable[[StationId, int], bool]
"""Whether one more session fits at an EVSE (0: anywhere at the station) now.
Called in the writer's thread."""

ACCEPTED: Final = "accepted"
BLOCKED: Final = "blocked"
EXPIRED: Final = "expired"
INVALID: Final = "invalid"
CONCURRENT: Final = "concurrent"
NO_AUTHORIZATION: Final = "NoAuthorization"
"""2.0.1: a station that needs none starts with this type (C02)."""

_STATUS: Final = {
    "Accepted": ACCEPTED,
    "Blocked": BLOCKED,
    "Expired": EXPIRED,
    "Invalid": INVALID,
}


def everyone(_station_id: StationId, _evse_id: int) -> bool:
    """The admission of a site that turns nobody away."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """The rules for tokens; satisfies `gateway.store.entry.Judge`.

    Attributes:
        admission: May refuse while the ratings of unproven stations do not fit.
        max_sessions: Transactions at once for tokens that say nothing of their own;
            ``None`` for any number.
    """

    admission: Admission = everyone
    max_sessions: int | None = None

    def __call__(
        self, conn: sqlite3.Connection, question: TokenQuestion
    ) -> TokenDecision:
        """Decide about one token."""
        decision = self._of_token(conn, question)
        if decision.status != ACCEPTED:
            return decision
        is_live = question.is_start or question.session_id is None
        evse_id = 0 if question.evse is None else question.evse.evse_id
        if is_live and not self.admission(question.station_id, evse_id):
            return TokenDecision(status=BLOCKED, group=decision.group)
        return decision

    def _of_token(
        self, conn: sqlite3.Connection, question: TokenQuestion
    ) -> TokenDecision:
        if question.token.kind == NO_AUTHORIZATION:
            return TokenDecision(status=ACCEPTED)
        row = tokens.find(conn, question.token)
        if row is None:
            return TokenDecision(status=INVALID)
        status = _STATUS[row.status]
        if status == ACCEPTED:
            limit = row.max_sessions
            if limit is None:
                limit = self.max_sessions
            if row.expires_at is not None and row.expires_at <= question.at:
                status = EXPIRED
            elif (
                question.is_start
                and limit is not None
                and tokens.open_sessions(
                    conn, question.token, besides=question.session_id
                )
                >= limit
            ):
                status = CONCURRENT
        return TokenDecision(
            status=status, expires_at=row.expires_at, group=row.group_id
        )
