"""Under the law of measuring, only signed energy at one price settles by itself."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import pytest_asyncio

from gateway.config import Regime
from gateway.domain.ids import SessionId
from gateway.domain.ocpi import parse_tariff
from gateway.domain.reasons import Verdict
from gateway.domain.signed_session import SignedFinding, SignedVerdict
from gateway.domain.tariff import Tariff
from gateway.domain.verdict import Basis
from gateway.services.judging import Proposal, propose
from gateway.store import money, sessions
from tests.support.journal import at, ended, entry, register, started, updated
from tests.support.money import Till, day_night, open_till

ENERGY: Final = {"type": "ENERGY", "price": "0.42"}


def tariff_of(*components: dict[str, Any], **restrictions: Any) -> Tariff:
    element: dict[str, Any] = {"price_components": list(components)}
    elements = [element]
    if restrictions:
        other = {"price_components": [{"type": "ENERGY", "price": "0.29"}]}
        elements = [{**element, "restrictions": restrictions}, other]
    return parse_tariff(
        {"id": "T", "elements": elements}, currency="EUR", timezone="Europe/Berlin"
    )


TARIFFS: Final = {
    "one price": tariff_of(ENERGY),
    "one price and a fee": tariff_of(ENERGY, {"type": "FLAT", "price": "0.50"}),
    "an edge inside": day_night(),
    "time": tariff_of(ENERGY, {"type": "TIME", "price": "2"}),
    "parking": tariff_of(ENERGY, {"type": "PARKING_TIME", "price": "2"}),
    "an edge by energy": tariff_of(ENERGY, max_kwh=5),
    "an edge by duration": tariff_of(ENERGY, max_duration=600),
}
SIGNED: Final = {
    "signed": SignedFinding(
        verdict=SignedVerdict.OK,
        reasons=(),
        register_start_milliwh=1_000_000,
        register_end_milliwh=13_000_000,
    ),
    "unsigned": SignedFinding(verdict=SignedVerdict.UNSIGNED, reasons=()),
    "unverified": SignedFinding(
        verdict=SignedVerdict.UNVERIFIED, reasons=("signed_no_end",)
    ),
    "failed": SignedFinding(verdict=SignedVerdict.FAILED, reasons=("signature_wrong",)),
}
SESSIONS: Final = ("whole", "lost start", "lost end", "told twice", "too fast")
BY_ITSELF: Final = {
    ("signed", name, "whole")
    for name in ("one price", "one price and a fee", "parking")
}
"""All that settles by itself. The car never paused: its bill has no time in it."""


@pytest_asyncio.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(tmp_path, regime=Regime.EICHRECHT) as till:
        yield till


async def session(till: Till, kind: str, number: int = 0) -> SessionId:
    """An hour of 12 kWh, as its station tells it."""
    offset = number * 1000.0
    name = f"tx{number}"

    async def put(fact: Any) -> Any:
        return await till.store.append_and_wait(entry(fact, ours=False))

    done = None
    if kind != "lost start":
        done = await put(started(offset, wire_id=name, wh=1000))
        sample = register(offset + 30, 7000)
        await put(updated(offset + 30, wire_id=name, readings=(sample,)))
    if kind == "lost end":
        await put(started(offset + 90, wire_id=f"{name}b", wh=13_000))
    else:
        minutes = 1 if kind == "too fast" else 60
        last = await put(ended(offset + minutes, wire_id=name, wh=13_000))
        done = done or last
    if kind == "told twice":
        await put(ended(offset + 61, wire_id=name, wh=14_000))
    assert done is not None
    if done.session is None:  # an end that names no session that is known
        rows = await till.store.writer.run(
            lambda conn: conn.execute("SELECT max(session_id) FROM session").fetchone()
        )
        return SessionId(rows[0])
    return SessionId(done.session.session_id)


async def judged(
    till: Till, session_id: SessionId, tariff: Tariff, finding: SignedFinding
) -> Proposal:
    """What would become of a session by itself."""

    def work(conn: sqlite3.Connection) -> Proposal:
        conn.execute("DELETE FROM session_tariff WHERE session_id = ?", (session_id,))
        money.put_tariff(conn, tariff, source="api", now=at(0))
        money.fix_tariff(conn, session_id, "T", at(0))
        found = sessions.by_id(conn, session_id)
        assert found is not None
        return propose(conn, found, terms=till.terms, finding=finding)

    return await till.store.writer.run(work)


async def test_the_whole_table(till: Till) -> None:
    """Every kind of session, signed or not, under every kind of tariff."""
    settles = set()
    for number, kind in enumerate(SESSIONS):
        session_id = await session(till, kind, number)
        for (signed, finding), (name, tariff) in product(
            SIGNED.items(), TARIFFS.items()
        ):
            found = await judged(till, session_id, tariff, finding)
            if found.may_settle:
                settles.add((signed, name, kind))
    assert settles == BY_ITSELF


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("an edge inside", "several_prices"),
        ("time", "time_priced"),
        ("an edge by energy", "several_prices"),
    ],
)
async def test_what_is_held_says_why(till: Till, name: str, reason: str) -> None:
    session_id = await session(till, "whole")
    found = await judged(till, session_id, TARIFFS[name], SIGNED["signed"])
    assert reason in found.reasons
    assert found.judgement.verdict is Verdict.OK, "the energy itself is beyond doubt"


async def test_what_settles_by_itself_is_signed_at_one_price_and_without_time(
    till: Till,
) -> None:
    """Whatever the meter signed, under whatever tariff."""
    session_id = await session(till, "whole")
    random = Random(1)  # noqa: S311 - it draws cases, no secrets
    n_settled = 0
    for _ in range(150):
        verdict = random.choice(list(SignedVerdict))
        start = random.randrange(20_000_000)
        finding = replace(
            SIGNED["signed"],
            verdict=verdict,
            register_start_milliwh=start,
            register_end_milliwh=start + random.choice((0, 11_990_000, 12_000_000)),
        )
        tariff = TARIFFS[random.choice(sorted(TARIFFS))]
        found = await judged(till, session_id, tariff, finding)
        if found.may_settle:
            n_settled += 1
            assert found.bill is not None
            assert verdict is SignedVerdict.OK
            assert found.judgement.basis is Basis.SIGNED
            assert len(found.bill.parts) == 1
            assert not found.bill.prices_time
            assert not found.bill.is_interpolated
    assert n_settled > 0, "the property is not empty"
