"""The HTTP application: routes under ``/api/v1``, health, metrics, error form."""

from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException

from gateway.api import (
    public_log,
    routes_access,
    routes_batteries,
    routes_bills,
    routes_calls,
    routes_capability,
    routes_cdr,
    routes_certificates,
    routes_commands,
    routes_commissioning,
    routes_configuration,
    routes_corrections,
    routes_customers,
    routes_data,
    routes_deviations,
    routes_device,
    routes_displays,
    routes_erasure,
    routes_events,
    routes_group_needs,
    routes_group_tariffs,
    routes_ledger,
    routes_lists,
    routes_meter_keys,
    routes_meters,
    routes_monitoring,
    routes_networks,
    routes_orphans,
    routes_plans,
    routes_pricing,
    routes_roots,
    routes_sessions,
    routes_site,
    routes_stations,
    routes_tariffs,
    routes_tokens,
    routes_transfers,
    routes_variables,
    routes_wallets,
)
from gateway.api.context import ApiContext
from gateway.api.docs_page import DOCUMENT, add_docs
from gateway.api.requests import MAX_TOLD
from gateway.errors import RequestError, StoreError

PREFIX: Final = "/api/v1"
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No token, or one that is unknown, revoked or expired"},
    403: {"description": "The token's role does not allow it"},
    503: {"description": "The store cannot be written or read now"},
}
MAX_MESSAGE_CHARS: Final = 4_000
"""Of an error's text; some repeat what the caller sent."""
MAX_NAME_CHARS: Final = 100
"""Of a member's name that an answer repeats; the caller chose it."""
_PREFIX: Final = "Value error, "
"""What pydantic puts before the words of a check of ours."""
_WORDS: Final = {404: "not_found", 405: "method_not_allowed"}

_log = structlog.get_logger()


def create_app(context: ApiContext, *, version: str) -> FastAPI:
    """The application around a filled context."""
    app = FastAPI(
        title="Wattproof",
        version=version,
        description=(
            "OCPP 1.6J / 2.0.1 central system. Send `Authorization: Bearer <token>`; "
            "make tokens with `wattproof token new --role operator`."
        ),
        docs_url=None,
        redoc_url=None,
        openapi_url=DOCUMENT,
        redirect_slashes=False,
    )
    app.state.context = context
    for routes in (
        routes_stations,
        routes_commissioning,
        routes_capability,
        routes_deviations,
        routes_meters,
        routes_meter_keys,
        routes_calls,
        routes_cdr,
        routes_certificates,
        routes_transfers,
        routes_commands,
        routes_variables,
        routes_device,
        routes_configuration,
        routes_monitoring,
        routes_displays,
        routes_customers,
        routes_erasure,
        routes_networks,
        routes_roots,
        routes_sessions,
        routes_batteries,
        routes_bills,
        routes_orphans,
        routes_corrections,
        routes_tokens,
        routes_lists,
        routes_data,
        routes_group_needs,
        routes_wallets,
        routes_group_tariffs,
        routes_tariffs,
        routes_pricing,
        routes_site,
        routes_ledger,
        routes_plans,
        routes_events,
        routes_access,
    ):
        app.include_router(routes.router, prefix=PREFIX, responses=ERRORS)
    app.include_router(routes_transfers.arrivals)
    app.include_router(public_log.router)
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(StoreError, _store_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    add_docs(app)
    _add_probes(app, context)
    return app


def _add_probes(app: FastAPI, context: ApiContext) -> None:
    @app.get("/healthz", tags=["probes"])
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["probes"])
    async def readyz(response: Response) -> dict[str, Any]:
        """Every part that stations depend on works."""
        parts = context.readiness()
        if not all(parts.values()):
            response.status_code = 503
        return {"ready": all(parts.values()), "parts": dict(parts)}

    @app.get("/metrics", tags=["probes"])
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(context.metrics(), media_type=CONTENT_TYPE_LATEST)


def _body(code: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if len(message) > MAX_MESSAGE_CHARS:
        message = f"{message[: MAX_MESSAGE_CHARS // 2]}... (cut)"
    return {"error": code, "message": message, **more}


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None  # noqa: PLR2004 - HTTP
    return JSONResponse(
        _body(error.code, error.message), status_code=error.status, headers=headers
    )


async def _store_failed(request: Request, error: Exception) -> JSONResponse:
    _log.error("request.failed", path=request.url.path, why=str(error))
    return JSONResponse(
        _body("store_unavailable", "the store cannot be written or read now"),
        status_code=503,
    )


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    return JSONResponse(
        _body(_WORDS.get(error.status_code, "refused"), str(error.detail)),
        status_code=error.status_code,
        headers=dict(error.headers or {}),
    )


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    items = error.errors()
    problems = [
        {
            "where": ".".join(str(part)[:MAX_NAME_CHARS] for part in item["loc"]),
            "what": item["msg"].removeprefix(_PREFIX),
        }
        for item in items[:MAX_TOLD]
    ]
    first = f"{problems[0]['where']}: {problems[0]['what']}" if problems else "it"
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return JSONResponse(
        _body("invalid", f"not valid: {first}{more}", problems=problems),
        status_code=422,
    )
