"""Certificates of stations, and what stations report of attacks."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.certificates import CertificateKind, CertificateUse, kind_of
from gateway.errors import RequestError
from gateway.services.security_events import TOPIC, is_critical

MAX_PEM_CHARS: Final = 5_500

Kinds = Annotated[list[str] | None, Query(alias="type")]

router = APIRouter(tags=["certificates"], route_class=CheckedRoute)


class RenewalBody(BaseModel):
    """Which of its own certificates a station renews."""

    model_config = ConfigDict(extra="forbid")

    type: CertificateUse = CertificateUse.STATION
    evse_id: int | None = Field(
        default=None,
        ge=1,
        description="Of a V2G certificate, where each EVSE has a controller of its own",
    )


class InstallBody(BaseModel):
    """A root for a station's store."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(
        description="CSMSRootCertificate (1.6: CentralSystemRootCertificate),"
        " ManufacturerRootCertificate, V2GRootCertificate or MORootCertificate"
    )
    certificate: str = Field(max_length=MAX_PEM_CHARS, description="One in PEM")


class CommandAnswer(BaseModel):
    """What became of the CALL: ``status`` is the station's own word."""

    outcome: Literal["result", "error", "timeout", "disconnected"]
    command: str
    status: str | None = None
    detail: str | None = None


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Unknown station or certificate"},
    409: {"description": "Not connected, or it would take the last root"},
    422: {"description": "No usable certificate, or not in the station's version"},
}


@router.get("/stations/{station_id}/certificates", responses=REFUSALS)
async def certificates(
    station_id: str,
    context: Context,
    _caller: Viewer,
    kinds: Kinds = None,
) -> list[dict[str, Any]]:
    """What a station holds (``source`` station) and what we signed for it (issued).

    It is what the station last said (``told_at``); nothing is sent to it: to ask it
    now, refresh. Certificates that never passed through here have hashes only.
    """
    entry = context.directory.require(station_id)
    return await context.certificates.stored(
        entry.station_id, [_kind(word) for word in kinds or ()]
    )


@router.post("/stations/{station_id}/certificates/refresh", responses=REFUSALS)
async def refresh_certificates(
    station_id: str,
    context: Context,
    caller: Operator,
    kinds: Kinds = None,
) -> list[dict[str, Any]]:
    """Ask a station which certificates it holds, and list them.

    ``is_live``: it has just said so; false where it did not answer as asked.
    """
    entry = context.directory.require(station_id)
    context.device.reach.check(entry.station_id)
    return await context.certificates.refreshed(
        entry.station_id,
        [_kind(word) for word in kinds or ()],
        asked_by=caller.token_id,
    )


@router.post("/stations/{station_id}/certificate-renewal", responses=REFUSALS)
async def renew_certificate(
    station_id: str,
    context: Context,
    caller: Operator,
    body: Annotated[RenewalBody | None, Body()] = None,
) -> CommandAnswer:
    """Have a station ask for a new certificate of its own.

    After ``Accepted`` it sends SignCertificate, which is answered, and
    CertificateSigned follows at once; the list of certificates then shows the new one
    as installed.
    """
    entry = context.directory.require(station_id)
    context.device.reach.check(entry.station_id)
    wanted = body or RenewalBody()
    use = wanted.type
    await context.audit(
        caller,
        "certificate.renewed",
        f"station/{entry.station_id}",
        {"type": use.value},
    )
    answer = await context.certificates.renew(
        entry.station_id, use, evse_id=wanted.evse_id, asked_by=caller.token_id
    )
    return CommandAnswer.model_validate(answer)


@router.post("/stations/{station_id}/certificates", responses=REFUSALS)
async def install_certificate(
    station_id: str,
    body: Annotated[InstallBody, Body()],
    context: Context,
    caller: Operator,
) -> CommandAnswer:
    """Install a root certificate; it is checked before it is sent."""
    entry = context.directory.require(station_id)
    context.device.reach.check(entry.station_id)
    kind = _kind(body.type)
    await context.audit(
        caller,
        "certificate.installed",
        f"station/{entry.station_id}",
        {"type": kind.value},
    )
    answer = await context.certificates.install(
        entry.station_id, kind, body.certificate, asked_by=caller.token_id
    )
    return CommandAnswer.model_validate(answer)


@router.delete("/stations/{station_id}/certificates/{name}", responses=REFUSALS)
async def delete_certificate(
    station_id: str,
    name: str,
    context: Context,
    caller: Operator,
    override: Annotated[
        bool, Query(description="Admin: though it is the last root of its kind")
    ] = False,
) -> CommandAnswer:
    """Delete a certificate by serial number (hexadecimal) or SHA-256 fingerprint.

    The station is asked for its list first; the last valid root of a kind stays
    (409 ``last_root``).
    """
    entry = context.directory.require(station_id)
    context.device.reach.check(entry.station_id)
    if override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may delete a last root")
    await context.audit(
        caller,
        "certificate.deleted",
        f"station/{entry.station_id}",
        {"certificate": name, "override": override},
    )
    answer = await context.certificates.delete(
        entry.station_id, name, override=override, asked_by=caller.token_id
    )
    return CommandAnswer.model_validate(answer)


@router.get("/stations/{station_id}/security-events")
async def security_events(
    station_id: str,
    context: Context,
    _caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """SecurityEventNotifications of a station, latest first."""
    entry = context.directory.require(station_id)
    found = await context.queries.notifications(entry.station_id, TOPIC, limit=limit)
    return [
        {
            "type": row.body.get("type"),
            "critical": is_critical(str(row.body.get("type"))),
            "tech_info": row.body.get("techInfo"),
            "occurred_at": views.time(row.occurred_at),
            "received_at": views.time(row.received_at),
        }
        for row in found
    ]


def _kind(word: str) -> CertificateKind:
    try:
        return kind_of(word)
    except ValueError as error:
        known = ", ".join(CertificateKind)
        raise RequestError(
            422, "bad_type", f"type: {word!r} is not one of {known}"
        ) from error
