"""The journal's promises about single messages."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.session import EndedBy, SessionPhase
from gateway.store.entry import Entry, Receipt
from tests.support.journal import (
    CP2,
    eight_readings,
    ended,
    entry,
    open_store,
    register,
    started,
    updated,
)


def _number(receipt: Receipt) -> str:
    assert receipt.transaction_number is not None
    assert 0 < receipt.transaction_number < 2**31
    return str(receipt.transaction_number)


async def test_a_whole_1_6_session_is_stored_and_judged(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = _number(await store.append_and_wait(entry(started(0, wh=1000))))
        middle = updated(30, wire_id=number, readings=eight_readings(30, 2000))
        receipt = await store.append_and_wait(entry(middle))
        assert receipt.session is not None
        assert receipt.session.power_w == 11000
        assert receipt.session.current_a == (16.0, 16.0, 16.0)
        receipt = await store.append_and_wait(
            entry(ended(60, wire_id=number, wh=3000, token="driver"))
        )
        session = receipt.session
        assert session is not None
        assert session.phase is SessionPhase.ENDED
        assert session.energy_milliwh == 2_000_000
        assert session.verdict == "ok-unsigned"
        stored = await queries.session(session.session_id)
        assert stored == session
        (reading,) = await queries.readings(session.session_id)
        assert reading.register_milliwh == 2_000_000
        assert reading.samples == {
            "Voltage/L1-N": "230.1",
            "Voltage/L2-N": "230.1",
            "Voltage/L3-N": "230.1",
        }


async def test_a_repeated_start_gets_the_same_number(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        first = await store.append_and_wait(entry(started(0)))
        again = await store.append_and_wait(
            entry(started(0, received=3, token="driver"), message_id="other")
        )
        assert _number(again) == _number(first)
        assert first.is_new
        assert not again.is_new
        assert len(await queries.sessions()) == 1


async def test_another_start_gets_another_number(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, _):
        first = await store.append_and_wait(entry(started(0, evse=1)))
        other = await store.append_and_wait(entry(started(0, evse=2)))
        assert _number(first) != _number(other)


async def test_a_second_open_start_closes_the_first(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        first = await store.append_and_wait(entry(started(0, wh=1000)))
        second = await store.append_and_wait(entry(started(60, wh=1500)))
        (closed,) = second.closed
        assert first.session is not None
        assert closed.session_id == first.session.session_id
        assert closed.ended_by is EndedBy.SUPERSEDED
        assert closed.register_end_milliwh == 1_500_000
        assert closed.verdict == "reconstructed"
        assert len(await queries.open_sessions()) == 1
        late = await store.append_and_wait(
            entry(ended(50, wire_id=_number(first), wh=1400, received=70))
        )
        assert late.session is not None
        assert late.session.ended_by is EndedBy.STATION
        assert late.session.energy_milliwh == 400_000
        assert late.session.verdict == "ok-unsigned"


async def test_the_first_stop_wins_and_a_different_one_is_kept(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = _number(await store.append_and_wait(entry(started(0))))
        first = await store.append_and_wait(entry(ended(60, wire_id=number, wh=2000)))
        same = await store.append_and_wait(
            entry(ended(60, wire_id=number, wh=2000, received=70))
        )
        assert same.session == first.session
        assert not same.is_new
        differing = await store.append_and_wait(
            entry(ended(61, wire_id=number, wh=9000))
        )
        assert differing.session is not None
        assert differing.session.energy_milliwh == 1_000_000
        assert "amended" in differing.session.verdicts
        assert differing.session.verdict == "suspicious"
        rows = await queries.rows("SELECT kind, register_milliwh FROM amendment")
        assert rows == [("ended", 9_000_000)]


async def test_no_station_can_end_another_stations_session(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        receipt = await store.append_and_wait(entry(started(0)))
        number = _number(receipt)
        stop = ended(10, wire_id=number, wh=999_999, station=CP2)
        answer = await store.append_and_wait(entry(stop))
        assert answer.session is None
        sample = updated(11, wire_id=number, station=CP2, readings=(register(11, 7),))
        await store.append_and_wait(entry(sample))
        assert receipt.session is not None
        assert await queries.session(receipt.session.session_id) == receipt.session
        kinds = [orphan.kind for orphan in await queries.orphans("CP2")]
        assert kinds == ["updated", "ended"]


@pytest.mark.parametrize("wire_id", ["0", "-1", "424242"])
async def test_an_unknown_number_means_the_one_session_it_can_mean(
    tmp_path: Path, wire_id: str
) -> None:
    async with open_store(tmp_path) as (store, _):
        await store.append_and_wait(entry(started(0)))
        sample = updated(5, wire_id=wire_id, readings=(register(5, 1100),))
        receipt = await store.append_and_wait(entry(sample))
        assert receipt.session is not None
        assert receipt.session.register_last_milliwh == 1_100_000
        stop = ended(9, wire_id=wire_id, wh=1200)
        receipt = await store.append_and_wait(entry(stop))
        assert receipt.session is not None
        assert receipt.session.verdict == "reconstructed"
        again = await store.append_and_wait(entry(stop))
        assert again.session == receipt.session
        assert not again.is_new


async def test_an_unknown_stop_below_the_start_register_is_an_orphan(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as (store, queries):
        await store.append_and_wait(entry(started(0, evse=1)))
        await store.append_and_wait(entry(started(0, evse=2, wh=5000)))
        stop = ended(9, wire_id="77", wh=10)
        receipt = await store.append_and_wait(entry(stop))
        assert receipt.session is None
        await store.append_and_wait(entry(stop))
        (orphan,) = await queries.orphans()
        assert orphan.transaction_id == "77"
        assert len(await queries.open_sessions()) == 2


async def test_a_stop_whose_start_was_lost_becomes_a_session(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = _number(await store.append_and_wait(entry(started(0))))
        await store.append_and_wait(entry(ended(10, wire_id=number, wh=1100)))
        samples = (register(20, 1100), register(30, 1500))
        lost = ended(40, wire_id="99", wh=1600, readings=samples)
        receipt = await store.append_and_wait(entry(lost))
        assert receipt.session is not None
        assert receipt.session.evse_id == 1
        assert receipt.session.verdict == "reconstructed"
        assert len(await queries.sessions()) == 2


async def test_2_0_1_facts_make_one_session_in_any_order(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        for event in (
            ended(60, wire_id="tx-1", wh=2000, sequence=2),
            updated(30, wire_id="tx-1", readings=(register(30, 1500),), sequence=1),
            started(0, wire_id="tx-1", wh=1000, sequence=0),
        ):
            await store.append_and_wait(entry(event, ours=False))
        (session,) = await queries.sessions()
        assert session.energy_milliwh == 1_000_000
        assert session.verdict == "ok-unsigned"
        assert not session.has_gap


async def test_a_reused_2_0_1_id_is_another_session(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        for begin in (0, 100):
            await store.append_and_wait(
                entry(started(begin, wire_id="1", sequence=0), ours=False)
            )
            await store.append_and_wait(
                entry(
                    ended(begin + 10, wire_id="1", wh=1000 + begin, sequence=1),
                    ours=False,
                )
            )
        energies = [session.energy_milliwh for session in await queries.sessions()]
        assert sorted(energies) == [0, 100_000]


async def test_a_register_drop_is_noticed_in_any_order(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):
        number = _number(await store.append_and_wait(entry(started(0))))
        for minute, wh in ((10, 1100), (30, 1050), (20, 1200)):
            sample = updated(minute, wire_id=number, readings=(register(minute, wh),))
            await store.append_and_wait(entry(sample))
        (session,) = await queries.sessions()
        assert "register_drop" in session.verdicts


async def test_a_start_without_a_clock_is_known_by_its_payload(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, queries):

        def stamped(minutes: float, wh: int, message_id: str) -> Entry:
            event = started(minutes, received=minutes, wh=wh)
            message = entry(event, message_id=message_id)
            return replace(message, payload=f'{{"meterStart":{wh}}}'.encode())

        first = await store.append_and_wait(stamped(0, 1000, "a"))
        again = await store.append_and_wait(stamped(5, 1000, "b"))
        assert _number(again) == _number(first)
        zero = await store.append_and_wait(stamped(10, 0, "c"))
        same_zero = await store.append_and_wait(stamped(11, 0, "c"))
        other_zero = await store.append_and_wait(stamped(12, 0, "d"))
        assert _number(same_zero) == _number(zero)
        assert _number(other_zero) != _number(zero)
        assert len(await queries.sessions()) == 3


async def test_a_repeated_stop_without_a_clock_amends_nothing(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, _):
        number = _number(await store.append_and_wait(entry(started(0))))
        first = ended(60, wire_id=number, wh=2000, received=60)
        await store.append_and_wait(entry(first))
        later = ended(70, wire_id=number, wh=2000, received=70)
        receipt = await store.append_and_wait(entry(later))
        assert receipt.session is not None
        assert receipt.session.verdict == "ok-unsigned"
        assert not receipt.is_new


async def test_old_facts_are_marked_as_backlog(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, _):
        live = await store.append_and_wait(entry(started(0, received=4)))
        old = await store.append_and_wait(entry(started(0, evse=2, received=6)))
        assert not live.is_backlog
        assert old.is_backlog


async def test_sequence_numbers_below_zero_read_back_as_they_were(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as (store, queries):
        for minutes, sequence in ((0, -3), (1, -2), (2, -1)):
            fact = updated(minutes, wire_id="t-1", sequence=sequence)
            await store.append_and_wait(entry(fact, ours=False))
        fact = updated(3, wire_id="t-1", sequence=7)
        receipt = await store.append_and_wait(entry(fact, ours=False))
        assert receipt.session is not None
        assert receipt.session.sequences == ((-3, -1), (7, 7))
        again = ended(9, wire_id="t-1", wh=2000, sequence=8)
        await store.append_and_wait(entry(again, ours=False))
        stored = await queries.session(receipt.session.session_id)
        assert stored is not None
        assert stored.sequences == ((-3, -1), (7, 8))
        assert stored.has_gap
