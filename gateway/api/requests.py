"""How requests come in: who asks first, then what for, how large, then strict JSON.

FastAPI reads a body before it looks at credentials, takes NaN and lone surrogates for
JSON, has no limit, and ignores query parameters and bodies that a route does not take.
This route class does all of it in the right order.
"""

from collections.abc import Awaitable, Callable
from json import JSONDecodeError
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from typing_extensions import override

from gateway.api.security import Admits, authenticated
from gateway.errors import RequestError

MAX_BODY_BYTES: Final = 1_048_576
JSON_TYPE: Final = "application/json"
MAX_TOLD: Final = 20
"""Problems that an answer names; a body may have any number."""
MAX_DRAINED_BYTES: Final = 16_777_216
"""Read and thrown away of a body that is too large, so that its sender can hear why."""


class CheckedRoute(APIRoute):
    """A route below ``/api/v1``: 401, 403, 413, 415 and 422 come before its own.

    422: a query parameter that it does not know, malformed JSON, or a body for a route
    that takes none (``{}`` is none).
    """

    @property
    def query_names(self) -> tuple[str, ...]:
        """The query parameters that it takes, by name."""
        return tuple(sorted(_query_names(self.dependant)))

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # Coroutine there
        """The handler behind the checks."""
        handler = super().get_route_handler()
        known, takes_body = self.query_names, self.body_field is not None
        admitting = [
            one.call
            for one in self.dependant.dependencies
            if isinstance(one.call, Admits)
        ]

        async def checked(request: Request) -> Response:
            caller = await authenticated(request)
            for one in admitting:
                one.check(caller)
            _check_query(request, known)
            strict = _StrictRequest(request.scope, request.receive)
            await strict.load(takes_body=takes_body)
            return await handler(strict)

        return checked


def _query_names(dependant: Dependant) -> set[str]:
    names = {one.alias for one in dependant.query_params}
    return names.union(*map(_query_names, dependant.dependencies))


def _check_query(request: Request, known: tuple[str, ...]) -> None:
    """Refuse what would be ignored: a misspelled filter must not mean "all".

    Raises:
        RequestValidationError: Naming the parameters that are known.
    """
    unknown = sorted(set(request.query_params) - set(known))
    if not unknown:
        return
    names = ", ".join(known)
    takes = f"this route takes {names}" if known else "this route takes none"
    raise RequestValidationError(
        [
            {"loc": ("query", name), "msg": f"unknown query parameter; {takes}"}
            for name in unknown[:MAX_TOLD]
        ]
    )


class _StrictRequest(Request):
    """A request whose body is read once, bounded, and decoded without leniency."""

    async def load(self, *, takes_body: bool) -> None:
        """Read the body.

        Raises:
            RequestError: 413 too large, 415 said to be something else than JSON.
            RequestValidationError: It is not JSON, or the route takes none.
        """
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.stream():
            size += len(chunk)
            if size <= MAX_BODY_BYTES:
                chunks.append(chunk)
            elif size > MAX_DRAINED_BYTES:
                break
        if size > MAX_BODY_BYTES:
            raise RequestError(
                413, "too_large", f"the body has more than {MAX_BODY_BYTES} bytes"
            )
        self._body = b"".join(chunks)
        if not self._body:
            return
        self._check_type()
        try:
            found = await self.json()
        except JSONDecodeError as error:
            raise RequestValidationError(
                [{"loc": ("body", error.pos), "msg": error.msg}]
            ) from error
        if not takes_body and found != {}:
            raise RequestValidationError(
                [{"loc": ("body",), "msg": "this route takes no body"}]
            )

    def _check_type(self) -> None:
        """Take JSON that does not say so for JSON, and nothing else.

        Raises:
            RequestError: 415.
        """
        said = self.headers.get("content-type")
        if said is None:
            self.scope["headers"] = [
                *self.scope["headers"],
                (b"content-type", JSON_TYPE.encode()),
            ]
            del self._headers
            return
        kind = said.partition(";")[0].strip().lower()
        if kind != JSON_TYPE and not kind.endswith("+json"):
            raise RequestError(
                415,
                "unsupported_media_type",
                f"the body is sent as {kind or 'nothing'!r}: send JSON with"
                f" Content-Type: {JSON_TYPE}",
            )

    @override
    async def json(self) -> Any:
        """The decoded body.

        Raises:
            JSONDecodeError: It is not JSON in UTF-8, is too deep, or holds ``NaN``,
                numbers beyond all bounds or lone surrogates.
        """
        if not hasattr(self, "_json"):
            try:
                self._json = msgspec.json.decode(self._body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise JSONDecodeError(f"not valid JSON: {error}", "", 0) from error
        return self._json
