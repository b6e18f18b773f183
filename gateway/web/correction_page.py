"""The pages on which an operator decides on bills: what waits, and one bill's forms."""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, FastAPI, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.bill_sums import minor_text
from gateway.errors import RequestError, StoreError
from gateway.web.headers import BILLS_PATH, COCKPIT_PATH
from gateway.web.headers import CORRECTIONS_PATH as PATH
from gateway.web.login import COOKIE, LoggedIn, is_same_origin
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import Access, CorrectionDesk, View

MAX_ID: Final = 100
MAX_TYPED: Final = 40
MAX_REASON: Final = 500

_KEPT: Final = (
    '<p class="soft">Nothing is edited: what you decide is a new record with your'
    " token, the time and your reason, which stands in the driver's receipt.</p>"
)
_NUMBERS: Final = (
    '<label for="{act}-end">End register, kWh</label>'
    '<input id="{act}-end" name="end_kwh" inputmode="decimal" autocomplete="off"'
    ' maxlength="40">'
    '<label for="{act}-energy">or energy, kWh</label>'
    '<input id="{act}-energy" name="energy_kwh" inputmode="decimal"'
    ' autocomplete="off" maxlength="40">'
    '<label for="{act}-amount">or {amount}</label>'
    '<input id="{act}-amount" name="amount" inputmode="decimal" autocomplete="off"'
    ' maxlength="40">'
)
_REASON: Final = (
    '<label for="{act}-reason">Why (kept for good, the driver can read it)</label>'
    '<textarea id="{act}-reason" name="reason" rows="2" required minlength="3"'
    ' maxlength="500"></textarea>'
)
SessionName = Annotated[str, Path(max_length=MAX_ID)]


class CorrectionForm(BaseModel):
    """What one of the forms sends; numbers are as typed."""

    model_config = ConfigDict(extra="forbid")

    act: str = Field(max_length=MAX_TYPED)
    reason: str = Field(default="", max_length=MAX_REASON)
    end_kwh: str = Field(default="", max_length=MAX_TYPED)
    energy_kwh: str = Field(default="", max_length=MAX_TYPED)
    amount: str = Field(default="", max_length=MAX_TYPED)
    key: str = Field(default="", max_length=MAX_TYPED)


class CorrectionPages:
    """What waits for a decision, and the forms for it."""

    def __init__(self, access: Access, desk: CorrectionDesk) -> None:
        self._access = access
        self._desk = desk
        self._page = PlainPage("plain.html")

    async def waiting(self) -> Response:
        """Bills that wait, and what late data propose."""
        found = await self._desk.waiting()
        proposals = "".join(_proposal_line(one) for one in found["proposals"])
        held = "".join(_held_line(one) for one in found["held"])
        calm = "" if proposals or held else "<p>Nothing waits for a decision.</p>"
        return self._plain(
            "Bills to decide on",
            "".join(
                (
                    calm,
                    _list("Late data say otherwise", proposals),
                    _list("Held bills", held),
                    f'<p><a href="{COCKPIT_PATH}/">Back to the cockpit</a></p>',
                    f'<p><a href="{BILLS_PATH}">All bills</a></p>',
                )
            ),
        )

    async def one(
        self, session_id: str, trouble: str = "", status: int = 200
    ) -> Response:
        """A bill, what became of it, and what can be done."""
        bill = await self._desk.bill(session_id)
        said = f'<p role="alert"><b>{escape(trouble)}</b></p>' if trouble else ""
        name = quote(session_id, safe="")
        return self._plain(
            f"Bill of {session_id}",
            "".join(
                (
                    said,
                    _state(bill),
                    *_proposal(bill),
                    *_held_forms(bill),
                    *_credit_form(bill),
                    _KEPT,
                    f'<p><a href="{BILLS_PATH}/{name}">The bill itself</a></p>',
                    f'<p><a href="{PATH}">All that waits</a></p>',
                )
            ),
            status=status,
        )

    async def act(
        self, request: Request, session_id: str, form: dict[str, str]
    ) -> Response:
        """Do what a form says; back to the bill if it could be done."""
        if not is_same_origin(request):
            return await self.one(session_id, "The form was sent by another site.", 403)
        actor = await self._access.operator_of(request.cookies.get(COOKIE, ""))
        if actor is None:
            text = "Your token may only look: deciding needs the role operator."
            return await self.one(session_id, text, 403)
        try:
            await self._desk.act(session_id, form, actor)
        except RequestError as error:
            text = f"Nothing was done: {error.message}."
            return await self.one(session_id, text, error.status)
        return RedirectResponse(f"{PATH}/{quote(session_id, safe='')}", 303)

    def trouble(self, words: str, status: int) -> Response:
        """A page that says why there is nothing to decide."""
        back = f'<p><a href="{PATH}">All that waits</a></p>'
        return self._plain(
            "No such bill", f"<p>{escape(words)}</p>{back}", status=status
        )

    def _plain(self, headline: str, body: str, status: int = 200) -> Response:
        return self._page.response(
            {
                "title": f"{headline} · Wattproof",
                "headline": headline,
                "body": Markup(body),
                "head": "",
            },
            status=status,
        )


