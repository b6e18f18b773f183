"""Every reason has words, for the operator and for the driver, in every language."""

from dataclasses import fields

import pytest

from gateway.domain import bill_words
from gateway.domain.bill_labels import Labels, Why, why
from gateway.domain.bill_labels_more import ALL, labels, preferred
from gateway.domain.reasons import REASONS, Verdict
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff_terms import Dimension
from gateway.domain.tariff_text import knows_language


def known() -> list[tuple[str, Why]]:
    """Some reasons, and what they mean to a driver."""
    return [
        ("register_drop", Why.METER),
        ("register_unit", Why.METER),
        ("clock_offset", Why.CLOCK),
        ("no_tariff", Why.PRICE),
        ("signature_wrong", Why.SIGNATURE),
        ("meter_key_changed", Why.SIGNATURE),
        ("ended_by_operator", Why.CHECK),
    ]


@pytest.mark.parametrize("word", REASONS)
def test_a_reason_is_a_sentence_without_markup(word: str) -> None:
    text = bill_words.reason_text(word)
    assert text[0].isupper() or text.startswith("OCMF")
    assert text.endswith((".", "?"))
    assert not set("`[]") & set(text)


def test_every_verdict_has_words() -> None:
    assert bill_words.VERDICTS.keys() == set(Verdict)
    assert bill_words.SIGNATURES.keys() == set(SignedVerdict)


def test_a_reason_that_nobody_wrote_words_for_is_still_told() -> None:
    assert bill_words.reason_text("moon_in_the_way") == "Moon in the way."
    assert why("moon_in_the_way") is Why.CHECK


@pytest.mark.parametrize(("reason", "meaning"), known())
def test_a_driver_is_told_what_a_reason_means(reason: str, meaning: Why) -> None:
    assert why(reason) is meaning


@pytest.mark.parametrize("said", ALL.values(), ids=ALL)
def test_a_language_has_every_word(said: Labels) -> None:
    assert knows_language(said.language)
    assert said.why.keys() == set(Why)
    assert said.dimensions.keys() == set(Dimension)
    texts = [getattr(said, one.name) for one in fields(said)]
    assert all(texts)
    assert "{command}" in said.verify
    for text, number in ((said.page, 2), (said.parts_left, 1)):
        assert text.count("{") == number


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("pl, fr;q=0.5, nl;q=0.7", "nl"),
        ("en;q=0, *;q=0.1", "fr"),
        ("de;q=x", "fr"),
        ("", "fr"),
        (None, "fr"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(
    accepted: str | None, language: str
) -> None:
    assert preferred(accepted, "fr") == language


def test_an_unknown_language_is_english() -> None:
    assert labels("tlh").language == "en"
    assert labels("de_AT").language == "de"
