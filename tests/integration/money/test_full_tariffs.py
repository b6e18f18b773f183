"""Sessions billed by tariffs that ask for more than energy."""

import json
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Regime
from gateway.domain.ids import SessionId
from gateway.domain.ocpi import parse_tariff
from gateway.services.billing import cost_so_far
from gateway.services.judging import final_cost
from gateway.store import group_tariffs, money, sessions, tokens
from gateway.store.money import BillRow
from gateway.store.times import to_text
from ledger import pricing
from tests.support.journal import at, ended, entry, started
from tests.support.money import Till, day_night, open_till

PRICES: list[dict[str, Any]] = [
    {"type": "ENERGY", "price": "0.40"},
    {"type": "TIME", "price": 1},
    {"type": "PARKING_TIME", "price": 6},
]
PAUSE = (
    "INSERT INTO limit_command (station_id, evse_id, evse_ids, purpose, session_id,"
    " profile_id, start_at, steps, unit, number_phases, nominal_v, sent_at)"
    " VALUES ('CP1', 1, '[1]', 'session', ?, 1, ?, ?, 'A', 3, 230, ?)"
)


async def use(till: Till, *components: dict[str, Any], **restrictions: Any) -> None:
    """Sessions from now on charge by these prices."""
    element = {"price_components": list(components), "restrictions": restrictions}
    tariff = parse_tariff(
        {"id": "T", "elements": [element]}, currency="EUR", timezone="Europe/Berlin"
    )

    def job(conn: sqlite3.Connection) -> None:
        money.put_tariff(conn, tariff, source="api", now=at(-30))

    await till.store.writer.run(job)


async def pause(
    till: Till, session_id: SessionId, *steps: tuple[int, int], sent: float = 0
) -> None:
    """A limit of the session: offsets in s and tenths of an ampere."""
    start = to_text(at(0))
    values = (session_id, start, json.dumps(steps), to_text(at(sent)))
    await till.store.writer.run(lambda conn: conn.execute(PAUSE, values))


async def settled(till: Till, session_id: SessionId) -> BillRow:
    row = await till.settlement.settle(session_id)
    assert row is not None
    return row


async def test_what_is_settled_is_what_was_told_and_what_the_verifier_finds(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        await use(till, *PRICES, {"type": "FLAT", "price": 1, "vat": 19})
        session_id = await till.session(wh=12_000)

        def told(conn: sqlite3.Connection) -> tuple[str | None, str | None]:
            session = sessions.by_id(conn, session_id)
            assert session is not None
            running = cost_so_far(conn, session)
            assert running is not None
            return running.amount_text, final_cost(conn, session, terms=till.terms)

        assert await till.store.writer.run(told) == ("6.99", "6.99")
        row = await settled(till, session_id)
        assert (row.status, row.amount_minor) == ("settled", 480 + 100 + 119)
        document = row.document
        assert document is not None
        tariff = await till.store.writer.run(
            partial(money.promised_tariff, session_id=session_id)
        )
        assert tariff is not None
        assert pricing.check_bill(document, tariff.snapshot()) == ()
        assert (document["net_minor"], document["vat_minor"]) == (680, 19)


async def test_energy_beyond_the_last_price_waits(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await use(till, PRICES[0], max_kwh=5)
        row = await settled(till, await till.session(wh=12_000))
        assert (row.status, row.reasons) == ("held", ("no_price",))
        assert row.amount_minor is None


async def test_prices_of_time_need_a_certified_clock(tmp_path: Path) -> None:
    async with open_till(tmp_path, regime=Regime.EICHRECHT) as till:
        await use(till, *PRICES)
        row = await settled(till, await till.session())
        assert row.status == "held"
        assert "time_priced" in row.reasons


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (((0, 160), (600, 0), (3_000, 160)), "held"),
        (((0, 160), (600, 60)), "settled"),
        (((0, 0), (30, 160)), "settled"),
    ],
)
async def test_parking_that_we_ordered_is_not_billed_by_itself(
    tmp_path: Path, steps: tuple[tuple[int, int], ...], status: str
) -> None:
    async with open_till(tmp_path) as till:
        await use(till, *PRICES)
        session_id = await till.session(wh=0)
        await pause(till, session_id, *steps)
        row = await settled(till, session_id)
        assert row.status == status
        assert ("paused_by_limit" in row.reasons) is (status == "held")
        assert row.amount_minor == 600


async def test_a_pause_that_a_later_limit_took_back_is_over(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await use(till, *PRICES)
        session_id = await till.session(wh=0)
        await pause(till, session_id, (0, 0))
        await pause(till, session_id, (0, 160), sent=0.5)
        assert (await settled(till, session_id)).status == "settled"


async def test_a_pause_makes_no_doubt_while_the_car_charges(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        await use(till, *PRICES)
        session_id = await till.session(wh=12_000)
        await pause(till, session_id, (0, 0))
        assert (await settled(till, session_id)).status == "settled"


@pytest.mark.parametrize(
    ("at_start", "is_member", "tariff_id", "is_held"),
    [
        ("DRIVER", True, "G", False),
        (None, True, "T", True),
        (None, False, "T", False),
        ("DRIVER", False, "T", False),
    ],
)
async def test_a_group_whose_driver_came_late_is_not_billed_by_another_tariff(
    tmp_path: Path, at_start: str | None, is_member: bool, tariff_id: str, is_held: bool
) -> None:
    async with open_till(tmp_path) as till:

        def job(conn: sqlite3.Connection) -> None:
            tariff = replace(day_night("0.10", "0.10"), id="G")
            money.put_tariff(conn, tariff, source="api", now=at(-30))
            group_tariffs.put(conn, group_id="Crew", tariff_id="G", now=at(-30))
            group = "crew" if is_member else None
            tokens.put(
                conn, value="DRIVER", status="Accepted", now=at(-30), group_id=group
            )

        await till.store.writer.run(job)
        start = started(0, wire_id="tx", token=at_start)
        begun = await till.store.append_and_wait(entry(start, ours=False))
        stop = ended(60, wire_id="tx", wh=11_000, token="DRIVER")
        await till.store.append_and_wait(entry(stop, ours=False))
        assert begun.session is not None
        row = await settled(till, begun.session.session_id)
        assert ("group_tariff_late" in row.reasons) is is_held
        assert (row.status == "held") is is_held
        assert row.document is not None
        assert row.document["tariff_id"] == tariff_id
