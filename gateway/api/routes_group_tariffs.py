"""Tariffs of groups of id tokens."""

import asyncio
import sqlite3
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ocpi import MAX_ID
from gateway.errors import RequestError
from gateway.store import group_tariffs, money

router = APIRouter(prefix="/tariff-groups", tags=["tariffs"], route_class=CheckedRoute)
Group = Annotated[str, Path(min_length=1, max_length=36)]


class GroupTariffBody(BaseModel):
    """Which tariff a group charges by."""

    model_config = ConfigDict(extra="forbid")

    tariff_id: str = Field(min_length=1, max_length=MAX_ID)


@router.get("")
async def tariff_groups(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Groups of id tokens that have a tariff of their own, by name."""
    rows = await asyncio.to_thread(context.queries.read_now, group_tariffs.all_groups)
    return [
        {
            "group": row.group_id,
            "tariff_id": row.tariff_id,
            "updated_at": views.time(row.updated_at),
        }
        for row in rows
    ]


@router.put("/{group}")
async def put_tariff_group(
    group: Group,
    body: Annotated[GroupTariffBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Let a group charge by a tariff, wherever it charges; for sessions from now on."""
    now = context.clock.now()

    def job(conn: sqlite3.Connection) -> bool:
        if money.find_tariff(conn, body.tariff_id) is None:
            return False
        group_tariffs.put(conn, group_id=group, tariff_id=body.tariff_id, now=now)
        return True

    if not await context.writer.run(job):
        raise RequestError(404, "unknown_tariff", f"no tariff {body.tariff_id!r}")
    await context.audit(
        caller, "tariff_group.put", f"group/{group}", {"tariff_id": body.tariff_id}
    )
    return {
        "group": group,
        "tariff_id": body.tariff_id,
        "updated_at": views.time(now),
    }


@router.delete("/{group}", status_code=204)
async def delete_tariff_group(group: Group, context: Context, caller: Operator) -> None:
    """Let a group charge by the tariffs of the stations again."""

    def job(conn: sqlite3.Connection) -> bool:
        return group_tariffs.delete(conn, group)

    if not await context.writer.run(job):
        raise RequestError(404, "unknown_group", f"group {group!r} has no tariff")
    await context.audit(caller, "tariff_group.deleted", f"group/{group}", {})
