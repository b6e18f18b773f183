"""Nobody releases an amount that the page did not show."""

import sqlite3
from pathlib import Path

import pytest

from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.store import money
from tests.support.money import Till, open_till


async def end_at(till: Till, session_id: SessionId, register_milliwh: int) -> None:
    """Another end, of which nobody was told: as by a crash before it was judged."""

    def job(conn: sqlite3.Connection) -> None:
        conn.execute(
            "UPDATE session SET register_end_milliwh = ? WHERE session_id = ?",
            (register_milliwh, session_id),
        )

    await till.store.writer.run(job)


async def test_a_proposal_that_changed_is_shown_before_it_can_be_released(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000, end_wh=900_000)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert held.status == "held"
        await end_at(till, session_id, 990_000_000)
        with pytest.raises(RequestError) as caught:
            await till.settlement.release(session_id, "token1", held.amount_minor)
        assert (caught.value.status, caught.value.code) == (409, "other_proposal")
        shown = await till.store.writer.run(
            lambda conn: money.find_bill(conn, session_id)
        )
        assert shown is not None
        assert shown.status == "held"
        assert shown.energy_milliwh == 989_000_000
        done = await till.settlement.release(session_id, "token1", shown.amount_minor)
        assert (done.status, done.amount_minor) == ("settled", shown.amount_minor)


async def test_a_bill_that_got_good_meanwhile_is_settled_by_itself(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=12_000, end_wh=900_000)
        held = await till.settlement.settle(session_id)
        assert held is not None
        await end_at(till, session_id, 13_000_000)
        with pytest.raises(RequestError) as caught:
            await till.settlement.release(session_id, "token1", held.amount_minor)
        assert caught.value.status == 409
        row = await till.store.writer.run(
            lambda conn: money.find_bill(conn, session_id)
        )
        assert row is not None
        assert row.decided_by == "system"
