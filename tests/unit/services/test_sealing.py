"""Leaves for readings: the fast form is the canonical form."""

import sqlite3
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Sample
from gateway.services.sealing import LogSealer, install_ledger
from gateway.store.entry import StoredReading
from gateway.store.times import to_text
from ledger import record
from ledger.sqlite_store import append_leaf

AT = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_a_log_of_an_earlier_version_gets_the_new_tables_and_is_left_as_it_is() -> None:
    conn = sqlite3.connect(":memory:")
    install_ledger(conn)
    append_leaf(conn, "status", "", b"{}", None, "")
    conn.execute("DROP TABLE cabinet_state")
    for _start in range(2):
        install_ledger(conn)
        row = conn.execute("SELECT gathered_leaf_count FROM cabinet_state").fetchone()
        assert row == (1,), "sub-trees begin where the log ends now"
        append_leaf(conn, "status", "", b"{}", None, "")


@given(
    context=TEXT,
    station=TEXT,
    session=st.none() | TEXT,
    register=st.none() | st.integers(0, 10**15),
    evse=st.integers(0, 1000),
)
def test_a_sealed_reading_is_canonical_whatever_the_station_wrote(
    context: str, station: str, session: str | None, register: int | None, evse: int
) -> None:
    conn = sqlite3.connect(":memory:")
    install_ledger(conn)
    sample = Sample(sampled_at=AT, context=context, register_milliwh=register)

    leaf_index = LogSealer(tariff_id_of=lambda _: None).metered(
        conn,
        [
            StoredReading(
                session_id=None if session is None else SessionId(session),
                station_id=StationId(station),
                evse_id=evse,
                received_at=AT,
                sample=sample,
            )
        ],
    )

    sealed = conn.execute(
        "SELECT record FROM leaf WHERE leaf_index = ?", (leaf_index,)
    ).fetchone()[0]
    conn.close()
    assert sealed == record.canonical(
        "meter",
        {
            "session_id": session,
            "station_id": station,
            "evse_id": evse,
            "occurred_at": to_text(AT),
            "received_at": to_text(AT),
            "register_milliwh": register,
            "context": context,
        },
    )
