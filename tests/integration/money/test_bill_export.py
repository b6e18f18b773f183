"""The bills of a month out of a real store, with credits and waived bills."""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.domain.bill_paper import Letterhead, paper
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.services import bill_export
from gateway.services.bill_export import Place
from gateway.store import bills
from gateway.store.times import to_text
from tests.integration.money.test_full_tariffs import use
from tests.support.journal import at
from tests.support.money import Till, open_till

BERLIN = ZoneInfo("Europe/Berlin")
PLACE = Place(name="Depot", timezone=BERLIN)
HEAD = Letterhead(site="Depot", timezone=BERLIN)
VAT = {"type": "ENERGY", "price": "0.40", "vat": 19}


async def give_back(
    till: Till,
    session_id: SessionId,
    *amounts_minor: int,
    minutes: float = 700,
    right: dict[str, int] | None = None,
) -> None:
    """Credits of a bill, one after another; by registers with the ``right`` bill."""
    document = None if right is None else json.dumps(right)

    def job(conn: sqlite3.Connection) -> None:
        (last,) = conn.execute("SELECT coalesce(max(number), 0) FROM credit").fetchone()
        for ordinal, amount_minor in enumerate(amounts_minor, 1):
            number = last + ordinal
            key = number.to_bytes(32)
            conn.execute(
                "INSERT INTO credit (number, session_id, ordinal, amount_minor,"
                " currency, reason, document, idempotency_key, asked_sha256,"
                " decided_at, decided_by, leaf_index, credit_key)"
                " VALUES (?, ?, ?, ?, 'EUR', '=wrong', ?, ?, '', ?, 't1', ?, ?)",
                (
                    number,
                    session_id,
                    ordinal,
                    amount_minor,
                    document,
                    f"k{number}",
                    to_text(at(minutes + ordinal)),
                    1000 + number,
                    key,
                ),
            )

    await till.store.writer.run(job)


async def waive(till: Till, session_id: SessionId) -> None:
    sql = "UPDATE bill SET status = 'waived' WHERE session_id = ?"
    await till.store.writer.run(lambda conn: conn.execute(sql, (session_id,)))


async def exported(till: Till, month: str) -> list[dict[str, str]]:
    span = PLACE.span(Month.parse(month))
    text = await till.store.writer.run(
        lambda conn: "".join(bill_export.file(bills.all_in_span(conn, span), PLACE))
    )
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def settled(till: Till, number: int, *, minutes: float, wh: int) -> SessionId:
    session_id = await till.session(number, wh=wh)
    till.clock.at = at(minutes)
    await till.settlement.settle(session_id)
    return session_id


