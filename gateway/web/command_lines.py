"""Commands that came to nothing, in words."""

from typing import Final

from gateway.web.ports import View

_NAMES: Final = {
    "remote_start": "Remote start",
    "remote_stop": "Remote stop",
    "RemoteStartTransaction": "Remote start",
    "RequestStartTransaction": "Remote start",
    "RemoteStopTransaction": "Remote stop",
    "RequestStopTransaction": "Remote stop",
}
_STATES: Final = {
    "no_effect": "had no effect",
    "failed": "failed",
    "expired": "was never sent",
}
_REASONS: Final = {
    "deadline": "the station did not come back in time",
    "disconnected": "the connection was lost before the answer",
    "gateway_restarted": "the gateway restarted before the answer",
    "no_effect": "accepted, but nothing came of it",
    "refused": "the station refused it",
    "timeout": "the station did not answer",
    "would_exceed_limit": "a cabinet's limit could be exceeded",
}


def action_name(action: str) -> str:
    """What people call it; else the wire's word."""
    return _NAMES.get(action, action)


def headline(command: View) -> str:
    """E.g. ``Remote start at CP1 had no effect``."""
    action = action_name(str(command["action"]))
    state = _STATES.get(str(command["state"]), str(command["state"]))
    return f"{action} at {command['station_id']} {state}"


def explanation(command: View) -> str:
    """Why, as far as known."""
    reason = _REASONS.get(str(command["reason"]), "")
    detail = str(command["detail"] or "")
    return f"{reason}: {detail}" if reason and detail else reason or detail
