"""The writer keeps running sessions at hand: never anything that was rolled back."""

import sqlite3
from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.session import SessionPhase
from gateway.services.sealing import LogSealer, install_ledger
from gateway.store import money
from gateway.store import readings as reading_rows
from gateway.store.entry import Entry
from gateway.store.schema import WriterConnection
from gateway.store.sqlite import Hooks, Store, append_entry
from tests.support.journal import (
    accept,
    eight_readings,
    ended,
    entry,
    open_store,
    register,
    started,
    updated,
)


def _meter(number: str, minute: int, wh: int) -> Entry:
    readings = eight_readings(minute, wh)
    return entry(updated(minute, wire_id=number, readings=readings))


async def _running(store: Store) -> str:
    """A session that the writer remembers; its number."""
    receipt = await store.append_and_wait(entry(started(0, wh=1000)))
    number = str(receipt.transaction_number)
    await store.append_and_wait(_meter(number, 10, 1500))
    return number


async def _remembered(store: Store) -> int:
    def count(conn: sqlite3.Connection) -> int:
        assert isinstance(conn, WriterConnection)
        return len(conn.remembered)

    return await store.writer.run(count)


async def test_a_running_session_is_remembered_until_it_ends(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = await _running(store)
        assert await _remembered(store) == 1
        receipt = await store.append_and_wait(_meter(number, 20, 2000))
        assert receipt.session is not None
        assert await queries.session(receipt.session.session_id) == receipt.session
        await store.append_and_wait(entry(ended(60, wire_id=number, wh=3000)))
        assert await _remembered(store) == 0
        late = await store.append_and_wait(_meter(number, 30, 2500))
        assert late.session is not None
        assert late.session.phase is SessionPhase.ENDED


async def test_a_session_is_at_hand_from_its_start_on(tmp_path: Path) -> None:
    """So that its first meter values are as cheap as all later ones."""
    async with open_store(tmp_path) as (store, _):
        await store.append_and_wait(entry(started(0, wh=1000)))
        assert await _remembered(store) == 1


async def test_two_sessions_under_one_wire_id_are_looked_up(tmp_path: Path) -> None:
    """A station that counts anew: which one is meant depends on the message."""
    async with open_store(tmp_path) as (store, _):
        for minute in (0, 100):
            first = started(minute, wire_id="7", sequence=0, wh=1000 + minute)
            receipt = await store.append_and_wait(entry(first, ours=False))
            assert receipt.session is not None
            over = ended(minute + 50, wire_id="7", wh=1050 + minute, sequence=5)
            await store.append_and_wait(entry(over, ours=False))
        again = started(200, wire_id="7", sequence=0, wh=1200)
        await store.append_and_wait(entry(again, ours=False))
        assert await _remembered(store) == 0


async def test_a_message_that_was_rolled_back_leaves_no_trace_in_memory(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = await _running(store)

        def fails_after_folding(conn: sqlite3.Connection) -> None:
            append_entry(conn, _meter(number, 20, 9000), store.hooks)
            raise LookupError("after the fold")

        with pytest.raises(LookupError, match="after the fold"):
            await store.writer.run(fails_after_folding)
        receipt = await store.append_and_wait(_meter(number, 30, 2000))
        session = receipt.session
        assert session is not None
        assert session.register_last_milliwh == 2_000_000
        assert await queries.session(session.session_id) == session


@pytest.mark.parametrize("is_end", [False, True])
async def test_a_register_that_drops_within_one_message_is_a_drop(
    tmp_path: Path, is_end: bool
) -> None:
    """As in the transaction data of a station whose meter was reset on the way."""
    async with open_store(tmp_path) as (store, _):
        number = await _running(store)
        readings = (register(20, 5000), register(30, 1600), register(40, 5000))
        said = (
            ended(40, wire_id=number, wh=5000, readings=readings)
            if is_end
            else updated(40, wire_id=number, readings=readings)
        )
        receipt = await store.append_and_wait(entry(said))
        assert receipt.session is not None
        assert "register_drop" in receipt.session.verdicts


async def test_a_station_named_like_a_session_adds_nothing_to_it(
    tmp_path: Path,
) -> None:
    """Its samples without a session are kept under its name."""
    hooks = Hooks(judge=accept, sealer=LogSealer(tariff_id_of=lambda _: None))
    async with open_store(tmp_path, hooks) as (store, queries):
        await store.writer.run(install_ledger)
        number = await _running(store)
        receipt = await store.append_and_wait(_meter(number, 20, 2000))
        assert receipt.session is not None
        session_id = receipt.session.session_id
        namesake = StationId(session_id)

        def shown(conn: sqlite3.Connection) -> tuple[object, ...]:
            return (
                reading_rows.leaves_of(conn, session_id),
                money.registers_of(conn, session_id),
                money.sealed_registers(conn, session_id),
            )

        before = await store.writer.run(shown)
        stray = updated(15, wire_id=None, station=namesake, readings=(register(15, 9),))
        await store.append_and_wait(entry(stray))
        assert await store.writer.run(shown) == before
        assert len(await queries.readings(session_id)) == 2
        late = register(16, 1700)
        again = updated(16, wire_id=number, readings=(late,), received=30)
        found = await store.append_and_wait(entry(again))
        assert found.session is not None
        assert not found.session.verdicts
