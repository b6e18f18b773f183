"""Whether a session was promised the station's tariff before its driver was known."""

import json
import sqlite3
from typing import Final

from gateway.domain.ids import IdToken
from gateway.domain.session import Session
from gateway.domain.tariff import Tariff
from gateway.store import group_tariffs

_START: Final = (
    "SELECT record FROM leaf WHERE subject = ? AND kind = 'session_start' LIMIT 1"
)


def is_group_late(
    conn: sqlite3.Connection, session: Session, tariff: Tariff | None
) -> bool:
    """Whether the token came after the promise, and its group has another tariff.

    The promise is sealed and stays; whether the driver pays by it is for a person to
    say.
    """
    if tariff is None or session.id_token is None:
        return False
    token = IdToken(value=session.id_token, kind=session.token_kind)
    own = group_tariffs.of_token(conn, token)
    if own is None or own == tariff.id:
        return False
    row = conn.execute(_START, (session.session_id,)).fetchone()
    return (
        row is not None
        and row[0] is not None
        and "id_token_sha256" not in json.loads(row[0])
    )
