"""Held bills are decided on once, settled ones get credits; nothing is ever edited."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services import bill_view
from gateway.services.corrections import Corrections
from gateway.services.crediting import Credit
from gateway.services.decisions import Correction
from gateway.services.stated import Stated
from gateway.store import api_tokens, corrections, money
from gateway.store.money import BillRow
from ledger import record
from ledger.sqlite_store import SqliteStore
from tests.support.journal import ended, entry, register, started, updated
from tests.support.money import Till, open_till

T = TypeVar("T")

DAY, NIGHT = 42, 29
"""Cents per kWh before and after half past twelve, see `day_night`."""


@pytest_asyncio.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(tmp_path) as till:
        yield till


@pytest.fixture
def desk(till: Till) -> Corrections:
    return Corrections(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        terms=till.terms,
    )


async def read(till: Till, work: Callable[[sqlite3.Connection], T]) -> T:
    return await till.store.writer.run(work)


async def settled(till: Till) -> tuple[SessionId, BillRow]:
    session_id = await till.session(wh=12_000)
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert row.status == "settled"
    return session_id, row


async def held(till: Till) -> tuple[SessionId, BillRow]:
    """A bill over far more than the EVSE can deliver in its hour."""
    session_id = await till.session(wh=12_000, end_wh=900_000)
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert row.status == "held"
    return session_id, row


async def bill(till: Till, session_id: SessionId) -> BillRow:
    row = await read(till, lambda conn: money.find_bill(conn, session_id))
    assert row is not None
    return row


async def view(till: Till, session_id: SessionId) -> dict[str, Any]:
    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        row = money.find_bill(conn, session_id)
        assert row is not None
        return bill_view.corrections_of(conn, row)

    return await read(till, work)


async def leaves(till: Till, session_id: SessionId, kind: str) -> list[dict[str, Any]]:
    """The records of a kind, in the order of the log."""

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        found = SqliteStore(conn).leaves_of(session_id)
        return [
            dict(record.parse(leaf.record).body)
            for leaf in found
            if leaf.kind == kind and leaf.record is not None
        ]

    return await read(till, work)


async def refused(doing: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await doing
    return caught.value


def by_registers(reason: str = "read at the meter", **stated: int) -> Correction:
    return Correction(stated=Stated(**stated), amount_minor=None, reason=reason)


def by_amount(amount_minor: int) -> Correction:
    return Correction(stated=Stated(), amount_minor=amount_minor, reason="goodwill")


def wanted(
    amount_minor: int | None = None, stated: Stated | None = None, key: str = "k1"
) -> Credit:
    return Credit(
        amount_minor=amount_minor,
        stated=Stated() if stated is None else stated,
        reason="a fault of ours",
        idempotency_key=key,
    )


async def test_a_correction_by_registers_is_priced_like_any_bill(
    till: Till, desk: Corrections
) -> None:
    session_id, before = await held(till)
    await desk.correct(
        session_id, by_registers(register_end_milliwh=13_000_000), "token1"
    )
    row = await bill(till, session_id)
    assert (row.status, row.decided_by) == ("settled", "token1")
    assert row.energy_milliwh == 12_000_000
    assert row.amount_minor == 6 * DAY + 6 * NIGHT
    shown = await view(till, session_id)
    decision = shown["decision"]
    assert (decision["decision"], decision["reason"]) == (
        "corrected",
        "read at the meter",
    )
    assert decision["before"]["amount_minor"] == before.amount_minor
    assert decision["after"]["amount_minor"] == row.amount_minor
    (leaf,) = await leaves(till, session_id, "decision")
    assert (leaf["decided_by"], leaf["before"]) == ("token1", decision["before"])
    assert decision["leaf_index"] < (row.settlement_leaf_index or 0)
    (line,) = await read(till, api_tokens.audit_entries)
    assert (line.action, line.actor) == ("bill.corrected", "token1")
    assert line.detail["reason"] == "read at the meter"


async def test_a_register_that_no_meter_showed_is_marked_as_the_operators_word(
    till: Till, desk: Corrections
) -> None:
    session_id, _ = await held(till)
    await desk.correct(session_id, by_registers(energy_milliwh=5_000_001), "token1")
    contexts = {
        leaf["register_milliwh"]: leaf["context"]
        for leaf in await leaves(till, session_id, "meter")
    }
    assert contexts[6_000_001] == "operator"
    assert contexts.get(1_000_000, "session") == "session"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (by_registers(register_end_milliwh=31_000_000), "above_rating"),
        (by_registers(energy_milliwh=30_000_000), "above_rating"),
        (by_registers(register_end_milliwh=999_999), "not_registers"),
        (
            by_registers(register_end_milliwh=2_000_000, energy_milliwh=1),
            "not_registers",
        ),
        (by_registers(register_start_milliwh=999_999), "above_rating"),
        (by_amount(10**9), "above_proposal"),
        (by_registers(), "what_to_correct"),
        (
            Correction(
                stated=Stated(energy_milliwh=1), amount_minor=1, reason="both of them"
            ),
            "what_to_correct",
        ),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    till: Till, desk: Corrections, wish: Correction, code: str
) -> None:
    session_id, before = await held(till)
    error = await refused(desk.correct(session_id, wish, "token1"))
    assert error.code == code
    assert await bill(till, session_id) == before
    assert await leaves(till, session_id, "decision") == []
    assert await read(till, api_tokens.audit_entries) == []


async def lost_end(till: Till) -> SessionId:
    """A session whose end was never told; the next one begins at 5 kWh."""
    begun = await till.store.append_and_wait(
        entry(started(0, wire_id="a", wh=1000), ours=False)
    )
    sample = register(30, 3000)
    await till.store.append_and_wait(
        entry(updated(30, wire_id="a", readings=(sample,)), ours=False)
    )
    await till.store.append_and_wait(
        entry(started(70, wire_id="b", wh=5000), ours=False)
    )
    assert begun.session is not None
    return begun.session.session_id


async def test_a_bill_rises_only_to_what_the_station_reported(
    till: Till, desk: Corrections
) -> None:
    session_id = await lost_end(till)
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert row.status == "held"
    proposed = row.energy_milliwh
    assert proposed is not None
    high = by_registers(register_end_milliwh=1_000_000 + proposed + 1)
    error = await refused(desk.correct(session_id, high, "token1"))
    assert (error.status, error.code) == (409, "above_proposal")
    shown = by_registers(register_end_milliwh=5_000_000)
    await desk.correct(session_id, shown, "token1")
    assert (await bill(till, session_id)).energy_milliwh == 4_000_000


async def test_a_correction_by_amount_settles_the_proposal_and_credits_the_rest(
    till: Till, desk: Corrections
) -> None:
    session_id, before = await held(till)
    assert before.amount_minor is not None
    await desk.correct(session_id, by_amount(300), "token1")
    row = await bill(till, session_id)
    assert row.amount_minor == before.amount_minor
    shown = await view(till, session_id)
    assert shown["balance_minor"] == 300
    (credit,) = shown["credits"]
    assert (credit["amount_minor"], credit["reason"]) == (
        before.amount_minor - 300,
        "goodwill",
    )


async def test_a_correction_to_the_proposal_itself_credits_nothing(
    till: Till, desk: Corrections
) -> None:
    session_id, before = await held(till)
    assert before.amount_minor is not None
    await desk.correct(session_id, by_amount(before.amount_minor), "token1")
    assert (await view(till, session_id))["credits"] == []


async def test_a_waived_bill_is_final_costs_nothing_and_is_recorded(
    till: Till, desk: Corrections
) -> None:
    session_id, before = await held(till)
    await desk.waive(session_id, "the meter is broken", "token1")
    row = await bill(till, session_id)
    assert (row.status, row.decided_by) == ("waived", "token1")
    assert row.settlement_leaf_index is None
    shown = await view(till, session_id)
    assert (shown["balance_minor"], shown["decision"]["after"]) == (0, None)
    assert shown["decision"]["before"]["amount_minor"] == before.amount_minor
    assert await till.settlement.settle(session_id) == row, "it is not judged again"
    for doing in (
        till.settlement.release(session_id, "token2"),
        desk.correct(session_id, by_amount(0), "token2"),
        desk.waive(session_id, "again", "token2"),
    ):
        assert (await refused(doing)).code == "waived"
    error = await refused(desk.credit(session_id, wanted(1), "token2"))
    assert error.code == "not_settled"
    (line,) = await read(till, api_tokens.audit_entries)
    assert line.action == "bill.waived"


async def test_what_no_bill_can_be_made_of_can_be_waived(tmp_path: Path) -> None:
    async with open_till(tmp_path, has_tariff=False) as till:
        desk = Corrections(
            writer=till.store.writer,
            bus=till.bus,
            clock=till.clock,
            terms=till.terms,
        )
        session_id = await till.session()
        await till.settlement.settle(session_id)
        error = await refused(
            desk.correct(session_id, by_registers(energy_milliwh=1), "token1")
        )
        assert error.code == "no_tariff"
        await desk.waive(session_id, "nobody agreed on a price", "token1")
        shown = await view(till, session_id)
        assert (shown["balance_minor"], shown["decision"]["before"]) == (0, None)


async def test_a_release_leaves_a_record_too(till: Till) -> None:
    session_id, before = await held(till)
    await till.settlement.release(session_id, "token1")
    (leaf,) = await leaves(till, session_id, "decision")
    assert (leaf["decision"], leaf["before"]) == ("released", leaf["after"])
    assert leaf["after"]["amount_minor"] == before.amount_minor


async def test_a_credit_is_a_record_of_its_own_and_the_bill_stays(
    till: Till, desk: Corrections
) -> None:
    session_id, row = await settled(till)
    assert row.amount_minor is not None
    found = await desk.credit(session_id, wanted(100), "token1")
    assert (found.name, found.ordinal) == ("C000001", 1)
    assert await bill(till, session_id) == row
    shown = await view(till, session_id)
    assert shown["credited_minor"] == 100
    assert shown["balance_minor"] == row.amount_minor - 100
    assert shown["credits"][0]["state"] == "pending"
    (leaf,) = await leaves(till, session_id, "credit")
    assert (leaf["amount_minor"], leaf["number"]) == (100, 1)
    assert leaf["corrects_leaf_index"] == row.settlement_leaf_index
    (line,) = await read(till, api_tokens.audit_entries)
    assert (line.action, line.detail["credit"]) == ("bill.credited", "C000001")


async def test_registers_are_priced_and_their_difference_credited(
    till: Till, desk: Corrections
) -> None:
    session_id, row = await settled(till)
    wish = wanted(stated=Stated(energy_milliwh=6_000_000))
    found = await desk.credit(session_id, wish, "token1")
    assert found.document is not None
    assert row.amount_minor is not None
    assert found.amount_minor == row.amount_minor - found.document["amount_minor"]
    assert (await view(till, session_id))["balance_minor"] == found.document[
        "amount_minor"
    ]


async def test_the_same_key_again_gets_the_same_credit(
    till: Till, desk: Corrections
) -> None:
    session_id, _ = await settled(till)
    wish = wanted(100)
    first = await desk.credit(session_id, wish, "token1")
    assert await desk.credit(session_id, wish, "token2") == first
    other = wanted(101)
    assert (
        await refused(desk.credit(session_id, other, "token1"))
    ).code == "idempotency_conflict"
    assert (await view(till, session_id))["credited_minor"] == 100


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (wanted(10**6), "exceeds_bill"),
        (wanted(0), "not_an_amount"),
        (wanted(), "what_to_credit"),
        (
            wanted(1, Stated(energy_milliwh=1)),
            "what_to_credit",
        ),
        (wanted(stated=Stated(energy_milliwh=12_000_000)), "not_in_favour"),
        (wanted(stated=Stated(energy_milliwh=12_000_001)), "above_proposal"),
    ],
)
async def test_a_credit_that_cannot_be_is_refused(
    till: Till, desk: Corrections, wish: Credit, code: str
) -> None:
    session_id, _ = await settled(till)
    assert (await refused(desk.credit(session_id, wish, "token1"))).code == code
    assert await leaves(till, session_id, "credit") == []


async def test_credits_at_once_never_exceed_the_bill(
    till: Till, desk: Corrections
) -> None:
    session_id, row = await settled(till)
    assert row.amount_minor == 426
    given: list[int] = []

    async def one(number: int) -> None:
        wish = Credit(
            amount_minor=100, reason="a race", idempotency_key=f"key {number}"
        )
        try:
            given.append((await desk.credit(session_id, wish, "token1")).amount_minor)
        except RequestError as error:
            assert error.code == "exceeds_bill"  # noqa: PT017 - one or the other

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(one(number))
    assert given == [100] * 4
    assert (await view(till, session_id))["balance_minor"] == 26


async def test_a_held_bill_has_no_credits(till: Till, desk: Corrections) -> None:
    session_id, _ = await held(till)
    error = await refused(desk.credit(session_id, wanted(1), "token1"))
    assert (error.status, error.code) == (409, "not_settled")
    unknown = SessionId("sunknown")
    error = await refused(desk.credit(unknown, wanted(1), "t"))
    assert (error.status, error.code) == (404, "no_bill")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE credit SET amount_minor = 1",
        "DELETE FROM credit",
        "UPDATE bill SET amount_minor = 1",
        "UPDATE bill_decision SET reason = 'other'",
        """INSERT INTO credit SELECT number + 1, session_id, ordinal + 1, 10000,
        currency, reason, document, 'k2', asked_sha256, decided_at, decided_by,
        leaf_index + 1, x'00' FROM credit""",
    ],
)
async def test_the_database_itself_keeps_corrections(
    till: Till, desk: Corrections, tampering: str
) -> None:
    session_id, _ = await held(till)
    await desk.correct(session_id, by_amount(10), "token1")
    with pytest.raises(sqlite3.IntegrityError):
        await read(till, lambda conn: conn.execute(tampering))


async def test_a_crash_in_the_middle_leaves_no_part_of_a_credit(
    till: Till, desk: Corrections, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, _ = await settled(till)

    def dies(*_args: object, **_more: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(api_tokens, "audit", dies)
        with pytest.raises(sqlite3.OperationalError):
            await desk.credit(session_id, wanted(100), "token1")
    assert await leaves(till, session_id, "credit") == []
    queued = await read(
        till, lambda conn: conn.execute("SELECT * FROM credit_queue").fetchall()
    )
    assert queued == []
    assert await read(till, lambda conn: corrections.credits_of(conn, session_id)) == ()
    await desk.credit(session_id, wanted(100), "token1")
    assert (await view(till, session_id))["credited_minor"] == 100


async def test_the_reason_is_kept_as_it_was_typed(
    till: Till, desk: Corrections
) -> None:
    session_id, _ = await settled(till)
    reason = 'Überzahlt: "12" <b>kWh</b>\n'
    wish = Credit(amount_minor=1, reason=reason, idempotency_key="k")
    await desk.credit(session_id, wish, "token1")
    (credit,) = (await view(till, session_id))["credits"]
    assert credit["reason"] == reason
    assert json.dumps(credit)


async def test_an_end_that_the_station_told_twice_may_be_chosen(
    till: Till, desk: Corrections
) -> None:
    """What raised the doubt is what the operator may decide between."""
    begun = await till.store.append_and_wait(
        entry(started(0, wire_id="a", wh=1000), ours=False)
    )
    for wh, minutes in ((2000, 60), (4000, 61)):
        await till.store.append_and_wait(
            entry(ended(minutes, wire_id="a", wh=wh), ours=False)
        )
    assert begun.session is not None
    session_id = begun.session.session_id
    row = await till.settlement.settle(session_id)
    assert row is not None
    assert "amended" in row.reasons
    await desk.correct(
        session_id, by_registers(register_end_milliwh=4_000_000), "token1"
    )
    assert (await bill(till, session_id)).energy_milliwh == 3_000_000
    contexts = [leaf["context"] for leaf in await leaves(till, session_id, "meter")]
    assert "operator" not in contexts, "the station told it"
