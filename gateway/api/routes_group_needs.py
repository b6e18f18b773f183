"""What drivers of groups of id tokens are assumed to need."""

import asyncio
import sqlite3
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.usual_need import Default
from gateway.errors import RequestError
from gateway.store import need_defaults

router = APIRouter(prefix="/need-groups", tags=["sessions"], route_class=CheckedRoute)
Group = Annotated[str, Path(min_length=1, max_length=36)]


class GroupNeedBody(BaseModel):
    """What is assumed of a driver of a group who says nothing."""

    model_config = ConfigDict(extra="forbid")

    energy_wh: int | None = Field(default=None, ge=0, le=1_000_000)
    stay_s: int | None = Field(default=None, ge=900, le=604_800)
    may_pause: bool = Field(
        default=True,
        description="False: plans do not pause their sessions once they charge",
    )


@router.get("")
async def need_groups(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Groups of id tokens of which a need of their own is assumed, by name."""
    rows = await asyncio.to_thread(context.queries.read_now, need_defaults.all_groups)
    return [
        {
            "group": row.group_id,
            "energy_wh": row.default.energy_wh,
            "stay_s": row.default.stay_s,
            "may_pause": row.default.may_pause,
            "updated_at": views.time(row.updated_at),
        }
        for row in rows
    ]


@router.put("/{group}")
async def put_need_group(
    group: Group,
    body: Annotated[GroupNeedBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Assume a need of a group's drivers who state none; for sessions from now on.

    It counts over the defaults of station and site. A member left out is not assumed
    any more.
    """
    if body.energy_wh is None and body.stay_s is None and body.may_pause:
        raise RequestError(422, "empty_request", "energy_wh, stay_s or may_pause false")
    now = context.clock.now()
    default = Default(
        energy_wh=body.energy_wh, stay_s=body.stay_s, may_pause=body.may_pause
    )

    def job(conn: sqlite3.Connection) -> None:
        need_defaults.put(conn, group_id=group, default=default, now=now)

    await context.writer.run(job)
    said = body.model_dump()
    await context.audit(caller, "need_group.put", f"group/{group}", said)
    return {"group": group, **said, "updated_at": views.time(now)}


@router.delete("/{group}", status_code=204)
async def delete_need_group(group: Group, context: Context, caller: Operator) -> None:
    """Assume of a group's drivers what is assumed of everybody."""

    def job(conn: sqlite3.Connection) -> bool:
        return need_defaults.delete(conn, group)

    if not await context.writer.run(job):
        raise RequestError(404, "unknown_group", f"nothing is assumed of {group!r}")
    await context.audit(caller, "need_group.deleted", f"group/{group}", {})
