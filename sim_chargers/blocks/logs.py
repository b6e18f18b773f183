"""Log files that a station is asked for (2.0.1: N01; 1.6: 5.9, whitepaper)."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING, Any

from sim_chargers import uploads
from sim_chargers.clock import from_wire
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sim_chargers.charger import Charger
    from sim_chargers.frames import Payload


def get_diagnostics(station: Charger, payload: Payload) -> Reply:
    """Upload the diagnostics log (1.6, 5.9)."""
    name = uploads.file_name(station, is_security=False)
    errand = uploads.Errand(
        action="DiagnosticsStatusNotification",
        failed="UploadFailed",
        location=str(payload["location"]),
        name=name,
        is_security=False,
        oldest=_instant(payload, "startTime"),
        latest=_instant(payload, "stopTime"),
        retries=int(payload.get("retries", 0)),
        retry_interval_s=float(payload.get("retryInterval", 0)),
    )
    return Reply(payload={"fileName": name}, after=_begin(station, errand))


def get_log_v16(station: Charger, payload: Payload) -> Reply:
    """Upload a log (security whitepaper, N01)."""
    return _get_log(station, payload, says_cancelled=False)


def get_log_v201(station: Charger, payload: Payload) -> Reply:
    """Upload a log; one that is replaced is reported as cancelled (N01)."""
    return _get_log(station, payload, says_cancelled=True)


def idle_report(station: Charger) -> dict[str, Any]:
    """Write the current state, as a trigger asks for it."""
    state = station.uploads
    if not state.is_busy or state.errand is None:
        return {"status": "Idle"}
    if state.errand.request_id is None:
        return {"status": state.status}
    return {"status": state.status, "requestId": state.errand.request_id}


def _get_log(station: Charger, payload: Payload, *, says_cancelled: bool) -> Reply:
    log = payload["log"]
    is_security = payload["logType"] == "SecurityLog"
    name = uploads.file_name(station, is_security=is_security)
    errand = uploads.Errand(
        action="LogStatusNotification",
        failed="UploadFailure",
        location=str(log["remoteLocation"]),
        name=name,
        is_security=is_security,
        oldest=_instant(log, "oldestTimestamp"),
        latest=_instant(log, "latestTimestamp"),
        retries=int(payload.get("retries", 0)),
        retry_interval_s=float(payload.get("retryInterval", 0)),
        request_id=int(payload["requestId"]),
        says_cancelled=says_cancelled,
    )
    answer = {
        "status": "AcceptedCanceled" if station.uploads.is_busy else "Accepted",
        "filename": name,
    }
    return Reply(payload=answer, after=_begin(station, errand))


def _begin(station: Charger, errand: uploads.Errand) -> Callable[[], None]:
    def begin() -> None:
        uploads.take(station, errand)

    return begin


def _instant(part: Payload, name: str) -> datetime | None:
    return from_wire(part[name]) if name in part else None
