"""Whatever two stations repeat and reorder, sessions and energy stay the same."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ids import StationId
from gateway.store.entry import Entry
from gateway.store.sqlite import Hooks, append_entry
from tests.support.journal import (
    CP1,
    CP2,
    accept,
    ended,
    entry,
    register,
    started,
    updated,
)
from tests.support.ready_database import ready_database

HOOKS = Hooks(judge=accept)


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory() as folder:
        conn = ready_database(Path(folder) / "w.sqlite3")
        try:
            yield conn
        finally:
            conn.close()


def _messages(station: StationId, energies: list[int]) -> list[Entry]:
    """Sessions one after another on one EVSE, both stations with the same wire ids."""
    log: list[Entry] = []
    wh = 1000
    for number, energy in enumerate(energies):
        begin, wire_id = number * 100, f"tx-{number}"
        log += [
            entry(event, ours=False)
            for event in (
                started(begin, station=station, wire_id=wire_id, wh=wh, sequence=0),
                updated(
                    begin + 30,
                    station=station,
                    wire_id=wire_id,
                    readings=(register(begin + 30, wh + energy // 2),),
                    sequence=1,
                ),
                ended(
                    begin + 60,
                    station=station,
                    wire_id=wire_id,
                    wh=wh + energy,
                    sequence=2,
                ),
            )
        ]
        wh += energy
    return log


def _state(conn: sqlite3.Connection) -> list[tuple[object, ...]]:
    sessions = conn.execute(
        "SELECT session_id, station_id, phase, started_at, ended_at, ended_by,"
        " register_start_milliwh, register_end_milliwh, sequences, verdicts, verdict"
        " FROM session ORDER BY session_id"
    ).fetchall()
    readings = conn.execute(
        "SELECT session_id, sampled_at, register_milliwh FROM reading"
        " ORDER BY session_id, sampled_at"
    ).fetchall()
    return sessions + readings


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 20_000), max_size=3),
    st.lists(st.integers(0, 20_000), max_size=3),
    st.randoms(use_true_random=False),
)
def test_repeated_and_shuffled_messages_of_two_stations_change_nothing(
    first: list[int], second: list[int], rng: Random
) -> None:
    log = _messages(CP1, first) + _messages(CP2, second)
    replayed = log + log
    rng.shuffle(replayed)
    with _database() as conn:
        for message in log:
            append_entry(conn, message, HOOKS)
        clean = _state(conn)
    with _database() as conn:
        for message in replayed:
            append_entry(conn, message, HOOKS)
        assert _state(conn) == clean
        for station, energies in ((CP1, first), (CP2, second)):
            total = conn.execute(
                "SELECT coalesce(sum(register_end_milliwh - register_start_milliwh), 0)"
                " FROM session WHERE station_id = ? AND verdict = 'ok-unsigned'",
                (station,),
            ).fetchone()[0]
            assert total == sum(energies) * 1000


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_repeated_1_6_messages_keep_their_numbers_and_energy(
    energies: list[int], rng: Random
) -> None:
    with _database() as conn:
        sent: list[Entry] = []
        numbers: dict[int, int] = {}
        wh = 1000

        def send(message: Entry) -> int | None:
            sent.append(message)
            return append_entry(conn, message, HOOKS).transaction_number

        for index, energy in enumerate(energies):
            begin = index * 100
            number = send(entry(started(begin, wh=wh)))
            assert number is not None
            numbers[index] = number
            wire_id = str(number)
            sample = (register(begin + 30, wh + energy // 2),)
            send(entry(updated(begin + 30, wire_id=wire_id, readings=sample)))
            send(entry(ended(begin + 60, wire_id=wire_id, wh=wh + energy)))
            wh += energy
        clean = _state(conn)
        replayed = sent + sent
        rng.shuffle(replayed)
        for message in replayed:
            append_entry(conn, message, HOOKS)
        assert _state(conn) == clean
        assert len(set(numbers.values())) == len(energies)
        again = append_entry(conn, entry(started(0, wh=1000)), HOOKS)
        assert again.transaction_number == numbers[0]
