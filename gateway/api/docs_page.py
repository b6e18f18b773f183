"""The page at ``/api/docs``: Swagger UI from our own files, no other host involved.

The packaged Swagger UI reads OpenAPI 3.0; pydantic describes itself in 3.1. The
document is therefore written in 3.0 words, which every other tool reads as well.
"""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from swagger_ui_bundle import (  # type: ignore[import-untyped]  # it ships no types
    swagger_ui_path,
)

OPENAPI_VERSION: Final = "3.0.3"
DOCS: Final = "/api/docs"
DOCUMENT: Final = "/api/openapi.json"
STATIC: Final = "/api/static"


def add_docs(app: FastAPI) -> None:
    """Serve page, document and the files of the page."""
    app.mount(STATIC, StaticFiles(directory=str(swagger_ui_path)), name="api-static")
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way

    @app.get(DOCS, include_in_schema=False)
    async def page(_request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=DOCUMENT,
            title=f"{app.title} API",
            swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{STATIC}/favicon-32x32.png",
            swagger_ui_parameters={"validatorUrl": None, "persistAuthorization": True},
        )


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        app.openapi_schema = as_openapi_30(document) | {"openapi": OPENAPI_VERSION}
    return app.openapi_schema


def as_openapi_30(node: Any) -> Any:  # noqa: ANN401 - JSON
    """A part of an OpenAPI 3.1 document in the words of 3.0."""
    if isinstance(node, list):
        return [as_openapi_30(part) for part in node]
    if not isinstance(node, dict):
        return node
    found = {key: as_openapi_30(value) for key, value in node.items()}
    if isinstance(found.get("anyOf"), list):
        _nullable(found)
    for bound, name in (
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ):
        if isinstance(found.get(bound), int | float) and found[bound] is not True:
            found[name], found[bound] = found[bound], True
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if isinstance(found.get("prefixItems"), list):
        kinds = found.pop("prefixItems")
        found["items"] = kinds[0] if all(k == kinds[0] for k in kinds) else {}
    return found


def _nullable(found: dict[str, Any]) -> None:
    kinds = [kind for kind in found["anyOf"] if kind != {"type": "null"}]
    if len(kinds) == len(found["anyOf"]):
        return
    del found["anyOf"]
    found["nullable"] = True
    if len(kinds) == 1 and "$ref" not in kinds[0]:
        found.update({key: kinds[0][key] for key in kinds[0] if key not in found})
    else:
        found["anyOf"] = kinds
