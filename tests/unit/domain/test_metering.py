"""Verdicts on energy, case by case."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.events import CURRENT, POWER, REGISTER, SOC, Reading
from gateway.domain.ids import SessionId
from gateway.domain.metering import samples_of
from gateway.domain.session import Session, apply, close_by_operator, empty, supersede
from gateway.domain.signed_session import SignedFinding, SignedVerdict
from gateway.domain.verdict import judge
from tests.support.journal import CP1, at, ended, register, started, updated

SIGNED = SignedFinding(
    verdict=SignedVerdict.OK,
    register_start_milliwh=1_000_400,
    register_end_milliwh=3_000_600,
)


def _session(**changes: Any) -> Session:
    session = empty(SessionId("s"), CP1, "1")
    session = apply(session, started(0, wh=1000))
    sample = updated(30, wire_id="1", readings=(register(30, 2000),))
    session = apply(session, sample)
    session = apply(session, ended(60, wire_id="1", wh=3000))
    return replace(session, **changes)


def test_a_plain_session_is_fine_but_unsigned() -> None:
    found = judge(_session(), rated_w=11_000)
    assert (found.verdict, found.reasons) == ("ok-unsigned", ())
    assert found.energy_milliwh == 2_000_000


def test_a_signed_session_is_fine() -> None:
    found = judge(_session(), signed=SIGNED)
    assert (found.verdict, found.reasons) == ("ok", ())
    assert found.register_start_milliwh == 1_000_400
    assert found.energy_milliwh == 2_000_200


def test_signed_registers_stand_in_for_missing_ones() -> None:
    for members in ({"register_start_milliwh": None}, {"register_end_milliwh": 0}):
        found = judge(_session(**members), signed=SIGNED)
        assert (found.verdict, found.energy_milliwh) == ("ok", 2_000_200)


def test_signed_registers_that_the_others_contradict_are_not_believed() -> None:
    found = judge(_session(register_end_milliwh=4_000_000), signed=SIGNED)
    assert found.verdict == "suspicious"
    assert found.reasons == ("signed_energy_differs",)


@pytest.mark.parametrize(
    ("proof", "verdict"),
    [
        (SignedVerdict.FAILED, "suspicious"),
        (SignedVerdict.UNVERIFIED, "ok-unsigned"),
    ],
)
def test_what_speaks_against_signed_data_is_told(
    proof: SignedVerdict, verdict: str
) -> None:
    signed = SignedFinding(verdict=proof, reasons=("why",))
    found = judge(_session(), signed=signed)
    assert (found.verdict, found.reasons) == (verdict, ("why",))
    assert found.energy_milliwh == 2_000_000


@pytest.mark.parametrize(
    ("changes", "verdict", "reason", "energy_milliwh"),
    [
        ({"register_start_milliwh": None}, "reconstructed", "no_start_register", 10**6),
        ({"register_end_milliwh": None}, "reconstructed", "no_end_register", 2 * 10**6),
        ({"register_end_milliwh": 5}, "suspicious", "end_below_start", 0),
        ({"register_end_milliwh": 0}, "reconstructed", "placeholder_end", 2 * 10**6),
        ({"register_end_milliwh": 10**9}, "suspicious", "faster_than_rated", None),
        ({"register_low_milliwh": 7}, "suspicious", "sample_outside_registers", None),
        ({"last_sample_at": at(90)}, "suspicious", "sample_outside_session", None),
        ({"first_sample_at": at(-9)}, "suspicious", "sample_outside_session", None),
        ({"has_start": False}, "reconstructed", "no_start", None),
        ({"ended_at": at(-1)}, "suspicious", "ends_before_start", None),
        ({"verdicts": ("register_drop",)}, "suspicious", "register_drop", None),
        ({"verdicts": ("amended",)}, "suspicious", "amended", None),
        ({"sequences": ((0, 3), (5, 6))}, "ok-unsigned", "incomplete", 2 * 10**6),
        (
            {
                "register_start_milliwh": None,
                "register_end_milliwh": None,
                "register_low_milliwh": None,
                "register_last_milliwh": None,
            },
            "unbillable",
            "no_register",
            0,
        ),
    ],
)
def test_whatever_is_odd_has_a_name(
    changes: dict[str, Any], verdict: str, reason: str, energy_milliwh: int | None
) -> None:
    found = judge(_session(**changes), rated_w=11_000)
    assert found.verdict == verdict
    assert reason in found.reasons
    if energy_milliwh is not None:
        assert found.energy_milliwh == energy_milliwh


def test_a_start_of_zero_that_cannot_be_true_is_a_placeholder() -> None:
    session = _session(
        register_start_milliwh=0,
        register_low_milliwh=900_000_000,
        register_last_milliwh=902_000_000,
        register_end_milliwh=902_000_000,
    )
    found = judge(session, rated_w=11_000)
    assert "placeholder_start" in found.reasons
    assert found.energy_milliwh == 2_000_000
    assert found.verdict == "reconstructed"


def test_a_meter_that_counts_from_zero_each_time_is_fine() -> None:
    session = apply(empty(SessionId("s"), CP1, "1"), started(0, wh=0))
    sample = updated(30, wire_id="1", readings=(register(30, 5000),))
    session = apply(apply(session, sample), ended(60, wire_id="1", wh=9000))
    assert judge(session, rated_w=11_000).verdict == "ok-unsigned"


def test_a_superseded_session_ends_at_the_next_start() -> None:
    session = apply(empty(SessionId("s"), CP1, "1"), started(0, wh=1000))
    found = judge(supersede(session, at(60), 1_500_000))
    assert (found.verdict, found.energy_milliwh) == ("reconstructed", 500_000)


def test_a_session_closed_by_the_operator_is_held_even_if_its_end_comes_late() -> None:
    session = apply(empty(SessionId("s"), CP1, "1"), started(0, wh=1000))
    session = close_by_operator(session, at(100))
    assert judge(session).verdict == "unbillable" or judge(session).energy_milliwh == 0
    session = apply(session, ended(60, wire_id="1", wh=1500))
    assert session.ended_at == at(60)
    assert judge(session).verdict == "reconstructed"


def test_a_running_session_has_no_verdict() -> None:
    session = apply(empty(SessionId("s"), CP1, "1"), started(0))
    with pytest.raises(ValueError, match="still running"):
        judge(session)


def _reading(measurand: str, value: str, **more: Any) -> Reading:
    return Reading(sampled_at=at(0), measurand=measurand, value=Decimal(value), **more)


def test_readings_of_one_instant_become_one_sample() -> None:
    (sample,) = samples_of(
        (
            _reading(REGISTER, "1234.5678"),
            _reading(POWER, "7360"),
            _reading(CURRENT, "16", phase="L2"),
            _reading(SOC, "55", location="EV"),
            _reading("Voltage", "230.10", phase="L2-N"),
        )
    )
    assert sample.register_milliwh == 1_234_567
    assert sample.power_w == 7360
    assert sample.current_a == (0.0, 16.0, 0.0)
    assert sample.soc_percent == 55
    assert sample.others == (("Voltage/L2-N", "230.10"),)


def test_a_current_without_a_phase_counts_on_all() -> None:
    (sample,) = samples_of((_reading(CURRENT, "10"),))
    assert sample.current_a == (10.0, 10.0, 10.0)


@pytest.mark.parametrize("value", ["-5", "1E+999999", "NaN", "Infinity"])
def test_an_impossible_register_is_kept_as_text_only(value: str) -> None:
    (sample,) = samples_of((_reading(REGISTER, value),))
    assert sample.register_milliwh is None
    assert sample.others == ((REGISTER, str(Decimal(value))),)


@pytest.mark.parametrize("value", ["1E+400", "-1E+12", "NaN"])
def test_an_impossible_power_is_kept_as_text_only(value: str) -> None:
    (sample,) = samples_of((_reading(POWER, value),))
    assert sample.power_w is None
    assert len(sample.others) == 1


def test_the_outlet_counts_before_the_inlet() -> None:
    (sample,) = samples_of(
        (_reading(REGISTER, "9", location="Inlet"), _reading(REGISTER, "5"))
    )
    assert sample.register_milliwh == 5000
