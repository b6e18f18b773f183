"""How often a station shall ping, so that we never have to ping it.

A station's own pings are signs of life; ours go unanswered by some models. A station
that resends transaction messages because of a broken connection should find out before
it does: its interval is below attempts times retry interval (1.6: OCPP-J errata 3.11;
2.0.1: part 4, 8.4).
"""

from collections.abc import Mapping
from typing import Final

from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter, Command
from gateway.store.device_model import KEY_ROWS
from gateway.store.queries import Queries

PING_16: Final = "websocketpinginterval"
_ATTEMPTS: Final = ("transactionmessageattempts", "messageattempts")
_RETRY_S: Final = ("transactionmessageretryinterval", "messageattemptinterval")
_REPORTED: Final = (
    "SELECT variable, value FROM device_variable WHERE station_id = ?"
    " AND component = 'OCPPCommCtrlr' AND attribute = 'Actual'"
)
MAX_NUMBER: Final = 10**6
"""Attempts or seconds beyond this are no bound."""


class PingInterval:
    """Says what a station is to be told.

    Args:
        queries: For what it told of itself.
        interval_s: As wanted; ``None``: stations keep their own.
    """

    def __init__(self, *, queries: Queries, interval_s: int | None) -> None:
        self._queries = queries
        self._interval_s = interval_s

    async def command(self, station_id: StationId, adapter: Adapter) -> Command | None:
        """The setting to write; ``None``: none.

        In 1.6 the key is optional: it is written only to stations that have told it,
        and that it may be written.
        """
        if self._interval_s is None:
            return None
        if adapter.base_reports:
            rows = await self._queries.rows(_REPORTED, (station_id,))
            told = {str(row[0]).casefold(): row[1] for row in rows}
        else:
            rows = await self._queries.rows(KEY_ROWS, (station_id,))
            told = {str(row[0]).casefold(): row[1] for row in rows}
            if PING_16 not in {str(row[0]).casefold() for row in rows if not row[2]}:
                return None
        return adapter.encode_ping_interval(bounded_s(self._interval_s, told))


def bounded_s(interval_s: int, told: Mapping[str, str | None]) -> int:
    """An interval below the time after which a station gives up a message.

    Args:
        interval_s: As wanted.
        told: Settings by name in lower case, as the station told them; those of
            2.0.1 may go on with the name of their instance.
    """
    attempts, retry_s = _number(told, _ATTEMPTS), _number(told, _RETRY_S)
    if attempts is None or retry_s is None:
        return interval_s
    return max(1, min(interval_s, attempts * retry_s - 1))


def _number(told: Mapping[str, str | None], names: tuple[str, ...]) -> int | None:
    """The least positive number among settings of these names."""
    found = [
        int(value)
        for name, value in told.items()
        if name.startswith(names) and value and value.strip().isdecimal()
    ]
    return min((one for one in found if 0 < one <= MAX_NUMBER), default=None)
