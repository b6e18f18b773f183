"""Where tokens are changed, and who hears of it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.clock import Clock
from gateway.domain.ids import IdToken
from gateway.errors import RequestError
from gateway.store import tokens
from gateway.store.tokens import KnownToken, TokenRow
from gateway.store.writer import Writer

MAX_TOKEN_CHARS: Final = 36
"""2.0.1, IdTokenType; 1.6 takes 20."""
MAX_STATIONS: Final = 1_000
MAX_EVSES: Final = 1_000
MAX_TIMES: Final = 50
ACCEPTED: Final = "Accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChange:
    """A token was made known, changed or forgotten.

    Attributes:
        was_revoked: It could charge before and cannot any more.
    """

    value: str
    was_revoked: bool


Listener: TypeAlias = Callable[[TokenChange], None]


class TokenBook:
    """Writes tokens and tells who depends on them. Loop thread only."""

    def __init__(self, *, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called after every change, once it is on disk."""
        self._listeners.append(listener)

    async def put(self, token: KnownToken) -> None:
        """Make a token known, or change it.

        Raises:
            RequestError: 422 a value that no station could present.
        """
        _check(token)
        now, row = self._clock.now(), token.row

        def job(conn: sqlite3.Connection) -> TokenRow | None:
            before = tokens.find(conn, IdToken(value=token.value, kind=token.kind))
            tokens.put(
                conn,
                value=token.value,
                kind=token.kind,
                now=now,
                status=row.status,
                expires_at=row.expires_at,
                group_id=row.group_id,
                max_sessions=row.max_sessions,
                stations=None if row.stations is None else tuple(row.stations),
                evse_ids=row.evse_ids,
                language=row.language,
                language_2=row.language_2,
                personal_message=row.personal_message,
                allowed_times=row.allowed_times,
                evse_types=row.evse_types,
                contract_id=row.contract_id,
                may_pause=row.may_pause,
            )
            return before

        before = await self._writer.run(job)
        self._tell(
            TokenChange(
                value=token.value,
                was_revoked=before is not None
                and before.status == ACCEPTED
                and (row.status != ACCEPTED or _lost_places(before, row)),
            )
        )

    async def delete(self, value: str, kind: str | None) -> bool:
        """Forget a token, of one type or of all; whether it was known."""
        was_known = await self._writer.run(
            lambda conn: tokens.delete(conn, value, kind)
        )
        if was_known:
            self._tell(TokenChange(value=value, was_revoked=True))
        return was_known

    def _tell(self, change: TokenChange) -> None:
        for listener in self._listeners:
            listener(change)


def _check(token: KnownToken) -> None:
    if not 1 <= len(token.value) <= MAX_TOKEN_CHARS:
        raise RequestError(422, "bad_token", f"1 to {MAX_TOKEN_CHARS} characters")
    row = token.row
    if row.language_2 is not None and row.language is None:
        raise RequestError(422, "bad_language", "language_2 needs language")


def _lost_places(before: TokenRow, after: TokenRow) -> bool:
    """Whether it could charge where or when it cannot any more."""
    if (after.allowed_times, after.evse_types) not in {
        (before.allowed_times, before.evse_types),
        (None, None),
    }:
        return True
    if after.stations is None:
        return False
    return before.stations is None or bool(before.stations - after.stations)
