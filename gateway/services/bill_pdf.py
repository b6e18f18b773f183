"""A bill as PDF: the same bytes for the same bill, in a font that is in the file.

Nothing in it depends on the clock, the machine or its fonts: the document carries its
own date. Texts are drawn as they are, never read as markup; a character that the font
does not have is drawn as an empty box.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC
from enum import StrEnum
from functools import cache
from importlib.resources import as_file, files
from typing import Final

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, TableCellFillMode
from fpdf.fonts import TTFFont
from typing_extensions import override

from gateway.domain.bill_paper import Paper
from gateway.domain.bill_tables import Table

FAMILY: Final = "DejaVu"
FACES: Final = {"": "DejaVuSansCondensed.ttf", "B": "DejaVuSansCondensed-Bold.ttf"}
"""Files by style."""
MARGIN_MM: Final = 18
LINE_MM: Final = 5
BODY_PT: Final = 9
MAX_CHARS: Final = 560
"""Of one text: a row must fit on a page."""
MISSING: Final = "\u25a1"
_PAGES: Final = "\x1a\x1a"
"""Stands for the number of pages; no cleaned text has it."""
_INK: Final = (22, 34, 45)
_SOFT: Final = (82, 98, 111)
_ALARM: Final = (163, 58, 10)
_SHADE: Final = (238, 242, 245)
_LABEL_SHARE: Final = 0.3
_DRAWN_FORMATS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that are never drawn: they could hide or turn what stands around them."""


class PaperSize(StrEnum):
    """What it is printed on."""

    A4 = "a4"
    LETTER = "letter"


def bill_pdf(paper: Paper, size: PaperSize = PaperSize.A4) -> bytes:
    """Draw a bill."""
    pdf = _Sheet(paper, size)
    with _closing_fonts(pdf):
        pdf.add_page()
        _head(pdf, paper)
        _pairs(pdf, paper.facts)
        for table in paper.tables:
            _table(pdf, table)
        _title(pdf, paper.labels.checking)
        _pairs(pdf, paper.checking)
        if paper.verify:
            pdf.ln(2)
            _text(pdf, paper.verify)
        return bytes(pdf.output())


def drawable(text: str) -> str:
    """A text as it is drawn: one line, bounded, of characters that the font has."""
    known = _characters()
    drawn = []
    for one in unicodedata.normalize("NFC", text):
        if one.isspace():
            drawn.append(" ")
        elif unicodedata.category(one) not in _DRAWN_FORMATS:
            drawn.append(one if ord(one) in known else MISSING)
    if len(drawn) > MAX_CHARS:
        drawn = [*drawn[: MAX_CHARS - 1], "…"]
    return "".join(drawn)


class _Sheet(FPDF):
    """Pages with our margins and a footer that says which bill it is."""

    def __init__(self, paper: Paper, size: PaperSize) -> None:
        super().__init__(unit="mm", format=size.value)
        self._paper = paper
        _add_fonts(self)
        self.alias_nb_pages(_PAGES)
        self.set_creation_date(paper.dated_at.astimezone(UTC).replace(microsecond=0))
        self.set_producer("Wattproof")
        self.set_lang(paper.labels.language)
        self.set_title(drawable(f"{paper.title} {paper.number}"))
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM)
        self.set_text_color(*_INK)
        self.set_font(FAMILY, size=BODY_PT)

    @override
    def footer(self) -> None:
        """The number of the bill, its state, and which page this is."""
        paper = self._paper
        self.set_y(-MARGIN_MM + 4)
        self.set_font(FAMILY, size=BODY_PT - 1)
        self.set_text_color(*_SOFT)
        page = paper.labels.page.format(n=self.page_no(), all=_PAGES)
        told = drawable(f"{paper.title} {paper.number}")
        width = self.epw / 4
        self.cell(self.epw - width, LINE_MM, f"{told} · {paper.state}")
        self.cell(width, LINE_MM, page, align="R")
        self.set_text_color(*_INK)
        self.set_font(FAMILY, size=BODY_PT)


