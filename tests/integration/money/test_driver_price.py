"""What a driver's page says of prices and costs."""

import sqlite3
from functools import partial
from pathlib import Path

from gateway.domain.ids import SessionId
from gateway.services.corrections import Corrections
from gateway.services.crediting import Credit
from gateway.services.decisions import Correction
from gateway.services.driver_price import (
    DriverPrice,
    driver_doubt,
    driver_meter,
    driver_price,
)
from gateway.services.stated import Stated
from gateway.store import money, sessions
from tests.support.journal import at, entry, register, started, updated
from tests.support.money import Till, day_night, open_till

TEXT = "0.42 EUR per kWh incl. VAT until 14:30, then 0.29"


def desk(till: Till) -> Corrections:
    return Corrections(
        writer=till.store.writer, bus=till.bus, clock=till.clock, terms=till.terms
    )


async def shown(till: Till, session_id: SessionId, minutes: float) -> DriverPrice:
    def job(conn: sqlite3.Connection) -> DriverPrice:
        session = sessions.by_id(conn, session_id)
        assert session is not None
        bill = money.find_bill(conn, session_id)
        return driver_price(conn, session, bill, at(minutes))

    return await till.store.writer.run(job)


async def test_a_driver_sees_the_prices_that_were_promised_and_the_cost_so_far(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        begun = await till.store.append_and_wait(entry(started(0, wh=1000)))
        assert begun.session is not None
        session_id = begun.session.session_id
        dearer = partial(
            money.put_tariff, tariff=day_night("9", "9"), source="api", now=at(1)
        )
        await till.store.writer.run(dearer)
        number = str(begun.transaction_number)
        sample = updated(15, wire_id=number, readings=(register(15, 6_000),))
        await till.store.append_and_wait(entry(sample))
        assert await shown(till, session_id, 15) == DriverPrice(
            price=TEXT, cost="2.10 EUR"
        )


async def test_the_cost_of_a_bill_is_the_bills(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000)
        before = await shown(till, session_id, 90)
        row = await till.settlement.settle(session_id)
        assert row is not None
        assert row.amount_minor == 426
        after = await shown(till, session_id, 90)
        assert before.cost == after.cost == "4.26 EUR"


async def test_without_a_tariff_nothing_is_told(tmp_path: Path) -> None:
    async with open_till(tmp_path, has_tariff=False) as till:
        session_id = await till.session()
        assert await shown(till, session_id, 90) == DriverPrice(price=None, cost=None)


async def test_a_driver_pays_what_credits_leave(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000)
        await till.settlement.settle(session_id)
        wish = Credit(amount_minor=26, reason="a fault", idempotency_key="k")
        await desk(till).credit(session_id, wish, "token1")
        after = await shown(till, session_id, 90)
        assert (after.cost, after.credited) == ("4.00 EUR", "0.26 EUR")


async def test_a_driver_pays_nothing_for_a_waived_bill(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000, end_wh=900_000)
        await till.settlement.settle(session_id)
        await desk(till).waive(session_id, "the meter is broken", "token1")
        assert (await shown(till, session_id, 90)).cost == "0.00 EUR"


async def test_the_meter_on_the_page_is_that_of_the_bill(tmp_path: Path) -> None:
    """The end is a 0 that cannot be true; an operator read the meter."""

    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000, end_wh=0)

        def job(conn: sqlite3.Connection) -> tuple[dict[str, int], str | None]:
            session = sessions.by_id(conn, session_id)
            assert session is not None
            bill = money.find_bill(conn, session_id)
            return driver_meter(session, bill), driver_doubt(bill)

        row = await till.settlement.settle(session_id)
        assert row is not None
        assert row.status == "held"
        held, doubt = await till.store.writer.run(job)
        assert held["register_end_milliwh"] == 10_000_000
        assert doubt == "The meter readings of this session are incomplete or unusual."
        stated = Stated(register_end_milliwh=9_800_000)
        wish = Correction(stated=stated, amount_minor=None, reason="read at the meter")
        await desk(till).correct(session_id, wish, "t1")
        assert await till.store.writer.run(job) == (
            {
                "energy_milliwh": 8_800_000,
                "register_start_milliwh": 1_000_000,
                "register_end_milliwh": 9_800_000,
            },
            None,
        )
