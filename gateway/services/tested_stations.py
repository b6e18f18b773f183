"""What the obedience test needs of stations, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.rpc import CallPriority


class TestedStations(Protocol):
    """How stations are reached, and dropped."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        ...

    def is_online(self, station_id: StationId) -> bool:
        """Whether it is connected."""
        ...

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close its connection."""
        ...

    def keep_out(self, station_id: StationId, seconds: float) -> None:
        """Close its connection, and refuse others for so many real seconds."""
        ...

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step of the test; ``passed`` ``None``: it could not be tested."""

    step: str
    passed: bool | None
    detail: str
