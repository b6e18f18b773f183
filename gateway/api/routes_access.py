"""API tokens: who has access, and how it is taken back. Admins only."""

from typing import Any

from fastapi import APIRouter

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Admin, Context
from gateway.errors import RequestError
from gateway.store import api_tokens

router = APIRouter(prefix="/tokens", tags=["access"], route_class=CheckedRoute)


@router.get("")
async def tokens(context: Context, _caller: Admin) -> list[dict[str, Any]]:
    """All tokens, newest first, without their secrets, which are kept nowhere.

    New ones are made with ``wattproof token new --role ROLE``.
    """
    rows = await context.queries.rows(
        f"SELECT {api_tokens.TOKEN_COLUMNS} FROM api_token"  # noqa: S608 - constant columns
        " ORDER BY created_at DESC"
    )
    found = [api_tokens.token_of_row(row) for row in rows]
    return [
        {
            "token_id": token.token_id,
            "role": token.role.value,
            "label": token.label,
            "created_at": views.time(token.created_at),
            "expires_at": views.time(token.expires_at),
            "revoked_at": views.time(token.revoked_at),
        }
        for token in found
    ]


@router.delete("/{token_id}", status_code=204)
async def revoke_token(token_id: str, context: Context, caller: Admin) -> None:
    """Take a token back: it is refused from the next request on."""
    now = context.wall_clock.now()
    done = await context.writer.run(
        lambda conn: api_tokens.revoke_token(conn, token_id, now)
    )
    if not done:
        raise RequestError(404, "unknown_token", "no such token, or revoked before")
    await context.audit(caller, "token.revoked", f"token/{token_id}", {})
