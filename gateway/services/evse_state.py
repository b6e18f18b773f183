"""What is known about one EVSE and one station, and what is sent to them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.capability import Capability
from gateway.domain.car_facts import NOTHING_KNOWN, CarFacts
from gateway.domain.dwell import Rhythm
from gateway.domain.envelope import Draw, HeldLimit, Staircase, UnixS
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit, SetLimit
from gateway.domain.phase_use import NOTHING_SEEN, PhaseUse
from gateway.domain.phases import PerPhase
from gateway.domain.session import Session
from gateway.domain.topology import CurrentType, Evse, Station
from gateway.domain.usual_need import NeedSource
from gateway.services.enough import AWAKE, Rest
from gateway.services.envelope_cache import KeptEnvelope

OPERATOR_CALL: Final = "operator_call"
"""Doubt about a station to which an operator sent what may change its limits."""

UNCONTROLLED: Final = "refuses_limits"
"""Doubt about a station that takes limits in no way that is known."""

RESTART_TEST: Final = "restart"
"""The step of the obedience test that restarts a station."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether a station obeys, as far as is known.

    Attributes:
        is_proven: It passed the obedience test with ``firmware``.
        firmware: The firmware of the proof; ``None``: any (shipped proof).
        leftovers_known: What it held before us is cleared; only our limits remain.
        doubt: Why it is not trusted any more, a word, or ``None``.
        survives_restart: Its proof covers a restart: its limits are still there after
            one. False: after a restart its rating counts until its default is set.
    """

    station_id: StationId
    is_proven: bool = False
    firmware: str | None = None
    leftovers_known: bool = False
    doubt: str | None = None
    survives_restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a session needs, stated or assumed.

    Attributes:
        energy_wh: From the start of the session on, Wh.
        departure_at: When the car leaves.
        is_default: Nobody said so: all of it is assumed.
        may_pause: False: the driver or the CPO asks never to fall below the smallest
            charging current once it charges. Plans honour it; no limit rests on it,
            since safety may always pause a session.
        energy_from: Whose word ``energy_wh`` is.
        departure_from: Whose word ``departure_at`` is.
        leaves_at: When it may leave by what past sessions did, each as likely; empty
            where they say nothing.
    """

    energy_wh: int
    departure_at: datetime
    is_default: bool = True
    may_pause: bool = True
    energy_from: NeedSource = NeedSource.SITE
    departure_from: NeedSource = NeedSource.SITE
    leaves_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A limit that is about to be sent.

    Attributes:
        refs: The EVSEs whose envelope it enters: one, or all of a station.
        session_id: Whom it is for; ``None``: whoever comes.
    """

    station_id: StationId
    refs: tuple[EvseRef, ...]
    session_id: SessionId | None
    command: SetLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the newest plan reckons that a session takes, to compare meters with.

    Attributes:
        begin_milliwh: Delivered when the plan was asked for.
        start: Begin of its first step.
        step_s: Length of its steps.
        milliwh: Energy of each step.
    """

    session_id: SessionId
    begin_milliwh: int
    start: datetime
    step_s: int
    milliwh: tuple[int, ...]

    def milliwh_by(self, at: datetime) -> int:
        """What it should have taken since ``start``, evenly within a step."""
        steps = (at - self.start) / timedelta(seconds=self.step_s)
        whole = min(len(self.milliwh), max(0, int(steps)))
        found = sum(self.milliwh[:whole])
        if 0 <= steps < len(self.milliwh):
            found += round(self.milliwh[whole] * (steps - whole))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Whether a session gets too little, by plans in a row (`services.promises`).

    Attributes:
        n_short: Newest plans that leave it short.
        n_fine: Newest plans that do not.
    """

    n_short: int = 0
    n_fine: int = 0
    is_at_risk: bool = False


NO_RISK: Final = Risk()


@dataclass(slots=True)
class EvseState:
    """What is known about one EVSE.

    Attributes:
        is_unsettled: It was not trusted and the meter has not yet shown that it now
            obeys; its rating counts until then.
        accepted_at: When the latest limit was accepted.
        heard_at: When the newest sample reached us.
        watched_at: Since when its samples are judged; ``None``: from the next on.
        bounds: (until when, what it might draw until then), of the last while.
        must_resend: What was sent may be lost (a restart, a clearing): send again.
        hold_s: Limits of its session decay after this, instead of the site's time.
        rhythm: How its session was switched on and off.
        levels: What the plan wants: (from when on, 0.1 A per phase), never rising.
        car: What its car showed of itself; for plans, never for an envelope.
        offered: What the session is allowed, and since when, as last looked at.
        seen_at: The sample that was learned from last.
        expected: What the plan reckons that it takes.
        strayed_at: When it was last found off its plan.
        rest: Whether its car has had enough.
        risk: Whether its session gets too little.
        use: On which phases its car draws; an envelope may rest on it.
        kept: Its envelope, as it was last worked out.
    """

    evse: Evse
    unit: LimitUnit
    limits: tuple[HeldLimit, ...] = ()
    session: Session | None = None
    need: Need | None = None
    manual_da: int | None = None
    is_unsettled: bool = False
    accepted_at: datetime | None = None
    heard_at: datetime | None = None
    watched_at: datetime | None = None
    bounds: tuple[tuple[datetime, Draw], ...] = ()
    must_resend: bool = False
    hold_s: int | None = None
    rhythm: Rhythm = Rhythm()  # noqa: RUF009 - it is frozen
    levels: tuple[tuple[int, int], ...] = ()
    car: CarFacts = NOTHING_KNOWN
    offered: tuple[int, datetime] | None = None
    seen_at: datetime | None = None
    expected: Expected | None = None
    strayed_at: datetime | None = None
    rest: Rest = AWAKE
    risk: Risk = NO_RISK
    use: PhaseUse = NOTHING_SEEN
    kept: KeptEnvelope = field(default_factory=KeptEnvelope, repr=False)

    def has_had(self, permille: int = 1_000) -> bool:
        """Whether the car got so much of what its driver asked for."""
        session, need = self.session, self.need
        if session is None or need is None or need.is_default:
            return False
        return session.energy_milliwh >= need.energy_wh * permille


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """An EVSE that the site map no longer has here; it counts for a while.

    Attributes:
        path: The cabinets it left.
        until_s: Until then its limits may hold: they have decayed by then.
    """

    ref: EvseRef
    path: tuple[CabinetId, ...]
    stairs: Staircase
    until_s: UnixS


@dataclass(slots=True)
class StationState:
    """What is known about one station.

    Attributes:
        needs_setup: Its safe default has to be set, and leftovers cleared.
        is_busy: A call of ours is under way.
        blocks_sessions: Until its default was tried, nothing else is sent.
        retry_at: Nothing is sent before (site time).
        is_tested: The obedience test looks at what it holds: it is sent nothing.
        capability: What it can be told, with what is only being tried.
    """

    station: Station
    trust: Trust
    is_online: bool = False
    needs_setup: bool = True
    blocks_sessions: bool = True
    is_busy: bool = False
    retry_at: datetime | None = None
    is_tested: bool = False
    capability: Capability = field(default_factory=Capability)
    evses: list[EvseState] = field(default_factory=list)


def key_of(ref: EvseRef) -> EvseRef:
    """An EVSE without its connector: what limits apply to."""
    return EvseRef(station_id=ref.station_id, evse_id=ref.evse_id)


def sample_of(session: Session, evse: Evse) -> PerPhase | None:
    """The newest sample at the terminals, 0.1 A; power alone counts on each phase.

    Of DC only power counts: a current would be that of the car.
    """
    if _is_current_used(session, evse) and session.current_a is not None:
        l1, l2, l3 = session.current_a
        return (round(l1 * 10), round(l2 * 10), round(l3 * 10))
    if session.power_w is None:
        return None
    each_da = (
        evse.input_da(session.power_w)
        if evse.current_type is CurrentType.DC
        else (round(session.power_w / (evse.phase_v * len(evse.phases)) * 10))
    )
    n_phase = len(evse.phases)
    return (each_da, each_da if n_phase > 1 else 0, each_da if n_phase > 2 else 0)  # noqa: PLR2004 - three phases


def sampled_at(session: Session, evse: Evse) -> datetime | None:
    """When `sample_of` was taken, by the station's clock."""
    if _is_current_used(session, evse):
        return session.current_at or session.sampled_at
    return session.power_at or session.sampled_at


def _is_current_used(session: Session, evse: Evse) -> bool:
    return (
        session.current_a is not None
        and evse.current_type is CurrentType.AC
        and not _is_power_newer(session)
    )


def _is_power_newer(session: Session) -> bool:
    return (
        session.power_at is not None
        and session.current_at is not None
        and session.power_at > session.current_at
    )


def session_ref(session: Session) -> EvseRef:
    """The EVSE of a session, without its connector."""
    return EvseRef(station_id=session.station_id, evse_id=session.evse_id)
