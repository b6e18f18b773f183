"""Stored plans as files that ``wattproof verify`` checks."""

from typing import Any

from fastapi import APIRouter

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer

router = APIRouter(prefix="/plans", tags=["plans"], route_class=CheckedRoute)


@router.get("/{plan_id}")
async def plan(plan_id: int, context: Context, _caller: Viewer) -> dict[str, Any]:
    """A plan with its problem, its certificate and its proof in the log."""
    return await context.receipts.plan(plan_id)


@router.get("/{plan_id}/sessions/{session_id}")
async def row(
    plan_id: int, session_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """One session's row of a plan, for its driver: it shows nothing of the others."""
    return await context.receipts.plan_row(plan_id, session_id)
