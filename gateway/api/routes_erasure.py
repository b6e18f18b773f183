"""Erasing a person: what a token, or one session, left here."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.api.requests import CheckedRoute
from gateway.api.security import Admin, Context
from gateway.domain.ids import IdToken, SessionId

router = APIRouter(tags=["customers"], route_class=CheckedRoute)


class ErasureBody(BaseModel):
    """Exactly one of the two."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"id_token": "04A1B2C3"}]}
    )

    id_token: str | None = Field(default=None, min_length=1, max_length=255)
    session_id: str | None = Field(default=None, min_length=1, max_length=255)

    @model_validator(mode="after")
    def _is_one(self) -> "ErasureBody":
        if (self.id_token is None) == (self.session_id is None):
            raise ValueError("one of id_token, session_id")
        return self


@router.post("/erasures")
async def erase(
    body: Annotated[ErasureBody, Body()], context: Context, caller: Admin
) -> dict[str, int]:
    """Erase a person for good: salts and records in the log, the token everywhere.

    Bills keep their amounts and registers. Receipts of these sessions cannot be made
    any more; those of others, and the log, hold as before. Audited, without the token.
    """
    if body.session_id is not None:
        found = await context.erasure.session(
            SessionId(body.session_id), actor=caller.token_id
        )
    else:
        assert body.id_token is not None, "the body has one of the two"
        found = await context.erasure.token(
            IdToken(value=body.id_token), actor=caller.token_id
        )
    return asdict(found)
