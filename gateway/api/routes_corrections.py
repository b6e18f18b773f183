"""Corrections of bills: decide held ones, credit settled ones, see what came late."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.services import bill_view
from gateway.services.crediting import Credit
from gateway.services.decisions import Correction
from gateway.services.stated import MAX_REGISTER_MILLIWH, Stated

MAX_LIMIT = 1000
MAX_AMOUNT_MINOR = 2**53

router = APIRouter(tags=["sessions"], route_class=CheckedRoute)

Register = Annotated[int | None, Field(default=None, ge=0, le=MAX_REGISTER_MILLIWH)]
Amount = Annotated[int | None, Field(default=None, ge=0, le=MAX_AMOUNT_MINOR)]
Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"\S")]


class ReasonBody(BaseModel):
    """Why; it is kept for good and stands in receipts."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class CorrectionBody(BaseModel):
    """Registers (mWh), or what is to be paid (minor units), and why."""

    model_config = ConfigDict(extra="forbid")

    register_start_milliwh: Register
    register_end_milliwh: Register
    energy_milliwh: Register
    amount_minor: Amount
    reason: Reason

    def stated(self) -> Stated:
        """What is said of the meter."""
        return Stated(
            register_start_milliwh=self.register_start_milliwh,
            register_end_milliwh=self.register_end_milliwh,
            energy_milliwh=self.energy_milliwh,
        )


class CreditBody(CorrectionBody):
    """What is given back: an amount, or the difference that registers make."""

    idempotency_key: str = Field(min_length=1, max_length=128)


@router.post("/sessions/{session_id}/bill/correct")
async def correct_bill(
    session_id: str,
    body: Annotated[CorrectionBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Settle a held bill as corrected: by registers or energy, or by an amount.

    Registers are priced like any others. An amount may only lower the proposal: that
    is settled, and the rest credited at once. 409 ``above_proposal``,
    ``above_rating``, or ``settled`` and ``waived`` when it is decided already.
    """
    await context.corrections.correct(
        SessionId(session_id),
        Correction(
            stated=body.stated(), amount_minor=body.amount_minor, reason=body.reason
        ),
        caller.token_id,
    )
    return await context.bills.json(SessionId(session_id))


@router.post("/sessions/{session_id}/bill/waive")
async def waive_bill(
    session_id: str,
    body: Annotated[ReasonBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Give a held bill up: the driver pays nothing, and a record says why."""
    await context.corrections.waive(SessionId(session_id), body.reason, caller.token_id)
    return await context.bills.json(SessionId(session_id))


@router.get("/sessions/{session_id}/credits")
async def session_credits(
    session_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Its credits, in their order."""
    return await asyncio.to_thread(
        context.queries.read_now,
        lambda conn: bill_view.credit_of(conn, SessionId(session_id)),
    )


@router.post("/sessions/{session_id}/credits", status_code=201)
async def credit_session(
    session_id: str,
    body: Annotated[CreditBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Credit a settled session: an amount, or what corrected registers make less.

    It is in the driver's favour and never more than is left of the bill (409
    ``not_in_favour``, ``exceeds_bill``). The same ``idempotency_key`` again answers
    with the same credit.
    """
    credit = await context.corrections.credit(
        SessionId(session_id),
        Credit(
            amount_minor=body.amount_minor,
            stated=body.stated(),
            reason=body.reason,
            idempotency_key=body.idempotency_key,
        ),
        caller.token_id,
    )
    return await asyncio.to_thread(
        context.queries.read_now, lambda conn: bill_view.credit_json(conn, credit)
    )


@router.get("/correction-proposals")
async def correction_proposals(
    *,
    context: Context,
    _caller: Viewer,
    is_open: Annotated[bool | None, Query(alias="open")] = True,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> list[dict[str, Any]]:
    """What data that came after a settlement would have made of its bill, newest first.

    ``difference_minor`` above 0: the driver paid too much. Below 0 it is shown only.
    """
    return await asyncio.to_thread(
        context.queries.read_now,
        lambda conn: bill_view.all_proposals(conn, is_open=is_open, limit=limit),
    )


@router.post("/sessions/{session_id}/correction-proposal/accept", status_code=201)
async def accept_proposal(
    session_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Credit what its open proposal says the driver paid too much."""
    credit = await context.corrections.accept(SessionId(session_id), caller.token_id)
    return await asyncio.to_thread(
        context.queries.read_now, lambda conn: bill_view.credit_json(conn, credit)
    )


@router.post("/sessions/{session_id}/correction-proposal/dismiss")
async def dismiss_proposal(
    session_id: str,
    body: Annotated[ReasonBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Leave the bill as it is; the proposal opens again if the data say more."""
    await context.corrections.dismiss(
        SessionId(session_id), body.reason, caller.token_id
    )
    found = await asyncio.to_thread(
        context.queries.read_now,
        lambda conn: bill_view.all_proposals(conn, is_open=None, limit=MAX_LIMIT),
    )
    mine = [one for one in found if one["session_id"] == session_id]
    if not mine:
        raise RequestError(404, "no_proposal", "there is no proposal")
    return mine[0]
