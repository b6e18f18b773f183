"""Registers against the power beside them."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.register_unit import (
    Comparison,
    Point,
    Source,
    UnitVerdict,
    against_maximum,
    compare,
    judge_unit,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def points(
    scale: float, *, power_w: float | None = 11_000.0, amps: float | None = None
) -> list[Point]:
    """An hour at 11 kW, every five minutes; the register shows ``scale`` of it."""
    return [
        Point(
            at=NOON + timedelta(minutes=5 * at),
            register_milliwh=round(9_000_000 + 11_000_000 / 12 * at * scale),
            power_w=power_w,
            current_a=amps,
        )
        for at in range(13)
    ]


def compared(scale: float, **more: float | None) -> Comparison:
    found = compare(points(scale, **more))
    assert found is not None
    return found


@pytest.mark.quirk(22)
@pytest.mark.parametrize(
    ("scale", "verdict", "factor"),
    [
        (1.0, UnitVerdict.AS_SAID, None),
        (0.93, UnitVerdict.AS_SAID, None),
        (0.001, UnitVerdict.TOO_LOW, "1000"),
        (1000.0, UnitVerdict.TOO_HIGH, "0.001"),
        (0.064, UnitVerdict.PULSES, None),
    ],
)
def test_a_constant_factor_between_register_and_power_gets_its_name(
    scale: float, verdict: UnitVerdict, factor: str | None
) -> None:
    found = judge_unit([compared(scale), compared(scale)])
    assert (found.verdict, found.factor) == (verdict, factor)
    assert found.source is Source.POWER


@pytest.mark.quirk(22)
def test_a_register_that_stands_still_under_power_is_too_low() -> None:
    found = judge_unit([compared(0.0), compared(0.001)])
    assert found.verdict in {UnitVerdict.TOO_LOW, UnitVerdict.UNCLEAR}
    assert compared(0.0).is_contradiction


@pytest.mark.quirk(22)
def test_one_session_or_none_proposes_nothing() -> None:
    assert judge_unit([]).verdict is UnitVerdict.UNKNOWN
    assert judge_unit([compared(0.001)]).factor is None


@pytest.mark.quirk(22)
def test_sessions_that_disagree_propose_nothing() -> None:
    found = judge_unit([compared(0.3), compared(0.03)])
    assert (found.verdict, found.factor) == (UnitVerdict.UNCLEAR, None)


@pytest.mark.quirk(22)
def test_without_power_the_current_is_compared() -> None:
    found = compared(0.001, power_w=None, amps=48.0)
    assert found.source is Source.CURRENT
    assert judge_unit([found, found]).verdict is UnitVerdict.TOO_LOW


@pytest.mark.quirk(22)
def test_sessions_faster_than_their_evse_are_too_high() -> None:
    above = against_maximum(11_000_000_000, 11_600_000.0)
    assert above is not None
    assert judge_unit([above, above]).verdict is UnitVerdict.TOO_HIGH
    assert against_maximum(11_000_000, 11_600_000.0) is None


def test_samples_far_apart_are_not_compared() -> None:
    ends = [points(0.001)[0], points(0.001)[-1]]
    assert compare(ends) is None
    assert compare([]) is None
