"""A session costs what was asked when it began, whenever it is told."""

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.ids import SessionId
from gateway.store import clocks, money
from gateway.store.money import BillRow
from gateway.store.schema import open_database
from gateway.store.times import to_text
from tests.support.filled_schema import older_schema
from tests.support.journal import at, ended, entry, started
from tests.support.money import Till, day_night, open_till


async def billed(till: Till, name: str, begin: float) -> BillRow:
    """A session of 10 kWh in an hour, told long after."""
    start = started(begin, wire_id=name, wh=1000, received=500)
    end = ended(begin + 60, wire_id=name, wh=11_000, received=500)
    await till.store.append_and_wait(entry(start, ours=False))
    done = await till.store.append_and_wait(entry(end, ours=False))
    assert done.session is not None
    row = await till.settlement.settle(done.session.session_id)
    assert row is not None
    return row


async def change(till: Till, price: str, minutes: float) -> None:
    tariff = day_night(price, price)
    await till.store.writer.run(
        lambda conn: money.put_tariff(conn, tariff, source="api", now=at(minutes))
    )


@pytest.mark.parametrize(
    ("begin", "amount_minor"),
    [(-600, 290), (-59, 420), (99, 290), (100, 1000), (250, 1000), (301, 2000)],
)
async def test_each_version_of_a_tariff_holds_from_its_time_on(
    tmp_path: Path, begin: float, amount_minor: int
) -> None:
    async with open_till(tmp_path) as till:
        await change(till, "1", 100)
        await change(till, "1", 200)  # says the same
        await change(till, "2", 300)
        row = await billed(till, "tx", begin)
        assert (row.status, row.amount_minor) == ("settled", amount_minor)


async def test_a_tariff_that_a_restart_reads_again_is_no_new_version(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        for minutes in (10, 20, 30):
            job = partial(
                money.load_config_tariffs, tariffs=[day_night()], now=at(minutes)
            )
            await till.store.writer.run(job)
        rows = await till.store.writer.run(
            lambda conn: conn.execute("SELECT count(*) FROM tariff_version").fetchone()
        )
        assert rows == (1,)


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(0, "settled"), (59, "settled"), (90, "held")]
)
async def test_a_clock_that_is_off_where_a_tariff_was_changed_holds_the_bill(
    tmp_path: Path, ahead_s: int, status: str
) -> None:
    async with open_till(tmp_path) as till:
        await change(till, "1", 171)
        await till.store.writer.run(
            lambda conn: clocks.observe(conn, "CP1", ahead_s * 1000, at(0))
        )
        row = await billed(till, "tx", 170)
        assert row.status == status
        assert ("clock_offset" in row.reasons) is (status == "held")


def test_a_tariff_of_an_older_schema_holds_since_it_was_last_written(
    tmp_path: Path,
) -> None:
    with closing(older_schema(tmp_path, 22)) as before:
        before.execute(
            "INSERT INTO tariff VALUES ('T', ?, 'api', ?)",
            (day_night().snapshot_json(), to_text(at(0))),
        )
    with closing(open_database(tmp_path / "w.sqlite3")) as after:
        money.put_tariff(after, day_night("1", "1"), source="api", now=at(10))
        for name, minutes, price in (("a", 5, 420_000), ("b", 15, 1_000_000)):
            session_id = SessionId(name)
            began = at(minutes)
            money.fix_tariff(after, session_id, "T", at(60), began_at=began)
            promised = money.promised_tariff(after, session_id)
            assert promised is not None
            assert promised.price_at(at(0)) == price
