"""The HTTP application: routes under ``/api/v1``, health, metrics, error form."""

from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.api import (
    routes_calls,
    routes_events,
    routes_ledger,
    routes_sessions,
    routes_site,
    routes_stations,
    routes_tokens,
)
from gateway.api.context import ApiContext
from gateway.errors import RequestError, StoreError

PREFIX: Final = "/api/v1"
MAX_BODY_BYTES: Final = 1_048_576

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
        docs_url="/api/docs",
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.context = context
    for routes in (
        routes_stations,
        routes_calls,
        routes_sessions,
        routes_tokens,
        routes_site,
        routes_ledger,
        routes_events,
    ):
        app.include_router(routes.router, prefix=PREFIX)
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(StoreError, _store_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
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


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]}
        for item in error.errors()
    ]
    return JSONResponse(
        _body("invalid", "the request is not valid", problems=problems),
        status_code=422,
    )
