"""Ended sessions become bills once, whatever happens in between."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from gateway.bus import Bus, FactCommitted, SessionSettled
from gateway.config import Regime
from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services.billing import cost_so_far
from gateway.store import api_tokens, clocks, money, sessions
from tests.support.journal import at, ended, entry, register, started, updated
from tests.support.money import Till, day_night, open_till


async def count(till: Till, table: str) -> int:
    def job(conn: sqlite3.Connection) -> int:
        return int(conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a table of ours

    return await till.store.writer.run(job)


async def test_a_good_session_settles_by_itself(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000)
        bill = await till.settlement.settle(session_id)
        assert bill is not None
        assert (bill.status, bill.verdict) == ("settled", "ok-unsigned")
        assert bill.energy_milliwh == 12_000_000
        assert bill.amount_minor == 6 * 42 + 6 * 29
        assert bill.settlement_leaf_index is not None
        assert await count(till, "settlement_queue") == 1


async def test_settling_again_changes_nothing(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session()
        first = await till.settlement.settle(session_id)
        leaves = await count(till, "leaf")
        assert await till.settlement.settle(session_id) == first
        assert await till.settlement.catch_up() == 0
        assert await count(till, "leaf") == leaves
        assert await count(till, "settlement_queue") == 1


async def test_a_running_session_has_no_bill(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        begun = await till.store.append_and_wait(entry(started(0)))
        assert begun.session is not None
        assert await till.settlement.settle(begun.session.session_id) is None
        assert await till.settlement.settle(SessionId("sunknown")) is None


async def test_what_ended_before_a_crash_is_found_again(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        for number in range(3):
            await till.session(number)
    async with open_till(tmp_path) as till:
        assert await till.settlement.catch_up() == 3
        assert await count(till, "bill") == 3


async def test_a_missing_tariff_is_a_reason_and_never_a_price_of_zero(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path, has_tariff=False) as till:
        session_id = await till.session()
        bill = await till.settlement.settle(session_id)
        assert bill is not None
        assert bill.status == "held"
        assert "no_tariff" in bill.reasons
        assert bill.amount_minor is None
        with pytest.raises(RequestError) as caught:
            await till.settlement.release(session_id, "token1")
        assert caught.value.status == 409


async def test_a_suspicious_session_waits_for_an_operator(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000, end_wh=900_000)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert (held.status, held.verdict) == ("held", "suspicious")
        assert "faster_than_rated" in held.reasons
        assert await count(till, "settlement_queue") == 0
        released = await till.settlement.release(session_id, "token1")
        assert released.status == "settled"
        assert released.decided_by == "token1"
        (line,) = await till.store.writer.run(api_tokens.audit_entries)
        assert (line.action, line.actor) == ("bill.released", "token1")
        with pytest.raises(RequestError):
            await till.settlement.release(session_id, "token1")


async def test_a_held_bill_is_judged_again_when_the_real_end_arrives(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        begun = await till.store.append_and_wait(
            entry(started(0, wire_id="a", wh=1000), ours=False)
        )
        assert begun.session is not None
        session_id = begun.session.session_id
        await till.store.append_and_wait(
            entry(started(70, wire_id="b", wh=5000), ours=False)
        )
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert held.status == "held"
        await till.store.append_and_wait(
            entry(ended(60, wire_id="a", wh=5000, received=80), ours=False)
        )
        settled = await till.settlement.settle(session_id)
        assert settled is not None
        assert settled.energy_milliwh == 4_000_000


async def test_a_session_keeps_the_terms_it_started_with(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await till.store.append_and_wait(
            entry(started(0, wire_id="a", wh=1000), ours=False)
        )
        await till.store.writer.run(
            lambda conn: money.put_tariff(
                conn, day_night("9", "9"), source="api", now=at(1)
            )
        )
        done = await till.store.append_and_wait(
            entry(ended(20, wire_id="a", wh=2000), ours=False)
        )
        assert done.session is not None
        bill = await till.settlement.settle(done.session.session_id)
        assert bill is not None
        assert bill.amount_minor == 42


async def test_eichrecht_holds_what_is_not_signed(tmp_path: Path) -> None:
    async with open_till(tmp_path, regime=Regime.EICHRECHT) as till:
        bill = await till.settlement.settle(await till.session())
        assert bill is not None
        assert bill.status == "held"
        assert "several_prices" in bill.reasons


async def test_a_settled_bill_cannot_be_changed(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await till.settlement.settle(await till.session())

        def tamper(conn: sqlite3.Connection) -> None:
            conn.execute("UPDATE bill SET amount_minor = 1")

        with pytest.raises(sqlite3.IntegrityError, match="final"):
            await till.store.writer.run(tamper)


async def test_the_task_settles_what_the_bus_announces(tmp_path: Path) -> None:
    bus = Bus()
    async with open_till(tmp_path, bus=bus) as till:
        early = await till.session(0)
        with bus.subscribe("test") as heard:
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                task = group.create_task(till.settlement.run(), name="settlement")
                assert await _next_settled(heard) == early
                late = await till.session(1)
                fact = ended(180, wire_id="tx1", wh=13_000)
                session = await till.store.writer.run(
                    partial(sessions.by_id, session_id=late)
                )
                bus.publish(FactCommitted(offset=9, event=fact, session=session))
                assert await _next_settled(heard) == late
                task.cancel()


async def test_the_running_cost_is_the_bill_of_now(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        begun = await till.store.append_and_wait(
            entry(started(0, wire_id="a", wh=1000), ours=False)
        )
        assert begun.session is not None
        sample = register(15, 3000)
        receipt = await till.store.append_and_wait(
            entry(updated(15, wire_id="a", readings=(sample,)), ours=False)
        )
        assert receipt.session is not None
        bill = await till.store.writer.run(
            partial(cost_so_far, session=receipt.session)
        )
        assert bill is not None
        assert bill.amount_text == "0.84"


async def _next_settled(heard: object) -> SessionId:
    from gateway.bus import Subscription  # noqa: PLC0415 - only for the check

    assert isinstance(heard, Subscription)
    async for notice in heard:
        if isinstance(notice, SessionSettled):
            return notice.session_id
    raise AssertionError


@pytest.mark.quirk(24)
@pytest.mark.parametrize(
    ("ahead_s", "minutes", "status"),
    [
        (90, 20, "settled"),  # one price, edge 10 minutes after the end
        (900, 20, "held"),  # one price, but the edge may have been within
        (90, 60, "held"),  # two prices
        (30, 60, "settled"),  # a clock that is good enough
    ],
)
async def test_a_clock_that_is_off_near_a_price_edge_holds_the_bill(
    tmp_path: Path, ahead_s: int, minutes: int, status: str
) -> None:
    async with open_till(tmp_path) as till:
        await till.store.writer.run(
            lambda conn: clocks.observe(conn, "CP1", ahead_s * 1000, at(0))
        )
        session_id = await till.session(wh=2000, minutes=minutes)
        bill = await till.settlement.settle(session_id)
        assert bill is not None
        assert bill.status == status
        assert ("clock_offset" in bill.reasons) is (status == "held")


async def test_energy_drawn_between_sessions_is_told_and_bills_go_on(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        first = await till.settlement.settle(await till.session(0, wh=5000))
        assert first is not None
        assert first.reasons == ()
        begun = started(120, wire_id="later", wh=9000)
        await till.store.append_and_wait(entry(begun, ours=False))
        receipt = await till.store.append_and_wait(
            entry(ended(180, wire_id="later", wh=10_000), ours=False)
        )
        assert receipt.session is not None
        bill = await till.settlement.settle(receipt.session.session_id)
        assert bill is not None
        assert (bill.status, bill.reasons) == ("settled", ("missing_energy",))
        assert bill.energy_milliwh == 1_000_000
