"""What stations report of themselves: the device model of 2.0.1."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.api import views
from gateway.api.exchanges import exchange_of, require_action
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import RequestError
from gateway.services.reports import Sent, component_variables
from gateway.services.variable_words import HIDDEN, SECRETS
from gateway.store.device_model import MODEL_ROW, model_row
from gateway.store.reports import Kind

MAX_ITEMS = 500
Name = Annotated[str | None, Query(max_length=200)]

router = APIRouter(tags=["device model"], route_class=CheckedRoute)


class ReportBody(BaseModel):
    """Either a ``base``, or criteria and items."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"base": "FullInventory"},
                {"criteria": ["Problem"]},
                {"items": [{"component": "EVSE", "variable": "AvailabilityState"}]},
            ]
        },
    )

    base: (
        Literal["ConfigurationInventory", "FullInventory", "SummaryInventory"] | None
    ) = None
    criteria: list[Literal["Active", "Available", "Enabled", "Problem"]] | None = Field(
        default=None, min_length=1, max_length=4
    )
    items: list[dict[str, Any]] | None = Field(
        default=None, min_length=1, max_length=MAX_ITEMS
    )
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> "ReportBody":
        by_criteria = self.criteria is not None or self.items is not None
        if (self.base is not None) == by_criteria:
            raise ValueError("either base, or criteria and items")
        return self


class SentAnswer(BaseModel):
    """A request that went out, and what the station said to it."""

    request_id: int
    outcome: Literal["result", "error", "timeout", "disconnected"]
    status: str | None


class SentAnswers(BaseModel):
    """The requests; more than one where the station takes only so many items."""

    requests: list[SentAnswer]


@router.post("/stations/{station_id}/reports")
async def ask_report(
    station_id: str,
    body: Annotated[ReportBody, Body()],
    context: Context,
    caller: Operator,
) -> SentAnswers:
    """Ask for a report (2.0.1, B07, B08); its pages come after the answer.

    The device model changes when a report is complete: a base report replaces it
    (``SummaryInventory`` and criteria: are merged into it).
    """
    exchange = exchange_of(
        context,
        caller,
        station_id,
        timeout_s=body.timeout_s,
        needs="GetReport" if body.base is None else "GetBaseReport",
    )
    await context.audit(
        caller, "report.asked", f"station/{exchange.station_id}", {"base": body.base}
    )
    reports = context.device.reports
    if body.base is not None:
        sent = [
            await reports.send(exchange, "GetBaseReport", {"reportBase": body.base})
        ]
        return sent_answers(sent)
    payload: dict[str, object] = {}
    if body.criteria is not None:
        payload["componentCriteria"] = list(body.criteria)
    if body.items is not None:
        payload["componentVariable"] = component_variables(body.items)
    return sent_answers(
        await reports.send_split(
            exchange, "GetReport", payload, listed="componentVariable"
        )
    )


@router.get("/stations/{station_id}/reports")
async def reports(
    station_id: str, context: Context, _caller: Viewer, kind: Kind = Kind.DEVICE
) -> list[dict[str, Any]]:
    """Reports that were asked for, the newest first.

    ``state``: ``asked``, ``receiving``, ``complete``, ``incomplete`` (its pages stopped
    coming), ``refused``, and of customers' reports ``read``.
    """
    entry = context.directory.require(station_id)
    found = await context.device.reports.listed(entry.station_id, kind)
    return [
        one
        | {
            "asked_at": views.text_time(one["asked_at"]),
            "updated_at": views.text_time(one["updated_at"]),
        }
        for one in found
    ]


@router.get("/stations/{station_id}/device-model")
async def device_model(
    station_id: str,
    context: Context,
    _caller: Viewer,
    component: Name = None,
    variable: Name = None,
) -> dict[str, Any]:
    """The device model as last reported, whole or for a component or variable.

    A component's name may have its place before and its instance behind it:
    ``evse1.2/Connector``, ``Connector`` finds those of all EVSEs.
    """
    entry = context.directory.require(station_id)
    rows = await context.queries.rows(MODEL_ROW, (entry.station_id,))
    source = model_row(rows[0]) if rows else None
    variables = [
        {
            "component": row.component,
            "variable": row.variable,
            "attribute": row.attribute,
            "value": _shown(row.variable, row.value),
            "mutability": row.mutability,
            "characteristics": row.detail.get("variableCharacteristics"),
            "reported_at": views.time(row.reported_at),
        }
        for row in await context.queries.device_variables(entry.station_id)
        if _is_named(row.component, component) and _is_named(row.variable, variable)
    ]
    if source is None and not variables:
        require_action(context, entry.station_id, "GetBaseReport")
        raise RequestError(404, "no_report", "no report of it has come yet")
    return {
        "station_id": entry.station_id,
        "source": None
        if source is None
        else {
            "base": source.base,
            "request_id": source.request_id,
            "state": source.state,
            "firmware": source.firmware,
            "serial": source.serial,
            "read_at": views.text_time(source.read_at),
        },
        "variables": variables,
    }


def sent_answers(sent: list[Sent]) -> SentAnswers:
    """Requests as JSON."""
    return SentAnswers(
        requests=[
            SentAnswer.model_validate(
                {
                    "request_id": one.request_id,
                    "outcome": one.outcome,
                    "status": one.status,
                }
            )
            for one in sent
        ]
    )


def _is_named(name: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    folded, parts = wanted.casefold(), name.casefold().split("/")
    return name.casefold() == folded or folded in parts


def _shown(variable: str, value: str | None) -> str | None:
    is_secret = variable.partition("/")[0].casefold() in SECRETS
    return HIDDEN if is_secret and value is not None else value
