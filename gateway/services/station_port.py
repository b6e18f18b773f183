"""How services reach stations: what they need of whoever has the links."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority

OnLate: TypeAlias = Callable[[Mapping[str, object] | CallFailed], None]
"""Gets an answer that comes after the call was given up."""


class Stations(Protocol):
    """Stations that are connected (``server.registry``, `reach.Reach`)."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        ...

    def is_online(self, station_id: StationId) -> bool:
        """Whether it is connected."""
        ...

    def epoch_of(self, station_id: StationId) -> int | None:
        """The number of its connection, a new one for each; ``None`` without one."""
        ...

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: OnLate | None = None,
        epoch: int | None = None,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer.

        Args:
            station_id: Where to.
            command: Valid by the schema of the station's version.
            timeout_s: Real seconds to wait for the answer.
            priority: Who goes first where several wait.
            on_late: Gets an answer that comes within ten minutes after the timeout.
            epoch: The only connection it may go out on; ``None``: the one there is.

        Raises:
            NotConnected: There is no connection, or another one by now.
            CallFailed: No result came.
        """
        ...
