"""Obedience tests of stations: what was found, and when the next one is."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.obedience_plan import NIGHT, ObediencePlan
from gateway.domain.week_times import MIDNIGHT, minute_of
from gateway.errors import RequestError
from gateway.store.commissioning import TestRecord

router = APIRouter(tags=["stations"], route_class=CheckedRoute)


class PlanBody(BaseModel):
    """When a station is tested; without ``at`` and hours: in the next night."""

    model_config = ConfigDict(extra="forbid")

    at: Moment | None = Field(default=None, description="Not before; null: from now on")
    begins: str | None = Field(
        default=None, alias="from", description="HH:MM of the site's time"
    )
    until: str | None = Field(
        default=None, description="HH:MM; not after `from`: of the day after"
    )
    every_days: int | None = Field(default=None, ge=1, le=366, description="Null: once")
    restart: bool = False
    outage_s: int = Field(default=0, ge=0, le=3600)


@router.get("/stations/{station_id}/commissioning")
async def tests(station_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """The obedience tests of a station, latest first, and the one that is to come."""
    entry = context.directory.require(station_id)
    plan = await context.obedience.plan(entry.station_id)
    found = await context.obedience.history(entry.station_id)
    return {
        "station_id": entry.station_id,
        "plan": None if plan is None else _plan(plan),
        "tests": [_test(one) for one in found],
    }


@router.put("/stations/{station_id}/commissioning-plan")
async def put_plan(
    station_id: str,
    body: Annotated[PlanBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Test a station at a time, by night, or again and again; replaces its plan.

    It waits for its hours, for the station to be connected and for nobody to charge
    there. Hours left out: 01:00 to 05:00 without ``at``, any with it.
    """
    entry = context.directory.require(station_id)
    plan = ObediencePlan(
        station_id=entry.station_id,
        due_at=body.at or context.clock.now(),
        window=_window(body),
        every_days=body.every_days,
        restart=body.restart,
        outage_s=body.outage_s,
    )
    await context.obedience.put_plan(plan)
    said = body.model_dump(mode="json", by_alias=True)
    subject = f"station/{entry.station_id}"
    await context.audit(caller, "station.test_planned", subject, said)
    return _plan(plan)


@router.delete("/stations/{station_id}/commissioning-plan", status_code=204)
async def delete_plan(station_id: str, context: Context, caller: Operator) -> None:
    """Plan no test of a station."""
    entry = context.directory.require(station_id)
    if not await context.obedience.drop_plan(entry.station_id):
        raise RequestError(404, "no_test_planned", f"none of {station_id} is planned")
    subject = f"station/{entry.station_id}"
    await context.audit(caller, "station.test_unplanned", subject, {})


def _window(body: PlanBody) -> tuple[int, int] | None:
    """Hours in minutes of the day.

    Raises:
        RequestError: 422 they mean nothing.
    """
    if body.begins is None and body.until is None:
        return NIGHT if body.at is None else None
    if body.begins is None or body.until is None:
        raise RequestError(422, "bad_time", "from and until go together")
    try:
        first, end = minute_of(body.begins), minute_of(body.until)
    except ValueError as error:
        raise RequestError(422, "bad_time", str(error)) from error
    if first in {end, MIDNIGHT}:
        raise RequestError(422, "bad_time", "from and until leave no hours")
    return first, end


def _plan(plan: ObediencePlan) -> dict[str, Any]:
    first, end = plan.window or (None, None)
    return {
        "due_at": views.time(plan.due_at),
        "from": _clock(first),
        "until": _clock(end),
        "every_days": plan.every_days,
        "restart": plan.restart,
        "outage_s": plan.outage_s,
    }


def _clock(minute: int | None) -> str | None:
    return None if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def _test(one: TestRecord) -> dict[str, Any]:
    return {
        "started_at": views.time(one.started_at),
        "ended_at": views.time(one.ended_at),
        "cause": one.cause.value,
        "firmware": one.firmware,
        "is_proven": one.is_proven,
        "trouble": one.trouble,
        "steps": list(one.steps),
    }
