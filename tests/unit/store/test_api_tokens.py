"""Tokens, one-time links and the audit trail."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.store import api_tokens
from gateway.store.api_tokens import Role
from gateway.store.schema import open_database

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "wattproof.db")
    yield opened
    opened.close()


def test_a_token_is_found_by_its_secret_only(conn: sqlite3.Connection) -> None:
    secret, token = api_tokens.create_token(
        conn, role=Role.VIEWER, label="wall screen", now=NOW
    )
    assert api_tokens.find_token(conn, secret, NOW) == token
    assert api_tokens.find_token(conn, secret + "x", NOW) is None
    assert api_tokens.find_token(conn, token.token_id, NOW) is None


def test_a_revoked_or_expired_token_opens_nothing(conn: sqlite3.Connection) -> None:
    secret, token = api_tokens.create_token(conn, role=Role.ADMIN, label="a", now=NOW)
    assert api_tokens.has_admin(conn)
    assert api_tokens.revoke_token(conn, token.token_id, NOW)
    assert not api_tokens.revoke_token(conn, token.token_id, NOW)
    assert api_tokens.find_token(conn, secret, NOW) is None
    assert not api_tokens.has_admin(conn)
    soon = NOW + timedelta(hours=1)
    secret, _ = api_tokens.create_token(
        conn, role=Role.VIEWER, label="b", now=NOW, expires_at=soon
    )
    assert api_tokens.find_token(conn, secret, NOW) is not None
    assert api_tokens.find_token(conn, secret, soon) is None


def test_a_link_works_once_and_not_for_ever(conn: sqlite3.Connection) -> None:
    link = api_tokens.create_link(conn, role=Role.ADMIN, now=NOW)
    redeemed = api_tokens.redeem_link(conn, link, NOW)
    assert redeemed is not None
    secret, token = redeemed
    assert token.role is Role.ADMIN
    assert api_tokens.find_token(conn, secret, NOW) == token
    assert api_tokens.redeem_link(conn, link, NOW) is None
    late = api_tokens.create_link(conn, role=Role.ADMIN, now=NOW)
    assert api_tokens.redeem_link(conn, late, NOW + api_tokens.LINK_TTL) is None


def test_a_session_of_a_link_is_no_lasting_admin(conn: sqlite3.Connection) -> None:
    link = api_tokens.create_link(conn, role=Role.ADMIN, now=NOW)
    assert api_tokens.redeem_link(conn, link, NOW) is not None
    assert not api_tokens.has_admin(conn)


def test_the_audit_trail_only_grows(conn: sqlite3.Connection) -> None:
    for action in ("limit.set", "mode.set"):
        api_tokens.audit(conn, at=NOW, actor="t1", action=action, subject="cabinet/A")
    newest, oldest = api_tokens.audit_entries(conn)
    assert (newest.action, oldest.action) == ("mode.set", "limit.set")
    assert api_tokens.audit_entries(conn, before=newest.audit_id) == [oldest]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute("DELETE FROM audit")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute("UPDATE audit SET actor = 'nobody'")