async def test_credits_are_rows_below_zero_that_name_their_bill(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await use(till, VAT)
        session_id = await settled(till, 0, minutes=600, wh=12_345)
        await give_back(till, session_id, 100, 33, 455)
        bill, *credits_ = await exported(till, "2026-06")
    assert [row["number"] for row in credits_] == ["C000001", "C000002", "C000003"]
    assert {row["corrects"] for row in credits_} == {session_id} == {bill["number"]}
    assert {row["kind"] for row in credits_} == {"credit"}
    assert [row["gross"] for row in credits_] == ["-1.00", "-0.33", "-4.55"]
    assert {row["reasons"] for row in credits_} == {"'=wrong"}
    for name in ("net", "vat", "gross"):
        assert sum(Decimal(row[name]) for row in (bill, *credits_)) == 0, name


async def test_a_credit_by_registers_has_the_tax_of_the_corrected_bill(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        await use(till, VAT, {"type": "FLAT", "price": "1.00"})
        session_id = await settled(till, 0, minutes=600, wh=12_345)
        right = {"amount_minor": 555, "net_minor": 480, "minor_digits": 2}
        await give_back(till, session_id, 100, 33, right=right)
        bill, *credits_ = await exported(till, "2026-06")
    assert bill["gross"] == "6.88"
    net = [Decimal(row["net"]) for row in (bill, *credits_)]
    assert net[0] + net[1] == Decimal("5.08")  # 5.94 * 588 / 688
    assert sum(net) == Decimal("4.80")


async def test_sums_of_a_month_are_those_of_its_rows(tmp_path: Path) -> None:
    span = PLACE.span(Month.parse("2026-06"))
    async with open_till(tmp_path) as till:
        await use(till, VAT)
        first = await settled(till, 0, minutes=600, wh=12_345)
        await settled(till, 1, minutes=900, wh=7_000)
        held = await till.session(2, wh=5_000, end_wh=500)
        await till.settlement.settle(held)
        lost = await till.session(3, wh=5_000, end_wh=400)
        await till.settlement.settle(lost)
        await waive(till, lost)
        await give_back(till, first, 250)
        rows = await exported(till, "2026-06")
        found = await till.store.writer.run(
            lambda conn: bill_export.totals_json(
                bills.totals(conn, span),
                bills.credits_in_span(conn, span),
                Month.parse("2026-06"),
                PLACE,
            )
        )
    assert [found[name] for name in ("settled", "held", "waived")] == [2, 1, 1]
    (sums,) = found["totals"]
    for name in ("net", "vat", "gross", "energy_kwh"):
        cells = [Decimal(row[name] or 0) for row in rows]
        assert sum(cells) == Decimal(sums[name]), name
    assert {row["gross"] for row in rows if row["status"] != "settled"} == {""}
    assert [row["decided_at"] for row in rows] == sorted(r["decided_at"] for r in rows)


async def test_the_month_ends_at_midnight_where_the_site_is(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        before = at(0).replace(month=6, day=30, hour=21, minute=59)
        await till.session(0)
        till.clock.at = before
        one = await till.settlement.catch_up()
        await till.session(1)
        till.clock.at = before.replace(hour=22, minute=0)
        two = await till.settlement.catch_up()
        assert (one, two) == (1, 1)
        june, july = [await exported(till, month) for month in ("2026-06", "2026-07")]
    assert june[0]["decided_at"] == "2026-06-30T23:59:00+02:00"
    assert july[0]["decided_at"] == "2026-07-01T00:00:00+02:00"
    assert (len(june), len(july)) == (1, 1)


def paged(conn: sqlite3.Connection, size: int) -> list[str]:
    """The numbers of a month, read so many at a time."""
    found: list[str] = []
    after = None
    span = PLACE.span(Month.parse("2026-06"))
    while page := bills.in_span(conn, span, after, size):
        found += [one.number for one in page]
        after = (page[-1].decided_at, page[-1].number)
    return found


async def test_pages_of_any_size_make_the_same_list(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(0)
        for number in range(1, 5):
            await till.session(number)
        await till.settlement.catch_up()  # all at one moment
        await give_back(till, session_id, 1, 2, 3, minutes=600)
        whole = await exported(till, "2026-06")
        assert len(whole) == 8
        for size in (1, 2, 3):
            names = await till.store.writer.run(partial(paged, size=size))
            assert names == [row["number"] for row in whole]


async def test_a_bill_says_what_was_given_back_and_what_is_left(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await use(till, VAT)
        session_id = await settled(till, 0, minutes=600, wh=12_345)
        await give_back(till, session_id, 88)
        found = await till.store.writer.run(lambda conn: bills.facts(conn, session_id))
    assert found is not None
    told = paper(found, HEAD, language="en", is_for_driver=True)
    assert told.total == "Left to pay: 5.00 EUR"
    table = next(one for one in told.tables if one.title.startswith("Money back"))
    assert table.rows[0][0] == "C000001"
    assert table.rows[0][2:] == ("=wrong", "-0.88")
    assert table.foot[0][-1] == "5.00"


async def test_a_waived_bill_is_final_and_nothing_is_to_pay(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=5_000, end_wh=1_500)
        row = await till.settlement.settle(session_id)
        assert row is not None
        assert row.status == "held"
        await waive(till, session_id)
        found = await till.store.writer.run(lambda conn: bills.facts(conn, session_id))
    assert found is not None
    told = paper(found, HEAD, language="de", is_for_driver=True)
    assert told.is_final
    assert told.state == "Erlassen: Es ist nichts zu zahlen"
    assert told.total == "Zu zahlen: 0,00 EUR"
    assert told.verify == ""


async def test_the_command_writes_the_month_and_tells_its_sums(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[store]\npath = "data"\n[site]\nname = "Depot Süd"\n'
        'timezone = "Europe/Berlin"\ngrid = "TN"\nnominal_v = 230\n'
        '[[cabinet]]\nid = "A"\nlimit_a = [63, 63, 63]\n',
        "utf-8",
    )
    database = config.parent / "data"
    database.mkdir()

    async def run(month: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "gateway", "export", month]
        return await asyncio.to_thread(
            subprocess.run,
            [*command, "--config", str(config)],
            capture_output=True,
            check=False,
        )

    assert (await run("2026-06")).returncode == 1
    async with open_till(database) as till:
        await settled(till, 0, minutes=600, wh=10_000)
        with closing(sqlite3.connect(till.store.writer.path)) as conn:
            conn.execute("VACUUM INTO ?", (str(database / "wattproof.db"),))
        done = await run("2026-06")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\r\n")
    assert b"\r\r\n" not in done.stdout
    (row,) = csv.DictReader(io.StringIO(done.stdout.decode(), newline=""))
    assert row["site"] == "Depot Süd"
    assert f"gross {row['gross']}" in done.stderr.decode()
    assert (await run("June")).returncode == 2
