"""The driver's page: plain HTML that works without scripts, kept fresh by events.

The link is the right to look at one session and to say what it needs; it is no key to
anything else. The server renders the truth, the script only replaces texts.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Annotated, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Form, Request
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from gateway.clock import Clock
from gateway.errors import RequestError
from gateway.web.driver_words import words
from gateway.web.login import is_same_origin
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import LiveView, View

LOOK_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 15.0
MAX_STREAMS: Final = 500
"""Open event streams of all drivers together; a page beyond them asks again later."""
MAX_STREAMS_PER_LINK: Final = 6
MAX_TOKEN: Final = 200
MAX_NEED_KWH: Final = 1000
GONE: Final = "This link leads nowhere"
GONE_WHY: Final = (
    "<p>It may be mistyped or cut off: open it again from where you got it, or scan"
    " the code once more.</p>"
    "<p>A link also ends some weeks after charging. For a receipt from then, ask the"
    " operator of the charger and say when and where you charged.</p>"
)

_SIGNATURES: Final = {
    "ok": "Signed by the meter, and its signature was checked.",
    "unsigned": "Not signed by the meter.",
    "unverified": "Signed data came, but this bill does not rest on it.",
    "failed": "Signed data came, but it does not prove this bill.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What a driver typed.

    Attributes:
        energy: kWh, as text.
        leave: ``HH:MM``, as text.
        is_steady: The box that charging is not to be paused is ticked.
        was_steady: It was ticked when the page was made; ``None``: there was no box.
    """

    energy: str
    leave: str
    is_steady: bool = False
    was_steady: bool | None = None

    @property
    def may_pause(self) -> bool | None:
        """What the driver changed the box to; ``None``: nothing."""
        if self.was_steady is None or self.is_steady is self.was_steady:
            return None
        return not self.is_steady


