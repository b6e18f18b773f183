"""However much signed data a session has, looking at it stays bounded."""

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.events import SignedReading
from gateway.domain.ids import SessionId
from gateway.domain.session import Session
from gateway.domain.signed_session import SignedVerdict
from gateway.services import meter_keys, signed_meter
from gateway.store import sessions, signed
from gateway.store.signed import PinnedKey
from tests.support.journal import CP1, at, ended, entry, started
from tests.support.money import Till, open_till
from tests.support.ocmf import Meter, reading

METER = Meter()


async def session_with(till: Till, *texts: str) -> SessionId:
    """A session of 2 kWh whose end carries these records, with the key pinned."""
    parsed = meter_keys.parse_key(METER.public_key)
    key = PinnedKey(
        curve=parsed.curve.value,
        point=parsed.point,
        meter_serial=None,
        pinned_at=at(-60),
        pinned_by="test",
    )
    await till.store.writer.run(lambda conn: signed.pin(conn, CP1, 1, key))
    begun = await till.store.append_and_wait(
        entry(started(0, wire_id="tx", wh=1000), ours=False)
    )
    records = tuple(
        SignedReading(sampled_at=at(number / 100), raw=text, context="Sample.Periodic")
        for number, text in enumerate(texts)
    )
    end = replace(ended(60, wire_id="tx", wh=3000), signed=records)
    await till.store.append_and_wait(entry(end, ours=False))
    assert begun.session is not None
    return begun.session.session_id


async def found(till: Till, session_id: SessionId) -> signed_meter.Found:
    def job(conn: sqlite3.Connection) -> signed_meter.Found:
        session = sessions.by_id(conn, session_id)
        assert isinstance(session, Session)
        return signed_meter.examine(conn, session)

    return await till.store.writer.run(job)


async def test_texts_beyond_the_bounds_are_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_till(tmp_path) as till:
        meter = Meter()
        texts = (meter.begin("1.0"), meter.end("3.0"))
        session_id = await session_with(till, *texts)
        assert (await found(till, session_id)).finding.verdict is SignedVerdict.OK
        for name, bound in (("MAX_TEXTS", 1), ("MAX_CHARS", len(texts[0]))):
            with monkeypatch.context() as patch:
                patch.setattr(signed_meter, name, bound)
                seen = await found(till, session_id)
            assert len(seen.records) == 1
            assert "too_many_records" in seen.finding.reasons
            assert seen.finding.verdict is SignedVerdict.UNVERIFIED


async def test_signatures_of_begin_and_end_are_checked_before_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_till(tmp_path) as till:
        meter = Meter()
        texts = [meter.begin("1.0")]
        texts += [meter.record([reading("C", "2.0")]) for _ in range(5)]
        texts.append(meter.end("3.0"))
        session_id = await session_with(till, *texts)
        assert (await found(till, session_id)).finding.verdict is SignedVerdict.OK
        monkeypatch.setattr(signed_meter, "MAX_SIGNATURES", 3)
        seen = await found(till, session_id)
        reasons = [one.reason for one in seen.records]
        assert reasons == [None, None, *["too_many_records"] * 4, None]
        assert seen.finding.verdict is SignedVerdict.UNVERIFIED


async def test_what_was_found_good_outlives_the_key_of_its_meter(
    tmp_path: Path,
) -> None:
    async with open_till(tmp_path) as till:
        session_id = await session_with(till, Meter().both("1.0", "3.0"))
        first = await till.settlement.settle(session_id)
        assert first is not None
        assert (first.status, first.verdict) == ("settled", "ok")
        await till.store.writer.run(lambda conn: signed.unpin(conn, CP1, 1))
        assert await till.settlement.settle(session_id) == first
        stored = await till.store.writer.run(lambda conn: signed.find(conn, session_id))
        assert stored is not None
        assert stored.finding.verdict is SignedVerdict.OK
