"""Every earlier schema, filled, brought forward: no row lost, none changed."""

from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.queries import Queries
from gateway.store.schema import migrations, open_database
from tests.support.filled_schema import copy_what_fits, fill, older_schema, read
from tests.support.journal import ended, entry, open_store, register, started, updated

VERSIONS = [step.version for step in migrations()]


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_of_every_table_come_through_each_later_step(
    tmp_path: Path, version: int
) -> None:
    with closing(older_schema(tmp_path, version)) as before:
        filled = fill(before)
        assert before.execute("PRAGMA foreign_key_check").fetchall() == []
    with closing(open_database(tmp_path / "w.sqlite3")) as after:
        (reached,) = after.execute("SELECT max(version) FROM schema_version").fetchone()
        assert reached == VERSIONS[-1]
        for table, row in filled.items():
            now = read(after, table)
            assert {name: now[name] for name in row} == row, table
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert after.execute("PRAGMA foreign_key_check").fetchall() == []


def test_rows_in_every_table_are_many(tmp_path: Path) -> None:
    """That the test above fills anything."""
    with closing(older_schema(tmp_path, VERSIONS[-1])) as conn:
        assert len(fill(conn)) > 50


@pytest.mark.parametrize("version", VERSIONS)
async def test_sessions_of_each_earlier_version_are_read_as_they_were(
    tmp_path: Path, version: int
) -> None:
    newest, older = tmp_path / "newest", tmp_path / "older"
    newest.mkdir()
    older.mkdir()
    async with open_store(newest) as (store, queries):
        receipt = await store.append_and_wait(entry(started()))
        number = str(receipt.transaction_number)
        for minutes, wh in ((15, 3_000), (30, 6_000)):
            sample = updated(minutes, wire_id=number, readings=(register(minutes, wh),))
            await store.append_and_wait(entry(sample))
        await store.append_and_wait(entry(ended(45, wire_id=number, wh=9_000)))
        await store.append_and_wait(entry(started(60, evse=2)))
        sessions = await queries.sessions(limit=10)
        readings = [await queries.readings(one.session_id) for one in sessions]
    with (
        closing(open_database(newest / "wattproof.sqlite3")) as source,
        closing(older_schema(older, version)) as target,
    ):
        copy_what_fits(source, target)
    with closing(open_database(older / "w.sqlite3")):
        pass
    queries = Queries(older / "w.sqlite3", readers=1)
    await queries.open()
    try:
        assert len(sessions) == 2
        assert await queries.sessions(limit=10) == sessions
        assert [await queries.readings(one.session_id) for one in sessions] == readings
        assert sum(len(of_session) for of_session in readings) >= 2
    finally:
        await queries.close()
