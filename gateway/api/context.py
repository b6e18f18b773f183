"""What the routes are given: the parts of the system behind plain functions.

The wiring fills this in; routes hold no state and know no concrete server, solver or
chain.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import BillingConfig
from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter, Command
from gateway.services.batteries import Batteries
from gateway.services.batteries_by_hand import BatteriesByHand
from gateway.services.bills import Bills
from gateway.services.cdrs import Cdrs
from gateway.services.certificate_desk import CertificateDesk
from gateway.services.command_queue import CommandQueue
from gateway.services.commands import Commands
from gateway.services.corrections import Corrections
from gateway.services.device import Device
from gateway.services.dispatch import Dispatch
from gateway.services.driver_parts import DriverParts
from gateway.services.erasure import Erasure
from gateway.services.meter_key_desk import MeterKeyDesk
from gateway.services.needs import Needs
from gateway.services.obedience_tests import ObedienceTests
from gateway.services.overview import Overview
from gateway.services.public_log import PublicLog
from gateway.services.receipts import Receipts
from gateway.services.settlement import Settlement
from gateway.services.stations import StationDirectory
from gateway.services.transfers import Transfers
from gateway.services.uploads import Uploads
from gateway.store.api_tokens import ApiToken
from gateway.store.commands import CommandRow
from gateway.store.queries import Queries
from gateway.store.writer import Writer


class LiveLinks(Protocol):
    """Who is connected (``server.registry``)."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect of a station's live link."""
        ...

    def is_online(self, station_id: StationId) -> bool:
        """Whether it has one."""
        ...

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close it."""
        ...

    def legacy_use(self) -> Sequence[Mapping[str, object]]:
        """Stations that last came in by the legacy TLS port."""
        ...


class Who(Protocol):
    """An authenticated caller."""

    @property
    def token_id(self) -> str:
        """Names the caller in the audit trail."""
        ...


class SendCall(Protocol):
    """See `StationCalls.call`."""

    def __call__(
        self,
        station_id: StationId,
        command: Command,
        timeout_s: float,
        *,
        asked_by: str = ...,
        on_command: Callable[[CommandRow], None] | None = None,
    ) -> Awaitable[Mapping[str, object]]:
        """Send a call as a command and wait for its answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Everything the routes may use."""

    clock: Clock
    wall_clock: Clock
    bus: Bus
    writer: Writer
    queries: Queries
    directory: StationDirectory
    links: LiveLinks
    overview: Overview
    dispatch: Dispatch
    needs: Needs
    settlement: Settlement
    receipts: Receipts
    public_log: PublicLog | None
    erasure: Erasure
    bills: Bills
    cdrs: Cdrs
    drivers: DriverParts
    certificates: CertificateDesk
    meter_keys: MeterKeyDesk
    corrections: Corrections
    transfers: Transfers
    uploads: Uploads
    public_url: Callable[[], str]
    call: SendCall
    commands: Commands
    queue: CommandQueue
    device: Device
    operator_guard: Callable[..., Awaitable[None]]
    obedience: ObedienceTests
    batteries: Batteries
    batteries_by_hand: BatteriesByHand
    call_timeout_s: float
    billing: BillingConfig
    rating: Callable[[StationId, int], float | None]
    readiness: Callable[[], Mapping[str, bool]]
    metrics: Callable[[], bytes]
    find_token: Callable[[str], Awaitable[ApiToken | None]]
    audit: Callable[[Who, str, str, Mapping[str, object]], Awaitable[None]]
