"""Tells of bugs in shortcuts, where the ordinary way went on serving the station."""

import structlog

from gateway.domain.ids import StationId

_log = structlog.get_logger()


def shortcut_failed(station_id: StationId, action: str, error: Exception) -> None:
    """A text of meter values could not be learnt or filled in."""
    _log.error("template.failed", station_id=station_id, action=action, exc_info=error)
