"""A bill is worked out beside the writer, and written only if nothing changed."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Sample
from gateway.errors import RequestError
from gateway.services.preparing import Prepared, prepare
from gateway.services.settling import release_in, settle_at_once, settle_in
from gateway.store import clocks, group_tariffs, meters, money, readings, tokens
from gateway.store.entry import StoredReading
from gateway.store.meters import UnitDecision
from gateway.store.money import BillRow
from tests.support.journal import at, ended, entry, register, started, updated
from tests.support.money import Till, day_night, open_till

Change = Callable[[sqlite3.Connection, SessionId], object]


async def prepared(till: Till, session_id: SessionId) -> Prepared:
    found = await till.store.writer.run(
        partial(prepare, session_id=session_id, terms=till.terms)
    )
    assert found is not None
    return found


def limited(conn: sqlite3.Connection, session_id: SessionId) -> None:
    conn.execute(
        "INSERT INTO limit_command (station_id, evse_id, evse_ids, purpose, session_id,"
        " profile_id, start_at, steps, unit, number_phases, nominal_v, sent_at)"
        " VALUES ('CP1', 1, '[1]', 'session', ?, 1, '2026-06-01T12:10:00Z', '[[0, 0]]',"
        " 'A', 3, 230, '2026-06-01T12:10:00Z')",
        (session_id,),
    )


def in_group(conn: sqlite3.Connection, _session_id: SessionId) -> None:
    tokens.put(conn, value="DRIVER", status="Accepted", now=at(0), group_id="staff")
    group_tariffs.put(conn, group_id="staff", tariff_id="S", now=at(0))


def decided(conn: sqlite3.Connection, _session_id: SessionId) -> None:
    word = UnitDecision(
        scope="station",
        decision="confirmed",
        factor="1000",
        decided_at="2026-06-01T12:00:00Z",
        decided_by="op",
    )
    meters.decide(conn, "station", "CP1", word)


def read_late(conn: sqlite3.Connection, session_id: SessionId) -> None:
    stored = StoredReading(
        session_id=session_id,
        station_id=StationId("CP1"),
        evse_id=1,
        received_at=at(20),
        sample=Sample(
            sampled_at=at(20), context="Sample.Periodic", register_milliwh=4_000_000
        ),
    )
    assert readings.insert(conn, stored, 1, None)


def signed_late(conn: sqlite3.Connection, session_id: SessionId) -> None:
    conn.execute(
        "INSERT INTO signed_reading (session_id, station_id, evse_id, sampled_at,"
        " digest, context, encoding, raw, frame_offset)"
        " VALUES (?, 'CP1', 1, '2026-06-01T12:20:00.000000Z', 1, '', 'OCMF', 'x', 1)",
        (session_id,),
    )


def earlier_end(conn: sqlite3.Connection, session_id: SessionId) -> None:
    conn.execute(
        "INSERT INTO session (session_id, station_id, evse_id, connector_id, phase,"
        " started_at, ended_at, received_at, has_start, register_end_milliwh,"
        " sequences, verdicts)"
        " SELECT 'before', station_id, evse_id, connector_id, 'ended',"
        " '2026-06-01T10:00:00.000000Z', '2026-06-01T11:00:00.000000Z',"
        " received_at, 1, 900000, '', '' FROM session WHERE session_id = ?",
        (session_id,),
    )


def amended(conn: sqlite3.Connection, session_id: SessionId) -> None:
    conn.execute(
        "UPDATE session SET register_end_milliwh = 9000000 WHERE session_id = ?",
        (session_id,),
    )


def clock_off(conn: sqlite3.Connection, _session_id: SessionId) -> None:
    clocks.observe(conn, "CP1", 900_000, at(0))


@pytest.mark.parametrize(
    "change",
    [
        limited,
        in_group,
        decided,
        read_late,
        signed_late,
        earlier_end,
        amended,
        clock_off,
    ],
)
async def test_what_changed_meanwhile_is_worked_out_anew(
    tmp_path: Path, change: Change
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session()
        early = await prepared(till, session_id)
        await till.store.writer.run(lambda conn: change(conn, session_id))
        write = partial(settle_in, prepared=early, now=at(300))
        assert await till.store.writer.run(write) is None, "it rests on what is gone"
        assert await till.store.writer.run(
            lambda conn: money.find_bill(conn, session_id) is None
        ), "nothing was written"
        assert await till.settlement.settle(session_id) is not None


async def test_a_reading_of_another_session_changes_nothing(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(0)
        early = await prepared(till, session_id)
        await till.session(1)
        done = await till.store.writer.run(
            partial(settle_in, prepared=early, now=at(300))
        )
        assert done is not None
        assert done.row.status == "settled"


async def test_a_bill_that_was_released_meanwhile_is_not_written_again(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        await till.store.writer.run(partial(clock_off, _session_id=SessionId("")))
        session_id = await till.session()
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert held.status == "held"
        early = await prepared(till, session_id)
        await till.settlement.release(session_id, "op")
        run = till.store.writer.run
        assert await run(partial(settle_in, prepared=early, now=at(300))) is None
        assert (
            await run(partial(release_in, prepared=early, actor="two", now=at(300)))
            is None
        )
        with pytest.raises(RequestError, match="settled"):
            await till.settlement.release(session_id, "two")


async def test_beside_the_writer_and_in_it_the_same_bill_is_made(
    tmp_path: Path,
) -> None:
    rows: list[BillRow] = []
    for name in ("beside", "within"):
        (tmp_path / name).mkdir()
        async with open_till(tmp_path / name) as till:
            session_id = await till.session(wh=7_777)
            if name == "beside":
                row = await till.settlement.settle(session_id)
                assert row is not None
            else:
                work = partial(
                    settle_at_once,
                    session_id=session_id,
                    terms=till.terms,
                    now=till.clock.now(),
                )
                done = await till.store.writer.run(work)
                assert done is not None
                row = done.row
            stored = await till.store.writer.run(
                partial(money.find_bill, session_id=session_id)
            )
            assert row == stored, "what is told is what is stored"
            rows.append(row)
    beside, within = rows
    same = {"session_id": beside.session_id, "session_key": beside.session_key}
    assert replace(within, **same) == beside  # type: ignore[arg-type]  # its own members


async def test_a_session_that_never_rests_is_settled_in_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session(wh=1_000, minutes=10)
        work_out = till.settlement._prepare
        offsets = iter(range(1_000, 60_000, 1_000))

        async def disturbed(which: SessionId) -> Prepared | None:
            found = await work_out(which)
            await till.store.writer.run(
                lambda conn: clocks.observe(conn, "CP1", next(offsets), at(0))
            )
            return found

        monkeypatch.setattr(till.settlement, "_prepare", disturbed)
        row = await till.settlement.settle(session_id)
        assert row is not None
        assert row.status == "settled"
        assert next(offsets) == 4_000, "three times beside the writer, then in it"


async def test_samples_across_a_price_edge_are_divided_exactly(tmp_path: Path) -> None:
    """A clock-aligned sample at the edge makes the division exact."""
    async with open_till(tmp_path) as till:
        begun = await till.store.append_and_wait(
            entry(started(0, wire_id="a", wh=0), ours=False)
        )
        sample = register(30, 7_000, "Sample.Clock")
        await till.store.append_and_wait(
            entry(updated(30, wire_id="a", readings=(sample,)), ours=False)
        )
        await till.store.append_and_wait(
            entry(ended(60, wire_id="a", wh=10_000), ours=False)
        )
        assert begun.session is not None
        row = await till.settlement.settle(begun.session.session_id)
        assert row is not None
        assert row.document is not None
        parts = row.document["parts"]
        assert isinstance(parts, list)
        assert [one["energy_milliwh"] for one in parts] == [7_000_000, 3_000_000]
        assert row.amount_minor == 7 * 42 + 3 * 29
        assert parts[0]["to"] == parts[1]["from"]
        assert day_night().price_at(at(30)) != day_night().price_at(
            at(30) - timedelta(microseconds=1)
        )
