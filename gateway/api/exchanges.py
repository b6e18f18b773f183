"""A connected station as a route asks it, guarded by the cabinets' limits."""

from collections.abc import Mapping
from functools import partial

from gateway.api.context import ApiContext
from gateway.api.security import Caller
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.services.dialects import check_action, version_of
from gateway.services.variables import Exchange


def exchange_of(
    context: ApiContext,
    caller: Caller,
    station_id: str,
    *,
    timeout_s: float | None = None,
    override: bool = False,
    needs: str | None = None,
) -> Exchange:
    """How to ask a station.

    Args:
        context: Of the application.
        caller: Who asks; is kept with each command.
        station_id: As in the path.
        timeout_s: Real seconds per message; ``None``: the configured ones.
        override: An admin's: send what could exceed a cabinet.
        needs: Wire action that the route is about.

    Raises:
        RequestError: 404 unknown; 409 not connected, or rejected at its last boot; 422
            the station's version has no such action.
    """
    entry = context.directory.require(station_id)
    if needs is not None:
        require_action(context, entry.station_id, needs)
    adapter = context.links.adapter(entry.station_id)
    if adapter is None:
        raise RequestError(409, "not_connected", f"{entry.station_id} is not connected")
    context.device.reach.check(entry.station_id)
    return Exchange(
        station_id=entry.station_id,
        adapter=adapter,
        call=partial(context.call, asked_by=caller.token_id),
        guard=partial(_guard, context, entry.station_id, override),
        timeout_s=timeout_s or context.call_timeout_s,
    )


def require_action(context: ApiContext, station_id: StationId, action: str) -> None:
    """Refuse a route that a station's version has nothing for; not before it is known.

    Raises:
        RequestError: 422 naming the version, and the route for it.
    """
    version = version_of(context.links, context.directory, station_id)
    if version is not None:
        check_action(station_id, version, action)


async def _guard(
    context: ApiContext,
    station_id: StationId,
    override: bool,
    action: str,
    payload: Mapping[str, object],
) -> None:
    await context.operator_guard(station_id, action, payload, override=override)
