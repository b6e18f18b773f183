"""Tariffs in the shape of OCPI 2.2.1."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Body

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ocpi import parse_tariff, to_ocpi
from gateway.domain.tariff import Tariff, TariffError
from gateway.errors import RequestError
from gateway.store import group_tariffs, money
from gateway.store.money import StoredTariff

T = TypeVar("T")

SHOWN_ONLY: Final = ("source",)
"""Members of an answer that a body may carry back."""

router = APIRouter(prefix="/tariffs", tags=["tariffs"], route_class=CheckedRoute)


@router.get("")
async def tariffs(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """All tariffs by id, each with its ``source``: ``config`` or ``api``."""
    return [_view(one) for one in await _read(context, money.all_tariffs)]


@router.get("/{tariff_id}")
async def tariff(tariff_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One tariff."""
    return _view(await _require(context, tariff_id))


@router.put("/{tariff_id}")
async def put_tariff(
    tariff_id: str,
    body: Annotated[dict[str, Any], Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Write a tariff as in OCPI: ``currency``, ``elements``, least and most price.

    Sessions that have started keep the terms they were promised. From now on the API's
    word counts for this id, also after a restart.
    """
    tariff = _parsed(context, tariff_id, body)
    now = context.clock.now()
    await context.writer.run(
        lambda conn: money.put_tariff(conn, tariff, source="api", now=now)
    )
    context.drivers.pricing.tariff_changed(tariff_id)
    await context.audit(caller, "tariff.put", f"tariff/{tariff_id}", to_ocpi(tariff))
    return _view(await _require(context, tariff_id))


@router.delete("/{tariff_id}", status_code=204)
async def delete_tariff(tariff_id: str, context: Context, caller: Operator) -> None:
    """Remove a tariff; 409 while it is the default one, a station's or a group's."""
    if tariff_id == context.billing.default_tariff:
        raise RequestError(
            409, "in_use", f"{tariff_id} is billing.default_tariff in config.toml"
        )
    for station in context.directory.site.stations:
        if station.tariff_id == tariff_id:
            raise RequestError(409, "in_use", f"station {station.id} names it")

    def job(conn: sqlite3.Connection) -> bool:
        for row in group_tariffs.all_groups(conn):
            if row.tariff_id == tariff_id:
                raise RequestError(409, "in_use", f"group {row.group_id} charges by it")
        return money.delete_tariff(conn, tariff_id)

    if not await context.writer.run(job):
        raise RequestError(404, "unknown_tariff", f"no tariff {tariff_id!r}")
    await context.audit(caller, "tariff.deleted", f"tariff/{tariff_id}", {})


async def _read(context: Context, work: Callable[[sqlite3.Connection], T]) -> T:
    return await asyncio.to_thread(context.queries.read_now, work)


async def _require(context: Context, tariff_id: str) -> StoredTariff:
    stored = await _read(context, lambda conn: money.find_tariff(conn, tariff_id))
    if stored is None:
        raise RequestError(404, "unknown_tariff", f"no tariff {tariff_id!r}")
    return stored


def _parsed(context: Context, tariff_id: str, body: dict[str, Any]) -> Tariff:
    if body.get("id", tariff_id) != tariff_id:
        raise RequestError(422, "bad_tariff", "id: differs from the one in the path")
    table = {key: value for key, value in body.items() if key not in SHOWN_ONLY}
    try:
        tariff = parse_tariff(
            {**table, "id": tariff_id},
            currency=context.billing.currency,
            timezone=context.directory.site.timezone,
        )
    except TariffError as error:
        raise RequestError(422, "bad_tariff", str(error)) from error
    if tariff.currency != context.billing.currency:
        raise RequestError(
            422,
            "bad_tariff",
            f"currency: this site bills in {context.billing.currency}",
        )
    return tariff


def _view(stored: StoredTariff) -> dict[str, Any]:
    return {
        **to_ocpi(stored.tariff),
        "source": stored.source,
        "last_updated": views.time(stored.updated_at),
    }
