"""A driver who comes after the start is promised what was asked when they came."""

import hashlib
import json
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.events import SessionUpdated
from gateway.domain.ids import IdToken, SessionId
from gateway.services.running_costs import RunningCosts
from gateway.store import group_tariffs, money, sessions, tokens
from gateway.store.money import BillRow
from tests.support.journal import at, ended, entry, register, started, updated
from tests.support.money import Till, day_night, open_till


def came(minutes: float, wh: int | None = None) -> SessionUpdated:
    """The driver holds a card to the reader."""
    readings = () if wh is None else (register(minutes, wh),)
    event = updated(minutes, wire_id="tx", readings=readings)
    return msgspec.structs.replace(
        event, id_token=IdToken(value="DRIVER"), trigger="Authorized"
    )


async def with_group(till: Till) -> None:
    def job(conn: sqlite3.Connection) -> None:
        tariff = replace(day_night("0.10", "0.10"), id="G")
        money.put_tariff(conn, tariff, source="api", now=at(-30))
        group_tariffs.put(conn, group_id="Crew", tariff_id="G", now=at(-30))
        tokens.put(
            conn, value="DRIVER", status="Accepted", now=at(-30), group_id="crew"
        )

    await till.store.writer.run(job)


async def play(till: Till, *events: Any) -> SessionId:
    session_id = None
    for event in events:
        receipt = await till.store.append_and_wait(entry(event, ours=False))
        assert receipt.session is not None
        session_id = receipt.session.session_id
    assert session_id is not None
    return session_id


async def start_leaf(till: Till, session_id: SessionId) -> dict[str, Any] | None:
    def job(conn: sqlite3.Connection) -> dict[str, Any] | None:
        row = conn.execute(
            "SELECT record FROM leaf WHERE subject = ? AND kind = 'session_start'",
            (session_id,),
        ).fetchone()
        return None if row is None else json.loads(row[0])

    return await till.store.writer.run(job)


async def settled(till: Till, session_id: SessionId) -> BillRow:
    row = await till.settlement.settle(session_id)
    assert row is not None
    return row


async def test_who_comes_before_the_energy_is_promised_their_own_tariff(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        await with_group(till)
        session_id = await play(till, started(0, wire_id="tx", token=None))
        assert await start_leaf(till, session_id) is None, "no terms are known yet"
        await play(till, came(2, 1_005))
        leaf = await start_leaf(till, session_id)
        assert leaf is not None
        promised = await till.store.writer.run(
            partial(money.promised_tariff, session_id=session_id)
        )
        assert promised is not None
        assert promised.id == "G"
        assert leaf["tariff_sha256"] == promised.sha256, "it is in the evidence"
        assert leaf["id_token_sha256"] == hashlib.sha256(b"driver").hexdigest()
        await play(till, updated(30, wire_id="tx", readings=(register(30, 6_000),)))
        await play(till, came(2, 1_005), ended(60, wire_id="tx", wh=11_000))
        assert await start_leaf(till, session_id) == leaf, "once, and for good"
        row = await settled(till, session_id)
        assert (row.status, row.amount_minor) == ("settled", 100)


@pytest.mark.parametrize("is_told_with_the_end", [False, True])
async def test_energy_before_anybody_is_known_waits_for_a_person(
    tmp_path: Path, is_told_with_the_end: bool
) -> None:
    async with open_till(tmp_path) as till:
        await with_group(till)
        events: list[Any] = [started(0, wire_id="tx", token=None)]
        if not is_told_with_the_end:
            events += [
                updated(20, wire_id="tx", readings=(register(20, 4_000),)),
                came(21),
            ]
        token = "DRIVER" if is_told_with_the_end else None
        events += [ended(60, wire_id="tx", wh=11_000, token=token)]
        session_id = await play(till, *events)
        leaf = await start_leaf(till, session_id)
        assert leaf is not None
        assert "id_token_sha256" not in leaf
        row = await settled(till, session_id)
        assert row.status == "held"
        assert "group_tariff_late" in row.reasons
        assert row.document is not None
        assert row.document["tariff_id"] == "T"


async def test_a_price_that_changed_before_the_driver_came_is_the_new_one(
    tmp_path: Path,
) -> None:
    """The cable went in at noon, the tariff changed, then the driver came."""
    async with open_till(tmp_path) as till:
        session_id = await play(till, started(0, wire_id="tx", token=None))
        await till.store.writer.run(
            lambda conn: money.put_tariff(
                conn, day_night("0.60", "0.60"), source="api", now=at(10)
            )
        )
        await play(till, came(15), ended(60, wire_id="tx", wh=11_000))
        row = await settled(till, session_id)
        assert (row.status, row.amount_minor) == ("settled", 600)


async def test_who_never_comes_is_billed_by_the_station(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await play(
            till,
            started(0, wire_id="tx", token=None),
            ended(20, wire_id="tx", wh=3_000),
        )
        row = await settled(till, session_id)
        assert (row.status, row.amount_minor) == ("settled", 84)


async def test_the_running_cost_begins_with_the_driver(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await with_group(till)
        costs = RunningCosts(till.settlement._queries)
        session_id = await play(till, started(0, wire_id="tx", token=None))

        async def cost() -> str | None:
            session = await till.store.writer.run(
                partial(sessions.by_id, session_id=session_id)
            )
            assert session is not None
            found = await costs.load(session)
            return None if found is None else found.text

        assert await cost() is None
        await play(till, came(2))
        assert await cost() == "0.00"
        await play(till, updated(30, wire_id="tx", readings=(register(30, 6_000),)))
        assert await cost() == "0.50"
