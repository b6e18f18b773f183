"""``/log``: the public export of the log, for anybody; at a measured pace.

Not below ``/api/v1``: the paths are those of transparency logs, and need no token. An
auditor's token shows more.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.context import ApiContext
from gateway.api.pace import Pace
from gateway.api.security import Admits, Context, authenticated
from gateway.errors import RequestError
from gateway.services.public_log import PublicLog
from gateway.store.api_tokens import Role

PER_S: Final = 20.0
BURST: Final = 200
MAX_NOTE_BYTES: Final = 65_536
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Nothing there, or `ledger.public_log` is off"},
    429: {"description": "Asked too often"},
}

router = APIRouter(prefix="/log", tags=["public log"], responses=REFUSALS)

_auditor = Admits(frozenset(Role) - {Role.VIEWER}, "auditor or operator")
_IMMUTABLE: Final = "public, max-age=31536000, immutable"


@router.get("/heads/{size}")
async def heads(size: int, request: Request, context: Context) -> JSONResponse:
    """Heads that witnesses cosigned, with proofs to the log of a size.

    A file for `wattproof verify --heads`.
    """
    return JSONResponse(await _admitted(request, context).heads(size))


@router.get("/witnessed")
async def witnessed(request: Request, context: Context) -> JSONResponse:
    """What each witness cosigned last."""
    return JSONResponse(await _admitted(request, context).witnessed())


@router.post("/cosignature", status_code=204)
async def cosignature(request: Request, context: Context) -> Response:
    """Where a witness puts the checkpoint that it cosigned."""
    public = _admitted(request, context)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_NOTE_BYTES:
            raise RequestError(413, "too_large", f"more than {MAX_NOTE_BYTES} bytes")
    await public.cosign(bytes(data))
    return Response(status_code=204)


@router.get("/{path:path}")
async def piece(path: str, request: Request, context: Context) -> Response:
    """A piece of the export: `checkpoint`, `key`, `chain`, `tile/...`, `disclosed/...`.

    With an auditor's token `disclosed` has plans and settlements, too.
    """
    public = _admitted(request, context)
    is_auditor = "authorization" in request.headers
    if is_auditor:
        _auditor.check(await authenticated(request))
    data = await public.piece(path, is_auditor=is_auditor)
    is_text = not path.startswith(("tile/", "disclosed/"))
    kind = "text/plain; charset=utf-8" if is_text else "application/octet-stream"
    if path.startswith("disclosed/") or path == "chain":
        kind = "application/json"
    is_full = path.startswith("tile/") and ".p/" not in path
    caching = _IMMUTABLE if is_full else "no-store"
    return Response(data, media_type=kind, headers={"Cache-Control": caching})


def _admitted(request: Request, context: ApiContext) -> PublicLog:
    """The export, unless it is off or asked too often.

    Raises:
        RequestError: 404, 429.
    """
    public = context.public_log
    if public is None:
        raise RequestError(404, "not_found", "the log is not public here")
    pace = getattr(request.app.state, "public_log_pace", None)
    if not isinstance(pace, Pace):
        pace = Pace(per_s=PER_S, burst=BURST)
        request.app.state.public_log_pace = pace
    address = "" if request.client is None else request.client.host
    if not pace.admits(address, asyncio.get_running_loop().time()):
        raise RequestError(429, "too_often", f"at most {PER_S:g} requests a second")
    return public
