"""Network profiles, and upgrades of the security profile (A05, B09, B10)."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.exchanges import exchange_of
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import RequestError
from gateway.ocpp.adapter import SecurityUpgrade

Slot = Annotated[int, Field(ge=0, le=2**31 - 1)]
Timeout = Annotated[float | None, Field(gt=0, le=MAX_TIMEOUT_S)]

router = APIRouter(tags=["networks"], route_class=CheckedRoute)


class NetworkBody(BaseModel):
    """A slot and its ``connectionData`` in the wire's words (2.0.1)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "slot": 1,
                    "connection": {
                        "ocppVersion": "OCPP20",
                        "ocppTransport": "JSON",
                        "ocppCsmsUrl": "wss://csms.example.com/ocpp",
                        "messageTimeout": 30,
                        "securityProfile": 2,
                        "ocppInterface": "Wired0",
                    },
                }
            ]
        },
    )

    slot: Slot
    connection: dict[str, Any]
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )
    timeout_s: Timeout = None


class UpgradeBody(BaseModel):
    """The wanted profile, and (2.0.1) where the station finds our TLS port."""

    model_config = ConfigDict(extra="forbid")

    security_profile: Literal[2, 3]
    url: str = Field(default="", max_length=512, description="wss://...; 2.0.1")
    slot: Slot = 1
    interface: str = "Wired0"
    message_timeout_s: int = Field(default=30, ge=1, le=3600)
    force: bool = Field(
        default=False, description="Admin: do not ask for known certificates"
    )
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )
    timeout_s: Timeout = None


@router.get("/stations/{station_id}/network-profiles")
async def network_profiles(
    station_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Profiles that were set, by slot; their passwords are not kept."""
    entry = context.directory.require(station_id)
    return await context.device.networks.stored(entry.station_id)


@router.post("/stations/{station_id}/network-profiles")
async def set_network_profile(
    station_id: str,
    body: Annotated[NetworkBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Set a network profile at a slot (B09); it counts once it is chosen (B10)."""
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    exchange = exchange_of(
        context,
        caller,
        station_id,
        timeout_s=body.timeout_s,
        override=body.override,
        needs="SetNetworkProfile",
    )
    await context.audit(
        caller, "network.set", f"station/{exchange.station_id}", {"slot": body.slot}
    )
    return await context.device.networks.set_profile(
        exchange, body.slot, body.connection
    )


@router.get("/stations/{station_id}/security-upgrade")
async def upgrade_state(
    station_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """How far the last upgrade is.

    ``state``: ``started``, ``profile_set``, ``selected``, ``resetting``, ``done`` (the
    station has come in with the profile), or ``failed`` with its ``problem``: a step
    was refused, or the station did not come in with the profile by ``complete_by``.
    """
    entry = context.directory.require(station_id)
    return await context.device.networks.upgrade_of(entry.station_id)


@router.post("/stations/{station_id}/security-upgrade")
async def upgrade(
    station_id: str,
    body: Annotated[UpgradeBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Bring the station to a higher security profile (A05).

    2.0.1: network profile, order of profiles, restart when idle. 1.6: the key
    ``SecurityProfile``. Once the station has come in so, no lower profile is accepted.
    """
    if (body.override or body.force) and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override or force")
    exchange = exchange_of(
        context, caller, station_id, timeout_s=body.timeout_s, override=body.override
    )
    if (exchange.adapter.base_reports or body.url) and not _is_tls_url(body.url):
        raise RequestError(422, "bad_url", "url: of our TLS port, wss://HOST:PORT/ocpp")
    networks = context.device.networks
    await networks.check(
        exchange, body.security_profile, body.url, is_forced=body.force
    )
    await context.audit(
        caller,
        "security_upgrade.started",
        f"station/{exchange.station_id}",
        {
            "security_profile": body.security_profile,
            "url": body.url,
            "force": body.force,
        },
    )
    asked = SecurityUpgrade(
        profile=body.security_profile,
        slot=body.slot,
        url=body.url,
        interface=body.interface,
        message_timeout_s=body.message_timeout_s,
    )
    return await networks.upgrade(exchange, asked)


def _is_tls_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_bare = parts.username is None and parts.port != 0
    except ValueError:
        return False
    return parts.scheme == "wss" and bool(parts.hostname) and is_bare
