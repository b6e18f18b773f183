"""Erases a person: what a token, or one session, left here.

The log stays one log: commitments remain, and without salt and record they say nothing.
Heads, proofs and receipts of other sessions hold as before.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from gateway.clock import Clock
from gateway.domain.ids import IdToken, SessionId
from gateway.errors import RequestError
from gateway.store import api_tokens, erasure, sessions
from gateway.store.writer import Writer
from ledger.sqlite_store import erase_leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased.

    Attributes:
        sessions: Sessions that name nobody any more.
        leaves: Records of the log whose salt and text are gone.
        texts: Messages in which the token was replaced.
    """

    sessions: int
    leaves: int
    texts: int


class Erasure:
    """Erases on demand.

    Args:
        writer: Does it, in pieces: stations are answered in between.
        clock: Site clock.
    """

    def __init__(self, *, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def session(self, session_id: SessionId, *, actor: str) -> Erased:
        """Erase who one session was, and the records of it.

        Raises:
            RequestError: 404 no such session; 409 it runs, or its bill is open.
        """
        value, pieces = await self._writer.run(partial(_look, session_id=session_id))
        texts = 0
        if value is not None:
            texts = await self._scrub(value, pieces)
        return await self._writer.run(
            partial(self._finish, [session_id], texts, f"session/{session_id}", actor)
        )

    async def token(self, token: IdToken, *, actor: str) -> Erased:
        """Erase all that a token left.

        Raises:
            RequestError: 409 the token may still charge, or one of its sessions runs,
                or has an open bill.
        """
        found, pieces = await self._writer.run(partial(_look_token, token=token))
        texts = await self._scrub(token.value, pieces)
        texts += await self._writer.run(partial(erasure.scrub_texts, value=token.value))
        texts += await self._writer.run(
            partial(erasure.erase_reservations, token=token)
        )
        return await self._writer.run(
            partial(self._finish, found, texts, "an id token", actor)
        )

    async def _scrub(self, value: str, pieces: Sequence[tuple[int, int]]) -> int:
        texts = 0
        for first, end in pieces:
            texts += await self._writer.run(
                partial(erasure.scrub_frames, value=value, first=first, end=end)
            )
        return texts

    def _finish(
        self,
        found: Sequence[SessionId],
        texts: int,
        subject: str,
        actor: str,
        conn: sqlite3.Connection,
    ) -> Erased:
        """Erase the records last: until then it can be begun anew."""
        leaves = 0
        for session_id in found:
            _check(conn, session_id)
            indexes = erasure.leaves_of(conn, session_id)
            erasure.erase_session(conn, session_id)
            for index in indexes:
                erase_leaf(conn, index)
            leaves += len(indexes)
        erased = Erased(sessions=len(found), leaves=leaves, texts=texts)
        api_tokens.audit(
            conn,
            at=self._clock.now(),
            actor=actor,
            action="person.erased",
            subject=subject,
            detail=asdict(erased),
        )
        return erased


def _look(
    conn: sqlite3.Connection, session_id: SessionId
) -> tuple[str | None, list[tuple[int, int]]]:
    session = sessions.by_id(conn, session_id)
    if session is None:
        raise RequestError(404, "unknown_session", "no such session")
    _check(conn, session_id)
    return session.id_token, erasure.frames_of(conn, session_id)


def _look_token(
    conn: sqlite3.Connection, token: IdToken
) -> tuple[list[SessionId], list[tuple[int, int]]]:
    if erasure.is_listed(conn, token):
        raise RequestError(
            409,
            "token_in_use",
            "the token may still charge: delete it, and its reservations, first",
        )
    found = erasure.sessions_of(conn, token)
    for session_id in found:
        _check(conn, session_id)
    return found, erasure.frames(conn)


def _check(conn: sqlite3.Connection, session_id: SessionId) -> None:
    match erasure.open_business(conn, session_id):
        case erasure.Open.RUNNING:
            raise RequestError(
                409, "running", f"session {session_id} is not over: erase it then"
            )
        case erasure.Open.NOT_BILLED:
            raise RequestError(
                409,
                "not_billed",
                f"the bill of session {session_id} is not decided: erase it then",
            )
        case None:
            return
