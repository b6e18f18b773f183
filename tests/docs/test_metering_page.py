"""Every word that holds a bill is in the one table, with the test that shows it."""

from gateway.domain.reasons import REASONS, About, Verdict
from gateway.domain.signed_session import HARMLESS
from tests.docs import metering


def test_every_reason_is_shown_by_a_test() -> None:
    assert REASONS.keys() - metering.shown_by().keys() == set()


def test_every_word_that_judging_notes_is_in_the_table() -> None:
    of_energy = {word for word, one in REASONS.items() if one.about is About.ENERGY}
    assert metering.emitted() - of_energy == set()
    from_gaps = {"missing_energy", "register_overlap"}
    from_samples = {"amended", "amended_start", "exceeds_main_meter"}
    assert of_energy - metering.emitted() - from_gaps - from_samples == set()


def test_what_is_harmless_of_signed_records_changes_no_verdict() -> None:
    harmless = {
        word
        for word, one in REASONS.items()
        if one.about is About.SIGNATURE and one.verdict is Verdict.OK
    }
    assert harmless == HARMLESS
