"""Evidence: the log's head, what waits, and the proof of one record."""

from typing import Any

from fastapi import APIRouter

from gateway.api.security import Context, Viewer

router = APIRouter(tags=["ledger"])


@router.get("/ledger")
async def ledger(context: Context, _caller: Viewer) -> dict[str, Any]:
    """Head, backlog, last anchor, contracts."""
    return await context.receipts.ledger()


@router.get("/ledger/leaves/{leaf_index}")
async def leaf(leaf_index: int, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One record with its salt and its proof of inclusion."""
    return await context.receipts.leaf(leaf_index)


@router.get("/audit")
async def audit(
    context: Context, _caller: Viewer, limit: int = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """What operators did, latest first."""
    return await context.receipts.audit(limit=min(limit, 1000), before=before)
