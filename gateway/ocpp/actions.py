"""Which actions are sent to stations of which version, and what to use instead."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from gateway.ocpp.schema import Version, actions
from gateway.ocpp.tolerant import NUMBERS
from gateway.ocpp.v16_commands import REQUESTS as REQUESTS_16
from gateway.ocpp.v201_commands import REQUESTS as REQUESTS_201

TO_STATIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        NUMBERS[Version.V16]: REQUESTS_16 | {"DataTransfer"},
        NUMBERS[Version.V201]: REQUESTS_201 | {"DataTransfer"},
    }
)
"""Actions of a central system by the number of the version, the oldest first."""
FROM_STATIONS: Final = frozenset(
    action for version in Version for action in actions(version)
) - frozenset(action for known in TO_STATIONS.values() for action in known)

MAX_NAME_CHARS: Final = 100
"""Of an action's name that an error repeats."""
_PAIRS: Final = (
    ("ChangeConfiguration", "SetVariables"),
    ("ExtendedTriggerMessage", "TriggerMessage"),
    ("GetConfiguration", "GetVariables"),
    ("GetConfiguration", "GetBaseReport"),
    ("GetConfiguration", "GetReport"),
    ("GetCompositeSchedule", "GetChargingProfiles"),
    ("GetDiagnostics", "GetLog"),
    ("RemoteStartTransaction", "RequestStartTransaction"),
    ("RemoteStopTransaction", "RequestStopTransaction"),
    ("SignedUpdateFirmware", "UpdateFirmware"),
)
"""An action of 1.6, and what does its work in 2.0.1."""
_ROUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ChangeConfiguration": "/configuration/apply or /variables/write",
        "GetCompositeSchedule": "/charging-profiles",
        "GetConfiguration": "/configuration or /variables/read",
        "GetBaseReport": "/reports and /device-model",
        "GetLog": "/logs",
        "GetVariables": "/variables/read",
        "RemoteStartTransaction": "/remote-start",
        "RequestStartTransaction": "/remote-start",
        "SetVariables": "/variables/write",
        "UpdateFirmware": "/firmware-updates",
    }
)
"""Routes below a station that do what an action does."""


def problem(
    station_id: str, version: str | None, action: str, *, also: Iterable[str] = ()
) -> str | None:
    """Why an action cannot be sent to a station; ``None``: it can.

    Args:
        station_id: For the text.
        version: Number of its OCPP version; ``None``: not known yet, any will do.
        action: Wire action.
        also: Names that are taken besides the wire's.
    """
    possible = TO_STATIONS if version is None else {version: TO_STATIONS[version]}
    if any(action in known for known in possible.values()) or action in also:
        return None
    speaks = f"{station_id} speaks OCPP {version}"
    if action in FROM_STATIONS:
        return (
            f"{action} is sent by stations, not to them; TriggerMessage asks for some"
            " of their messages"
        )
    others = [number for number, known in TO_STATIONS.items() if action in known]
    if version is not None and others:
        is_newer = list(TO_STATIONS).index(others[0]) > list(TO_STATIONS).index(version)
        text = f"exists from {others[0]} on" if is_newer else f"is of {others[-1]} only"
        return f"{speaks}; {action} {text}{_instead(action, version)}"
    names = sorted({*also, *(one for known in possible.values() for one in known)})
    asked = action[:MAX_NAME_CHARS]
    close = get_close_matches(asked, names, n=1)
    return "; ".join(
        (
            f"no version of OCPP has an action {asked!r} for stations",
            *([f"did you mean {close[0]}?"] if close else []),
            *([] if version is None else [speaks]),
            *(
                f"OCPP {number} knows {', '.join(sorted(known))}"
                for number, known in possible.items()
            ),
            *([f"any version: {', '.join(sorted(also))}"] if also else []),
        )
    )


def _instead(action: str, version: str) -> str:
    """What does its work in a version, and the route for it."""
    known = TO_STATIONS[version]
    found = [two for pair in _PAIRS for one, two in (pair, pair[::-1]) if one == action]
    fits = sorted({one for one in found if one in known})
    if not fits:
        return ""
    routes = [
        f"the route {route}" for one in fits if (route := _ROUTES.get(one)) is not None
    ]
    return f" ({version}: {', '.join([*fits, *routes])})"
