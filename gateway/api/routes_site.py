"""The site: cabinets, loads, limits and plans."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import CabinetId
from gateway.domain.phases import PerPhase
from gateway.domain.topology import Mode
from gateway.services.loads import LoadReading

MAX_A = 10_000.0
MAX_W = 10_000_000.0

router = APIRouter(tags=["site"], route_class=CheckedRoute)

Amps = Annotated[float, Field(ge=0, le=MAX_A)]
SignedAmps = Annotated[float, Field(ge=-MAX_A, le=MAX_A)]


class ReadingBody(BaseModel):
    """A measurement of other equipment, a feeder, PV or a battery."""

    model_config = ConfigDict(extra="forbid")

    at: Moment
    current_a: tuple[SignedAmps, SignedAmps, SignedAmps] | None = None
    power_w: Annotated[float, Field(ge=-MAX_W, le=MAX_W)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "ReadingBody":
        if self.current_a is None and self.power_w is None:
            raise ValueError("current_a per phase, or power_w, is needed")
        return self


class EvseLimitBody(BaseModel):
    """A manual limit of one EVSE; null lifts it."""

    model_config = ConfigDict(extra="forbid")

    limit_a: Amps | None


class CabinetLimitBody(BaseModel):
    """The CPO's threshold of a cabinet; both null: back to the configured limit."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    limit_a: tuple[Amps, Amps, Amps] | None = None
    limit_w: Annotated[float, Field(ge=0, le=MAX_W)] | None = None
    from_at: Moment | None = Field(default=None, alias="from")
    until_at: Moment | None = Field(default=None, alias="until")


class ModeBody(BaseModel):
    """Whether plans are carried out."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["control", "advise"]


@router.get("/site")
async def site(context: Context, _caller: Viewer) -> dict[str, Any]:
    """The site with everything on its map."""
    return await context.overview.site()


@router.get("/cabinets")
async def cabinets(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Cabinets: load and worst case against limit, per phase."""
    return await context.overview.cabinets()


@router.get("/cabinets/{cabinet_id}")
async def cabinet(cabinet_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One cabinet."""
    return await context.overview.cabinet(cabinet_id)


@router.get("/cabinets/{cabinet_id}/plan")
async def plan(cabinet_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """The current plan of its group, with the reason of every limit in words."""
    return await context.overview.plan(cabinet_id)


@router.put("/loads/{load_id}/reading", status_code=204)
async def put_reading(
    load_id: str,
    body: Annotated[ReadingBody, Body()],
    context: Context,
    _caller: Operator,
) -> None:
    """A measurement with its time; stale ones count at the configured worst case."""
    await context.dispatch.put_reading(
        LoadReading(
            load_id=load_id,
            measured_at=body.at,
            current_da=None if body.current_a is None else _nearest_da(body.current_a),
            power_w=body.power_w,
        )
    )


@router.put("/evses/{station_id}/{evse_id}/limit", status_code=204)
async def put_evse_limit(
    station_id: str,
    evse_id: Annotated[int, Path(ge=0, lt=2**31)],
    body: Annotated[EvseLimitBody, Body()],
    context: Context,
    caller: Operator,
) -> None:
    """Set or lift the manual limit of one EVSE."""
    entry = context.directory.require(station_id)
    limit_da = None if body.limit_a is None else _floor_da(body.limit_a)
    await context.dispatch.set_manual_limit(entry.station_id, evse_id, limit_da)
    await context.audit(
        caller,
        "limit.set",
        f"evse/{entry.station_id}/{evse_id}",
        {"limit_a": body.limit_a},
    )


@router.put("/cabinets/{cabinet_id}/limit")
async def put_cabinet_limit(
    cabinet_id: str,
    body: Annotated[CabinetLimitBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Set the CPO's threshold; it never raises the configured limit.

    ``threshold`` of the answer: the limits in force while it holds, and as ``note``
    what of it is above the fuse (or the configured power) and therefore without effect.
    """
    key = CabinetId(cabinet_id)
    counts: dict[str, object] | None = None
    if body.limit_a is None and body.limit_w is None:
        await context.dispatch.clear_thresholds(key)
    else:
        one, two, three = body.limit_a or (0.0, 0.0, 0.0)
        limit_da = (_floor_da(one), _floor_da(two), _floor_da(three))
        counts = await context.dispatch.set_threshold(
            key,
            limit_da=None if body.limit_a is None else limit_da,
            limit_w=None if body.limit_w is None else int(body.limit_w),
            from_at=body.from_at,
            until_at=body.until_at,
        )
    await context.audit(
        caller, "limit.set", f"cabinet/{cabinet_id}", body.model_dump(mode="json")
    )
    return await context.overview.cabinet(cabinet_id) | {"threshold": counts}


@router.put("/cabinets/{cabinet_id}/mode")
async def put_mode(
    cabinet_id: str,
    body: Annotated[ModeBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """``advise``: plans are computed, shown and recorded; nothing is sent."""
    await context.dispatch.set_mode(CabinetId(cabinet_id), Mode(body.mode))
    await context.audit(
        caller, "mode.set", f"cabinet/{cabinet_id}", {"mode": body.mode}
    )
    return await context.overview.cabinet(cabinet_id)


def _floor_da(current_a: float) -> int:
    """A limit in 0.1 A; only ever rounded down."""
    return int(Decimal(repr(current_a)) * 10)


def _nearest_da(current_a: tuple[float, float, float]) -> PerPhase:
    """A measurement in 0.1 A."""
    one, two, three = (round(value * 10) for value in current_a)
    return (one, two, three)
