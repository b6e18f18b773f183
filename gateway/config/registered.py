"""What the configuration says of an asset for the registry on the chain."""

import re
from typing import Final

from gateway.errors import ConfigError

_ADDRESS: Final = re.compile("0x[0-9A-Fa-f]{40}")
_NOBODY: Final = "0x" + "0" * 40


def check_owner(owner: str | None) -> None:
    """Refuse what is no account.

    Raises:
        ConfigError: ``key`` is ``owner``.
    """
    if owner is None:
        return
    if _ADDRESS.fullmatch(owner) is None or owner == _NOBODY:
        raise ConfigError("owner", f"{owner!r}: 0x and 40 hexadecimal digits")


def check_place(latitude_deg: float | None, longitude_deg: float | None) -> None:
    """Refuse half a position: it would silently be none.

    Raises:
        ConfigError: ``key`` names the missing half.
    """
    if (latitude_deg is None) != (longitude_deg is None):
        missing = "latitude_deg" if latitude_deg is None else "longitude_deg"
        raise ConfigError(missing, "a position has latitude_deg and longitude_deg")
