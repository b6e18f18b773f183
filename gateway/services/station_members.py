"""Members of a station's registration that are not its wiring, and their rules."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config.secrets import MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES
from gateway.config.site import STATION_MEMBERS, no_member
from gateway.errors import RequestError
from gateway.store.stations import StationRow

REGISTRATIONS: Final = ("Accepted", "Pending", "Rejected")
MIN_PROFILE: Final = 1
MAX_PROFILE: Final = 3
MAX_ITEMS: Final = 1000
NOT_WIRING: Final = (
    "password",
    "security_profile",
    "registration",
    "items_per_message",
)
CONFIG_ONLY: Final = ("password_file", "password_env")


def check_members(
    body: Mapping[str, Any], known: StationRow | None, *, is_admin: bool
) -> None:
    """Check the members that are not wiring.

    Raises:
        RequestError: 422 one is wrong; 403 the profile may not be lowered.
    """
    for name in CONFIG_ONLY:
        if name in body:
            raise RequestError(422, "bad_station", f"{name}: only in config.toml")
    known_names = (*STATION_MEMBERS, *NOT_WIRING)
    for name in body:
        if name not in known_names:
            raise RequestError(
                422, "bad_station", str(no_member(name, "", known_names))
            )
    if body.get("registration", "Accepted") not in REGISTRATIONS:
        raise RequestError(
            422, "bad_registration", f"registration: one of {', '.join(REGISTRATIONS)}"
        )
    password = body.get("password", "x" * MIN_PASSWORD_BYTES)
    if not (
        isinstance(password, str)
        and MIN_PASSWORD_BYTES <= len(password.encode()) <= MAX_PASSWORD_BYTES
    ):
        raise RequestError(
            422,
            "bad_password",
            f"password: {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes of text",
        )
    profile = body.get("security_profile", MIN_PROFILE)
    if not _is_whole(profile, MIN_PROFILE, MAX_PROFILE):
        raise RequestError(422, "bad_security_profile", "security_profile: 1 to 3")
    items = body.get("items_per_message", 1)
    if not _is_whole(items, 1, MAX_ITEMS):
        raise RequestError(
            422, "bad_items_per_message", f"items_per_message: 1 to {MAX_ITEMS}"
        )
    is_lowered = (
        known is not None
        and "security_profile" in body
        and profile < known.security_profile
    )
    if is_lowered and not is_admin:
        raise RequestError(403, "admin_only", "only an admin lowers a security profile")


def _is_whole(value: object, low: int, high: int) -> bool:
    return (
        isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    )
