"""Pages without a framework: one response, no request to anybody else.

Scripts and styles are admitted by the hash of their text, so nothing that a station or
a driver wrote can ever run.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from fastapi.responses import HTMLResponse

_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def read_template(name: str) -> str:
    """The text of a file in ``templates/``."""
    return files("gateway.web").joinpath("templates", name).read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Markup:
    """Text that is HTML already, made by us from escaped parts."""

    html: str


class PlainPage:
    """A template of ``templates/`` and the policy that fits it."""

    def __init__(self, name: str) -> None:
        text = read_template(name)
        self._template = Template(text)
        self._policy = (
            "default-src 'none'; "
            f"script-src {_hashes(_SCRIPT, text)}; style-src {_hashes(_STYLE, text)}; "
            "img-src data:; connect-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )

    def response(
        self, members: Mapping[str, str | Markup], *, status: int = 200
    ) -> HTMLResponse:
        """The page; every member that is not `Markup` is escaped.

        Raises:
            KeyError: The template names a member that is not given.
        """
        safe = {
            name: value.html if isinstance(value, Markup) else escape(value)
            for name, value in members.items()
        }
        return HTMLResponse(
            self._template.substitute(safe),
            status_code=status,
            headers={"Content-Security-Policy": self._policy},
        )


def _hashes(pattern: re.Pattern[str], text: str) -> str:
    found = [
        base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        for part in pattern.findall(text)
    ]
    return " ".join(f"'sha256-{one}'" for one in found) or "'none'"
