"""How requests come in: who asks first, then how large, then strict JSON.

FastAPI reads a body before it looks at credentials, takes NaN and lone surrogates for
JSON, and has no limit. This route class does all three in the right order.
"""

from collections.abc import Awaitable, Callable
from json import JSONDecodeError
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from typing_extensions import override

from gateway.api.security import authenticated
from gateway.errors import RequestError

MAX_BODY_BYTES: Final = 1_048_576
MAX_DRAINED_BYTES: Final = 16_777_216
"""Read and thrown away of a body that is too large, so that its sender can hear why."""


class CheckedRoute(APIRoute):
    """A route below ``/api/v1``: 401, 413 and malformed JSON come before its own."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # Coroutine there
        """The handler behind the checks."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await authenticated(request)
            strict = _StrictRequest(request.scope, request.receive)
            await strict.load()
            return await handler(strict)

        return checked


class _StrictRequest(Request):
    """A request whose body is read once, bounded, and decoded without leniency."""

    async def load(self) -> None:
        """Read the body.

        Raises:
            RequestError: 413.
            RequestValidationError: It is not JSON.
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
        if self._body:
            try:
                await self.json()
            except JSONDecodeError as error:
                raise RequestValidationError(
                    [{"loc": ("body", error.pos), "msg": error.msg}]
                ) from error

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
