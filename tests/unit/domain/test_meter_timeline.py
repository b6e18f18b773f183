"""What registers count, by the sessions of one EVSE."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.ids import SessionId, StationId
from gateway.domain.meter_timeline import (
    Boot,
    Oddity,
    Opening,
    Semantics,
    Timeline,
    timeline,
)
from gateway.domain.session import EndedBy, Session, SessionPhase

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
KWH = 1_000_000


@dataclass(frozen=True)
class Row:
    """Registers of an hour, kWh."""

    start: float
    end: float
    low: float | None = None
    last: float | None = None
    words: tuple[str, ...] = ()


def seen(
    *rows: Row,
    boots: tuple[int, ...] = (),
    named: tuple[str, ...] = (),
    serials: dict[SessionId, str] | None = None,
) -> Timeline:
    """One session every two hours; boots, naming meters, before that session."""
    sessions = []
    for number, row in enumerate(rows):
        begins = NOON + timedelta(hours=2 * number)
        samples = (row.low, row.last)
        sessions.append(
            Session(
                session_id=SessionId(f"s{number}"),
                station_id=StationId("CP"),
                evse_id=1,
                connector_id=1,
                phase=SessionPhase.ENDED,
                ended_by=EndedBy.STATION,
                has_start=True,
                started_at=begins,
                ended_at=begins + timedelta(hours=1),
                register_start_milliwh=round(row.start * KWH),
                register_end_milliwh=round(row.end * KWH),
                register_low_milliwh=None if row.low is None else round(row.low * KWH),
                register_last_milliwh=max(
                    round(one * KWH)
                    for one in (row.start, row.end, *samples)
                    if one is not None
                ),
                first_sample_at=begins + timedelta(minutes=1),
                verdicts=row.words,
            )
        )
    at = [NOON + timedelta(hours=2 * number, minutes=-30) for number in boots]
    names = dict(enumerate(named))
    said = [Boot(at=one, meter_serial=names.get(n)) for n, one in enumerate(at)]
    return timeline(sessions, boots=said, serials=serials or {}, rated_w=22_000.0)


@pytest.mark.quirk(21)
def test_a_register_that_goes_on_counts_a_lifetime() -> None:
    found = seen(Row(100, 110), Row(110, 125), Row(126, 130))
    assert found.semantics is Semantics.LIFETIME
    (segment,) = found.segments
    assert (segment.opened_by, segment.n_session) == (Opening.FIRST, 3)
    assert (segment.from_milliwh, segment.to_milliwh) == (100 * KWH, 130 * KWH)
    assert found.oddities == {}


@pytest.mark.quirk(21)
def test_a_register_that_begins_at_0_each_time_counts_transactions() -> None:
    found = seen(Row(0, 10), Row(0, 15), Row(0, 4))
    assert found.semantics is Semantics.PER_TRANSACTION
    assert len(found.segments) == 3


@pytest.mark.quirk(21)
def test_a_register_that_goes_back_after_restarts_only_resets_at_boot() -> None:
    rows = (Row(100, 110), Row(0, 15), Row(15, 20), Row(20, 24))
    assert seen(*rows, boots=(1,)).semantics is Semantics.RESETS_AT_BOOT
    assert seen(*rows, boots=(3,)).semantics is Semantics.RESETS
    assert seen(*rows).segments[1].opened_by is Opening.RESET


@pytest.mark.quirk(21)
def test_a_drop_opens_a_segment_and_none_goes_back() -> None:
    found = seen(Row(100, 110), Row(112, 3), Row(3, 9))
    assert [one.opened_by for one in found.segments] == [
        Opening.FIRST,
        Opening.WITHIN_SESSION,
    ]
    assert all(one.from_milliwh <= one.to_milliwh for one in found.segments)
    assert found.oddities == {Oddity.END_BELOW_START: 1}


@pytest.mark.quirk(21)
def test_a_placeholder_is_neither_a_reset_nor_a_session_from_0() -> None:
    found = seen(Row(900, 905), Row(0, 910, low=906), Row(0, 915), Row(915, 920))
    assert found.semantics is Semantics.LIFETIME
    assert found.oddities == {Oddity.PLACEHOLDER_START: 2}


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    ("row", "oddity"),
    [
        (Row(4076, 4078, low=0.5, last=1.5), Oddity.RELATIVE_SAMPLES),
        (Row(100, 104, low=0, words=("register_drop",)), Oddity.DROPOUTS),
        (Row(100, 104, low=101, last=105), Oddity.SAMPLE_ABOVE_END),
    ],
)
def test_what_single_sessions_show_has_a_name(row: Row, oddity: Oddity) -> None:
    assert seen(row).oddities == {oddity: 1}


@pytest.mark.quirk(21)
def test_two_sessions_name_nothing() -> None:
    assert seen(Row(100, 110), Row(0, 5)).semantics is Semantics.UNKNOWN
    assert seen().segments == ()


@pytest.mark.quirk(21)
def test_a_counter_that_runs_over_still_counts_a_lifetime() -> None:
    rows = (Row(99_980, 99_990), Row(99_990, 4), Row(4, 20), Row(20, 30))
    found = seen(*rows)
    assert found.semantics is Semantics.LIFETIME
    assert found.oddities == {Oddity.ROLLOVER: 1}
    assert [one.opened_by for one in found.segments] == [
        Opening.FIRST,
        Opening.ROLLOVER,
    ]
    between = seen(Row(99_980, 99_999.99), Row(0.01, 5), Row(5, 9))
    assert between.segments[1].opened_by is Opening.ROLLOVER


@pytest.mark.quirk(21)
def test_another_meter_opens_a_segment_whatever_its_register_says() -> None:
    rows = (Row(100, 110), Row(110, 120), Row(121, 130), Row(130, 140))
    booted = seen(*rows, boots=(0, 2), named=("A1", "B2"))
    assert [one.meter_serial for one in booted.segments] == ["A1", "B2"]
    assert booted.segments[1].opened_by is Opening.METER_CHANGED
    assert booted.semantics is Semantics.LIFETIME
    signed = {SessionId("s0"): "M1", SessionId("s3"): "M2"}
    by_signature = seen(*rows, serials=signed, boots=(0,), named=("other words",))
    assert [one.n_session for one in by_signature.segments] == [3, 1]
    assert len(seen(*rows, boots=(0, 2), named=("A1", "A1")).segments) == 1


@pytest.mark.quirk(21)
def test_what_nobody_is_known_to_have_drawn_is_added_up() -> None:
    (segment,) = seen(Row(100, 110), Row(110.02, 120), Row(125, 130)).segments
    assert segment.sessions_milliwh == round(24.98 * KWH)
    assert segment.idle_milliwh == round(0.02 * KWH)
    assert segment.missing_milliwh == 5 * KWH
