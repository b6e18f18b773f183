"""What dispatch needs from the rest of the system; the wiring passes it in."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from gateway.bus import Bus
from gateway.clock import Clock
from gateway.domain.session import Session
from gateway.domain.topology import Site
from gateway.services.arrivals import Arrivals
from gateway.services.battery_plans import BatteryPlans
from gateway.services.churn import Churn
from gateway.services.group_problem import Prices
from gateway.services.need_policy import NeedDefaults
from gateway.services.other_draws import UsualLoad
from gateway.services.station_port import Stations
from gateway.store.writer import Writer
from optimizer import CabinetProblem, Outcome

Seal: TypeAlias = Callable[[str, str, Mapping[str, object], sqlite3.Connection], None]
"""(kind, subject, body, connection): makes a leaf in the same transaction."""


class SessionRequest(Protocol):
    """What a driver asked for, as the store has it; every part may be missing."""

    @property
    def energy_wh(self) -> float | None:
        """Energy from the start of the session on."""
        ...

    @property
    def target_soc_percent(self) -> float | None:
        """State of charge to reach."""
        ...

    @property
    def departure_at(self) -> datetime | None:
        """When the car leaves."""
        ...

    @property
    def is_default(self) -> bool:
        """Nobody said so."""
        ...

    @property
    def may_pause(self) -> bool | None:
        """Whether plans may pause it; ``None``: nobody said so."""
        ...


class SessionQueries(Protocol):
    """What is asked of the store about sessions."""

    async def open_sessions(self, station_id: str | None = None) -> list[Session]:
        """Sessions that are running."""
        ...

    async def session_request(self, session_id: str) -> SessionRequest | None:
        """What the driver asked for."""
        ...


class Solver(Protocol):
    """Plans a problem in time."""

    async def solve(
        self, problem: CabinetProblem, *, is_urgent: bool = True
    ) -> Outcome:
        """Never raises for a hard day; who is urgent goes first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything a group's runner uses.

    Attributes:
        site: The site as it is wired now.
        seal: Makes ledger leaves; ``None`` without a ledger.
        prices: Import prices; ``None``: unknown.
        feed_in: What PV that is fed in earns; ``None``: nothing.
        usual_load: What other equipment usually draws; ``None``: not known.
        need_defaults: What is assumed beside the configuration; ``None``: nothing.
        arrivals: What is known of cars that still come; ``None``: nothing, and plans
            of mode ``auto`` see only who is there.
        batteries: What batteries hold that are planned, and what plans say of them;
            ``None``: none is planned.
        step_s: Length of a step of a plan, site seconds.
        horizon_s: How far plans reach, site seconds.
        mode: What plans care for, a value of ``optimizer.Mode``.
        call_timeout_s: Real seconds to wait for a station's answer.
        plan_gap_s: Real seconds from the start of one solve to the next, at least.
        churn: Counts limits; ``None``: nobody wants to know.
        debounce_s: Real seconds to wait for more notices of the same moment.
    """

    site: Callable[[], Site]
    stations: Stations
    sessions: SessionQueries
    writer: Writer
    bus: Bus
    clock: Clock
    solver: Solver
    seal: Seal | None = None
    prices: Prices | None = None
    feed_in: Prices | None = None
    need_defaults: NeedDefaults | None = None
    usual_load: UsualLoad | None = None
    arrivals: Arrivals | None = None
    batteries: BatteryPlans | None = None
    step_s: int = 900
    horizon_s: int = 86_400
    mode: str = "finish"
    call_timeout_s: float = 30.0
    plan_gap_s: float = 0.5
    churn: Churn | None = None
    debounce_s: float = 0.05
