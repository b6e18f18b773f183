"""What stands where the cockpit has no page: our words instead of the framework's.

The framework would show the text of an exception, which is for the log alone.
"""

from html import escape
from typing import Final

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, Response
from nicegui import app as cockpit_app

from gateway.web.headers import COCKPIT_PATH
from gateway.web.plain import Markup, PlainPage

NO_PAGE: Final = "The address may be mistyped, or what it showed is gone."
TRY_AGAIN: Final = "It is our fault, and it is in the log. Try again in a moment."
FRAMEWORK_FILES: Final = "/_nicegui/"


def add_missing() -> None:
    """Answer 404 below ``/cockpit`` with a page that leads back."""
    page = PlainPage("plain.html")

    @cockpit_app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        found = error if isinstance(error, HTTPException) else HTTPException(404)
        if FRAMEWORK_FILES in request.url.path:
            return await http_exception_handler(request, found)
        words = found.detail if found.detail != "Not Found" else NO_PAGE
        return _answer(page, "There is nothing here", words, status=404)

    @cockpit_app.exception_handler(503)
    async def busy(_request: Request, error: Exception) -> Response:
        words = error.detail if isinstance(error, HTTPException) else TRY_AGAIN
        return _answer(page, "Not now", words, status=503)

    @cockpit_app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        # the server raises it again after the answer, and logs it
        return _answer(page, "This page failed", TRY_AGAIN, status=500)


def _answer(page: PlainPage, headline: str, words: str, *, status: int) -> HTMLResponse:
    return page.response(
        {
            "title": f"{headline} · Wattproof",
            "headline": headline,
            "body": Markup(
                f"<p>{escape(words)}</p>"
                f'<p><a href="{COCKPIT_PATH}/">To the cockpit</a></p>'
            ),
            "head": "",
        },
        status=status,
    )
