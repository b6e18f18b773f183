"""A phase that a station does not report is not one on which nothing flows."""

from decimal import Decimal

import pytest

from gateway.domain.events import CURRENT, POWER, Reading
from gateway.domain.metering import Sample, samples_of
from gateway.ocpp.readings import with_totals
from tests.support.journal import at


def told(*readings: tuple[str, str | None, int]) -> Sample:
    """What (measurand, phase, value) of one moment come to."""
    found = [
        Reading(sampled_at=at(0), measurand=name, phase=phase, value=Decimal(value))
        for name, phase, value in readings
    ]
    (sample,) = samples_of(with_totals(found))
    return sample


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("L1",), (True, False, False)),
        (("L1-N", "L3-N"), (True, False, True)),
        (("L1", "L2", "L3"), (True, True, True)),
        ((None,), (False, False, False)),
    ],
)
def test_only_currents_of_a_phase_tell_of_it(
    lines: tuple[str | None, ...], expected: tuple[bool, bool, bool]
) -> None:
    sample = told(*((CURRENT, line, 16) for line in lines))
    assert sample.current_told == expected
    assert sample.current_a is not None


def test_a_power_that_was_added_up_says_of_which_phases_it_is() -> None:
    assert told((POWER, "L1", 3680)).power_told == (True, False, False)
    two = told((POWER, "L1-N", 3680), (POWER, "L2-N", 0))
    assert two.power_told == (True, True, False)
    assert told((POWER, None, 3680)).power_told == (True, True, True)
    assert told((CURRENT, "L1", 16)).power_told == (False, False, False)
