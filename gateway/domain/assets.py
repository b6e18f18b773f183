"""What is wired at a site: cabinets, EVSEs, other equipment; one frozen class each.

Currents are integers in 0.1 A (``_da``); ``phases`` says to which phases of the supply
an asset's own terminals are wired.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.domain.connectors import ConnectorFormat, ConnectorStandard
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.phases import (
    ALL_PHASES,
    DC_UNDERVOLTAGE,
    PerPhase,
    Rotation,
    dc_input_da,
    spread,
)

LEAST_AC_DA: Final = 60
"""IEC 61851-1: less than 6 A cannot be signalled to a car."""


class CurrentType(StrEnum):
    """What an EVSE delivers."""

    AC = "AC"
    DC = "DC"


class Mode(StrEnum):
    """Whether plans of a cabinet are carried out."""

    CONTROL = "control"
    ADVISE = "advise"


class ServiceStatus(StrEnum):
    """Where an asset is in its life; what the registry says, nothing else."""

    PLANNED = "planned"
    IN_SERVICE = "in_service"
    OUT_OF_SERVICE = "out_of_service"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """WGS 84 coordinates, degrees."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cabinet:
    """A distribution cabinet and its limit; every limit given applies.

    Attributes:
        parent: The cabinet that feeds this one, or ``None`` for a root.
        limit_da: Limit per phase, 0.1 A, or ``None``: what busbars and cables carry, so
            generation behind the cabinet does not count against it (gross).
        limit_w: Limit of the sum over all phases, W, or ``None``; gross as well.
        net_limit_da: What the supply gives on each phase, import less generation,
            0.1 A; ``None``: nothing less than ``limit_da``.
        export_limit_da: What may be fed in on each phase, 0.1 A; ``None``: not watched.
        margin_da: Kept free on every phase, 0.1 A.
        breaker_da: Rated current of its overcurrent protection, 0.1 A; ``None``: the
            lowest of its limits per phase.
        feeder_meter: Id of the meter that measures the whole feeder, if there is one.
        imbalance_da: What cars may load one phase more than another by plan, 0.1 A.
        feeder_stale_after_s: Site seconds after which that meter is lost.
        public: May appear on a public chain, with what its feeder meter shows.
        owner: Account of its owner in the registry; ``None``: the site's.
    """

    id: CabinetId
    parent: CabinetId | None = None
    limit_da: PerPhase | None = None
    limit_w: int | None = None
    net_limit_da: PerPhase | None = None
    export_limit_da: PerPhase | None = None
    margin_da: int = 0
    breaker_da: int | None = None
    feeder_meter: str | None = None
    imbalance_da: int | None = None
    feeder_stale_after_s: int = 120
    mode: Mode = Mode.CONTROL
    position: Position | None = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE

    @property
    def committed_da(self) -> PerPhase | None:
        """What limits may add up to per phase: the lower of gross and net.

        Generation does not count: a cloud takes it away in seconds.
        """
        if self.limit_da is None or self.net_limit_da is None:
            return self.limit_da or self.net_limit_da
        gross, net = self.limit_da, self.net_limit_da
        return (min(gross[0], net[0]), min(gross[1], net[1]), min(gross[2], net[2]))

    @property
    def limit_a(self) -> tuple[float, float, float] | None:
        """Limit per phase in A."""
        if self.limit_da is None:
            return None
        one, two, three = self.limit_da
        return (one / 10, two / 10, three / 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evse:
    """One EVSE as wired.

    Attributes:
        cabinet_id: What feeds it; ``None``: outside every cabinet, never limited.
        phases: Supply phases of its terminals L1.. in order.
        phases_confirmed: They were measured, so that a reported current is known to be
            on the phase of the supply that ``phases`` says.
        max_da: Most it draws on any of its phases, 0.1 A AC; its rating.
        min_da: Least current at which a car charges, 0.1 A; below it means 0. Of DC on
            the side of the grid; 0: any.
        floor_da: Reserved for ever, 0.1 A: what it may draw with everything dead.
        max_w: DC: most it delivers, W. AC: rated power, W, or ``None``.
        min_w: DC: least it delivers, W; ``min_da`` has it already.
        phase_v: Effective V per listed phase: power is this times number of phases
            times current, on every grid type.
        efficiency: DC: delivered power over AC power, without auxiliaries.
        auxiliary_w: DC: cooling and electronics, W AC.
        public: May appear on a public chain.
        connector: What cars plug into; ``None``: as usual, or as the station says.
    """

    ref: EvseRef
    cabinet_id: CabinetId | None
    phases: Rotation = ALL_PHASES
    phases_confirmed: bool = False
    current_type: CurrentType = CurrentType.AC
    max_da: int
    min_da: int = 60
    floor_da: int = 0
    max_w: int | None = None
    min_w: int | None = None
    phase_v: float = 230.0
    efficiency: float = 1.0
    auxiliary_w: int = 0
    public: bool = False
    connector: ConnectorStandard | None = None
    connector_format: ConnectorFormat | None = None

    @property
    def max_a(self) -> float:
        """Rating per phase, A."""
        return self.max_da / 10

    @property
    def min_a(self) -> float:
        """Least charging current, A."""
        return self.min_da / 10

    @property
    def starting_da(self) -> int:
        """A current with which any car charges that charges at all, 0.1 A.

        The least of AC (IEC 61851-1); more than the rating it never is.
        """
        return min(self.max_da, max(self.min_da, LEAST_AC_DA))

    @property
    def floor_a(self) -> float:
        """Reserved current, A."""
        return self.floor_da / 10

    @property
    def rating_w(self) -> int:
        """Most power it delivers, W."""
        if self.max_w is not None:
            return self.max_w
        return int(self.power_w(self.max_da))

    @property
    def rating(self) -> PerPhase:
        """What it may draw at most, whoever is obeyed."""
        return self.on_supply(self.max_da)

    @property
    def floor(self) -> PerPhase:
        """What is reserved for it, always."""
        return self.on_supply(self.floor_da)

    def on_supply(self, current_da: int) -> PerPhase:
        """A current on each of its terminals, as the supply sees it."""
        return spread(self.phases, current_da)

    def measured_on_supply(self, current_da: PerPhase) -> PerPhase:
        """Currents of its terminals L1..L3 turned to the phases of the supply.

        What is reported on a terminal that is not wired counts on every phase.
        """
        seen = [0, 0, 0]
        stray = sum(current_da[len(self.phases) :])
        for phase, value in zip(self.phases, current_da, strict=False):
            seen[phase] += value
        return (seen[0] + stray, seen[1] + stray, seen[2] + stray)

    def power_w(self, current_da: int) -> float:
        """Power delivered at ``current_da`` per phase, at nominal voltage.

        For DC the inverse of `input_da`: the 0.9 U of the bound stays in it.
        """
        input_w = current_da / 10 * self.phase_v * len(self.phases)
        if self.current_type is CurrentType.AC:
            return input_w
        output_w = (input_w * DC_UNDERVOLTAGE - self.auxiliary_w) * self.efficiency
        return max(0.0, output_w)

    def input_da(self, power_w: float) -> int:
        """Upper bound of the AC current per phase while delivering ``power_w``.

        AC: a limit in W may be drawn on one phase alone, so it counts on each in full,
        up to the rating. DC: (power / efficiency + auxiliaries) at 0.9 U.
        """
        if self.current_type is CurrentType.AC:
            return min(self.max_da, math.ceil(power_w / self.phase_v * 10))
        return dc_input_da(
            power_w,
            phase_v=self.phase_v,
            n_phase=len(self.phases),
            efficiency=self.efficiency,
            auxiliary_w=self.auxiliary_w,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A charging station with its EVSEs.

    Attributes:
        managed: False: nothing is ever sent unasked, so its rating counts.
        unit: What it wants limits in.
        clock_skew_s: Its clock may be wrong by this much, either way.
        tariff_id: ``None``: the site's default tariff.
        default_energy_wh: Need of a driver who states none; ``None``: the site's.
        default_stay_s: Stay of a driver who states none; ``None``: the site's.
        assume_version: OCPP version spoken when it offers none; ``None``: it must.
        pin_version: The only OCPP version it may speak; ``None``: any.
        strict: Nothing against the specification is tolerated of it; ``None``: as the
            site does.
        main_meter: What its main meter (connector 0) measures: the id of a load or of
            a feeder meter; ``None``: nothing of the site.
        compression: It is offered permessage-deflate; ``None``: as the port does.
        owner: Account of its owner in the registry; ``None``: the site's.
        origin: ``config`` or ``api``.
    """

    id: StationId
    cabinet_id: CabinetId | None = None
    evses: tuple[Evse, ...] = ()
    managed: bool = True
    unit: LimitUnit = LimitUnit.A
    clock_skew_s: int = 60
    tariff_id: str | None = None
    default_energy_wh: int | None = None
    default_stay_s: int | None = None
    assume_version: str | None = None
    pin_version: str | None = None
    main_meter: str | None = None
    strict: bool | None = None
    compression: bool | None = None
    position: Position | None = None
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE
    origin: str = "config"


class LoadSource(StrEnum):
    """Where the current of other equipment comes from."""

    API = "api"
    PROFILE = "profile"
    MODBUS = "modbus"
    MQTT = "mqtt"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Other equipment that shares a cabinet.

    Attributes:
        worst_case_da: Counts on each of its phases when the reading is stale.
        stale_after_s: Site seconds after which a reading no longer counts.
        profile_da: 24 expected currents per phase, one per local hour; for planning
            only, and only with ``LoadSource.PROFILE``.
    """

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    source: LoadSource = LoadSource.API
    worst_case_da: int
    stale_after_s: int = 300
    profile_da: tuple[int, ...] = ()

    @property
    def worst_case(self) -> PerPhase:
        """What it may draw at most."""
        return spread(self.phases, self.worst_case_da)

    def expected(self, local_hour: int) -> PerPhase:
        """What it draws in an hour of the day, by its profile or at worst."""
        if not self.profile_da:
            return self.worst_case
        return spread(self.phases, self.profile_da[local_hour])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pv:
    """A PV inverter: never raises a limit, may lower cost.

    Attributes:
        profile_w: 24 usual powers, one per local hour, or none; for plans' cost only.
        owner: Account of its owner in the registry; ``None``: the site's.
    """

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    peak_w: int
    profile_w: tuple[int, ...] = ()
    stale_after_s: int = 300
    position: Position | None = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A stationary battery; ``charging`` is what it may draw from the cabinet.

    Attributes:
        efficiency: Of storing and giving back together.
        is_controlled: It is told its power by us.
        follows_plan: It is planned with the cars, and told what the plan says.
        reserve_percent: Of its capacity; what is below is never discharged by us.
        target_percent: Of its capacity; what plans leave in it at their end.
        owner: Account of its owner in the registry; ``None``: the site's.
    """

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    capacity_wh: int
    max_charge_w: int
    max_discharge_w: int
    efficiency: float = 0.9
    stale_after_s: int = 300
    phase_v: float = 230.0
    position: Position | None = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE
    is_controlled: bool = False
    follows_plan: bool = False
    reserve_percent: int = 20
    target_percent: int = 50

    @property
    def charging(self) -> PerPhase:
        """Upper bound of its current while it charges: constant power at 0.9 U."""
        return self.drawing(self.max_charge_w)

    @property
    def reserve_wh(self) -> float:
        """What is never discharged by us."""
        return self.capacity_wh * self.reserve_percent / 100

    def drawing(self, power_w: int) -> PerPhase:
        """Upper bound of its current while it charges with a power, at 0.9 U."""
        per_phase_da = dc_input_da(
            power_w,
            phase_v=self.phase_v,
            n_phase=len(self.phases),
            efficiency=1.0,
            auxiliary_w=0,
        )
        return spread(self.phases, per_phase_da)
