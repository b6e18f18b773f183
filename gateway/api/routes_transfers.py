"""Firmware updates and logs of stations, and the place where logs arrive."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.transfer import FirmwareWanted, LogWanted
from gateway.errors import RequestError
from gateway.ocpp.effects import public_address

MAX_LOCATION_CHARS: Final = 512
MAX_PEM_CHARS: Final = 5_500

router = APIRouter(tags=["firmware and logs"], route_class=CheckedRoute)
arrivals = APIRouter(tags=["firmware and logs"])
"""For stations: the address is the secret, and the body no JSON."""

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Unknown station"},
    409: {"description": "Not connected, or a cabinet's limit could be exceeded"},
}


class FirmwareBody(BaseModel):
    """A firmware update."""

    model_config = ConfigDict(extra="forbid")

    location: str = Field(max_length=MAX_LOCATION_CHARS, description="Where it is")
    retrieve_at: datetime | None = Field(default=None, description="Default: now")
    install_at: datetime | None = None
    signing_certificate: str | None = Field(default=None, max_length=MAX_PEM_CHARS)
    signature: str | None = Field(default=None, max_length=800)
    retries: int | None = Field(default=None, ge=0, le=100)
    retry_interval_s: int | None = Field(default=None, ge=0, le=86_400)
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )


class LogBody(BaseModel):
    """A log."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["diagnostics", "security"] = "diagnostics"
    location: str | None = Field(
        default=None,
        max_length=MAX_LOCATION_CHARS,
        description="Where the station puts it; default: here",
    )
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    retries: int | None = Field(default=None, ge=0, le=100)
    retry_interval_s: int | None = Field(default=None, ge=0, le=86_400)


@router.post("/stations/{station_id}/firmware-updates", responses=REFUSALS)
async def update_firmware(
    station_id: str,
    body: Annotated[FirmwareBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Have a station fetch and install firmware.

    With ``signing_certificate`` and ``signature`` it is a secure update, and the
    certificate is checked before it is sent. What becomes of it is told by
    ``GET /stations/{id}/transfers``.
    """
    entry = context.directory.require(station_id)
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    wanted = FirmwareWanted(
        location=body.location,
        retrieve_at=_aware(body.retrieve_at, "retrieve_at") or context.clock.now(),
        install_at=_aware(body.install_at, "install_at"),
        signing_certificate=body.signing_certificate,
        signature=body.signature,
        retries=body.retries,
        retry_interval_s=body.retry_interval_s,
    )
    context.transfers.check_firmware(entry.station_id, wanted)
    await context.operator_guard(
        entry.station_id, "UpdateFirmware", {}, override=body.override
    )
    await context.audit(
        caller,
        "firmware.updated",
        f"station/{entry.station_id}",
        {"location": public_address(body.location)},
    )
    return await context.transfers.update_firmware(entry.station_id, wanted)


@router.post("/stations/{station_id}/logs", responses=REFUSALS)
async def get_log(
    station_id: str,
    body: Annotated[LogBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Have a station upload a log; without a ``location`` it comes here.

    A 1.6 station that does not know GetLog is asked for diagnostics in the older way.
    """
    entry = context.directory.require(station_id)
    await context.audit(
        caller, "log.asked", f"station/{entry.station_id}", {"type": body.type}
    )
    location = body.location
    if location is None:
        secret = await context.uploads.open(entry.station_id)
        location = f"{context.public_url()}/uploads/{secret}"
    wanted = LogWanted(
        is_security=body.type == "security",
        location=location,
        oldest_at=_aware(body.oldest_at, "oldest_at"),
        latest_at=_aware(body.latest_at, "latest_at"),
        retries=body.retries,
        retry_interval_s=body.retry_interval_s,
    )
    return await context.transfers.get_log(entry.station_id, wanted)


@router.get("/stations/{station_id}/transfers")
async def transfers(
    station_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Firmware, logs and diagnostics that a station was asked for, newest first."""
    entry = context.directory.require(station_id)
    return await context.transfers.transfers(entry.station_id)


@router.get("/stations/{station_id}/files")
async def files(
    station_id: str, context: Context, _caller: Operator
) -> list[dict[str, Any]]:
    """Logs that a station has put here, newest first."""
    entry = context.directory.require(station_id)
    return await context.uploads.files(entry.station_id)


@router.get("/stations/{station_id}/files/{file_id}", response_class=FileResponse)
async def file(
    station_id: str, file_id: str, context: Context, caller: Operator
) -> FileResponse:
    """One of them, as it came."""
    entry = context.directory.require(station_id)
    path, name = await context.uploads.file(entry.station_id, file_id)
    await context.audit(
        caller, "log.read", f"station/{entry.station_id}", {"file_id": file_id}
    )
    return FileResponse(path, media_type="application/octet-stream", filename=name)


@arrivals.put("/uploads/{secret}", status_code=201)
@arrivals.put("/uploads/{secret}/{name}", status_code=201)
@arrivals.post("/uploads/{secret}", status_code=201)
@arrivals.post("/uploads/{secret}/{name}", status_code=201)
async def receive(
    secret: str, request: Request, context: Context, name: str = "log"
) -> dict[str, int]:
    """Where a station puts the file it was asked for: once, within a day."""
    n_bytes = await context.uploads.receive(secret, name, request.stream())
    return {"n_bytes": n_bytes}


def _aware(moment: datetime | None, member: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise RequestError(422, "bad_time", f"{member}: needs a time zone")
    return moment
