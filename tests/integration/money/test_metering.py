"""What meters tell, from the facts to the bill: by which registers, or why not."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import LedgerBackend, LedgerConfig, StoreConfig
from gateway.domain.events import POWER, Reading
from gateway.domain.ids import SessionId
from gateway.domain.metering import CLOCK, INTERVAL
from gateway.domain.topology import Site
from gateway.errors import RequestError
from gateway.services.anchoring import Anchoring, AnchoringSettings
from gateway.services.receipts import Receipts
from ledger.verify import Verdict as Proof
from ledger.verify import verify
from tests.support.journal import at, ended, entry, register, started, updated
from tests.support.money import Till, open_till


def of(minutes: float, measurand: str, value: str, **more: str) -> Reading:
    """One reading."""
    return Reading(
        sampled_at=at(minutes), measurand=measurand, value=Decimal(value), **more
    )


@asynccontextmanager
async def anchored(till: Till, path: Path) -> AsyncIterator[Receipts]:
    """Receipts without a chain."""
    anchoring = Anchoring(
        writer=till.store.writer,
        bus=till.bus,
        clock=till.clock,
        settings=AnchoringSettings(
            ledger=LedgerConfig(backend=LedgerBackend.NONE),
            store=StoreConfig(path=path),
        ),
        site=Site,
    )
    try:
        yield Receipts(database=till.store.writer.path, anchoring=anchoring)
    finally:
        await anchoring.close()


async def session(
    till: Till,
    *samples: tuple[Reading, ...],
    start_wh: int | None = None,
    end_wh: int | None = None,
    minutes: float = 60,
) -> SessionId:
    """A session whose registers, in Wh, may be missing."""
    begun = await till.store.append_and_wait(
        entry(started(0, wire_id="a", wh=start_wh), ours=False)
    )
    assert begun.session is not None
    for number, readings in enumerate(samples):
        when = (readings[0].sampled_at - at(0)).total_seconds() / 60
        sample = updated(when, wire_id="a", readings=readings)
        await till.store.append_and_wait(
            entry(sample, ours=False, message_id=f"s{number}")
        )
    await till.store.append_and_wait(
        entry(ended(minutes, wire_id="a", wh=end_wh), ours=False)
    )
    return begun.session.session_id


@pytest.mark.quirk(23)
async def test_intervals_make_a_proposal_that_an_operator_may_release(
    tmp_path: Path,
) -> None:
    samples = [
        (
            of(15 * n, INTERVAL, "2000.25"),
            of(15 * n, INTERVAL, "2000.25", context=CLOCK),
        )
        for n in range(1, 5)
    ]
    async with open_till(tmp_path) as till:
        session_id = await session(till, *samples)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert (held.status, held.verdict) == ("held", "reconstructed")
        assert held.reasons == ("interval_sum",)
        assert held.energy_milliwh == 8_001_000
        settled = await till.settlement.release(session_id, "token1")
        assert (settled.status, settled.energy_milliwh) == ("settled", 8_001_000)
        leaves = await till.store.writer.run(
            lambda conn: conn.execute(
                "SELECT record FROM leaf WHERE kind = 'meter' AND subject = ?",
                (session_id,),
            ).fetchall()
        )
        assert sum(b'"intervals"' in bytes(row[0]) for row in leaves) == 2


async def test_the_receipt_of_a_bill_by_intervals_can_be_verified(
    tmp_path: Path,
) -> None:
    samples = [(of(15 * n, INTERVAL, "2000"),) for n in range(1, 5)]
    async with open_till(tmp_path) as till, anchored(till, tmp_path) as receipts:
        session_id = await session(till, *samples)
        await till.settlement.settle(session_id)
        await till.settlement.release(session_id, "token1")
        document = json.dumps(await receipts.receipt(session_id)).encode()
        report = verify(document)
        assert report.verdict is not Proof.FALSE, report.to_json()
        forged = document.replace(b"8000000", b"7000000")
        assert forged != document
        assert verify(forged).verdict is Proof.FALSE


@pytest.mark.quirk(23)
async def test_power_alone_is_never_billed_not_even_by_an_operator(
    tmp_path: Path,
) -> None:
    samples = [(of(n, POWER, "6000"),) for n in range(0, 61, 10)]
    async with open_till(tmp_path) as till:
        session_id = await session(till, *samples)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert (held.status, held.verdict) == ("held", "unbillable")
        assert held.reasons == ("no_register", "power_only", "no_registers")
        assert held.amount_minor is None
        with pytest.raises(RequestError):
            await till.settlement.release(session_id, "token1")


@pytest.mark.quirk(21)
async def test_a_jump_between_two_samples_holds_the_bill(tmp_path: Path) -> None:
    samples = [(register(10, 2000),), (register(11, 30_000),), (register(59, 31_000),)]
    async with open_till(tmp_path) as till:
        session_id = await session(
            till, *samples, start_wh=1000, end_wh=31_500, minutes=600
        )
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert (held.status, held.reasons) == ("held", ("register_jump",))


@pytest.mark.quirk(21)
async def test_a_release_bills_what_the_proposal_says(tmp_path: Path) -> None:
    samples = [(register(60, 910_000),)]
    async with open_till(tmp_path) as till:
        session_id = await session(till, *samples, start_wh=0, end_wh=910_083)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert held.reasons == ("placeholder_start",)
        settled = await till.settlement.release(session_id, "token1")
        assert settled.energy_milliwh == held.energy_milliwh == 83_000


async def test_an_end_before_its_start_is_not_priced(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await session(till, start_wh=1000, end_wh=2000, minutes=-30)
        held = await till.settlement.settle(session_id)
        assert held is not None
        assert "not_priced" in held.reasons
        assert held.amount_minor is None
