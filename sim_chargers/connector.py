"""What a station knows about one connector: car, transaction, availability."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from sim_chargers.evse import Charging, Evse
from sim_chargers.profiles import Profile
from sim_chargers.signing_meter import SigningMeter


class Reason(Enum):
    """Why a transaction ended, in the words both versions share."""

    LOCAL = "Local"
    REMOTE = "Remote"
    EV_DISCONNECTED = "EVDisconnected"
    DEAUTHORIZED = "DeAuthorized"
    POWER_LOSS = "PowerLoss"
    RESET = "Reset"
    HARD_RESET = "HardReset"
    UNLOCK = "UnlockCommand"
    MASTER_PASS = "MasterPass"  # noqa: S105 - the word of the specification
    TIMEOUT = "Timeout"
    FAULT = "Fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the meter and the car show at one instant (station time)."""

    at: datetime
    context: str
    register_milliwh: int
    power_w: float
    phase_a: tuple[float, ...]
    offered: float
    soc_percent: float | None


@dataclass(slots=True)
class Ticker:
    """Says when the next sample is due; in true time, whatever the station's clock."""

    interval: timedelta = timedelta(0)
    due: datetime | None = None

    def restart(self, now: datetime, interval_s: float) -> None:
        """Count from now on; 0 stops."""
        self.interval = timedelta(seconds=interval_s)
        self.due = now + self.interval if interval_s > 0 else None

    def is_due(self, now: datetime) -> bool:
        """Say so once per interval; what was missed is not made up for."""
        if self.due is None or now < self.due:
            return False
        self.due = max(self.due + self.interval, now)
        return True


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One transaction, from authorisation and cable to the end.

    Attributes:
        token: Empty while nobody was authorised (2.0.1, TxStartPoint EVConnected).
        wire_id: The id on the wire as text; 1.6 learns it from the answer.
        group: Group of the token; others of the group may stop it, too.
        stop_token: The token that ended it, where one did.
        was_offline: It began without a connection.
        signed: Records of the meter, by context.
        key_told: The meter's public key went along with one of them.
    """

    token: str
    started_at: datetime
    register_start_milliwh: int
    wire_id: str | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    was_offline: bool = False
    group: str | None = None
    stop_token: str | None = None
    seq_no: int = 0
    charging: Charging = Charging.CONNECTED
    sampling: Ticker = field(default_factory=Ticker)
    samples: list[Sample] = field(default_factory=list)
    signed: dict[str, str] = field(default_factory=dict)
    key_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStart:
    """A remote start that waits for a car."""

    token: str
    until: datetime
    remote_start_id: int | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A connector kept for one token."""

    reservation_id: int
    token: str
    until: datetime
    group: str | None = None


@dataclass(slots=True, kw_only=True)
class Connector:
    """One connector with its EVSE (each EVSE of the simulator has one).

    Attributes:
        authorised: A token that waits for a cable, until ``authorised_until``.
        fault: Error code of 1.6 while it is broken.
        last_transaction_id: Of the last one that ended here.
        meter: That signs; ``None``: its readings are not signed.
    """

    number: int
    evse: Evse
    meter: SigningMeter | None = None
    transaction: Transaction | None = None
    authorised: str | None = None
    authorised_until: datetime | None = None
    fault: str | None = None
    last_transaction_id: str | None = None
    resets_when_idle: bool = False
    operative: bool = True
    inoperative_later: bool = False
    finishing: bool = False
    remote_start: RemoteStart | None = None
    reservation: Reservation | None = None
    reported: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it is in service and not broken."""
        return self.operative and self.fault is None

    @property
    def is_free(self) -> bool:
        """Whether a driver may plug in here."""
        return self.evse.vehicle is None and self.transaction is None and self.is_usable

    def sample(self, at: datetime, context: str) -> Sample:
        """Read the meter."""
        evse = self.evse
        wired = len(evse.spec.phases)
        return Sample(
            at=at,
            context=context,
            register_milliwh=evse.register_milliwh,
            power_w=evse.draw.power_w,
            phase_a=() if evse.spec.is_dc else evse.draw.phase_a[:wired],
            offered=evse.offered,
            soc_percent=(
                evse.vehicle.soc_percent
                if evse.spec.is_dc and evse.vehicle is not None
                else None
            ),
        )


def set_availability(connector: Connector, operative: bool) -> bool:
    """Change a connector, after its transaction if one is running.

    Returns:
        Whether it has to wait.
    """
    connector.inoperative_later = False
    if not operative and connector.transaction is not None:
        connector.inoperative_later = True
        return True
    connector.operative = operative
    return False
