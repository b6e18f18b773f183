"""The pages on which an operator decides on bills: what waits, and one bill's forms."""

import secrets
from datetime import datetime
from fractions import Fraction
from functools import partial
from html import escape
from typing import Annotated, Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.bill_sums import decimal_text, minor_text
from gateway.domain.bill_tables import Table
from gateway.domain.bill_words import reason_text, verdict_text
from gateway.domain.tariff_terms import MILLIWH_PER_KWH
from gateway.errors import RequestError
from gateway.web.bill_page import STATES as BILL_STATES
from gateway.web.bill_page import BillPage, answered, link, table_html
from gateway.web.headers import BILLS_PATH, COCKPIT_PATH
from gateway.web.headers import CORRECTIONS_PATH as PATH
from gateway.web.login import COOKIE, LoggedIn, is_same_origin
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import Access, CorrectionDesk, LiveView, View

MAX_ID: Final = 100
MAX_TYPED: Final = 40
MAX_REASON: Final = 500
STATES: Final = BILL_STATES | {"on_chain": "final, on the chain"}
_LATE: Final = "Late data say otherwise"
_HELD: Final = "Held bills"

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
    seen: str = Field(default="", max_length=MAX_TYPED)


class CorrectionPages:
    """What waits for a decision, and the forms for it."""

    def __init__(self, live: LiveView, access: Access, desk: CorrectionDesk) -> None:
        self._live = live
        self._access = access
        self._desk = desk
        self._page = PlainPage("plain.html")
        self._wide = BillPage()

    async def waiting(self) -> Response:
        """Bills that wait, and what late data propose."""
        found = await self._desk.waiting()
        zone = ZoneInfo(str(self._live.site()["timezone"]))
        lists = (
            (_LATE, found["proposals"], _proposed),
            (_HELD, found["held"], _asked),
        )
        tables = [
            table_html(
                Table(
                    title=title,
                    heads=("Charging ended", "Charger", "Amount", "Why"),
                    rows=tuple(
                        (_ended(one, zone), _charger(one), tell(one), _why(one))
                        for one in waiting
                    ),
                    n_text=4,
                ),
                [f"{PATH}/{quote(str(one['session_id']), safe='')}" for one in waiting],
            )
            for title, waiting, tell in lists
            if waiting
        ]
        calm = "" if tables else "<p>Nothing waits for a decision.</p>"
        headline = "Bills to decide on"
        nav = link(f"{COCKPIT_PATH}/", "Cockpit") + link(BILLS_PATH, "All bills")
        return self._wide.page(
            title=f"{headline} · Wattproof",
            nav=f"<nav>{nav}</nav>",
            body="".join((f"<h1>{headline}</h1>", calm, *tables)),
        )

    async def one(
        self, session_id: str, trouble: str = "", status: int = 200
    ) -> Response:
        """A bill, what became of it, and what can be done."""
        bill = await self._desk.bill(session_id)
        said = f'<p role="alert"><b>{escape(trouble)}</b></p>' if trouble else ""
        name = quote(session_id, safe="")
        return self._plain(
            f"Bill of {_charger(bill['session'])}",
            "".join(
                (
                    said,
                    f'<p class="soft">{escape(session_id)}</p>',
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
            session_id=session_id,
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

    def _plain(
        self, headline: str, body: str, status: int = 200, session_id: str = ""
    ) -> Response:
        told = (headline, session_id, "Wattproof")
        return self._page.response(
            {
                "title": " · ".join(one for one in told if one),
                "headline": headline,
                "body": Markup(body),
                "head": "",
            },
            status=status,
        )


def add_corrections(
    app: FastAPI, live: LiveView, access: Access, desk: CorrectionDesk
) -> None:
    """Add ``/corrections`` and ``/corrections/{session_id}``."""
    pages = CorrectionPages(live, access, desk)
    logged_in = [Depends(LoggedIn(access))]
    path = f"{PATH}/{{session_id}}"

    @app.get(PATH, include_in_schema=False, dependencies=logged_in)
    async def waiting() -> Response:
        return await answered(pages.waiting, pages.trouble)

    @app.get(path, include_in_schema=False, dependencies=logged_in)
    async def one(session_id: SessionName) -> Response:
        return await answered(partial(pages.one, session_id), pages.trouble)

    @app.post(path, include_in_schema=False, dependencies=logged_in)
    async def act(
        request: Request,
        session_id: SessionName,
        form: Annotated[CorrectionForm, Form()],
    ) -> Response:
        return await answered(
            partial(pages.act, request, session_id, form.model_dump()), pages.trouble
        )


def _state(bill: View) -> str:
    state = STATES.get(str(bill["state"]), str(bill["state"]))
    lines = [f"<p>State: <b>{escape(state)}</b></p>"]
    if bill.get("amount_minor") is not None:
        word = "Proposed" if bill["state"] == "held" else "Billed"
        lines.append(
            f"<p>{word}: {_kwh(bill['energy_milliwh'])},"
            f" {_money(bill, bill['amount_minor'])}</p>"
        )
        start, end = bill["register_start_milliwh"], bill["register_end_milliwh"]
        lines.append(f"<p>Meter: {_kwh(start)} → {_kwh(end)}</p>")
    if bill["reasons"]:
        words = "".join(
            f"<li>{escape(reason_text(one))}</li>" for one in bill["reasons"]
        )
        lines.append(f"<p>{escape(verdict_text(bill['verdict']))}</p><ul>{words}</ul>")
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
    words = escape(_why(proposal))
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
        seen = f'<input type="hidden" name="seen" value="{int(bill["amount_minor"])}">'
        forms += [
            "<h2>Release</h2>",
            _form(bill, "release", seen, "Settle the proposal"),
        ]
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


def _asked(one: View) -> str:
    if one["amount_minor"] is None:
        return "no amount"
    return f"{_money(one, one['amount_minor'])} proposed"


def _proposed(one: View) -> str:
    difference = one["difference_minor"]
    if difference is None:
        return "makes no bill"
    if difference > 0:
        return f"{_money(_digits(one), difference)} too much was billed"
    return f"{_money(_digits(one), -difference)} less was billed; shown only"


def _why(one: View) -> str:
    return " ".join(reason_text(word) for word in one["reasons"])


def _charger(one: View) -> str:
    return f"{one['station_id']} · {one['evse_id']}"


def _ended(one: View, zone: ZoneInfo) -> str:
    """When, by the site's clock; else the session's id: it leads to the bill."""
    if one["ended_at"] is None:
        return str(one["session_id"])
    return (
        f"{datetime.fromisoformat(one['ended_at']).astimezone(zone):%Y-%m-%d %H:%M %Z}"
    )


def _digits(one: View) -> dict[str, Any]:
    found = one["found"] or {}
    digits = found.get("minor_digits", 2)
    return {"minor_digits": digits, "currency": one["currency"]}


def _money(bill: View, minor: int) -> str:
    digits = int(bill.get("minor_digits") or 0)
    currency = escape(str(bill.get("currency") or ""))
    return f"{minor_text(minor, digits)} {currency}".strip()


def _kwh(milliwh: int) -> str:
    return f"{decimal_text(Fraction(milliwh, MILLIWH_PER_KWH), 3)} kWh"
