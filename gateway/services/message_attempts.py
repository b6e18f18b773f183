"""How often a station shall try a message that bills before it throws it away.

A station that is online discards a transaction message after so many failures (1.6,
3.7.1 and 9.1.31; 2.0.1 OCPPCommCtrlr.MessageAttempts), three by default: a few minutes.
The wait grows with each try, so ten tries half a minute apart are 22 minutes, and a
message that no central system can take holds up the ones behind it for no longer.
What is more patient already is left as it is, and so is what a station has not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter, Command
from gateway.store.device_model import KEY_ROWS
from gateway.store.queries import Queries

ATTEMPTS: Final = 10
INTERVAL_S: Final = 30
_LEAST: Final[Mapping[str, int]] = {
    "transactionmessageattempts": ATTEMPTS,
    "transactionmessageretryinterval": INTERVAL_S,
    "messageattempts": ATTEMPTS,
    "messageattemptinterval": INTERVAL_S,
}
_INSTANCES: Final = frozenset({"", "transactionevent"})
_REPORTED: Final = (
    "SELECT variable, value, mutability = 'ReadOnly' FROM device_variable"
    " WHERE station_id = ? AND component = 'OCPPCommCtrlr' AND attribute = 'Actual'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A setting as its station told it; of 2.0.1 perhaps with ``/instance``."""

    name: str
    value: str | None
    is_readonly: bool


class MessageAttempts:
    """Says what a station is to be told.

    Args:
        queries: For what it told of itself.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def commands(
        self, station_id: StationId, adapter: Adapter
    ) -> tuple[Command, ...]:
        """The settings to raise; none where there is nothing to raise."""
        sql = _REPORTED if adapter.base_reports else KEY_ROWS
        rows = await self._queries.rows(sql, (station_id,))
        told = [
            Told(name=row[0], value=row[1], is_readonly=bool(row[2])) for row in rows
        ]
        return tuple(
            adapter.encode_resending(name, least) for name, least in to_raise(told)
        )


def to_raise(told: list[Told]) -> list[tuple[str, int]]:
    """Names as told, and what they are to be at least."""
    found = []
    for one in told:
        name, _, instance = one.name.casefold().partition("/")
        least = _LEAST.get(name)
        if least is None or one.is_readonly or instance not in _INSTANCES:
            continue
        value = (one.value or "").strip()
        if value.isdecimal() and int(value) < least:
            found.append((one.name, least))
    return found
