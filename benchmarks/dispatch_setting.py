"""What a world is told: a site, who parks when, and what goes wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from benchmarks.dispatch_station import Visit
from gateway.domain.topology import Site
from gateway.services.arrivals import Arrivals
from gateway.services.group_problem import Prices
from gateway.services.need_policy import NeedDefaults

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
Kind = Literal[
    "lie",
    "obey",
    "cut",
    "restart",
    "mute",
    "deaf",
    "skew",
    "slow",
    "load",
    "limit",
    "phases",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that happens to a station, or to the site.

    Attributes:
        value: Seconds for cut, restart, mute, deaf and slow; the clock's error for
            skew; A per phase for load; how many the car uses from now on for phases.
    """

    at_s: float
    kind: Kind
    station: int = 0
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a world is run.

    Attributes:
        step_s: Length of a step of the physics.
        sample_s: Seconds between meter values of a station.
        solve_s: What a plan takes, virtual seconds.
        n_forgetful: Stations whose profiles a restart clears; their rating counts
            after one, so a restart is an excuse to be above the limit only on paper.
        leftover_a: What stations hold from before us; ``None``: nothing.
        loads_a: By load, A on its phases at each quarter of an hour; straight lines
            between. Others share what `Trouble` sets.
        mode: What plans care for.
        notice_s: How long before it applies an operator sets a lower limit.
        drop_s: For how long it applies.
        sun_w: What PV gives in each quarter of an hour, all inverters together.
        feed_in: What it earns when nobody uses it.
        need_defaults: What is assumed beside the site's configuration.
        arrivals: What is known of cars that still come.
    """

    site: Site
    visits: Sequence[Visit]
    troubles: Sequence[Trouble] = ()
    hours: float = 24.0
    step_s: float = 5.0
    sample_s: float = 60.0
    solve_s: float = 0.3
    load_every_s: float = 10.0
    skews_s: Sequence[float] = ()
    reactions_s: Sequence[float] = ()
    leftover_a: float | None = None
    notice_s: float = 300.0
    drop_s: float = 3 * 3600.0
    n_forgetful: int = 0
    versions: Sequence[str] = ("ocpp1.6", "ocpp2.0.1")
    prices: Prices | None = None
    feed_in: Prices | None = None
    sun_w: Sequence[float] = ()
    need_defaults: NeedDefaults | None = None
    arrivals: Arrivals | None = None
    loads_a: Mapping[str, Sequence[float]] = field(default_factory=dict)
    mode: str = "finish"
    plan_step_s: int = 900
    seed: int = 0
    start: datetime = START
