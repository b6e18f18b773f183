"""Evidence: the log's head, what waits, and the proof of one record."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api.requests import CheckedRoute
from gateway.api.security import Auditor, Context, Viewer

router = APIRouter(tags=["ledger"], route_class=CheckedRoute)


@router.get("/ledger")
async def ledger(context: Context, _caller: Viewer) -> dict[str, Any]:
    """Head, backlog, last anchor, contracts, and what witnesses cosigned."""
    found = await context.receipts.ledger()
    public = context.public_log
    witnessed = [] if public is None else await public.witnessed()
    return {**found, "witnessed_by": witnessed}


@router.get("/ledger/leaves/{leaf_index}")
async def leaf(leaf_index: int, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One record with its salt and its proof of inclusion."""
    return await context.receipts.leaf(leaf_index)


@router.get("/ledger/cabinets/{cabinet_id}")
async def cabinet(
    cabinet_id: str,
    context: Context,
    _caller: Auditor,
    first: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """A cabinet's own part of the log, with proofs; ``first`` a leaf to begin at.

    For auditors, operators and admins: readings name sessions.
    """
    return await context.receipts.cabinet(cabinet_id, first=first)


@router.get("/audit")
async def audit(
    context: Context,
    _caller: Auditor,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> list[dict[str, Any]]:
    """What operators did, latest first; ``before`` an ``audit_id`` for the next page.

    For auditors, operators and admins.
    """
    return await context.receipts.audit(limit=limit, before=before)
