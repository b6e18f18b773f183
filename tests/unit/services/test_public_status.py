"""Packed status is offered until somebody takes it, and again when it was lost."""

import sqlite3
from types import SimpleNamespace
from typing import cast

from gateway.domain.ids import EvseRef, StationId
from gateway.domain.topology import Site
from gateway.services.public_status import RECORD, PublicStatus


def public_status() -> PublicStatus:
    evse = SimpleNamespace(
        public=True,
        ref=EvseRef(station_id=StationId("CP-1"), evse_id=1),
        rating_w=11_000,
    )
    site = cast("Site", SimpleNamespace(name="site", evses=(evse,)))
    return PublicStatus(site=lambda: site, limit_w=lambda _evse: None)


def empty_database() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    conn.executescript(
        "CREATE TABLE session (station_id, evse_id, phase, charging_state, power_w);"
        "CREATE TABLE evse_status (station_id, evse_id, availability, received_at);"
    )
    return conn


def test_what_nobody_took_is_packed_again() -> None:
    status, conn = public_status(), empty_database()
    first = status.pack(conn)
    assert len(first) == RECORD.size
    assert status.pack(conn) == first
    status.keep(True)
    assert status.pack(conn) == b""
    conn.close()


def test_what_a_failed_anchor_carried_is_packed_again() -> None:
    status, conn = public_status(), empty_database()
    first = status.pack(conn)
    status.keep(True)
    status.keep(False)
    assert status.pack(conn) == first
    conn.close()
