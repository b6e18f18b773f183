"""A physical charging station without a socket: profiles, pilot, meter and car.

It is asked by the calls that the gateway's own adapters encode, keeps profiles by the
rules of `sim_chargers`, and draws what they allow by its own clock. Of envelopes, plans
and limits of cabinets it knows nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from gateway.domain.events import ChargingState
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import ALL_TOLD, Sample
from gateway.domain.session import Session, SessionPhase
from gateway.ocpp.adapter import Adapter, Command
from sim_chargers.evse import Charging, Evse
from sim_chargers.profile_store import ProfileError, ProfileStore, read_profile
from sim_chargers.profiles import (
    Context,
    Kind,
    Period,
    Profile,
    Purpose,
    Scale,
    composite,
)
from sim_chargers.vehicle import Vehicle

EVSE_ID: Final = 1
AHEAD_S: Final = 6 * 3600
ACCEPTED: Final = {"status": "Accepted"}
REJECTED: Final = {"status": "Rejected"}
STATES: Final = {
    Charging.IDLE: ChargingState.IDLE,
    Charging.CONNECTED: ChargingState.PREPARING,
    Charging.CHARGING: ChargingState.CHARGING,
    Charging.SUSPENDED_EV: ChargingState.SUSPENDED_EV,
    Charging.SUSPENDED_EVSE: ChargingState.SUSPENDED_EVSE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One car, from plug to unplug.

    Attributes:
        arrival_s: Seconds after the world's start.
        departure_s: When it really leaves.
        energy_wh: What it takes before it is full.
        stated_wh: What its driver says; ``None``: nothing.
        stated_departure_s: When the driver says to leave; ``None``: nothing.
        phases: Phases of its charger, 1 to 3.
        max_a: Its own limit per phase.
        taper_wh: Of ``energy_wh``, what it takes slower and slower at the end.
    """

    station: int
    arrival_s: float
    departure_s: float
    energy_wh: float
    stated_wh: float | None = None
    stated_departure_s: float | None = None
    phases: int = 3
    max_a: float = 32.0
    taper_wh: float = 0.0

    def vehicle(self) -> Vehicle:
        """The car as it arrives."""
        capacity_wh = max(60_000.0, self.energy_wh)
        return Vehicle(
            capacity_wh=capacity_wh,
            stored_wh=capacity_wh - self.energy_wh,
            phases=self.phases,
            max_a=self.max_a,
            taper_soc=1 - self.taper_wh / capacity_wh,
        )


