"""What a station can be asked in the version that it speaks, told before it is sent."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from gateway.domain.ids import StationId
from gateway.errors import RemoteError, RequestError
from gateway.ocpp import actions
from gateway.ocpp.adapter import Adapter
from gateway.services.stations import StationDirectory

UNKNOWN_ACTION = "NotImplemented"
"""The word of both versions."""


class Dialects(Protocol):
    """Who is connected (``server.registry``)."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect of a station's live link."""
        ...


def version_of(
    links: Dialects, directory: StationDirectory, station_id: StationId
) -> str | None:
    """What a station speaks: now, by its registration, or when it was here last.

    Returns:
        ``None`` if it was never connected and may speak any version.
    """
    adapter = links.adapter(station_id)
    if adapter is not None:
        return adapter.version
    station = directory.site.station(station_id)
    if station is not None and station.pin_version is not None:
        return station.pin_version
    entry = directory.find(station_id)
    return None if entry is None else entry.ocpp_version


def check_action(
    station_id: StationId,
    version: str | None,
    action: str,
    *,
    also: Iterable[str] = (),
) -> None:
    """Refuse an action that the station's version does not have.

    Raises:
        RequestError: 422 naming the version, and what to use instead.
    """
    text = actions.problem(station_id, version, action, also=also)
    if text is not None:
        raise RequestError(422, UNKNOWN_ACTION, text)


def check_request(
    station_id: StationId,
    adapter: Adapter,
    action: str,
    payload: Mapping[str, object],
) -> None:
    """Check a CALL in wire spelling against the version of a connected station.

    Raises:
        RequestError: 422 with the version's error code.
    """
    check_action(station_id, adapter.version, action)
    try:
        adapter.check_request(action, msgspec.json.encode(payload))
    except RemoteError as error:
        raise RequestError(
            422, adapter.error_code(error.kind), error.description
        ) from error