def add_corrections(app: FastAPI, access: Access, desk: CorrectionDesk) -> None:
    """Add ``/corrections`` and ``/corrections/{session_id}``."""
    pages = CorrectionPages(access, desk)
    logged_in = [Depends(LoggedIn(access))]
    path = f"{PATH}/{{session_id}}"

    async def answered(make: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await make()
        except RequestError as error:
            return pages.trouble(error.message, error.status)
        except StoreError:
            return pages.trouble("The store cannot be used now.", 503)

    @app.get(PATH, include_in_schema=False, dependencies=logged_in)
    async def waiting() -> Response:
        return await answered(pages.waiting)

    @app.get(path, include_in_schema=False, dependencies=logged_in)
    async def one(session_id: SessionName) -> Response:
        return await answered(partial(pages.one, session_id))

    @app.post(path, include_in_schema=False, dependencies=logged_in)
    async def act(
        request: Request,
        session_id: SessionName,
        form: Annotated[CorrectionForm, Form()],
    ) -> Response:
        return await answered(
            partial(pages.act, request, session_id, form.model_dump())
        )


def _state(bill: View) -> str:
    lines = [f"<p>State: <b>{escape(str(bill['state']))}</b></p>"]
    if bill.get("amount_minor") is not None:
        word = "Proposed" if bill["state"] == "held" else "Billed"
        lines.append(
            f"<p>{word}: {_kwh(bill['energy_milliwh'])},"
            f" {_money(bill, bill['amount_minor'])}</p>"
        )
    if bill["reasons"]:
        words = escape(", ".join(bill["reasons"]))
        lines.append(f'<p class="soft">Why: {words} ({escape(bill["verdict"])})</p>')
    decision = bill["decision"]
    if decision is not None:
        lines.append(
            f"<p>{escape(decision['decision'])} by {escape(decision['decided_by'])}:"
            f" {escape(decision['reason'])}</p>"
        )
    lines += [
        f"<p>Credit {escape(one['credit_id'])} ({escape(one['state'])}):"
        f" {_money(bill, one['amount_minor'])}, {escape(one['reason'])}</p>"
        for one in bill["credits"]
    ]
    if bill["balance_minor"] is not None:
        lines.append(f"<p><b>To pay: {_money(bill, bill['balance_minor'])}</b></p>")
    return "".join(lines)


def _proposal(bill: View) -> list[str]:
    proposal = bill["proposal"]
    if proposal is None or proposal["state"] != "open":
        return []
    words = escape(", ".join(proposal["reasons"]))
    difference = proposal["difference_minor"]
    told = "Late data make no bill"
    if difference is not None:
        told = f"Late data make {_money(bill, proposal['amount_minor'])}"
    parts = [f"<h2>{told}</h2><p>{words}</p>"]
    if difference is not None and difference > 0:
        label = f"Credit {_money(bill, difference)}"
        parts.append(_form(bill, "accept", "", label))
    else:
        parts.append("<p>That is not in the driver's favour: it is only shown.</p>")
    parts.append(_form(bill, "dismiss", _REASON.format(act="dismiss"), "Dismiss it"))
    return parts


def _held_forms(bill: View) -> list[str]:
    if bill["state"] != "held":
        return []
    fields = _NUMBERS.format(
        act="correct", amount="what is to be paid, at most the proposal"
    )
    forms = []
    if bill.get("amount_minor") is not None:
        forms += ["<h2>Release</h2>", _form(bill, "release", "", "Settle the proposal")]
    return [
        *forms,
        "<h2>Correct</h2>",
        _form(
            bill,
            "correct",
            fields + _REASON.format(act="correct"),
            "Settle it as corrected",
        ),
        "<h2>Waive</h2>",
        _form(bill, "waive", _REASON.format(act="waive"), "The driver pays nothing"),
    ]


def _credit_form(bill: View) -> list[str]:
    if bill["state"] not in {"settled", "on_chain"} or not bill["balance_minor"]:
        return []
    key = f'<input type="hidden" name="key" value="{secrets.token_hex(12)}">'
    fields = _NUMBERS.format(act="credit", amount="the amount to give back")
    body = key + fields + _REASON.format(act="credit")
    return ["<h2>Credit</h2>", _form(bill, "credit", body, "Credit it")]


def _form(bill: View, act: str, fields: str, label: str) -> str:
    path = f"{PATH}/{quote(str(bill['session_id']), safe='')}"
    return (
        f'<form method="post" action="{path}">'
        f'<input type="hidden" name="act" value="{act}">{fields}'
        f"<button>{label}</button></form>"
    )


def _held_line(one: View) -> str:
    amount = "no amount"
    if one["amount_minor"] is not None:
        amount = _money(one, one["amount_minor"])
    return _line(one, f"{amount}: {escape(', '.join(one['reasons']))}")


def _proposal_line(one: View) -> str:
    difference = one["difference_minor"]
    if difference is None:
        told = "makes no bill"
    elif difference > 0:
        told = f"{_money(_digits(one), difference)} too much was billed"
    else:
        told = f"{_money(_digits(one), -difference)} less was billed; shown only"
    return _line(one, f"{told}: {escape(', '.join(one['reasons']))}")


def _digits(one: View) -> dict[str, Any]:
    found = one["found"] or {}
    digits = found.get("minor_digits", 2)
    return {"minor_digits": digits, "currency": one["currency"]}


def _line(one: View, text: str) -> str:
    name = str(one["session_id"])
    path = f"{PATH}/{quote(name, safe='')}"
    return f'<p><a href="{path}">{escape(name)}</a></p><p class="soft">{text}</p>'


def _list(head: str, lines: str) -> str:
    return f"<h2>{head}</h2>{lines}" if lines else ""


def _money(bill: View, minor: int) -> str:
    digits = int(bill.get("minor_digits") or 0)
    currency = escape(str(bill.get("currency") or ""))
    return f"{minor_text(minor, digits)} {currency}".strip()


def _kwh(milliwh: int) -> str:
    return f"{minor_text(milliwh // 1000, 3)} kWh"
