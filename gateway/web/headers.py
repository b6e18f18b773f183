"""Security headers of the pages, as plain ASGI around the whole application."""

from collections.abc import MutableMapping
from typing import Any, Final, TypeAlias

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers: TypeAlias = dict[str, str]

COCKPIT_PATH: Final = "/cockpit"
BILLS_PATH: Final = "/bills"
CORRECTIONS_PATH: Final = "/corrections"
VERIFY_PATH: Final = "/verify"

BASE: Final[Headers] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
"""Not ``no-referrer``: that would also blank the Origin of our own forms."""

COCKPIT_CSP: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
)
"""The cockpit's framework compiles templates in the browser; all of it is ours."""

_ONE_YEAR: Final = "public, max-age=31536000, immutable"


class PageHeaders:
    """Adds the headers that a response does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        added = _added_for(scope)
        if added is None:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=_with_headers(message))
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _with_headers(message: Message) -> MutableMapping[str, Any]:
    message.setdefault("headers", [])
    return message


def _added_for(scope: Scope) -> Headers | None:
    if scope["type"] != "http":
        return None
    path = str(scope["path"])
    if path.startswith(f"{COCKPIT_PATH}/_nicegui/"):
        return {"Cache-Control": _ONE_YEAR, "X-Content-Type-Options": "nosniff"}
    if path == COCKPIT_PATH or path.startswith(f"{COCKPIT_PATH}/"):
        return BASE | {
            "Content-Security-Policy": COCKPIT_CSP,
            "Cache-Control": "no-store",
        }
    if path in {"/login", BILLS_PATH, CORRECTIONS_PATH, VERIFY_PATH} or path.startswith(
        ("/d/", "/meter-keys/", f"{BILLS_PATH}/", f"{CORRECTIONS_PATH}/")
    ):
        return BASE | {"Cache-Control": "no-store"}
    return None
