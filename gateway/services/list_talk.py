"""The conversation with one station about its local authorization list."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.local_list import Room, Update, UpdateStatus
from gateway.errors import CallRefused, WattproofError
from gateway.ocpp.adapter import Adapter, CallOutcome, Command
from gateway.services.station_port import Stations
from gateway.store.queries import Queries

UNSUPPORTED_CODES: Final = frozenset({"NotImplemented", "NotSupported"})
_ENTRIES_LIMIT: Final = ("LocalAuthListCtrlr", "Entries")


class ListUnsupported(WattproofError):
    """The station cannot have a list; the text says why."""


class ListTalk:
    """Asks and sends; every method raises `CallFailed` when no answer came.

    Args:
        stations: How they are reached.
        queries: What they reported of themselves.
        call_timeout_s: Real seconds per call.
    """

    def __init__(
        self, *, stations: Stations, queries: Queries, call_timeout_s: float
    ) -> None:
        self._stations = stations
        self._queries = queries
        self._call_timeout_s = call_timeout_s
        self._rooms: dict[StationId, Room] = {}

    def forget_room(self, station_id: StationId) -> None:
        """Ask anew next time: it restarted, or went away."""
        self._rooms.pop(station_id, None)

    def max_entries(self, station_id: StationId) -> int | None:
        """How many entries it takes, if it was asked and says."""
        room = self._rooms.get(station_id)
        return None if room is None else room.max_entries

    async def send(
        self, station_id: StationId, adapter: Adapter, update: Update
    ) -> UpdateStatus:
        """Send an update; a CALLERROR is a status, too."""
        command = adapter.lists.encode_update(update)
        try:
            answer = await self._call(station_id, command)
        except CallRefused as error:
            if error.code in UNSUPPORTED_CODES:
                return UpdateStatus.NOT_SUPPORTED
            return UpdateStatus.FAILED
        return adapter.lists.status_of(answer)

    async def version(self, station_id: StationId, adapter: Adapter) -> int:
        """The version it holds; 0 for none.

        Raises:
            ListUnsupported: It has no local lists.
        """
        words = adapter.lists
        try:
            answer = await self._call(station_id, words.encode_version())
        except CallRefused as error:
            if error.code not in UNSUPPORTED_CODES:
                raise
            raise ListUnsupported(f"{error.code}: {error.description}") from error
        version = words.version_of(answer)
        if version < 0:
            raise ListUnsupported("the station has no local lists")
        return version

    async def room(self, station_id: StationId, adapter: Adapter) -> Room:
        """What it takes, asked once per connection; a list not in use is put in use.

        Raises:
            ListUnsupported: It has no local lists, or does not use them.
        """
        known = self._rooms.get(station_id)
        if known is not None:
            return known
        words = adapter.lists
        try:
            answer = await self._call(station_id, words.encode_room())
        except CallRefused:
            answer = {}
        room = words.room_of(answer, await self._reported_entries(station_id))
        if not room.is_available:
            raise ListUnsupported("the station has no local lists")
        if room.is_enabled is False:
            command = words.encode_enable()
            answer = await self._call(station_id, command)
            if adapter.outcome(command.action, answer) is not CallOutcome.ACCEPTED:
                raise ListUnsupported("the station does not let its list be used")
        self._rooms[station_id] = room
        return room

    async def _reported_entries(self, station_id: StationId) -> int | None:
        for row in await self._queries.device_variables(station_id):
            if (row.component, row.variable) == _ENTRIES_LIMIT:
                told = row.detail.get("variableCharacteristics") or row.detail
                limit = told.get("maxLimit")
                if isinstance(limit, int | float) and limit >= 1:
                    return int(limit)
        return None

    async def _call(
        self, station_id: StationId, command: Command
    ) -> Mapping[str, object]:
        return await self._stations.call(
            station_id, command, timeout_s=self._call_timeout_s
        )
