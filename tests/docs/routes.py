"""The API's routes as a table, and which route a documented request is for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.routing import Match
from typing_extensions import override

from gateway.api import app
from gateway.api.security import Admits
from gateway.store.api_tokens import Role
from tests.docs.pages import DOCS, blocks

PAGE: Final = DOCS / "api.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A documented request.

    Attributes:
        path: Below ``/api/v1``.
        role: Whose token it needs.
        status: What it is answered with; ``None``: it succeeds.
        answer: What the page says of the answer's members.
    """

    method: str
    path: str
    role: str
    status: int | None
    body: Any
    line: int
    answer: Any = None

    @override
    def __str__(self) -> str:
        return f"{self.line} {self.method} {self.path}"


def routes() -> list[APIRoute]:
    """Every route below ``/api/v1``, by path."""
    found = [
        route
        for name, module in vars(app).items()
        if name.startswith("routes_")
        for route in module.router.routes
        if isinstance(route, APIRoute)
    ]
    return sorted(found, key=lambda route: (route.path, method_of(route)))


def method_of(route: APIRoute) -> str:
    """The only method of a route."""
    assert route.methods is not None
    assert len(route.methods) == 1, route.path
    return next(iter(route.methods))


def route_of(example: Example) -> APIRoute | None:
    """The route that takes a documented request."""
    scope = {"type": "http", "method": example.method, "path": example.path}
    for route in routes():
        if route.matches(scope)[0] is Match.FULL:
            return route
    return None


def table() -> str:
    """All routes, by path."""
    lines = ["| route | role | what |", "|---|---|---|"]
    for route in routes():
        what = (route.endpoint.__doc__ or "").split("\n\n")[0]
        told = " ".join(what.split()).replace("``", "`").removesuffix(".")
        lines.append(
            f"| `{method_of(route)} {route.path_format}` | {_role(route)} | {told} |"
        )
    return "\n".join(lines) + "\n"


def examples() -> Iterator[Example]:
    """The documented requests, in the page's order."""
    found: list[dict[str, Any]] = []
    for block in blocks(PAGE):
        language, _, rest = block.info.partition(" ")
        if language != "json":
            continue
        content = json.loads(block.text)
        words = rest.split()
        if words == ["answer"]:
            found[-1]["answer"] = content
        elif words != ["example"]:
            method, path, *more = words
            found.append(
                {
                    "method": method,
                    "path": path,
                    "role": next((w for w in more if w in set(Role)), "operator"),
                    "status": next((int(w) for w in more if w.isdigit()), None),
                    "body": content,
                    "line": block.line,
                }
            )
    return (Example(**one) for one in found)


def _role(route: APIRoute) -> str:
    """The least role, as the parameters of the endpoint say."""
    for dependant in route.dependant.dependencies:
        if isinstance(dependant.call, Admits):
            return dependant.call.text.replace(" or operator", ", or operator")
    raise AssertionError(f"{route.path}: nobody is asked who he is")
