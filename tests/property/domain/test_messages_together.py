"""Messages written together leave the same rows, and say the same, as one by one."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.events import Deviation
from gateway.domain.ids import StationId
from gateway.services.sealing import LogSealer
from gateway.store import sessions
from gateway.store.entry import Entry, Receipt
from gateway.store.schema import WriterConnection
from gateway.store.sqlite import AppendJob, Hooks
from tests.support.journal import (
    CP1,
    CP2,
    accept,
    eight_readings,
    ended,
    entry,
    register,
    started,
    updated,
)
from tests.support.ready_database import ready_database

HOOKS = Hooks(judge=accept, sealer=LogSealer(tariff_id_of=lambda _: None))
TABLES = {
    "frame": "*",
    "session": "*",
    "reading": "*",
    "orphan": "*",
    "amendment": "*",
    "station_deviation": "*",
    "station_clock": "*",
    "leaf": "leaf_index, kind, subject, record, sealed_at",
}


@contextmanager
def _database() -> Iterator[WriterConnection]:
    with tempfile.TemporaryDirectory() as folder:
        conn = ready_database(Path(folder) / "w.sqlite3", with_ledger=True)
        try:
            yield conn
        finally:
            conn.close()


def _rows(conn: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: conn.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - names from above
        for table, columns in TABLES.items()
    }


def _message(kind: str, station: StationId, minute: int, wh: int) -> Entry:
    """A message of the station's only transaction; any order, any repetition."""
    match kind:
        case "start":
            event = started(0, station=station, wire_id="tx", wh=1000, sequence=0)
            return entry(event, ours=False)
        case "end":
            event_of_end = ended(90, station=station, wire_id="tx", wh=9000, sequence=9)
            return entry(event_of_end, ours=False)
        case "stray":
            stray = updated(minute, station=station, wire_id="404", readings=())
            return entry(stray)
        case "two":
            readings = (register(minute, wh), *eight_readings(minute + 1, wh + 1))
        case "odd":
            odd = updated(minute, station=station, wire_id="tx", sequence=minute)
            found = Deviation(kind="over_long", path="$.x", detail=str(wh))
            return msgspec.structs.replace(
                entry(odd, ours=False), deviations=(found, found)
            )
        case "state":
            readings = ()
        case "last":
            readings = (register(minute, wh, "Transaction.End"),)
        case _:
            readings = eight_readings(minute, wh)
    event_of_update = updated(
        minute, station=station, wire_id="tx", readings=readings, sequence=minute
    )
    return entry(event_of_update, ours=False)


MESSAGES = st.lists(
    st.builds(
        _message,
        st.sampled_from(
            [
                "start",
                "end",
                "stray",
                "two",
                "odd",
                "last",
                "state",
                "next",
                "next",
                "next",
            ]
        ),
        st.sampled_from([CP1, CP2]),
        st.integers(1, 12),
        st.integers(1000, 1012),
    ),
    max_size=24,
)


def _store(groups: Sequence[Sequence[Entry]]) -> tuple[list[Receipt], object]:
    with _database() as conn:
        receipts: list[Receipt] = []
        for group in groups:
            jobs = [AppendJob(message, HOOKS) for message in group]
            receipts += jobs[0].run_all(conn, jobs)
        return receipts, _rows(conn)


@settings(max_examples=80, deadline=None)
@given(MESSAGES, st.integers(2, 24))
def test_a_group_leaves_what_its_messages_leave_one_by_one(
    messages: list[Entry], size: int
) -> None:
    opening = [
        _message(kind, station, 0, 1000)
        for kind in ("start", "next")
        for station in (CP1, CP2)
    ]
    everything = opening + messages
    with _database() as conn:
        alone = [AppendJob(message, HOOKS)(conn) for message in everything]
        rows = _rows(conn)
        for (station_id, wire_id), known in conn.remembered.items():
            assert known == sessions.by_id(conn, known.session_id)
            assert (station_id, wire_id) == (known.station_id, known.transaction_id)
    groups = [everything[at : at + size] for at in range(0, len(everything), size)]
    assert _store(groups) == (alone, rows)