@dataclass(slots=True, kw_only=True)
class SimStation:
    """One station with one EVSE.

    Attributes:
        skew_s: Its clock is ahead of the site clock by this much.
        delay_s: Answers come so long after a call: shortest and longest.
        is_liar: It accepts everything and offers its rating.
        forgets: Its profiles are gone after a restart.
        mute_until_s: Until then it acts, but its answers are lost.
        deaf_until_s: Until then calls are lost.
        down_until_s: Until then it restarts: the contactor is open.
        away_until_s: Until then the connection is cut.
        n_call: Limits that it was sent.
    """

    station_id: StationId
    adapter: Adapter
    evse: Evse
    random: Random
    skew_s: float = 0.0
    delay_s: tuple[float, float] = (0.2, 1.5)
    is_liar: bool = False
    forgets: bool = False
    mute_until_s: float = 0.0
    deaf_until_s: float = 0.0
    down_until_s: float = 0.0
    away_until_s: float = 0.0
    n_call: int = 0
    visit: Visit | None = None
    session: Session | None = None
    started: datetime | None = None
    sample_due_s: float = 0.0
    told: Charging = Charging.IDLE
    profiles: ProfileStore = field(default_factory=ProfileStore)
    _ahead: list[tuple[datetime, float]] = field(default_factory=list)
    _ahead_until: datetime | None = None

    def own(self, now: datetime) -> datetime:
        """What its clock shows."""
        return now + timedelta(seconds=self.skew_s)

    # Calls

    def answer(self, command: Command, now: datetime) -> Mapping[str, object]:
        """Do what it is asked."""
        match command.action:
            case "SetChargingProfile":
                return self._set_profile(command.payload, self.own(now))
            case "ClearChargingProfile":
                self.profiles.clear()
                self.changed()
                return ACCEPTED
            case "GetCompositeSchedule":
                return self._composite(command.payload, now)
            case "TriggerMessage":
                self.sample_due_s = 0.0
                return ACCEPTED
            case other:
                raise ValueError(f"the world's stations do not know {other}")

    def _set_profile(
        self, payload: Mapping[str, Any], own: datetime
    ) -> Mapping[str, object]:
        self.n_call += 1
        target = payload.get("connectorId", payload.get("evseId"))
        wire = payload.get("csChargingProfiles", payload.get("chargingProfile"))
        assert isinstance(target, int)
        assert isinstance(wire, dict)
        try:
            profile = read_profile(wire, target=target, received_at=own)
            if profile.purpose is Purpose.TX and (
                self.session is None
                or profile.transaction_id != self.session.transaction_id
            ):
                return REJECTED
            self.profiles.install(profile)
        except ProfileError:
            return REJECTED
        self.changed()
        return ACCEPTED

    def _composite(
        self, payload: Mapping[str, Any], now: datetime
    ) -> Mapping[str, object]:
        """What it says that it would offer, in the words of both versions."""
        own, duration_s = self.own(now), int(payload["duration"])
        self._look_ahead(own)
        steps = [(s, limit) for s, limit in self._ahead if s < _later(own, duration_s)]
        body = {
            "duration": duration_s,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [
                {"startPeriod": round((at - own).total_seconds()), "limit": limit}
                for at, limit in steps
            ],
        }
        if "evseId" in payload:
            whole = {**body, "evseId": EVSE_ID, "scheduleStart": own.isoformat()}
            return {**ACCEPTED, "schedule": whole}
        return {
            **ACCEPTED,
            "connectorId": EVSE_ID,
            "scheduleStart": own.isoformat(),
            "chargingSchedule": {**body, "startSchedule": own.isoformat()},
        }

    def leave_behind(self, limit_a: float, now: datetime) -> None:
        """Hold profiles from before: one that outranks whatever is set later."""
        self.profiles.install(
            Profile(
                profile_id=9,
                target=EVSE_ID,
                stack_level=8,
                purpose=Purpose.TX_DEFAULT,
                kind=Kind.ABSOLUTE,
                unit="A",
                periods=(Period(start_s=0, limit=limit_a),),
                received_at=now,
                start=now - timedelta(days=30),
            )
        )
        self.changed()

    def changed(self) -> None:
        """What it knew about coming limits is out of date."""
        self._ahead_until = None

    # Physics

    def limit(self, now: datetime) -> float:
        """What it offers now: by its profiles, its clock, and whether it obeys."""
        if self.is_liar:
            return self.evse.spec.native_max
        own = self.own(now)
        if self._ahead_until is None or own >= self._ahead_until:
            self._look_ahead(own)
        while len(self._ahead) > 1 and self._ahead[1][0] <= own:
            self._ahead.pop(0)
        return self._ahead[0][1]

    def _look_ahead(self, own: datetime) -> None:
        session = self.session
        spec = self.evse.spec
        context = Context(
            target=EVSE_ID,
            scale=Scale(is_dc=spec.is_dc, nominal_v=spec.nominal_v),
            transaction_id=None if session is None else session.transaction_id,
            transaction_start=self.started,
        )
        steps = composite(self.profiles, context, own, AHEAD_S, spec.native_max)
        self._ahead = [(own + timedelta(seconds=s), limit) for s, limit in steps]
        self._ahead_until = own + timedelta(seconds=AHEAD_S)

    def step(self, now: datetime, elapsed_s: float, dt_s: float) -> None:
        """Advance by ``dt_s`` seconds that end at ``now``."""
        self.evse.energised = self.session is not None and elapsed_s > self.down_until_s
        self.evse.step(self.limit(now), now, dt_s)

    # Sessions

    def begin(self, visit: Visit, number: int, now: datetime) -> Session:
        """A car is plugged in, and its driver accepted."""
        self.visit, self.started = visit, self.own(now)
        self.evse.vehicle = visit.vehicle()
        self.told = Charging.CONNECTED
        register = self.evse.register_milliwh
        self.session = Session(
            session_id=SessionId(f"s{number}"),
            station_id=self.station_id,
            evse_id=EVSE_ID,
            connector_id=1,
            phase=SessionPhase.RUNNING,
            transaction_id=str(number),
            started_at=self.started,
            received_at=now,
            has_start=True,
            register_start_milliwh=register,
            register_last_milliwh=register,
            charging_state=ChargingState.PREPARING,
        )
        self.changed()
        return self.session

    def sample(self, now: datetime) -> Session:
        """The session with what the meter shows now."""
        assert self.session is not None
        own = self.own(now)
        one, two, three = self.evse.draw.phase_a
        self.told = self.evse.charging
        self.session = replace(
            self.session,
            current_a=(round(one, 2), round(two, 2), round(three, 2)),
            current_at=own,
            power_w=round(self.evse.draw.power_w, 1),
            power_at=own,
            sampled_at=own,
            register_last_milliwh=self.evse.register_milliwh,
            charging_state=STATES[self.told],
        )
        return self.session

    def end(self, now: datetime) -> Session:
        """The car leaves."""
        assert self.session is not None
        ended = replace(
            self.session,
            phase=SessionPhase.ENDED,
            ended_at=self.own(now),
            register_last_milliwh=self.evse.register_milliwh,
        )
        self.visit, self.session, self.started = None, None, None
        self.evse.vehicle = None
        self.profiles.end_transaction(EVSE_ID)
        self.changed()
        return ended

    def misbehave(self, kind: str, value: float) -> None:
        """Begin or cease to lie, or have a car that uses other phases from now on."""
        if kind != "phases":
            self.is_liar = kind == "lie"
        elif self.evse.vehicle is not None:
            self.evse.vehicle.phases = int(value)

    def restart(self) -> None:
        """What is left after a restart."""
        if self.forgets:
            self.profiles.clear()
        self.changed()


def samples_of(session: Session) -> tuple[Sample, ...]:
    """What its meter told last: of all phases."""
    if session.current_at is None:
        return ()
    return (
        Sample(
            sampled_at=session.current_at,
            context="Sample.Periodic",
            power_w=session.power_w,
            current_a=session.current_a,
            current_told=ALL_TOLD,
            power_told=ALL_TOLD,
        ),
    )


def _later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
