"""What comes after a settlement becomes a proposal, and never an edit."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services import bill_view, late_data
from gateway.services.corrections import Corrections
from gateway.services.crediting import Credit
from gateway.services.late_data import LateData
from gateway.store import corrections, money
from gateway.store.corrections import ProposalRecord
from tests.support.journal import ended, entry, register, started, updated
from tests.support.money import Till, open_till

PAID = 6 * 42 + 6 * 29
"""Cents for the session of every test, see `day_night`."""


@pytest_asyncio.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(tmp_path) as till:
        yield till


def desk(till: Till) -> Corrections:
    return Corrections(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        terms=till.terms,
    )


async def settled(till: Till) -> SessionId:
    session_id = await till.session(wh=12_000)
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert (row.status, row.amount_minor) == ("settled", PAID)
    till.clock.at += timedelta(minutes=1)
    return session_id


async def review(till: Till, session_id: SessionId) -> ProposalRecord | None:
    return await till.store.writer.run(
        lambda conn: late_data.review_in(
            conn,
            session_id=session_id,
            now=till.clock.now(),
            rating=till.terms.rating,
        )
    )


async def shown(till: Till, session_id: SessionId) -> dict[str, Any]:
    def work(conn: sqlite3.Connection) -> Any:
        row = money.find_bill(conn, session_id)
        assert row is not None
        return bill_view.corrections_of(conn, row)["proposal"]

    found: dict[str, Any] = await till.store.writer.run(work)
    return found


async def told_again(till: Till, wh: int, minutes: float = 60) -> None:
    """The station tells another end of the session, after its settlement."""
    fact = ended(minutes, wire_id="tx0", wh=wh, received=700)
    await till.store.append_and_wait(entry(fact, ours=False))


async def sampled(till: Till, minutes: float, wh: int) -> None:
    fact = updated(minutes, wire_id="tx0", readings=(register(minutes, wh),))
    await till.store.append_and_wait(entry(fact, ours=False))


async def test_a_lower_end_that_comes_late_is_proposed_and_one_click_credits_it(
    till: Till,
) -> None:
    session_id = await settled(till)
    await told_again(till, 11_000)
    found = await review(till, session_id)
    assert found is not None
    assert found.reasons == ("amended", "other_registers")
    before = await till.store.writer.run(lambda c: money.find_bill(c, session_id))
    proposal = await shown(till, session_id)
    assert proposal["energy_milliwh"] == 10_000_000
    assert proposal["difference_minor"] == PAID - found.found["amount_minor"] > 0  # type: ignore[index]  # it has a bill
    credit = await desk(till).accept(session_id, "token1")
    assert credit.amount_minor == proposal["difference_minor"]
    after = await till.store.writer.run(lambda c: money.find_bill(c, session_id))
    assert after == before
    proposal = await shown(till, session_id)
    assert (proposal["state"], proposal["difference_minor"]) == ("credited", 0)
    with pytest.raises(RequestError) as caught:
        await desk(till).accept(session_id, "token1")
    assert caught.value.code == "no_proposal"


async def test_a_higher_end_is_shown_and_never_billed(till: Till) -> None:
    session_id = await settled(till)
    await told_again(till, 14_000)
    assert await review(till, session_id) is not None
    proposal = await shown(till, session_id)
    assert proposal["difference_minor"] < 0
    with pytest.raises(RequestError) as caught:
        await desk(till).accept(session_id, "token1")
    assert caught.value.code == "not_in_favour"
    assert (await shown(till, session_id))["state"] == "open"
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert row.amount_minor == PAID


async def test_a_late_sample_above_the_end_is_proposed(till: Till) -> None:
    session_id = await settled(till)
    await sampled(till, 59, 13_500)
    found = await review(till, session_id)
    assert found is not None
    assert found.reasons == ("sample_outside_registers", "other_registers")
    assert found.energy_milliwh == 12_500_000


async def test_a_late_sample_that_moves_energy_over_a_price_edge_is_proposed(
    till: Till,
) -> None:
    begun = await till.store.append_and_wait(
        entry(started(0, wire_id="tx0", wh=1_000), ours=False)
    )
    await till.store.append_and_wait(
        entry(ended(60, wire_id="tx0", wh=13_000), ours=False)
    )
    assert begun.session is not None
    session_id = begun.session.session_id
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert row.amount_minor == PAID, "spread evenly over the edge"
    await sampled(till, 30, 3_000)
    found = await review(till, session_id)
    assert found is not None
    assert found.reasons == ("late_samples",)
    assert (found.energy_milliwh, found.amount_minor) == (
        12_000_000,
        2 * 42 + 10 * 29,
    )


@pytest.mark.parametrize("wh", [7_000, 13_000])
async def test_what_changes_no_price_is_no_proposal(till: Till, wh: int) -> None:
    session_id = await settled(till)
    await sampled(till, 30 if wh == 7_000 else 60, wh)
    assert await review(till, session_id) is None


async def test_looking_again_says_nothing_new_and_more_data_open_it_again(
    till: Till,
) -> None:
    session_id = await settled(till)
    await told_again(till, 11_000)
    assert await review(till, session_id) is not None
    assert await review(till, session_id) is None
    await desk(till).dismiss(session_id, "a test of the installer", "token1")
    assert await review(till, session_id) is None
    assert (await shown(till, session_id))["state"] == "dismissed"
    await told_again(till, 10_000, 61)
    assert await review(till, session_id) is not None
    assert (await shown(till, session_id))["state"] == "open"


async def test_a_credit_made_by_hand_counts_in_the_difference(till: Till) -> None:
    session_id = await settled(till)
    await told_again(till, 11_000)
    await review(till, session_id)
    whole = (await shown(till, session_id))["difference_minor"]
    wish = Credit(amount_minor=5, reason="goodwill", idempotency_key="k")
    await desk(till).credit(session_id, wish, "token1")
    assert (await shown(till, session_id))["difference_minor"] == whole - 5
    credit = await desk(till).accept(session_id, "token1")
    assert credit.amount_minor == whole - 5


async def test_what_an_operator_released_knowingly_is_not_proposed(till: Till) -> None:
    session_id = await till.session(wh=12_000)
    fact = ended(61, wire_id="tx0", wh=12_500)
    await till.store.append_and_wait(entry(fact, ours=False))
    held = await till.settlement.settle(session_id)
    assert held is not None
    assert held.status == "held"
    await till.settlement.release(session_id, "token1")
    assert await review(till, session_id) is None


async def test_a_held_or_running_session_has_no_proposal(till: Till) -> None:
    session_id = await till.session(wh=12_000, end_wh=900_000)
    await till.settlement.settle(session_id)
    assert await review(till, session_id) is None
    assert await review(till, SessionId("sunknown")) is None


@asynccontextmanager
async def watching(till: Till) -> AsyncIterator[None]:
    watch = LateData(
        queries=till.queries,
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        rating=till.terms.rating,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.run())
        yield
        task.cancel()


async def until_proposed(till: Till, session_id: SessionId) -> None:
    async with asyncio.timeout(30):
        while not await till.store.writer.run(  # noqa: ASYNC110 - it asks the store
            lambda conn: corrections.proposal_of(conn, session_id)
        ):
            await asyncio.sleep(0.02)


async def test_what_came_while_we_crashed_is_found_at_the_start(till: Till) -> None:
    first = await settled(till)
    await told_again(till, 11_000)
    async with watching(till):
        await until_proposed(till, first)


async def test_a_late_sample_from_before_a_crash_is_found_at_the_start(
    till: Till,
) -> None:
    session_id = await settled(till)
    await sampled(till, 59, 13_500)
    missed = await till.store.writer.run(late_data.missed)
    assert missed == {session_id}
