"""How long commands may wait for their station, and what cannot wait at all."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from gateway.domain.ids import IdToken
from gateway.errors import RequestError
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.effects import carries_secret

REMOTE_START: Final = "remote_start"
REMOTE_STOP: Final = "remote_stop"
NEUTRAL: Final = frozenset({REMOTE_START, REMOTE_STOP})
"""Actions that are spelled for the station's version when they are sent."""

MAX_DEADLINE: Final = timedelta(days=30)
MAX_WAITING: Final = 32
"""Commands that may wait for one station."""
DEFAULT_DEADLINE: Final = timedelta(minutes=5)
_SHORT: Final = timedelta(seconds=30)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_DEADLINES: Final[dict[str, timedelta]] = {
    # A person stands in front of the station, or the moment passes.
    REMOTE_START: _SHORT,
    REMOTE_STOP: _SHORT,
    "RemoteStartTransaction": _SHORT,
    "RemoteStopTransaction": _SHORT,
    "RequestStartTransaction": _SHORT,
    "RequestStopTransaction": _SHORT,
    "Reset": _SHORT,
    "TriggerMessage": _SHORT,
    "ExtendedTriggerMessage": _SHORT,
    "UnlockConnector": _SHORT,
    # Replaced by the newest anyway.
    "SetChargingProfile": _DAY,
    "ClearChargingProfile": _DAY,
    # Good whenever the station comes back.
    "CertificateSigned": _WEEK,
    "ChangeAvailability": _WEEK,
    "ChangeConfiguration": _WEEK,
    "ClearCache": _WEEK,
    "ClearDisplayMessage": _WEEK,
    "DeleteCertificate": _WEEK,
    "GetDiagnostics": _WEEK,
    "GetLog": _WEEK,
    "InstallCertificate": _WEEK,
    "PublishFirmware": _WEEK,
    "SendLocalList": _WEEK,
    "SetDisplayMessage": _WEEK,
    "SetNetworkProfile": _WEEK,
    "SetVariableMonitoring": _WEEK,
    "SetVariables": _WEEK,
    "SignedUpdateFirmware": _WEEK,
    "UnpublishFirmware": _WEEK,
    "UpdateFirmware": _WEEK,
}


def deadline_of(action: str, asked_s: float | None) -> timedelta:
    """How long a command may wait."""
    if asked_s is not None:
        return timedelta(seconds=asked_s)
    return _DEADLINES.get(action, DEFAULT_DEADLINE)


def check_may_wait(payload: Mapping[str, Any]) -> None:
    """Refuse what must not lie in the store in clear.

    Raises:
        RequestError: 422 ``secret_not_queued``.
    """
    if carries_secret(payload):
        raise RequestError(
            422,
            "secret_not_queued",
            "passwords and keys do not wait in line: use password-rotation, or /calls,"
            " while the station is connected",
        )


def check_neutral(action: str, payload: Mapping[str, Any]) -> None:
    """Check the members of a neutral action.

    Raises:
        RequestError: 422.
    """
    match action:
        case "remote_start":
            allowed = {"evse_id", "id_token", "token_type"}
            token, evse_id = payload.get("id_token"), payload.get("evse_id")
            kind = payload.get("token_type")
            is_valid = (
                isinstance(token, str)
                and 0 < len(token) <= MAX_TOKEN_CHARS
                and (evse_id is None or _is_count(evse_id))
                and (kind is None or isinstance(kind, str))
            )
            hint = "evse_id (from 1, or none), id_token and token_type"
        case "remote_stop":
            allowed = {"transaction_id"}
            is_valid = isinstance(payload.get("transaction_id"), str)
            hint = "transaction_id as text"
        case _:
            return
    if not is_valid or not payload.keys() <= allowed:
        raise RequestError(422, "bad_payload", f"{action} takes {hint}")


MAX_TOKEN_CHARS: Final = 36
"""Of a 2.0.1 identifier; 1.6 has 20, checked by its schema when it is sent."""


def spelled(
    action: str, payload: Mapping[str, Any], adapter: Adapter, command_id: int
) -> Command:
    """A command in the words of the version that is connected.

    Args:
        action: Wire action, or a neutral one.
        payload: In wire spelling, or neutral.
        adapter: Of the station's link.
        command_id: Tells a remote start from all others.

    Raises:
        ValueError: The version cannot say it.
    """
    match action:
        case "remote_start":
            token = IdToken(value=payload["id_token"], kind=payload.get("token_type"))
            return adapter.encode_remote_start(
                payload.get("evse_id"), token, command_id
            )
        case "remote_stop":
            return adapter.encode_remote_stop(payload["transaction_id"])
        case _:
            return Command(action=action, payload=payload)


def digest(action: str, payload: Mapping[str, Any]) -> str:
    """What was asked, so that a repeated idempotency key can be told from a reused."""
    body = msgspec.json.encode([action, payload], order="sorted")
    return hashlib.sha256(body).hexdigest()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
