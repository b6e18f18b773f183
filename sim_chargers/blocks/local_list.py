"""The local authorization list (1.6: 5.10, 5.15; 2.0.1: D01, D02) and the cache."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.outcomes import Reply
from sim_chargers.tokens import Setting, TokenEntry
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

MAX_UPDATE: Final = 500  # entries in one message
MAX_LISTED: Final = 1000
NO_LIST: Final = -1  # 1.6, 5.10: the list is not supported


def send_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Take a list or changes of it (5.15)."""
    if not station.is_set(Setting.LIST_ENABLED):
        return Reply(payload={"status": "NotSupported"})
    entries = [
        (
            str(row["idTag"]),
            station.token_entry(row) if "idTagInfo" in row else None,
        )
        for row in payload.get("localAuthorizationList", [])
    ]
    version = int(payload["listVersion"])
    return _update(station, version, payload["updateType"] == "Full", entries)


def send_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Take a list or changes of it (D01)."""
    if not station.is_set(Setting.LIST_ENABLED):
        return Reply(payload={"status": "Failed"})
    entries = [
        (
            str(row["idToken"]["idToken"]),
            station.token_entry(row) if "idTokenInfo" in row else None,
        )
        for row in payload.get("localAuthorizationList", [])
    ]
    version = int(payload["versionNumber"])
    return _update(station, version, payload["updateType"] == "Full", entries)


def version_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Report the version of the list; -1 without one (5.10)."""
    del payload
    is_on = station.is_set(Setting.LIST_ENABLED)
    return Reply(payload={"listVersion": station.tokens.version if is_on else NO_LIST})


def version_v201(station: ChargerV201, payload: Payload) -> Reply:
    """Report the version of the list; 0 without one (D02)."""
    del payload
    is_on = station.is_set(Setting.LIST_ENABLED)
    return Reply(payload={"versionNumber": station.tokens.version if is_on else 0})


def clear_cache(station: Charger, payload: Payload) -> Reply:
    """Forget the authorization cache (1.6: 5.4; 2.0.1: C11)."""
    del payload
    if not station.is_set(Setting.CACHE_ENABLED):
        return Reply(payload=REJECTED)
    station.tokens.cache.clear()
    return Reply(payload=ACCEPTED)


def _update(
    station: Charger,
    version: int,
    is_full: bool,
    entries: list[tuple[str, TokenEntry | None]],
) -> Reply:
    """Change the list as a whole, or not at all (D01.FR.06 to .18)."""
    tokens = station.tokens
    if not is_full and version <= tokens.version:
        return Reply(payload={"status": "VersionMismatch"})
    listed = {} if is_full else dict(tokens.listed)
    for name, entry in entries:
        if entry is None:
            listed.pop(name.casefold(), None)
        else:
            listed[name.casefold()] = entry
    is_bad = Twist.LIST_FAILS in station.twists or _has_doubles(entries)
    if is_bad or len(entries) > MAX_UPDATE or len(listed) > MAX_LISTED:
        return Reply(payload={"status": "Failed"})
    tokens.listed = listed
    tokens.version = version
    return Reply(payload=ACCEPTED)


def _has_doubles(entries: Iterable[tuple[str, Any]]) -> bool:
    names = [name.casefold() for name, _ in entries]
    return len(set(names)) != len(names)
