"""Settled sessions as charge detail records."""

import asyncio
import sqlite3
from typing import Any

from fastapi import APIRouter

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer
from gateway.domain.cdr import CdrFacts, cdr
from gateway.domain.ids import IdToken, SessionId
from gateway.errors import RequestError
from gateway.store import money, sessions

router = APIRouter(prefix="/sessions", tags=["sessions"], route_class=CheckedRoute)


@router.get("/{session_id}/cdr")
async def session_cdr(
    session_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """Its settled bill as an OCPI 2.2.1 CDR; 409 ``not_settled`` until there is one."""
    facts = await asyncio.to_thread(
        context.queries.read_now, lambda conn: _facts(conn, SessionId(session_id))
    )
    return cdr(facts)


def _facts(conn: sqlite3.Connection, session_id: SessionId) -> CdrFacts:
    session = sessions.by_id(conn, session_id)
    if session is None:
        raise RequestError(404, "unknown_session", "no such session")
    bill = money.find_bill(conn, session_id)
    tariff = money.promised_tariff(conn, session_id)
    starts, ends = session.started_at, session.ended_at
    if (
        bill is None
        or bill.status != "settled"
        or bill.document is None
        or tariff is None
        or starts is None
        or ends is None
    ):
        raise RequestError(409, "not_settled", "the session has no settled bill")
    token = None
    if session.id_token is not None:
        token = IdToken(value=session.id_token, kind=session.token_kind)
    return CdrFacts(
        session_id=session_id,
        started_at=starts,
        ended_at=ends,
        token=token,
        location={
            "id": session.station_id,
            "evse_uid": f"{session.station_id}-{session.evse_id}",
            "connector_id": str(session.connector_id),
        },
        tariff=tariff,
        bill=bill.document,
        settled_at=bill.decided_at,
    )
