"""A bill as a page that can be printed: no script, no style but that of the template.

Every text comes from `gateway.domain.bill_paper`, and each is escaped here, once.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse, Response

from gateway.domain.bill_labels_more import ALL
from gateway.domain.bill_paper import Paper
from gateway.domain.bill_tables import Table
from gateway.errors import RequestError, StoreError
from gateway.web.headers import VERIFY_PATH
from gateway.web.plain import Markup, PlainPage

LANGUAGES: Final = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "nl": "Nederlands",
}
PAPERS: Final = {"a4": "A4", "letter": "Letter"}
STATES: Final = {
    "settled": "final",
    "held": "held, not final",
    "waived": "waived: nothing to pay",
}
"""Of bills, in the words of the cockpit."""


class BillPage:
    """The template, and what goes into it."""

    def __init__(self) -> None:
        self._page = PlainPage("bill.html")

    def bill(
        self,
        paper: Paper,
        *,
        base: str,
        back: str,
        receipt: str | None,
        verify: str = VERIFY_PATH,
        decide: str | None = None,
    ) -> HTMLResponse:
        """A bill.

        Args:
            paper: Its texts.
            base: Path of this page; that of the PDF is ``{base}.pdf``.
            back: Where it came from.
            receipt: Path of the receipt; ``None``: there is none.
            verify: Path of the page that checks a receipt.
            decide: Path where it is corrected; ``None`` for a driver.
        """
        return self.page(
            title=f"{paper.title} {paper.number}",
            nav=_nav(paper, base, back, (receipt, verify), decide),
            body=_body(paper),
            language=paper.labels.language,
        )

    def page(
        self,
        *,
        title: str,
        nav: str,
        body: str,
        language: str = "en",
        status: int = 200,
    ) -> HTMLResponse:
        """A page of this look; ``nav`` and ``body`` are HTML."""
        return self._page.response(
            {
                "language": language,
                "title": title,
                "nav": Markup(nav),
                "body": Markup(body),
            },
            status=status,
        )


def table_html(table: Table, links: Sequence[str] = ()) -> str:
    """A table; on a phone each row stands by itself, with the heads beside its cells.

    Args:
        table: Texts.
        links: Paths, one per row, that its first cell leads to.
    """
    heads = "".join(
        f"<th{_css(index, table)}>{escape(head)}</th>"
        for index, head in enumerate(table.heads)
    )
    body = "".join(
        _row(cells, table, link)
        for cells, link in zip(table.rows, links or [""] * len(table.rows), strict=True)
    )
    foot = "".join(_row(cells, table) for cells in table.foot)
    note = f'<p class="soft">{escape(table.note)}</p>' if table.note else ""
    return (
        f"<h2>{escape(table.title)}</h2><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody><tfoot>{foot}</tfoot></table>{note}"
    )


def pairs_html(pairs: Iterable[tuple[str, str]]) -> str:
    """Labels with their values."""
    items = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in pairs
    )
    return f"<dl>{items}</dl>"


def link(path: str, text: str, *, css: str = "") -> str:
    """A link, as a button if ``css`` says so."""
    look = f' class="{css}"' if css else ""
    return f'<a{look} href="{escape(path)}">{escape(text)}</a>'


async def answered(
    make: Callable[[], Awaitable[Response]], trouble: Callable[[str, int], Response]
) -> Response:
    """A page about bills, or why there is none.

    Args:
        make: Raises RequestError, or StoreError.
        trouble: Makes a page of words and a status.
    """
    try:
        return await make()
    except RequestError as error:
        return trouble(error.message, error.status)
    except StoreError:
        return trouble("The store cannot be used now.", 503)


def _nav(
    paper: Paper,
    base: str,
    back: str,
    paths: tuple[str | None, str],
    decide: str | None,
) -> str:
    said = paper.labels
    mine = f"lang={said.language}"
    items = [link(back, said.back)]
    for size, name in PAPERS.items():
        path = f"{base}.pdf?{mine}&paper={size}"
        items.append(link(path, f"{said.pdf} ({name})", css="button"))
    receipt, verify = paths
    if receipt is not None:
        items.append(link(f"{verify}?{mine}", said.verify_here))
        items.append(link(receipt, said.receipt))
    if decide is not None:
        items.append(link(decide, "Decide, correct, credit"))
    for language in ALL:
        name = LANGUAGES[language]
        is_this = language == said.language
        items.append(
            f"<b>{name}</b>" if is_this else link(f"{base}?lang={language}", name)
        )
    return f"<nav>{''.join(items)}</nav>"


def _body(paper: Paper) -> str:
    said = paper.labels
    issuer = "".join(f"<p>{escape(line)}</p>" for line in paper.issuer)
    total = "" if paper.total is None else f'<p class="total">{escape(paper.total)}</p>'
    css = "state" if paper.is_final else "state held"
    notes = "".join(f"<p>{escape(note)}</p>" for note in paper.notes)
    reasons = "".join(f"<li>{escape(one)}</li>" for one in paper.reasons)
    if reasons:
        head = "" if paper.is_final else f"<p>{escape(said.why_held)}:</p>"
        reasons = f"{head}<ul>{reasons}</ul>"
    verify = f'<p class="verify">{escape(paper.verify)}</p>' if paper.verify else ""
    return "".join(
        (
            f'<div class="issuer soft">{issuer}</div>' if issuer else "",
            f"<h1>{escape(paper.title)}</h1>",
            total,
            f'<p class="{css}">{escape(paper.state)}</p>',
            notes,
            reasons,
            pairs_html(paper.facts),
            *(table_html(one) for one in paper.tables),
            f"<h2>{escape(said.checking)}</h2>",
            pairs_html((*paper.checking, *paper.now)),
            verify,
        )
    )


def _row(cells: Sequence[str], table: Table, path: str = "") -> str:
    found = []
    for index, cell in enumerate(cells):
        text = escape(cell)
        if path and index == 0:
            text = link(path, cell)
        head = escape(table.heads[index])
        found.append(f'<td{_css(index, table)} data-head="{head}">{text}</td>')
    return f"<tr>{''.join(found)}</tr>"


def _css(index: int, table: Table) -> str:
    return ' class="text"' if index < table.n_text else ""
