"""From stored rows to what a session gave by waiting, and the pool of its day."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.ids import SessionId, StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.services import flexibility
from gateway.services.crediting import Credit, credit_in
from gateway.services.flexibility_credit import settle_without
from gateway.services.flexibility_pool import FlexibilityPool
from gateway.services.settling import settle_at_once
from gateway.services.stated import Stated
from gateway.store import flexibility as rows
from gateway.store import limits, money, requests, sessions, wallets
from tests.support.journal import (
    CP1,
    CP2,
    at,
    ended,
    entry,
    register,
    started,
    updated,
)
from tests.support.money import Till, open_till

PAUSED_DA, FREE_DA = 0, 160
DEAR, CHEAP = 400_000, 100_000
POOL_MILLIWH = 4_000_000
QUARTER_WH = 2_760
"""At 16 A on three phases of 230 V."""


async def stay(
    till: Till,
    number: int,
    *,
    station: StationId = CP1,
    token: str = "DRIVER",  # noqa: S107 - a public identifier
    begin: float = 0,
    quarters: Sequence[int] = (0, 0, QUARTER_WH, QUARTER_WH, 0),
    paused: float = 30,
) -> SessionId:
    """A session, paused in its first minutes, that takes so much in each quarter."""
    wire_id = f"tx{number}"
    start = started(begin, wire_id=wire_id, station=station, token=token, wh=0)
    begun = await till.store.append_and_wait(entry(start, ours=False))
    assert begun.session is not None
    session_id = begun.session.session_id

    def prepare(conn: sqlite3.Connection) -> None:
        rows.put_price(conn, session_id, DEAR, plan_id=1, now=at(begin))
        rows.put_price(conn, session_id, DEAR, plan_id=2, now=at(begin + 5))
        rows.put_price(conn, session_id, CHEAP, plan_id=3, now=at(begin + 30))
        if paused:
            _limit(conn, station, session_id, begin, PAUSED_DA)
        _limit(conn, station, session_id, begin + paused, FREE_DA)

    await till.store.writer.run(prepare)
    wh = 0
    for index, taken in enumerate(quarters, 1):
        wh += taken
        minute = begin + 15 * index
        sample = updated(
            minute, wire_id=wire_id, station=station, readings=(register(minute, wh),)
        )
        await till.store.append_and_wait(entry(sample, ours=False))
    end = ended(begin + 15 * len(quarters), wire_id=wire_id, station=station, wh=wh)
    await till.store.append_and_wait(entry(end, ours=False))
    return session_id


def _limit(
    conn: sqlite3.Connection,
    station: StationId,
    session_id: SessionId,
    minute: float,
    limit_da: int,
) -> None:
    command = SetLimit(
        evse_id=1,
        purpose=Purpose.SESSION,
        schedule=LimitSchedule(
            start=at(minute), steps=(LimitStep(offset_s=0, limit_da=limit_da),)
        ),
        transaction_id="tx",
        profile_id=101,
        unit=LimitUnit.A,
        number_phases=3,
        nominal_v=230.0,
    )
    command_id = limits.insert_command(
        conn,
        station_id=station,
        evse_ids=[1],
        session_id=session_id,
        command=command,
        plan_id=None,
        sent_at=at(minute),
    )
    limits.record_outcome(conn, command_id, outcome="accepted", answered_at=at(minute))


async def shown(till: Till, session_id: SessionId) -> dict[str, object]:
    def read(conn: sqlite3.Connection) -> dict[str, object]:
        session = sessions.by_id(conn, session_id)
        assert session is not None
        return flexibility.of_session(conn, session)

    return await till.store.writer.run(read)


async def settle(till: Till, *session_ids: SessionId) -> None:
    for session_id in session_ids:
        await till.store.writer.run(
            partial(
                settle_at_once, session_id=session_id, now=at(300), terms=till.terms
            )
        )


def pool(till: Till) -> FlexibilityPool:
    return FlexibilityPool(
        queries=till.queries,
        writer=till.store.writer,
        clock=till.clock,
        timezone="UTC",
        pool_milliwh=POOL_MILLIWH,
    )


async def test_what_waited_for_us_and_came_later_is_shown_by_its_readings(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        found = await shown(till, await stay(till, 1))
        assert found["shifted_milliwh"] == 2 * QUARTER_WH * 1000
        assert found["value_micro"] == 2 * QUARTER_WH * (DEAR - CHEAP) // 1000
        assert found["stay"] is None


async def test_a_session_without_an_accepted_limit_gave_nothing(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        found = await shown(till, await stay(till, 1, paused=0))
        assert found["shifted_milliwh"] == 0


async def test_who_leaves_before_the_declared_time_loses_what_he_did_not_wait_for(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await stay(till, 1)

        def declare(conn: sqlite3.Connection) -> None:
            requests.put(
                conn,
                session_id,
                energy_wh=4 * QUARTER_WH,
                target_soc_percent=None,
                departure_at=at(600),
                is_default=False,
                source="driver",
                now=at(0),
            )

        await till.store.writer.run(declare)
        found = await shown(till, session_id)
        assert found["shortfall_milliwh"] == 2 * QUARTER_WH * 1000
        assert found["shifted_milliwh"] == 0


async def test_a_day_is_shared_once_and_never_beyond_its_pool(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        first = await stay(till, 1)
        second = await stay(till, 2, station=CP2, token="OTHER")
        idle = await stay(till, 3, station=StationId("CP3"), token="THIRD", paused=0)
        await settle(till, first, second, idle)
        till.clock.at = at(0) + timedelta(hours=14)
        assert await pool(till).share_due() == [date(2026, 5, 31)]
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        assert await pool(till).share_due() == [date(2026, 6, 1)]
        assert await pool(till).share_due() == []
        found = await till.store.writer.run(
            partial(rows.stays_of, day=date(2026, 6, 1))
        )
        credited = {one.stay_id: one.credited_milliwh for one in found}
        assert credited == {
            first: POOL_MILLIWH // 2,
            second: POOL_MILLIWH // 2,
            idle: 0,
        }
        assert all(one.reliability_permille == 500 for one in found)
        stay_shown = (await shown(till, first))["stay"]
        assert isinstance(stay_shown, dict)
        assert stay_shown["credited_milliwh"] == POOL_MILLIWH // 2


WALLET = "0x" + "D7" * 20


async def test_who_has_an_address_is_credited_there_once_the_day_is_shared(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        await till.store.writer.run(
            partial(wallets.put, token="driver", address=WALLET, now=at(0))
        )
        first = await stay(till, 1)
        second = await stay(till, 2, station=CP2, token="OTHER")
        await settle(till, first, second)
        assert await on_chain(till, first) == ("waiting", WALLET.lower(), 0)
        assert await on_chain(till, second) == ("none", None, 0)
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        await pool(till).share_due()
        share = POOL_MILLIWH // 2
        assert await on_chain(till, first) == ("to_address", WALLET.lower(), share)
        assert await on_chain(till, second) == ("none", None, 0)
        wish = Credit(
            reason="it delivered half of it",
            idempotency_key="once",
            stated=Stated(energy_milliwh=QUARTER_WH * 1000),
        )

        def correct(conn: sqlite3.Connection) -> None:
            credit_in(conn, session_id=first, wish=wish, actor="op", now=at(900))

        await till.store.writer.run(correct)
        left = await on_chain(till, first)
        assert left == ("to_address", WALLET.lower(), share // 2)


@pytest.mark.parametrize("early", [1, 2])
async def test_a_credit_before_the_share_makes_it_less_as_one_after_it_would(
    tmp_path: Path, early: int
) -> None:
    """Two corrections; one or both of them come before the day is shared."""
    async with open_till(tmp_path) as till:
        await till.store.writer.run(
            partial(wallets.put, token="driver", address=WALLET, now=at(0))
        )
        first = await stay(till, 1)
        second = await stay(till, 2, station=CP2, token="OTHER")
        await settle(till, first, second)
        found = await till.store.writer.run(partial(money.find_bill, session_id=first))
        assert found is not None
        billed = found.energy_milliwh or 0
        wishes = [
            Credit(
                reason="it delivered less",
                idempotency_key=str(energy_milliwh),
                stated=Stated(energy_milliwh=energy_milliwh),
            )
            for energy_milliwh in (billed * 3 // 4, billed // 2)
        ]

        def correct(conn: sqlite3.Connection, wish: Credit) -> None:
            credit_in(conn, session_id=first, wish=wish, actor="op", now=at(900))

        for wish in wishes[:early]:
            await till.store.writer.run(partial(correct, wish=wish))
        assert await on_chain(till, first) == ("waiting", WALLET.lower(), 0)
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        await pool(till).share_due()
        share = POOL_MILLIWH // 2
        net = share * 3 // 4 if early == 1 else share // 2
        assert await on_chain(till, first) == ("to_address", WALLET.lower(), net)
        for wish in wishes[early:]:
            await till.store.writer.run(partial(correct, wish=wish))
        left = await on_chain(till, first)
        assert left == ("to_address", WALLET.lower(), share // 2)


async def test_without_a_pool_nobody_waits_for_a_share(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await till.store.writer.run(
            partial(wallets.put, token="DRIVER", address=WALLET, now=at(0))
        )
        first = await stay(till, 1)
        await settle(till, first)
        await till.store.writer.run(partial(settle_without, before=at(10_000)))
        assert await on_chain(till, first) == ("none", None, 0)


async def on_chain(till: Till, session_id: SessionId) -> tuple[object, object, object]:
    found = (await shown(till, session_id))["on_chain"]
    assert isinstance(found, dict)
    return found["state"], found["address"], found["milliwh"]


async def test_plugging_in_anew_earns_no_second_share(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        parts = ((0, QUARTER_WH), (0, QUARTER_WH))
        first = await stay(till, 1, quarters=parts[0], paused=15)
        second = await stay(till, 2, begin=45, quarters=parts[1], paused=15)
        await settle(till, first, second)
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        await pool(till).share_due()
        (one,) = await till.store.writer.run(
            partial(rows.stays_of, day=date(2026, 6, 1))
        )
        assert one.stay_id == second
        alone = [
            (await shown(till, each))["shifted_milliwh"] for each in (first, second)
        ]
        assert alone == [QUARTER_WH * 1000] * 2
        assert one.shifted_milliwh == QUARTER_WH * 1000, "not twice"


async def test_a_stay_that_goes_on_is_shared_with_the_day_it_ends_in(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        late = 11 * 60 + 15.0
        first = await stay(till, 1, begin=late, quarters=(0, QUARTER_WH), paused=15)
        second = await stay(till, 2, begin=late + 40, quarters=(0, 0, QUARTER_WH))
        await settle(till, first)
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        await pool(till).share_due()
        assert await till.store.writer.run(partial(rows.stay_of, session_id=first)) is (
            None
        )
        await settle(till, second)
        till.clock.at += timedelta(days=1)
        await pool(till).share_due()
        found = await till.store.writer.run(partial(rows.stay_of, session_id=first))
        assert found is not None
        assert found.stay_id == second
        assert found.day == date(2026, 6, 2)


@pytest.mark.parametrize("overlaps", [True, False])
async def test_a_card_used_at_two_cars_at_once_makes_two_stays(
    tmp_path: Path, overlaps: bool
) -> None:
    async with open_till(tmp_path) as till:
        first = await stay(till, 1)
        begin = 10 if overlaps else 80
        second = await stay(till, 2, station=CP2, begin=begin)
        await settle(till, first, second)
        till.clock.at = at(0) + timedelta(hours=15, minutes=1)
        await pool(till).share_due()
        found = await till.store.writer.run(
            partial(rows.stays_of, day=date(2026, 6, 1))
        )
        assert len(found) == (2 if overlaps else 1)


async def test_a_repeated_price_is_kept_once(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await stay(till, 1)
        found = await till.store.writer.run(
            partial(rows.prices_of, session_id=session_id)
        )
        assert found == [(at(0), DEAR), (at(30), CHEAP)]
