"""What records of one session must say together."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.domain.ocmf import parse
from gateway.domain.signed_session import (
    UNSIGNED,
    Examined,
    SignedFinding,
    SignedVerdict,
    conclude,
)
from tests.support.ocmf import Meter, reading


def judged(texts: Sequence[str]) -> SignedFinding:
    return conclude([Examined(record=parse(text)) for text in texts])


def test_a_session_without_records_is_unsigned() -> None:
    assert conclude([]) == UNSIGNED


def test_digits_below_mwh_are_cut_off_however_many_there_are() -> None:
    finding = judged([Meter().both(f"0.{'9' * 38}", f"7.{'9' * 38}")])
    registers = finding.register_start_milliwh, finding.register_end_milliwh
    assert registers == (999_999, 7_999_999)


@pytest.mark.parametrize("kind", "ELRAP")
def test_begin_and_end_prove_the_energy_between(kind: str) -> None:
    meter = Meter()
    begin = meter.begin("1.0004")
    finding = judged([meter.record([reading(kind, "3.0009")]), begin])
    assert (finding.verdict, finding.reasons) == (SignedVerdict.OK, ())
    assert finding.register_start_milliwh == 1_000_400
    assert finding.register_end_milliwh == 3_000_900


def test_records_between_and_one_record_of_both_are_as_good() -> None:
    meter = Meter()
    middle = [meter.begin("1"), meter.record([reading("C", "2")]), meter.end("3")]
    assert judged(middle).verdict is SignedVerdict.OK
    assert judged([meter.both("1", "3")]).verdict is SignedVerdict.OK


def test_an_end_may_repeat_its_begin() -> None:
    meter = Meter()
    records = [
        meter.begin("1"),
        meter.record([reading("C", "2")]),
        meter.both("1", "3"),
    ]
    assert judged(records).verdict is SignedVerdict.OK


def test_a_record_outside_transactions_takes_no_part() -> None:
    meter = Meter()
    fiscal = meter.record([reading("", "9")], PG="F900")
    meter.page -= 1
    finding = judged([fiscal, meter.begin("1"), meter.end("3")])
    assert finding.verdict is SignedVerdict.OK


def test_of_several_registers_the_total_import_counts() -> None:
    meter = Meter()
    export = {"RI": "1-0:2.8.0"}
    both = meter.record(
        [
            reading("B", "7", **export),
            reading("B", "1"),
            reading("E", "9", **export),
            reading("E", "3"),
        ]
    )
    finding = judged([both])
    assert finding.register_start_milliwh == 1_000_000
    assert finding.register_end_milliwh == 3_000_000


def test_an_uncertain_time_says_nothing_against_the_energy() -> None:
    meter = Meter()
    both = meter.record([reading("B", "1", EF="t"), reading("E", "3", EF="t")])
    assert judged([both]).verdict is SignedVerdict.OK


FAILURES: dict[str, Callable[[Meter], list[str]]] = {
    "signed_page_missing": lambda m: [m.begin("1"), _skip(m), m.end("3")][::2],
    "signed_page_repeated": lambda m: [m.begin("1"), m.end("3", PG="T7")],
    "signed_serial_differs": lambda m: [m.begin("1"), m.end("3", MS="other")],
    "signed_register_falls": lambda m: [m.begin("3"), m.end("1")],
    "signed_out_of_order": lambda m: [m.end("1"), m.begin("3")],
    "signed_several_begins": lambda m: [m.begin("1"), m.both("1.1", "3")],
    "signed_several_ends": lambda m: [m.both("1", "3"), m.end("4")],
    "signed_meter_error": lambda m: [
        m.begin("1"),
        m.record([reading("E", "3", EF="E")]),
    ],
}
UNPROVEN: dict[str, Callable[[Meter], list[str]]] = {
    "signed_no_begin": lambda m: [m.end("3")],
    "signed_no_end": lambda m: [m.begin("1")],
    "signed_no_import_register": lambda m: [
        m.begin("1"),
        m.record([reading("E", "3", RI="1-0:2.8.0")]),
    ],
}


def _skip(meter: Meter) -> str:
    return meter.begin("2")


@pytest.mark.parametrize("reason", FAILURES)
def test_records_that_contradict_each_other_fail(reason: str) -> None:
    finding = judged(FAILURES[reason](Meter()))
    assert finding.verdict is SignedVerdict.FAILED
    assert reason in finding.reasons
    assert finding.register_end_milliwh is None


@pytest.mark.parametrize("status", ["", "M", "T", "E", "N"])
def test_a_status_that_is_not_good_fails(status: str) -> None:
    meter = Meter()
    both = meter.record([reading("B", "1"), reading("E", "3", ST=status)])
    assert judged([both]).reasons == ("signed_meter_error",)


@pytest.mark.parametrize("reason", UNPROVEN)
def test_records_that_do_not_suffice_prove_nothing(reason: str) -> None:
    finding = judged(UNPROVEN[reason](Meter()))
    assert finding.verdict is SignedVerdict.UNVERIFIED
    assert finding.reasons == (reason,)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("signature_wrong", SignedVerdict.FAILED),
        ("signed_hostile_xml", SignedVerdict.FAILED),
        ("algorithm_unsupported", SignedVerdict.UNVERIFIED),
        ("signed_format", SignedVerdict.UNVERIFIED),
    ],
)
def test_one_bad_record_among_good_ones_counts(
    reason: str, verdict: SignedVerdict
) -> None:
    good: Any = Examined(record=parse(Meter().both("1", "3")))
    finding = conclude([good, Examined(record=None, reason=reason)])
    assert (finding.verdict, finding.reasons) == (verdict, (reason,))
