"""Past facts about stations and sessions, the same for every OCPP version.

Every fact has two times: ``occurred_at`` (the station's clock) and ``received_at``
(ours). Adapters make them; the store keeps them; everything else folds over them.

Facts are frozen like every value here, but Structs, not dataclasses: a reading passes
through thousands of times a second, and a frozen dataclass costs ten times as much to
make. `msgspec.structs.replace` makes a changed copy.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from gateway.domain.ids import EvseRef, IdToken, StationId

if TYPE_CHECKING:
    from gateway.domain.metering import Sample

REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
CURRENT = "Current.Import"
SOC = "SoC"
SAMPLED: Final = "sampled"
"""Provenance of a reading that the station told as it is."""
BACKLOG_AFTER: Final = timedelta(minutes=5)


class Availability(StrEnum):
    """What an EVSE can be used for now."""

    AVAILABLE = "available"
    OCCUPIED = "occupied"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class ChargingState(StrEnum):
    """What a session is doing (2.0.1 names; 1.6: connector states)."""

    IDLE = "idle"
    PREPARING = "preparing"
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    SUSPENDED_EVSE = "suspended_evse"
    FINISHING = "finishing"


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One normalised sample, in base units.

    Attributes:
        sampled_at: The station's time of the sample.
        measurand: OCPP name, e.g. ``Energy.Active.Import.Register``.
        value: Wh, W, A, V, percent... exact.
        phase: OCPP phase word, or ``None`` for the total.
        context: OCPP reading context.
        location: OCPP location.
        provenance: ``sampled``, or the phases it was added up from: ``L1+L2+L3``.
    """

    sampled_at: datetime
    measurand: str
    value: Decimal
    phase: str | None = None
    context: str = "Sample.Periodic"
    location: str = "Outlet"
    provenance: str = SAMPLED


class SignedReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A signed meter record, kept exactly as it came.

    Attributes:
        public_key: That came beside it; it proves nothing.
    """

    sampled_at: datetime
    raw: str
    context: str
    encoding: str | None = None
    public_key: str | None = None


class StationBooted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A station started or restarted."""

    station_id: StationId
    occurred_at: datetime
    received_at: datetime
    vendor: str
    model: str
    serial: str | None = None
    firmware: str | None = None
    reason: str | None = None
    meter_serial: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether it was only asked to say this again: no restart came before."""
        return self.reason == "Triggered"


class EvseStatusChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An EVSE or connector reported its state; ``evse_id`` 0 is the whole station."""

    evse: EvseRef
    occurred_at: datetime
    received_at: datetime
    availability: Availability
    charging_state: ChargingState | None = None
    wire_status: str = ""
    error_code: str | None = None
    info: str | None = None


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transaction began.

    Attributes:
        transaction_id: 2.0.1: the station's id. 1.6: ``None``; the store allots one.
        register_milliwh: Start register, or ``None`` if the station did not say.
        sequence: 2.0.1 ``seqNo``.
    """

    evse: EvseRef
    occurred_at: datetime
    received_at: datetime
    transaction_id: str | None
    id_token: IdToken | None
    register_milliwh: int | None
    readings: tuple[Reading, ...] = ()
    signed: tuple[SignedReading, ...] = ()
    charging_state: ChargingState | None = None
    sequence: int | None = None
    was_offline: bool = False
    reservation_id: int | None = None
    trigger: str | None = None
    remote_start_id: int | None = None


class SessionUpdated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something about a running transaction: samples, state, a token.

    Attributes:
        evse: ``None`` when the message does not say (2.0.1 may leave it out).
        transaction_id: Wire id as text; ``None`` when samples came without one.
        samples: What the readings come to, where the adapter has sorted them itself;
            then ``readings`` is empty. `gateway.domain.metering.samples_in` has both.
    """

    station_id: StationId
    evse: EvseRef | None
    occurred_at: datetime
    received_at: datetime
    transaction_id: str | None
    readings: tuple[Reading, ...] = ()
    samples: "tuple[Sample, ...]" = ()
    signed: tuple[SignedReading, ...] = ()
    charging_state: ChargingState | None = None
    id_token: IdToken | None = None
    sequence: int | None = None
    was_offline: bool = False
    trigger: str | None = None


class SessionEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transaction ended."""

    station_id: StationId
    evse: EvseRef | None
    occurred_at: datetime
    received_at: datetime
    transaction_id: str
    register_milliwh: int | None
    stop_reason: str | None
    id_token: IdToken | None = None
    readings: tuple[Reading, ...] = ()
    signed: tuple[SignedReading, ...] = ()
    sequence: int | None = None
    was_offline: bool = False
    trigger: str | None = None


class ReservationChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A station said what became of a reservation."""

    station_id: StationId
    occurred_at: datetime
    received_at: datetime
    reservation_id: int
    status: str


class DeviceReported(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page of a station's device model (2.0.1 NotifyReport).

    Attributes:
        entries: Wire objects of ``reportData``, as decoded JSON.
    """

    station_id: StationId
    occurred_at: datetime
    received_at: datetime
    request_id: int
    sequence: int
    is_last: bool
    entries: tuple[dict[str, object], ...]


class StationNotified(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Anything else worth keeping: firmware, log, security, monitoring, customer.

    Attributes:
        topic: The wire action, e.g. ``FirmwareStatusNotification``.
        body: The payload as decoded JSON.
    """

    station_id: StationId
    occurred_at: datetime
    received_at: datetime
    topic: str
    body: dict[str, object]


Event: TypeAlias = (
    StationBooted
    | EvseStatusChanged
    | SessionStarted
    | SessionUpdated
    | SessionEnded
    | ReservationChanged
    | DeviceReported
    | StationNotified
)


def is_backlog(event: Event) -> bool:
    """Whether an event is too old to drive live state."""
    if isinstance(event, _OF_SESSIONS) and event.was_offline:
        return True
    return event.received_at - event.occurred_at > BACKLOG_AFTER


_OF_SESSIONS: Final = (SessionUpdated, SessionStarted, SessionEnded)


class Deviation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a station departed from the specification but was understood.

    Attributes:
        kind: Stable word, e.g. ``over_long``, ``unknown_enum``, ``extra_member``.
        path: JSON path of the member, e.g. ``$.chargePointSerialNumber``.
        detail: One sentence.
    """

    kind: str
    path: str
    detail: str
