"""May this token charge? Decided inside the transaction that stores the start.

Because the decision and the session are one transaction of one writer, two starts at
the same moment cannot both find the token free.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final, TypeAlias

from gateway.domain.ids import StationId
from gateway.domain.week_times import WeekTime
from gateway.ocpp.adapter import TokenStatus
from gateway.store import tokens
from gateway.store.entry import TokenDecision, TokenQuestion
from gateway.store.tokens import TokenRow

Admission: TypeAlias = Callable[[StationId, int], bool]
"""Whether one more session fits at an EVSE (0: anywhere at the station) now; a yes
counts as one that charges there. Called in the writer's thread."""
PriceText: TypeAlias = Callable[
    [sqlite3.Connection, TokenQuestion, str | None], str | None
]
"""What a driver is told of the price at a station, in a language if there is a choice;
``None`` where prices are not shown. Called in the writer's thread."""

EvseTypes: TypeAlias = Callable[[StationId, int], frozenset[str]]
"""``AC`` and ``DC``, as far as an EVSE (0: any of the station) is known to be.
Called in the writer's thread."""

ACCEPTED: Final = TokenStatus.ACCEPTED.value
NO_AUTHORIZATION: Final = "NoAuthorization"
"""2.0.1: a station that needs none starts with this type (C02)."""

_STATUS: Final = {
    "Accepted": TokenStatus.ACCEPTED,
    "Blocked": TokenStatus.BLOCKED,
    "Expired": TokenStatus.EXPIRED,
    "Invalid": TokenStatus.INVALID,
    "NoCredit": TokenStatus.NO_CREDIT,
}


def nothing_known(_station_id: StationId, _evse_id: int) -> frozenset[str]:
    """The EVSE types of a site that knows none."""
    return frozenset()


