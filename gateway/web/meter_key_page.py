"""The page on which an operator pins the key of a meter, off its sticker."""

from html import escape
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, FastAPI, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response

from gateway.errors import RequestError, StoreError
from gateway.web.headers import COCKPIT_PATH
from gateway.web.login import COOKIE, LoggedIn, is_same_origin
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import Access, LiveView, MeterKeys, View

PATH: Final = "/meter-keys"
MAX_ID: Final = 48
MAX_KEY: Final = 2_000
MAX_SERIAL: Final = 300

_HOW: Final = (
    "<p>Copy the key that is printed on the meter, or in its papers. Bills that wait"
    " at this EVSE are judged again with it.</p>"
)
StationName = Annotated[str, Path(max_length=MAX_ID)]


class MeterKeyPages:
    """The form, and what becomes of it."""

    def __init__(self, live: LiveView, access: Access, keys: MeterKeys) -> None:
        self._live = live
        self._access = access
        self._keys = keys
        self._page = PlainPage("plain.html")

    async def ask(
        self, station_id: str, trouble: str = "", status: int = 200
    ) -> Response:
        """The form, with the keys that its meters sent along."""
        station = await self._station(station_id)
        name = str(station["station_id"])
        parts = [
            f'<p role="alert"><b>{escape(trouble)}</b></p>' if trouble else "",
            _HOW,
            _sent(station),
            _form(station),
            f'<p><a href="{_station_url(name)}">Back to the station</a></p>',
        ]
        return self._page.response(
            {
                "title": f"Pin a meter's key · {name}",
                "headline": f"Pin the key of a meter of {name}",
                "body": Markup("".join(parts)),
                "head": "",
            },
            status=status,
        )

    async def answer(
        self, request: Request, station_id: str, evse: int, key: str, serial: str
    ) -> Response:
        """Pin what was typed; back to the station if it was a key."""
        if not is_same_origin(request):
            return await self.ask(
                station_id, "The form was sent by another site.", status=403
            )
        actor = await self._access.operator_of(request.cookies.get(COOKIE, ""))
        if actor is None:
            text = "Your token may only look: pinning needs the role operator."
            return await self.ask(station_id, text, status=403)
        name = str((await self._station(station_id))["station_id"])
        try:
            await self._keys.pin(
                name,
                evse,
                public_key=key,
                meter_serial=serial.strip() or None,
                actor=actor,
            )
        except RequestError as error:
            text = f"Nothing was pinned: {error.message}."
            return await self.ask(station_id, text, status=error.status)
        except StoreError as error:
            raise HTTPException(503, "The store cannot be written now.") from error
        return RedirectResponse(_station_url(name), 303)

    async def _station(self, station_id: str) -> View:
        try:
            station = await self._live.station(station_id)
        except StoreError as error:
            raise HTTPException(503, "The store cannot be read now.") from error
        if station is None:
            raise HTTPException(404, "No such station is registered.")
        return station


def add_meter_keys(
    app: FastAPI, live: LiveView, access: Access, keys: MeterKeys
) -> None:
    """Add ``/meter-keys/{station_id}``."""
    pages = MeterKeyPages(live, access, keys)
    logged_in = [Depends(LoggedIn(access))]
    path = f"{PATH}/{{station_id}}"

    @app.get(path, include_in_schema=False, dependencies=logged_in)
    async def form(station_id: StationName) -> Response:
        return await pages.ask(station_id)

    @app.post(path, include_in_schema=False, dependencies=logged_in)
    async def pin(
        request: Request,
        station_id: StationName,
        evse: Annotated[int, Form(ge=1, le=1_000)],
        key: Annotated[str, Form(max_length=MAX_KEY)],
        serial: Annotated[str, Form(max_length=MAX_SERIAL)] = "",
    ) -> Response:
        return await pages.answer(request, station_id, evse, key, serial)


def _station_url(station_id: str) -> str:
    return f"{COCKPIT_PATH}/stations/{quote(station_id, safe='')}"


def _form(station: View) -> str:
    evses = "".join(
        f"<option>{int(one['evse_id'])}</option>" for one in station["evses"]
    )
    return (
        f'<form method="post" action="{PATH}/{quote(str(station["station_id"]))}">'
        '<label for="evse">EVSE</label>'
        f'<select id="evse" name="evse" required>{evses}</select>'
        '<label for="key">Public key (hexadecimal, base64 or PEM)</label>'
        '<textarea id="key" name="key" rows="5" required spellcheck="false"'
        f' maxlength="{MAX_KEY}"></textarea>'
        '<label for="serial">Serial number of the meter (any other is then refused)'
        "</label>"
        f'<input id="serial" name="serial" maxlength="{MAX_SERIAL}"'
        ' autocomplete="off" spellcheck="false">'
        "<button>Pin this key</button></form>"
    )


def _sent(station: View) -> str:
    """Keys that came with records: to compare with, never to copy."""
    rows = [one for one in station["meter_keys"] if one["state"] != "pinned"]
    if not rows:
        return ""
    items = "".join(
        f"<li>EVSE {int(one['evse_id'])}:"
        f" <code>{escape(str(one['fingerprint']))}</code></li>"
        for one in rows
    )
    return (
        '<p class="soft">Fingerprints of keys that came with records. They prove'
        " nothing: compare, and pin what the meter itself shows.</p>"
        f"<ul>{items}</ul>"
    )
