"""What stations' TLS depends on: our certificate's root, and the legacy port."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import RequestError
from gateway.services.x509 import CertificateError, parse_chain
from gateway.store import roots

router = APIRouter(tags=["certificates"], route_class=CheckedRoute)


class NewCertificateBody(BaseModel):
    """The server certificate that is to come, then its issuers, in PEM."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"certificate": "-----BEGIN CERTIFICATE-----\n..."}]
        },
    )

    certificate: str


@router.get("/tls/roots")
async def tls_roots(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """By which root each station last trusted our server certificate.

    Two roots together where TLS 1.3 does not tell which certificate it was shown.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for station_id, names, at in await context.queries.rows(roots.ROWS):
        shown = {"station_id": station_id, "validated_at": at}
        found.setdefault(names, []).append(shown)
    return [
        {"roots": json.loads(names), "stations": stations}
        for names, stations in found.items()
    ]


@router.get("/tls/legacy")
async def tls_legacy(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Stations that last came in by the legacy TLS port, since the gateway's start.

    Who came in by another port since is not listed. ``needs_it``: its TLS was older
    than 1.2; the others only need the URL of the main TLS port.
    """
    return [dict(used) for used in context.links.legacy_use()]


@router.post("/tls/roots/dry-run")
async def tls_roots_dry_run(
    body: Annotated[NewCertificateBody, Body()], context: Context, _caller: Operator
) -> dict[str, Any]:
    """What a new server certificate would change; nothing is changed.

    ``same``: stations that last trusted us by its root. ``other``: those that did by
    other roots, or of which it is not sure: install the new root there first.
    """
    try:
        chain = parse_chain(body.certificate)
    except CertificateError as error:
        raise RequestError(422, "bad_certificate", f"certificate: {error}") from error
    root = chain[-1].issuer.rfc4514_string()
    same: list[str] = []
    other: list[dict[str, Any]] = []
    for station_id, names, at in await context.queries.rows(roots.ROWS):
        held = json.loads(names)
        if held == [root]:
            same.append(station_id)
        else:
            other.append({"station_id": station_id, "roots": held, "validated_at": at})
    return {"root": root, "same": same, "other": other}
