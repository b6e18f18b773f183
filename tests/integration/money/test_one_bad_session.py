"""A session that a bug of ours cannot judge keeps no other one waiting."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from gateway.bus import FactCommitted
from gateway.domain.ids import SessionId
from gateway.services import late_data, settlement
from gateway.services.judging import Terms
from gateway.services.preparing import Prepared, prepare
from gateway.store import money, sessions
from gateway.store.money import BillRow
from tests.support.journal import ended, entry, updated
from tests.support.money import Till, open_till


async def all_judged(till: Till, *session_ids: SessionId) -> None:
    """Wait until sessions have bills."""

    def has_bills(conn: sqlite3.Connection) -> bool:
        return all(money.find_bill(conn, one) is not None for one in session_ids)

    for _ in range(1_000):
        if await till.store.writer.run(has_bills):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("they have no bills")


async def test_the_others_are_judged_after_a_start_and_as_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_till(tmp_path) as till:
        bad, good = await till.session(0), await till.session(1)

        def failing(
            conn: sqlite3.Connection, session_id: SessionId, terms: Terms
        ) -> Prepared | None:
            if session_id == bad:
                raise ArithmeticError("a bug")
            return prepare(conn, session_id, terms)

        monkeypatch.setattr(settlement, "prepare", failing)
        monkeypatch.setattr(settlement, "BATCH", 1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(till.settlement.run())
            await all_judged(till, good)
            later = await till.session(2)
            for session_id in (bad, later):
                session = await till.store.writer.run(
                    partial(sessions.by_id, session_id=session_id)
                )
                assert session is not None
                till.bus.publish(
                    FactCommitted(
                        offset=0, event=updated(0, wire_id="tx0"), session=session
                    )
                )
            await all_judged(till, later)
            assert not task.done()
            task.cancel()
        monkeypatch.undo()
        assert await till.settlement.catch_up() == 1, "it was left out, not lost"


async def test_late_data_of_the_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_till(tmp_path) as till:
        bad, good = await till.session(0), await till.session(1)
        for number, session_id in enumerate((bad, good)):
            assert await till.settlement.settle(session_id) is not None
            fact = ended(
                number * 120 + 60, wire_id=f"tx{number}", wh=9_000, received=700
            )
            await till.store.append_and_wait(entry(fact, ours=False))
        found = money.find_bill

        def failing(conn: sqlite3.Connection, session_id: SessionId) -> BillRow | None:
            if session_id == bad:
                raise ArithmeticError("a bug")
            return found(conn, session_id)

        monkeypatch.setattr(money, "find_bill", failing)
        look = partial(
            late_data.contradicted, session_ids=(bad, good), rating=till.terms.rating
        )
        assert await till.store.writer.run(look) == [good]
