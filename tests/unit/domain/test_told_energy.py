"""What samples tell of a session's energy, and what speaks against its registers."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.ids import SessionId
from gateway.domain.metering import BEGIN, CLOCK, END
from gateway.domain.neighbours import Before
from gateway.domain.session import Session, apply, close_by_operator, empty
from gateway.domain.signed_session import SignedFinding, SignedVerdict
from gateway.domain.told_energy import Told, told_energy
from gateway.domain.verdict import Basis, Judgement, judge
from tests.support.journal import CP1, at, ended, started

RATED_W = 11_000.0


def session(start: int | None = 1000, end: int | None = 9000, **more: Any) -> Session:
    """An hour, by its registers in Wh."""
    found = apply(empty(SessionId("s"), CP1, "1"), started(0, wh=start))
    found = apply(found, ended(60, wire_id="1", wh=end))
    return replace(found, **more)


def told(minutes: float, wh: float | None = None, **more: Any) -> Told:
    """A sample, its register in Wh."""
    register = None if wh is None else round(wh * 1000)
    context = more.pop("context", "Sample.Periodic")
    return Told(at=at(minutes), context=context, register_milliwh=register, **more)


def judged(of: Session, *samples: Told, **more: Any) -> Judgement:
    """The verdict with these samples."""
    times = [one.at for one in samples if one.register_milliwh is not None]
    of = replace(
        of,
        first_sample_at=min(times, default=None),
        last_sample_at=max(times, default=None),
    )
    found = told_energy(
        samples,
        start_milliwh=of.register_start_milliwh,
        started_at=of.started_at,
        ended_at=of.ended_at,
        rated_w=RATED_W,
    )
    return judge(of, rated_w=RATED_W, told=found, **more)


def quarter(number: int, energy_wh: int | str, **more: Any) -> Told:
    """An interval of a quarter of an hour, by its end."""
    return told(15 * number, interval_wh=Decimal(energy_wh), **more)


EVEN = tuple(told(10 * n, 1000 + 8000 * n / 6) for n in range(1, 6))


def test_samples_that_fit_change_nothing() -> None:
    found = judged(session(), *EVEN)
    assert (found.verdict, found.reasons) == ("ok-unsigned", ())
    assert (found.basis, found.energy_milliwh) == (Basis.TRANSACTION, 8_000_000)


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    ("of", "samples", "reason"),
    [
        (session(), [told(0, 1200, context=BEGIN)], "begin_sample_differs"),
        (session(), [told(60, 8800, context=END)], "end_sample_differs"),
        (session(), [told(10, 1100), told(11, 8900)], "register_jump"),
        (session(5000, 9000), [told(20, 1000), told(40, 2000)], "relative_samples"),
        (
            session(),
            [told(20, 2000, summed="L1"), told(40, 3000, summed="L1+L2+L3")],
            "phases_differ",
        ),
        (
            session(),
            [told(n, 1000 + n * 130, power_w=1000.0) for n in range(0, 60, 4)],
            "power_integral_differs",
        ),
        (
            session(),
            [told(n, 1000, power_w=9000.0) for n in range(0, 60, 4)],
            "power_integral_differs",
        ),
        (
            session(),
            [quarter(n, 1000, wh=1000 + 2000 * n) for n in range(5)],
            "intervals_differ",
        ),
        (
            session(),
            [
                told(15 * n, 1000 + 2000 * n, clock_interval_wh=Decimal(2100))
                for n in range(5)
            ],
            "intervals_differ",
        ),
    ],
)
def test_what_samples_contradict_is_suspicious(
    of: Session, samples: list[Told], reason: str
) -> None:
    found = judged(of, *samples)
    assert (found.verdict, reason in found.reasons) == ("suspicious", True)


@pytest.mark.quirk(22)
@pytest.mark.parametrize("factor", [0.001, 1000])
def test_samples_in_another_unit_than_start_and_end_are_named_and_not_multiplied(
    factor: float,
) -> None:
    samples = [told(n, (4_076_000 + n * 30) * factor) for n in (20, 40)]
    found = judged(session(4_076_000, 4_078_000), *samples)
    assert (found.verdict, "unit_slip" in found.reasons) == ("suspicious", True)
    assert found.energy_milliwh == 2_000_000


@pytest.mark.quirk(22)
def test_a_register_added_up_from_phases_says_so_and_is_billed() -> None:
    samples = [told(n, 1000 + n * 100, summed="L1+L2+L3") for n in (20, 40)]
    found = judged(session(), *samples)
    assert (found.verdict, found.reasons) == ("ok-unsigned", ("summed_phases",))


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    "samples",
    [
        [told(n, 1000 + n // 8 * 1000) for n in range(1, 61)],  # whole kWh
        [told(n, 1000 + n // 5 * 660) for n in range(1, 61)],  # minutes late
        [told(1, 1010), told(59, 8990)],  # nothing in between arrived
        [told(n, 1000 + n * 133, power_w=9500.0) for n in range(0, 60, 4)],
        [quarter(n, "1999.5", wh=1000 + 2000 * n) for n in range(5)],
        [quarter(n, 2000, wh=1000 + 2000 * n) for n in (0, 1, 2, 4)],  # one was lost
        [told(0, 1000.6, context=BEGIN), told(60, 8999.4, context=END)],  # rounded
    ],
)
def test_honest_meters_raise_no_doubt(samples: list[Told]) -> None:
    found = judged(session(), *samples)
    assert (found.verdict, found.reasons) == ("ok-unsigned", ())


@pytest.mark.quirk(21)
def test_a_zero_that_cannot_be_true_is_no_number() -> None:
    samples = [told(0, 0), told(1, 910_000), told(60, 0, context=END)]
    found = judged(session(0, 0), *samples)
    assert found.reasons == ("placeholder_end", "placeholder_start")
    assert (found.basis, found.energy_milliwh) == (Basis.SAMPLES, 0)
    alone = judged(session(0, 910_083))
    assert (alone.verdict, alone.energy_milliwh) == ("unbillable", 0)
    assert alone.reasons == ("no_register", "placeholder_start")
    nothing_but_zero = judged(session(1000, 0), told(60, 0, context=END))
    assert nothing_but_zero.verdict == "unbillable"
    assert "placeholder_end" in nothing_but_zero.reasons


@pytest.mark.quirk(21)
def test_the_session_before_stands_in_for_a_placeholder_start() -> None:
    before = Before(start_milliwh=900_000_000, end_milliwh=910_000_000)
    found = judged(session(0, 910_083), before=before)
    assert (found.verdict, found.energy_milliwh) == ("reconstructed", 83_000)
    assert found.reasons == ("placeholder_start",)


@pytest.mark.quirk(20)
def test_a_placeholder_end_of_the_session_before_is_no_start() -> None:
    lost = session(None, 9000, has_start=False)
    before = Before(start_milliwh=1_000_000, end_milliwh=0)
    found = judged(lost, told(30, 5000), before=before)
    assert found.register_start_milliwh == 5_000_000
    assert "start_from_previous" not in found.reasons


def test_a_meter_that_counts_sessions_starts_at_zero_and_is_fine() -> None:
    samples = [told(0, 0), told(1, 0), told(30, 4000)]
    found = judged(session(0, 8000), *samples)
    assert (found.verdict, found.energy_milliwh) == ("ok-unsigned", 8_000_000)


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (99_995_000, 3000, "register_rollover"),
        (4_294_960, 1000, "register_rollover"),
        (99_995_000, 30_000, "end_below_start"),
        (5000, 3000, "end_below_start"),
    ],
)
def test_a_counter_that_ran_over_has_a_name_and_no_number(
    start: int, end: int, reason: str
) -> None:
    found = judged(session(start, end))
    assert (found.verdict, found.energy_milliwh) == ("suspicious", 0)
    assert found.reasons == (reason,)


@pytest.mark.quirk(21)
@pytest.mark.parametrize(
    ("before", "reasons"),
    [
        (Before(start_milliwh=500_000, end_milliwh=1_400_000), ["register_overlap"]),
        (Before(start_milliwh=0, end_milliwh=300_000), ["missing_energy"]),
        (Before(start_milliwh=0, end_milliwh=960_000, ended_at=at(-60)), []),
        (Before(start_milliwh=0, end_milliwh=960_000, ended_at=at(-6)), []),
        (Before(start_milliwh=0, end_milliwh=900_000, ended_at=at(-60)), None),
        (Before(start_milliwh=7_000_000, end_milliwh=9_000_000), ["register_rebased"]),
        (Before(start_milliwh=7_000_000, end_milliwh=0), []),
    ],
)
def test_how_a_register_goes_on_from_the_session_before_has_a_name(
    before: Before, reasons: list[str] | None
) -> None:
    found = judged(session(1001, 2000), before=before)
    expected = ["missing_energy"] if reasons is None else reasons
    if before.ended_at == at(-6):
        expected = ["missing_energy"]  # 41 Wh in 6 minutes is nobody's idle draw
    assert list(found.reasons) == expected
    is_held = "register_overlap" in expected
    assert found.verdict == ("suspicious" if is_held else "ok-unsigned")


@pytest.mark.quirk(21)
def test_a_start_cut_to_whole_kwh_is_no_overlap() -> None:
    before = Before(start_milliwh=500_000, end_milliwh=1_400_000)
    assert judged(session(1000, 2000), before=before).reasons == ()


@pytest.mark.quirk(23)
def test_intervals_stand_in_where_there_is_no_register() -> None:
    samples = [quarter(n, 2000) for n in range(1, 5)]
    found = judged(session(None, None), *samples)
    assert (found.verdict, found.basis) == ("reconstructed", Basis.INTERVALS)
    assert (found.register_start_milliwh, found.energy_milliwh) == (0, 8_000_000)
    assert found.reasons == ("interval_sum",)


@pytest.mark.quirk(23)
def test_a_lost_interval_is_told_and_not_made_up() -> None:
    samples = [quarter(n, 2000) for n in (1, 2, 4)]
    found = judged(session(None, None), *samples)
    assert found.energy_milliwh == 6_000_000
    assert found.reasons == ("interval_missing", "interval_sum")


@pytest.mark.quirk(23)
def test_both_kinds_of_intervals_are_never_added_to_each_other() -> None:
    periodic = [quarter(n, 2000) for n in range(1, 5)]
    clock = [
        told(7 + 15 * n, clock_interval_wh=Decimal(2000), context=CLOCK)
        for n in range(4)
    ]
    found = judged(session(None, None), *periodic, *clock)
    assert found.energy_milliwh == 8_000_000
    alone = judged(session(None, None), *clock)
    assert alone.energy_milliwh == 6_000_000, "the first one began before the session"
    assert alone.reasons == ("interval_missing", "interval_sum")


@pytest.mark.quirk(23)
def test_an_interval_tells_more_than_the_register_of_the_begin_alone() -> None:
    samples = [told(0, 1000, context=BEGIN), *(quarter(n, 2000) for n in range(1, 5))]
    found = judged(session(1000, None), *samples)
    assert (found.basis, found.energy_milliwh) == (Basis.INTERVALS, 8_000_000)


@pytest.mark.quirk(23)
def test_power_alone_is_an_estimate_and_never_billed() -> None:
    samples = [told(n, power_w=6000.0) for n in range(0, 61, 10)]
    found = judged(session(None, None), *samples)
    assert (found.verdict, found.basis) == ("unbillable", Basis.POWER)
    assert found.reasons == ("no_register", "power_only")
    assert (found.energy_milliwh, found.estimate_milliwh) == (0, 6_000_000)


def test_signed_registers_count_before_intervals_and_power() -> None:
    signed = SignedFinding(
        verdict=SignedVerdict.OK, register_start_milliwh=1, register_end_milliwh=8
    )
    samples = [quarter(n, 2000, power_w=8000.0) for n in range(1, 5)]
    found = judged(session(None, None), *samples, signed=signed)
    assert (found.verdict, found.basis) == ("ok", Basis.SIGNED)
    assert (found.energy_milliwh, found.estimate_milliwh) == (7, None)


@pytest.mark.quirk(19)
@pytest.mark.parametrize("word", ["amended", "amended_start"])
def test_a_second_word_about_a_session_holds_it(word: str) -> None:
    found = judged(session(verdicts=(word,)))
    assert (found.verdict, found.reasons) == ("suspicious", (word,))


def test_an_end_by_an_operator_is_told() -> None:
    open_one = apply(empty(SessionId("s"), CP1, "1"), started(0, wh=1000))
    found = judged(close_by_operator(open_one, at(60)), *EVEN)
    assert found.reasons == ("ended_by_operator", "no_end_register")


@pytest.mark.quirk(24)
def test_a_clock_that_was_never_set_is_told() -> None:
    years = timedelta(days=365 * 56)
    ends = at(60) - years
    found = judged(session(started_at=at(0) - years, ended_at=ends))
    assert (found.verdict, found.reasons) == ("suspicious", ("clock_unset",))
