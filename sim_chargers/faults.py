"""Named misbehaviour of real chargers, switched on per station."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FAULTS: Final[dict[str, str]] = {
    "lie": "answers Accepted to every limit and charges at its rating all the same",
    "offline": "loses the network for some minutes again and again",
    "duplicate-frames": "sends every transaction message twice",
    "clock-skew": "its clock is 20 minutes ahead and is never set right",
    "lost-answers": "never hears some of the answers, and sends again",
    "reboot": "restarts without warning every now and then",
}

CLOCK_SKEW_S: Final = 1200.0
OFFLINE_EVERY_S: Final = 2400.0
OFFLINE_FOR_S: Final = 600.0
REBOOT_EVERY_S: Final = 3600.0
LOST_ANSWER_SHARE: Final = 0.2


class UnknownFaultError(ValueError):
    """No fault has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one station."""

    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse names that mean nothing."""
        for name in sorted(self.names - FAULTS.keys()):
            raise UnknownFaultError(f"no fault is called {name!r}; see --faults")

    def __contains__(self, name: str) -> bool:
        """Say whether the station has this fault."""
        assert name in FAULTS, name
        return name in self.names


def assign(
    requests: Iterable[str], station_ids: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Read ``NAME`` (every station) and ``NAME@STATION`` requests.

    Returns:
        The fault names of each station.

    Raises:
        UnknownFaultError: A name or a station does not exist.
    """
    found: dict[str, set[str]] = {station_id: set() for station_id in station_ids}
    for request in requests:
        name, _, target = request.partition("@")
        if name not in FAULTS:
            raise UnknownFaultError(f"no fault is called {name!r}; see --faults")
        if target and target not in found:
            raise UnknownFaultError(f"--fault {request}: no station {target!r}")
        for station_id in [target] if target else found:
            found[station_id].add(name)
    return {station_id: frozenset(names) for station_id, names in found.items()}
