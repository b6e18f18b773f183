"""What drivers need of their sessions, and the links to their pages."""

import base64
import hmac
import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from gateway.bus import Bus, FactCommitted, RequestChanged
from gateway.clock import Clock
from gateway.domain.events import SessionEnded
from gateway.domain.ids import SessionId
from gateway.domain.session import Session, SessionPhase
from gateway.errors import RequestError
from gateway.services.credentials import Pepper
from gateway.store import requests
from gateway.store.queries import Queries
from gateway.store.writer import Writer

LINK_BYTES: Final = 16


class Needs:
    """Takes drivers' needs and makes links to their pages."""

    def __init__(
        self,
        *,
        writer: Writer,
        queries: Queries,
        bus: Bus,
        clock: Clock,
        pepper: Pepper,
    ) -> None:
        self._writer = writer
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._pepper = pepper

    async def set_need(
        self,
        session: Session,
        *,
        energy_wh: float | None,
        target_soc_percent: float | None,
        departure_at: datetime | None,
        source: str,
        may_pause: bool | None = None,
    ) -> None:
        """Store a need; the plan follows.

        Args:
            session: A running session.
            energy_wh: From its start on, Wh.
            target_soc_percent: Where the car says its state of charge.
            departure_at: When the car leaves.
            source: Who said so, for the record.
            may_pause: False: plans do not pause it once it charges; ``None``: as it
                was. Alone it leaves what was needed before as it was.

        Raises:
            RequestError: 409 the session is over; 422 nothing said, both an energy
                and a state of charge, or a departure in the past.
        """
        if session.phase is not SessionPhase.RUNNING:
            raise RequestError(409, "session_over", "the session has ended")
        says_need = any(
            one is not None for one in (energy_wh, target_soc_percent, departure_at)
        )
        if not says_need and may_pause is None:
            raise RequestError(
                422,
                "empty_request",
                "energy_wh, target_soc_percent, departure_at or may_pause",
            )
        if energy_wh is not None and target_soc_percent is not None:
            raise RequestError(
                422, "two_targets", "energy_wh or target_soc_percent, not both"
            )
        now = self._clock.now()
        if departure_at is not None and departure_at <= now:
            raise RequestError(422, "bad_time", "departure_at: lies in the past")

        def job(conn: sqlite3.Connection) -> None:
            if says_need:
                requests.put(
                    conn,
                    session_id=session.session_id,
                    energy_wh=energy_wh,
                    target_soc_percent=target_soc_percent,
                    departure_at=departure_at,
                    is_default=False,
                    source=source,
                    now=now,
                )
            if may_pause is not None:
                requests.put_pausing(
                    conn,
                    session.session_id,
                    may_pause=may_pause,
                    source=source,
                    now=now,
                )

        await self._writer.run(job)
        self._bus.publish(RequestChanged(session_id=session.session_id, at=now))

    async def promise(self, session_id: SessionId) -> dict[str, Any] | None:
        """What the newest plan expects for a session, ready for JSON."""
        return (await self.promises([session_id])).get(session_id)

    async def promises(
        self, session_ids: Sequence[SessionId]
    ) -> dict[SessionId, dict[str, Any]]:
        """What the newest plans expect for sessions, ready for JSON."""
        rows = await self._queries.rows(
            "SELECT session_id, energy_wh, shortfall_wh, departure_at, is_default,"
            " reason, made_at, delivered_wh, guaranteed_wh, is_at_risk, energy_from,"
            " departure_from FROM session_promise WHERE session_id IN"
            " (SELECT value FROM json_each(?))",
            (json.dumps(session_ids),),
        )
        return {
            SessionId(row[0]): {
                "energy_wh": row[1],
                "shortfall_wh": row[2],
                "departure_at": row[3],
                "is_default": bool(row[4]),
                "reason": row[5],
                "made_at": row[6],
                "likely_wh": row[7] + row[1],
                "guaranteed_wh": row[8],
                "at_risk": bool(row[9]),
                "energy_from": row[10],
                "departure_from": row[11],
            }
            for row in rows
        }

    async def requests(
        self, session_ids: Sequence[SessionId]
    ) -> dict[SessionId, dict[str, Any]]:
        """What was asked for sessions, ready for JSON."""
        rows = await self._queries.rows(
            "SELECT session_id, energy_wh, target_soc_percent, departure_at,"
            " is_default, may_pause FROM session_request WHERE session_id IN"
            " (SELECT value FROM json_each(?))",
            (json.dumps(session_ids),),
        )
        return {
            SessionId(row[0]): {
                "energy_wh": row[1],
                "target_soc_percent": row[2],
                "departure_at": row[3],
                "is_default": bool(row[4]),
                "may_pause": None if row[5] is None else bool(row[5]),
            }
            for row in rows
        }

    async def end_by_operator(self, session: Session) -> None:
        """Close a session that its station will never end.

        Raises:
            RequestError: 409 it is over already.
        """
        if session.phase is not SessionPhase.RUNNING:
            raise RequestError(409, "session_over", "the session has ended")
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> Session | None:
            return requests.end_by_operator(conn, session.session_id, now)

        ended = await self._writer.run(job)
        if ended is None:
            raise RequestError(409, "session_over", "the session has ended")
        self._bus.publish(
            FactCommitted(
                offset=0,
                event=SessionEnded(
                    station_id=session.station_id,
                    evse=None,
                    occurred_at=now,
                    received_at=now,
                    transaction_id=session.transaction_id or "",
                    register_milliwh=None,
                    stop_reason="Operator",
                ),
                session=ended,
            )
        )

    def driver_token(self, session_id: SessionId) -> str:
        """The secret part of a driver's link: names one session and proves it."""
        return f"{session_id}.{self._mac(session_id)}"

    def session_of_link(self, token: str) -> SessionId | None:
        """The session a driver's link opens; ``None`` if it was not made here."""
        session_id, _, mac = token.partition(".")
        if hmac.compare_digest(mac.encode(), self._mac(session_id).encode()):
            return SessionId(session_id)
        return None

    def _mac(self, session_id: str) -> str:
        digest = hmac.new(
            self._pepper.secret, b"driver-link\x00" + session_id.encode(), "sha256"
        ).digest()
        return base64.urlsafe_b64encode(digest[:LINK_BYTES]).decode().rstrip("=")
