"""Where drivers' flexibility is credited on the chain."""

import asyncio
import sqlite3
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator
from gateway.errors import RequestError
from gateway.store import wallets

router = APIRouter(
    prefix="/wallets", tags=["id tokens and reservations"], route_class=CheckedRoute
)
Token = Annotated[str, Path(min_length=1, max_length=255)]


class WalletBody(BaseModel):
    """An address on the ledger's chain."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(
        pattern="^0x[0-9A-Fa-f]{40}$",
        description="Fresh for this driver and operator: it is public for ever",
    )


@router.get("/{token:path}")
async def wallet(token: Token, context: Context, _caller: Operator) -> dict[str, Any]:
    """The address that an id token's flexibility is credited to."""
    found = await asyncio.to_thread(
        context.queries.read_now, partial(wallets.of_token, token=token)
    )
    if found is None:
        raise RequestError(404, "no_wallet", "this id token has no address")
    return {"address": found.address, "updated_at": views.time(found.updated_at)}


@router.put("/{token:path}")
async def put_wallet(
    token: Token,
    body: Annotated[WalletBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Credit the flexibility of a token's sessions to an address, from now on.

    Sessions that settle from now on wait for the share of their day, and settle by
    themselves then: energy and amount of those with flexibility are public.
    """
    now = context.clock.now()
    work = partial(wallets.put, token=token, address=body.address, now=now)
    await context.writer.run(work)
    await context.audit(caller, "wallet.put", "id-token", {})
    return {"address": body.address.lower(), "updated_at": views.time(now)}


@router.delete("/{token:path}", status_code=204)
async def delete_wallet(token: Token, context: Context, caller: Operator) -> None:
    """Credit no flexibility of a token's sessions any more, from now on."""

    def job(conn: sqlite3.Connection) -> bool:
        return wallets.delete(conn, token)

    if not await context.writer.run(job):
        raise RequestError(404, "no_wallet", "this id token has no address")
    await context.audit(caller, "wallet.deleted", "id-token", {})
