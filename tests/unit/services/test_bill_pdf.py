"""A bill as PDF: the same bytes each time, nothing lost, nothing injected."""

import io
from datetime import timedelta
from typing import Any

import pypdf
import pytest

from gateway.domain.bill_facts import Credit
from gateway.domain.bill_labels_more import ALL
from gateway.domain.bill_paper import Letterhead, paper
from gateway.services.bill_pdf import MAX_CHARS, PaperSize, bill_pdf, drawable
from tests.support.pages_bills import BERLIN, EVIL, HEAD, START, facts_of, tariff_of

INCH_PT = 72


def drawn(
    head: Letterhead = HEAD,
    *,
    language: str = "en",
    size: PaperSize = PaperSize.A4,
    **changes: Any,
) -> pypdf.PdfReader:
    told = paper(facts_of(**changes), head, language=language, is_for_driver=True)
    return pypdf.PdfReader(io.BytesIO(bill_pdf(told, size)))


def text_of(reader: pypdf.PdfReader) -> str:
    return "\n".join(page.extract_text() for page in reader.pages)


@pytest.mark.parametrize("language", ALL)
def test_a_pdf_has_every_text_of_the_bill(language: str) -> None:
    told = paper(facts_of(), HEAD, language=language, is_for_driver=True)
    text = " ".join(text_of(drawn(language=language)).split())
    for table in told.tables:
        for cells in (table.heads, *table.rows, *table.foot):
            for cell in cells:
                assert " ".join(drawable(cell).split()) in text, cell
    for pair in (*told.facts, *told.checking):
        assert " ".join(drawable(pair[1]).split())[:60] in text


def test_the_same_bill_has_the_same_bytes_and_its_own_date() -> None:
    told = paper(facts_of(), HEAD, language="en", is_for_driver=True)
    assert bill_pdf(told) == bill_pdf(told)
    info = drawn().metadata
    assert info is not None
    assert info.creation_date == facts_of().decided_at
    assert info.producer == "Wattproof"


def test_what_happens_to_the_settlement_later_changes_no_byte() -> None:
    before, after = [
        paper(facts_of(chain=chain), HEAD, language="en", is_for_driver=True)
        for chain in (None, facts_of().chain)
    ]
    assert before.now != after.now
    assert bill_pdf(before) == bill_pdf(after)


@pytest.mark.parametrize(
    ("size", "inches"), [(PaperSize.A4, (8.27, 11.69)), (PaperSize.LETTER, (8.5, 11))]
)
def test_a_page_has_the_size_that_was_asked_for(
    size: PaperSize, inches: tuple[float, float]
) -> None:
    for page in drawn(size=size).pages:
        width, height = (float(one) / INCH_PT for one in page.mediabox[2:])
        assert (width, height) == pytest.approx(inches, abs=0.01)


def test_names_are_text_and_never_markup_or_a_page_number() -> None:
    site = "<b>x</b> **fett** __u__ {nb} [a](http://evil) \\ (x) %%EOF"
    reader = drawn(Letterhead(site=site, timezone=BERLIN), station_id=EVIL)
    text = " ".join(text_of(reader).split())
    assert site in text
    assert EVIL in text
    for page in reader.pages:
        assert "/Annots" not in page


@pytest.mark.parametrize("length", [10_000, 60_000])
def test_a_name_without_end_is_cut_and_the_bill_still_ends(length: int) -> None:
    for letter in ("x", "\u202e", "車", "\n"):
        head = Letterhead(
            site=letter * length, timezone=BERLIN, issuer=("\n" * length,)
        )
        reader = drawn(head)
        assert len(reader.pages) <= 3
        assert "To pay: 8.86 EUR" in text_of(reader)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Žilina", "Žilina"),
        ("Z\u030cilina", "Žilina"),
        ("a\u202eb\x00c\x1ad\u200be\ufeff", "abcde"),
        ("a\nb\tc\u2028d", "a b c d"),
        ("車庫 🚗", "□□ □"),
        ("", ""),
    ],
)
def test_only_what_the_font_has_is_drawn(text: str, seen: str) -> None:
    assert drawable(text) == seen
    assert len(drawable(text * MAX_CHARS)) <= MAX_CHARS


def test_a_held_bill_says_so_on_each_page() -> None:
    by_the_hour = tariff_of(
        {"type": "ENERGY", "price": "0.40"}, {"type": "TIME", "price": 1}
    )
    parts = [
        {
            "from": (START + timedelta(minutes=n)).isoformat(),
            "to": (START + timedelta(minutes=n + 1)).isoformat(),
            "energy_milliwh": 1000,
            "price_micro_per_kwh": 400_000,
        }
        for n in range(80)
    ]
    document = {**(facts_of(by_the_hour).document or {}), "parts": parts}
    reader = drawn(tariff=by_the_hour, settled=False, document=document)
    assert len(reader.pages) >= 2
    for page in reader.pages:
        assert "Not final: this bill is being checked" in page.extract_text()
    assert "20 more in the bill as JSON" in text_of(reader)
    assert "Draft amount" in text_of(reader)
    assert "wattproof verify" not in text_of(reader)


def test_credits_stand_on_the_bill_with_what_is_left() -> None:
    credit = Credit(
        name="C000007", amount_minor=86, reason="Kabel defekt", decided_at=START
    )
    text = text_of(drawn(credits_=(credit,)))
    assert "Left to pay: 8.00 EUR" in text
    assert "C000007" in text
    assert "Kabel defekt" in text
