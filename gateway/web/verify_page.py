"""The page on which drivers verify receipts themselves: one file that works anywhere.

It is the same for everybody, asks no server of ours, and may be kept and opened from a
disk; ``python -m gateway.web.verify_page`` prints it. Its checks are those of
`ledger.verify`, written once more for a browser.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from gateway.web.compact import compact_script, compact_style
from gateway.web.headers import VERIFY_PATH

_PARTS: Final = files("gateway.web").joinpath("templates", "verify")


def verify_page(receipt: Mapping[str, Any] | None = None) -> str:
    """The page.

    Args:
        receipt: Is checked as soon as the page is open, and kept with it.
    """
    carried = ""
    if receipt is not None:
        # No "<" anywhere, so that nothing in it ends the element.
        text = json.dumps(receipt, ensure_ascii=True).replace("<", "\\u003c")
        carried = f'<script type="application/json" id="receipt">{text}</script>\n'
    style, script = _style(), _script()
    return Template(_PARTS.joinpath("page.html").read_text("utf-8")).substitute(
        policy=page_policy(), style=style, script=script, receipt=carried
    )


def page_policy() -> str:
    """What the page may do: run itself, and ask a node that its reader names."""
    return (
        f"default-src 'none'; script-src {_digest(_script())};"
        f" style-src {_digest(_style())}; img-src data:; connect-src http: https:;"
        " base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def verify_response(receipt: Mapping[str, Any] | None = None) -> HTMLResponse:
    """The page as an answer; see `verify_page`."""
    policy = f"{page_policy()}; frame-ancestors 'none'"
    return HTMLResponse(
        verify_page(receipt), headers={"Content-Security-Policy": policy}
    )


def add_verify(app: FastAPI) -> None:
    """Add ``/verify``."""

    @app.get(VERIFY_PATH, include_in_schema=False)
    async def verify() -> HTMLResponse:
        return verify_response()


@cache
def _script() -> str:
    parts = sorted(one.name for one in _PARTS.iterdir() if one.name.endswith(".js"))
    text = "\n".join(_PARTS.joinpath(name).read_text("utf-8") for name in parts)
    return compact_script(f'(() => {{ "use strict";\n{text}\n}})();')


@cache
def _style() -> str:
    return compact_style(_PARTS.joinpath("style.css").read_text("utf-8"))


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


if __name__ == "__main__":
    sys.stdout.write(verify_page())