def _head(pdf: _Sheet, paper: Paper) -> None:
    if paper.issuer:
        pdf.set_text_color(*_SOFT)
        for line in paper.issuer:
            _text(pdf, line)
        pdf.set_text_color(*_INK)
        pdf.ln(3)
    _text(pdf, paper.title, points=18, is_bold=True)
    if paper.total is not None:
        _text(pdf, paper.total, points=14, is_bold=True)
    pdf.ln(1)
    if not paper.is_final:
        pdf.set_text_color(*_ALARM)
    _text(pdf, paper.state, points=11, is_bold=True)
    for note in paper.notes:
        _text(pdf, note)
    pdf.set_text_color(*_INK)
    for reason in paper.reasons:
        _text(pdf, f"· {reason}")
    pdf.ln(3)


def _title(pdf: _Sheet, text: str) -> None:
    pdf.ln(4)
    _text(pdf, text, points=11, is_bold=True)
    pdf.ln(1)


def _text(
    pdf: _Sheet, text: str, *, points: int = BODY_PT, is_bold: bool = False
) -> None:
    pdf.set_font(FAMILY, "B" if is_bold else "", points)
    height = LINE_MM * points / BODY_PT
    pdf.multi_cell(
        pdf.epw, height, drawable(text), align="L", new_x="LMARGIN", new_y="NEXT"
    )
    pdf.set_font(FAMILY, size=BODY_PT)


def _pairs(pdf: _Sheet, pairs: Iterable[tuple[str, str]]) -> None:
    """Labels on the left, values on the right."""
    with pdf.table(
        borders_layout=TableBordersLayout.NONE,
        first_row_as_headings=False,
        col_widths=(_LABEL_SHARE, 1 - _LABEL_SHARE),
        line_height=LINE_MM,
        text_align="L",
    ) as grid:
        for label, value in pairs:
            row = grid.row()
            row.cell(drawable(label), style=FontFace(color=_SOFT))
            row.cell(drawable(value))


def _table(pdf: _Sheet, table: Table) -> None:
    _title(pdf, table.title)
    n_number = len(table.heads) - table.n_text
    bold = FontFace(emphasis="BOLD", fill_color=_SHADE)
    with pdf.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        cell_fill_mode=TableCellFillMode.NONE,
        headings_style=bold,
        line_height=LINE_MM,
        text_align=("LEFT",) * table.n_text + ("RIGHT",) * n_number,
        padding=0.6,
    ) as grid:
        for cells in (table.heads, *table.rows):
            grid.row([drawable(cell) for cell in cells])
        for cells in table.foot:
            is_last = cells is table.foot[-1]
            grid.row(
                [drawable(cell) for cell in cells], style=bold if is_last else None
            )
    if table.note:
        pdf.ln(1)
        pdf.set_text_color(*_SOFT)
        _text(pdf, table.note)
        pdf.set_text_color(*_INK)


def _add_fonts(pdf: FPDF) -> None:
    folder = files("gateway.services").joinpath("fonts")
    for style, name in FACES.items():
        with as_file(folder.joinpath(name)) as path:
            pdf.add_font(FAMILY, style, path)


@cache
def _characters() -> frozenset[int]:
    """What both faces can draw."""
    pdf = FPDF()
    _add_fonts(pdf)
    with _closing_fonts(pdf) as faces:
        return frozenset.intersection(*(frozenset(font.cmap) for font in faces))


@contextmanager
def _closing_fonts(pdf: FPDF) -> Iterator[list[TTFFont]]:
    """The fonts of a document, whose files are closed with the block."""
    faces = [font for font in pdf.fonts.values() if isinstance(font, TTFFont)]
    try:
        yield faces
    finally:
        for font in faces:
            font.ttfont.close()
