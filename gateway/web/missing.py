"""What stands where the cockpit has no page: our words instead of the framework's."""

from html import escape
from typing import Final

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import Response
from nicegui import app as cockpit_app

from gateway.web.headers import COCKPIT_PATH
from gateway.web.plain import Markup, PlainPage

NO_PAGE: Final = "The address may be mistyped, or what it showed is gone."
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
        return page.response(
            {
                "title": "Nothing here · Wattproof",
                "headline": "There is nothing here",
                "body": Markup(
                    f"<p>{escape(words)}</p>"
                    f'<p><a href="{COCKPIT_PATH}/">To the cockpit</a></p>'
                ),
                "head": "",
            },
            status=404,
        )