class DriverPages:
    """The pages behind ``/d/{token}``."""

    def __init__(self, live: LiveView, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._page = PlainPage("driver.html")
        self._plain = PlainPage("plain.html")
        self._streams: dict[str, int] = {}

    def show(
        self,
        token: str,
        *,
        note: str = "",
        is_refused: bool = False,
        status: int = 200,
        typed: Typed | None = None,
    ) -> HTMLResponse:
        """The page of a session, or that it is gone.

        Args:
            token: From the link.
            note: An answer to what the driver just sent.
            is_refused: Whether the note says no.
            status: HTTP status.
            typed: What the driver typed, to be shown again.
        """
        view = self._view(token)
        if view is None:
            return gone(self._plain)
        zone = self._zone()
        said = self._said(view, zone)
        form = "" if view["ended"] else need_form(token, view, zone, typed)
        kind = "refused" if is_refused else "done"
        answer = f'<p class="note {kind}" role="alert">{escape(note)}</p>'
        url = str(view.get("receipt_url") or "")
        receipt = (
            f'<a class="button" href="/d/{quote(token, safe="")}/verify">Verify this'
            f' bill</a><a class="button" href="{escape(url)}">Receipt to keep and check'
            "</a>"
            if url
            else ""
        )
        if view["ended"] and view["bill_state"] != "pending":
            path = f"/d/{quote(token, safe='')}/bill"
            receipt = f'<a class="button" href="{path}">Show the bill</a>{receipt}'
        receipt += _signature(view)
        if view.get("plan_url"):
            path = escape(str(view["plan_url"]))
            receipt += f'<a class="button" href="{path}">Plan to keep and check</a>'
        price = (
            '<p class="row soft"><span>Price now</span>'
            f'<span id="price">{escape(said["price"])}</span></p>'
        )
        return self._page.response(
            {
                **said,
                "cost_name": _cost_name(view),
                "price_row": Markup("" if view["ended"] else price),
                "title": f"{said['headline']} – {said['place']}",
                "token": quote(token, safe=""),
                "note": Markup(answer if note else ""),
                "form": Markup(form),
                "receipt": Markup(receipt),
            },
            status=status,
        )

    async def events(self, token: str) -> AsyncGenerator[str, None]:
        """Texts of the page whenever they change, as Server-Sent Events."""
        loop = asyncio.get_running_loop()
        self._streams[token] = self._streams.get(token, 0) + 1
        try:
            last: str | None = None
            was_ended: bool | None = None
            quiet_since = loop.time()
            while True:
                view = self._view(token)
                if view is None:
                    yield 'data: {"reload": true}\n\n'
                    return
                is_ended = bool(view["ended"])
                has_turned = was_ended is not None and was_ended != is_ended
                said = {**self._said(view, self._zone()), "reload": has_turned}
                text = json.dumps(said, sort_keys=True)
                if text != last:
                    yield f"data: {text}\n\n"
                    last, quiet_since = text, loop.time()
                elif loop.time() - quiet_since >= KEEP_ALIVE_S:
                    yield ": still here\n\n"
                    quiet_since = loop.time()
                was_ended = is_ended
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._streams[token] -= 1
            if not self._streams[token]:
                del self._streams[token]

    def is_known(self, token: str) -> bool:
        """Whether the link leads anywhere."""
        return self._view(token) is not None

    def has_room(self, token: str) -> bool:
        """Whether one more event stream is admitted."""
        return (
            self._streams.get(token, 0) < MAX_STREAMS_PER_LINK
            and sum(self._streams.values()) < MAX_STREAMS
        )

    async def take_need(
        self, token: str, typed: Typed, *, only_check: bool = False
    ) -> HTMLResponse:
        """Answer a form: the page again, with the answer in words.

        With ``only_check`` nothing is changed: it says what would come of it.
        """
        if not self.is_known(token):
            return self.show(token)
        try:
            energy_wh, departure_at = self._read(typed)
            if only_check:
                note = await self._live.check_need(token, energy_wh, departure_at)
            else:
                note = await self._live.set_need(
                    token, energy_wh, departure_at, may_pause=typed.may_pause
                )
        except RequestError as error:
            return self.show(
                token,
                note=error.message,
                is_refused=True,
                status=error.status,
                typed=typed,
            )
        return self.show(token, note=note, typed=typed if only_check else None)

    def _read(self, typed: Typed) -> tuple[int | None, datetime | None]:
        energy_wh = parse_energy_wh(typed.energy)
        departure_at = parse_departure(typed.leave, self._clock.now(), self._zone())
        if energy_wh is None and departure_at is None and typed.may_pause is None:
            raise RequestError(422, "nothing_said", "Say how much, or until when.")
        return energy_wh, departure_at

    def _view(self, token: str) -> View | None:
        return self._live.driver(token) if len(token) <= MAX_TOKEN else None

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(str(self._live.site()["timezone"]))

    def _said(self, view: View, zone: ZoneInfo) -> dict[str, str]:
        said = words(view, self._clock.now(), zone)
        sampled_at = view["sampled_at"]
        place = str(self._live.site()["name"])
        if view.get("station_id") is not None:
            place = f"Socket {view['station_id']} · {place}"
        updated = "No meter reading yet"
        if sampled_at is not None:
            local = sampled_at.astimezone(zone)
            updated = f"Meter read at {local:%H:%M:%S %Z}, local time of the charger"
        if view["ended_at"] is not None:
            local = view["ended_at"].astimezone(zone)
            updated = f"Ended at {local:%H:%M:%S %Z}, local time of the charger"
        texts = {name: str(value) for name, value in asdict(said).items()}
        return {**texts, "place": place, "updated": updated}


def gone(page: PlainPage) -> HTMLResponse:
    """What a link shows that leads nowhere."""
    return page.response(
        {"title": GONE, "headline": GONE, "body": Markup(GONE_WHY), "head": ""},
        status=404,
    )


def _signature(view: View) -> str:
    """Whether the meter itself signed what is billed, and its records to keep."""
    told = str(view.get("meter_signature") or "")
    text = _SIGNATURES.get(told)
    if text is None:
        return ""
    url = str(view.get("signed_url") or "")
    link = f'<a class="button" href="{escape(url)}">What the meter signed</a>'
    return f'<p class="soft">{text}</p>{link if url else ""}'


def _cost_name(view: View) -> str:
    """What the amount is: nothing of a held bill is owed."""
    if not view["ended"]:
        return "So far"
    return "Draft, not owed" if view["bill_state"] == "held" else "In all"


def need_form(token: str, view: View, zone: ZoneInfo, typed: Typed | None) -> str:
    """The questions, filled in with what is known."""
    known = _known(view, zone)
    shown = typed or known
    energy, leave = shown.energy, shown.leave
    ticked = " checked" if shown.is_steady else ""
    is_open = " open" if typed is not None or view["is_default_need"] else ""
    return (
        f'<details class="card"{is_open}><summary>Change time or amount</summary>'
        f'<form method="post" action="/d/{quote(token, safe="")}/need">'
        '<label for="need-leave">When do you leave?</label>'
        f'<input id="need-leave" name="leave" type="time" value="{escape(leave)}">'
        '<label for="need-energy">How much do you need? <span class="soft">kWh in all'
        "</span></label>"
        '<input id="need-energy" name="energy" inputmode="decimal" autocomplete="off"'
        f' maxlength="12" value="{escape(energy)}">'
        f'<label class="check"><input type="checkbox" name="steady" value="1"{ticked}>'
        '<span>Do not pause charging <span class="soft">for cars that do not go on by'
        " themselves</span></span></label>"
        f'<input type="hidden" name="was_steady" value="{int(known.is_steady)}">'
        "<button>Save</button>"
        '<button class="second" name="check" value="1">Would that work?</button>'
        '<p class="soft">A change never takes away what others were promised.</p>'
        "</form></details>"
    )


def _known(view: View, zone: ZoneInfo) -> Typed:
    needed, departure_at = view["needed_milliwh"], view["departure_at"]
    energy = "" if needed is None else f"{Decimal(needed) / 1_000_000:.1f}"
    leave = ""
    if departure_at is not None:
        leave = f"{departure_at.astimezone(zone):%H:%M}"
    is_steady = not view["may_pause"]
    return Typed(energy=energy, leave=leave, is_steady=is_steady, was_steady=is_steady)


def parse_energy_wh(text: str) -> int | None:
    """What a driver typed, in kWh with a comma or a point, as Wh; ``None`` for nothing.

    Raises:
        RequestError: 422.
    """
    cleaned = text.strip().removesuffix("kWh").strip().replace(",", ".")
    if not cleaned:
        return None
    try:
        kwh = Decimal(cleaned)
    except InvalidOperation as error:
        raise RequestError(
            422, "bad_energy", "Write the amount in kWh as a number, such as 24."
        ) from error
    if not (kwh.is_finite() and 0 < kwh <= MAX_NEED_KWH):
        raise RequestError(
            422, "bad_energy", f"The amount must lie between 0 and {MAX_NEED_KWH} kWh."
        )
    return int(kwh * 1000)


def parse_departure(text: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The next moment at which the wall clock of the site shows a time.

    Args:
        text: ``HH:MM``; empty for nothing said.
        now: Site time.
        zone: The site's time zone.

    Raises:
        RequestError: 422.
    """
    if not text.strip():
        return None
    try:
        typed = datetime.strptime(text.strip()[:5], "%H:%M").time()  # noqa: DTZ007 - a wall clock time has no date or zone of its own
    except ValueError as error:
        raise RequestError(
            422, "bad_time", "Write the time as hours and minutes, such as 07:30."
        ) from error
    local = now.astimezone(zone)
    for days in range(2):
        day = local.date() + timedelta(days=days)
        moment = datetime.combine(day, typed, tzinfo=zone).astimezone(now.tzinfo)
        if moment > now:
            return moment
    raise AssertionError("tomorrow is after now")


def add_driver(app: FastAPI, live: LiveView, clock: Clock) -> None:
    """Add ``/d/{token}`` and what belongs to it."""
    pages = DriverPages(live, clock)

    @app.get("/d/{token}", include_in_schema=False)
    async def show(token: str) -> HTMLResponse:
        return pages.show(token)

    @app.get("/d/{token}/need", include_in_schema=False)
    async def back(token: str) -> Response:
        if not pages.is_known(token):
            return pages.show(token)
        return RedirectResponse(f"/d/{quote(token, safe='')}", 303)

    @app.post("/d/{token}/need", include_in_schema=False)
    async def need(
        *,
        token: str,
        request: Request,
        energy: Annotated[str, Form(max_length=40)] = "",
        leave: Annotated[str, Form(max_length=40)] = "",
        steady: Annotated[str, Form(max_length=1)] = "",
        was_steady: Annotated[str, Form(max_length=1)] = "",
        check: Annotated[str, Form(max_length=1)] = "",
    ) -> HTMLResponse:
        if not is_same_origin(request):
            return pages.show(
                token,
                note="This was sent by another site, so nothing was changed.",
                is_refused=True,
                status=403,
            )
        typed = Typed(
            energy=energy,
            leave=leave,
            is_steady=bool(steady),
            was_steady={"0": False, "1": True}.get(was_steady),
        )
        return await pages.take_need(token, typed, only_check=bool(check))

    _add_data(app, pages, live)


def _add_data(app: FastAPI, pages: DriverPages, live: LiveView) -> None:
    """Add what is not a page: the receipt as a file, and the event stream."""

    @app.get("/d/{token}/plan", include_in_schema=False)
    async def plan(token: str) -> Response:
        async def made() -> Response:
            return JSONResponse(await live.plan_row(token))

        return await _file(pages, token, "plan.json", made)

    @app.get("/d/{token}/receipt", include_in_schema=False)
    async def receipt(token: str) -> Response:
        async def made() -> Response:
            return JSONResponse(await live.receipt(token))

        return await _file(pages, token, "receipt.json", made)

    @app.get("/d/{token}/signed-data.xml", include_in_schema=False)
    async def signed_data(token: str) -> Response:
        async def made() -> Response:
            found = await live.signed_xml(token)
            return Response(found, media_type="application/xml")

        return await _file(pages, token, "signed-data.xml", made)

    @app.get("/d/{token}/events", include_in_schema=False)
    async def events(token: str) -> Response:
        if not pages.is_known(token):
            return Response(status_code=404)
        if not pages.has_room(token):
            return Response(status_code=503, headers={"Retry-After": "30"})
        return StreamingResponse(
            pages.events(token),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )


async def _file(
    pages: DriverPages, token: str, name: str, make: Callable[[], Awaitable[Response]]
) -> Response:
    """What a link gives as a file to keep, or the page that says why it does not."""
    if not pages.is_known(token):
        return pages.show(token)
    try:
        response = await make()
    except RequestError as error:
        return pages.show(
            token, note=error.message, is_refused=True, status=error.status
        )
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