def everyone(_station_id: StationId, _evse_id: int) -> bool:
    """The admission of a site that turns nobody away."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a site decides about all tokens.

    Attributes:
        max_sessions: Transactions at once for tokens that say nothing of their own;
            ``None`` for any number.
        authorize_counts: Whether a token with all its transactions running is refused
            when it is presented already. Both versions mean the word for starts only
            (1.6, 7.2; 2.0.1, AuthorizationStatusEnumType), so it is off by default.
        master_pass_group: Tokens of this group may stop any transaction and start none
            (2.0.1, C16).
    """

    max_sessions: int | None = None
    authorize_counts: bool = False
    master_pass_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """The rules for tokens; satisfies `gateway.store.entry.Judge`.

    Attributes:
        admission: May refuse while the ratings of unproven stations do not fit.
        rules: Of the site.
        price_text: What accepted drivers are told, unless the token has its own words.
        evse_types: What EVSEs there are.
        timezone: Of the times at which tokens may charge.
    """

    admission: Admission = everyone
    rules: TokenRules = TokenRules()
    price_text: PriceText | None = None
    evse_types: EvseTypes = nothing_known
    timezone: tzinfo = UTC

    def __call__(
        self, conn: sqlite3.Connection, question: TokenQuestion
    ) -> TokenDecision:
        """Decide about one token."""
        if question.token.kind == NO_AUTHORIZATION:
            return self._admitted(question, TokenDecision(status=ACCEPTED))
        row = tokens.find(conn, question.token)
        if row is None:
            return TokenDecision(status=TokenStatus.INVALID)
        decision = TokenDecision(
            status=self._status(conn, question, row),
            expires_at=row.expires_at,
            group=row.group_id,
            language=row.language,
            language_2=row.language_2,
            message=row.personal_message,
            evse_ids=row.evse_ids or (),
        )
        if decision.status != ACCEPTED:
            return decision
        if not self._is_stop(conn, question, row):
            decision = self._admitted(question, decision)
        return self._with_price(conn, question, decision)

    def _status(
        self, conn: sqlite3.Connection, question: TokenQuestion, row: TokenRow
    ) -> TokenStatus:
        status = _STATUS[row.status]
        if status is not TokenStatus.ACCEPTED:
            return status
        if row.expires_at is not None and row.expires_at <= question.at:
            return TokenStatus.EXPIRED
        if not _may_be_new(question):
            return status
        if not row.may_charge_at(question.station_id) or _is_elsewhere(question, row):
            return TokenStatus.NOT_HERE
        if row.evse_types is not None and self._is_other_type(question, row.evse_types):
            return TokenStatus.NOT_TYPE
        if row.allowed_times is not None and not _is_time(
            row.allowed_times, question.at.astimezone(self.timezone)
        ):
            return TokenStatus.NOT_NOW
        master = self.rules.master_pass_group
        begins = question.begins or question.is_start
        if begins and master is not None and _same(row.group_id, master):
            return TokenStatus.BLOCKED
        if self._counts(conn, question, row) and self._is_full(conn, question, row):
            return TokenStatus.CONCURRENT
        return status

    def _is_other_type(self, question: TokenQuestion, allowed: Sequence[str]) -> bool:
        """Whether no EVSE that can be meant is of an allowed type; unknown ones are."""
        evse_id = 0 if question.evse is None else question.evse.evse_id
        types = self.evse_types(question.station_id, evse_id)
        return bool(types) and types.isdisjoint(allowed)

    def _counts(
        self, conn: sqlite3.Connection, question: TokenQuestion, row: TokenRow
    ) -> bool:
        if question.is_start:
            return True
        return self.rules.authorize_counts and not self._is_stop(conn, question, row)

    def _is_full(
        self, conn: sqlite3.Connection, question: TokenQuestion, row: TokenRow
    ) -> bool:
        limit = row.max_sessions
        if limit is None:
            limit = self.rules.max_sessions
        if limit is None:
            return False
        running = tokens.open_sessions(
            conn, question.token, besides=question.session_id
        )
        return running >= limit

    def _is_stop(
        self, conn: sqlite3.Connection, question: TokenQuestion, row: TokenRow
    ) -> bool:
        """Whether the token may be presented to end a session, its own or its group's.

        Whatever keeps new sessions out must not keep a driver from going home.
        """
        if question.is_start:
            return False
        if question.session_id is not None:
            return True
        master = self.rules.master_pass_group
        if master is not None and _same(row.group_id, master):
            return True
        return tokens.is_charging_at(
            conn, question.station_id, question.token, row.group_id
        )

    def _admitted(
        self, question: TokenQuestion, decision: TokenDecision
    ) -> TokenDecision:
        evse_id = 0 if question.evse is None else question.evse.evse_id
        if _is_live(question) and not self.admission(question.station_id, evse_id):
            return replace(decision, status=TokenStatus.BLOCKED)
        return decision

    def _with_price(
        self, conn: sqlite3.Connection, question: TokenQuestion, decision: TokenDecision
    ) -> TokenDecision:
        """Tell the price where a session may begin (2.0.1, I01)."""
        if (
            self.price_text is None
            or decision.status != ACCEPTED
            or decision.message is not None
            or not _is_live(question)
        ):
            return decision
        text = self.price_text(conn, question, decision.language)
        return decision if text is None else replace(decision, message=text)


def _is_live(question: TokenQuestion) -> bool:
    """Whether a driver stands there: a start now, or a card held to a reader."""
    return question.is_start or question.session_id is None


def _may_be_new(question: TokenQuestion) -> bool:
    """Whether a session may begin with it, or began while the station was alone."""
    return _is_live(question) or question.begins


def _is_elsewhere(question: TokenQuestion, row: TokenRow) -> bool:
    evse = question.evse
    if row.evse_ids is None or evse is None or evse.evse_id == 0:
        return False
    return evse.evse_id not in row.evse_ids


def _is_time(allowed: Sequence[WeekTime], local: datetime) -> bool:
    return any(one.holds(local) for one in allowed)


def _same(group: str | None, other: str) -> bool:
    return group is not None and group.casefold() == other.casefold()
